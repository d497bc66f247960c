"""AUROC and average precision by their definitions, and thresholds that keep the rate of false alarms."""

from itertools import product

import numpy as np
import pytest

from minigan.errors import MiniganError, ShapeError
from minigan.metrics.detection import (
    auroc,
    average_precision,
    confusion_at,
    false_alarm_range,
    p_values,
    rank_of_threshold,
    threshold_of,
)


def drawn(seed, n=60, values=8):
    """Scores with many ties, and marks."""
    rng = np.random.default_rng(seed)
    return rng.integers(values, size=n) / 3, rng.random(n) < 0.3


@pytest.mark.parametrize("seed", range(5))
def test_auroc_counts_pairs_and_ties_by_half(seed):
    scores, abnormal = drawn(seed)
    pairs = list(product(scores[abnormal], scores[~abnormal]))
    assert auroc(scores, abnormal) == pytest.approx(np.mean([(a > b) + (a == b) / 2 for a, b in pairs]), rel=1e-14)
    assert auroc(-scores, abnormal) == pytest.approx(1 - auroc(scores, abnormal), rel=1e-14)


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_steps_over_the_different_scores(seed):
    scores, abnormal = drawn(seed)
    area = recall = 0.0
    for t in np.unique(scores)[::-1]:
        above = scores >= t
        now = above[abnormal].mean()
        area, recall = area + (now - recall) * abnormal[above].mean(), now
    assert average_precision(scores, abnormal) == pytest.approx(area, rel=1e-13)


def test_the_best_and_the_worst_scores():
    abnormal = np.array([True, True, False, False])
    assert auroc([4, 3, 2, 1], abnormal) == average_precision([4, 3, 2, 1], abnormal) == 1
    assert auroc([1, 2, 3, 4], abnormal) == 0
    assert average_precision([1, 2, 3, 4], abnormal) == pytest.approx((1 / 3 + 2 / 4) / 2)
    assert auroc([5, 5, 5, 5], abnormal) == average_precision([5, 5, 5, 5], abnormal) == 0.5


def test_a_score_at_the_threshold_is_no_alarm():
    found = confusion_at(2.0, [1, 2, 3, 1, 2, 3, 4], [True, True, True, False, False, False, False])
    assert found == {"found": 1, "missed": 2, "false_alarms": 2, "passed": 2}


@pytest.mark.parametrize(
    ("n", "alpha", "k"), [(19, 0.05, 19), (99, 0.01, 99), (100, 0.1, 91), (9, 0.3, 7), (500, 0.05, 476), (1, 0.5, 1)]
)
def test_the_rank_of_the_threshold(n, alpha, k):
    """⌈(n + 1)(1 − α)⌉ of the decimal α: in binary, 10 · (1 − 0.3) is a little more than 7, whose ceiling is 8."""
    assert rank_of_threshold(n, alpha) == k
    assert threshold_of(np.random.default_rng(0).permutation(n) + 1.0, alpha) == k


def test_too_few_pictures_for_a_rate():
    with pytest.raises(MiniganError, match="18 normal pictures are too few for .* 0.05: give 19 or more"):
        rank_of_threshold(18, 0.05)
    for alpha in (0.0, 1.0, -1.0, 2.0, float("nan")):
        with pytest.raises(MiniganError, match="between 0 and 1"):
            rank_of_threshold(100, alpha)


def test_false_alarms_are_as_frequent_as_was_asked_for():
    """Of 40,000 draws of 30 normal scores and a new one: (n + 1 − k)/(n + 1) of them."""
    rng, alpha = np.random.default_rng(0), 0.1
    k = rank_of_threshold(30, alpha)
    scores = rng.standard_exponential((40_000, 31))
    rate = (scores[:, 30] > np.sort(scores[:, :30], axis=1)[:, k - 1]).mean()
    assert rate == pytest.approx((31 - k) / 31, abs=4 * np.sqrt(0.1 * 0.9 / 40_000))
    assert (31 - k) / 31 <= alpha


def test_the_range_of_false_alarms_holds_as_often_as_it_says():
    rng, n, m = np.random.default_rng(1), 50, 200
    low, high = false_alarm_range(n, 0.1, m)
    k = rank_of_threshold(n, 0.1)
    scores = rng.random((8000, n + m))
    alarms = (scores[:, n:] > np.sort(scores[:, :n], axis=1)[:, k - 1 : k]).sum(axis=1)
    assert (alarms < low).mean() < 0.025 + 0.007
    assert (alarms > high).mean() < 0.025 + 0.007
    assert ((alarms >= low) & (alarms <= high)).mean() > 0.95 - 0.01
    assert (alarms == low).any()
    assert ((alarms < low + 1).mean(), (alarms > high - 1).mean()) > (0.02, 0.02)  # and it isn't wider than needed
    assert false_alarm_range(n, 0.1, 1) == (0, 1)


def test_p_values_count_the_normal_scores_that_are_as_large():
    np.testing.assert_allclose(p_values([0, 2, 2.5, 9], [1, 2, 2, 3]), np.array([5, 4, 2, 1]) / 5)


def test_wrong_arguments_are_refused():
    for measure in (auroc, average_precision):
        with pytest.raises(ShapeError, match=r"takes scores \(N,\) and as many marks"):
            measure([1.0, 2.0], [True])
        with pytest.raises(MiniganError, match="all of these are of one kind"):
            measure([1.0, 2.0], [True, True])
        with pytest.raises(MiniganError, match="scores"):
            measure([1.0, float("nan")], [True, False])
