"""Atomic file writes: to a temporary name, then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """Context manager: report `path` as the file of an OSError, instead of a temporary name or none (full disk)."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # Pillow's
            raise OSError(f"{path}: {error}") from error
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Context manager: open a temporary file beside `path` for writing, and rename it to `path` on success.

    A concurrent reader of `path`, or a reader after a crash, finds the complete old or the complete new file.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with naming(path):
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _flush_folder(path.parent)
    finally:
        with suppress(OSError):  # it was renamed, or the disk has become read-only
            temporary.unlink()


def _flush_folder(path: Path) -> None:
    """Flush a directory to disk: otherwise a power failure could undo a rename."""
    if os.name == "posix":  # Windows can't open directories
        number = os.open(path, os.O_RDONLY)
        with suppress(OSError):  # unsupported by some network file systems
            os.fsync(number)
        os.close(number)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with replacing(path) as file:
        file.write(text.encode())
