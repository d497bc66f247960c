"""A strict stand-in for a device array, to find on a machine without a GPU what would fail or be slow on one.

`STRICT` is a `Device` as `cuda` is. Its arrays live in ordinary memory, but behave as CuPy's do, or more strictly:

* they refuse to meet NumPy arrays, in any operator, function, index or assignment. `np.exp(d)` is an error: write
  `xp.exp(d)`;
* nothing is copied to the host unasked: `float(d)`, `bool(d)`, `np.asarray(d)` and a loop over d raise `HiddenCopy`.
  On a GPU each of these waits for the device. `d.get()` is the way, and `forbid_transfers` forbids that as well;
* `xp`, its arrays and its generators offer only what NumPy and CuPy both have, with the arguments that both take.

    layer.to(STRICT)
    with forbid_transfers():
        y, cache = layer.forward(STRICT.array(x))
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np

from minigan.backend import CPU, Device, get_device, register_array_module
from minigan.errors import DeviceError
from minigan.testing.cupy_subset import COMPARISONS, CONSTANTS, DRAWS, FUNCTIONS, METHODS, OPERATORS, UFUNCS

GENERATOR_BYTES = 256  # of a generator's state: more than it ever needs


class HiddenCopy(TypeError):
    """Something that would wait for the device and copy to the host without saying so."""


class ForbiddenTransfer(RuntimeError):
    """`get()` where `forbid_transfers` forbids it."""


class Transfers:
    """How often arrays were copied to the host, and whether that is forbidden at the moment."""

    def __init__(self) -> None:
        self.to_host = 0
        self.forbidden = False


transfers = Transfers()


@contextmanager
def forbid_transfers() -> Iterator[None]:
    """Within this block `get()` raises ForbiddenTransfer. A training step should run in it."""
    before, transfers.forbidden = transfers.forbidden, True
    try:
        yield
    finally:
        transfers.forbidden = before


class DeviceArray:
    """An array that only code for CuPy can use. Make one with `STRICT.array(x)`."""

    __array_ufunc__ = None  # NumPy's operators give way to those here, and np.exp(d) raises TypeError

    def __init__(self, host: np.ndarray) -> None:
        self._host = host

    def get(self) -> np.ndarray:
        """Copy to the host. This is counted in `transfers`."""
        if transfers.forbidden:
            raise ForbiddenTransfer("get() copies to the host and waits for the device: not inside a step")
        transfers.to_host += 1
        return self._host.copy()

    def fill(self, value: Any) -> None:
        """Set every entry to a number."""
        self._host.fill(_to_host(value))

    dtype = property(lambda self: self._host.dtype)
    shape = property(lambda self: self._host.shape)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    nbytes = property(lambda self: self._host.nbytes)
    itemsize = property(lambda self: self._host.itemsize)
    strides = property(lambda self: self._host.strides)
    flags = property(lambda self: self._host.flags)
    T = property(lambda self: DeviceArray(self._host.T))

    def __len__(self) -> int:
        return len(self._host)

    def __getitem__(self, key: Any) -> DeviceArray:
        return _to_device(self._host[_index(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._host[_index(key)] = _to_host(value)

    def __deepcopy__(self, memo: dict) -> DeviceArray:
        return DeviceArray(self._host.copy())

    def __neg__(self) -> DeviceArray:
        return _to_device(-self._host)

    def __invert__(self) -> DeviceArray:
        return _to_device(~self._host)

    def __abs__(self) -> DeviceArray:
        return _to_device(abs(self._host))

    def __repr__(self) -> str:
        return f"DeviceArray({self.shape}, {self.dtype})"

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        raise TypeError(f"numpy.{function.__name__} of a device array: use the function of array_module(x)")

    def _hidden(self, *args: Any, **kwargs: Any) -> Any:
        raise HiddenCopy("this copies a device array to the host and waits for it: say so, with to_numpy(x)")

    __array__ = __bool__ = __float__ = __int__ = __index__ = __iter__ = __contains__ = __format__ = _hidden
    item = tolist = tobytes = _hidden
    __hash__ = None


def _to_device(result: Any) -> Any:
    """Results become device arrays; a single number becomes one without axes, as in CuPy."""
    if isinstance(result, (np.ndarray, np.generic)):
        return DeviceArray(np.asarray(result))
    return result


def _to_host(value: Any) -> Any:
    """What is inside, for NumPy to work on; refuse NumPy arrays, let numbers, shapes and dtypes pass."""
    if isinstance(value, DeviceArray):
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError("a NumPy array meets a device array: move it with device.array(x)")
    if isinstance(value, (tuple, list)):
        return type(value)(map(_to_host, value))
    return value


def _index(key: Any) -> Any:
    """An index without NumPy arrays, lists, or boolean masks: the size of what a mask selects needs the host."""
    for part in key if isinstance(key, tuple) else (key,):
        if isinstance(part, (np.ndarray, list)):
            raise TypeError("index a device array with numbers, slices or device arrays")
        if isinstance(part, DeviceArray) and part.dtype == bool:
            raise HiddenCopy("a boolean mask waits for the device to know how many it selects: use xp.where")
    return _to_host(key)


def _strict(function: Callable, name: str, arguments: str | None) -> Callable:
    """`function` on device arrays, with no arguments but those in `arguments` (None: any)."""

    def on_device(*args: Any, **kwargs: Any) -> Any:
        known = None if arguments is None else arguments.split()
        if known is not None and (len(args) > len(known) or kwargs.keys() - set(known)):
            given = ", ".join(["…"] * len(args) + list(kwargs))
            raise TypeError(f"NumPy and CuPy both have {name}({', '.join(known)}), but not {name}({given})")
        result = function(*map(_to_host, args), **{k: _to_host(v) for k, v in kwargs.items()})
        if isinstance(result, tuple):
            raise HiddenCopy(f"the size of what {name} returns is known only when the device is done")
        return kwargs["out"] if kwargs.get("out") is not None else _to_device(result)

    on_device.__name__ = name
    return on_device


def _add_operators() -> None:
    def binary(function: Callable, swapped: bool) -> Callable:
        def method(self: DeviceArray, other: Any) -> DeviceArray:
            pair = (_to_host(other), self._host) if swapped else (self._host, _to_host(other))
            return _to_device(function(*pair))

        return method

    def in_place(function: Callable) -> Callable:
        def method(self: DeviceArray, other: Any) -> DeviceArray:
            self._host = function(self._host, _to_host(other))  # NumPy writes into the array and returns it
            return self

        return method

    for name in OPERATORS.split():
        function = getattr(operator, name + "_" if name in ("and", "or") else name)
        setattr(DeviceArray, f"__{name}__", binary(function, False))
        setattr(DeviceArray, f"__r{name}__", binary(function, True))
        setattr(DeviceArray, f"__i{name}__", in_place(getattr(operator, "i" + name)))
    for name in COMPARISONS.split():
        setattr(DeviceArray, f"__{name}__", binary(getattr(operator, name), False))
    for name, arguments in METHODS.items():
        method = _strict(getattr(np.ndarray, name), name, arguments and "self " + arguments)
        setattr(DeviceArray, name, method)


class Generator:
    """Random numbers born on the device: what NumPy's and CuPy's generators have in common.

    As in CuPy its state is the bytes of an array on the device: whoever writes into them decides what is drawn next.
    """

    def __init__(self, seed: Any = None) -> None:
        self._rng = np.random.default_rng(seed)
        self.bit_generator = SimpleNamespace(_state=DeviceArray(self._bytes()))
        for name, arguments in DRAWS.items():
            setattr(self, name, self._from_state(_strict(getattr(self._rng, name), name, arguments)))

    def _bytes(self) -> np.ndarray:
        return np.frombuffer(json.dumps(self._rng.bit_generator.state).ljust(GENERATOR_BYTES).encode(), np.int8).copy()

    def _from_state(self, draw: Callable) -> Callable:
        def drawn(*args: Any, **kwargs: Any) -> Any:
            state = self.bit_generator._state._host
            self._rng.bit_generator.state = json.loads(state.tobytes())
            result = draw(*args, **kwargs)
            state[...] = self._bytes()
            return result

        return drawn


def _namespace() -> SimpleNamespace:
    xp = SimpleNamespace(
        __name__="strict", ndarray=DeviceArray, **{name: getattr(np, name) for name in CONSTANTS.split()}
    )
    for name, arguments in FUNCTIONS.items():
        setattr(xp, name, _strict(getattr(np, name), name, arguments))
    for name in UFUNCS.split():
        setattr(xp, name, _strict(getattr(np, name), name, "x1 x2 out dtype"))
    xp.array = lambda obj, dtype=None, copy=True: DeviceArray(np.array(_from_host(obj), dtype=dtype, copy=copy or None))
    xp.asarray = lambda a, dtype=None: DeviceArray(np.asarray(_from_host(a), dtype=dtype))
    xp.asnumpy = lambda a: a.get()
    xp.random = SimpleNamespace(default_rng=Generator, Generator=Generator)
    xp.linalg = SimpleNamespace(norm=_strict(np.linalg.norm, "norm", "x ord axis keepdims"))
    as_strided = _strict(np.lib.stride_tricks.as_strided, "as_strided", "x shape strides")
    xp.lib = SimpleNamespace(stride_tricks=SimpleNamespace(as_strided=as_strided))
    return xp


def _from_host(a: Any) -> Any:
    """`array` and `asarray` are the way in: they take NumPy arrays, lists and device arrays."""
    return a._host if isinstance(a, DeviceArray) else a


_add_operators()
strict = _namespace()
STRICT = Device("strict", strict)
register_array_module(DeviceArray, strict)


def devices_under_test() -> list[Device]:
    """The host, the strict stand-in, and a CUDA device if there is one."""
    try:
        return [CPU, STRICT, get_device("cuda")]
    except DeviceError:
        return [CPU, STRICT]
