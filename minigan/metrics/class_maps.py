"""How well class maps agree: pixel accuracy, intersection over union, and its mean over classes.

Everything follows from the confusion matrix n (K, K), where n_ij counts the pixels of class i that were given class j
(Long, Shelhamer, Darrell, "Fully Convolutional Networks for Semantic Segmentation", 2015, section 5):

    pixel accuracy   Σ_i n_ii / Σ_ij n_ij
    IoU of class k   n_kk / (Σ_j n_kj + Σ_i n_ik − n_kk)        pixels of k in both maps / in either of them
    mean IoU         the mean over the classes that occur in one of the maps

Pixels whose class isn't known are left out. The confusion matrix of a set is the sum of those of its pictures. The
scores of a set are computed from this sum, because a class may be missing in many of the pictures.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import to_numpy
from minigan.errors import ShapeError


def confusion(scores: Any, wanted: Any) -> np.ndarray:
    """Return the confusion matrix (K, K), int64 on the host, of maps (N, H, W, K).

    The given class is the one with the highest score; the first of equals. `wanted` has 1 in the channel of the pixel's
    class, and 0 in all channels where the class isn't known. Raises ShapeError for maps that differ in shape.
    """
    if tuple(scores.shape) != tuple(wanted.shape) or wanted.ndim != 4:
        shapes = f"{tuple(scores.shape)} and {tuple(wanted.shape)}"
        raise ShapeError(f"class maps that are compared have one shape, (N, H, W, K), got {shapes}")
    K = wanted.shape[3]
    known = to_numpy(wanted.max(axis=3) > 0).ravel()  # (N·H·W,)
    given, real = (to_numpy(map_.argmax(axis=3)).ravel()[known] for map_ in (scores, wanted))
    return np.bincount(K * real + given, minlength=K * K).reshape(K, K)


def pixel_accuracy(counts: np.ndarray) -> Any:
    """Return the share of correct pixels of confusion matrices (…, K, K); NaN where there are no pixels."""
    correct = np.trace(counts, axis1=-2, axis2=-1)
    return _ratio(correct, counts.sum(axis=(-2, -1)))


def class_iou(counts: np.ndarray) -> np.ndarray:
    """Return the intersection over union of each class (…, K); NaN for a class that occurs in neither map."""
    both = np.diagonal(counts, axis1=-2, axis2=-1)
    return _ratio(both, counts.sum(axis=-1) + counts.sum(axis=-2) - both)


def mean_iou(counts: np.ndarray) -> Any:
    """Return the mean of `class_iou` over the classes that occur; NaN where there are no pixels."""
    iou = class_iou(counts)
    occurs = ~np.isnan(iou)
    return _ratio(np.where(occurs, iou, 0).sum(axis=-1), occurs.sum(axis=-1))


def _ratio(a: Any, b: Any) -> Any:
    return np.where(b == 0, np.nan, a / np.maximum(b, 1))[()]
