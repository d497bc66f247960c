"""The interface of feature networks, which map pictures to features and class probabilities.

Two sets of pictures are compared by the features that a trained network computes of them, not by their pixels. The
result depends on the network and on how pictures are resized for it, so a network describes both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np


class FeatureNetwork:
    """A trained network in inference: pictures (N, H, W, C) in [-1, 1] → features and class probabilities.

    `describe` and `resizer` are phrases for the user. `comparable` is whether distances between its features may be
    compared with published ones. `knows_none` is whether its probabilities have a last column in addition to those of
    `classes`, for pictures of none of them. `weights` is a digest of its weights: only statistics of equal weights are
    compared. `classes` is empty for a network without classes: K is then 0. `usual` names the metrics that are measured
    where none are asked for. `own_size` is whether pictures aren't resized: only sets of one size can be compared then.
    """

    name: str
    describe: str
    resizer: str
    comparable: bool
    knows_none: bool = False
    weights: str
    n_features: int
    classes: tuple[str, ...]
    own_size: bool = False
    usual: tuple[str, ...] = ("fid", "is")

    def __call__(self, pictures: Any) -> tuple[Any, Any]:
        """Pictures (N, H, W, C), float32 in [-1, 1], C 1 or 3, of any size → features (N, F), probabilities (N, K)."""
        raise NotImplementedError


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the first 16 hexadecimal digits of a SHA-256 over the names, dtypes, shapes and numbers of arrays."""
    hashed = hashlib.sha256()
    for name in sorted(arrays):
        hashed.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        hashed.update(np.ascontiguousarray(arrays[name]))
    return hashed.hexdigest()[:16]
