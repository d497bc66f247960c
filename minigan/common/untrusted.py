"""Safe reading of untrusted .npy and .npz files.

    .npz        a zip archive of members NAME.npy
    .npy        magic, version, header length, header, then the numbers in row-major or column-major order
    the header  {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }

`np.load` trusts the header: it allocates an array of the given shape before it checks the size of the data, unpacks an
archive of any size, and parses the header as Python. Here the header must match a regular expression and the size of
its member, and the sizes of the members are limited by the size of the file.
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

FREE, RATIO = 64 << 20, 16  # an archive may unpack to 64 MiB or to 16 times its size
MOST = 4 << 30
MOST_MEMBERS = 1 << 14
CHUNK = 1 << 20
MAGIC = b"\x93NUMPY"
LENGTH_BYTES = {1: 2, 2: 4, 3: 4}  # size of the header length, by version
LONGEST_HEADER = 4096
SHAPE = rb"(?:\d{1,18}L?, )*(?:\d{1,18}L?,?)?"  # Python 2 wrote 2L. Unambiguous, so that matching needs linear time
HEADER = re.compile(
    rb"\{'descr': '([<>|][biuf]\d{1,2})', 'fortran_order': (True|False), 'shape': \((" + SHAPE + rb")\),? ?\} *\n?"
)


class Unreadable(ValueError):
    """A file that can't be read; the message is the end of a sentence."""


def open_file(path: str | os.PathLike) -> BinaryIO:
    """Open a file for reading. Raises OSError also for pipes, sockets and devices, because reading them may block."""
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise OSError(errno.EINVAL, "it is a pipe or a device, and not a file", os.fspath(path))
    return Path(path).open("rb")


def read_npz(file: BinaryIO, ratio: int = RATIO) -> dict[str, np.ndarray]:
    """Read all arrays of an open .npz file, by name: real numbers, integers and booleans.

    Raises Unreadable, a ValueError, if the file is invalid, or unpacks to more than 64 MiB and `ratio` times its size.
    """
    try:
        size = file.seek(0, os.SEEK_END)
        with zipfile.ZipFile(file) as archive:
            return _read_members(archive, min(max(FREE, ratio * size), max(MOST, size)))
    except (Unreadable, OSError, MemoryError):  # the last two don't imply that the file is damaged
        raise
    except Exception as error:  # zipfile may raise any exception for a damaged archive
        raise Unreadable("it is damaged or cut off") from error


def read_npy(file: BinaryIO) -> np.ndarray:
    """Read an open .npy file. Raises Unreadable if it is damaged or contains anything but numbers."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    try:
        return _read_array(file, size)
    except TypeError as error:  # a type such as <f5
        raise Unreadable("it is damaged: its numbers are of no type of NumPy's") from error


def _read_members(archive: zipfile.ZipFile, most: int) -> dict[str, np.ndarray]:
    members = archive.infolist()
    if len(members) > MOST_MEMBERS or len({info.filename for info in members}) < len(members):
        raise Unreadable("it has too many arrays, or two arrays have the same name")
    if sum(info.file_size for info in members) > most:
        raise Unreadable("it unpacks to far more than a file of its size should")
    arrays = {}
    for info in members:
        with archive.open(info) as member:
            arrays[info.filename.removesuffix(".npy")] = _read_array(member, info.file_size)
    return arrays


def _read_array(member: Any, size: int) -> np.ndarray:
    """Read a .npy file of `size` bytes."""
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
    if member.read(1):  # reading to the end also verifies the checksum in the archive
        raise Unreadable("something follows an array in it")
    return numbers.astype(dtype.newbyteorder("="), copy=False).reshape(
        shape, order="F" if header[2] == b"True" else "C"
    )
