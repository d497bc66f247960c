"""Are samples copies? Finds the nearest training picture of each sample, when a run has finished.

Distances are root mean squares over pixels and channels, in the range [−1, 1] of pictures, of which larger ones are
first reduced to at most 32 pixels each way. A distance alone says nothing: digits are nearer to each other than photos
are. So it is compared with the distance of training pictures from their nearest *other* training picture. Samples that
are much nearer than these, and look the same, are copies. Blurred samples are somewhat nearer to everything.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import ceil, isfinite
from pathlib import Path
from typing import Any

import numpy as np

from minigan.common.untrusted import open_file

MOST = 20_000  # training pictures that are compared, evenly spread over the data
AT_ONCE = 512
SIDE = 32  # pixels each way, to which pictures are reduced
ROWS, COLUMNS = 2, 8  # of samples in the picture
LONGEST = 4096  # bytes of the file

Read = Callable[[np.ndarray], np.ndarray]  # numbers of training pictures (n,) → pictures (n, H, W, C)


@dataclass(frozen=True)
class Memorization:
    """The result: `samples` and `real` are medians of distances, of all samples and of as many training pictures.

    step:     the step of the samples
    shown:    number of samples in the picture: the nearest ones
    compared: number of training pictures, of `of` in all
    """

    step: int
    shown: int
    compared: int
    of: int
    samples: float
    real: float

    def text(self) -> str:
        """Return the contents of the file."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def read(cls, path: Path) -> Memorization | None:
        """Read the file; None if it is missing or damaged."""
        try:
            with open_file(path) as file:
                given = json.loads(file.read(LONGEST))
            found = cls(**given)
            counts, distances = (found.step, found.shown, found.compared, found.of), (found.samples, found.real)
            sound = all(type(n) is int and n >= 0 for n in counts)
            return found if sound and all(type(d) is float and isfinite(d) for d in distances) else None
        except (OSError, ValueError, TypeError, RecursionError):
            return None


def nearest(samples: np.ndarray, read: Read, n: int, seed: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compare samples (m, H, W, C) with the n ≥ 2 training pictures that `read` returns.

    Returns, of each sample, the number of its nearest picture (m,) and the distance (m,); and of m random training
    pictures, or of all if there are fewer, the distance from their nearest other one.
    """
    there = np.unique(np.linspace(0, n - 1, min(n, MOST)).astype(int))
    some = np.random.default_rng(seed).choice(there, min(len(samples), len(there)), replace=False)
    sought = np.concatenate([_small(samples), _small(read(some))])  # (m + k, P)
    itself = np.concatenate([np.full(len(samples), -1), some])
    best, found = np.full(len(sought), np.inf), np.zeros(len(sought), int)
    for i in range(0, len(there), AT_ONCE):
        at = there[i : i + AT_ONCE]
        x = _small(read(at))
        squares = np.square(sought).sum(1)[:, None] - 2 * sought @ x.T + np.square(x).sum(1)  # (m + k, P) @ (P, b)
        squares[itself[:, None] == at] = np.inf
        j = squares.argmin(axis=1)
        value = squares[np.arange(len(j)), j]
        found = np.where(value < best, at[j], found)
        best = np.minimum(value, best)
    # again, as a mean of squared differences: the difference of large sums above is not exact
    distances = np.sqrt(np.square(sought - _small(read(found))).mean(axis=1))
    return found[: len(samples)], distances[: len(samples)], distances[len(samples) :]


def _small(pictures: np.ndarray) -> np.ndarray:
    """Reduce pictures (n, H, W, C) by means over k×k pixels to at most SIDE pixels each way; return (n, P)."""
    n, H, W, C = pictures.shape
    k = ceil(max(H, W) / SIDE)
    h, w = H // k, W // k
    blocks = np.clip(pictures[:, : h * k, : w * k], -1, 1).reshape(n, h, k, w, k, C)
    return blocks.mean(axis=(2, 4), dtype=np.float32).reshape(n, h * w * C)
