"""Networks made of layers: one after the other, and around a shortcut.

Their backward is their forward upside down, and their double backward is two more sweeps: the whole gradient of a
gradient penalty can be read here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minigan.errors import ShapeError
from minigan.layers.base import Layer, Wrt, add, check_layers, checked_pair, is_zero
from minigan.layers.reach import Chain, Ways


@dataclass
class SequentialCache:
    """The caches of the inner layers, and the gradients between them once `backward` with wrt="input" has run.

    `double_backward` uses these if it gets the same dy, so don't write into that dy in between.
    """

    caches: list[Any]
    dys: list[Any] | None = None


class Sequential(Layer):
    """y = f_n(… f_2(f_1(x))). Layer i is called "i" in the names of parameters: "0.W", "2.gamma", …

    First order is the chain rule, from the last layer to the first.

    Second order. Call x_i the input of layer i, and P a scalar of dx = dx_0. The input gradient went down through
    dx_i = backward_i(dx_{i+1}, x_i), so dx_{i+1} is the dy of layer i, and

        up:   ddx_{i+1} = ∂P/∂(dx_{i+1})     from ddx_i by layer i's double_backward, which also gives dx2_i = ∂P/∂x_i
              and P's gradient in the parameters as they occur in backward_i;
        down: x_i depends on the parameters of the layers before it, so each dx2_i starts an ordinary backward there.

    A network whose layers are all (piecewise) linear in x has no dx2, and the sweep down has nothing to carry.
    """

    def __init__(self, *layers: Layer) -> None:
        check_layers(type(self).__name__, *layers)
        if not layers:
            raise ValueError("a Sequential needs at least one layer")
        self.layers = layers  # a tuple: a layer added later would not be among the parameters

    def children(self) -> dict[str, Layer]:
        """The layers by position: {"0": …, "1": …}."""
        return {str(i): layer for i, layer in enumerate(self.layers)}

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x → y, through every layer in turn."""
        caches = []
        for layer in self.layers:
            x, cache = checked_pair(layer, layer.forward(x, train, rng))
            caches.append(cache)
        return x, SequentialCache(caches)

    def output(self, x: Any, train: bool = True, rng: Any = None) -> Any:
        """x → y; no more than one layer's input and output are kept at a time."""
        for layer in self.layers:
            x = layer.output(x, train, rng)
        return x

    def backward(self, dy: Any, cache: SequentialCache, wrt: Wrt = "both") -> Any:
        """dy → dx, through every layer in reverse. With wrt="input" the cache keeps each layer's dy."""
        first = self._first_with_parameters() if wrt == "params" else 0  # no gradient is needed below it
        dys = []
        for i, (layer, inner) in reversed(list(enumerate(zip(self.layers, cache.caches, strict=True)))):
            if i < first:
                break
            dys.append(dy)
            dy = layer.backward(dy, inner, "both" if wrt == "params" and i > first else wrt)
        if wrt == "input":
            cache.dys = dys[::-1]
        return dy if wrt != "params" else None

    def double_backward(self, ddx: Any, dy: Any, cache: SequentialCache) -> tuple[Any, Any]:
        """ddx → (ddy, dx2): up with ddx, then down with what was left at each layer's input."""
        if cache.dys is None or cache.dys[-1] is not dy:
            self.backward(dy, cache, wrt="input")
        dx2s = []
        for layer, inner, layer_dy in zip(self.layers, cache.caches, cache.dys, strict=True):
            ddx, dx2 = checked_pair(layer, layer.double_backward(ddx, layer_dy, inner))
            dx2s.append(dx2)
        dx = None
        for layer, inner, dx2 in reversed(list(zip(self.layers, cache.caches, dx2s, strict=True))):
            dx = add(dx2, None if dx is None else layer.backward(dx, inner))
        return ddx, dx

    def reach(self) -> Chain:
        """That of all layers, one after the other."""
        return Chain(self.layers)

    def _first_with_parameters(self) -> int:
        has = (any(inner.parameter_names for _, inner in layer.walk()) for layer in self.layers)
        return next((i for i, found in enumerate(has) if found), len(self.layers))

    def __getitem__(self, i: int) -> Layer:
        return self.layers[i]

    def __len__(self) -> int:
        return len(self.layers)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.layers))})"


class Residual(Layer):
    """y = shortcut(x) + body(x) (He et al. 2016); without a shortcut layer, y = x + body(x).

    Both ways start at x and end in a sum, so every gradient goes down both and is added, to any order:

        dx  = shortcut.backward(dy) + body.backward(dy)
        ddy = shortcut(ddx) + body(ddx) and dx2 likewise, by their double_backward

    With a conditional layer for either of the two, x is (x, c): that one gets both, the other x alone. A condition that
    both get is added up as x is.
    """

    def __init__(self, body: Layer, shortcut: Layer | None = None) -> None:
        check_layers("Residual", body, *([] if shortcut is None else [shortcut]))
        self.body, self.shortcut = body, shortcut
        self.conditional = body.conditional or _is_conditional(shortcut)

    def children(self) -> dict[str, Layer]:
        """{"body": …} and, where there is one, {"shortcut": …}."""
        return {"body": self.body} | ({} if self.shortcut is None else {"shortcut": self.shortcut})

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x, or (x, c) → y. Raises ShapeError if the two ways end in different shapes."""
        if self.conditional:
            self.check_several(x, 2)
        y, body_cache = checked_pair(self.body, self.body.forward(self._into(self.body, x), train, rng))
        short, short_cache = self._into(self.shortcut, x), None
        if self.shortcut is not None:
            short, short_cache = checked_pair(self.shortcut, self.shortcut.forward(short, train, rng))
        return self._sum(y, short), (body_cache, short_cache, y.shape)

    def output(self, x: Any, train: bool = True, rng: Any = None) -> Any:
        """x, or (x, c) → y."""
        if self.conditional:
            self.check_several(x, 2)
        y, short = self.body.output(self._into(self.body, x), train, rng), self._into(self.shortcut, x)
        return self._sum(y, short if self.shortcut is None else self.shortcut.output(short, train, rng))

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy → dx, or (dx, dc): the sum of both ways."""
        body_cache, short_cache, y_shape = cache
        self.check_dy(dy, y_shape, wrt)
        # forward: y = body(x) + shortcut(x)
        dx = self._out_of(self.body, self.body.backward(dy, body_cache, wrt))
        if self.shortcut is None:
            return add(dx, self._out_of(None, dy)) if wrt != "params" else None
        return add(dx, self._out_of(self.shortcut, self.shortcut.backward(dy, short_cache, wrt)))

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx, or (ddx, ddc) → (ddy, dx2): the sums of both ways."""
        ddy = dx2 = None
        # backward: dx = body.backward(dy) + shortcut.backward(dy)
        for way, way_cache in ((self.body, cache[0]), (self.shortcut, cache[1])):
            v = self._into(way, ddx)
            if is_zero(v):
                continue
            way_ddy, way_dx2 = (v, None) if way is None else checked_pair(way, way.double_backward(v, dy, way_cache))
            ddy, dx2 = add(ddy, way_ddy), add(dx2, self._out_of(way, way_dx2))
        return ddy, dx2

    def reach(self) -> Ways:
        """That of both ways."""
        return Ways((self.body, self.shortcut))

    def _sum(self, y: Any, short: Any) -> Any:
        if y.shape != short.shape:
            raise ShapeError(f"{self!r}: the body gives {tuple(y.shape)}, the shortcut {tuple(short.shape)}")
        return add(y, short)

    def _into(self, way: Layer | None, x: Any) -> Any:
        """What one of the two ways gets of an input, or of its ddx."""
        return x[0] if self.conditional and not _is_conditional(way) else x

    def _out_of(self, way: Layer | None, dx: Any) -> Any:
        """What the gradient of one of the two ways is as a gradient of the whole input."""
        return (dx, None) if self.conditional and not _is_conditional(way) and dx is not None else dx


def _is_conditional(way: Layer | None) -> bool:
    return way is not None and way.conditional
