"""Points on the plane: two mixtures of Gaussians, on which mode collapse is visible and can be counted.

Both are scaled as in Gulrajani et al., "Improved Training of Wasserstein GANs" (2017): each coordinate has about unit
variance, which suits the usual initial weights, and the centers lie within [-sqrt(2), sqrt(2)]. The Gaussians are
narrow compared with the distance between centers (1 % of the ring's radius, 2.5 % of the grid's spacing), so that
samples between the modes are easy to detect.
"""

from __future__ import annotations

import numpy as np

from minigan.common.arguments import whole
from minigan.data.dataset import ArrayDataset
from minigan.errors import DataError


class PointDataset(ArrayDataset):
    """Draws from a mixture of equally likely Gaussians: points (N, 2), labeled by their Gaussian.

    `centers` (K, 2) and `std` allow counting which modes a generator hits, and how often it is within 3 std.
    """

    labels: np.ndarray

    def __init__(self, name: str, points: np.ndarray, labels: np.ndarray, centers: np.ndarray, std: float):
        self.modes = [f"mode {k}" for k in range(len(centers))]  # names of all modes, also of those without points
        super().__init__(name, points, labels, self.modes)
        self.centers = centers
        self.std = std

    def select(self, indices: np.ndarray) -> PointDataset:
        """Return a data set of only these points."""
        return PointDataset(self.name, self._chosen(indices), self.labels[indices], self.centers, self.std)


def ring(n: int = 100_000, seed: int | list[int] = 0) -> PointDataset:
    """Draw `n` points from 8 Gaussians on a circle of radius sqrt(2), with std 0.02 / sqrt(2)."""
    angles = 2 * np.pi * np.arange(8) / 8
    centers = np.sqrt(2) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return _mixture("ring", centers, 0.02 / np.sqrt(2), n, seed)


def grid(n: int = 100_000, seed: int | list[int] = 0) -> PointDataset:
    """Draw `n` points from 25 Gaussians on a 5x5 grid with spacing 1 / sqrt(2), with std 0.05 / sqrt(8)."""
    ticks = np.arange(-2, 3) / np.sqrt(2)
    centers = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(25, 2)
    return _mixture("grid", centers, 0.05 / np.sqrt(8), n, seed)


def _mixture(name: str, centers: np.ndarray, std: float, n: int, seed: int | list[int]) -> PointDataset:
    if whole(n, name, "the number of points", DataError) < 1:
        raise DataError(f"{name}: draw one point or more, not {n}")
    rng = np.random.default_rng(seed)
    labels = rng.integers(len(centers), size=n)
    points = centers[labels] + std * rng.standard_normal((n, 2))
    return PointDataset(name, points.astype(np.float32), labels, centers.astype(np.float32), float(std))
