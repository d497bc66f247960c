"""How samples compare with real data: how different they are from one another, and whether pictures are noise.

Distances alone, no labels and no feature network. Three figures of n samples, each beside that of as many real ones:

    spread      √(Σ variances of all numbers), the root mean square distance from the mean sample
    nearest     the mean distance to the nearest other sample; for pictures
    reached     the share of real samples with a generated one near them; for points

A generator of one picture has no spread. One of four pictures may have as much as real data, but each of its samples
has a twin: the nearest neighbours give it away. On the plane these say little, but a generator that has lost half of
the modes leaves half of the real points alone. The diversity is the least of these ratios: 0 if all samples are alike,
1 if they differ as real ones do. That of noise may be above 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

NEAR = 0.15  # of the real spread: what is near on the plane; two modes of the ring are 0.77 apart, of the grid 0.5
TWIN = 0.05  # nearest distance beside the spread, as a part of what that is for real samples: hardly any difference
ALIKE = 1e-5  # of the largest number: differences of rounding
TINY, FLAT = 1e-30, 1e-12  # no division by zero; a variance of pictures without any contrast
MOST = 256  # samples that are compared with one another
LOW, LOW_POINTS = 0.25, 0.4  # diversities of a collapse, in a generator that knows better, or could


class Look(NamedTuple):
    """What was found of samples. low: they differ too little, and `what` says how. twins: they repeat one another."""

    diversity: float
    low: bool = False
    twins: bool = False
    what: str = ""


def compare(samples: np.ndarray, real: np.ndarray | None) -> Look:
    """Look at samples (n, …) beside real ones (m, …) of the same shape.

    Nothing is said of samples that aren't finite, of a single one, or without two real ones.
    """
    if real is None or min(len(real), len(samples)) < 2 or not np.isfinite(samples).all():
        return Look(float("nan"))
    # (n, …) → (n, p) in float64: the distances are differences of larger numbers
    x, real = (a[:MOST].reshape(min(len(a), MOST), -1).astype(np.float64) for a in (samples, real))
    (spread, nearest), (real_spread, real_nearest) = _measure(x), _measure(real)
    alike, radius = spread <= ALIKE * max(np.abs(x).max(), TINY), TWIN * spread
    spread, nearest = spread / max(real_spread, TINY), nearest / max(real_nearest, TINY)
    few_real = len(real) < len(x)  # a generator that knows all of them has twins
    points = x.shape[1] == 2
    if points:  # the share of real ones with a generated one near them
        other = float((_distances(real, x).min(axis=1) <= NEAR * real_spread).mean())
    else:
        other = spread if few_real else nearest
    diversity = round(min(spread, other), 4)
    if alike:
        return Look(diversity, True, True, f"all {len(x)} samples are the same")
    if nearest < TWIN * spread and not few_real:
        different = _count_different(x, radius)
        if different <= LOW * len(x):
            return Look(diversity, True, True, f"the {len(x)} samples are only {different} different ones")
    if points and other < LOW_POINTS and other < spread:
        return Look(diversity, True, False, f"only {100 * other:.2g} % of the data have a generated point near them")
    what = f"the samples differ only {100 * diversity:.2g} % as much as real data"
    return Look(diversity, True, False, what) if diversity < LOW else Look(diversity)


def neighbour_correlation(pictures: np.ndarray | None) -> float:
    """How much a pixel of pictures (N, H, W, C) tells of the one beside it or below it: the correlation, about −1 to 1.

    1 − Σ (difference of neighbours)² / (2 Σ (difference from the mean of the channel of a picture)²), as means.

    Photographs, drawings and digits have 0.8 to 0.95, noise and untrained generators about 0, generators that have
    begun to draw 0.5 to 0.9. NaN for points, and for pictures that are flat, a pixel wide or high, or not finite.
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
    """Real samples (n, …) of another `shape`: pictures (H, W, C) by means over rectangles, else None."""
    if real.shape[1:] == shape:
        return real
    if real.ndim != 4 or len(shape) != 3 or real.shape[3] != shape[2] or any(np.mod(real.shape[1:3], shape[:2])):
        return None
    (n, H, W, C), (h, w, _) = real.shape, shape
    return real.reshape(n, h, H // h, w, W // w, C).mean(axis=(2, 4))


def _count_different(x: np.ndarray, radius: float) -> int:
    """The size of a greedy selection from x (n, p): samples farther than `radius` from all selected before."""
    distances, left = _distances(x, x), np.ones(len(x), bool)
    for i in range(len(left)):
        if left[i]:
            left[i + 1 :] &= distances[i, i + 1 :] > radius
    return int(left.sum())


def _measure(x: np.ndarray) -> tuple[float, float]:
    """Spread and mean distance to the nearest other, of samples (n, p), n of 2 or more."""
    distances = _distances(x, x)
    np.fill_diagonal(distances, np.inf)
    return float(np.sqrt(x.var(axis=0).sum())), float(distances.min(axis=1).mean())


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n, p), (m, p) → (n, m), by |a − b|² = |a|² − 2 ab + |b|²."""
    centre = b.mean(axis=0)  # nearer to zero, less is lost
    a, b = a - centre, b - centre
    squared = (a * a).sum(axis=1)[:, None] - 2 * (a @ b.T) + (b * b).sum(axis=1)  # (n, 1), (n, p) @ (p, m), (m,)
    return np.sqrt(np.maximum(squared, 0))
