"""The parameters of a network: arrays on its layers, by name, which are views into one vector.

self.add_parameters(W=array)        in the constructor of a layer: the parameter self.W and its gradient self.dW
network.parameters()                the vector of all parameters and the vector of all gradients: `Parameters`
network.state_dict()                copies of all parameters and running statistics by name, for checkpoints
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from minigan.backend import Device, array_module, get_device, is_array, to_numpy
from minigan.errors import CheckpointError, LayerError, described
from minigan.kernels.elementwise import change_by_rows

Self = TypeVar("Self", bound="Parameterized")


class Parameters:
    """All parameters of a network in one contiguous vector, all gradients in another: an optimizer is then a few lines.

    values: (n,) every parameter, in the order of `walk`.
    grads:  (n,) the gradients, in the same order.

    `network.to` replaces the vectors, so read them from this object each time. The object stays the same.
    """

    def __init__(self, network: Parameterized, parent: Parameters | None = None) -> None:
        self.network = network
        self.parent = parent  # the Parameters of the network that this one is a part of, which calls our `bind`
        if parent is None:
            _check_parameters(network)
            none = np.zeros(0, np.float32)
            pairs = list(self.named().values()) or [(none, none)]
            xp = array_module(pairs[0][0])
            self.bind(*(xp.concatenate([array.ravel() for array in arrays]) for arrays in zip(*pairs, strict=True)))

    def bind(self, values: Any, grads: Any) -> None:
        """Make every parameter of the network a view into `values` (n,) and its gradient a view into `grads` (n,)."""
        self.values, self.grads = values, grads
        start = 0
        for name in self.network.parameter_names:
            shape = getattr(self.network, name).shape
            part = slice(start, start + prod(shape))
            vars(self.network)[name] = values[part].reshape(shape)
            vars(self.network)["d" + name] = grads[part].reshape(shape)
            start = part.stop
        for child in self.network.children().values():
            part = slice(start, start + sum(getattr(layer, name).size for _, layer, name in _parameters(child)))
            if child._vector is None:
                child._vector = Parameters(child, parent=self)
            if child._vector.parent not in (None, self):
                raise LayerError(f"{child!r} is part of another network already: a layer belongs to one")
            child._vector.parent = self
            child._vector.bind(values[part], grads[part])
            start = part.stop

    def zero_grad(self) -> None:
        """Set all gradients to zero."""
        change_by_rows(lambda grads: grads.fill(0), self.grads)

    def named(self) -> dict[str, tuple[Any, Any]]:
        """`{"0.W": (value, gradient), …}`, as views."""
        return {
            prefix + name: (getattr(layer, name), getattr(layer, "d" + name))
            for prefix, layer, name in _parameters(self.network)
        }

    def __len__(self) -> int:
        return self.values.size


class Parameterized:
    """Named parameters, other arrays that persist, and inner layers: the part of `Layer` without mathematics."""

    parameter_names: tuple[str, ...] = ()  # as registered by `add_parameters`
    state_names: tuple[str, ...] = ()  # arrays that are saved and moved with them, such as running statistics
    _vector: Parameters | None = None  # once `parameters()` was called

    def add_parameters(self, **arrays: Any) -> None:
        """Register parameters: `W=array` becomes `self.W`, in float32, with gradient `self.dW`. None means: not there.

        Numbers and lists of them become arrays. To be called in the constructor. Raises LayerError for anything but
        real numbers, for a name that is taken, and after `parameters()`.
        """
        kind = type(self).__name__
        for name, array in arrays.items():
            if self._vector is not None:
                raise LayerError(f"{kind} has its parameters in one vector: register {name} before parameters()")
            if name in self.parameter_names or hasattr(type(self), name) or hasattr(type(self), "d" + name):
                raise LayerError(f"{kind} has an attribute {name} or d{name} already: give the parameter another name")
            vars(self)[name] = None if array is None else _new_parameter(kind, name, array)
            if array is not None:
                vars(self)["d" + name] = array_module(vars(self)[name]).zeros_like(vars(self)[name])
                self.parameter_names = (*self.parameter_names, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Assign; `layer.W = array` and `layer.dW = array` keep shape and dtype, and write into the vector they are in.

        Raises LayerError for an array of another shape, and for an inner layer replaced after `parameters()`.
        """
        current = vars(self).get(name)
        if current is not None and value is not current:
            if name in self.parameter_names or (name[:1] == "d" and name[1:] in self.parameter_names):
                value = _like_parameter(type(self).__name__, name, value, current)
                if self._vector is not None:
                    current[...] = value
                    return
            elif self._vector is not None and self._holds_layers(current):
                found = f"{type(self).__name__} has its parameters in one vector"
                raise LayerError(f"{found}, and those of another {name} wouldn't be in it: make a new network")
        super().__setattr__(name, value)

    if TYPE_CHECKING:  # parameters become attributes by their names, which no type checker can know

        def __getattr__(self, name: str) -> Any: ...

    def _holds_layers(self, value: Any) -> bool:
        inner = {id(layer) for layer in self.children().values()}
        return any(id(layer) in inner for layer in (value if isinstance(value, (tuple, list)) else (value,)))

    def children(self) -> dict[str, Any]:
        """Inner layers by name; empty for a layer that is not a composite."""
        return {}

    def walk(self, prefix: str = "") -> Iterator[tuple[str, Any]]:
        """Yield `(prefix of names, layer)` for this layer and all layers inside, parents first."""
        yield prefix, self
        children = self.children()
        if not isinstance(children, dict) or not all(isinstance(child, Parameterized) for child in children.values()):
            kind = type(self).__name__
            raise LayerError(f'{kind}: children() must return a dict of layers by name, such as {{"body": self.body}}')
        for name, child in children.items():
            yield from child.walk(f"{prefix}{name}.")

    def parameters(self) -> Parameters:
        """All parameters of this layer and the layers inside as one vector, and their gradients as another."""
        if self._vector is None:
            self._vector = Parameters(self)
        return self._vector

    def to(self: Self, device: Device | str | None = None, dtype: Any = None) -> Self:
        """Move parameters and state to a device or another dtype, in place. Make optimizers after it. Returns self.

        Raises LayerError for a layer inside of a network, because only the whole network can move, and for dtypes other
        than float32 and float64.
        """
        if device in ("float32", "float64") or isinstance(device, (type, np.dtype)):
            raise LayerError(f"{device} is no device: write .to(dtype=…)")
        if dtype is not None and np.dtype(dtype) not in (np.float32, np.float64):
            raise LayerError(f"a network computes in float32 or float64, not in {np.dtype(dtype)}")
        vector = self.parameters()
        if vector.parent is not None:
            raise LayerError(f"{self!r} is part of a network, whose parameters are one vector: move the network")
        target = Device("here", array_module(vector.values)) if device is None else get_device(device)
        vector.bind(target.array(vector.values, dtype), target.array(vector.grads, dtype))
        for _, layer in self.walk():
            for name in layer.state_names:
                setattr(layer, name, target.array(layer.state_array(name), dtype))
        return self

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copy every parameter and persistent array to the host, by name: `{"0.W": …, "1.running_mean": …}`."""
        return {name: to_numpy(array).copy() for name, array in self._persistent()}

    def load_state_dict(self, arrays: dict[str, Any]) -> None:
        """Copy named arrays into this network. Raises CheckpointError, with nothing changed, if they don't fit."""
        own = dict(self._persistent())
        lacking, unknown = sorted(own.keys() - arrays.keys()), sorted(arrays.keys() - own.keys())
        if lacking or unknown:
            problem = "the saved state lacks" if lacking else "this network has no place for"
            raise CheckpointError(f"{problem} {', '.join((lacking or unknown)[:3])}: it is of another network")
        for name, array in own.items():
            if np.shape(arrays[name]) != array.shape:
                found = tuple(np.shape(arrays[name]))
                raise CheckpointError(f"{name} has shape {found} in the saved state, {array.shape} in this network")
        for name, array in own.items():
            array[...] = array_module(array).asarray(arrays[name], dtype=array.dtype)

    def _persistent(self) -> Iterator[tuple[str, Any]]:
        for prefix, layer in self.walk():
            for name in layer.parameter_names:
                yield prefix + name, getattr(layer, name)
            for name in layer.state_names:
                yield prefix + name, layer.state_array(name)

    def state_array(self, name: str) -> Any:
        """The array `name`, one of `state_names`. Raises LayerError if there is no such array."""
        array = getattr(self, name, None)
        if not is_array(array):
            comma = ", and a tuple of one name ends in a comma" if isinstance(self.state_names, str) else ""
            found = f"{type(self).__name__} names {name!r} in state_names, but it has no such array"
            raise LayerError(f"{found}: make it one in the constructor, self.{name} = np.zeros(1, np.float32){comma}")
        return array

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles hold: everything but the vector, of which a copy makes its own."""
        return {name: value for name, value in vars(self).items() if name != "_vector"}


def _parameters(network: Parameterized) -> Iterator[tuple[str, Any, str]]:
    """Yield `(prefix of names, layer, name)` for every parameter."""
    for prefix, layer in network.walk():
        for name in layer.parameter_names:
            yield prefix, layer, name


def _check_parameters(network: Parameterized) -> None:
    """Raise LayerError unless no layer occurs twice and all parameters have gradients, one dtype and one device."""
    layers = [id(layer) for _, layer in network.walk()]
    if len(set(layers)) < len(layers):
        raise LayerError(f"a layer stands twice in {network!r}: its parameters can only be in one place of the vector")
    kinds: dict[tuple[type, Any], str] = {}
    for prefix, layer, name in _parameters(network):
        arrays = [vars(layer).get(name), vars(layer).get("d" + name)]
        if not all(is_array(a) and a.dtype.kind == "f" for a in arrays):
            found = f"{type(layer).__name__} names {name} a parameter, but {name} and d{name} are not both float arrays"
            raise LayerError(f"{found}: call self.add_parameters({name}=…) in the constructor")
        for a in arrays:
            kinds.setdefault((type(a), a.dtype), prefix + name)
    if len(kinds) > 1:
        found = " and ".join(f"{name} ({t.__module__} {dtype})" for (t, dtype), name in [*kinds.items()][:2])
        raise LayerError(f"a network has one dtype and one device, got {found}: move its parts with .to() first")


def _new_parameter(kind: str, name: str, array: Any) -> Any:
    """A float32 copy of what a layer of that kind registers. Raises LayerError for anything but real numbers."""
    if isinstance(array, (list, tuple, int, float)) and not isinstance(array, bool):
        try:
            array = np.array(array)
        except ValueError:  # rows of different lengths
            raise LayerError(f"{kind}: the lists in parameter {name} differ in length: give an array") from None
    if not is_array(array):
        raise LayerError(f"{kind}: parameter {name} must be an array of numbers, got {described(array)}")
    if not array.size:
        raise LayerError(f"{kind}: parameter {name} has shape {tuple(array.shape)}: there is nothing in it to learn")
    if array.dtype.kind not in "fiu":
        raise LayerError(f"{kind}: parameter {name} is {array.dtype}: give real numbers, which can be learned")
    return array_module(array).array(array, dtype=np.float32)


def _like_parameter(kind: str, name: str, value: Any, parameter: Any) -> Any:
    """A copy of an assigned value in the dtype and on the device of the parameter. LayerError if it doesn't fit."""
    shape = tuple(parameter.shape)
    if not is_array(value) or value.dtype.kind not in "fiu":
        got = f"one of {value.dtype}" if is_array(value) else described(value)
        raise LayerError(f"{kind}: only an array of numbers of shape {shape} can be assigned to {name}, got {got}")
    if tuple(value.shape) != shape:
        found = f"{name} has shape {shape}, so an array of shape {tuple(value.shape)} can't be assigned to it"
        raise LayerError(f"{kind}: {found}: give one of its shape, or write {name}[...] = …")
    return Device("here", array_module(parameter)).array(value, parameter.dtype)
