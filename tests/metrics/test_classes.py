"""Probabilities that are made up, so that every count is known."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.metrics.classes import ClassCounts, in_columns
from minigan.testing import STRICT

# 200 samples of two classes and "none"
ROWS = 150 * [[0.97, 0.02, 0.01]] + 40 * [[0.10, 0.90, 0.00]] + 1 * [[0.02, 0.98, 0]] + 9 * [[0.01, 0, 0.99]]


def counted(p, asked=None, size=200, to=np.asarray):
    counts = ClassCounts(("a", "b"))
    for i in range(0, len(p), size):
        counts.update(to(p[i : i + size]), None if asked is None else to(asked[i : i + size]))
    return counts.result()


def test_the_numbers_are_those_of_the_definition():
    """A class is there from 1 % of all samples on, and only sure samples count for it."""
    asked = np.arange(200) % 2
    found = counted(np.array(ROWS), asked)
    assert (found["sure"], found["classes_present"]) == (151 / 200, 1)
    assert found["shares"] == {"a": 0.75, "b": 41 / 200, "none": 9 / 200}
    assert found["right_of"] == {"a": 75 / 100, "b": 20 / 100}  # of rows 150 to 190, the 20 with odd numbers
    assert found["right"] == 95 / 200
    assert counted(np.array(ROWS), np.ones(200, int))["classes_present"] == 0  # only b counts, which nobody is sure of
    rows = ROWS.copy()
    rows[189] = rows[190]
    assert counted(np.array(rows))["classes_present"] == 2


def test_a_class_is_sure_from_95_percent_on_and_none_never_is():
    for p, sure in (([0.95, 0.05, 0], 1), ([0.94, 0.06, 0], 0), ([0, 0.01, 0.99], 0)):
        assert counted(np.array([p]))["sure"] == sure


def test_batches_and_devices_make_no_difference():
    p, asked = np.array(ROWS), np.arange(200) % 2
    whole = counted(p, asked)
    assert counted(p, asked, size=33) == counted(p, asked, to=STRICT.array) == whole


def test_samples_that_nobody_asked_for_are_neither_right_nor_wrong():
    assert counted(np.array(ROWS)).keys() == {"sure", "classes_present", "shares"}
    assert counted(np.array(ROWS), np.ones(200, int))["right_of"] == {"b": 41 / 200}
    counts = ClassCounts(("a", "b"))
    counts.update(np.array([[1, 0, 0]]), np.array([0]))
    counts.update(np.array([[0, 1, 0]]))
    assert counts.result()["right"] == 1


CERTAIN = np.eye(3)[:2]


def test_a_classifier_may_know_no_none():
    found = counted(np.array([[0.9, 0.1], [0, 1]]))
    assert (found["sure"], found["shares"]) == (0.5, {"a": 0.5, "b": 0.5, "none": 0})


@pytest.mark.parametrize(
    ("p", "asked", "message"),
    [
        (np.ones(3), None, r"\(N, 2\) or \(N, 3\), got \(3,\)"),
        (np.ones((1, 4)), None, r"got \(1, 4\)"),
        (CERTAIN, np.array([0]), "2 samples want as many labels"),
        (CERTAIN, np.array([0, 2]), "has 2 classes, and samples of classes 0 to 2"),
        (CERTAIN, np.array([-1, 0]), "from 0 on, and that of sample 0 is -1"),
    ],
)
def test_what_does_not_fit_is_refused_and_not_counted(p, asked, message):
    counts = ClassCounts(("a", "b"))
    with pytest.raises(ShapeError, match=message):
        counts.update(p, asked)
    with pytest.raises(ShapeError, match="there were none"):
        counts.result()


def test_a_picture_has_a_column_for_each_class_with_the_surest_on_top():
    """Gray levels tell the samples apart. 5 are called the first class, of which 3 fit; 1 is called "none"."""
    level = np.array([-1, -0.5, 0, 0.5, 0.8, -0.8], np.float32)
    x = np.broadcast_to(level[:, None, None, None], (6, 4, 4, 1))
    p = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.9, 0, 0.1], [0.5, 0.4, 0.1], [0, 0.2, 0.8], [0.8, 0.1, 0.1]])
    cells = in_columns(x, p, rows=3)
    assert cells.shape == (9, 4, 4, 1) and cells.dtype == np.float32
    seen = cells[:, 0, 0, 0].reshape(3, 3)
    np.testing.assert_array_equal(seen, np.array([[0, 1, 0.8], [-1, 1, 1], [0.5, 1, 1]], np.float32))
