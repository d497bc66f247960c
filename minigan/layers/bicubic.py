"""Bicubic scaling of pictures by a whole factor, as MATLAB's `imresize` does it: the scaler of super-resolution.

The published tables of super-resolution compare networks with bicubic enlargement, of pictures that were shrunk
bicubically. Scalers of this name differ by decibels, so this is the whole definition.

**Weights.** A pixel at distance t from a point of the picture has there the weight (Keys 1981, with a = −½)

    h(t) = 3/2 |t|³ − 5/2 |t|² + 1               for |t| ≤ 1
           −1/2 |t|³ + 5/2 |t|² − 4 |t| + 2      for 1 < |t| < 2, and 0 beyond

h is 1 at t = 0 and 0 at all other integers. The weights of all pixels sum to 1 at every point, and a quadratic function
is interpolated exactly.

**Places.** Pixels are squares with a value at the center, and both pictures cover the same area. When a line of pixels
is shrunk by F, output o lies at input coordinate u = F·o + (F − 1)/2; when it is enlarged, at u = (o + ½)/F − ½.

**Shrinking** averages over F times as many pixels as enlarging looks at, so that patterns finer than the new pixels are
removed and don't turn into false ones (antialiasing). The weights are h(t/F)/F: F times as wide, and 1/F as high, so
that their sum stays 1. An output lies in the middle of F pixels of its own. With p pixels of neighbors on each side,

    y[o] = Σ_k w[k] x[F·o + k − p]        w[k] = h((k − p − (F − 1)/2)/F)/F        k = 0 … F + 2p − 1

which is `line_sum` in kernels/lines.py. Without antialiasing, w[k] = h(k − p − (F − 1)/2), and for an odd F, this takes
every F-th pixel.

**Enlarging** is F times the adjoint of shrinking, `line_spread`, inside of the picture: both have the weight
h(i − (o + ½)/F + ½) between pixel i of the small and pixel o of the large line.

**Edges.** Outside of the picture, x is the pixel at the edge: x[−1] = x[0] and x[n] = x[n − 1].

Rows of pixels are combined first, then columns. All of this is linear, y = A x Bᵀ for each channel, so

    dx = Aᵀ dy B        ddy = A ddx Bᵀ        dx2 is None

**Bytes.** `enlarged` and `shrunk` also take bytes. As in MATLAB, each of the two steps, along columns and along rows,
then ends in bytes: ⌊v + ½⌋, clipped to 0 … 255. So they return the low pictures that are published with Set5 and Set14,
byte for byte (tests/layers/test_bicubic_sets.py). Pillow's "bicubic" has the same weights and leaves out pixels outside
of the picture; OpenCV's has a = −¾ and no antialiasing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from minigan.backend import array_module, is_array
from minigan.errors import ShapeError, described
from minigan.kernels.geometry import Pair, pair
from minigan.kernels.lines import line_spread, line_sum
from minigan.layers.base import Layer
from minigan.layers.reach import Window

REACH = 2  # h is zero from this distance on


def enlarged(x: Any, factor: int | Pair) -> Any:
    """Enlarge pictures (N, H, W, C), or one (H, W, C), to F·H × F·W. `factor` is F, or a pair (height, width).

    float32 and float64 are neither rounded nor clipped; bytes, uint8, become bytes.
    Raises ShapeError for another dtype or shape, or pictures without pixels.
    """
    return _of_any_kind(_enlarge_line, x, pair(factor, 1))


def shrunk(x: Any, factor: int | Pair, antialias: bool = True) -> Any:
    """Shrink pictures (N, H, W, C), or one (H, W, C), to H/F × W/F. `factor` is F, or a pair (height, width).

    float32 and float64 are neither rounded nor clipped; bytes, uint8, become bytes.
    Raises ShapeError for another dtype or shape, pictures without pixels, or sizes that aren't multiples of F.
    """
    factors = pair(factor, 1)
    if is_array(x) and any(n % f for n, f in zip(x.shape[-3:-1], factors, strict=False)):
        raise ShapeError(_not_a_multiple(x.shape, factors))
    return _of_any_kind(lambda x, axis, factor: _shrink_line(x, axis, factor, antialias), x, factors)


class _Scaling(Layer):
    """What both layers have in common."""

    def __init__(self, scale_factor: int | Pair = 2) -> None:
        self.scale_factor = scale_factor
        self._factors = pair(scale_factor, 1)

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, H, W, C) → y (N, OH, OW, C). Raises ShapeError for sizes that can't be scaled."""
        self.check_input(x, 4, None)
        self._check_size(x.shape)
        return _along_both(self._line, x, self._factors), x.shape

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy (N, OH, OW, C) → dx (N, H, W, C)."""
        # forward: y = A x Bᵀ
        for axis, factor in zip((2, 1), self._factors[::-1], strict=True):
            dy = self._line_adjoint(dy, axis, factor)
        return dy

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (N, H, W, C) → ddy (N, OH, OW, C), scaled; dx2 is None."""
        self.check_second(ddx, dy, cache)
        # backward: dx = Aᵀ dy B
        return _along_both(self._line, ddx, self._factors), None

    def _check_size(self, x_shape: tuple[int, ...]) -> None:
        if min(x_shape[1:3]) < 1:
            raise ShapeError(f"{self!r} takes pictures of at least one pixel, got {tuple(x_shape)}")

    def _line(self, x: Any, axis: int, factor: int) -> Any:
        """A x along one axis."""
        raise NotImplementedError

    def _line_adjoint(self, dy: Any, axis: int, factor: int) -> Any:
        """Aᵀ dy along one axis."""
        raise NotImplementedError


class BicubicUpsample(_Scaling):
    """Enlarge pictures by bicubic interpolation: x (N, H, W, C) → y (N, F·H, F·W, C).

    `scale_factor` is the number F or a pair (height, width). Weights and edges are those of the text above.
    Raises ShapeError for a picture without pixels.
    """

    def shapes(self, cache: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(N, H, W, C), (N, F·H, F·W, C)."""
        (N, H, W, C), (fh, fw) = cache, self._factors
        return cache, (N, fh * H, fw * W, C)

    def reach(self) -> Window:
        """A pixel contributes to F outputs of its own and to p on each side."""
        return Window(*_windows(self._factors), spread=True)

    def _line(self, x: Any, axis: int, factor: int) -> Any:
        return _enlarge_line(x, axis, factor)

    def _line_adjoint(self, dy: Any, axis: int, factor: int) -> Any:
        return _enlarge_line_adjoint(dy, axis, factor)


class BicubicDownsample(_Scaling):
    """Shrink pictures bicubically: x (N, H, W, C) → y (N, H/F, W/F, C).

    `scale_factor` is the number F or a pair (height, width). With `antialias=False`, patterns that are finer than the
    new pixels turn into false, coarser ones. Weights and edges are those of the text above.
    Raises ShapeError if height or width is zero or isn't a multiple of F.
    """

    def __init__(self, scale_factor: int | Pair = 2, antialias: bool = True) -> None:
        super().__init__(scale_factor)
        self.antialias = antialias

    def shapes(self, cache: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(N, H, W, C), (N, H/F, W/F, C)."""
        (N, H, W, C), (fh, fw) = cache, self._factors
        return cache, (N, H // fh, W // fw, C)

    def reach(self) -> Window:
        """An output sees F pixels of its own and p on each side."""
        return Window(*_windows(self._factors, self.antialias))

    def _check_size(self, x_shape: tuple[int, ...]) -> None:
        super()._check_size(x_shape)
        if any(n % f for n, f in zip(x_shape[1:3], self._factors, strict=True)):
            raise ShapeError(f"{self!r}: {_not_a_multiple(x_shape, self._factors)}")

    def _line(self, x: Any, axis: int, factor: int) -> Any:
        return _shrink_line(x, axis, factor, self.antialias)

    def _line_adjoint(self, dy: Any, axis: int, factor: int) -> Any:
        return _shrink_line_adjoint(dy, axis, factor, self.antialias)


@lru_cache(maxsize=32)
def weights(factor: int, antialias: bool = True) -> tuple[np.ndarray, int]:
    """Return the weights w (F + 2p,) of the pixels in an output of shrinking by F, read-only, and p. They sum to 1."""
    width = factor if antialias else 1
    p = max(0, REACH * width - (factor + 1) // 2) if factor > 1 else 0  # pixels farther away have weight 0
    t = np.abs(np.arange(factor + 2 * p) - p - (factor - 1) / 2) / width
    near = 1.5 * t**3 - 2.5 * t**2 + 1
    far = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    w = np.where(t <= 1, near, np.where(t < REACH, far, 0)) / width
    w.flags.writeable = False
    return w, p


# Along one axis of (N, H, W, C): each map with its adjoint


def _shrink_line(x: Any, axis: int, factor: int, antialias: bool) -> Any:
    """A x: n pixels → n/F."""
    w, p = weights(factor, antialias)
    return line_sum(_framed(x, axis, p), w, factor, axis)


def _shrink_line_adjoint(dy: Any, axis: int, factor: int, antialias: bool) -> Any:
    """Aᵀ dy: n/F pixels → n."""
    w, p = weights(factor, antialias)
    # forward: y = line_sum(framed(x), w)
    return _framed_adjoint(line_spread(dy, w, factor, axis), axis, p)


def _enlarge_line(x: Any, axis: int, factor: int) -> Any:
    """A x: n pixels → F·n."""
    w, p = weights(factor)
    spread = line_spread(_framed(x, axis, REACH), factor * w, factor, axis)  # F·n + 2·(F·REACH + p)
    return spread[_inside(spread, axis, factor * REACH + p)].copy()


def _enlarge_line_adjoint(dy: Any, axis: int, factor: int) -> Any:
    """Aᵀ dy: F·n pixels → n."""
    w, p = weights(factor)
    around = [(factor * REACH + p,) * 2 if i == axis else (0, 0) for i in range(4)]
    # forward: y = line_spread(framed(x), F·w) without F·REACH + p pixels at each end
    return _framed_adjoint(line_sum(array_module(dy).pad(dy, around), factor * w, factor, axis), axis, REACH)


def _framed(x: Any, axis: int, p: int) -> Any:
    """Repeat the pixels at both ends of an axis p times: n pixels → n + 2p."""
    first, last = x[_part(axis, 0, 1)], x[_part(axis, x.shape[axis] - 1, None)]
    return array_module(x).concatenate([first] * p + [x] + [last] * p, axis=axis)


def _framed_adjoint(dy: Any, axis: int, p: int) -> Any:
    """Add what lies at the places of the frame to the pixels at the ends: n + 2p pixels → n."""
    dx = dy[_inside(dy, axis, p)].copy()
    n = dx.shape[axis]
    # forward: y[k] = x[0] for k < p, y[p + n + k] = x[n − 1]
    dx[_part(axis, 0, 1)] += dy[_part(axis, 0, p)].sum(axis=axis, keepdims=True)
    dx[_part(axis, n - 1, n)] += dy[_part(axis, p + n, None)].sum(axis=axis, keepdims=True)
    return dx


def _inside(x: Any, axis: int, cut: int) -> tuple[slice, ...]:
    """The place of all pixels along an axis but `cut` at each end."""
    return _part(axis, cut, x.shape[axis] - cut)


def _part(axis: int, start: int, stop: int | None) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, slice(start, stop))


def _along_both(line: Callable[[Any, int, int], Any], x: Any, factors: Pair) -> Any:
    """A x Bᵀ of x (N, H, W, C): columns of pixels, then rows."""
    for axis, factor in zip((1, 2), factors, strict=True):
        x = line(x, axis, factor)
    return x


def _of_any_kind(line: Callable[[Any, int, int], Any], x: Any, factors: Pair) -> Any:
    """A x Bᵀ of pictures (N, H, W, C) or one (H, W, C), of floats or bytes."""
    if (
        not is_array(x)
        or x.ndim not in (3, 4)
        or x.dtype not in (np.uint8, np.float32, np.float64)
        or 0 in x.shape[-3:]
    ):
        got = f"{tuple(x.shape)} of {x.dtype}" if is_array(x) else described(x)
        raise ShapeError(f"pictures that are scaled are (N, H, W, C) or (H, W, C) of floats or bytes, got {got}")
    y = x if x.ndim == 4 else x[None]
    if x.dtype == np.uint8:
        y = _along_both(lambda y, axis, factor: _bytes(line(y.astype(np.float64), axis, factor)), y, factors)
    else:
        y = _along_both(line, y, factors)
    return y if x.ndim == 4 else y[0]


def _bytes(v: Any) -> Any:
    """⌊v + ½⌋, clipped to 0 … 255."""
    xp = array_module(v)
    return xp.clip(xp.floor(v + 0.5), 0, 255).astype(np.uint8)


def _windows(factors: Pair, antialias: bool = True) -> tuple[Pair, Pair, Pair]:
    """Kernel, stride and padding for `reach`: an output of shrinking sees F pixels and p on each side."""
    p = tuple(weights(factor, antialias)[1] for factor in factors)
    return (factors[0] + 2 * p[0], factors[1] + 2 * p[1]), factors, (p[0], p[1])


def _not_a_multiple(shape: tuple[int, ...], factors: Pair) -> str:
    return f"height and width must be multiples of {factors[0]} and {factors[1]}: cut the picture {tuple(shape)}"
