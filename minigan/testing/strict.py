"""A strict stand-in for a GPU: it finds, on a machine without one, code that would fail or be slow there.

`STRICT` is a `Device` like `cuda`. Its arrays live in host memory, but are as strict as CuPy's, or stricter:

* Operators, functions, indexing and assignment reject NumPy arrays and lists. `np.exp(d)` is an error: write
  `xp.exp(d)`.
* Implicit copies to the host are errors: `float(d)`, `bool(d)`, `np.asarray(d)` and a loop over d raise `HiddenCopy`,
  because on a GPU each would wait for the device. Use `d.get()`; `forbid_transfers` forbids even that.
* Implicit copies on the device are errors: `xp.maximum(x[rows], y[rows], out=y[rows])` slices y twice, and CuPy copies
  the first slice, because writing to the second might overwrite it.
* `xp`, its arrays and its generators offer only functions and arguments that NumPy and CuPy share (`cupy_subset`).

    layer.to(STRICT)
    with forbid_transfers():
        y, cache = layer.forward(STRICT.array(x))
"""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from minigan.backend import CPU, Device, get_device, register_array_module
from minigan.errors import DeviceError
from minigan.testing import cupy_subset
from minigan.testing.cupy_subset import positions, signature
from minigan.testing.device_array import DeviceArray, check_overlap, host_value, operand, to_device, unwrapped
from minigan.testing.transfers import HiddenCopy, transfers

GENERATOR_BYTES = 256  # size of the serialized generator state, padded: more than it ever needs


def _argument(name: str, value: Any) -> Any:
    """Convert one argument for NumPy, by the kind of its name in `cupy_subset`. Raises TypeError where CuPy would."""
    if value is None:
        return None
    if name in cupy_subset.SEQUENCES:
        return tuple(map(unwrapped, value))
    return (unwrapped if name in cupy_subset.ARRAYS else operand if name in cupy_subset.OPERANDS else host_value)(value)


def _strict(function: Callable, name: str, arguments: str) -> Callable:
    """Wrap a NumPy function to take and return device arrays, and only the arguments listed in `cupy_subset`."""
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
            check_overlap(given, out)
        host = [_argument(*one) for one in given]
        result = function(*host[: len(args)], **dict(zip(kwargs, host[len(args) :], strict=True)))
        if isinstance(result, tuple):
            raise HiddenCopy(f"the size of what {name} returns is known only when the device is done")
        arrays = [a for a in host if isinstance(a, np.ndarray)] if isinstance(result, np.ndarray) else []
        view = any(np.may_share_memory(a, result) for a in arrays)
        transfers.launches += out is not None or not (view or name in ("empty", "empty_like"))
        return out if out is not None else to_device(result)

    on_device.__name__ = name
    return on_device


class Generator:
    """A random generator that draws device arrays, with the methods that NumPy's and CuPy's generators share.

    As in CuPy, its state is a device array of bytes: writing to that array sets the next draws.
    """

    def __init__(self, seed: Any = None) -> None:
        self._rng = np.random.default_rng(seed)
        self.bit_generator = SimpleNamespace(_state=DeviceArray(self._bytes()))
        for name, arguments in cupy_subset.DRAWS.items():
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
    constants = {name: getattr(np, name) for name in cupy_subset.CONSTANTS.split()}
    ufuncs = dict.fromkeys(cupy_subset.UFUNCS.split(), cupy_subset.UFUNC_ARGUMENTS)
    functions = {
        name: _strict(getattr(np, name), name, arguments)
        for name, arguments in (cupy_subset.FUNCTIONS | ufuncs).items()
    }
    xp = SimpleNamespace(__name__="strict", ndarray=DeviceArray, **constants, **functions)
    xp.array = lambda obj, dtype=None, copy=True: DeviceArray(np.array(_uploaded(obj), dtype=dtype, copy=copy or None))
    xp.asarray = lambda a, dtype=None: DeviceArray(np.asarray(_uploaded(a), dtype=dtype))
    xp.asnumpy = lambda a: a.get()
    xp.random = SimpleNamespace(default_rng=Generator, Generator=Generator)
    xp.linalg = SimpleNamespace(norm=_strict(np.linalg.norm, "norm", "x ord axis keepdims"))
    as_strided = _strict(np.lib.stride_tricks.as_strided, "as_strided", "x shape strides")
    xp.lib = SimpleNamespace(stride_tricks=SimpleNamespace(as_strided=as_strided))
    return xp


def _uploaded(a: Any) -> Any:
    """Return an argument of `xp.array` as NumPy data; anything but a device array counts as a copy to the device."""
    if isinstance(a, DeviceArray):
        return a._host
    transfers.to_device += 1
    return a


for _name, _arguments in cupy_subset.METHODS.items():
    setattr(DeviceArray, _name, _strict(getattr(np.ndarray, _name), _name, f"self {_arguments}"))
strict = _namespace()
STRICT = Device("strict", strict)
register_array_module(DeviceArray, strict)


def devices_under_test() -> list[Device]:
    """Return the host, the strict stand-in, and a CUDA device if there is one."""
    try:
        return [CPU, STRICT, get_device("cuda")]
    except DeviceError:
        return [CPU, STRICT]
