"""Are these pictures noise? In a picture of anything, a pixel is much like the one beside it."""

from __future__ import annotations

import numpy as np

TINY = 1e-12  # of a variance: no division by zero


def neighbour_correlation(pictures: np.ndarray) -> float:
    """How much a pixel of pictures (N, H, W, C) tells of the one beside it or below it: the correlation, about −1 to 1.

    Photographs, drawings and digits have 0.8 to 0.95, white noise and untrained generators about 0; generators that
    have begun to draw, after some hundred steps, 0.5 to 0.9. Brightness and the contrast of all don't matter, because
    each channel of each picture is measured from its own mean:

        1 − Σ (difference of neighbours)² / (2 Σ (difference from the mean)²), as means

    NaN where it can't be told: for pictures that are all flat, a pixel wide or high, or not finite.
    """
    x = np.asarray(pictures, np.float64)
    if min(x.shape[1:3]) < 2 or not np.isfinite(x).all():
        return float("nan")
    variance = np.square(x - x.mean(axis=(1, 2), keepdims=True)).mean()
    if variance < TINY:
        return float("nan")
    down, across = (np.square(np.diff(x, axis=axis)).mean() for axis in (1, 2))
    return float(1 - (down + across) / (4 * variance))
