"""A lock on the folder of a run: two trainings in one folder would write over each other's files.

The lock is on an open file, and the operating system lets go of it when the process ends, however it ends: a crash
leaves a small file behind, but no lock.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from minigan.errors import MiniganError
from minigan.training.files import naming

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
    import msvcrt

LOCK = ".lock"  # the name of the file


class LockedError(MiniganError):
    """Another process is at work in the folder."""


class FolderLock:
    """Held from `acquire` to `release`. The file says which process holds it, for people."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock, unless it is held already. Raises LockedError, at once, if another process has it."""
        while self._file is None:
            with naming(self.path.parent):
                number = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)  # NFS locks only what may be written
            if not _lock(number):
                os.lseek(number, 0, os.SEEK_SET)
                holder = os.read(number, 20).decode("ascii", "replace").strip()
                os.close(number)
                who = f"process {holder}" if holder.isdecimal() else "another process"
                raise LockedError(
                    f"{self.path.parent} is in use by {who}, which trains there: wait, or give another --out"
                )
            if not self._is_there(number):  # its holder has just removed it: make it anew
                os.close(number)
                continue
            self._file = number
            os.ftruncate(number, 0)
            os.write(number, f"{os.getpid()}\n".encode())

    def taken(self) -> bool:
        """Whether another process holds the lock."""
        if not self.path.exists():
            return False
        try:
            self.acquire()
        except LockedError:
            return True
        self.release()
        return False

    def release(self) -> None:
        """Let go of the lock, and remove its file."""
        if self._file is not None:
            if fcntl and self._is_there(self._file):  # while it is held, so that nobody else's is removed
                with suppress(OSError):  # the disk may be read-only by now
                    self.path.unlink()
            os.close(self._file)
            self._file = None

    def _is_there(self, number: int) -> bool:
        """Whether the open file is still the one of that name."""
        try:
            return os.path.samestat(os.fstat(number), os.stat(self.path))
        except FileNotFoundError:
            return False


def _lock(number: int) -> bool:
    """Lock an open file. Returns False if another process has locked it.

    On a file system without locks there is none: better no lock than no training.
    """
    try:
        if fcntl:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            os.lseek(number, 1 << 20, os.SEEK_SET)  # beyond the text, which is still to be written and read
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
            os.lseek(number, 0, os.SEEK_SET)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        pass
    return True
