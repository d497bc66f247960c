"""Mean and covariance of features, updated batch by batch, and the Fréchet distance between two Gaussians.

The update. The identity Σ (x − μ)(x − μ)ᵀ = Σ xxᵀ − n μμᵀ is useless where |μ| is much larger than the spread, because
almost all digits cancel. So the scatter about the current mean is kept, S = Σ (x − μ)(x − μ)ᵀ. A batch of b features
has mean m and scatter T about it. Together the n + b features have the mean

    μ′ = (n μ + b m)/(n + b) = μ + b/(n + b) δ        δ = m − μ

The scatter about another center c is larger by (number) · (mean − c)(mean − c)ᵀ, so with c = μ′

    S′ = S + n (μ − μ′)(μ − μ′)ᵀ + T + b (m − μ′)(m − μ′)ᵀ
       = S + T + (n b² + b n²)/(n + b)² δδᵀ           μ − μ′ = −b/(n + b) δ,  m − μ′ = n/(n + b) δ
       = S + T + n b/(n + b) δδᵀ

(Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979). The last term
is that of one more feature with the deviation √(n b/(n + b)) δ, and the code adds it as such.

The distance (Fréchet 1957; Dowson and Landau 1982; for pictures: Heusel et al., "GANs Trained by a Two Time-Scale
Update Rule Converge to a Local Nash Equilibrium", 2017, where the features are Inception's and it is called FID):

    d² = |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½)

Σ₁Σ₂ isn't symmetric, and computing the square root of such a matrix may fail or leave imaginary parts. But only the
trace of the root is needed, the sum of the roots of the eigenvalues. Let Σ = R Rᵀ with any such R. A cyclic permutation
of factors preserves the nonzero eigenvalues of a product, so

    Σ₁Σ₂ = R₁ (R₁ᵀ R₂ R₂ᵀ)   has those of   R₁ᵀ R₂ R₂ᵀ R₁ = M Mᵀ        M = R₁ᵀ R₂

M Mᵀ is symmetric without negative eigenvalues, and their roots are the singular values of M:

    tr (Σ₁Σ₂)^½ = Σ σᵢ(M)

With R = Σ^½, M Mᵀ is the familiar A Σ₂ A, A = Σ₁^½. Computing its eigenvalues would lose the small singular values:
their squares are below the rounding errors, whose roots are 10⁻⁸ each. So the singular values of M itself are computed.
Σ = U diag(λ) Uᵀ gives R = U diag(√λ). With fewer pictures than features Σ is singular, and eigenvalues that should be 0
come out as rounding errors with large roots. They are left out, with their columns of R, which also makes M smaller.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from minigan.backend import array_module, to_numpy
from minigan.common.arguments import numbers, whole
from minigan.errors import MiniganError, ShapeError
from minigan.kernels.elementwise import product
from minigan.threads.blas import all_of_blas

NOT_A_COVARIANCE = 1e-5  # of the largest entry or eigenvalue: above the rounding errors of float32


class Moments:
    """Mean (F,) and covariance (F, F) of features that come in batches, in float64 on the device of the features."""

    def __init__(self, n_features: int) -> None:
        self.n_features = whole(n_features, "the moments", "n_features")
        if self.n_features < 1:
            raise MiniganError(f"the moments are of one feature or more, not {n_features}")
        self.n = 0
        self._mean: Any = None
        self._scatter: Any = None

    def update(self, features: Any) -> None:
        """Add features (N, F) of any dtype. Raises ShapeError for another shape."""
        features = numbers(features, "the moments", "features")
        if features.ndim != 2 or features.shape[1] != self.n_features:
            raise ShapeError(f"the moments are of features (N, {self.n_features}), got {tuple(features.shape)}")
        b = len(features)
        if b == 0:
            return
        xp = array_module(features)
        if self.n == 0:
            self._mean = xp.zeros(self.n_features, xp.float64)
            self._scatter = xp.zeros((self.n_features, self.n_features), xp.float64)
        rows = xp.empty((b + 1, self.n_features), xp.float64)
        rows[:b] = features
        batch_mean = rows[:b].mean(axis=0)
        rows[:b] -= batch_mean
        delta = batch_mean - self._mean
        rows[b] = delta * sqrt(self.n * b / (self.n + b))  # the term in δδᵀ, as one more feature
        self._scatter += rows.T @ rows  # (F, b + 1) @ (b + 1, F)
        self._mean = self._mean + delta * (b / (self.n + b))
        self.n += b

    @property
    def mean(self) -> Any:
        """μ (F,). Raises MiniganError before the first feature."""
        self._check("a mean", 1)
        return self._mean

    @property
    def covariance(self) -> Any:
        """Σ (F, F), S divided by n − 1. Raises MiniganError if there are fewer than two features."""
        self._check("a covariance", 2)
        return self._scatter / (self.n - 1)

    def _check(self, what: str, needed: int) -> None:
        if self.n < needed:
            raise MiniganError(f"{what} needs {needed} pictures or more, got {self.n}")


def frechet_distance(mean1: Any, cov1: Any, mean2: Any, cov2: Any) -> float:
    """Return d² between two Gaussians with means (F,) and covariances (F, F), in float64 on the host.

    It is symmetric, and 0 only for equal Gaussians. Raises ShapeError if the shapes don't fit, and MiniganError for
    NaN, infinity, and matrices that are not covariances.
    """
    mean1, cov1, mean2, cov2 = (
        to_numpy(numbers(array, "the Fréchet distance", name)).astype(np.float64)
        for array, name in ((mean1, "a mean"), (cov1, "a covariance"), (mean2, "a mean"), (cov2, "a covariance"))
    )
    F = len(mean1) if mean1.ndim == 1 else 0
    if F == 0 or mean2.shape != (F,) or cov1.shape != (F, F) or cov2.shape != (F, F):
        got = ", ".join(str(array.shape) for array in (mean1, cov1, mean2, cov2))
        raise ShapeError(f"the Fréchet distance takes (F,), (F, F), (F,), (F, F) with the same F, got {got}")
    if not all(np.isfinite(array).all() for array in (mean1, cov1, mean2, cov2)):
        raise MiniganError("the Fréchet distance can't be taken: a mean or covariance holds NaN or infinity")
    M = product(_factor(cov1).T, _factor(cov2))  # (r₁, F) @ (F, r₂)
    with all_of_blas():
        trace_of_root = np.linalg.svd(M, compute_uv=False).sum()
    distance = np.sum((mean1 - mean2) ** 2) + np.trace(cov1) + np.trace(cov2) - 2 * trace_of_root
    if not np.isfinite(distance):
        raise MiniganError("the Fréchet distance can't be taken: its numbers are too large for float64")
    return max(0.0, float(distance))  # negative only by the rounding of nearly equal traces


def _factor(cov: np.ndarray) -> np.ndarray:
    """Return R (F, r) with R Rᵀ = Σ of rank r. Raises MiniganError if Σ is not a covariance."""
    with all_of_blas():
        eigenvalues, U = np.linalg.eigh((cov + cov.T) / 2)
    asymmetry, scale = np.abs(cov - cov.T).max(), np.abs(cov).max()
    if asymmetry > NOT_A_COVARIANCE * scale or eigenvalues[0] < -NOT_A_COVARIANCE * eigenvalues[-1]:
        wanted = "covariances, which are symmetric and have no negative eigenvalues"
        got = f"asymmetric by {asymmetry:.2g} and has {eigenvalues[0]:.2g}"
        raise MiniganError(f"the Fréchet distance takes {wanted}, but one is {got}")
    kept = eigenvalues > len(cov) * np.finfo(np.float64).eps * eigenvalues[-1]  # the others are 0 up to rounding
    return U[:, kept] * np.sqrt(eigenvalues[kept])
