"""Scaling by two with a smooth filter, as StyleGAN2 does it (Karras et al. 2020, after Zhang 2019).

Repeating pixels, or leaving out every second one, folds fine patterns into coarse ones that aren't in the picture. So a
filter h follows the one and precedes the other. By default it has the weights [1, 3, 3, 1]/8 along each axis, which sum
to 1. Outside of the picture, x is 0. With K weights, along one axis, and g for a factor on the result:

    Blur            y[o] = g Σ_k h[k] x[o + k − p]          n pixels → n + 2p − K + 1
    DownsampleFIR   y[o] = g Σ_k h[k] x[2o + k − p]         n → n/2         p = (K − 2)/2
    UpsampleFIR     y[2i + k − p] += 2 h[k] x[i]            n → 2n

UpsampleFIR is 2 times the adjoint of DownsampleFIR: three quarters of the nearest pixel and a quarter of the next one.
The filter is symmetric, so the adjoint of a blur is a blur with a padding of K − 1 − p.

All three are linear, y = A x. They filter along columns and then along rows, each channel on its own, so

    dx = Aᵀ dy        ddy = A ddx        dx2 is None

The functions of kernels/lines.py compute A and Aᵀ.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.errors import ShapeError
from minigan.kernels.geometry import padded, unpadded
from minigan.kernels.lines import line_spread, line_sum
from minigan.layers.base import Layer
from minigan.layers.reach import Window

TAPS = (1, 3, 3, 1)


class _Filter(Layer):
    """What the three layers have in common. A subclass writes `_A`, `_adjoint` and `_size`."""

    def __init__(self, taps: Sequence[float], gain: float) -> None:
        self.taps, self.gain = tuple(taps), float(gain)
        if not self.taps or self.taps != self.taps[::-1] or not sum(self.taps):
            raise ValueError(f"taps is {self.taps}: give symmetric weights with a sum that isn't 0, such as {TAPS}")

    def _weights(self, gain: float) -> np.ndarray:
        """h (K,) times √gain: the two axes together multiply by `gain`."""
        return np.array(self.taps) * (sqrt(gain) / sum(self.taps))

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, H, W, C) → y (N, OH, OW, C). Raises ShapeError for a picture of a size that the layer can't filter."""
        self.check_input(x, 4, None)
        self._check_size(x.shape)
        return self._A(x), x.shape

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy (N, OH, OW, C) → dx (N, H, W, C)."""
        # forward: y = A x
        return self._adjoint(dy)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (N, H, W, C) → ddy (N, OH, OW, C), filtered; dx2 is None."""
        self.check_second(ddx, dy, cache)
        # backward: dx = Aᵀ dy
        return self._A(ddx), None

    def shapes(self, cache: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(N, H, W, C), (N, OH, OW, C)."""
        N, H, W, C = cache
        return cache, (N, self._size(H), self._size(W), C)

    def _check_size(self, x_shape: tuple[int, ...]) -> None:
        if min(x_shape[1:3]) < 1 or min(map(self._size, x_shape[1:3])) < 1:
            raise ShapeError(f"{self!r}: the filter is larger than the padded picture {tuple(x_shape)}")

    def _A(self, x: Any) -> Any:
        """A x."""
        raise NotImplementedError

    def _adjoint(self, dy: Any) -> Any:
        """Aᵀ dy."""
        raise NotImplementedError

    def _size(self, n: int) -> int:
        """Output pixels for n input pixels along an axis."""
        raise NotImplementedError


class Blur(_Filter):
    """Filter pictures: x (N, H, W, C) → y (N, H + 2p − K + 1, W + 2p − K + 1, C), p = `padding`.

    A convolution with stride 2 follows a blur with padding 2, and a transposed one is followed by one with padding 1
    and a gain of 4, because three of four pixels before it were zeros. Raises ValueError for a padding outside
    0 … K − 1, ShapeError for a picture smaller than the filter.
    """

    def __init__(self, padding: int, gain: float = 1.0, taps: Sequence[float] = TAPS) -> None:
        super().__init__(taps, gain)
        if not 0 <= padding < len(self.taps):
            raise ValueError(f"padding is {padding}: with {len(self.taps)} taps it is from 0 to {len(self.taps) - 1}")
        self.padding = padding

    def reach(self) -> Window:
        """K pixels."""
        K, p = len(self.taps), self.padding
        return Window((K, K), (1, 1), (p, p))

    def _A(self, x: Any) -> Any:
        return self._filtered(x, self.padding)

    def _adjoint(self, dy: Any) -> Any:
        return self._filtered(dy, len(self.taps) - 1 - self.padding)

    def _filtered(self, x: Any, p: int) -> Any:
        h = self._weights(self.gain)
        return line_sum(line_sum(padded(x, (p, p)), h, 1, axis=1), h, 1, axis=2)

    def _size(self, n: int) -> int:
        return n + 2 * self.padding - len(self.taps) + 1


class _ByTwo(_Filter):
    """What both scalers have in common: an even number of taps, so that both pictures have one center."""

    def __init__(self, gain: float = 1.0, taps: Sequence[float] = TAPS) -> None:
        super().__init__(taps, gain)
        if len(self.taps) % 2:
            raise ValueError(f"taps is {self.taps}: scaling by two needs an even number of weights")

    @property
    def _p(self) -> int:
        return len(self.taps) // 2 - 1

    def _halved(self, x: Any, gain: float) -> Any:
        """(N, 2h, 2w, C) → (N, h, w, C)."""
        h = self._weights(gain)
        return line_sum(line_sum(padded(x, (self._p, self._p)), h, 2, axis=1), h, 2, axis=2)

    def _doubled(self, x: Any, gain: float) -> Any:
        """(N, h, w, C) → (N, 2h, 2w, C): the adjoint of `_halved`."""
        h = self._weights(gain)
        framed = line_spread(line_spread(x, h, 2, axis=2), h, 2, axis=1)
        return array_module(x).ascontiguousarray(unpadded(framed, (self._p, self._p)))


class DownsampleFIR(_ByTwo):
    """Halve pictures: x (N, H, W, C) → y (N, H/2, W/2, C), times `gain`.

    Raises ValueError for an odd number of taps, ShapeError for an odd height or width.
    """

    def reach(self) -> Window:
        """K pixels, two apart."""
        K, p = len(self.taps), self._p
        return Window((K, K), (2, 2), (p, p))

    def _A(self, x: Any) -> Any:
        return self._halved(x, self.gain)

    def _adjoint(self, dy: Any) -> Any:
        return self._doubled(dy, self.gain)

    def _check_size(self, x_shape: tuple[int, ...]) -> None:
        if any(n % 2 for n in x_shape[1:3]):
            raise ShapeError(f"{self!r} halves pictures of even height and width, got {tuple(x_shape)}")
        super()._check_size(x_shape)

    def _size(self, n: int) -> int:
        return n // 2


class UpsampleFIR(_ByTwo):
    """Double pictures: x (N, H, W, C) → y (N, 2H, 2W, C), times `gain`. Raises ValueError for an odd number of taps."""

    def reach(self) -> Window:
        """A pixel contributes to K outputs."""
        K, p = len(self.taps), self._p
        return Window((K, K), (2, 2), (p, p), spread=True)

    def _A(self, x: Any) -> Any:
        return self._doubled(x, 4 * self.gain)  # the two of each axis

    def _adjoint(self, dy: Any) -> Any:
        return self._halved(dy, 4 * self.gain)

    def _size(self, n: int) -> int:
        return 2 * n
