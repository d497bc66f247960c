"""Normalization and its first and second derivatives. Batch, layer and instance norm differ only in `axes`.

m numbers are normalized together: those along `axes` of x. ⟨·⟩ is the mean over them, so Σ = m⟨·⟩.

    μ = ⟨x⟩        σ = √(⟨(x − μ)²⟩ + ε)        x̂ = (x − μ)/σ

Move x by a small δx. Then, because ⟨x − μ⟩ = 0,

    δμ = ⟨δx⟩
    δσ = ⟨(x − μ)(δx − δμ)⟩/σ = ⟨x̂ δx⟩
    δx̂ = (δx − δμ)/σ − (x − μ) δσ/σ² = (δx − ⟨δx⟩ − x̂ ⟨x̂ δx⟩)/σ =: J δx

J is symmetric: Σ g Jδx = (m/σ)(⟨g δx⟩ − ⟨g⟩⟨δx⟩ − ⟨x̂ g⟩⟨x̂ δx⟩) stays the same if g and δx are exchanged. So the
gradient dx of a loss that has the gradient g = dx̂ is J again:

    dx = J g = (g − ⟨g⟩ − x̂ ⟨x̂ g⟩)/σ

`double_J` below differentiates dx. Neither derivation uses ⟨x̂²⟩ = 1, which holds only for ε = 0.
Statistics (μ, 1/σ, ⟨g⟩, …) have length 1 along `axes`, so that they broadcast against x.
"""

from __future__ import annotations

from typing import Any

from minigan.backend import array_module
from minigan.kernels.fast import normalize as fast
from minigan.kernels.reductions import Axes, mean
from minigan.kernels.twin import runs_as


@runs_as(fast.standardize)
def standardize(x: Any, axes: Axes, eps: float) -> tuple[Any, Any, Any, Any]:
    """x → x̂ (like x), 1/σ, μ and the variance ⟨(x − μ)²⟩."""
    mu = mean(x, axes)
    rest = mean(x - mu, axes)  # not quite 0: float32 rounds μ, by too much where σ is far smaller than μ
    centered = (x - mu) - rest
    var = mean(centered * centered, axes)
    inv_sigma = 1 / array_module(x).sqrt(var + eps)
    return centered * inv_sigma, inv_sigma, mu + rest, var


@runs_as(fast.J)
def J(g: Any, x_hat: Any, inv_sigma: Any, axes: Axes, means: tuple[Any, Any] | None = None) -> Any:
    """J g = (g − ⟨g⟩ − x̂ ⟨x̂ g⟩)/σ, like x. `means`: ⟨g⟩ and ⟨x̂ g⟩ where they are known already."""
    mean_g, mean_x_hat_g = means or (mean(g, axes), mean(x_hat * g, axes))
    return (g - mean_g - x_hat * mean_x_hat_g) * inv_sigma


@runs_as(fast.double_J)
def double_J(v: Any, g: Any, x_hat: Any, inv_sigma: Any, axes: Axes) -> tuple[Any, Any]:
    """The derivatives of dx = J g. Given v = ddx = ∂P/∂(dx), return ddx̂ = ∂P/∂g and dx2 = ∂P/∂x, both like x.

    P changes by Σ v δ(dx). So its gradients in g and in x are those of S = Σ v J g with v held fixed:

        S = (m/σ) c        c = ⟨v g⟩ − ⟨v⟩⟨g⟩ − a b        a = ⟨x̂ g⟩        b = ⟨x̂ v⟩

    In g:  S = Σ g J v, because J is symmetric. So ddx̂ = J v.
    In x:  x is in x̂, which is in a and b, and in σ.

        x̂ moves by δx̂:           δS = (m/σ) δc = −(m/σ)(b δa + a δb) = −(1/σ) Σ (b g + a v) δx̂
        and δx̂ = J δx:            δS = −(1/σ) Σ J(a v + b g) δx                             through x̂
        σ moves by δσ = ⟨x̂ δx⟩:   δS = −(m/σ²) c δσ = −(c/σ²) Σ x̂ δx                        through σ

    The gradient is what stands beside δx:

        dx2 = −J(a v + b g)/σ − c x̂/σ²
    """
    a, b = mean(x_hat * g, axes), mean(x_hat * v, axes)
    c = mean(v * g, axes) - mean(v, axes) * mean(g, axes) - a * b
    through_x_hat = -J(a * v + b * g, x_hat, inv_sigma, axes) * inv_sigma
    through_sigma = -c * x_hat * inv_sigma**2
    return J(v, x_hat, inv_sigma, axes), through_x_hat + through_sigma


@runs_as(fast.normalize)
def normalize(x: Any, axes: Axes, eps: float, gamma: Any, beta: Any) -> tuple[Any, Any, Any, Any, Any]:
    """x → y = γ x̂ + β, and what `standardize` returns. With gamma None, y is x̂."""
    x_hat, inv_sigma, mu, var = standardize(x, axes, eps)
    return x_hat if gamma is None else affine(x_hat, gamma, beta), x_hat, inv_sigma, mu, var


@runs_as(fast.affine)
def affine(x: Any, gamma: Any, beta: Any) -> Any:
    """γ x + β in the dtype of x. γ and β have the last axes of x, or the last one."""
    return x * gamma.astype(x.dtype, copy=False) + beta.astype(x.dtype, copy=False)
