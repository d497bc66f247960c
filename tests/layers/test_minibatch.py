"""The minibatch standard deviation: which samples are a group, and what is appended."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.layers import Conv2D, Dense, Flatten, LeakyReLU, MinibatchStdDev, Sequential
from minigan.testing import check_network, shake, smooth_point


def appended(x, **how):
    """The channel that is appended, after a look at the others: they are x."""
    y, _ = MinibatchStdDev(**how).forward(x)
    np.testing.assert_array_equal(y[..., :-1], x)
    return y[..., -1]


def test_every_m_th_sample_is_in_a_group_and_gets_the_mean_of_its_deviations():
    x = np.random.default_rng(0).standard_normal((8, 3, 2, 5))
    s = appended(x, group_size=4, eps=0)
    for group in (slice(0, 8, 2), slice(1, 8, 2)):  # M = 2 groups: 0, 2, 4, 6 and 1, 3, 5, 7
        np.testing.assert_allclose(s[group], np.full((4, 3, 2), x[group].std(axis=0).mean()), rtol=1e-13)


def test_what_it_says_is_a_distance_in_units_of_x():
    opposite = np.stack([np.full((2, 2, 3), sign) for sign in (5.0, 5.0, -1.0, -1.0)])
    np.testing.assert_allclose(appended(opposite), 3)
    np.testing.assert_allclose(appended(np.ones((4, 2, 2, 3))), 1e-4)  # all the same: √eps
    np.testing.assert_allclose(appended(np.ones((1, 2, 2, 3))), 1e-4)  # alone


def test_a_small_difference_on_a_large_mean_survives_float32():
    x = np.random.default_rng(0).standard_normal((4, 4, 4, 8))
    far = appended((x + 1000).astype(np.float32))
    assert far.dtype == np.float32
    np.testing.assert_allclose(far, appended(x), rtol=1e-4)


def test_a_small_batch_is_one_group():
    x = np.random.default_rng(0).standard_normal((3, 2, 2, 1))
    np.testing.assert_array_equal(appended(x, group_size=4), appended(x, group_size=3))


def test_a_batch_of_nothing_gives_nothing():
    layer = MinibatchStdDev()
    y, cache = layer.forward(np.zeros((0, 2, 2, 3)))
    dx = layer.backward(y, cache)
    assert (y.shape, dx.shape) == ((0, 2, 2, 4), (0, 2, 2, 3))
    assert layer.double_backward(dx, y, cache)[0].shape == y.shape


def test_a_batch_that_cannot_be_divided_is_refused():
    with pytest.raises(ShapeError, match="can't divide a batch of 6 into groups of 4: use a multiple of 4"):
        MinibatchStdDev().forward(np.zeros((6, 2, 2, 1)))
    with pytest.raises(ValueError, match="group_size is 0"):
        MinibatchStdDev(0)


def test_what_is_no_batch_of_pictures_is_refused():
    with pytest.raises(ShapeError, match="takes an input of shape"):
        MinibatchStdDev().forward(np.ones((4, 3)))
    with pytest.raises(ShapeError, match="takes float32 or float64"):
        MinibatchStdDev().forward(np.ones((4, 2, 2, 3), int))


def test_gradients_of_a_critic_that_uses_it():
    rng = np.random.default_rng(0)
    # groups of three: of two, x̂ is ±1 whatever x is, and all that is left of dx2 is what ε does
    end = [MinibatchStdDev(3), Conv2D(4, 3, 3, padding=1, rng=rng), LeakyReLU(), Flatten(), Dense(27, 1, rng=rng)]
    critic = shake(Sequential(Conv2D(2, 3, 3, padding=1, rng=rng), LeakyReLU(), *end), rng)
    report = check_network(critic, smooth_point(rng, (6, 3, 3, 2)))
    assert report.second.keys() >= {"x", "dy", "0.W", "3.W"}
