"""Read the IDX format of the MNIST family: a magic number, the sizes, the bytes.

    0x00 0x00  0x08 = unsigned byte  number of axes D  |  D sizes, big-endian uint32  |  the values, last axis fastest

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST Database". Files may be compressed with gzip. The header is not
trusted: memory grows only with the bytes that are present, and compressed files may not unpack to more than 100 times
their size, so that a small file can't exhaust the memory.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from minigan.common.untrusted import open_file
from minigan.errors import DataError

MAX_BYTES = 1 << 30  # of values in one file; all of MNIST has 47 million
FREE, RATIO = 16 << 20, 100  # a file may unpack to 16 MiB, or to 100 times its size if that is more
CHUNK = 1 << 20
GZIP_MAGIC = b"\x1f\x8b"


def read_idx(path: Path, axes: int) -> np.ndarray:
    """Read a file of unsigned bytes with this number of axes as a uint8 array.

    Raises DataError if it is of another kind, truncated or empty, has data after the last value, or would take more
    than `MAX_BYTES`, or unusually much for its size.
    """
    try:
        with open_file(path) as raw:
            compressed, size = raw.read(2) == GZIP_MAGIC, raw.seek(0, os.SEEK_END)
            raw.seek(0)
            with gzip.open(raw) if compressed else raw as file:
                return _parse(file, axes, most=max(FREE, RATIO * size))
    except ValueError as error:
        raise DataError(f"{path} is not a usable IDX file: {error}") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is damaged or cut off: gzip cannot unpack it") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def _parse(file: BinaryIO, axes: int, most: int) -> np.ndarray:
    """Read at most `most` values. Raises ValueError with the problem."""
    magic = file.read(4)
    if magic != bytes([0, 0, 8, axes]):
        raise ValueError(f"it begins with {magic.hex() or 'nothing'} instead of {bytes([0, 0, 8, axes]).hex()}")
    sizes = file.read(4 * axes)
    if len(sizes) < 4 * axes:
        raise ValueError("it is cut off within the header")
    shape = struct.unpack(f">{axes}I", sizes)
    count = math.prod(shape)
    named = "x".join(map(str, shape))
    if not 0 < count <= MAX_BYTES:
        raise ValueError(f"its header promises {named} values")
    values = bytearray()
    while len(values) < count and (chunk := file.read(min(CHUNK, count - len(values)))):
        values += chunk
        if len(values) > most:
            raise ValueError("it unpacks to far more than a file of its size should")
    if len(values) < count:
        raise ValueError(f"it is cut off: {len(values):,} of {named} values are there")
    if file.read(1):
        raise ValueError(f"something follows the {named} values that its header promises")
    return np.frombuffer(values, np.uint8).reshape(shape)
