"""AUROC and average precision are those of scikit-learn, with ties; the beta-binomial range is SciPy's."""

import numpy as np
import pytest

from minigan.metrics.detection import auroc, average_precision, false_alarm_range, rank_of_threshold

pytestmark = pytest.mark.oracle


@pytest.mark.parametrize("values", [2, 7, 1000, 0], ids=["two scores", "ties", "few ties", "no ties"])
@pytest.mark.parametrize("n", [5, 300])
def test_area_and_precision(values, n):
    theirs = pytest.importorskip("sklearn.metrics")
    for seed in range(20):
        rng = np.random.default_rng(seed)
        scores = rng.integers(values, size=n) / 7 if values else rng.standard_normal(n)
        abnormal = rng.random(n) < 0.4
        abnormal[:2] = True, False
        assert auroc(scores, abnormal) == pytest.approx(theirs.roc_auc_score(abnormal, scores), abs=1e-12)
        expected = theirs.average_precision_score(abnormal, scores)
        assert average_precision(scores, abnormal) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("n", "alpha", "m"), [(19, 0.05, 100), (500, 0.05, 1000), (99, 0.01, 7), (50, 0.2, 400)])
def test_the_range_of_false_alarms(n, alpha, m):
    stats = pytest.importorskip("scipy.stats")
    k = rank_of_threshold(n, alpha)
    theirs = stats.betabinom(m, n + 1 - k, k)
    assert false_alarm_range(n, alpha, m) == (theirs.ppf(0.025), theirs.ppf(0.975))
