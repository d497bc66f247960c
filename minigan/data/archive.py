"""Read the files of a .zip archive without unpacking it to disk. Member names are never used as paths.

A file is read whole. One that unpacks to more than 16 MiB and to more than 100 times its packed size is refused as a
possible zip bomb; pictures are compressed already, so they stay far below that.
"""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

from minigan.errors import DataError

FREE, RATIO = 16 << 20, 100
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others may allocate gigabytes to unpack a few bytes
ENCRYPTED = 0x1  # bit of `flag_bits`


class Member:
    """One file of an archive, with the part of the `pathlib.Path` interface that reading pictures needs."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        self.archive, self.info = archive, info
        name = PurePosixPath(info.filename.replace("\\", "/"))
        self.parts = tuple(part for part in name.parts if part not in ("/", ".."))
        self.name, self.stem, self.suffix = name.name, name.stem, name.suffix

    def __str__(self) -> str:
        return f"{self.archive.filename}/{self.info.filename}"

    @property
    def size(self) -> int:
        """Size in the archive in bytes."""
        return min(self.info.compress_size, self.info.file_size)

    def read(self) -> bytes:
        """Unpack the file in memory. Raises DataError if it is damaged, encrypted, or suspiciously large."""
        if self.info.flag_bits & ENCRYPTED:
            raise DataError(f"{self} is locked with a password: unpack the archive, and give the folder")
        if self.info.compress_type not in METHODS:
            raise DataError(f"{self} is not packed by deflate: unpack the archive, and give the folder")
        if self.info.file_size > max(FREE, RATIO * self.info.compress_size):
            raise DataError(f"{self} unpacks to far more than its size: take it out of the archive")
        try:
            return self.archive.read(self.info)
        except Exception as error:  # a damaged archive may fail in any step, with any exception
            raise DataError(f"{self} is damaged or cut off ({error}): replace it or remove it") from error


def open_archive(path: Path) -> tuple[list[Member], list[tuple[str, ...]]]:
    """Return the files and the folders in an archive, without hidden ones. Raises DataError if it can't be read."""
    try:
        archive = zipfile.ZipFile(path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # see `Member.read`
        raise DataError(f"{path} is damaged or cut off, or no .zip archive: replace it") from error
    hidden = (".", "__MACOSX")
    everything = [Member(archive, info) for info in archive.infolist()]
    shown = [m for m in everything if m.parts and not any(part.startswith(hidden) for part in m.parts)]
    files = [m for m in shown if not m.info.filename.endswith("/")]
    folders = {m.parts for m in shown if m.info.filename.endswith("/")}
    folders |= {m.parts[:n] for m in files for n in range(1, len(m.parts))}
    return files, sorted(folders)
