"""A sequence of layers with a condition that some of them see: labels, or a vector for every sample."""

from __future__ import annotations

from typing import Any

from minigan.layers.base import Layer, Wrt, add, checked_pair, is_zero
from minigan.layers.containers import Sequential, SequentialCache


class Conditional(Sequential):
    """A `Sequential` whose input is (x, c): y = f_n(… f_2(f_1(x, c), c) …, c).

    Ordinary layers get x, conditional ones (`layer.conditional`) get (x, c), with the same c for all. The sweeps are
    those of `Sequential`. What is new is c, which goes into several layers, so its gradients are added up:

        dc   = Σ_i dc_i        over the conditional layers, on the way down
        ddc  goes into every conditional layer beside its ddx_i, on the way up
        dc2  = Σ_i dc2_i       and what the last sweep down brings to c

    For labels they are all None.
    """

    conditional = True

    def __init__(self, *layers: Layer) -> None:
        super().__init__(*layers)
        if not any(layer.conditional for layer in layers):
            raise ValueError("none of these layers takes a condition: use a Sequential")

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """(x, c) → y, through every layer in turn."""
        self.check_several(x, 2)
        x, c = x
        caches = []
        for layer in self.layers:
            x, cache = checked_pair(layer, layer.forward((x, c) if layer.conditional else x, train, rng))
            caches.append(cache)
        return x, SequentialCache(caches)

    def output(self, x: Any, train: bool = True, rng: Any = None) -> Any:
        """(x, c) → y; no more than one layer's input and output are kept at a time."""
        self.check_several(x, 2)
        x, c = x
        for layer in self.layers:
            x = layer.output((x, c) if layer.conditional else x, train, rng)
        return x

    def backward(self, dy: Any, cache: SequentialCache, wrt: Wrt = "both") -> Any:
        """dy → (dx, dc), through every layer in reverse. With wrt="input" the cache keeps each layer's dy."""
        first = self._first_with_parameters() if wrt == "params" else 0  # no gradient is needed below it
        dys, dc = [], None
        for i, (layer, inner) in reversed(list(enumerate(zip(self.layers, cache.caches, strict=True)))):
            if i < first:
                break
            dys.append(dy)
            dy = layer.backward(dy, inner, "both" if wrt == "params" and i > first else wrt)
            dy, dc = _split(layer, dy, dc)
        if wrt == "input":
            cache.dys = dys[::-1]
        return (dy, dc) if wrt != "params" else None

    def double_backward(self, ddx: Any, dy: Any, cache: SequentialCache) -> tuple[Any, Any]:
        """(ddx, ddc) → (ddy, (dx2, dc2)): up with ddx, then down with what was left at each layer's input."""
        self.check_several(ddx, 2, "ddx")
        if cache.dys is None or cache.dys[-1] is not dy:
            self.backward(dy, cache, wrt="input")
        ddx, ddc = ddx
        dx2s = []
        for layer, inner, layer_dy in zip(self.layers, cache.caches, cache.dys, strict=True):
            v = (ddx, ddc) if layer.conditional else ddx
            ddx, dx2 = (None, None) if is_zero(v) else checked_pair(layer, layer.double_backward(v, layer_dy, inner))
            dx2s.append(dx2)
        dx = dc = None
        for layer, inner, dx2 in reversed(list(zip(self.layers, cache.caches, dx2s, strict=True))):
            dx = add(dx2, None if dx is None else layer.backward(dx, inner))
            dx, dc = _split(layer, dx, dc)
        return ddx, None if is_zero((dx, dc)) else (dx, dc)


def _split(layer: Layer, dx: Any, dc: Any) -> tuple[Any, Any]:
    """Take a layer's gradient at c out of its dx and add it to dc: → (dx, dc)."""
    if not layer.conditional or dx is None:
        return dx, dc
    dx, own = dx
    return dx, add(dc, own)
