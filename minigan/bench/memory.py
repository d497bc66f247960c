"""How much memory a contender holds, and how much it needs at most: of the host, or of the device if it works there."""

from __future__ import annotations

import ctypes
import platform
from typing import Any


class HostMemory:
    """The resident memory of this process, in bytes; None where the system doesn't tell (Windows)."""

    def settle(self) -> int | None:
        """Give back what is free, begin a new peak, and return what is held."""
        _trim()
        try:
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")  # Linux: the peak is what is resident now
        except OSError:  # another system, or one that forbids it: the peak is that of the whole process
            pass
        return _status("VmRSS")

    def peak(self) -> int | None:
        """The most that was held since `settle`."""
        # Linux's ru_maxrss would not do: it begins with that of the process which started this one
        return _status("VmHWM") or _peak_of_the_process()


class CupyMemory:
    """What CuPy's memory pool has taken from the device, in bytes, with what is free in it."""

    def __init__(self, cupy: Any) -> None:
        self.pool = cupy.get_default_memory_pool()

    def settle(self) -> int:
        """Give back what is free, and return what is held. The pool then grows to what a step needs, and stays."""
        self.pool.free_all_blocks()
        return self.pool.total_bytes()

    def peak(self) -> int:
        """What the pool has grown to since `settle`."""
        return self.pool.total_bytes()


def _trim() -> None:
    """Let glibc give the pages that are free in its heap back to the system, or they would count as held."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):  # no glibc: macOS, Windows, musl
        return


def _status(field: str) -> int | None:
    """A size from Linux's /proc/self/status, in bytes."""
    try:
        with open("/proc/self/status") as file:
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith(f"{field}:")), None)
    except OSError:
        return None


def _peak_of_the_process() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024
