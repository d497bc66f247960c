"""The memory that a network needs for a picture, estimated from measurements, and the memory that is available.

A model's `apply` may be any code: it may chain networks, keep intermediate results, or compare all pairs of pixels.
Therefore its peak memory is measured on two small pictures, and extrapolated to the real size by a power law in the
number of pixels, with an exponent from 1 (convolutions) to 2 (attention).
"""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from math import log, prod
from pathlib import Path
from typing import Any

from minigan.backend import Device

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

SPARE = 1.1  # safety factor, because allocators round up
CGROUP = Path("/sys/fs/cgroup")


def peak(work: Callable[[], Any], device: Device) -> int:
    """Call `work`, and return the peak memory of the arrays that it allocates, in bytes."""
    if device.name.startswith("cuda"):
        pool = device.xp.get_default_memory_pool()
        pool.free_all_blocks()
        before = pool.total_bytes()
        work()
        return int(pool.total_bytes() - before)
    running = tracemalloc.is_tracing()
    if not running:
        tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        if not running:
            tracemalloc.stop()


def needed(size: tuple[int, int], measured: dict[tuple[int, int], int]) -> int:
    """Return the bytes needed for a picture of this size, extrapolated from the measured bytes of two smaller ones."""
    (small, low), (large, high) = sorted((prod(size), bytes_) for size, bytes_ in measured.items())
    power = min(2.0, max(1.0, log(max(1, high) / max(1, low)) / log(large / small)))
    return int(SPARE * high * max(1.0, prod(size) / large) ** power)


def available(device: Device) -> int | None:
    """Return the free bytes on a device, within the limits of this process; None if the system doesn't report them."""
    if device.name.startswith("cuda"):
        free, _ = device.xp.cuda.runtime.memGetInfo()
        return int(free + device.xp.get_default_memory_pool().free_bytes())
    known: list[int] = []
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        known.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]))
    with suppress(OSError, ValueError):  # the limit of a container; int("max") means no limit
        known.append(int((CGROUP / "memory.max").read_text()) - int((CGROUP / "memory.current").read_text()))
    if resource is not None and (limit := resource.getrlimit(resource.RLIMIT_AS)[0]) != resource.RLIM_INFINITY:
        with suppress(OSError, ValueError):
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            known.append(limit - pages * os.sysconf("SC_PAGE_SIZE"))
    return max(0, min(known)) if known else None


def gigabytes(n: int) -> str:
    """Format a number of bytes, such as `12.4 GB`."""
    return f"{n / 1e9:,.1f} GB" if n >= 1e8 else f"{n / 1e6:,.0f} MB"
