"""Exceptions whose message is one sentence for the user: what was wrong, where, what to do.

The command line prints the sentence and exits with status 2; a library user catches `MiniganError`.
"""

import zipfile
import zlib
from typing import Any

# What reading a damaged or hostile .npz file, and JSON in it, may raise
UNREADABLE_NPZ = (
    *(OSError, EOFError, MemoryError, OverflowError, ValueError, KeyError, TypeError, AttributeError),  # NumPy and json
    *(zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError),  # zipfile
)


LONGEST = 3000  # characters of a sentence; the names and values in it come from files, and may be longer


def printable(text: str) -> str:
    r"""Text as a terminal may have it: \n, \x1b and other characters that can't be seen are spelt, as Python would.

    The name of a file may hold all of them, and with them lines that somebody else has written, or colours.
    """
    if len(text) > LONGEST:
        text = f"{text[: 2 * LONGEST // 3]} … {text[-LONGEST // 3 :]}"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class MiniganError(Exception):
    """Something the user can put right."""

    def __str__(self) -> str:
        return printable(super().__str__())


class ShapeError(MiniganError, ValueError):
    """An array has a shape or dtype that a layer, loss or network cannot take."""


class LayerError(MiniganError, ValueError):
    """A layer, network or optimiser that is put together in a way that can't work."""


class ModelError(MiniganError, ValueError):
    """A model that doesn't keep to the contract of model.py, and so can't be trained."""


class DataError(MiniganError):
    """A data set, a file or a folder that cannot be used as training data."""


class CheckpointError(MiniganError):
    """A checkpoint or run folder that cannot be read, or that belongs to another model."""


class DeviceError(MiniganError):
    """A device that was asked for and is not there."""


def described(x: Any) -> str:
    """Say what something is that should be an array, and how to make one of it: the end of a sentence."""
    kind = type(x)
    article = "an" if kind.__name__[0] in "aeiouAEIOU" else "a"
    if isinstance(x, type):
        return f"the class {x.__name__}"
    if kind.__module__.partition(".")[0] == "torch":
        return f"a torch {kind.__name__}: hand over its .detach().cpu().numpy()"
    if isinstance(x, (list, tuple, int, float)) or hasattr(x, "__array__"):
        return f"{article} {kind.__name__}: make an array of it with np.array(…)"
    return f"{article} {kind.__name__}" if x is not None else "None"
