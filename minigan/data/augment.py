"""Augmentation: random flips, quarter turns, shifts, rotations and enlarged windows of pictures.

Every function takes pictures (N, H, W, C) and one generator per picture, and returns a new array of the same shape and
dtype. The draws depend on the generators alone, not on the pictures, so pictures that belong together get the same
change from equal generators. Pixels from outside a picture are replaced by the nearest border pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from minigan.backend import is_array
from minigan.errors import ShapeError, described

Generators = Sequence[np.random.Generator]


def random_flip(x: np.ndarray, rngs: Generators) -> np.ndarray:
    """Mirror each picture left to right with probability 1/2."""
    _check(x, rngs)
    flip = np.array([rng.random() < 0.5 for rng in rngs])
    return np.where(flip[:, None, None, None], x[:, :, ::-1], x)


def random_turn(x: np.ndarray, rngs: Generators) -> np.ndarray:
    """Turn each picture by 0, 90, 180 or 270 degrees. Raises ShapeError for pictures that aren't square."""
    _check(x, rngs)
    if x.shape[1] != x.shape[2]:
        what = f"quarter turns exchange height and width, and pictures are {x.shape[1]}x{x.shape[2]}"
        raise ShapeError(f"{what}: use a square `img_size`, or `augment` without turn")
    turns = np.array([int(4 * rng.random()) for rng in rngs], int)
    y = np.empty_like(x)
    for k in range(4):
        y[turns == k] = np.rot90(x[turns == k], k, axes=(1, 2))
    return y


def random_crop(x: np.ndarray, rngs: Generators, padding: int) -> np.ndarray:
    """Shift each picture by up to `padding` pixels in each direction: pad on all sides, then crop to the old size."""
    _check(x, rngs)
    n, h, w, _ = x.shape
    drawn = np.array([(rng.random(), rng.random()) for rng in rngs]).T  # (2, N) in [0, 1)
    top, left = (drawn * (2 * padding + 1)).astype(int) - padding
    rows = np.clip(np.arange(h) + top[:, None], 0, h - 1)  # (N, H)
    columns = np.clip(np.arange(w) + left[:, None], 0, w - 1)  # (N, W)
    return x[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]


def random_rotation(x: np.ndarray, rngs: Generators, degrees: float) -> np.ndarray:
    """Rotate each picture about its center by an angle in [-degrees, degrees], with bilinear interpolation."""
    _check(x, rngs)
    _check_floats(x)
    n, h, w, _ = x.shape
    drawn = np.array([rng.uniform(-degrees, degrees) for rng in rngs])
    angle = np.deg2rad(drawn).astype(np.float32).reshape(n, 1, 1)
    v = np.arange(h, dtype=np.float32)[None, :, None] - (h - 1) / 2
    u = np.arange(w, dtype=np.float32)[None, None, :] - (w - 1) / 2
    # The position in the old picture that each new pixel is sampled from (N, H, W)
    row = np.clip(np.cos(angle) * v - np.sin(angle) * u + (h - 1) / 2, 0, h - 1)
    column = np.clip(np.sin(angle) * v + np.cos(angle) * u + (w - 1) / 2, 0, w - 1)
    return _bilinear(x, row, column)


def random_jitter(x: np.ndarray, rngs: Generators, factor: float) -> np.ndarray:
    """Enlarge each picture by `factor` with bilinear interpolation, and cut a window of the old size at a random place.

    With a factor of 286/256, the augmentation of pix2pix (Isola et al. 2017); theirs enlarges bicubically.
    """
    _check(x, rngs)
    _check_floats(x)
    places = np.array([(rng.random(), rng.random()) for rng in rngs])  # (N, 2) in [0, 1)
    positions = []
    for old, place in zip(x.shape[1:3], places.T, strict=True):
        new = round(old * factor)
        first = (place * (new - old + 1)).astype(int)  # (N,)
        centers = (first[:, None] + np.arange(old) + 0.5) * (old / new) - 0.5  # of the new pixels, in the old picture
        positions.append(np.clip(centers, 0, old - 1).astype(np.float32))  # (N, old)
    row, column = np.broadcast_arrays(positions[0][:, :, None], positions[1][:, None, :])  # (N, H, W)
    return _bilinear(x, row, column)


def _bilinear(x: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Interpolate x (N, H, W, C) bilinearly at fractional positions (N, H, W) inside it."""
    n, h, w, _ = x.shape
    top, left = row.astype(np.intp), column.astype(np.intp)  # truncation rounds down: no position is negative
    bottom, right = np.minimum(top + 1, h - 1), np.minimum(left + 1, w - 1)
    down = (row - top)[..., None].astype(x.dtype)
    across = (column - left)[..., None].astype(x.dtype)
    k = np.arange(n)[:, None, None]
    upper = x[k, top, left] * (1 - across) + x[k, top, right] * across
    lower = x[k, bottom, left] * (1 - across) + x[k, bottom, right] * across
    return upper * (1 - down) + lower * down


def _check(x: np.ndarray, rngs: Generators) -> None:
    if not is_array(x):
        raise ShapeError(f"augmentation needs pictures (N, H, W, C), got {described(x)}")
    if x.ndim != 4:
        raise ShapeError(f"augmentation needs pictures (N, H, W, C), got shape {x.shape}")
    if isinstance(rngs, np.random.Generator) or len(rngs) != len(x):
        raise ShapeError(f"augmentation needs a list of {len(x):,} generators, one for each picture")


def _check_floats(x: np.ndarray) -> None:
    if x.dtype.kind != "f":
        raise ShapeError(f"this interpolates between pixels, so pictures must be floats, got {x.dtype}")


AUGMENTATIONS = {
    "flip": random_flip,
    "turn": random_turn,
    "crop": partial(random_crop, padding=2),
    "rotate": partial(random_rotation, degrees=10),
    "jitter": partial(random_jitter, factor=286 / 256),
}
