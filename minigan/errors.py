"""Exceptions whose message is one sentence: what was wrong, where, and what to do.

The command line prints the message and exits with status 2. Programs catch `MiniganError`.
"""

import zipfile
import zlib
from typing import Any

# All exceptions that reading a damaged or malicious .npz file, or JSON in it, can raise
UNREADABLE_NPZ = (
    *(OSError, EOFError, MemoryError, OverflowError, ValueError, KeyError, TypeError, AttributeError),  # NumPy and json
    *(zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError),  # zipfile
)


MAX_LENGTH = 3000  # characters of a message, which may contain names and values from files


def printable(text: str) -> str:
    r"""Return text that is safe to print to a terminal: shortened, with \n, \x1b and the like as escape sequences.

    File names may contain control characters, with which a file could forge lines of output or change colors.
    """
    if len(text) > MAX_LENGTH:
        text = f"{text[: 2 * MAX_LENGTH // 3]} … {text[-MAX_LENGTH // 3 :]}"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class MiniganError(Exception):
    """The base class of all errors that the user can correct."""

    def __str__(self) -> str:
        return printable(super().__str__())


class ShapeError(MiniganError, ValueError):
    """An array has a shape or dtype that a layer, loss or network cannot take."""


class LayerError(MiniganError, ValueError):
    """A layer, network or optimizer is built or used incorrectly."""


class ModelError(MiniganError, ValueError):
    """A model doesn't implement the interface of model.py and can't be trained."""


class DataError(MiniganError):
    """A data set, file or folder cannot be used as training data."""


class CheckpointError(MiniganError):
    """A checkpoint or run folder cannot be read or belongs to another model."""


class DeviceError(MiniganError):
    """A requested device or device feature is not available."""


def described(x: Any) -> str:
    """Describe an object that should have been an array, and how to convert it, as the end of an error message."""
    kind = type(x)
    article = "an" if kind.__name__[0] in "aeiouAEIOU" else "a"
    if isinstance(x, type):
        return f"the class {x.__name__}"
    if kind.__module__.partition(".")[0] == "torch":
        return f"a torch {kind.__name__}: pass its .detach().cpu().numpy()"
    if isinstance(x, (list, tuple, int, float)) or hasattr(x, "__array__"):
        return f"{article} {kind.__name__}: convert it with np.array(…)"
    return f"{article} {kind.__name__}" if x is not None else "None"
