"""Activations: y = f(x), element by element.

With v = ddx = ∂P/∂(dx), every one of them follows from f′ and f″:

    first order     dx = dy · f′(x)
    second order    dx is a product, so P reaches dy through f′ and x through f″:
                    ddy = v · f′(x)          dx2 = v · dy · f″(x)

For the piecewise linear ones f″ is zero except at the kink, so dx2 is nothing. For the smooth ones the f″ term is the
one that is easily forgotten: without it a gradient penalty trains, but down a wrong gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.errors import ShapeError
from minigan.layers.base import Layer, Wrt
from minigan.threads.partition import over_rows


def sigmoid(x: Any) -> Any:
    """1 / (1 + e^−x), without overflow: e^−|x| is at most 1."""
    xp = array_module(x)
    e = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1, e) / (1 + e)


def softplus(x: Any) -> Any:
    """log(1 + e^x), without overflow: max(x, 0) + log(1 + e^−|x|)."""
    xp = array_module(x)
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))


class LeakyReLU(Layer):
    """y = x where x > 0, else slope · x (Maas et al. 2013). f′ is 1 or slope (slope at 0); f″ = 0.

    Raises ValueError for a slope outside [0, 1].
    """

    per_pixel = True

    def __init__(self, negative_slope: float = 0.2) -> None:
        if not 0 <= negative_slope <= 1:
            raise ValueError(f"negative_slope is {negative_slope}: it must be between 0 and 1")
        self.negative_slope = float(negative_slope)

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x → y, of any shape."""
        self.check_input(x, None, None)
        xp, y = array_module(x), _empty_like(x)

        def work(rows: slice) -> None:  # as the slope is at most 1, y is the larger of x and slope · x
            x_rows, y_rows = x[rows], y[rows]
            xp.multiply(x_rows, self.negative_slope, out=y_rows)
            xp.maximum(x_rows, y_rows, out=y_rows)

        over_rows(work, y)
        return y, y  # y has the sign of x, and whatever comes next keeps it anyway

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dx = dy · f′(x)."""
        y = cache
        self.check_dy(dy, y.shape, wrt)
        return _times_step(dy, y, self.negative_slope) if wrt != "params" else None

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddy = ddx · f′(x); f″ = 0, so dx2 is nothing."""
        y = cache
        self.check_ddx(ddx, y.shape, dy, y.shape)
        return _times_step(ddx, y, self.negative_slope), None


class ReLU(Layer):
    """y = max(x, 0). f′ is 1 or 0 (0 at 0); f″ = 0."""

    per_pixel = True

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x → y, of any shape."""
        self.check_input(x, None, None)
        xp, y = array_module(x), _empty_like(x)
        over_rows(lambda rows: xp.maximum(x[rows], 0, out=y[rows]), y)
        return y, y  # y > 0 where x > 0, and whatever comes next keeps y anyway

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dx = dy · f′(x)."""
        y = cache
        self.check_dy(dy, y.shape, wrt)
        return _times_step(dy, y, 0) if wrt != "params" else None

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddy = ddx · f′(x); f″ = 0, so dx2 is nothing."""
        y = cache
        self.check_ddx(ddx, y.shape, dy, y.shape)
        return _times_step(ddx, y, 0), None


def _times_step(a: Any, y: Any, slope: float) -> Any:
    """a where y > 0, else slope · a."""
    xp = array_module(a)
    if xp is not np:
        return xp.where(y > 0, a, slope * a) if slope else a * (y > 0)
    result = _empty_like(a)
    slope = a.dtype.type(slope)  # so that (1 − slope) + slope is 1, to the last bit

    def work(rows: slice) -> None:
        # NumPy does this several times as fast as where, a GPU doesn't
        positive = y[rows] > 0
        if slope:
            positive = positive.astype(a.dtype)  # 1 or 0, and then 1 or slope
            positive *= 1 - slope
            positive += slope
        xp.multiply(a[rows], positive, out=result[rows])

    over_rows(work, result)
    return result


def _empty_like(x: Any) -> Any:
    return array_module(x).empty(x.shape, x.dtype)


class PReLU(Layer):
    """A leaky ReLU that learns its slope (He et al. 2015), one for all or one per channel (last axis): slope (A,).

        y   = x where x > 0, else slope · x
        dx  = dy · f′(x)        dslope = Σ dy · min(x, 0)

    Second order, with v = ddx: dx = dy · slope where x ≤ 0, so P reaches the slope as well:

        ddy = v · f′(x)         dslope += Σ_{x ≤ 0} v · dy         dx2 is nothing
    """

    per_pixel = True

    def __init__(self, num_parameters: int = 1, init: float = 0.25) -> None:
        self.num_parameters, self.init = num_parameters, init
        self.add_parameters(slope=np.full(num_parameters, init, np.float32))

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (…, C) → y (…, C), where C is `num_parameters` unless that is 1."""
        self.check_input(x, None, self.num_parameters if self.num_parameters > 1 else None)
        return array_module(x).where(x > 0, x, x * self._slope_like(x)), x

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dx = dy · f′(x), and the slope's gradient."""
        x = cache
        self.check_dy(dy, x.shape, wrt)
        xp = array_module(x)
        if wrt != "input":
            # forward: y = slope · x where x ≤ 0
            self._add_dslope(dy * xp.minimum(x, 0))
        return xp.where(x > 0, dy, dy * self._slope_like(x)) if wrt != "params" else None

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddy = ddx · f′(x), and what P adds to the slope's gradient; dx2 is nothing."""
        x = cache
        self.check_ddx(ddx, x.shape, dy, x.shape)
        # backward: dx = slope · dy where x ≤ 0
        self._add_dslope(ddx * dy * (x <= 0))
        return array_module(x).where(x > 0, ddx, ddx * self._slope_like(x)), None

    def _slope_like(self, x: Any) -> Any:
        return self.slope.astype(x.dtype, copy=False)

    def _add_dslope(self, products: Any) -> None:
        self.dslope += products.reshape(-1, self.num_parameters).sum(axis=0)  # (M, A) → (A,)


class Tanh(Layer):
    """y = tanh x. f′ = 1 − y²; f″ = −2 y (1 − y²)."""

    per_pixel = True

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x → y in (−1, 1), of any shape."""
        self.check_input(x, None, None)
        xp, y = array_module(x), _empty_like(x)
        over_rows(lambda rows: xp.tanh(x[rows], out=y[rows]), y)
        return y, y

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dx = dy · (1 − y²)."""
        y = cache
        self.check_dy(dy, y.shape, wrt)
        return dy * (1 - y * y) if wrt != "params" else None

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddy = ddx · f′, dx2 = ddx · dy · f″."""
        y = cache
        self.check_ddx(ddx, y.shape, dy, y.shape)
        ddy = ddx * (1 - y * y)
        return ddy, ddy * dy * (-2 * y)


class Sigmoid(Layer):
    """y = 1 / (1 + e^−x). f′ = y (1 − y); f″ = y (1 − y)(1 − 2 y)."""

    per_pixel = True

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x → y in (0, 1), of any shape."""
        self.check_input(x, None, None)
        y = sigmoid(x)
        return y, y

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dx = dy · y (1 − y)."""
        y = cache
        self.check_dy(dy, y.shape, wrt)
        return dy * y * (1 - y) if wrt != "params" else None

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddy = ddx · f′, dx2 = ddx · dy · f″."""
        y = cache
        self.check_ddx(ddx, y.shape, dy, y.shape)
        ddy = ddx * y * (1 - y)
        return ddy, ddy * dy * (1 - 2 * y)


class Softplus(Layer):
    """y = log(1 + e^(βx)) / β, a smooth ReLU. With s = sigmoid(βx): f′ = s; f″ = β s (1 − s)."""

    per_pixel = True

    def __init__(self, beta: float = 1.0) -> None:
        if not beta > 0:
            raise ValueError(f"beta is {beta}: it must be greater than 0")
        self.beta = float(beta)

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x → y > 0, of any shape."""
        self.check_input(x, None, None)
        return softplus(self.beta * x) / self.beta, sigmoid(self.beta * x)

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dx = dy · s."""
        s = cache
        self.check_dy(dy, s.shape, wrt)
        return dy * s if wrt != "params" else None

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddy = ddx · f′, dx2 = ddx · dy · f″."""
        s = cache
        self.check_ddx(ddx, s.shape, dy, s.shape)
        ddy = ddx * s
        return ddy, ddy * dy * (self.beta * (1 - s))


class Maxout(Layer):
    """y_k = max over p of x_{k, p}: the largest of `pieces` neighbours (Goodfellow et al. 2013).

    x (…, K·pieces) is read as (…, K, pieces) → y (…, K). The gradient goes to the piece that won:

        dx = dy · winner        ddy = Σ_pieces v · winner        dx2 is nothing

    where winner (pieces, …, K) is 1 at the first largest piece and 0 elsewhere, and v = ddx.
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
        xp = array_module(x)
        x_pieces = xp.moveaxis(
            self._cut(x), -1, 0
        ).copy()  # (pieces, …, K): several times as fast as max over a short axis
        y = x_pieces.max(axis=0)
        winner = x_pieces == y
        for piece in range(1, self.pieces):  # of equal pieces the first one wins
            winner[piece] &= ~winner[:piece].any(axis=0)
        return y, winner

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy (…, K) → dx (…, K·pieces)."""
        winner = cache  # (pieces, …, K)
        self.check_dy(dy, winner.shape[1:], wrt)
        if wrt == "params":
            return None
        dx = array_module(dy).empty((*dy.shape, self.pieces), dy.dtype)
        for piece in range(self.pieces):
            # forward: y = max over pieces of x
            array_module(dy).multiply(dy, winner[piece], out=dx[..., piece])
        return dx.reshape(*dy.shape[:-1], dy.shape[-1] * self.pieces)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (…, K·pieces) → ddy (…, K); dx2 is nothing."""
        winner = cache
        y_shape = winner.shape[1:]
        self.check_ddx(ddx, (*y_shape[:-1], y_shape[-1] * self.pieces), dy, y_shape)
        # backward: dx = dy · winner
        return (array_module(ddx).moveaxis(self._cut(ddx), -1, 0) * winner).sum(axis=0), None

    def _cut(self, x: Any) -> Any:
        return x.reshape(*x.shape[:-1], x.shape[-1] // self.pieces, self.pieces)
