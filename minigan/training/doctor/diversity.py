"""How different samples are from one another, beside real data. No labels, no feature network: distances alone.

Three figures of n samples, each beside that of as many real ones:

    spread      √(Σ variances of all numbers), the root mean square distance from the mean sample
    nearest     the mean distance to the nearest other sample; for pictures
    reached     the share of real samples with a generated one near them; for points

A generator that draws the same picture every time has no spread. One that draws four different pictures again and again
may have as much as real data, but every sample has a twin: its nearest neighbours give it away. On the plane a few
hundred points lie so close that nearest neighbours say little, but there each can be compared with real ones: a
generator that has lost half of the modes leaves half of the real points alone.

The diversity is the least of these ratios: 0 if all samples are alike, 1 if they differ as real ones do. Noise, which
is like nothing, may be above 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

NEAR = 0.15  # of the real spread: what is near on the plane; two modes of the ring are 0.77 apart, of the grid 0.5
TWIN = 0.05  # nearest distance beside the spread, as a part of what that is for real samples: hardly any difference
ALIKE = 1e-5  # of the largest number: differences of rounding
TINY = 1e-30  # no division by zero
MOST = 256  # samples that are compared with one another
LOW, LOW_POINTS = 0.25, 0.4  # diversities of a collapse, in a generator that knows better, or could


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
        return self.spread <= ALIKE * max(self.largest, TINY)


@dataclass(frozen=True)
class Look:
    """What was found of samples. `low` says that they differ too little, and `what` says how.

    `twins`: they are the same ones again and again, as they are in no generator that has merely learned nothing yet.
    """

    diversity: float
    low: bool = False
    twins: bool = False
    what: str = ""


class Likeness:
    """Compares samples with real ones (n, …). Without two of these at least, nothing is said."""

    def __init__(self, real: np.ndarray | None) -> None:
        self.real = None if real is None or len(real) < 2 else _rows(real)
        self.most = None if self.real is None else _measure(self.real)

    def __call__(self, samples: np.ndarray) -> Look:
        """Look at samples (n, …). Nothing is said of samples that aren't finite, and nothing of a single one."""
        x = _rows(samples)
        if self.real is None or self.most is None or len(x) < 2 or not np.isfinite(x).all():
            return Look(float("nan"))
        found = _measure(x)
        spread = found.spread / max(self.most.spread, TINY)
        nearest = found.nearest / max(self.most.nearest, TINY)
        points = x.shape[1] == 2
        few_real = len(self.real) < len(x)  # a generator that knows all of them has twins
        if points:
            other = _reached(x, self.real, NEAR * self.most.spread)
        else:
            other = spread if few_real else nearest
        diversity = round(min(spread, other), 4)
        if found.alike:
            return Look(diversity, True, True, f"all {found.n} samples are the same")
        if nearest < TWIN * spread and not few_real:
            different = count_different(x, TWIN * found.spread)
            if different <= LOW * found.n:
                return Look(diversity, True, True, f"the {found.n} samples are only {different} different ones")
        if points and other < LOW_POINTS and other < spread:
            return Look(diversity, True, False, f"only {_percent(other)} of the data have a generated point near them")
        what = f"the samples differ only {_percent(diversity)} as much as real data"
        return Look(diversity, True, False, what) if diversity < LOW else Look(diversity)


def count_different(samples: np.ndarray, radius: float) -> int:
    """How many samples (n, …) are left if every one within `radius` of one that is left already is taken away."""
    distances = _distances(_rows(samples), _rows(samples))
    left = np.ones(len(distances), bool)
    for i in range(len(left)):
        if left[i]:
            left[i + 1 :] &= distances[i, i + 1 :] > radius
    return int(left.sum())


def _percent(part: float) -> str:
    return f"{100 * part:.0f} %" if part >= 0.01 else f"{100 * part:.1g} %"


def _measure(x: np.ndarray) -> Spread:
    """Samples (n, p), n of 2 or more."""
    distances = _distances(x, x)
    np.fill_diagonal(distances, np.inf)
    spread = float(np.sqrt(x.var(axis=0).sum()))
    return Spread(len(x), spread, float(distances.min(axis=1).mean()), float(np.abs(x).max()))


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
