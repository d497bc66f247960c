"""Class counts: whether a classifier recognizes the samples, which classes occur, and whether requests are met.

Everything is counted from probabilities p (N, K), or (N, K + 1) if the classifier has a last class "none". The counts
say nothing about variety within a class: a generator that copies the data set passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.backend import to_numpy
from minigan.common.arguments import labels_of, numbers
from minigan.errors import MiniganError, ShapeError
from minigan.metrics.checks import count_invalid

SURE = 0.95  # a sample is recognized if one class has at least this probability
PRESENT = 0.01  # a class is present if at least this share of all samples is recognized as it


class ClassCounts:
    """Counts, batch by batch, how a classifier with the classes `classes` classifies the samples of a generator."""

    def __init__(self, classes: Sequence[str]) -> None:
        if isinstance(classes, str) or not hasattr(classes, "__len__"):
            raise MiniganError(f"ClassCounts takes the names of the classes in a list, got {classes!r}")
        self.classes, K = tuple(classes), len(classes)
        if K == 0 or len({*self.classes, "none"}) <= K:
            raise MiniganError(f'ClassCounts needs classes with distinct names, none of them "none", got {classes}')
        self.n = 0
        self.sure = np.zeros(K, int)  # recognized samples, by class
        self.called = np.zeros(K + 1, int)  # samples by their most likely class, with "none" last
        self.asked, self.right = np.zeros(K, int), np.zeros(K, int)  # samples requested of a class, and those that are

    def update(self, probabilities: Any, asked: Any = None) -> None:
        """Count probabilities (N, K) or (N, K + 1); `asked` are the labels (N,) in 0…K−1 that were requested, if any.

        Raises ShapeError, without counting anything, if either doesn't fit, or if these are not probabilities. Copies
        to the host.
        """
        p, K = to_numpy(numbers(probabilities, "ClassCounts", "probabilities")), len(self.classes)
        if p.ndim != 2 or p.shape[1] not in (K, K + 1):
            raise ShapeError(f"{K} classes are counted from probabilities (N, {K}) or (N, {K + 1}), got {p.shape}")
        if (wrong := int(count_invalid(p))) > 0:
            raise ShapeError(f"probabilities are not negative and sum to 1 for each picture: {wrong} of {len(p)} don't")
        called = p.argmax(axis=1)  # (N,)
        if asked is not None:
            asked = labels_of(asked, len(p), None, "requested classes")
            if len(asked) and asked.max() >= K:
                found = f"samples of classes {asked.min()} to {asked.max()} were requested"
                raise ShapeError(f"the classifier has {K} classes, and {found}: use one that has them")
            self.asked += np.bincount(asked, minlength=K)
            self.right += np.bincount(asked[called == asked], minlength=K)
        self.n += len(p)
        self.called += np.bincount(called, minlength=K + 1)
        self.sure += np.bincount(called[p[:, :K].max(axis=1) >= SURE], minlength=K)

    def result(self) -> dict[str, Any]:
        """Return the counts; all but `classes_present` are shares in [0, 1].

            sure               share of samples that are recognized as one of the K classes
            classes_present    number of classes (of the requested ones, if any) as which at least 1 % of all samples
                               are recognized
            shares             {class: share of samples whose most likely class it is}, with "none" last

        and, if samples were requested by class,

            right              share of samples whose most likely class is the requested one
            right_of           {class: the same share, of the samples requested of it}, without classes never requested

        Raises ShapeError if there were no samples.
        """
        if self.n == 0:
            raise ShapeError("classes are counted from one sample at least, and there were none")
        present = self.sure >= PRESENT * self.n
        found: dict[str, Any] = {
            "sure": float(self.sure.sum() / self.n),
            "classes_present": int(present[self.asked > 0].sum() if self.asked.any() else present.sum()),
            "shares": dict(zip((*self.classes, "none"), (self.called / self.n).tolist(), strict=True)),
        }
        if self.asked.any():
            found["right"] = float(self.right.sum() / self.asked.sum())
            counted = zip(self.classes, self.right.tolist(), self.asked.tolist(), strict=True)
            found["right_of"] = {name: right / asked for name, right, asked in counted if asked}
        return found


def in_columns(x: np.ndarray, p: np.ndarray, rows: int = 8) -> np.ndarray:
    """Arrange pictures x (N, H, W, C) in a table (rows · K, H, W, C), row by row, with a column for each of p (N, K).

    A column shows pictures whose most likely class it is, from the most certain to the least certain at equal steps in
    rank; empty cells are white. `training.pictures.grid` draws the table, with columns=K.
    """
    K = p.shape[1]
    cells = np.ones((rows, K, *x.shape[1:]), x.dtype)
    for k in range(K):
        called = np.flatnonzero(p.argmax(axis=1) == k)
        called = called[np.argsort(-p[called, k], kind="stable")]
        chosen = called[np.linspace(0, len(called) - 1, min(rows, len(called))).round().astype(int)]
        cells[: len(chosen), k] = x[chosen]
    return cells.reshape(-1, *x.shape[1:])
