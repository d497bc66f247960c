"""Writing a file so that it is whole or not there: to a temporary name, then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """Give `path` as the file of an OSError in this block: a full disk names none, a temporary name helps nobody."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # Pillow's
            raise OSError(f"{path}: {error}") from error
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` for writing. It takes the name `path` when the block ends well.

    Whoever reads `path` meanwhile, or after a crash, finds the old file or the new one, never a part.
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
        with suppress(OSError):  # it has its new name, or the disk is read-only by now
            temporary.unlink()


def _flush_folder(path: Path) -> None:
    """Have the names in a folder on the disk, too: without it a power cut could undo a rename."""
    if os.name == "posix":  # elsewhere a folder can't be opened
        number = os.open(path, os.O_RDONLY)
        with suppress(OSError):  # some network file systems can't
            os.fsync(number)
        os.close(number)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with replacing(path) as file:
        file.write(text.encode())
