"""How different samples are from one another, beside real data. No labels, no feature network: distances alone.

Three figures of n samples, each beside that of as many real ones:

    spread      √(Σ variances of all numbers), the root mean square distance from the mean sample
    nearest     the median distance to the nearest other sample; for pictures
    reached     the share of real samples with a generated one near them; for points

A generator that draws the same picture every time has no spread. One that draws four different pictures again and again
may have as much as real data, but every sample has a twin: its nearest neighbours give it away. On the plane a few
hundred points lie so close that nearest neighbours say little, but there each can be compared with real ones: a
generator that has lost half of the modes leaves half of the real points alone.

The diversity is the least of these ratios: 0 if all samples are alike, 1 if they differ as real ones do. Noise, which
is like nothing, may be above 1.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

NEAR = 0.15  # of the real spread: what is near on the plane; two modes of the ring are 0.77 apart, of the grid 0.5
TWIN = 0.2  # of the real nearest distance: samples nearer than this to one another are taken for the same
ALIKE = 1e-5  # of the largest number: differences of rounding
MOST = 256  # samples that are compared with one another
FEW = 0.25  # a diversity below this is a collapse; of points, whose modes can be counted, below the next
REACHED = 0.5


@dataclass(frozen=True)
class Spread:
    """What is measured of samples (n, …); distances are Euclidean. `largest` is the largest magnitude of a number."""

    n: int
    spread: float
    nearest: float
    largest: float

    @property
    def alike(self) -> bool:
        """Whether all samples are the same, but for rounding."""
        return self.spread <= ALIKE * max(self.largest, 1e-30)


class Likeness:
    """Compares samples of a run with real ones (n, …); with None, with the most different samples of the run so far."""

    def __init__(self, real: np.ndarray | None) -> None:
        self.real = None if real is None or len(real) < 2 else _rows(real)
        self.most = None if self.real is None else _measure(self.real)

    def __call__(self, samples: np.ndarray) -> tuple[float, str]:
        """Samples (n, …) → their diversity, and what is to be said of it, "" if that is nothing.

        NaN among the samples makes the diversity NaN, of which nothing is said.
        """
        x = _rows(samples)
        if len(x) < 2 or not np.isfinite(x).all():
            return float("nan"), ""
        found = _measure(x)
        if self.real is None:
            self.most = _larger(found, self.most)
        spread = found.spread / max(self.most.spread, 1e-30)
        if x.shape[1] == 2:  # points
            reached = spread if self.real is None else _reached(x, self.real, NEAR * self.most.spread)
            return round(min(spread, reached), 4), _of_points(found, spread, reached)
        nearest = found.nearest / max(self.most.nearest, 1e-30)
        return round(min(spread, nearest), 4), _of_pictures(x, found, spread, nearest, TWIN * self.most.nearest)

    def state(self) -> dict[str, float] | None:
        """What has to be remembered, as plain JSON: nothing where there are real samples."""
        return asdict(self.most) if self.real is None and self.most else None

    def load(self, state: dict[str, float] | None) -> None:
        """Take up what `state` returned."""
        if self.real is None and state:
            self.most = Spread(**state)


def count_different(samples: np.ndarray, radius: float) -> int:
    """How many samples (n, …) are left if every one within `radius` of one that is left already is taken away."""
    distances = _distances(_rows(samples), _rows(samples))
    left = np.ones(len(distances), bool)
    for i in range(len(left)):
        if left[i]:
            left[i + 1 :] &= distances[i, i + 1 :] > radius
    return int(left.sum())


def _of_points(found: Spread, spread: float, reached: float) -> str:
    if found.alike:
        return f"all {found.n} points are the same one"
    if spread < FEW:
        return f"the points are spread over {_percent(spread)} of the width of the data"
    return f"only {_percent(reached)} of the data have a generated point near them" if reached < REACHED else ""


def _of_pictures(x: np.ndarray, found: Spread, spread: float, nearest: float, radius: float) -> str:
    if found.alike:
        return f"all {found.n} samples are the same picture"
    if nearest < FEW:
        different = count_different(x, radius)
        if 1 < different <= FEW * found.n:
            return f"the {found.n} samples are only {different} different pictures, drawn again and again"
    if min(spread, nearest) < FEW:
        return f"the samples differ only {_percent(min(spread, nearest))} as much as real data"
    return ""


def _percent(part: float) -> str:
    return f"{100 * part:.0f} %" if part >= 0.01 else f"{100 * part:.1g} %"


def _measure(x: np.ndarray) -> Spread:
    """Samples (n, p), n of 2 or more."""
    distances = _distances(x, x)
    np.fill_diagonal(distances, np.inf)
    spread = float(np.sqrt(x.var(axis=0).sum()))
    return Spread(len(x), spread, float(np.median(distances.min(axis=1))), float(np.abs(x).max()))


def _larger(a: Spread, b: Spread | None) -> Spread:
    if b is None:
        return a
    return Spread(a.n, max(a.spread, b.spread), max(a.nearest, b.nearest), max(a.largest, b.largest))


def _reached(x: np.ndarray, real: np.ndarray, radius: float) -> float:
    """The share of `real` (m, p) with one of x (n, p) within `radius`."""
    return float((_distances(real, x).min(axis=1) <= radius).mean())


def _rows(samples: Any) -> np.ndarray:
    """Samples (n, …) → (n, p) in float64, MOST at most: the distances are differences of larger numbers."""
    samples = samples[:MOST]
    return np.asarray(samples, np.float64).reshape(len(samples), -1)


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n, p), (m, p) → (n, m), by |a − b|² = |a|² − 2 ab + |b|²."""
    centre = b.mean(axis=0)  # nearer to zero, less is lost
    a, b = a - centre, b - centre
    squared = (a * a).sum(axis=1)[:, None] - 2 * (a @ b.T) + (b * b).sum(axis=1)  # (n, 1), (n, p) @ (p, m), (m,)
    return np.sqrt(np.maximum(squared, 0))
