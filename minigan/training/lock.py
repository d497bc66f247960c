"""A lock on the folder of a run, because two processes would overwrite each other's files.

The operating system locks an open file, and releases the lock when the process ends for any reason. After a crash a
small file remains, but no lock.
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
    """Another process holds the lock of the folder."""


class FolderLock:
    """A lock between `acquire` and `release`. The file contains the id of the process, for error messages."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK
        self._file: int | None = None

    def acquire(self) -> None:
        """Acquire the lock if it isn't held yet. Raises LockedError, without waiting, if another process holds it."""
        while self._file is None:
            with naming(self.path.parent):
                number = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)  # NFS locks only writable files
            if not _lock(number):
                os.lseek(number, 0, os.SEEK_SET)
                holder = os.read(number, 20).decode("ascii", "replace").strip()
                os.close(number)
                who = f"process {holder}" if holder.isdecimal() else "another process"
                raise LockedError(
                    f"{self.path.parent} is in use by {who}, which trains there: wait, or give another --out"
                )
            if not self._is_there(number):  # the previous holder has just removed the file: create a new one
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
        """Remove the file and release the lock."""
        if self._file is not None:
            if fcntl and self._is_there(self._file):  # before the release: later it may be the lock of another process
                with suppress(OSError):  # the disk may have become read-only
                    self.path.unlink()
            os.close(self._file)
            self._file = None

    def _is_there(self, number: int) -> bool:
        """Whether the open file still exists under its name."""
        try:
            return os.path.samestat(os.fstat(number), os.stat(self.path))
        except FileNotFoundError:
            return False


def _lock(number: int) -> bool:
    """Lock an open file. Returns False if another process has locked it; True also on file systems without locks."""
    try:
        if fcntl:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            os.lseek(number, 1 << 20, os.SEEK_SET)  # beyond the text: a locked range can't be read or written
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
            os.lseek(number, 0, os.SEEK_SET)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        pass
    return True
