"""Exceptions whose message is one sentence for the user: what was wrong, where, what to do.

The command line prints the sentence and exits with status 2; a library user catches `MiniganError`.
"""

import zipfile
import zlib

# What reading a damaged or hostile .npz file, and JSON in it, may raise
UNREADABLE_NPZ = (
    *(OSError, EOFError, MemoryError, OverflowError, ValueError, KeyError, TypeError, AttributeError),  # NumPy and json
    *(zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError),  # zipfile
)


class MiniganError(Exception):
    """Something the user can put right."""


class ShapeError(MiniganError, ValueError):
    """An array has a shape or dtype that a layer, loss or network cannot take."""


class DataError(MiniganError):
    """A data set, a file or a folder that cannot be used as training data."""


class CheckpointError(MiniganError):
    """A checkpoint or run folder that cannot be read, or that belongs to another model."""


class DeviceError(MiniganError):
    """A device that was asked for and is not there."""
