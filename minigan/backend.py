"""The array library behind an array, devices, and random numbers.

There is no global switch. A layer asks `xp = array_module(x)` and uses `xp` as if it were NumPy; on an NVIDIA GPU it is
CuPy, which has the same functions. A `Device` is needed only where arrays are born: loading data, drawing noise,
placing parameters.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from minigan.errors import DeviceError, described

CUBLAS_DEFAULT, TF32 = 1, 7  # CuPy's numbers for ways to multiply matrices
STREAMS = 1 << 16  # of random numbers on CUDA, one for each thread that draws; another number gives other draws

# Array libraries beyond NumPy and CuPy, as {array type: module}. The strict stand-in of `minigan.testing` is one.
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
    cupy = sys.modules.get("cupy")  # an array of CuPy can only exist if CuPy has been imported
    if cupy is not None and isinstance(x, cupy.ndarray):
        return cupy
    raise TypeError(f"expected an array, got {described(x)}")


def is_array(x: Any) -> bool:
    """Whether `array_module` knows the array library of `x`."""
    try:
        array_module(x)
    except TypeError:
        return False
    return True


def to_numpy(x: Any) -> np.ndarray:
    """Bring an array to the host; there already, it is returned as it is. This waits for the device."""
    if isinstance(x, (np.ndarray, np.generic)):
        return np.asarray(x)
    return x.get()  # CuPy's name for it


@dataclass(frozen=True)
class Device:
    """A place where arrays live: a name such as `"cpu"` or `"cuda:1"`, and its array library."""

    name: str
    xp: Any

    def array(self, x: Any, dtype: Any = None) -> Any:
        """Copy an array of the host, or of this device, to this device."""
        if isinstance(x, (np.ndarray, np.generic)) or not hasattr(x, "get"):
            return self.xp.array(x, dtype=dtype)
        return self.xp.array(x if array_module(x) is self.xp else x.get(), dtype=dtype)

    def rng(self, seed: Any) -> Any:
        """Make a random generator whose numbers are born on this device. `seed`: an int, or several, [seed, step].

        A training step has one of its own. On a CPU making it takes some 10 µs. On CUDA it is one of `STREAMS` streams
        of Philox (Salmon et al. 2011), whose state is a key and a counter. CuPy 14 makes it by filling 64 bytes for
        each stream with zeros and starting one kernel, which computes no more than a counter: by its source, 4 MiB of
        writing, and nothing that waits. (Its default, XORWOW, would have to jump ahead by 2^67 numbers for each
        stream, and has as many streams as fit the card, so that another card draws other numbers.) `minigan selftest`
        measures it. CuPy hashes the seed to 32 bits: of a run of 100,000 steps, two are likely to draw the same.
        """
        if self.name.startswith("cuda"):
            return self.xp.random.Generator(self.xp.random.Philox4x3210(seed, size=STREAMS))
        return self.xp.random.default_rng(seed)

    def synchronize(self) -> None:
        """Wait until everything that was asked of the device is done (for timing)."""
        if self.name.startswith("cuda"):
            self.xp.cuda.get_current_stream().synchronize()

    @property
    def tf32(self) -> bool:
        """Whether products of float32 matrices round their factors to 10 bits, as CUPY_TF32=1 lets them from the start.

        On an NVIDIA GPU of 2020 or later that is several times as fast. No other device does it.
        """
        return self.name.startswith("cuda") and self.xp._core.get_compute_type(np.dtype("f")) == TF32

    def allow_tf32(self, allowed: bool) -> None:
        """Let products of float32 matrices use TF32 from now on, or don't. Raises DeviceError where there is none."""
        if self.name.startswith("cuda"):
            self.xp._core.set_compute_type(np.dtype("f"), TF32 if allowed else CUBLAS_DEFAULT)
        if allowed and not self.tf32:
            raise DeviceError(f"device {self} has no TF32: that is for NVIDIA GPUs of 2020 or later")

    def __str__(self) -> str:
        return self.name


CPU = Device("cpu", np)


def keep_freed_memory() -> None:
    """Ask the C library to keep freed memory for the next array, where it can be asked (glibc). For whole programs.

    A training step allocates and frees the same large arrays again and again. By default glibc gives each back to the
    system, which must then clear every page anew: a fifth of the time of a DCGAN step. The process's memory no longer
    shrinks before it ends, so this is a decision for a program (`minigan train` makes it), not for an import.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # no glibc: macOS, Windows, musl
        return
    M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
    mallopt(M_MMAP_MAX, 0)  # large arrays come from the heap as well,
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)  # and the heap keeps up to 2 GiB that are free


def get_device(name: str | Device = "cpu") -> Device:
    """Turn `"cpu"`, `"cuda"` or `"cuda:1"` into a `Device`; on CUDA, make it the current one.

    Raises DeviceError, saying what to install, when it isn't there.
    """
    if isinstance(name, Device):
        return name
    if name == "cpu":
        return CPU
    kind, _, number = name.partition(":")
    if kind != "cuda" or not (number.isdecimal() or name == "cuda"):
        raise DeviceError(f"unknown device {name!r}: use cpu, cuda or cuda:N")
    cupy = _import_cupy(name)
    index = int(number or 0)
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError:
        count = 0
    if index >= count:
        found = f"only {count} found" if count else "no NVIDIA GPU or driver found"
        raise DeviceError(f"device {name} is not there ({found}): check nvidia-smi, or give `device` cpu")
    cupy.cuda.Device(index).use()
    return Device(f"cuda:{index}", cupy)


def _import_cupy(device: str) -> ModuleType:
    try:
        import cupy
    except ImportError as error:
        raise DeviceError(
            f"device {device} needs CuPy: in minigan's folder, pip install '.[cuda12]' or '.[cuda13]', by your driver"
        ) from error
    return cupy
