"""What a classifier says of a generator: are its samples anything at all, are all classes there, is it what was asked.

All of it is counted from probabilities p (N, K), or (N, K + 1) if the classifier knows a last class "none". Nothing
here is about variety within a class: a generator that copies the data set passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.backend import to_numpy
from minigan.common.arguments import labels_of, numbers
from minigan.errors import MiniganError, ShapeError
from minigan.metrics.checks import no_probabilities

SURE = 0.95  # the classifier is sure of a sample if it gives one class this probability
PRESENT = 0.01  # a class is there if this share of all samples are surely of it


class ClassCounts:
    """Counts, batch by batch, what a classifier with the classes `classes` says of a generator's samples."""

    def __init__(self, classes: Sequence[str]) -> None:
        if isinstance(classes, str) or not hasattr(classes, "__len__"):
            raise MiniganError(f"ClassCounts takes the names of the classes in a list, got {classes!r}")
        self.classes, K = tuple(classes), len(classes)
        if K == 0 or len({*self.classes, "none"}) <= K:
            raise MiniganError(f"ClassCounts needs a class, and a name of its own for each and for none, got {classes}")
        self.n = 0
        self.sure = np.zeros(K, int)  # samples that are surely of a class
        self.called = np.zeros(K + 1, int)  # samples whose likeliest class it is, and those of "none"
        self.asked, self.right = np.zeros(K, int), np.zeros(K, int)  # how often it was asked for, and called that

    def update(self, probabilities: Any, asked: Any = None) -> None:
        """Take in probabilities (N, K) or (N, K + 1), and labels (N,) in 0…K−1 if the samples were asked for by class.

        Raises ShapeError, with nothing counted, if either doesn't fit, or if these are no probabilities. This copies to
        the host.
        """
        p, K = to_numpy(numbers(probabilities, "ClassCounts", "probabilities")), len(self.classes)
        if p.ndim != 2 or p.shape[1] not in (K, K + 1):
            raise ShapeError(f"{K} classes are counted from probabilities (N, {K}) or (N, {K + 1}), got {p.shape}")
        if (wrong := int(no_probabilities(p))) > 0:
            raise ShapeError(f"probabilities are not negative and sum to 1 for each picture: {wrong} of {len(p)} don't")
        called = p.argmax(axis=1)  # (N,)
        if asked is not None:
            asked = labels_of(asked, len(p), None, "what was asked for")
            if len(asked) and asked.max() >= K:
                raise ShapeError(
                    f"the classifier knows {K} classes, and samples of classes {asked.min()} to {asked.max()} were "
                    "asked for: take one that knows them"
                )
            self.asked += np.bincount(asked, minlength=K)
            self.right += np.bincount(asked[called == asked], minlength=K)
        self.n += len(p)
        self.called += np.bincount(called, minlength=K + 1)
        self.sure += np.bincount(called[p[:, :K].max(axis=1) >= SURE], minlength=K)

    def result(self) -> dict[str, Any]:
        """What was counted; all but `classes_present` are shares in [0, 1].

            sure               samples of which the classifier is sure that they are of one of the K classes
            classes_present    number of the K classes, or of those asked for, that at least 1 % of all samples are
                               surely of
            shares             {class: samples that are called it, sure or not}, with "none" last

        and, if samples were asked for by class,

            right              those of them that are called what was asked for
            right_of           {class: the same of this class}, without classes that were never asked for

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
    """Order pictures x (N, H, W, C) into a table (rows · K, H, W, C), row by row, with a column for each of p (N, K).

    A column has what is called its class, the surest on top and the least sure at the bottom, with equally many left
    out between any two; white where there is no more. `training.pictures.grid` draws it, with columns=K.
    """
    K = p.shape[1]
    cells = np.ones((rows, K, *x.shape[1:]), x.dtype)
    for k in range(K):
        called = np.flatnonzero(p.argmax(axis=1) == k)
        called = called[np.argsort(-p[called, k], kind="stable")]
        chosen = called[np.linspace(0, len(called) - 1, min(rows, len(called))).round().astype(int)]
        cells[: len(chosen), k] = x[chosen]
    return cells.reshape(-1, *x.shape[1:])
