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

from math import prod
from typing import Any

from minigan.backend import array_module

Axes = tuple[int, ...]


def normalize(x: Any, axes: Axes, eps: float) -> tuple[Any, Any, Any, Any]:
    """Return x̂ (the shape of x), 1/σ, μ and the variance (of length 1 along `axes`)."""
    mu = mean(x, axes)
    x_hat = x - mu
    var = mean_product(x_hat, x_hat, axes)
    inv_sigma = 1 / array_module(x).sqrt(var + eps)
    x_hat *= inv_sigma
    return x_hat, inv_sigma, mu, var


def normalize_backward(dx_hat: Any, x_hat: Any, inv_sigma: Any, axes: Axes) -> Any:
    """dx = J dx̂ = (dx̂ − ⟨dx̂⟩ − x̂ ⟨x̂ dx̂⟩)/σ."""
    dx = x_hat * -mean_product(x_hat, dx_hat, axes)
    dx += dx_hat
    dx -= mean(dx_hat, axes)
    dx *= inv_sigma
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
    return sum_product((x,), axes) / prod(x.shape[axis] for axis in axes)


def mean_product(x: Any, y: Any, axes: Axes) -> Any:
    """⟨x y⟩ over `axes`, which stay with length 1."""
    return sum_product((x, y), axes) / prod(x.shape[axis] for axis in axes)


def sum_product(factors: tuple[Any, ...], axes: Axes) -> Any:
    """Σ of the product of `factors` over `axes`, which stay with length 1. On a CPU the product is not stored.

    The last two axes are summed first (the batch never is), then the others one by one: short sums in place of a
    long one, because in float32 the rounding error of a sum grows with its length.
    """
    x = factors[0]
    letters = "abcdefgh"[: x.ndim]
    first = [axis for axis in axes if axis >= max(1, x.ndim - 2)]
    kept = "".join(letter for axis, letter in enumerate(letters) if axis not in first)
    sums = array_module(x).einsum(",".join([letters] * len(factors)) + "->" + kept, *factors)
    for axis in reversed(axes):
        if axis not in first:  # those that are gone came after it, so it still has its number
            sums = sums.sum(axis=axis)
    return sums.reshape(tuple(1 if axis in axes else length for axis, length in enumerate(x.shape)))
