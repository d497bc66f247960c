"""Pixel norm: the channels of every pixel are divided by their root mean square (Karras et al. 2018, section 4.2)."""

from __future__ import annotations

from typing import Any

from minigan.backend import array_module
from minigan.kernels.elementwise import by_rows
from minigan.kernels.reductions import sum_over
from minigan.layers.base import Layer


class PixelNorm(Layer):
    """y = r x with r = (⟨x²⟩ + ε)^(−½), for x (…, C). ⟨·⟩ is the mean over the C channels of a pixel.

    It has no parameters and no mean is subtracted: the length of every pixel's vector becomes √C, its direction stays.
    So the features of a generator can't grow from layer to layer, however large its weights become.

    First order. Change x by δx. Then δr = −r³ ⟨x δx⟩ = −r² ⟨y δx⟩, and

        δy = r δx + x δr = r (δx − y ⟨y δx⟩) =: K δx

    K is symmetric: the sum over channels Σ g K δx = r (Σ g δx − C ⟨y g⟩⟨y δx⟩) is the same with g and δx exchanged. So

        dx = K dy = r (dy − y ⟨y dy⟩)

    Second order, with v = ddx = ∂P/∂(dx). If dx changes, P changes by δS, for S = Σ v dx = Σ v K dy with v held fixed.
    With respect to dy, by the symmetry,

        ddy = K v

    With respect to x, with a = ⟨y dy⟩ and b = ⟨y v⟩: S = C r (⟨v dy⟩ − a b), where δr = −r² ⟨y δx⟩,
    δa = ⟨δy dy⟩ = ⟨dy K δx⟩ = ⟨dx δx⟩ and δb = ⟨ddy δx⟩ likewise. δS is the sum over channels of dx2 δx, so

        dx2 = −r (r (⟨v dy⟩ − a b) y + b dx + a ddy)
    """

    per_pixel = True

    def __init__(self, eps: float = 1e-8) -> None:
        self.eps = float(eps)

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (…, C) → y (…, C)."""
        self.check_input(x, None, None)
        r = (_dot(x, x) + self.eps) ** -0.5  # (…, 1)
        y = by_rows(array_module(x).multiply, x, r)
        return y, (y, r)

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy (…, C) → dx (…, C)."""
        # forward: y = r * x
        return _K(dy, *cache)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (…, C) → ddy (…, C) and dx2 (…, C)."""
        self.check_second(ddx, dy, cache)
        y, r = cache
        # backward: dx = r * (dy - y * a)
        dx, ddy = _K(dy, y, r), _K(ddx, y, r)
        a, b = _dot(y, dy), _dot(y, ddx)  # (…, 1)
        dx2 = r * (_dot(ddx, dy) - a * b) * y
        dx2 += b * dx
        dx2 += a * ddy
        dx2 *= -r
        return ddy, dx2

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """Those of x and y, which are equal."""
        return cache[0].shape, cache[0].shape


def _dot(a: Any, b: Any) -> Any:
    """⟨a b⟩ over the last axis: (…, C), (…, C) → (…, 1)."""
    return sum_over((a, b), (a.ndim - 1,)) / a.shape[-1]


def _K(g: Any, y: Any, r: Any) -> Any:
    """K g = r (g − y ⟨y g⟩), like g."""
    return by_rows(lambda g, y, r, a: r * (g - y * a), g, y, r, _dot(y, g))
