"""Compares samples with real data: the diversity of the samples, and whether pictures are noise.

Only distances are used, no labels and no feature network. Three statistics of n samples are divided by their value for
as many real samples:

    spread      √(Σ variances of all coordinates), the root mean square distance from the mean sample
    nearest     the mean distance to the nearest other sample; for pictures
    reached     the share of real samples that have a generated sample nearby; for points

A generator that draws a single picture has no spread. One that draws four pictures may have the spread of real data,
but the nearest-neighbor distance of its samples is almost 0. For points in the plane, nearest neighbors are
uninformative, but a generator that misses half of the modes leaves half of the real points without a generated point
nearby. The diversity is the smallest of these ratios: 0 if all samples are equal, 1 if they differ as much as real
ones. The diversity of noise may exceed 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

NEAR = 0.15  # of the real spread: points this close are near; two modes of the ring are 0.77 apart, of the grid 0.5
TWIN = 0.05  # threshold on nearest/spread, relative to real samples, below which samples are near-duplicates
ALIKE = 1e-5  # of the largest number: differences below this are rounding errors
TINY, FLAT = 1e-30, 1e-12  # to avoid division by zero; the variance below which pictures have no contrast
MOST = 256  # samples, at most, in a comparison
LOW, LOW_POINTS = 0.25, 0.4  # diversities below which a trained generator has collapsed


class Comparison(NamedTuple):
    """The diversity of samples. low: they are too similar, as `what` describes. twins: they contain near-duplicates."""

    diversity: float
    low: bool = False
    twins: bool = False
    what: str = ""


def compare(samples: np.ndarray, real: np.ndarray | None) -> Comparison:
    """Compare samples (n, …) with real ones (m, …) of the same shape.

    The diversity is NaN if samples aren't finite, or if there are fewer than two samples or two real ones.
    """
    if real is None or min(len(real), len(samples)) < 2 or not np.isfinite(samples).all():
        return Comparison(float("nan"))
    # (n, …) → (n, p) in float64, because the distances are computed as differences of larger numbers
    x, real = (a[:MOST].reshape(min(len(a), MOST), -1).astype(np.float64) for a in (samples, real))
    (spread, nearest), (real_spread, real_nearest) = _measure(x), _measure(real)
    alike, radius = spread <= ALIKE * max(np.abs(x).max(), TINY), TWIN * spread
    spread, nearest = spread / max(real_spread, TINY), nearest / max(real_nearest, TINY)
    few_real = len(real) < len(x)  # then even a perfect generator repeats samples
    points = x.shape[1] == 2
    if points:
        other = float((_distances(real, x).min(axis=1) <= NEAR * real_spread).mean())
    else:
        other = spread if few_real else nearest
    diversity = round(min(spread, other), 4)
    if alike:
        return Comparison(diversity, True, True, f"all {len(x)} samples are the same")
    if nearest < TWIN * spread and not few_real:
        different = _count_different(x, radius)
        if different <= LOW * len(x):
            return Comparison(diversity, True, True, f"the {len(x)} samples are only {different} different ones")
    if points and other < LOW_POINTS and other < spread:
        return Comparison(
            diversity, True, False, f"only {100 * other:.2g} % of the data have a generated point near them"
        )
    what = f"the samples differ only {100 * diversity:.2g} % as much as real data"
    return Comparison(diversity, True, False, what) if diversity < LOW else Comparison(diversity)


def neighbor_correlation(pictures: np.ndarray | None) -> float:
    """Return the correlation of horizontally and vertically adjacent pixels of (N, H, W, C), about −1 to 1.

    1 − mean (difference of neighbors)² / (2 mean (difference from the mean of the picture's channel)²)

    It is 0.8 to 0.95 for photographs, drawings and digits, about 0 for noise and untrained generators, and 0.5 to 0.9
    early in training. NaN for points, and for pictures that are constant, a pixel wide or high, or not finite.
    """
    if pictures is None or pictures.ndim != 4 or min(pictures.shape[1:3]) < 2 or not np.isfinite(pictures).all():
        return float("nan")
    x = np.asarray(pictures, np.float64)
    variance = np.square(x - x.mean(axis=(1, 2), keepdims=True)).mean()
    if variance < FLAT:
        return float("nan")
    down, across = (np.square(np.diff(x, axis=axis)).mean() for axis in (1, 2))
    return float(1 - (down + across) / (4 * variance))


def fitted(real: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """Resize real pictures (n, H, W, C) to `shape` by means over rectangles. Returns None if that is impossible."""
    if real.shape[1:] == shape:
        return real
    if real.ndim != 4 or len(shape) != 3 or real.shape[3] != shape[2] or any(np.mod(real.shape[1:3], shape[:2])):
        return None
    (n, H, W, C), (h, w, _) = real.shape, shape
    return real.reshape(n, h, H // h, w, W // w, C).mean(axis=(2, 4))


def _count_different(x: np.ndarray, radius: float) -> int:
    """Return the size of a greedy selection from x (n, p) in which all samples are farther than `radius` apart."""
    distances, selected = _distances(x, x), np.ones(len(x), bool)
    for i in range(len(x)):
        if selected[i]:
            selected[i + 1 :] &= distances[i, i + 1 :] > radius
    return int(selected.sum())


def _measure(x: np.ndarray) -> tuple[float, float]:
    """Return the spread and the mean nearest-neighbor distance of samples (n, p), n ≥ 2."""
    distances = _distances(x, x)
    np.fill_diagonal(distances, np.inf)
    return float(np.sqrt(x.var(axis=0).sum())), float(distances.min(axis=1).mean())


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return all distances between rows, (n, p), (m, p) → (n, m), by |a − b|² = |a|² − 2 ab + |b|²."""
    center = b.mean(axis=0)  # centered vectors are shorter, which reduces cancellation
    a, b = a - center, b - center
    squared = (a * a).sum(axis=1)[:, None] - 2 * (a @ b.T) + (b * b).sum(axis=1)  # (n, 1), (n, p) @ (p, m), (m,)
    return np.sqrt(np.maximum(squared, 0))
