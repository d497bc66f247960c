"""One normalisation, to second order. Batch, layer and instance norm differ only in the axes.

Over `axes`, m numbers at a time, with ⟨·⟩ for the mean over them:

    μ = ⟨x⟩        σ = √(⟨(x − μ)²⟩ + ε)        x̂ = (x − μ)/σ

First order. The two facts that everything follows from:

    ∂σ/∂x = x̂/m            (σ² = ⟨(x − μ)²⟩ + ε, and moving μ changes nothing, because ⟨x − μ⟩ = 0)
    δx̂ = (δx − ⟨δx⟩ − x̂ ⟨x̂ δx⟩)/σ =: J δx

J is symmetric, so backward is J again. With g = dx̂ = ∂L/∂x̂:

    dx = J g = (g − ⟨g⟩ − x̂ ⟨x̂ g⟩)/σ

Second order. P depends on dx = J g, and J depends on x through x̂ and σ. Let v = ddx = ∂P/∂(dx), so that
P changes by Σ v δ(dx). By the symmetry of J

    ddx̂ = J v

and for x, write out what is differentiated, with a = ⟨x̂ g⟩ and b = ⟨x̂ v⟩:

    Σ v J g = (m/σ) (⟨v g⟩ − ⟨v⟩⟨g⟩ − a b)

    through x̂:   −(1/σ)(a v + b g)                                       goes back to x by J
    through 1/σ:  m (⟨v g⟩ − ⟨v⟩⟨g⟩ − a b) · ∂(1/σ)/∂x = −(…) · x̂/σ²     because ∂(1/σ)/∂x = −x̂/(m σ²)

    dx2 = −J(a v + b g)/σ − (⟨v g⟩ − ⟨v⟩⟨g⟩ − a b) · x̂/σ²

Everything holds with ε > 0, where ⟨x̂²⟩ is a little less than 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import prod
from operator import mul
from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.threads.partition import over_rows

Axes = tuple[int, ...]


def normalize(x: Any, axes: Axes, eps: float) -> tuple[Any, Any]:
    """Return x̂ (the shape of x) and 1/σ (of length 1 along `axes`)."""
    centred, rest, inv_sigma, _, _ = centre(x, axes, eps)
    standardize(centred, rest, inv_sigma)
    return centred, inv_sigma


def centre(x: Any, axes: Axes, eps: float) -> tuple[Any, Any, Any, Any, Any]:
    """What `normalize` does, but for its last pass: return centred (like x), rest, 1/σ, μ and the variance σ² − ε.

    x̂ = (centred − rest)/σ, with centred = x − near for a number near μ, and rest = ⟨centred⟩ = μ − near. Subtracting
    the mean at once would not do: it is rounded, and in float32 a mean of 100 is off by a few millionths, which is much
    where σ is a thousandth. Numbers that are near to each other are subtracted without rounding, and centred and rest
    are of the size of σ, so their rounding is relative to σ.

    Any number near μ will do: it is the mean of every fourth number along one axis. The square of rest is then at most
    three times the variance, whatever x is, so ⟨centred²⟩ − rest², the variance, loses at most two bits.
    """
    xp = array_module(x)
    near = mean(x[(slice(None),) * axes[0] + (slice(None, None, 4),)], axes)
    centred = xp.empty(x.shape, x.dtype)

    def work(rows: slice) -> tuple[Any, Any]:
        c = centred[rows]
        xp.subtract(x[rows], of_rows(near, rows), out=c)
        return _partial_sum((c,), axes), _partial_sum((c, c), axes)

    sums, squares = zip(*over_rows(work, x), strict=True)
    rest = _total(sums, axes, x.shape) / _count(x, axes)
    var = _total(squares, axes, x.shape) / _count(x, axes) - rest * rest
    return centred, rest, 1 / xp.sqrt(var + eps), near + rest, var


def standardize(centred: Any, rest: Any, inv_sigma: Any) -> None:
    """centred becomes x̂ = (centred − rest)/σ."""

    def work(rows: slice) -> None:
        x_hat = centred[rows]
        x_hat -= of_rows(rest, rows)
        x_hat *= of_rows(inv_sigma, rows)

    over_rows(work, centred)


def normalize_backward(
    dx_hat: Any, x_hat: Any, inv_sigma: Any, axes: Axes, means: tuple[Any, Any] | None = None
) -> Any:
    """dx = J dx̂ = (dx̂ − ⟨dx̂⟩ − x̂ ⟨x̂ dx̂⟩)/σ. `means`: ⟨x̂ dx̂⟩ and ⟨dx̂⟩, if they are known already."""
    xp = array_module(x_hat)
    if means is None:
        means = tuple(total / _count(x_hat, axes) for total in sum_products(((x_hat, dx_hat), (dx_hat,)), axes))
    dx = xp.empty(x_hat.shape, x_hat.dtype)

    def work(rows: slice) -> None:
        dx_rows = dx[rows]
        xp.multiply(x_hat[rows], of_rows(-means[0], rows), out=dx_rows)
        dx_rows += dx_hat[rows]
        dx_rows -= of_rows(means[1], rows)
        dx_rows *= of_rows(inv_sigma, rows)

    over_rows(work, dx)
    return dx


def normalize_double_backward(ddx: Any, dx_hat: Any, x_hat: Any, inv_sigma: Any, axes: Axes) -> tuple[Any, Any]:
    """Return ddx̂ = J ddx, and dx2 (see above; v is ddx, g is dx̂)."""
    v, g = ddx, dx_hat
    a, b = mean_product(x_hat, g, axes), mean_product(x_hat, v, axes)
    through_x_hat = normalize_backward(a * v + b * g, x_hat, inv_sigma, axes)
    covariance = mean_product(v, g, axes) - mean(v, axes) * mean(g, axes) - a * b
    dx2 = -inv_sigma * (through_x_hat + covariance * inv_sigma * x_hat)
    return normalize_backward(v, x_hat, inv_sigma, axes), dx2


def mean(x: Any, axes: Axes) -> Any:
    """⟨x⟩ over `axes`, which stay with length 1."""
    return sum_product((x,), axes) / _count(x, axes)


def mean_product(x: Any, y: Any, axes: Axes) -> Any:
    """⟨x y⟩ over `axes`, which stay with length 1."""
    return sum_product((x, y), axes) / _count(x, axes)


def sum_product(factors: tuple[Any, ...], axes: Axes) -> Any:
    """Σ of the product of `factors` over `axes`, which stay with length 1. On a CPU the product is not stored.

    The last two axes are summed first (the batch never is), then the others one by one: short sums in place of a
    long one, because in float32 the rounding error of a sum grows with its length. A GPU sums by halves anyway.
    """
    return sum_products((factors,), axes)[0]


def sum_products(products: tuple[tuple[Any, ...], ...], axes: Axes) -> list[Any]:
    """`sum_product` of each, in one pass through arrays of the same shape."""
    x = products[0][0]

    def work(rows: slice) -> list[Any]:
        return [_partial_sum(tuple(factor[rows] for factor in factors), axes) for factors in products]

    parts = over_rows(work, x)
    return [_total([part[i] for part in parts], axes, x.shape) for i in range(len(products))]


def of_rows(statistic: Any, rows: slice) -> Any:
    """The part of an array of length 1 along the normalised axes that belongs to some rows of x."""
    return statistic if len(statistic) == 1 else statistic[rows]


def _partial_sum(factors: tuple[Any, ...], axes: Axes) -> Any:
    """Σ of the product of `factors` over all of `axes` but the first axis of the array; they are dropped."""
    x, xp = factors[0], array_module(factors[0])
    if xp is not np:  # CuPy's einsum would multiply rows with rows, one product of matrices for each
        product = reduce(mul, factors)
        within = tuple(axis for axis in axes if axis > 0)
        return product.sum(axis=within) if within else product
    letters = "abcdefgh"[: x.ndim]
    first = [axis for axis in axes if axis >= max(1, x.ndim - 2)]
    kept = "".join(letter for axis, letter in enumerate(letters) if axis not in first)
    sums = np.einsum(",".join([letters] * len(factors)) + "->" + kept, *factors)
    for axis in reversed(axes):
        if axis > 0 and axis not in first:  # those that are gone came after it, so it still has its number
            sums = sums.sum(axis=axis)
    return sums


def _total(parts: Sequence[Any], axes: Axes, shape: tuple[int, ...]) -> Any:
    """Join the partial sums of all rows, and sum over the first axis if it is one of `axes`."""
    sums = parts[0] if len(parts) == 1 else array_module(parts[0]).concatenate(parts)
    if 0 in axes:
        sums = sums.sum(axis=0)
    return sums.reshape(tuple(1 if axis in axes else length for axis, length in enumerate(shape)))


def _count(x: Any, axes: Axes) -> int:
    return prod(x.shape[axis] for axis in axes)
