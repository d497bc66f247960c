"""Checks of features, probabilities and pictures, beyond those of any array in `minigan.common.arguments`."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import array_module, to_numpy
from minigan.common.arguments import finite, numbers, together
from minigan.errors import MiniganError, ShapeError, described

LARGEST = 1e24  # feature: the variance of the kernel distance contains its twelfth power, which must fit float64
OUTSIDE = 1.01  # largest |pixel| of a picture in [-1, 1], with room for rounding


def feature_sets(a: Any, b: Any, at_least: int, what: str) -> tuple[Any, Any]:
    """Return two comparable sets as arrays: a (N, F) and b (M, F), finite, with N and M `at_least` that many.

    `what` names the metric in error messages. Raises ShapeError for shapes that don't fit, and MiniganError for sets
    that are too small or not finite. This waits for the device.
    """
    a, b = (numbers(features, what, "features") for features in (a, b))
    together(what, a, b)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or a.shape[1] == 0:
        raise ShapeError(f"{what} takes features (N, F) and (M, F), got {tuple(a.shape)} and {tuple(b.shape)}")
    if min(len(a), len(b)) < at_least:
        raise MiniganError(f"{what} needs {at_least} pictures or more in each set, got {len(a)} and {len(b)}")
    xp = array_module(a)
    a, b = (finite(x if x.dtype.kind == "f" else x.astype(xp.float64), what, "features") for x in (a, b))
    largest = max(float(to_numpy(xp.abs(x).max())) for x in (a, b))
    if largest > LARGEST:
        raise MiniganError(f"{what} takes features up to {LARGEST:.0e}, got {largest:.2g}: divide all by one number")
    return a, b


def count_invalid(p: Any) -> Any:
    """Count the rows of p (N, K) that are not probabilities, nonnegative with a sum of 1 (0-d, on p's device)."""
    xp = array_module(p)
    tolerance = 1e-2 if p.dtype == np.float16 else 1e-3
    p = p.astype(xp.float64)
    right = (p >= -tolerance).all(axis=1) & (xp.abs(p.sum(axis=1) - 1) <= tolerance)  # False for NaN
    return (~right).sum()


def check_pictures(pictures: Any, who: str) -> None:
    """Raise ShapeError unless these are float32 pictures (N, H, W, 1 or 3) in [-1, 1].

    On a GPU the range is not checked, because that would wait for the device.
    """
    wanted = f"{who} takes float32 pictures (N, H, W, 1 or 3) in [-1, 1]"
    try:
        xp = array_module(pictures)
    except TypeError:
        raise ShapeError(f"{wanted}, got {described(pictures)}") from None
    if pictures.ndim != 4 or pictures.shape[3] not in (1, 3) or pictures.dtype != np.float32:
        how = ": divide by 127.5 and subtract 1" if pictures.dtype == np.uint8 else ""
        raise ShapeError(f"{wanted}, got {pictures.dtype} {tuple(pictures.shape)}{how}")
    if xp is np and pictures.size and np.abs(pictures).max() > OUTSIDE:
        low, high = float(pictures.min()), float(pictures.max())
        raise ShapeError(f"{wanted}, got numbers from {low:.4g} to {high:.4g}: bring them to [-1, 1]")
