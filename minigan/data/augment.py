"""Augmentation: new pictures from old ones, by changes that leave them pictures of the same thing.

Every function takes pictures (N, H, W, C) and a generator, draws for each picture on its own, and returns a new array
of the same shape and dtype. Whatever comes to lie outside the picture is taken from the nearest pixel of its border.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from minigan.backend import is_array
from minigan.errors import ShapeError, described


def random_flip(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirror left and right with probability 1/2."""
    _check(x)
    flip = rng.random(len(x)) < 0.5
    return np.where(flip[:, None, None, None], x[:, :, ::-1], x)


def random_crop(x: np.ndarray, rng: np.random.Generator, padding: int) -> np.ndarray:
    """Shift by up to `padding` pixels in each direction: pad on all sides, then crop to the old size."""
    _check(x)
    n, h, w, _ = x.shape
    top, left = rng.integers(-padding, padding + 1, (2, n))
    rows = np.clip(np.arange(h) + top[:, None], 0, h - 1)  # (N, H)
    columns = np.clip(np.arange(w) + left[:, None], 0, w - 1)  # (N, W)
    return x[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]


def random_rotation(x: np.ndarray, rng: np.random.Generator, degrees: float) -> np.ndarray:
    """Rotate about the centre by an angle in [-degrees, degrees], with bilinear interpolation."""
    _check(x)
    if x.dtype.kind != "f":
        raise ShapeError(f"rotated pictures are mixed from several pixels, so they must be floats, got {x.dtype}")
    n, h, w, _ = x.shape
    angle = np.deg2rad(rng.uniform(-degrees, degrees, (n, 1, 1))).astype(np.float32)
    v = np.arange(h, dtype=np.float32)[None, :, None] - (h - 1) / 2
    u = np.arange(w, dtype=np.float32)[None, None, :] - (w - 1) / 2
    # Where in the old picture does each pixel of the new one come from? (N, H, W)
    row = np.clip(np.cos(angle) * v - np.sin(angle) * u + (h - 1) / 2, 0, h - 1)
    column = np.clip(np.sin(angle) * v + np.cos(angle) * u + (w - 1) / 2, 0, w - 1)
    return _bilinear(x, row, column)


def _bilinear(x: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Interpolate x (N, H, W, C) at fractional positions (N, H, W) within it."""
    n, h, w, _ = x.shape
    top, left = row.astype(np.intp), column.astype(np.intp)  # rounds down: no position is negative
    bottom, right = np.minimum(top + 1, h - 1), np.minimum(left + 1, w - 1)
    down = (row - top)[..., None].astype(x.dtype)
    across = (column - left)[..., None].astype(x.dtype)
    k = np.arange(n)[:, None, None]
    upper = x[k, top, left] * (1 - across) + x[k, top, right] * across
    lower = x[k, bottom, left] * (1 - across) + x[k, bottom, right] * across
    return upper * (1 - down) + lower * down


def _check(x: np.ndarray) -> None:
    if not is_array(x):
        raise ShapeError(f"augmentation needs pictures (N, H, W, C), got {described(x)}")
    if x.ndim != 4:
        raise ShapeError(f"augmentation needs pictures (N, H, W, C), got shape {x.shape}")


AUGMENTATIONS = {
    "flip": random_flip,
    "crop": partial(random_crop, padding=2),
    "rotate": partial(random_rotation, degrees=10),
}
