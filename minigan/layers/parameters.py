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

from minigan.backend import array_module
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
            raise ValueError(
                f"a layer stands twice in {network!r}: its parameters can only be in one place of the vector"
            )
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
            setattr(self.network, name, values[start:stop].reshape(shape))
            setattr(self.network, "d" + name, grads[start:stop].reshape(shape))
            start = stop
        for child in self.network.children().values():
            stop = start + sum(getattr(layer, name).size for layer, name in _own_and_inner(child))
            if child._parameters is None:
                child._parameters = Parameters.__new__(Parameters)
                child._parameters.network = child
            if child._parameters.whole not in (None, self):
                raise ValueError(f"{child!r} is part of another network already: a layer belongs to one")
            child._parameters.whole = self
            child._parameters.bind(values[start:stop], grads[start:stop])
            start = stop

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
