"""Convert arrays of pictures, in any usual layout and range, to bytes (N, H, W, 1 or 3).

    (N, H, W)  (N, H, W, C)  (N, C, H, W)    C = 1 or 3, plus an optional alpha channel, composited on white
    (N, S²)                                  bytes of flattened squares, as in Quick, Draw!

Values are whole numbers from 0 to 255, uint16 of 16 bits, booleans, or floats from 0 to 1, -1 to 1 or 0 to 255.
"""

from __future__ import annotations

from math import isqrt

import numpy as np

from minigan.common.untrusted import Unreadable

CHANNELS = (1, 2, 3, 4)
AT_ONCE = 1024  # pictures converted at a time, as float64


def as_pictures(array: np.ndarray) -> np.ndarray | None:
    """Return the array as (N, H, W, C), or None if its shape is not that of pictures."""
    if array.ndim == 2 and array.dtype == np.uint8 and (side := isqrt(array.shape[1])) ** 2 == array.shape[1] > 15:
        array = array.reshape(-1, side, side)  # (N, S²) -> (N, S, S)
    if array.ndim == 3 and min(array.shape[1:]) >= 4:
        array = array[..., None]
    if array.ndim != 4 or not array.size:
        return None
    if array.shape[3] in CHANNELS:
        return array
    return array.transpose(0, 2, 3, 1) if array.shape[1] in CHANNELS else None  # (N, C, H, W) -> (N, H, W, C)


def to_bytes(pictures: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Convert pictures (N, H, W, C) of any range to uint8 with 1 or 3 channels; also return a note about the range."""
    scale, offset, notes = _range(pictures)
    n, H, W, C = pictures.shape
    alpha = C in (2, 4)
    out = np.empty((n, H, W, C - alpha), np.uint8)
    for i in range(0, n, AT_ONCE):
        x = pictures[i : i + AT_ONCE]
        if x.dtype != np.uint8:
            x = (x.astype(np.float64) * scale + offset).round()
        if alpha:
            opacity = x[..., -1:] / 255.0
            x = (x[..., :-1] * opacity + 255 * (1 - opacity)).round()
        out[i : i + AT_ONCE] = x
    return out, notes


def _range(pictures: np.ndarray) -> tuple[float, float, tuple[str, ...]]:
    """Return the scale and offset that map values to 0 ... 255, and notes. Raises Unreadable for any other range."""
    if pictures.dtype == np.uint8:
        return 1, 0, ()
    if not np.isfinite(pictures).all():
        raise Unreadable("some of its values are NaN or infinity: take those pictures out")
    low, high = float(pictures.min()), float(pictures.max())
    shown = f"its values, from {low:.4g} to {high:.4g},"
    if pictures.dtype == bool:
        return 255, 0, ()
    if pictures.dtype == np.uint16 and high > 255:
        return 255 / 65535, 0, (f"{shown} are taken for 16 bits",)
    if pictures.dtype.kind == "f" and low >= 0 and high <= 1:
        return 255, 0, (f"{shown} are taken for 0 to 1",)
    if pictures.dtype.kind == "f" and low >= -1 and high <= 1:
        return 127.5, 127.5, () if low < -0.5 and high > 0.5 else (f"{shown} are taken for -1 to 1",)
    if low >= 0 and high <= 255:
        return 1, 0, (f"{shown} are taken for 0 to 255",)
    raise Unreadable(f"{shown} are none of 0 to 255, 0 to 1 and -1 to 1: bring them to one of these")
