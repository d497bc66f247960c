"""Inception Score: is each picture clearly of one class, and do the classes vary between pictures?

Salimans et al., "Improved Techniques for Training GANs", 2016. A classifier gives p(y|x), whose mean over the pictures
is p(y). The score

    IS = exp ⟨KL(p(y|x) ‖ p(y))⟩        KL(p ‖ q) = Σ_y p log(p/q)

is between 1 (all pictures have the same p(y|x)) and the number of classes (each picture is classified with certainty,
and all classes are equally frequent). The mean over the m pictures of a part is a difference of entropies,

    ⟨KL⟩ = (1/m) Σ_x Σ_y p(y|x) log p(y|x) − Σ_y p(y) log p(y)        Σ_x p(y|x) log p(y) = m p(y) log p(y)

so only Σ_x p(y|x), one number per class, and Σ_x Σ_y p log p are accumulated. 0 log 0 is 0, its limit.

The score is computed for each of 10 consecutive parts. Published results are the mean and standard deviation of these
ten numbers (the sum of squares divided by ten, not nine), usually for 50,000 pictures. The score grows with the number
of pictures in a part, because p(y) of few pictures is similar to their p(y|x).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import array_module, to_numpy
from minigan.common.arguments import numbers, whole
from minigan.errors import MiniganError, ShapeError
from minigan.metrics.checks import count_invalid


class InceptionScore:
    """Accumulates the score of `n` pictures from batches of class probabilities. Part i starts at picture ⌊i n/splits⌋.

    Raises MiniganError if there are fewer pictures than `splits`.
    """

    def __init__(self, n: int, splits: int = 10) -> None:
        n, splits = (whole(a, "an Inception Score", name) for a, name in ((n, "n"), (splits, "splits")))
        if splits < 1 or n < splits:
            raise MiniganError(f"an Inception Score of {splits} parts needs as many pictures or more, got {n}")
        self.n, self.splits, self.seen = n, splits, 0
        self._edges = [i * n // splits for i in range(splits + 1)]
        self._p: Any = None  # Σ p(y|x) of each part (splits, K)
        self._p_log_p: Any = None  # Σ p(y|x) log p(y|x) of each part (splits,)
        self._wrong: Any = 0  # number of rows that are not probabilities, on the device

    def update(self, probabilities: Any) -> None:
        """Add p(y|x) (N, K), in float64. Raises ShapeError for another shape, or for more pictures than n."""
        probabilities = numbers(probabilities, "an Inception Score", "probabilities")
        if probabilities.ndim != 2 or (self._p is not None and probabilities.shape[1] != self._p.shape[1]):
            wanted = "K" if self._p is None else self._p.shape[1]
            raise ShapeError(f"an Inception Score takes probabilities (N, {wanted}), got {tuple(probabilities.shape)}")
        N, K = probabilities.shape
        if self.seen + N > self.n:
            raise ShapeError(f"this Inception Score is of {self.n} pictures, but {self.seen + N} came")
        xp = array_module(probabilities)
        if self._p is None:
            self._p, self._p_log_p = xp.zeros((self.splits, K), xp.float64), xp.zeros(self.splits, xp.float64)
        self._wrong = self._wrong + count_invalid(probabilities)
        p = probabilities.astype(xp.float64)
        with np.errstate(invalid="ignore"):  # for invalid probabilities, which `result` refuses
            p_log_p = (p * xp.log(xp.where(p > 0, p, 1))).sum(axis=1)  # (N,)
        for part, (first, last) in enumerate(zip(self._edges, self._edges[1:], strict=False)):
            own = slice(max(first - self.seen, 0), max(last - self.seen, 0))  # the part's pictures in this batch
            self._p[part] += p[own].sum(axis=0)
            self._p_log_p[part] += p_log_p[own].sum()
        self.seen += N

    def result(self) -> tuple[float, float]:
        """Return mean and standard deviation over the parts.

        Raises MiniganError if fewer than n pictures were added, or if some rows were not probabilities.
        """
        if self.seen < self.n:
            raise MiniganError(f"this Inception Score is of {self.n} pictures, but only {self.seen} came")
        if (wrong := int(to_numpy(self._wrong))) > 0:
            wanted = "probabilities, which are not negative and sum to 1 for each picture"
            raise MiniganError(f"an Inception Score takes {wanted}: {wrong} of {self.n} don't")
        m = np.diff(self._edges)  # (splits,)
        p = to_numpy(self._p) / m[:, None]  # (splits, K)
        KL = to_numpy(self._p_log_p) / m - (p * np.log(np.where(p > 0, p, 1))).sum(axis=1)
        return float(np.exp(KL).mean()), float(np.exp(KL).std())
