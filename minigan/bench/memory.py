"""Memory meters: how much memory a contender holds, and its peak, on the host or on a GPU."""

from __future__ import annotations

import ctypes
import platform
from typing import Any


class HostMemory:
    """The resident memory of this process, in bytes; None where the system doesn't report it (Windows)."""

    def settle(self) -> int | None:
        """Release free memory, reset the peak, and return what is held."""
        _trim()
        try:
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")  # Linux: resets the peak to what is resident now
        except OSError:  # another system, or no permission: the peak remains that since the process started
            pass
        return _status("VmRSS")

    def peak(self) -> int | None:
        """Return the peak since `settle`."""
        # not ru_maxrss on Linux: a process inherits it from its parent
        return _status("VmHWM") or _peak_of_the_process()


class CupyMemory:
    """The memory that CuPy's pool has taken from the device, in bytes, including free blocks."""

    def __init__(self, cupy: Any) -> None:
        self.pool = cupy.get_default_memory_pool()

    def settle(self) -> int:
        """Release free blocks, and return what is held. The pool then grows to what a step needs, and stays there."""
        self.pool.free_all_blocks()
        return self.pool.total_bytes()

    def peak(self) -> int:
        """Return the size to which the pool has grown since `settle`."""
        return self.pool.total_bytes()


def _trim() -> None:
    """Have glibc return the free pages of its heap to the system; they would count as held."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):  # not glibc: macOS, Windows, musl
        return


def _status(field: str) -> int | None:
    """Return a size from Linux's /proc/self/status, in bytes."""
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
