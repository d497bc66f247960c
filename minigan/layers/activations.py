"""Activations: y = f(x), element by element.

First order, with dy = ∂L/∂y, and second order, with ddx = ∂P/∂(dx) for a scalar P of dx, both follow from f′ and f″:

    dx  = dy · f′(x)
    ddy = ddx · f′(x)           P reaches dx through its factor dy …
    dx2 = ddx · dy · f″(x)      … and through its factor f′(x)

`Activation` has these lines. A subclass states f, f′ and f″, such as `Tanh`. f″ of a piecewise linear function is zero
away from the kink, so its dx2 is None. At the kink, x = 0, f′ is the slope of the left side.

Without the f″ of a smooth activation a gradient penalty still trains, but down a wrong gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.errors import ShapeError
from minigan.kernels.elementwise import by_rows, step
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
    """y = f(x) for x of any shape. A subclass writes three methods, in NumPy's functions of the arrays that it is given:

        f(x)                        y. With an argument `out`, as NumPy's functions have, y is written there
        derivative(y)               f′(x), in terms of y: the next layer keeps y anyway
        second_derivative(y)        f″(x); a piecewise linear function doesn't have this method

    With `keeps_x = True`, the two derivatives are given x in place of y.
    """

    per_pixel = True
    keeps_x = False
    second_derivative: Callable[[Any], Any] | None = None

    def f(self, x: Any) -> Any:
        """y = f(x), a new array."""
        raise self._lacks("f", "f(self, x)")

    def derivative(self, y: Any) -> Any:
        """f′(x), of the shape of y."""
        raise self._lacks("derivative", "derivative(self, y)")

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x → y of the same shape."""
        self.check_input(x, None, None)
        y = by_rows(self.f, x)
        return y, (x if self.keeps_x else y)

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dx = dy · f′(x)."""
        # forward: y = f(x)
        return by_rows(self._times_derivative, dy, cache)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddy = ddx · f′(x), dx2 = ddx · dy · f″(x)."""
        self.check_second(ddx, dy, cache)
        # backward: dx = dy · f′(x)
        ddy = by_rows(self._times_derivative, ddx, cache)
        if self.second_derivative is None:
            return ddy, None
        return ddy, by_rows(self._times_second_derivative, ddx, dy, cache)

    def _times_derivative(self, a: Any, y: Any, out: Any = None) -> Any:
        return array_module(a).multiply(a, self.derivative(y), out=out)

    def _times_second_derivative(self, ddx: Any, dy: Any, y: Any, out: Any = None) -> Any:
        return array_module(dy).multiply(ddx * dy, self.second_derivative(y), out=out)

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """y has the shape of x."""
        return cache.shape, cache.shape


class ReLU(Activation):
    """y = max(x, 0)."""

    def f(self, x: Any, out: Any = None) -> Any:
        """x where x > 0, else 0."""
        return array_module(x).maximum(x, 0, out=out)

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
        return array_module(x).maximum(x, y, out=y)

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
