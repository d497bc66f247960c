"""How well scores tell abnormal from normal pictures, and a threshold with a known rate of false alarms.

A score is larger for abnormal pictures. An alarm is a score above the threshold.

**The threshold** is taken from the scores of n normal pictures that weren't used in training: the k-th smallest of
them, k = ⌈(n + 1)(1 − α)⌉. If a new normal picture is drawn like those n, its score is equally likely to have any rank
among all n + 1, so it is above the threshold with probability (n + 1 − k)/(n + 1) ≤ α, whatever the distribution of
scores is (conformal prediction, Vovk et al. 2005). The probability is over the n pictures, too. For n given ones, the
rate of false alarms is a draw from Beta(n + 1 − k, k), and the number of false alarms among m new normal pictures is
beta-binomial.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, exp, lgamma
from typing import Any

import numpy as np

from minigan.backend import to_numpy
from minigan.common.arguments import finite, numbers
from minigan.errors import MiniganError, ShapeError


def auroc(scores: Any, abnormal: Any) -> float:
    """Return the area under the ROC curve, in [0, 1].

    It is the probability that an abnormal picture has a larger score than a normal one; equal scores count one half.

    scores (N,), abnormal (N,) of booleans. Raises ShapeError for other shapes, and MiniganError if all pictures are of
    one kind.
    """
    scores, abnormal = _checked("the area under the ROC curve", scores, abnormal)
    normal, others = np.sort(scores[~abnormal]), scores[abnormal]
    below, upto = (int(np.searchsorted(normal, others, side).sum()) for side in ("left", "right"))
    return (below + upto) / (2 * len(normal) * len(others))


def average_precision(scores: Any, abnormal: Any) -> float:
    """Return the average precision Σ (R_k − R_{k−1}) P_k, in (0, 1].

    The sum is over all different scores as thresholds, the largest first: R_k of the abnormal pictures have that score
    or a larger one, and P_k of the pictures with such scores are abnormal. Arguments and errors as in `auroc`.
    """
    scores, abnormal = _checked("average precision", scores, abnormal)
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)  # of those with equal scores
    found = np.cumsum(abnormal[order])[last]  # abnormal pictures at or above each score
    precision = found / (np.flatnonzero(last) + 1)
    return float((np.diff(found, prepend=0) * precision).sum() / found[-1])


def confusion_at(threshold: float, scores: Any, abnormal: Any) -> dict[str, int]:
    """Count "found" and "missed" abnormal pictures, and "false_alarms" and "passed" among normal ones."""
    scores, abnormal = _checked("a confusion", scores, abnormal, both=False)
    alarm = scores > threshold
    return {
        "found": int((alarm & abnormal).sum()),
        "missed": int((~alarm & abnormal).sum()),
        "false_alarms": int((alarm & ~abnormal).sum()),
        "passed": int((~alarm & ~abnormal).sum()),
    }


def rank_of_threshold(n: int, alpha: float) -> int:
    """Return k = ⌈(n + 1)(1 − α)⌉, exactly as the decimal number α is written.

    Raises MiniganError unless 0 < α < 1, and if k > n: so few scores have no such threshold.
    """
    if not 0 < alpha < 1:
        raise MiniganError(f"`alpha` is {alpha:g}: the rate of false alarms is between 0 and 1")
    rate = Fraction(repr(float(alpha)))  # of 0.05 it is 1/20, which the binary number isn't
    k = ceil((n + 1) * (1 - rate))
    if k > n:
        least = ceil((1 - rate) / rate)
        raise MiniganError(
            f"{n:,} normal picture{'s are' if n != 1 else ' is'} too few for a rate of false alarms of {alpha:g}: "
            f"give {least:,} or more, or a larger `alpha`"
        )
    return k


def threshold_of(normal: Any, alpha: float) -> float:
    """Return the k-th smallest of the scores (n,) of normal pictures. Raises MiniganError as `rank_of_threshold`."""
    scores = np.sort(to_numpy(numbers(normal, "a threshold", "scores")))
    return float(scores[rank_of_threshold(len(scores), alpha) - 1])


def p_values(scores: Any, normal: Any) -> np.ndarray:
    """Return (1 + the number of normal scores at least as large)/(n + 1) for each score: (N,) in (0, 1].

    A normal picture has a value of p or less with a probability of p at most.
    """
    ordered = np.sort(to_numpy(numbers(normal, "a p-value", "scores")))
    scores = to_numpy(numbers(scores, "a p-value", "scores"))
    return (1 + len(ordered) - np.searchsorted(ordered, scores, "left")) / (len(ordered) + 1)


def false_alarm_range(n: int, alpha: float, m: int, level: float = 0.95) -> tuple[int, int]:
    """Return (low, high): the number of false alarms among m normal pictures is in it with a probability of `level`.

    n: the number of normal pictures that gave the threshold. Below low and above high are (1 − level)/2 each, at most.
    """
    k = rank_of_threshold(n, alpha)
    a, b = n + 1 - k, k  # the number of false alarms is beta-binomial with them

    def log_beta(x: float, y: float) -> float:
        return lgamma(x) + lgamma(y) - lgamma(x + y)

    def log_ways(j: int) -> float:
        return lgamma(m + 1) - lgamma(j + 1) - lgamma(m - j + 1)

    chances = np.cumsum([exp(log_ways(j) + log_beta(j + a, m - j + b) - log_beta(a, b)) for j in range(m + 1)])
    tail = (1 - level) / 2
    low, high = (int(np.searchsorted(chances, share, "left")) for share in (tail, 1 - tail))
    return low, min(high, m)


def _checked(what: str, scores: Any, abnormal: Any, both: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return scores as float64 (N,) and abnormal as booleans (N,), on the host."""
    scores = to_numpy(finite(numbers(scores, what, "scores"), what, "scores"))
    marks = to_numpy(numbers(abnormal, what, "marks"))
    if scores.ndim != 1 or marks.shape != scores.shape:
        raise ShapeError(f"{what} takes scores (N,) and as many marks, got {scores.shape} and {marks.shape}")
    marks = marks.astype(bool)
    if both and (marks.all() or not marks.any()):
        raise MiniganError(f"{what} compares abnormal with normal pictures, and all of these are of one kind")
    return scores.astype(np.float64), marks
