"""Activations at points whose values are known, and where a careless formula would overflow."""

import numpy as np
import pytest
from crews import number_of_threads
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan.backend import to_numpy
from minigan.errors import ShapeError
from minigan.layers import Activation, LeakyReLU, Maxout, PReLU, ReLU, Sigmoid, Softmax, Softplus, Tanh
from minigan.layers.activations import sigmoid
from minigan.testing import check_layer
from minigan.testing.strategies import LAYERS, pictures
from minigan.threads import partition

LN2, LN3 = np.log(2), np.log(3)


@pytest.mark.parametrize(
    ("layer", "x", "y", "slope", "curvature"),
    [
        (ReLU(), [-2, 0, 3], [0, 0, 3], [0, 0, 1], None),
        (LeakyReLU(), [-2, 0, 3], [-0.4, 0, 3], [0.2, 0.2, 1], None),
        (LeakyReLU(0.5), [-2, 0, 3], [-1, 0, 3], [0.5, 0.5, 1], None),
        (PReLU(), [-2, 0, 3], [-0.5, 0, 3], [0.25, 0.25, 1], None),
        (Tanh(), [0, LN2], [0, 0.6], [1, 0.64], [0, -0.768]),
        (Sigmoid(), [0, LN3], [0.5, 0.75], [0.25, 0.1875], [0, -0.09375]),
        (Softplus(), [0, LN3], [LN2, np.log(4)], [0.5, 0.75], [0.25, 0.1875]),
        (Softplus(beta=2), [0, LN3 / 2], [LN2 / 2, LN2], [0.5, 0.75], [0.5, 0.375]),
    ],
    ids=lambda value: repr(value) if hasattr(value, "forward") else "",
)
def test_value_slope_and_curvature(layer, x, y, slope, curvature):
    x = np.array([x], np.float64)
    ones = np.ones_like(x)
    found, cache = layer.forward(x)
    ddy, dx2 = layer.double_backward(ones, ones, cache)
    np.testing.assert_allclose(found, [y], atol=1e-15)
    np.testing.assert_allclose(layer.backward(ones, cache), [slope], atol=1e-15)
    np.testing.assert_allclose(ddy, [slope], atol=1e-15)
    assert dx2 is None if curvature is None else np.allclose(dx2, [curvature], atol=1e-15)


@pytest.mark.parametrize("layer", [Sigmoid(), Softplus(), Tanh()], ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_inputs_neither_overflow_nor_warn(layer, dtype):
    x = np.array([[-1e4, -100, 100, 1e4]], dtype)
    with np.errstate(all="raise", under="ignore"):
        y, cache = layer.forward(x)
        results = [y, layer.backward(np.ones_like(y), cache), *layer.double_backward(np.ones_like(x), y, cache)]
    assert all(np.isfinite(r).all() for r in results)


@pytest.mark.parametrize("name", ["ReLU", "LeakyReLU", "PReLU", "Tanh", "Sigmoid", "Softplus"])
@given(data=st.data())
@settings(max_examples=settings.default.max_examples // 2)
def test_rows_at_a_time_and_threads_change_nothing(name, data):
    """Not a bit, and the gradients are right to second order."""
    layer, x = data.draw(LAYERS[name])
    with number_of_threads(1):
        y, cache = layer.forward(x)
        whole = [y, layer.backward(x, cache), *layer.double_backward(x, y, cache)]
    with number_of_threads(2), pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition, "ROWS_BYTES", 1)
        y, cache = layer.forward(x)
        parts = [y, layer.backward(x, cache), *layer.double_backward(x, y, cache)]
        for one, other in zip(whole, parts, strict=True):
            assert (one is None and other is None) or np.array_equal(one, other)
        patch.setattr(partition, "count", lambda: 1)
        check_layer(layer, x, entries=4, promises=False)


def test_small_tails_keep_their_digits():
    assert np.isclose(Sigmoid().forward(np.array([[-80.0]]))[0], np.exp(-80), rtol=1e-14, atol=0)
    assert np.isclose(Softplus().forward(np.array([[-80.0]]))[0], np.exp(-80), rtol=1e-14, atol=0)


class SiLU(Activation):
    """y = x s with s = sigmoid(x)."""

    keeps_x = True  # f′ and f″ are written in terms of x, which y does not tell

    def f(self, x):
        return x * sigmoid(x)

    def derivative(self, x):
        return sigmoid(x) * (1 + x * sigmoid(-x))

    def second_derivative(self, x):
        return sigmoid(x) * sigmoid(-x) * (2 + x * (1 - 2 * sigmoid(x)))


class SiLUWithout(SiLU):
    second_derivative = None


class ELU(Activation):
    """y = x where x > 0, else e^x − 1."""

    def f(self, x):
        return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))

    def derivative(self, y):
        return np.where(y > 0, 1, y + 1)

    def second_derivative(self, y):
        return np.where(y > 0, 0, y + 1)


@given(pictures())
def test_an_activation_of_ones_own_is_three_lines(x):
    for layer in (SiLU(), ELU()):
        check_layer(layer, x)
    assert SiLU().forward(x)[1] is x
    with pytest.raises(AssertionError):
        check_layer(SiLUWithout(), x)


def test_an_activation_says_what_it_lacks():
    x = np.ones((1, 1))
    with pytest.raises(NotImplementedError, match=r"Activation has no f: write f\(self, x\)"):
        Activation().forward(x)
    with pytest.raises(NotImplementedError, match=r"has no derivative: write derivative\(self, y\)"):
        Activation().backward(x, x)


def test_what_a_smooth_activation_keeps_is_y():
    """Which the next layer keeps anyway, so that it costs no memory."""
    for layer in (ReLU(), LeakyReLU(), Tanh(), Sigmoid(), Softplus()):
        y, cache = layer.forward(np.ones((2, 3), np.float32))
        assert cache is y


def test_softplus_wants_a_positive_beta():
    with pytest.raises(ValueError, match="beta is 0"):
        Softplus(beta=0)


@pytest.mark.parametrize("slope", [-0.01, 1.01])
def test_a_slope_that_would_not_make_y_the_larger_of_two_is_refused(slope):
    with pytest.raises(ValueError, match="it must be between 0 and 1"):
        LeakyReLU(slope)


def test_prelu_slope_gradient():
    layer = PReLU(2, init=0.5)
    x, dy = np.array([[-1.0, -2.0], [3.0, -4.0]]), np.array([[10.0, 100.0], [1000.0, 10000.0]])
    _, cache = layer.forward(x)
    layer.backward(dy, cache)
    np.testing.assert_array_equal(layer.dslope, [-10, -200 - 40000])


@pytest.mark.parametrize("layer", [ReLU(), LeakyReLU(0.5)], ids=repr)
def test_at_the_kink_every_device_takes_the_lower_slope(device, layer):
    x = device.array(np.zeros((1, 2), np.float32))
    _, cache = layer.forward(x)
    ones = device.array(np.ones((1, 2), np.float32))
    for dx in (layer.backward(ones, cache), layer.double_backward(ones, ones, cache)[0]):
        np.testing.assert_array_equal(to_numpy(dx), np.full((1, 2), getattr(layer, "negative_slope", 0)))


def test_prelu_at_the_kink_counts_as_negative():
    """At 0 its derivative is the slope. The slope's gradient is Σ dy · min(x, 0), so nothing; then Σ v · dy, all."""
    layer, x = PReLU(init=0.25), np.zeros((1, 2))
    dy, ddx = np.array([[1.0, 2.0]]), np.array([[10.0, 100.0]])
    _, cache = layer.forward(x)
    np.testing.assert_array_equal(layer.backward(dy, cache), dy / 4)
    np.testing.assert_array_equal(layer.dslope, [0])
    np.testing.assert_array_equal(layer.double_backward(ddx, dy, cache)[0], ddx / 4)
    np.testing.assert_array_equal(layer.dslope, [10 + 200])


def test_prelu_with_a_slope_for_each_channel_wants_so_many_channels():
    assert PReLU(1).forward(np.ones((2, 5)))[0].shape == (2, 5)
    assert PReLU(2).forward(np.ones((3, 2)))[0].shape == (3, 2)
    for channels in (1, 3):
        with pytest.raises(ShapeError, match="PReLU\\(num_parameters=2\\) takes an input of shape"):
            PReLU(2).forward(np.ones((3, channels)))


@pytest.mark.parametrize("layer", [ReLU(), LeakyReLU(), PReLU(), Tanh(), Sigmoid(), Softplus(), Maxout(2)], ids=repr)
def test_integers_are_refused(layer):
    with pytest.raises(ShapeError, match="takes float32 or float64, got int"):
        layer.forward(np.arange(4).reshape(2, 2))


def test_maxout_takes_the_largest_of_neighbors_and_gives_it_the_gradient():
    x = np.array([[1.0, 5.0, 2.0, -3.0, -1.0, -2.0]])
    y, cache = Maxout(3).forward(x)
    np.testing.assert_array_equal(y, [[5, -1]])
    np.testing.assert_array_equal(Maxout(3).backward(np.array([[10.0, 20.0]]), cache), [[0, 10, 0, 0, 20, 0]])


def test_maxout_gives_a_tie_to_the_first():
    _, cache = Maxout(2).forward(np.zeros((1, 2)))
    np.testing.assert_array_equal(Maxout(2).backward(np.ones((1, 1)), cache), [[1, 0]])


def test_maxout_refuses_a_last_axis_that_it_cannot_cut():
    with pytest.raises(ShapeError, match="can't cut the last axis"):
        Maxout(4).forward(np.zeros((2, 6)))


def test_softmax_by_hand_and_far_out():
    layer = Softmax()
    y, cache = layer.forward(np.log([[1.0, 3.0]]))
    np.testing.assert_allclose(y, [[0.25, 0.75]], rtol=1e-15)
    np.testing.assert_allclose(layer.backward(np.array([[1.0, 0.0]]), cache), [[3 / 16, -3 / 16]], rtol=1e-15)
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_array_equal(
            layer.forward(np.array([[1000.0, -1000.0], [-1000, -1000]]))[0], [[1, 0], [0.5] * 2]
        )
