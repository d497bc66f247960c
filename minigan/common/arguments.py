"""Validates arguments of public functions: arrays of real numbers, labels, counts.

NumPy accepts almost anything: it drops the imaginary part of a complex number, converts NaN to a label, and broadcasts
arrays that should have had the same shape. Each of these silently gives a wrong result. Metrics and data sets of arrays
therefore validate their arguments here.

`who` is the subject of the error message, such as "the Fréchet distance"; `error` is the exception class.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np

from minigan.backend import array_module, is_array, to_numpy
from minigan.errors import MiniganError, ShapeError, described


def numbers(x: Any, who: str, name: str, error: type[MiniganError] = ShapeError) -> Any:
    """Return `x` as an array of real numbers. Lists and numbers are converted, arrays are neither copied nor moved."""
    if isinstance(x, (list, tuple, Real)):
        try:
            x = np.array(x)
        except (ValueError, TypeError, RuntimeError):  # rows of different lengths, or objects that aren't numbers
            raise error(f"{who}: {name} can't be made one array of numbers: give an array") from None
    if not is_array(x):
        raise error(f"{who}: {name} must be an array of numbers, got {described(x)}")
    if isinstance(x, np.ma.MaskedArray):
        raise error(f"{who}: {name} is a masked array: fill it, or leave out what is masked")
    if x.dtype.kind not in "fiub":
        raise error(f"{who}: {name} must be real numbers, got {x.dtype}")
    return np.asarray(x) if array_module(x) is np else x


def finite(x: Any, who: str, name: str) -> Any:
    """Return `x`. Raises MiniganError if it contains NaN or infinity. Synchronizes with the device."""
    if not to_numpy(array_module(x).isfinite(x).all()):
        raise MiniganError(f"{who} can't be computed: the {name} contain NaN or infinity; check the pictures")
    return x


def together(who: str, *arrays: Any) -> None:
    """Raise ShapeError unless all arrays are on the same device."""
    if len({type(a) for a in arrays}) > 1:
        raise ShapeError(f"{who}: one array is on a device and another on the host: move them to one place")


def whole(value: Any, who: str, name: str, error: type[MiniganError] = MiniganError) -> int:
    """Return a count as an int. Raises `error` for 2.5, "3", True, NaN and the like."""
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    raise error(f"{who}: {name} must be a whole number, got {value!r}")


def labels_of(labels: Any, n: int, count: int | None, who: str, error: type[MiniganError] = ShapeError) -> np.ndarray:
    """Return the labels of n samples as int64 (n,) on the host.

    The shape (n, 1) and whole numbers in floats are accepted. Raises `error` for other shapes, for 2.7 or NaN, and for
    labels that aren't from 0 to count − 1 (count None: at least 0).
    """
    labels = to_numpy(numbers(labels, who, "labels", error))
    if labels.shape == (n, 1):
        labels = labels[:, 0]
    if labels.shape != (n,):
        how = ": take the largest of each row, labels.argmax(axis=1)" if labels.shape[:1] == (n,) else ""
        raise error(f"{who}: {n:,} samples want as many labels, got shape {labels.shape}{how}")
    top = 2**62 if count is None else count - 1
    wrong = np.flatnonzero(~((labels >= 0) & (labels <= top) & (labels == np.round(labels))))
    if wrong.size:
        wanted = "whole numbers from 0 on" if count is None else f"whole numbers from 0 to {top}"
        raise error(f"{who}: labels are {wanted}, and that of sample {wrong[0]:,} is {labels[wrong[0]]!s}")
    return labels.astype(np.int64)
