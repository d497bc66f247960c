"""Simple scores of abnormality, which a model has to beat: the nearest normal picture, and principal components.

Both are made of normal pictures x_i (N, H, W, C) and have `score(x)` → (n,), larger for pictures that aren't like
them. D = H·W·C.

    nearest normal    score = min_i mean (x − x_i)²
    PCA               score = mean (x − x̂)², x̂ the projection on the mean and the first K principal components
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import to_numpy
from minigan.errors import MiniganError
from minigan.metrics.manifold import nearest


class NearestNormal:
    """The mean square distance to the nearest of the normal pictures."""

    title = "nearest normal picture"

    def __init__(self, pictures: Any) -> None:
        self.rows = _rows(pictures)  # (N, D)

    def score(self, x: Any) -> np.ndarray:
        """Return min_i mean (x − x_i)² of pictures (n, H, W, C)."""
        _, distances = nearest(_rows(x), self.rows)  # (n, D), (N, D) → (n, 1)
        return distances[:, 0] ** 2 / self.rows.shape[1]


class PrincipalComponents:
    """The error of a projection on the first `components` principal components of the normal pictures."""

    def __init__(self, pictures: Any, components: int = 50) -> None:
        rows = _rows(pictures)  # (N, D)
        components = min(components, len(rows) - 1, rows.shape[1])
        if components < 1:
            raise MiniganError("principal components need two normal pictures or more")
        self.title = f"PCA, {components} components"
        self.mean = rows.mean(axis=0)
        centered = rows - self.mean
        if len(rows) < rows.shape[1]:  # the smaller of two matrices with the same eigenvalues, but for zeros
            _, vectors = np.linalg.eigh(centered @ centered.T)  # (N, N)
            self.axes = centered.T @ vectors[:, -components:]  # (D, N) @ (N, K) → (D, K)
            self.axes /= np.linalg.norm(self.axes, axis=0)
        else:
            _, vectors = np.linalg.eigh(centered.T @ centered)  # (D, D)
            self.axes = vectors[:, -components:]

    def score(self, x: Any) -> np.ndarray:
        """Return mean (x − x̂)² of pictures (n, H, W, C)."""
        centered = _rows(x) - self.mean  # (n, D)
        projected = centered @ self.axes @ self.axes.T  # (n, D) @ (D, K) @ (K, D) → (n, D)
        return ((centered - projected) ** 2).mean(axis=1)


def _rows(pictures: Any) -> np.ndarray:
    """Pictures (N, H, W, C) → float64 (N, D)."""
    x = to_numpy(pictures)
    return x.reshape(len(x), -1).astype(np.float64)
