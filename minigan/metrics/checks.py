"""What the distances between two sets of features ask of them."""

from __future__ import annotations

from typing import Any

from minigan.backend import array_module, to_numpy
from minigan.errors import MiniganError, ShapeError


def check_sets(a: Any, b: Any, at_least: int, what: str) -> None:
    """Refuse two sets that can't be compared: a (N, F) and b (M, F), finite, with N and M `at_least` that many.

    `what` is the number that is to be taken, for the message. Raises ShapeError for shapes and MiniganError for sets
    that are too small or not finite. This waits for the device.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or a.shape[1] == 0:
        raise ShapeError(f"{what} takes features (N, F) and (M, F), got {tuple(a.shape)} and {tuple(b.shape)}")
    if min(len(a), len(b)) < at_least:
        raise MiniganError(f"{what} needs {at_least} pictures or more in each set, got {len(a)} and {len(b)}")
    for features in (a, b):
        if not to_numpy(array_module(features).isfinite(features).all()):
            raise MiniganError(f"{what} can't be taken: the features hold NaN or infinity; look at the pictures")
