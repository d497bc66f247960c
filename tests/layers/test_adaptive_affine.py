"""Norms whose scale and shift are functions of a vector, and the columns of that vector that they take."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.layers import AdaptiveAffine, BatchNorm, Columns, Conditional, Dense, Sequential, Softplus
from minigan.testing import check_layer, shake, smooth_point

RNG = np.random.default_rng(0)


def by_hand():
    """a = 2c and b = −c, of a single channel."""
    layer = AdaptiveAffine(Dense(1, 1, bias=False), Dense(1, 1, bias=False)).to(dtype=np.float64)
    layer.gain.W[...], layer.bias.W[...] = 2, -1
    return layer


def test_two_samples_by_hand():
    """The second sample has c = 3, so y = 7x − 3."""
    layer = by_hand()
    x, c = np.array([[[1.0], [2.0]], [[1.0], [2.0]]]), np.array([[0.0], [3.0]])
    y, cache = layer.forward((x, c))
    np.testing.assert_array_equal(y[..., 0], [[1, 2], [4, 11]])
    dx, dc = layer.backward(np.array([[[1.0], [0.0]], [[1.0], [10.0]]]), cache)
    np.testing.assert_array_equal(dx[..., 0], [[1, 0], [7, 70]])
    # da = Σ dy x = (1, 21) and db = Σ dy = (1, 11); dc = 2 da − db
    np.testing.assert_array_equal(dc, [[1], [31]])
    np.testing.assert_array_equal(layer.gain.dW, [[0 * 1 + 3 * 21]])
    np.testing.assert_array_equal(layer.bias.dW, [[0 * 1 + 3 * 11]])


@pytest.mark.parametrize("absent", [0, 1])
def test_none_is_zero_in_a_ddx(absent):
    rng = np.random.default_rng(1)
    layer = AdaptiveAffine(Sequential(Dense(2, 3, rng=rng), Softplus()), Dense(2, 3, rng=rng)).to(dtype=np.float64)
    x = smooth_point(rng, (4, 2, 2, 3)), smooth_point(rng, (4, 2))
    y, cache = layer.forward(x)
    v = [rng.standard_normal(entry.shape) for entry in x]
    results = []
    for nothing in (np.zeros_like(x[absent]), None):
        v[absent] = nothing
        layer.parameters().zero_grad()
        ddy, dx2 = layer.double_backward(tuple(v), y, cache)
        dx2 = [np.zeros_like(a) if b is None else b for a, b in zip(x, dx2, strict=True)]
        results.append([ddy, *dx2, layer.parameters().grads.copy()])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-14)


def test_a_conditional_batch_norm_of_columns():
    """As in a block of BigGAN, where c has a gradient of its own."""
    rng = np.random.default_rng(0)
    linear = [Sequential(Columns((0, 1), (2, 4)), Dense(3, 3, bias=False, rng=rng)) for _ in range(2)]
    network = Conditional(BatchNorm(3, affine=False), AdaptiveAffine(*linear), Softplus())
    report = check_layer(shake(network, rng), (smooth_point(rng, (3, 2, 2, 3)), smooth_point(rng, (3, 4))))
    assert {"x[0]", "x[1]", "1.gain.1.W", "1.bias.1.W"} <= set(report.first)
    assert {"dy", "x[0]", "x[1]", "1.gain.1.W"} <= set(report.second)


def test_columns_of_a_picture_of_one_pixel():
    layer, x = Columns((0, 2), (1, 3)), np.array([1.0, 2, 3, 4]).reshape(1, 1, 1, 4)
    y, cache = layer.forward(x)
    np.testing.assert_array_equal(y, [[[[1, 2, 2, 3]]]])
    dx = layer.backward(np.array([10.0, 20, 300, 4000]).reshape(1, 1, 1, 4), cache)
    np.testing.assert_array_equal(dx, [[[[10, 320, 4000, 0]]]])


def test_what_does_not_fit_is_refused_in_a_sentence():
    x = np.zeros((2, 3, 3, 4))
    with pytest.raises(
        ShapeError, match=r"gives \(2, 5\) and \(2, 4\) for an input \(2, 3, 3, 4\): both must be of shape"
    ):
        AdaptiveAffine(Dense(2, 5), Dense(2, 4)).forward((x, np.zeros((2, 2))))
    with pytest.raises(ShapeError, match=r"takes entries that an input \(2, 3, 3, 4\) doesn't have"):
        Columns((0, 5)).forward(x)
    for wrong in ((), ((2, 2),), ((-1, 2),)):
        with pytest.raises(ValueError, match=r"Columns takes pairs \(start, stop\)"):
            Columns(*wrong)
