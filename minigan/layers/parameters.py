"""All parameters of a network in one contiguous vector, all gradients in another.

An optimiser is then a few lines over one vector, and so are weight averaging, clipping, filling gradients with zeros,
and adding up the gradients of several devices. The layers keep reading `self.W` and adding to `self.dW`: these are
views into the two vectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from minigan.backend import Device, array_module, is_array
from minigan.errors import LayerError, described
from minigan.threads import over_rows

if TYPE_CHECKING:
    from minigan.layers.base import Layer


class Parameters:
    """The flat view of a network.

    values: (P,) every parameter, in the order of `Layer.walk`.
    grads:  (P,) the gradients, in the same order.

    The vectors may be replaced (`bind`, by `Layer.to`), so read them afresh from this object, which stays the same.
    """

    whole: Parameters | None = None  # the parameters of the network that this one is a part of

    def __init__(self, network: Layer) -> None:
        self.network = network
        layers = [id(layer) for _, layer in network.walk()]
        if len(set(layers)) < len(layers):
            raise LayerError(
                f"a layer stands twice in {network!r}: its parameters can only be in one place of the vector"
            )
        self._check()
        arrays = [(getattr(layer, name), getattr(layer, "d" + name)) for layer, name in _own_and_inner(network)]
        if not arrays:  # a network without parameters, an activation for instance
            self.bind(np.zeros(0, np.float32), np.zeros(0, np.float32))
            return
        xp = array_module(arrays[0][0])
        self.bind(xp.concatenate([v.ravel() for v, _ in arrays]), xp.concatenate([g.ravel() for _, g in arrays]))

    def bind(self, values: Any, grads: Any) -> None:
        """Make every parameter of the network a view into `values` (P,) and its gradient one into `grads` (P,)."""
        self.values, self.grads = values, grads
        start = 0
        for name in self.network.parameter_names:
            shape = getattr(self.network, name).shape
            stop = start + prod(shape)
            vars(self.network)[name] = values[start:stop].reshape(shape)
            vars(self.network)["d" + name] = grads[start:stop].reshape(shape)
            start = stop
        for child in self.network.children().values():
            stop = start + sum(getattr(layer, name).size for layer, name in _own_and_inner(child))
            if child._parameters is None:
                child._parameters = Parameters.__new__(Parameters)
                child._parameters.network = child
            if child._parameters.whole not in (None, self):
                raise LayerError(f"{child!r} is part of another network already: a layer belongs to one")
            child._parameters.whole = self
            child._parameters.bind(values[start:stop], grads[start:stop])
            start = stop

    def _check(self) -> None:
        """Raise LayerError unless all parameters have gradients, are of one float dtype, and of one array library."""
        kinds: dict[tuple[type, Any], str] = {}
        for prefix, layer in self.network.walk():
            for name in layer.parameter_names:
                arrays = [vars(layer).get(name), vars(layer).get("d" + name)]
                if not all(is_array(a) and a.dtype.kind == "f" for a in arrays):
                    raise LayerError(
                        f"{type(layer).__name__} names {name} a parameter, but {name} and d{name} are not both float "
                        f"arrays: call self.add_parameters({name}=…) in the constructor"
                    )
                for a in arrays:
                    kinds.setdefault((type(a), a.dtype), prefix + name)
        if len(kinds) > 1:
            found = " and ".join(f"{name} ({t.__module__} {dtype})" for (t, dtype), name in [*kinds.items()][:2])
            raise LayerError(f"a network has one dtype and one device, got {found}: move its parts with .to() first")

    def zero_grad(self) -> None:
        """Forget the gradients of the last step."""
        over_rows(lambda part: self.grads[part].fill(0), self.grads)

    def named(self) -> dict[str, tuple[Any, Any]]:
        """`{"0.W": (value, gradient), …}`, as views."""
        return {
            prefix + name: (getattr(layer, name), getattr(layer, "d" + name))
            for prefix, layer in self.network.walk()
            for name in layer.parameter_names
        }

    def __len__(self) -> int:
        return self.values.size


def _own_and_inner(network: Layer) -> Iterator[tuple[Layer, str]]:
    for _, layer in network.walk():
        for name in layer.parameter_names:
            yield layer, name


def new_parameter(kind: str, name: str, array: Any) -> Any:
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


def fitting(kind: str, name: str, value: Any, there: Any) -> Any:
    """What is assigned to a parameter or gradient, as a copy with the dtype and in the place of the array there is.

    Raises LayerError for another shape, and for anything but real numbers.
    """
    shape = tuple(there.shape)
    if not is_array(value) or value.dtype.kind not in "fiu":
        got = f"one of {value.dtype}" if is_array(value) else described(value)
        raise LayerError(f"{kind}: only an array of numbers of shape {shape} can be assigned to {name}, got {got}")
    if tuple(value.shape) != shape:
        raise LayerError(
            f"{kind}: {name} has shape {shape}, so an array of shape {tuple(value.shape)} can't be assigned to it: "
            f"give one of its shape, or write {name}[...] = …"
        )
    return Device("here", array_module(there)).array(value, there.dtype)
