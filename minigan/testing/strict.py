"""A strict stand-in for a device array, to find on a machine without a GPU what would fail or be slow on one.

`STRICT` is a `Device` as `cuda` is. Its arrays live in ordinary memory, but behave as CuPy's do, or more strictly:

* they refuse to meet NumPy arrays or lists, in any operator, function, index or assignment. `np.exp(d)` is an error:
  write `xp.exp(d)`;
* nothing is copied to the host unasked: `float(d)`, `bool(d)`, `np.asarray(d)` and a loop over d raise `HiddenCopy`.
  On a GPU each of these waits for the device. `d.get()` is the way, and `forbid_transfers` forbids that as well;
* nothing is copied on the device unasked: `xp.maximum(x[rows], y[rows], out=y[rows])` takes the slice y[rows] twice,
  and CuPy makes a copy of the first because the second might overwrite it;
* `xp`, its arrays and its generators offer only what NumPy and CuPy both have, with the arguments that both take.

    layer.to(STRICT)
    with forbid_transfers():
        y, cache = layer.forward(STRICT.array(x))
"""

from __future__ import annotations

import json
import operator
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np

from minigan.backend import CPU, Device, get_device, register_array_module
from minigan.errors import DeviceError
from minigan.testing.cupy_subset import (
    ARRAYS,
    COMPARISONS,
    CONSTANTS,
    DRAWS,
    FUNCTIONS,
    METHODS,
    OPERANDS,
    OPERATORS,
    SEQUENCES,
    UFUNC_ARGUMENTS,
    UFUNCS,
    positions,
    signature,
)

FLAGS = ("c_contiguous", "f_contiguous", "owndata")
GENERATOR_BYTES = 256  # of a generator's state: more than it ever needs


class HiddenCopy(TypeError):
    """Something that would copy an array, to the host or on the device, without saying so."""


class ForbiddenTransfer(RuntimeError):
    """`get()` where `forbid_transfers` forbids it."""


class Transfers:
    """How often arrays were copied to the host and to the device, and whether the former is forbidden at the moment.

    `launches` counts what the device was asked to do: whatever writes numbers, and not what makes a view. CuPy launches
    at least one kernel for each, which costs some microseconds of the host's time.
    """

    def __init__(self) -> None:
        self.to_host = self.to_device = self.launches = 0
        self.forbidden = False


transfers = Transfers()


@contextmanager
def forbid_transfers() -> Iterator[None]:
    """Within this block `get()` raises ForbiddenTransfer, and whatever else waits for a GPU. A step should run in it.

    Copies to the device are allowed: a step gets its batch from the host, and nothing waits for it.
    """
    before, transfers.forbidden = transfers.forbidden, True
    try:
        with _cupy_without_waiting() if "cupy" in sys.modules else nullcontext():
            yield
    finally:
        transfers.forbidden = before


@contextmanager
def _cupy_without_waiting() -> Iterator[None]:
    """CuPy itself notices where it waits; it calls that unreliable and warns, because others may wait as well."""
    import cupyx

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        allowing = cupyx.allow_synchronize(False)
        allowing.__enter__()
    try:
        yield
    except cupyx.DeviceSynchronized as error:
        raise ForbiddenTransfer("this waits for the device: not inside a step") from error
    finally:
        allowing.__exit__(None, None, None)


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
        self._host.fill(_operand(value))
        transfers.launches += 1

    dtype = property(lambda self: self._host.dtype)
    shape = property(lambda self: self._host.shape)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    nbytes = property(lambda self: self._host.nbytes)
    itemsize = property(lambda self: self._host.itemsize)
    strides = property(lambda self: self._host.strides)
    flags = property(lambda self: SimpleNamespace(**{name: getattr(self._host.flags, name) for name in FLAGS}))
    T = property(lambda self: DeviceArray(self._host.T))

    def __len__(self) -> int:
        return len(self._host)

    def __getitem__(self, key: Any) -> DeviceArray:
        return _to_device(self._host[_index(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        target, value = self._host[_index(key)], _operand(value)
        self._host[_index(key)] = value
        itself = isinstance(value, np.ndarray) and _place(value) == _place(target)  # d[i] += 1 ends with d[i] = d[i]
        transfers.launches += bool(np.size(target)) and not itself

    def __deepcopy__(self, memo: dict) -> DeviceArray:
        return DeviceArray(self._host.copy())

    def __neg__(self) -> DeviceArray:
        transfers.launches += 1
        return _to_device(-self._host)

    def __invert__(self) -> DeviceArray:
        transfers.launches += 1
        return _to_device(~self._host)

    def __abs__(self) -> DeviceArray:
        transfers.launches += 1
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


def _operand(value: Any) -> Any:
    """What is inside of an array, for NumPy to work on; numbers pass."""
    if isinstance(value, DeviceArray):
        return value._host
    if isinstance(value, (np.ndarray, list, tuple)):
        raise TypeError(f"{_what(value)} meets a device array: move it with device.array(x)")
    return value


def _array(value: Any) -> np.ndarray:
    """What is inside of an array."""
    if not isinstance(value, DeviceArray):
        raise TypeError(f"expected a device array, got {_what(value)}: make one with device.array(x)")
    return value._host


def _place(a: Any) -> tuple:
    """Which numbers in memory an array is made of."""
    a = np.asarray(a)
    return a.__array_interface__["data"], a.shape, a.strides


def _needed_on_host(value: Any) -> Any:
    """A shape, an axis, a dtype, a length or an index's part."""
    if isinstance(value, DeviceArray):
        raise HiddenCopy("a number that is needed on the host is on the device: waiting for it takes long")
    if isinstance(value, np.ndarray):
        raise TypeError("a NumPy array stands where CuPy wants numbers")
    if isinstance(value, (tuple, list)):
        return type(value)(map(_needed_on_host, value))
    return value


def _what(value: Any) -> str:
    return "a NumPy array" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"


def _argument(name: str, value: Any) -> Any:
    """An argument of a function for NumPy, if CuPy takes it; see cupy_subset.py."""
    if value is None:
        return None
    if name in SEQUENCES:
        return tuple(map(_array, value))
    return (_array if name in ARRAYS else _operand if name in OPERANDS else _needed_on_host)(value)


def _index(key: Any) -> Any:
    """An index without NumPy arrays, lists, or boolean masks: the size of what a mask selects needs the host."""
    for part in key if isinstance(key, tuple) else (key,):
        if isinstance(part, (np.ndarray, list)):
            raise TypeError("index a device array with numbers, slices or device arrays")
        if isinstance(part, DeviceArray) and part.dtype == bool:
            raise HiddenCopy("a boolean mask waits for the device to know how many it selects: use xp.where")
    return tuple(map(_operand, key)) if isinstance(key, tuple) else _operand(key)


def _strict(function: Callable, name: str, arguments: str) -> Callable:
    """`function` on device arrays, with no arguments but those of an entry in a table."""
    known = signature(arguments)

    def on_device(*args: Any, **kwargs: Any) -> Any:
        try:
            known.bind_partial(*args, **kwargs)
        except TypeError:
            called = ", ".join(["…"] * len(args) + list(kwargs))
            raise TypeError(f"NumPy and CuPy both have {name}{known}, but not {name}({called})") from None
        given = [*zip(positions(known, len(args)), args, strict=True), *kwargs.items()]
        out = dict(given).get("out")
        if out is not None:
            _check_overlap(given, out)
        host = [_argument(*one) for one in given]
        result = function(*host[: len(args)], **dict(zip(kwargs, host[len(args) :], strict=True)))
        if isinstance(result, tuple):
            raise HiddenCopy(f"the size of what {name} returns is known only when the device is done")
        arrays = [a for a in host if isinstance(a, np.ndarray)] if isinstance(result, np.ndarray) else []
        view = any(np.may_share_memory(a, result) for a in arrays)
        transfers.launches += out is not None or not (view or name in ("empty", "empty_like"))
        return out if out is not None else _to_device(result)

    on_device.__name__ = name
    return on_device


def _check_overlap(given: list[tuple[str, Any]], out: Any) -> None:
    """Refuse an input that shares memory with `out` and isn't `out` itself: CuPy copies it."""
    for name, value in given:
        if isinstance(value, DeviceArray) and value is not out and np.may_share_memory(value._host, _array(out)):
            raise HiddenCopy(f"{name} and out share memory, so CuPy copies {name}: bind the slice to a name")


def _add_operators() -> None:
    def binary(function: Callable, swapped: bool) -> Callable:
        def method(self: DeviceArray, other: Any) -> DeviceArray:
            pair = (_operand(other), self._host) if swapped else (self._host, _operand(other))
            transfers.launches += 1
            return _to_device(function(*pair))

        return method

    def in_place(function: Callable) -> Callable:
        def method(self: DeviceArray, other: Any) -> DeviceArray:
            _check_overlap([("the right side", other)], self)
            transfers.launches += 1
            self._host = function(self._host, _operand(other))  # NumPy writes into the array and returns it
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
        method = _strict(getattr(np.ndarray, name), name, f"self {arguments}")
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
        setattr(xp, name, _strict(getattr(np, name), name, UFUNC_ARGUMENTS))
    xp.array = lambda obj, dtype=None, copy=True: DeviceArray(np.array(_taken_in(obj), dtype=dtype, copy=copy or None))
    xp.asarray = lambda a, dtype=None: DeviceArray(np.asarray(_taken_in(a), dtype=dtype))
    xp.asnumpy = lambda a: a.get()
    xp.random = SimpleNamespace(default_rng=Generator, Generator=Generator)
    xp.linalg = SimpleNamespace(norm=_strict(np.linalg.norm, "norm", "x ord axis keepdims"))
    as_strided = _strict(np.lib.stride_tricks.as_strided, "as_strided", "x shape strides")
    xp.lib = SimpleNamespace(stride_tricks=SimpleNamespace(as_strided=as_strided))
    return xp


def _taken_in(a: Any) -> Any:
    """`array` and `asarray` are the way in: they take NumPy arrays, lists and device arrays. The former are counted."""
    if isinstance(a, DeviceArray):
        return a._host
    transfers.to_device += 1
    return a


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
