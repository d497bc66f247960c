"""Networks: layers one after the other (`Sequential`, `Conditional`), and the sum of two paths (`Residual`).

The gradient of a gradient penalty takes four sweeps through a network: see `Sequential`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minigan.errors import ShapeError
from minigan.layers.base import Layer, Wrt, checked_pair
from minigan.layers.composite import Composite, Identity, add, check_layers, double_backward_of, is_zero
from minigan.layers.reach import Chain, Ways


@dataclass
class SequentialCache:
    """The caches of the layers, and the dy of each layer once `backward` with wrt="input" has run.

    `double_backward` uses these if it gets the same dy, so don't write into that dy in between.
    """

    caches: list[Any]
    dys: list[Any] | None = None


class Sequential(Composite):
    """y = f_{n−1}(… f_1(f_0(x))).

    Call x_i the input of layer i, so x_{i+1} = f_i(x_i), and dx_i = ∂L/∂x_i. The dy of layer i is dx_{i+1}. (c in the
    code is the condition of a `Conditional`. Here it is None, and `_split` and `_join` return x as it is.)

    Second order. P is a penalty on the input gradient dx_0. Its gradient takes four sweeps through the layers:

        1  forward       x_{i+1} = f_i(x_i)                                                   i = 0 … n−1
        2  backward      dx_i = backward_i(dx_{i+1}, x_i)                                     i = n−1 … 0
        3  sweep 2 back  (ddx_{i+1}, dx2_i) = double_backward_i(ddx_i, dx_{i+1}, x_i)         i = 0 … n−1
        4  sweep 1 back  ∂P/∂x_i = dx2_i + backward_i(∂P/∂x_{i+1}, x_i)                       i = n−1 … 0

    Sweep 3: dx_i depends on dx_{i+1}, on x_i and on the parameters of layer i. From ddx_i = ∂P/∂(dx_i) follow
    ddx_{i+1} = ∂P/∂(dx_{i+1}), dx2_i and a first part of ∂P/∂parameters.
    Sweep 4: x_i depends on the parameters of the layers before it. That is the second part of ∂P/∂parameters, and an
    ordinary backward adds it. If all layers are (piecewise) linear in x, every dx2_i is None and sweep 4 does nothing.
    """

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x → y, through every layer in turn."""
        x, c = self._split(self, x, "input")
        caches = []
        for layer in self.layers:
            x, cache = checked_pair(layer, layer.forward(self._join(layer, x, c), train, rng))
            caches.append(cache)
        return x, SequentialCache(caches)

    def output(self, x: Any, train: bool = True, rng: Any = None) -> Any:
        """x → y; no more than one layer's input and output are kept at a time."""
        x, c = self._split(self, x, "input")
        for layer in self.layers:
            x = layer.output(self._join(layer, x, c), train, rng)
        return x

    def backward(self, dy: Any, cache: SequentialCache, wrt: Wrt = "both") -> Any:
        """dy → dx, through every layer in reverse. With wrt="input" the cache keeps each layer's dy."""
        first = self._first_with_parameters() if wrt == "params" else 0  # no gradient is needed below it
        dys, dx, dc = [], dy, None
        for i in reversed(range(first, len(self.layers))):
            layer = self.layers[i]
            if wrt == "input":
                dys.append(dx)
            dx = layer.backward(dx, cache.caches[i], "both" if wrt == "params" and i > first else wrt)
            dx, layer_dc = self._split(layer, dx)
            dc = add(dc, layer_dc)
        if wrt == "input":
            cache.dys = dys[::-1]
        return self._join(self, dx, dc) if wrt != "params" else None

    def double_backward(self, ddx: Any, dy: Any, cache: SequentialCache) -> tuple[Any, Any]:
        """ddx → (ddy, dx2), by sweeps 3 and 4. Sweep 2 is repeated if the cache hasn't kept its dys."""
        ddx, ddc = self._split(self, ddx, "ddx")
        if cache.dys is None or cache.dys[-1] is not dy:
            self.backward(dy, cache, wrt="input")
        dx2s = []
        for layer, layer_cache, layer_dy in zip(self.layers, cache.caches, cache.dys, strict=True):  # sweep 3
            v = self._join(layer, ddx, ddc)
            ddx, dx2 = double_backward_of(layer, v, layer_dy, layer_cache)
            dx2s.append(dx2)
        dx = dc = None
        for layer, layer_cache, dx2 in reversed(list(zip(self.layers, cache.caches, dx2s, strict=True))):  # sweep 4
            dx = add(dx2, None if dx is None else layer.backward(dx, layer_cache))
            dx, layer_dc = self._split(layer, dx)
            dc = add(dc, layer_dc)
        dx2 = self._join(self, dx, dc)
        return ddx, None if is_zero(dx2) else dx2

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


class Conditional(Sequential):
    """A `Sequential` whose input is (x, c): y = f_{n−1}(… f_1(f_0(x, c), c) …, c).

    Conditional layers (`layer.conditional`) get (x, c), all with the same c, and the others get x. So ddc is given to
    every conditional layer beside its ddx_i, and the gradients at c are sums over the conditional layers:

        dc = Σ_i dc_i        dc2 = Σ_i dc2_i, and what sweep 4 adds to it

    For labels they are all None.
    """

    conditional = True

    def __init__(self, *layers: Layer) -> None:
        super().__init__(*layers)
        if not any(layer.conditional for layer in layers):
            raise ValueError("none of these layers takes a condition: use a Sequential")


class Residual(Composite):
    """y = body(x) + shortcut(x) (He et al. 2016); without a shortcut layer, y = body(x) + x.

    Both paths start at x and end in a sum, so the gradients of the two are added:

        dx  = body.backward(dy) + shortcut.backward(dy)
        ddy = body's + shortcut's by double_backward, both from the same ddx, and dx2 likewise

    If one of the paths is conditional, the input is (x, c), and the other path gets x. dc is summed as dx is.
    """

    def __init__(self, body: Layer, shortcut: Layer | None = None) -> None:
        self.body, self.shortcut = body, shortcut
        check_layers("Residual", *self._inner())
        self.conditional = any(path.conditional for path in self._inner())

    def children(self) -> dict[str, Layer]:
        """{"body": …} and, where there is one, {"shortcut": …}."""
        return {"body": self.body} | ({} if self.shortcut is None else {"shortcut": self.shortcut})

    def _inner(self) -> tuple[Layer, Layer]:
        return self.body, Identity() if self.shortcut is None else self.shortcut

    __repr__ = Layer.__repr__

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x, or (x, c) → y. Raises ShapeError if the outputs of the paths differ in shape."""
        x, c = self._split(self, x, "input")
        results = [checked_pair(path, path.forward(self._join(path, x, c), train, rng)) for path in self._inner()]
        ys, caches = zip(*results, strict=True)
        y = self._sum(*ys)
        return y, (caches, y.shape)

    def output(self, x: Any, train: bool = True, rng: Any = None) -> Any:
        """x, or (x, c) → y."""
        x, c = self._split(self, x, "input")
        return self._sum(*(path.output(self._join(path, x, c), train, rng) for path in self._inner()))

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy → dx, or (dx, dc)."""
        caches, y_shape = cache
        self.check_dy(dy, y_shape, wrt)
        dx = dc = None
        # forward: y = body(x) + shortcut(x)
        for path, path_cache in zip(self._inner(), caches, strict=True):
            path_dx, path_dc = self._split(path, path.backward(dy, path_cache, wrt))
            dx, dc = add(dx, path_dx), add(dc, path_dc)
        return self._join(self, dx, dc) if wrt != "params" else None

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx, or (ddx, ddc) → (ddy, dx2)."""
        caches, y_shape = cache
        self.check_dy(dy, y_shape)
        ddx, ddc = self._split(self, ddx, "ddx")
        ddy = dx2 = dc2 = None
        # backward: dx = body.backward(dy) + shortcut.backward(dy)
        for path, path_cache in zip(self._inner(), caches, strict=True):
            v = self._join(path, ddx, ddc)
            path_ddy, path_dx2 = double_backward_of(path, v, dy, path_cache)
            path_dx2, path_dc2 = self._split(path, path_dx2)
            ddy, dx2, dc2 = add(ddy, path_ddy), add(dx2, path_dx2), add(dc2, path_dc2)
        dx2 = self._join(self, dx2, dc2)
        return ddy, None if is_zero(dx2) else dx2

    def reach(self) -> Ways:
        """That of both paths."""
        return Ways((self.body, self.shortcut))

    def _sum(self, y: Any, shortcut_y: Any) -> Any:
        if y.shape != shortcut_y.shape:
            raise ShapeError(f"{self!r}: the body gives {tuple(y.shape)}, the shortcut {tuple(shortcut_y.shape)}")
        return add(y, shortcut_y)
