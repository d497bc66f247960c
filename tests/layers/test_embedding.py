"""Rows chosen by labels, and what are no labels."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.layers import Dense, Embedding, Sequential
from minigan.testing import check_layer

LABELS = np.array([2, 0, 2, 3])


def test_a_label_chooses_its_row_and_adds_to_that_rows_gradient():
    layer, dy = Embedding(4, 2), np.array([[1.0, 2], [3, 4], [5, 6], [7, 8]])
    y, cache = layer.forward(LABELS)
    np.testing.assert_array_equal(y, layer.W[[2, 0, 2, 3]])
    assert layer.backward(dy, cache) is None
    np.testing.assert_array_equal(layer.dW, [[3, 4], [0, 0], [6, 8], [7, 8]])


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.int64, np.uint64])
def test_any_integers_are_labels(dtype):
    layer = Embedding(4, 2)
    y, cache = layer.forward(LABELS.astype(dtype))
    assert y.dtype == np.float32
    layer.backward(y, cache)
    np.testing.assert_array_equal(layer.dW[2], 2 * layer.W[2])


def test_more_classes_than_the_labels_dtype_can_count():
    layer, labels = Embedding(300, 1), np.array([255], np.uint8)
    y, cache = layer.forward(labels)
    layer.backward(y, cache)
    assert np.flatnonzero(layer.dW) == [255]


def test_a_network_that_begins_with_labels():
    report = check_layer(Sequential(Embedding(4, 3), Dense(3, 2)), LABELS)
    assert set(report.first) == {"0.W", "1.W", "1.b"}


def test_nothing_depends_on_a_gradient_that_is_not_there():
    layer = Embedding(4, 2)
    y, cache = layer.forward(LABELS)
    ddy, dx2 = layer.double_backward(None, y, cache)
    assert not ddy.any()
    assert not layer.dW.any()
    assert dx2 is None
    with pytest.raises(ShapeError, match="labels have no gradient, so ddx must be None"):
        layer.double_backward(y, y, cache)


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (np.array([0, 4]), r"Embedding\(4, 2\) knows the labels 0 to 3, got 4"),
        (np.array([0, -1]), "knows the labels 0 to 3, got -1"),
        (np.array([0.0, 1.0]), r"takes integer labels of shape \(N,\), got float64 \(2,\)"),
        (np.array([True, False]), "got bool"),
        (np.array([[0], [1]]), r"got int64 \(2, 1\)"),
    ],
)
def test_what_are_no_labels_is_refused_in_a_sentence(labels, sentence):
    with pytest.raises(ShapeError, match=sentence):
        Embedding(4, 2).forward(labels)


def test_initial_rows_are_standard_normal_and_repeatable():
    W = Embedding(50, 80, rng=np.random.default_rng(0)).W
    assert W.dtype == np.float32
    assert abs(W.std() - 1) < 0.05
    np.testing.assert_array_equal(W, Embedding(50, 80, rng=np.random.default_rng(0)).W)
