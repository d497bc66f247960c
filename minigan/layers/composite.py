"""What layers made of other layers share: conditions, and gradients of which None is zero."""

from __future__ import annotations

from typing import Any

from minigan.backend import array_module
from minigan.errors import LayerError
from minigan.kernels.elementwise import by_rows
from minigan.layers.base import Layer, checked_pair


class Composite(Layer):
    """Inner layers by position: layer i is called "i" in the names of parameters: "0.W", "2.gamma", …

    Some of them may be conditional. If the whole is, these get (x, c), and the others x.
    """

    def __init__(self, *layers: Layer | None) -> None:
        if not layers:
            raise ValueError(f"{type(self).__name__} needs at least one layer")
        self.layers: tuple[Any, ...] = layers  # a tuple: a layer added later would not be among the parameters
        check_layers(type(self).__name__, *self._inner())

    def _inner(self) -> tuple[Any, ...]:
        """The inner layers, with the identity for None where that is allowed."""
        return self.layers

    def children(self) -> dict[str, Layer]:
        """The layers by position, without those that are None: {"0": …, "1": …}."""
        return {str(i): layer for i, layer in enumerate(self.layers) if layer is not None}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.layers))})"

    def _join(self, layer: Layer, x: Any, c: Any) -> Any:
        """x and c → the input (or ddx) of one of the layers, or a gradient of the whole."""
        return (x, c) if self.conditional and layer.conditional else x

    def _split(self, layer: Layer, x: Any, name: str = "gradient") -> tuple[Any, Any]:
        """The reverse of `_join`: → (x, c), with c = None if the layer has no condition."""
        if x is None or not (self.conditional and layer.conditional):
            return x, None
        layer.check_several(x, 2, name)
        return x


class Identity(Layer):
    """y = x, of any shape and dtype: the same array, so who returns it to a caller makes a copy."""

    per_pixel = True

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x → x."""
        self.check_array(x)
        return x, x.shape

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy → dy."""
        return dy

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx → ddx; dx2 is None."""
        self.check_second(ddx, dy, cache)
        return ddx, None

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """Those of x and y, which are equal."""
        return cache, cache


def add(a: Any, b: Any) -> Any:
    """Add two gradients, either of which may be None for zero. Tuples are added entry by entry."""
    if a is None or b is None:
        return b if a is None else a
    if isinstance(a, tuple):
        return tuple(add(one, other) for one, other in zip(a, b, strict=True))
    return by_rows(array_module(a).add, a, b)


def is_zero(gradient: Any) -> bool:
    """Whether a gradient is None, or a tuple of nothing else."""
    return gradient is None or (isinstance(gradient, tuple) and all(map(is_zero, gradient)))


def double_backward_of(layer: Layer, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
    """A layer's (ddy, dx2). It is linear in ddx and in dy: where one of them is None, for zero, so are the results."""
    if is_zero(ddx) or is_zero(dy):
        return None, None
    return checked_pair(layer, layer.double_backward(ddx, dy, cache))


def check_layers(kind: str, *layers: Any) -> None:
    """Raise LayerError unless all of `layers`, of which a composite of that kind is made, are layers."""
    for i, layer in enumerate(layers):
        if isinstance(layer, Layer):
            continue
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise LayerError(f"{kind}: number {i} is the class, not a layer: write {layer.__name__}(…)")
        if isinstance(layer, (list, tuple)):
            whole = type(layer).__name__
            raise LayerError(f"{kind} takes its layers one by one, not in a {whole}: write {kind}(*layers)")
        name = "None" if layer is None else getattr(layer, "__name__", type(layer).__name__)
        raise LayerError(f"{kind}: number {i} is {name}, which is no Layer: write a subclass of Layer for it")
