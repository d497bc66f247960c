"""Kernel distance between two sets of features; with features of Inception it is called KID.

Bińkowski et al., "Demystifying MMD GANs", 2018. A kernel k(x, y) = ⟨φ(x), φ(y)⟩ is a scalar product of derived features
φ. The squared distance between the means of φ under two distributions is, expanded (Gretton et al., "A Kernel
Two-Sample Test", 2012),

    MMD² = |E φ(x) − E φ(y)|² = E k(x, x′) + E k(y, y′) − 2 E k(x, y)

where x′ is drawn independently of x. The kernel is

    k(x, y) = (x·y/F + 1)³

whose φ contains all monomials up to the third degree: MMD is 0 if the distributions have equal moments up to the third,
whereas the Fréchet distance compares only the first two.

The estimate. Among m independent draws, every pair i ≠ j is a pair of independent draws, so each of

    1/(m(m − 1)) Σ_{i≠j} k(xᵢ, xⱼ)        1/(m(m − 1)) Σ_{i≠j} k(yᵢ, yⱼ)        1/m² Σ_{i,j} k(xᵢ, yⱼ)

is an unbiased estimate of one of the expectations, and their combination is unbiased for every m. (A pair i = j isn't
independent. Since E k(x, x) > E k(x, x′), including it would bias the mean by (E k(x, x) − E k(x, x′))/m. FID has such
a bias, which is why FIDs of different numbers of pictures can't be compared.) The estimate may be negative.

Published results are the mean and standard deviation over random subsets, usually 100 subsets of 1000 pictures. The
subsets overlap, so the standard deviation is the variation of one subset, not the error of the mean.

The error. `kernel_distance_error` uses all pictures at once, and leaves out one after the other (the jackknife of Tukey
1958; of such estimates Arvesen 1969, "Jackknifing U-statistics"). With d₍ᵢ₎ the estimate without xᵢ, and d₍ⱼ₎ without
yⱼ,

    error² = (m − 1)/m Σᵢ (d₍ᵢ₎ − mean)² + (n − 1)/n Σⱼ (d₍ⱼ₎ − mean)²

Row sums of the kernel suffice: without xᵢ, the first sum above loses 2 Σ_{j≠i} k(xᵢ, xⱼ), the last one Σⱼ k(xᵢ, yⱼ).
"""

from __future__ import annotations

from typing import Any

from minigan.backend import array_module, to_numpy
from minigan.common.arguments import whole
from minigan.errors import MiniganError
from minigan.kernels.elementwise import product
from minigan.metrics.checks import feature_sets

KID = "the kernel distance"


def kernel_distance(
    features1: Any, features2: Any, subset_size: int = 1000, subsets: int = 100, *, rng: Any
) -> tuple[float, float]:
    """Return mean and standard deviation of MMD² over random subsets of features (N, F) and (M, F), in float64.

    `rng` is a generator on the host, wherever the features are. Raises ShapeError for shapes that don't fit,
    MiniganError for NaN and for sets with fewer than `subset_size` pictures.
    """
    subset_size, subsets = whole(subset_size, KID, "subset_size"), whole(subsets, KID, "subsets")
    if not hasattr(rng, "choice"):
        raise MiniganError(f"{KID} draws from a generator, rng=np.random.default_rng(seed), got {type(rng).__name__}")
    if subsets < 1 or subset_size < 2:
        raise MiniganError(f"the kernel distance needs a subset, and two pictures in it, not {subsets}, {subset_size}")
    features1, features2 = feature_sets(features1, features2, subset_size, f"{KID} with subsets of {subset_size}")
    xp = array_module(features1)
    distances = []
    for _ in range(subsets):
        x, y = (
            features[xp.asarray(rng.choice(len(features), subset_size, replace=False))].astype(xp.float64)
            for features in (features1, features2)
        )
        distances.append(squared_mmd(x, y))
    distances = to_numpy(xp.stack(distances))
    return float(distances.mean()), float(distances.std())


def kernel_distance_error(features1: Any, features2: Any) -> tuple[float, float]:
    """Return MMD² of all features (N, F) and (M, F), and the standard error of that estimate, in float64.

    Raises ShapeError for shapes that don't fit, MiniganError for NaN and for sets of fewer than three pictures.
    """
    x, y = feature_sets(features1, features2, 3, f"the error of {KID}")
    xp, m, n = array_module(x), len(x), len(y)
    x, y = x.astype(xp.float64), y.astype(xp.float64)
    among_x, among_y = (_sums(z, z)[0] - _diagonal(z) for z in (x, y))  # (m,), (n,)
    x_to_y, y_to_x = _sums(x, y)  # (m,), (n,)
    sum_x, sum_y, between = among_x.sum(), among_y.sum(), x_to_y.sum()
    value = sum_x / (m * (m - 1)) + sum_y / (n * (n - 1)) - 2 * between / (m * n)
    without_x = (sum_x - 2 * among_x) / ((m - 1) * (m - 2)) - 2 * (between - x_to_y) / ((m - 1) * n)
    without_y = (sum_y - 2 * among_y) / ((n - 1) * (n - 2)) - 2 * (between - y_to_x) / (m * (n - 1))
    error = xp.sqrt((m - 1) * without_x.var() + (n - 1) * without_y.var())  # (m − 1)/m Σ = (m − 1) var
    return float(to_numpy(value)), float(to_numpy(error))


def squared_mmd(x: Any, y: Any) -> Any:
    """Return the unbiased estimate of MMD² from x (m, F) and y (n, F), as a 0-d array."""
    m, n = len(x), len(y)
    among_x = (_kernel_sum(x, x) - _diagonal(x).sum()) / (m * (m - 1))
    among_y = (_kernel_sum(y, y) - _diagonal(y).sum()) / (n * (n - 1))
    return among_x + among_y - 2 * _kernel_sum(x, y) / (m * n)


def _kernel_sum(x: Any, y: Any) -> Any:
    """Return Σ k(xᵢ, yⱼ) over all pairs."""
    return _kernel(product(x, y.T), x.shape[1]).sum()  # (m, F) @ (F, n)


def _sums(x: Any, y: Any) -> tuple[Any, Any]:
    """Return Σⱼ k(xᵢ, yⱼ) for each i, (m,), and Σᵢ k(xᵢ, yⱼ) for each j, (n,). Only 1000 rows are in memory at once."""
    xp = array_module(x)
    rows, columns = xp.empty(len(x), x.dtype), xp.zeros(len(y), x.dtype)
    for i in range(0, len(x), 1000):
        part = _kernel(product(x[i : i + 1000], y.T), x.shape[1])  # (1000, F) @ (F, n)
        rows[i : i + 1000] = part.sum(axis=1)
        columns += part.sum(axis=0)
    return rows, columns


def _diagonal(x: Any) -> Any:
    """Return k(xᵢ, xᵢ), (m,)."""
    return _kernel(array_module(x).einsum("nf,nf->n", x, x), x.shape[1])


def _kernel(products: Any, F: int) -> Any:
    """Return (p/F + 1)³ of scalar products p, which are overwritten. Multiplying is faster than a power."""
    products /= F
    products += 1
    return products * products * products
