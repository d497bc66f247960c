"""Bilinear enlargement of pictures by a whole factor.

Nearest-neighbor enlargement, `Upsample`, is in pooling.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from minigan.backend import array_module
from minigan.kernels.geometry import Pair, pair
from minigan.layers.base import Layer
from minigan.layers.reach import Window


class BilinearUpsample(Layer):
    """Enlarge pictures by linear interpolation along each axis: x (N, H, W, C) → y (N, F·H, F·W, C).

    Pixels are squares with a value at the center, and both pictures cover the same area, so output o lies at input
    coordinate u = (o + ½)/F − ½ ("half-pixel centers"; `align_corners=False` in PyTorch). Along one axis, o = F·i + r
    has the same two neighbors and the same weights for all i:

        y[F·i + r] = (1 − t) x[i] + t x[i ± 1]        t = |d| with d = (r + ½)/F − ½; + if d > 0, else −

    Outside of the picture, x is the pixel at the edge: x[−1] = x[0] and x[n] = x[n − 1]. The map is y = A x Bᵀ
    for each channel, with A (F·H, H) for the rows and B (F·W, W) for the columns, so

        dx = Aᵀ dy B        ddy = A ddx Bᵀ        dx2 is None

    `scale_factor` is the number F or a pair (height, width).
    """

    def __init__(self, scale_factor: int | Pair = 2) -> None:
        self.scale_factor = scale_factor
        self._factors = pair(scale_factor, 1)

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, H, W, C) → y (N, F·H, F·W, C)."""
        self.check_input(x, 4, None)
        return self._enlarged(x), x.shape

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy (N, F·H, F·W, C) → dx (N, H, W, C)."""
        # forward: y = A x Bᵀ
        for axis, factor in zip((2, 1), self._factors[::-1], strict=True):
            dy = _gathered(dy, axis, factor)
        return dy

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (N, H, W, C) → ddy (N, F·H, F·W, C), enlarged; dx2 is None."""
        self.check_second(ddx, dy, cache)
        # backward: dx = Aᵀ dy B
        return self._enlarged(ddx), None

    def shapes(self, cache: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(N, H, W, C), (N, F·H, F·W, C)."""
        (N, H, W, C), (fh, fw) = cache, self._factors
        return cache, (N, fh * H, fw * W, C)

    def reach(self) -> Window:
        """Pixel i contributes to the outputs from F·i − ⌊F/2⌋ on, 2F of them, or 2F − 1 if F is odd."""
        kernel = tuple(2 * factor - factor % 2 for factor in self._factors)
        padding = tuple(factor // 2 for factor in self._factors)
        return Window(kernel, self._factors, padding, spread=True)  # type: ignore[arg-type]

    def _enlarged(self, x: Any) -> Any:
        """A x Bᵀ."""
        for axis, factor in zip((1, 2), self._factors, strict=True):
            x = _spread(x, axis, factor)
        return x


def _spread(x: Any, axis: int, factor: int) -> Any:
    """A x along one axis: n pixels → factor·n."""
    xp, at, n = array_module(x), partial(_along, axis), x.shape[axis]
    edged = xp.concatenate([x[at(0, 1)], x, x[at(n - 1, n)]], axis=axis)  # x[i] is edged[i + 1]
    y = xp.empty((*x.shape[:axis], factor * n, *x.shape[axis + 1 :]), x.dtype)
    for r, t, side in _phases(factor):
        y[at(r, None, factor)] = (1 - t) * x + t * edged[at(1 + side, 1 + side + n)]  # y[F·i + r] for all i
    return y


def _gathered(dy: Any, axis: int, factor: int) -> Any:
    """Aᵀ dy along one axis: factor·n pixels → n."""
    xp, at, n = array_module(dy), partial(_along, axis), dy.shape[axis] // factor
    dedged = xp.zeros((*dy.shape[:axis], n + 2, *dy.shape[axis + 1 :]), dy.dtype)
    for r, t, side in _phases(factor):
        dy_r = dy[at(r, None, factor)]
        # _spread: y_r = (1 - t) * x + t * edged[1 + side :]
        dedged[at(1, n + 1)] += (1 - t) * dy_r
        dedged[at(1 + side, 1 + side + n)] += t * dy_r
    # _spread: edged = concatenate([x[:1], x, x[-1:]])
    dx = dedged[at(1, n + 1)].copy()
    dx[at(0, 1)] += dedged[at(0, 1)]
    dx[at(n - 1, n)] += dedged[at(n + 1, n + 2)]
    return dx


def _phases(factor: int) -> Iterator[tuple[int, float, int]]:
    """Yield (r, t, side) for each r < F: t is the weight of the pixel i + side, where side is 1 or −1."""
    for r in range(factor):
        offset = (r + 0.5) / factor - 0.5
        yield r, abs(offset), 1 if offset > 0 else -1


def _along(axis: int, *limits: int | None) -> tuple[slice, ...]:
    """Return the index of a slice along one axis."""
    return (slice(None),) * axis + (slice(*limits),)
