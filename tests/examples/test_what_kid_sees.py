"""Parts of examples/what_kid_sees.py: lost modes, the rank correlation, and that KID grows on shapes."""

import sys
from pathlib import Path

import numpy as np
import pytest

from minigan.metrics import open_features

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))
import what_kid_sees as example  # noqa: E402


def test_repeats_are_as_many_photos_of_which_few_differ():
    x = np.arange(12.0)[:, None]
    assert len(np.unique(example.repeats(x, 1, np.random.default_rng(0)))) == 12
    for k, different in ((4, 3), (12, 1)):
        y = example.repeats(x, k, np.random.default_rng(0))
        values, counts = np.unique(y, return_counts=True)
        assert len(y) == 12 and len(values) == different and set(counts) == {k}


def test_only_photos_of_the_kept_classes_are_left():
    labels = np.array([0, 1, 2, 0, 1, 2])
    y = example.of_classes(np.stack([labels, np.arange(6)], axis=1), 2, np.random.default_rng(0), labels)
    assert len(y) == 4 and len(np.unique(y[:, 0])) == 2
    one = example.of_classes(labels[:, None], 1, np.random.default_rng(0), labels)
    assert set(one[:, 0]) < set(y[:, 0])  # the smaller choice is a part of the larger


def test_rank_correlation():
    assert example.spearman([1, 5, 6, 100]) == pytest.approx(1)
    assert example.spearman([4, 3, 2, 1]) == pytest.approx(-1)
    assert example.spearman([1, 3, 2, 4]) == pytest.approx(0.8)  # 1 − 6 Σ d²/(n (n² − 1)) = 1 − 12/60


@pytest.mark.slow
def test_kid_of_shapes_grows_with_every_damage_and_with_lost_modes():
    found = example.distances(open_features("photos"), *example.open_two("shapes", 64, 0, limit=200))
    assert found.keys() == {*example.STRENGTHS, "repeats", "classes"}
    for what, results in found.items():
        values = [value for _, value, _ in results]
        assert example.spearman(values) >= 0.9, (what, values)
        assert all(error > 0 for _, _, error in results)
