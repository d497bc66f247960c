"""Activations: y = f(x), element by element.

`Activation` holds their derivatives, to first and to second order: with v = ddx = ∂P/∂(dx) for a scalar P of dx,

    dx  = dy · f′(x)
    ddy = v · f′(x)             P depends on dx, and dx on its factor dy …
    dx2 = v · dy · f″(x)        … and, through its factor f′(x), on x

A subclass states f, f′ and f″. Of a piecewise linear function f″ is zero except at the kink, so dx2 is None; at the
kink f′ is that of the left side. Of a smooth one f″ must not be forgotten: a gradient penalty would still train, but
along a wrong gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.errors import ShapeError
from minigan.kernels.elementwise import by_rows, negative_part, positive_part, scale_channels, step
from minigan.kernels.reductions import sum_over
from minigan.layers.base import Layer


def sigmoid(x: Any) -> Any:
    """1 / (1 + e^−x), without overflow: e^−|x| is at most 1."""
    xp = array_module(x)
    e = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1, e) / (1 + e)


def softplus(x: Any) -> Any:
    """log(1 + e^x), without overflow: max(x, 0) + log(1 + e^−|x|)."""
    xp = array_module(x)
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))


class Activation(Layer):
    """y = f(x), x of any shape. A subclass writes, for arrays x and y of which it may get a part of the rows,

        f(x)                     y. With an argument `out`, as NumPy's functions have it, it can write into that array
        derivative(y)            f′(x), computed from y: the next layer keeps y anyway
        second_derivative(y)     f″(x), computed from y; None, as here, for a piecewise linear function

    With `keeps_x = True`, both derivatives get x in place of y.
    """

    per_pixel = True
    keeps_x = False
    second_derivative: Callable[[Any], Any] | None = None

    def f(self, x: Any) -> Any:
        """y = f(x)."""
        raise self._lacks("f", "f(self, x)")

    def derivative(self, y: Any) -> Any:
        """f′(x)."""
        raise self._lacks("derivative", "derivative(self, y)")

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x → y of the same shape."""
        self.check_input(x, None, None)
        y = by_rows(self.f, x)
        return y, x if self.keeps_x else y

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy → dx of the same shape."""
        # forward: y = f(x)
        return by_rows(self._times_derivative, dy, cache)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx → ddy and dx2 of the same shape."""
        self.check_second(ddx, dy, cache)
        # backward: dx = dy · f′(x)
        ddy = by_rows(self._times_derivative, ddx, cache)
        return ddy, by_rows(self._dx2, ddx, dy, cache) if self.second_derivative else None

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """y has the shape of x."""
        return cache.shape, cache.shape

    def _times_derivative(self, a: Any, y: Any, out: Any = None) -> Any:
        return array_module(a).multiply(a, self.derivative(y), out=out)

    def _dx2(self, ddx: Any, dy: Any, y: Any, out: Any = None) -> Any:
        return array_module(dy).multiply(ddx * dy, self.second_derivative(y), out=out)  # type: ignore[misc]


class ReLU(Activation):
    """y = max(x, 0)."""

    def f(self, x: Any, out: Any = None) -> Any:
        """x where x > 0, else 0."""
        return positive_part(x, out)

    def derivative(self, y: Any) -> Any:
        """1 where x > 0, else 0."""
        return y > 0


class LeakyReLU(Activation):
    """y = x where x > 0, else slope · x (Maas et al. 2013).

    Raises ValueError for a slope outside [0, 1].
    """

    def __init__(self, negative_slope: float = 0.2) -> None:
        if not 0 <= negative_slope <= 1:
            raise ValueError(f"negative_slope is {negative_slope}: it must be between 0 and 1")
        self.negative_slope = float(negative_slope)

    def f(self, x: Any, out: Any = None) -> Any:
        """The larger of x and slope · x, as the slope is at most 1."""
        y = array_module(x).multiply(x, self.negative_slope, out=out)
        return array_module(x).maximum(x, y, out=out)

    def derivative(self, y: Any) -> Any:
        """1 where x > 0, else the slope. y has the sign of x."""
        return step(y, self.negative_slope)


class Tanh(Activation):
    """y = tanh x, in (−1, 1)."""

    def f(self, x: Any, out: Any = None) -> Any:
        """tanh x."""
        return array_module(x).tanh(x, out=out)

    def derivative(self, y: Any) -> Any:
        """1 − y²."""
        return 1 - y * y

    def second_derivative(self, y: Any) -> Any:
        """−2 y (1 − y²)."""
        return -2 * y * (1 - y * y)


class Sigmoid(Activation):
    """y = 1 / (1 + e^−x), in (0, 1)."""

    def f(self, x: Any) -> Any:
        """1 / (1 + e^−x)."""
        return sigmoid(x)

    def derivative(self, y: Any) -> Any:
        """y (1 − y)."""
        return y * (1 - y)

    def second_derivative(self, y: Any) -> Any:
        """y (1 − y)(1 − 2 y)."""
        return y * (1 - y) * (1 - 2 * y)


class Softplus(Activation):
    """y = log(1 + e^(βx)) / β, a smooth ReLU. Its f′ is s = sigmoid(βx) = 1 − e^(−βy)."""

    def __init__(self, beta: float = 1.0) -> None:
        if not beta > 0:
            raise ValueError(f"beta is {beta}: it must be greater than 0")
        self.beta = float(beta)

    def f(self, x: Any) -> Any:
        """log(1 + e^(βx)) / β."""
        return softplus(self.beta * x) / self.beta

    def derivative(self, y: Any) -> Any:
        """s; expm1 keeps the digits where it is small."""
        return -array_module(y).expm1(-self.beta * y)

    def second_derivative(self, y: Any) -> Any:
        """β s (1 − s)."""
        s = self.derivative(y)
        return self.beta * s * (1 - s)


class PReLU(Layer):
    """A leaky ReLU that learns its slope (He et al. 2015), one for all or one per channel (last axis): slope (A,).

        y   = x where x > 0, else slope · x
        dx  = dy · f′(x)        dslope = Σ dy · min(x, 0)

    Second order, with v = ddx: dx = dy · slope where x ≤ 0, so P depends on the slope as well:

        ddy = v · f′(x)         dslope += Σ_{x ≤ 0} v · dy         dx2 is None
    """

    per_pixel = True

    def __init__(self, num_parameters: int = 1, init: float = 0.25) -> None:
        self.num_parameters, self.init = num_parameters, init
        self.add_parameters(slope=np.full(num_parameters, init, np.float32))

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (…, C) → y (…, C), where C is `num_parameters` unless that is 1."""
        self.check_input(x, None, self.num_parameters if self.num_parameters > 1 else None)
        return by_rows(self._leaky, x), x

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy (…, C) → dx (…, C)."""
        # forward: y = max(x, 0) + slope · min(x, 0)
        return self._times_derivative(dy, cache)

    def backward_params(self, dy: Any, cache: Any) -> None:
        """Add the slope's gradient."""
        # forward: y = max(x, 0) + slope · min(x, 0)
        self._add_to_dslope(dy, by_rows(negative_part, cache))

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (…, C) → ddy (…, C), and the slope's gradient; dx2 is None."""
        self.check_second(ddx, dy, cache)
        # backward: dx = dy where x > 0, else slope · dy
        self._add_to_dslope(ddx, dy, (cache <= 0).astype(dy.dtype))
        return self._times_derivative(ddx, cache), None

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """y has the shape of x."""
        return cache.shape, cache.shape

    def _leaky(self, x: Any, out: Any = None) -> Any:
        """max(x, 0) + slope · min(x, 0). `where` would take ten times as long, because signs can't be predicted."""
        y = negative_part(x, out)
        scale_channels(y, self.slope)
        y += positive_part(x)
        return y

    def _times_derivative(self, a: Any, x: Any) -> Any:
        """a where x > 0, else slope · a."""
        slope = self._slope(x)
        return by_rows(lambda a, x, out=None: array_module(a).multiply(a, step(x, slope), out=out), a, x)

    def _add_to_dslope(self, *factors: Any) -> None:
        """Add the sum of a product (…, C) over all its axes, or all but the last."""
        sums = sum_over(factors, tuple(range(factors[0].ndim - 1)))
        self.dslope += sums.reshape(-1, self.num_parameters).sum(axis=0)  # (C,) or (C, 1) → (A,)

    def _slope(self, x: Any) -> Any:
        return self.slope.astype(x.dtype, copy=False)


class Maxout(Layer):
    """y_k = max over p of x_{k, p}: the largest of `pieces` neighbors (Goodfellow et al. 2013).

    x (…, K·pieces) is read as (…, K, pieces) → y (…, K). The gradient goes to the largest piece:

        dx = dy · winner        ddy = Σ_pieces ddx · winner        dx2 is None

    where winner (pieces, …, K) is 1 at the first largest piece and 0 elsewhere.
    """

    per_pixel = True

    def __init__(self, pieces: int) -> None:
        if pieces < 1:
            raise ValueError(f"pieces is {pieces}: it must be at least 1")
        self.pieces = pieces

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (…, K·pieces) → y (…, K). Raises ShapeError if the last axis can't be cut into `pieces`."""
        self.check_input(x, None, None)
        if x.shape[-1] % self.pieces:
            raise ShapeError(f"{self!r} can't cut the last axis of the input {tuple(x.shape)} into pieces")
        x_pieces = self._pieces_first(x).copy()  # so that max is several times as fast as over a short last axis
        y = x_pieces.max(axis=0)
        winner = x_pieces == y
        for piece in range(1, self.pieces):  # of equal pieces the first one wins
            winner[piece] &= ~winner[:piece].any(axis=0)
        return y, winner

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy (…, K) → dx (…, K·pieces)."""
        dx = array_module(dy).empty((*dy.shape, self.pieces), dy.dtype)
        for piece in range(self.pieces):
            # forward: y = max over pieces of x
            array_module(dy).multiply(dy, cache[piece], out=dx[..., piece])
        return dx.reshape(*dy.shape[:-1], dy.shape[-1] * self.pieces)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (…, K·pieces) → ddy (…, K); dx2 is None."""
        self.check_second(ddx, dy, cache)
        # backward: dx = dy · winner
        return (self._pieces_first(ddx) * cache).sum(axis=0), None

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """x has `pieces` times as many channels as y."""
        y_shape = cache.shape[1:]
        return (*y_shape[:-1], y_shape[-1] * self.pieces), y_shape

    def _pieces_first(self, x: Any) -> Any:
        """x (…, K·pieces) → (pieces, …, K)."""
        return array_module(x).moveaxis(x.reshape(*x.shape[:-1], x.shape[-1] // self.pieces, self.pieces), -1, 0)
