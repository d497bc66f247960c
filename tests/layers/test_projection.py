"""The projection discriminator's last layer."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.layers import Conditional, Dense, Embedding, Projection, Sequential, SpectralNorm, Tanh
from minigan.testing import check_layer, shake, smooth_point

RNG = np.random.default_rng(0)
H, LABELS = smooth_point(RNG, (4, 3)), np.array([2, 0, 1, 2])


def make(dense=None):
    layer = Projection(dense or Dense(3, 1, rng=RNG), Embedding(3, 3, rng=RNG))
    return shake(layer, RNG)


def test_two_samples_by_hand():
    layer = Projection(Dense(2, 1), Embedding(2, 2)).to(dtype=np.float64)
    layer.dense.W[...], layer.dense.b[...] = [[1], [2]], 10
    layer.embedding.W[...] = [[3, 4], [5, 6]]
    h = np.array([[1.0, -1], [2, 7]])
    y, cache = layer.forward((h, np.array([1, 0])))
    np.testing.assert_array_equal(y, [[10 + (1 - 2) + (5 - 6)], [10 + (2 + 14) + (6 + 28)]])
    dh, dlabels = layer.backward(np.array([[1.0], [10.0]]), cache)
    np.testing.assert_array_equal(dh, [[1 + 5, 2 + 6], [10 * (1 + 3), 10 * (2 + 4)]])
    np.testing.assert_array_equal(layer.embedding.dW, [[20, 70], [1, -1]])
    assert dlabels is None


@pytest.mark.parametrize("dense", [None, Sequential(Dense(3, 4), Tanh(), Dense(4, 1))], ids=["linear", "network"])
def test_gradients_to_second_order(dense):
    report = check_layer(make(dense), (H, LABELS))
    assert {"x[0]", "embedding.W"} <= set(report.first)
    assert {"dy", "x[0]", "embedding.W"} <= set(report.second)


def test_a_linear_projection_has_no_dx2():
    layer = make()
    y, cache = layer.forward((H, LABELS))
    assert layer.double_backward((H, None), y, cache)[1] is None


def test_both_layers_may_be_spectrally_normalized():
    layer = Projection(SpectralNorm(Dense(3, 1, rng=RNG)), SpectralNorm(Embedding(3, 3, rng=RNG)))
    shake(layer, RNG).to(dtype=np.float64)
    layer.dense.iterate(300)
    layer.embedding.iterate(300)
    for train in (True, False):
        check_layer(layer, (H, LABELS), train=train)


def test_at_the_end_of_a_discriminator_the_features_come_from_ordinary_layers():
    check_layer(Conditional(Dense(3, 5, rng=RNG), Tanh(), Dense(5, 3, rng=RNG), make()), (H, LABELS))


@pytest.mark.parametrize(
    ("layer", "x", "sentence"),
    [
        (Projection(Dense(3, 1), Embedding(3, 2)), (H, LABELS), r"want an embedding of that shape.*got \(4, 2\)"),
        (Projection(Dense(3, 2), Embedding(3, 3)), (H, LABELS), r"and an output \(4, 1\), got \(4, 3\) and \(4, 2\)"),
        (Projection(Dense(3, 1), Embedding(3, 3)), (H, LABELS[:1]), r"takes integer labels of shape \(4,\), got"),
        (Projection(Dense(3, 1), Embedding(3, 3)), (H, LABELS + 1), "knows the labels 0 to 2, got 3"),
        (Projection(Dense(3, 1), Embedding(3, 3)), H, "takes a tuple of 2 arrays"),
        (Projection(Dense(3, 1), Dense(3, 3)), (H, H), r"takes integer labels of shape \(4,\), got float64"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_in_a_sentence(layer, x, sentence):
    with pytest.raises(ShapeError, match=sentence):
        layer.forward(x)
