"""Array libraries, devices, and random generators.

There is no global device setting. A layer calls `xp = array_module(x)` and uses `xp` like NumPy. For arrays on an
NVIDIA GPU it is CuPy, which has the same functions. Only code that creates arrays needs a `Device`.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.errors import DeviceError, described

CUBLAS_DEFAULT, TF32 = 1, 7  # CuPy's codes for the compute types of matrix products
STREAMS = 1 << 16  # parallel random streams on CUDA; the random numbers depend on it

# Array libraries besides NumPy and CuPy as {array type: module}, such as the strict stand-in of `minigan.testing`
_registered: dict[type, Any] = {}


def register_array_module(array_type: type, module: Any) -> None:
    """Make `array_module` return `module` for arrays of `array_type`."""
    _registered[array_type] = module


def array_module(x: Any) -> Any:
    """Return the array library that `x` belongs to: `numpy`, `cupy` or a registered one.

    Raises TypeError if `x` is not an array.
    """
    if isinstance(x, (np.ndarray, np.generic)):
        return np
    for array_type, module in _registered.items():
        if isinstance(x, array_type):
            return module
    cupy = sys.modules.get("cupy")  # not imported: x can't be a CuPy array
    if cupy is not None and isinstance(x, cupy.ndarray):
        return cupy
    raise TypeError(f"expected an array, got {described(x)}")


def is_array(x: Any) -> bool:
    """Return True if `array_module` accepts `x`."""
    try:
        array_module(x)
    except TypeError:
        return False
    return True


def to_numpy(x: Any) -> np.ndarray:
    """Copy an array to the host, which waits for the device; a NumPy array is returned without a copy."""
    if isinstance(x, (np.ndarray, np.generic)):
        return np.asarray(x)
    return x.get()


@dataclass(frozen=True)
class Device:
    """A device that holds arrays: its name, such as `"cpu"` or `"cuda:1"`, and its array library."""

    name: str
    xp: Any

    def array(self, x: Any, dtype: Any = None) -> Any:
        """Copy an array from the host, or from this device, to this device."""
        if isinstance(x, (np.ndarray, np.generic)) or not hasattr(x, "get"):
            return self.xp.array(x, dtype=dtype)
        return self.xp.array(x if array_module(x) is self.xp else x.get(), dtype=dtype)

    def rng(self, seed: Any) -> Any:
        """Return a random generator that draws on this device. `seed`: an int, or a list such as [seed, step].

        Each training step creates one, which takes about 10 µs on a CPU. On CUDA it is Philox (Salmon et al. 2011) with
        `STREAMS` parallel streams, whose state is a key and a counter. By its source, CuPy 14 creates it by writing
        4 MiB (64 bytes per stream) and launching one cheap kernel, without synchronization; `minigan selftest` measures
        the time. CuPy's default generator, XORWOW, would skip 2^67 numbers per stream, and its number of streams, and
        with it the random numbers, depends on the GPU. CuPy hashes the seed to 32 bits: among 100,000 steps, two are
        likely to have the same random numbers.
        """
        if self.name.startswith("cuda"):
            return self.xp.random.Generator(self.xp.random.Philox4x3210(seed, size=STREAMS))
        return self.xp.random.default_rng(seed)

    def synchronize(self) -> None:
        """Wait until the device has finished all its work (for timing)."""
        if self.name.startswith("cuda"):
            self.xp.cuda.get_current_stream().synchronize()

    @property
    def tf32(self) -> bool:
        """True if products of float32 matrices use TF32, which rounds the factors to 10 bits of mantissa.

        It is several times as fast, only on NVIDIA GPUs from 2020 on. CUPY_TF32=1 in the environment enables it.
        """
        return self.name.startswith("cuda") and self.xp._core.get_compute_type(np.dtype("f")) == TF32

    def allow_tf32(self, allowed: bool) -> None:
        """Enable or disable TF32 for products of float32 matrices. Raises DeviceError if the device doesn't have it."""
        if self.name.startswith("cuda"):
            self.xp._core.set_compute_type(np.dtype("f"), TF32 if allowed else CUBLAS_DEFAULT)
        if allowed and not self.tf32:
            raise DeviceError(f"device {self} has no TF32: use an NVIDIA GPU from 2020 or later")

    def __str__(self) -> str:
        return self.name


CPU = Device("cpu", np)


def keep_freed_memory() -> None:
    """Make glibc keep freed memory for later arrays. Does nothing with other C libraries.

    A training step allocates and frees the same large arrays again and again. By default glibc returns each to the
    kernel, which zeroes the pages of the next one: a fifth of the time of a DCGAN step. Afterwards the memory of the
    process never shrinks, so a program such as `minigan train` calls this, not an import.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # no glibc: macOS, Windows, musl
        return
    M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
    mallopt(M_MMAP_MAX, 0)  # allocate large arrays on the heap, too
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)  # keep up to 2 GiB of free heap


def get_device(name: str | Device = "cpu") -> Device:
    """Return the `Device` named `"cpu"`, `"cuda"` or `"cuda:1"`; a CUDA device becomes the current one.

    Raises DeviceError, which says what to install, if it isn't available.
    """
    if isinstance(name, Device):
        return name
    if name == "cpu":
        return CPU
    kind, _, number = name.partition(":")
    if kind == "mps":
        raise DeviceError(
            f"device {name} is an Apple GPU, and minigan uses processors, with NumPy, or NVIDIA GPUs, with CuPy: give "
            "`device` cpu"
        )
    if kind != "cuda" or not (number.isdecimal() or name == "cuda"):
        raise DeviceError(f"unknown device {name!r}: use cpu, cuda or cuda:N")
    try:
        import cupy
    except ImportError as error:
        raise DeviceError(
            f"device {name} needs CuPy: in minigan's folder, pip install '.[cuda12]' or '.[cuda13]', by your driver"
        ) from error
    index = int(number or 0)
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError:
        count = 0
    if index >= count:
        found = f"only {count} found" if count else "no NVIDIA GPU or driver found"
        raise DeviceError(f"device {name} is not available ({found}): check nvidia-smi, or give `device` cpu")
    cupy.cuda.Device(index).use()
    return Device(f"cuda:{index}", cupy)
