"""Modes of a mixture of Gaussians that a generator has found, and the share of its samples that are close to one.

These are the usual two numbers for the ring and the grid, "modes" and "high quality samples" (Srivastava et al.,
"VEEGAN", 2017; Lin et al., "PacGAN", 2018). A sample is good if it is within 3 standard deviations of its nearest
center. On the plane, the distance of a real sample from its center has a Rayleigh distribution, so

    P(|x − c| ≤ 3σ) = 1 − exp(−3²/2) = 98.89 %

of the real samples are good, and a generator with more good samples draws Gaussians that are too narrow.

Those papers count a mode as found if a single one of thousands of samples is good there, which a few strays satisfy.
Here it takes 1 % of all samples. The fair share of a mode is an eighth on the ring and 4 % on the grid.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import to_numpy
from minigan.common.arguments import numbers
from minigan.errors import ShapeError

GOOD = 3  # standard deviations
FOUND = 0.01  # of all samples


def modes_and_quality(points: Any, centers: Any, std: float) -> tuple[int, float]:
    """Return the number of modes found, and the share of good samples, for points (N, 2) and centers (K, 2).

    A sample is good within 3 `std` of its nearest center; a mode is found if at least 1 % of all samples are good
    there. A point that isn't finite is not good. Raises ShapeError if shapes don't fit, for no points or centers, for
    centers that aren't finite, for more than 100 centers, which can't have 1 % each, and for a std below 0.
    """
    points, centers = (
        to_numpy(numbers(a, "modes", name)).astype(np.float64) for a, name in ((points, "points"), (centers, "centers"))
    )
    if points.ndim != 2 or centers.ndim != 2 or points.shape[1] != centers.shape[1] or centers.shape[1] == 0:
        raise ShapeError(f"modes take points (N, 2) and centers (K, 2), got {points.shape} and {centers.shape}")
    if len(points) == 0 or not 1 <= len(centers) <= 1 / FOUND:
        raise ShapeError(f"modes are counted with points and 1 to 100 centers, not {len(points)} and {len(centers)}")
    if np.ndim(std) or isinstance(std, (str, complex)) or not 0 <= std < np.inf or not np.isfinite(centers).all():
        raise ShapeError(f"modes have finite centers and a standard deviation of 0 or more, not {std!r}")
    distance = np.linalg.norm(points[:, None] - centers, axis=2)  # (N, 1, 2) − (K, 2) → (N, K)
    good = distance.min(axis=1) <= GOOD * std
    hits = np.bincount(distance.argmin(axis=1)[good], minlength=len(centers))  # (K,)
    return int((hits >= FOUND * len(points)).sum()), float(good.mean())
