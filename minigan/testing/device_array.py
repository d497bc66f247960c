"""An array type that rejects whatever would fail or implicitly copy on a GPU. `minigan.testing.strict` adds `xp`."""

from __future__ import annotations

import operator
from collections.abc import Callable
from operator import attrgetter
from types import SimpleNamespace
from typing import Any

import numpy as np

from minigan.testing.cupy_subset import COMPARISONS, OPERATORS
from minigan.testing.transfers import ForbiddenTransfer, HiddenCopy, transfers

ATTRIBUTES = ("dtype", "shape", "ndim", "size", "nbytes", "itemsize", "strides")
FLAGS = ("c_contiguous", "f_contiguous", "owndata")


class DeviceArray:
    """A NumPy array behind CuPy's interface, so that only device code can use it. Make one with `STRICT.array(x)`."""

    __array_ufunc__ = None  # NumPy's operators defer to those defined here, and np.exp(d) raises TypeError

    def __init__(self, host: np.ndarray) -> None:
        self._host = host

    def get(self) -> np.ndarray:
        """Return a copy on the host, counted in `transfers`."""
        if transfers.forbidden:
            raise ForbiddenTransfer("get() copies to the host and waits for the device: not inside a step")
        transfers.to_host += 1
        return self._host.copy()

    def fill(self, value: Any) -> None:
        """Set every entry to a number."""
        self._host.fill(operand(value))
        transfers.launches += 1

    dtype, shape, ndim, size, nbytes, itemsize, strides = (property(attrgetter(f"_host.{name}")) for name in ATTRIBUTES)
    flags = property(lambda self: SimpleNamespace(**{name: getattr(self._host.flags, name) for name in FLAGS}))
    T = property(lambda self: DeviceArray(self._host.T))

    def __len__(self) -> int:
        return len(self._host)

    def __getitem__(self, key: Any) -> DeviceArray:
        return to_device(self._host[_index(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        target, value = self._host[_index(key)], operand(value)
        self._host[_index(key)] = value
        itself = isinstance(value, np.ndarray) and _memory(value) == _memory(target)  # d[i] += 1 ends with d[i] = d[i]
        transfers.launches += bool(np.size(target)) and not itself

    def __deepcopy__(self, memo: dict) -> DeviceArray:
        return DeviceArray(self._host.copy())

    def __repr__(self) -> str:
        return f"DeviceArray({self.shape}, {self.dtype})"

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        raise TypeError(f"numpy.{function.__name__} of a device array: use the function of array_module(x)")

    def _hidden(self, *args: Any, **kwargs: Any) -> Any:
        raise HiddenCopy("this copies a device array to the host and waits for it: say so, with to_numpy(x)")

    __array__ = __bool__ = __float__ = __int__ = __index__ = __iter__ = __contains__ = __format__ = _hidden
    item = tolist = tobytes = _hidden
    __hash__ = None


def to_device(result: Any) -> Any:
    """Wrap NumPy's result in a DeviceArray; a scalar becomes a 0-d array, as in CuPy."""
    if isinstance(result, (np.ndarray, np.generic)):
        return DeviceArray(np.asarray(result))
    return result


def operand(value: Any) -> Any:
    """Unwrap a device array for NumPy, and pass numbers through. Raises TypeError for a NumPy array or a list."""
    if isinstance(value, DeviceArray):
        return value._host
    if isinstance(value, (np.ndarray, list, tuple)):
        raise TypeError(f"{_kind(value)} meets a device array: move it with device.array(x)")
    return value


def unwrapped(value: Any) -> np.ndarray:
    """Unwrap a device array. Raises TypeError for anything else."""
    if not isinstance(value, DeviceArray):
        raise TypeError(f"expected a device array, got {_kind(value)}: make one with device.array(x)")
    return value._host


def host_value(value: Any) -> Any:
    """Return a shape, axis, dtype or length, which CuPy needs on the host. Raises TypeError for an array."""
    if isinstance(value, DeviceArray):
        raise HiddenCopy("a number that is needed on the host is on the device: waiting for it takes long")
    if isinstance(value, np.ndarray):
        raise TypeError("a NumPy array was given where CuPy wants numbers")
    if isinstance(value, (tuple, list)):
        return type(value)(map(host_value, value))
    return value


def check_overlap(inputs: list[tuple[str, Any]], out: Any) -> None:
    """Raise HiddenCopy if an input shares memory with `out` without being `out` itself: CuPy would copy that input."""
    for name, value in inputs:
        if isinstance(value, DeviceArray) and value is not out and np.may_share_memory(value._host, unwrapped(out)):
            raise HiddenCopy(f"{name} and out share memory, so CuPy copies {name}: bind the slice to a name")


def _memory(a: Any) -> tuple:
    """Return the address, shape and strides of an array: equal for two views of the same numbers."""
    a = np.asarray(a)
    return a.__array_interface__["data"], a.shape, a.strides


def _kind(value: Any) -> str:
    return "a NumPy array" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"


def _index(key: Any) -> Any:
    """Unwrap an index. Raises TypeError for NumPy arrays and lists, and for boolean masks, whose count needs a sync."""
    for part in key if isinstance(key, tuple) else (key,):
        if isinstance(part, (np.ndarray, list)):
            raise TypeError("index a device array with numbers, slices or device arrays")
        if isinstance(part, DeviceArray) and part.dtype == bool:
            raise HiddenCopy("a boolean mask waits for the device to know how many it selects: use xp.where")
    return tuple(map(operand, key)) if isinstance(key, tuple) else operand(key)


def _add_operators() -> None:
    def unary(function: Callable) -> Callable:
        def method(self: DeviceArray) -> DeviceArray:
            transfers.launches += 1
            return to_device(function(self._host))

        return method

    def binary(function: Callable, swapped: bool = False) -> Callable:
        def method(self: DeviceArray, other: Any) -> DeviceArray:
            pair = (operand(other), self._host) if swapped else (self._host, operand(other))
            transfers.launches += 1
            return to_device(function(*pair))

        return method

    def in_place(function: Callable) -> Callable:
        def method(self: DeviceArray, other: Any) -> DeviceArray:
            check_overlap([("the right side", other)], self)
            transfers.launches += 1
            self._host = function(self._host, operand(other))  # NumPy writes into the array and returns it
            return self

        return method

    for name in ("neg", "invert", "abs"):
        setattr(DeviceArray, f"__{name}__", unary(getattr(operator, name)))
    for name in OPERATORS.split():
        function = getattr(operator, name + "_" if name in ("and", "or") else name)
        setattr(DeviceArray, f"__{name}__", binary(function))
        setattr(DeviceArray, f"__r{name}__", binary(function, swapped=True))
        setattr(DeviceArray, f"__i{name}__", in_place(getattr(operator, "i" + name)))
    for name in COMPARISONS.split():
        setattr(DeviceArray, f"__{name}__", binary(getattr(operator, name)))


_add_operators()
