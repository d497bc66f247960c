"""What readers of files share that nobody vouches for: opening them, and the arrays of an .npz file.

    .npz        a zip archive of members NAME.npy
    .npy        magic, version, the length of a header, the header, the numbers, in row-major order or the other one
    the header  {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }

`np.load` believes what a header says: it makes an array of that shape before it looks how much is there, unpacks an
archive however large it gets, and reads the header as Python. Here a header is compared with a pattern and with the
size of its member, and the members with the size of the file.
"""

from __future__ import annotations

import errno
import math
import os
import re
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

FREE, RATIO = 64 << 20, 16  # an archive unpacks to 64 MiB, or if it is large to 16 times its size
MOST = 4 << 30
MOST_MEMBERS = 1 << 14
CHUNK = 1 << 20
MAGIC = b"\x93NUMPY"
LENGTH_BYTES = {1: 2, 2: 4, 3: 4}  # of the length of the header, by version
LONGEST_HEADER = 4096
SHAPE = rb"(?:\d{1,18}L?, )*(?:\d{1,18}L?,?)?"  # Python 2 wrote 2L. No text fits it in two ways, which would take ages
HEADER = re.compile(
    rb"\{'descr': '([<>|][biuf]\d{1,2})', 'fortran_order': (True|False), 'shape': \((" + SHAPE + rb")\),? ?\} *\n?"
)


class Unreadable(ValueError):
    """What is wrong with a file, as the end of a sentence."""


def open_file(path: str | os.PathLike) -> BinaryIO:
    """Open a file for reading. Raises OSError, also for a pipe, a socket or a device: reading those may never end."""
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise OSError(errno.EINVAL, "it is a pipe or a device, and not a file", os.fspath(path))
    return Path(path).open("rb")


def read_npz(file: BinaryIO, ratio: int = RATIO) -> dict[str, np.ndarray]:
    """Read all arrays of an .npz file that is open, by name: real numbers, integers and truth values.

    They unpack to 64 MiB, or to `ratio` times the size of the file, but never to more than `MOST`. Raises Unreadable, a
    ValueError, for everything else.
    """
    try:
        size = file.seek(0, os.SEEK_END)
        with zipfile.ZipFile(file) as archive:
            return _read_members(archive, min(max(FREE, ratio * size), max(MOST, size)))
    except (Unreadable, OSError, MemoryError):  # of these, the last two say nothing of the file
        raise
    except Exception as error:  # a damaged archive may fail in any step, with any exception
        raise Unreadable("it is damaged or cut off") from error


def read_npy(file: BinaryIO) -> np.ndarray:
    """Read an .npy file that is open. Raises Unreadable if it is damaged or holds anything but numbers."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return _read_array(file, size)


def _read_members(archive: zipfile.ZipFile, most: int) -> dict[str, np.ndarray]:
    members = archive.infolist()
    if len(members) > MOST_MEMBERS or len({info.filename for info in members}) < len(members):
        raise Unreadable("it has too many arrays, or a name stands twice")
    if sum(info.file_size for info in members) > most:
        raise Unreadable("it unpacks to far more than a file of its size should")
    arrays = {}
    for info in members:
        with archive.open(info) as member:
            arrays[info.filename.removesuffix(".npy")] = _read_array(member, info.file_size)
    return arrays


def _read_array(member: Any, size: int) -> np.ndarray:
    """Read one .npy file, of which `size` bytes are there."""
    start = member.read(len(MAGIC) + 2)
    width = LENGTH_BYTES.get(start[-2] if len(start) == 8 else 0)
    if start[:-2] != MAGIC or width is None:
        raise Unreadable("something in it is no array")
    length = int.from_bytes(member.read(width), "little")
    header = HEADER.fullmatch(member.read(min(length, LONGEST_HEADER)))
    if header is None:
        raise Unreadable("it holds something other than arrays of numbers")
    dtype = np.dtype(header[1].decode())
    shape = tuple(int(n) for n in re.findall(rb"\d+", header[3]))
    if math.prod(shape) * dtype.itemsize != size - 8 - width - length:
        raise Unreadable(f"an array in it should be of {dtype} {shape}, and has another size")

    numbers = np.empty(math.prod(shape), dtype)
    raw, filled = numbers.view(np.uint8), 0
    while filled < len(raw):
        read = member.readinto(raw[filled : filled + CHUNK])
        if not read:
            raise Unreadable("it is cut off")
        filled += read
    if member.read(1):  # and now its checksum has been looked at
        raise Unreadable("something follows an array in it")
    return numbers.astype(dtype.newbyteorder("="), copy=False).reshape(
        shape, order="F" if header[2] == b"True" else "C"
    )
