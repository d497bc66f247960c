"""Circles, squares, triangles, crosses and rings, drawn on demand at any size.

A shape is the set of points p whose signed distance d(p) is negative. The covered part of a pixel is approximately 1/2
- d / (width of a pixel), clipped to [0, 1], which anti-aliases the edge. All lengths are fractions of the shorter side,
so the same seed gives the same drawings at 16 and at 256 pixels; a shape lies in the square at the center.
"""

from __future__ import annotations

import numpy as np

from minigan.common.arguments import whole
from minigan.data.dataset import Dataset
from minigan.data.pictures import Size, as_size, check_size
from minigan.errors import DataError

KINDS = ["circle", "square", "triangle", "cross", "ring"]


def _distance(kind: int, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return the signed distance to a shape of circumradius 1 (exact, or a close bound at corners)."""
    if KINDS[kind] == "circle":
        return np.hypot(u, v) - 1
    if KINDS[kind] == "square":
        return np.maximum(np.abs(u), np.abs(v)) - 0.5**0.5
    if KINDS[kind] == "triangle":
        return np.maximum(v, np.abs(u) * 0.75**0.5 - v / 2) - 0.5
    if KINDS[kind] == "cross":
        long, short = np.maximum(np.abs(u), np.abs(v)), np.minimum(np.abs(u), np.abs(v))
        return np.maximum(long - 0.95, short - 0.3)
    return np.abs(np.hypot(u, v) - 0.8) - 0.2


class ShapesDataset(Dataset):
    """`n` pictures of one shape each, (*img_size, channels); the class is the kind of shape.

    With `background="color"` the background is a darker color, with `"black"` it is black. With one channel, colors
    are grays. Position, size, angle and colors are drawn from `seed` at once; `batch` renders the pictures.
    """

    name = "shapes"
    classes = KINDS

    def __init__(
        self,
        n: int = 10_000,
        img_size: Size = 32,
        channels: int = 3,
        background: str = "color",
        seed: int | list[int] = 0,
    ):
        if whole(n, "shapes", "the number of pictures", DataError) < 1:
            raise DataError(f"shapes: draw one picture or more, not {n}")
        check_size(img_size, channels)
        rng = np.random.default_rng(seed)
        self.shape = (*as_size(img_size), channels)
        self.labels = rng.integers(len(KINDS), size=n)
        self._radius = rng.uniform(0.2, 0.4, n).astype(np.float32)
        spread = 0.46 - self._radius[:, None]  # the shape stays inside the picture
        self._center = (0.5 + rng.uniform(-1, 1, (n, 2)) * spread).astype(np.float32)
        self._angle = rng.uniform(0, 2 * np.pi, n).astype(np.float32)
        self._color = _colors(rng, n, channels, 0.6, 1)
        self._ground = _colors(rng, n, channels, 0, 0.35) * (background != "black")

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: np.ndarray) -> np.ndarray:
        """Render pictures (n, *self.shape), float32 in [-1, 1]."""
        indices = np.asarray(indices)
        mask = self._coverage(indices)[..., None]
        color, ground = self._color[indices, None, None], self._ground[indices, None, None]
        return (ground + mask * (color - ground)) * 2 - 1

    def select(self, indices: np.ndarray) -> ShapesDataset:
        """Return a data set of only these drawings."""
        chosen = object.__new__(ShapesDataset)
        chosen.shape = self.shape
        for name in ("labels", "_radius", "_center", "_angle", "_color", "_ground"):
            setattr(chosen, name, getattr(self, name)[indices])
        return chosen

    def _coverage(self, indices: np.ndarray) -> np.ndarray:
        """Return the covered part of every pixel (n, H, W), in [0, 1]."""
        height, width = self.shape[:2]
        side = min(height, width)
        across, down = ((np.arange(n, dtype=np.float32) + 0.5 - (n - side) / 2) / side for n in (width, height))
        radius, angle = self._radius[indices, None, None], self._angle[indices, None, None]
        x = across[None, None, :] - self._center[indices, 0, None, None]
        y = down[None, :, None] - self._center[indices, 1, None, None]
        u = (np.cos(angle) * x + np.sin(angle) * y) / radius
        v = (np.cos(angle) * y - np.sin(angle) * x) / radius
        distance = np.empty_like(u)
        for kind in range(len(KINDS)):
            chosen = self.labels[indices] == kind
            distance[chosen] = _distance(kind, u[chosen], v[chosen])
        return np.clip(0.5 - distance * radius * side, 0, 1)


def _colors(rng: np.random.Generator, n: int, channels: int, dark: float, light: float) -> np.ndarray:
    """Draw `n` grays (n, 1), or colors (n, 3) of any hue, with the strongest channel in [dark, light]."""
    value = rng.uniform(dark, light, (n, 1)).astype(np.float32)
    if channels == 1:
        return value
    hue = rng.uniform(0, 1, (n, 1)) + np.array([0, 1 / 3, 2 / 3])
    return value * np.clip(np.abs(hue % 1 * 6 - 3) - 1, 0.1, 1).astype(np.float32)
