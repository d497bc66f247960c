"""What all feature networks have in common: pictures in, numbers out that say what is on them.

The distances between two sets of pictures are not taken between pixels but between the features that a trained
network sees in them. Every such number depends on the network and on how pictures are resized for it, so it says what
it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np


class FeatureNetwork:
    """A trained network that is only asked: pictures (N, H, W, C) in [-1, 1] → features and class probabilities.

    `describe` and `resizer` are phrases for people. `comparable` says whether distances between its features may be
    compared with those that papers publish, and `knows_none` whether its probabilities have one column more than it has
    `classes`, the last, of a picture being none of them. `weights` is a digest of its weights: statistics are compared
    only if the same network made them.
    """

    name: str
    describe: str
    resizer: str
    comparable: bool
    knows_none: bool = False
    weights: str
    n_features: int
    classes: tuple[str, ...]

    def __call__(self, pictures: Any) -> tuple[Any, Any]:
        """Pictures (N, H, W, C), float32 in [-1, 1], C 1 or 3, of any size → features (N, F), probabilities (N, K)."""
        raise NotImplementedError


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Sixteen hexadecimal digits that differ for other names, shapes or numbers (of SHA-256)."""
    hashed = hashlib.sha256()
    for name in sorted(arrays):
        hashed.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        hashed.update(np.ascontiguousarray(arrays[name]))
    return hashed.hexdigest()[:16]
