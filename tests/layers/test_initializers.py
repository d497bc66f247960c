"""Initial weights: their mean, spread, bounds and dtype."""

import numpy as np
import pytest

from minigan.layers import (
    Conv2D,
    ConvTranspose2D,
    Dense,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    normal,
    orthogonal,
    uniform,
)

FAN_IN, FAN_OUT = 40, 60


@pytest.mark.parametrize(
    ("make", "arguments", "std"),
    [
        (normal, {"std": 0.02}, 0.02),
        (glorot_normal, {}, np.sqrt(2 / 100)),
        (glorot_normal, {"gain": 3}, 3 * np.sqrt(2 / 100)),
        (glorot_uniform, {}, np.sqrt(2 / 100)),
        (glorot_uniform, {"gain": 3}, 3 * np.sqrt(2 / 100)),
        (he_normal, {}, np.sqrt(2 / 40)),
        (he_uniform, {}, np.sqrt(2 / 40)),
        (he_normal, {"negative_slope": 0.5}, np.sqrt(2 / 1.25 / 40)),
        (he_uniform, {"negative_slope": 0.5}, np.sqrt(2 / 1.25 / 40)),
        (uniform, {"bound": 0.3}, 0.3 / np.sqrt(3)),
    ],
)
def test_spread_and_dtype(make, arguments, std):
    weights = make(**arguments)(np.random.default_rng(0), (200, 100), FAN_IN, FAN_OUT)
    assert weights.dtype == np.float32
    assert weights.shape == (200, 100)
    assert abs(weights.mean()) < 0.03 * std
    assert abs(weights.std() / std - 1) < 0.03


def test_normal_has_a_mean():
    assert abs(normal(0.02, mean=1)(np.random.default_rng(0), (100, 100), 1, 1).mean() - 1) < 1e-3


def test_uniform_is_bounded():
    weights = uniform(0.3)(np.random.default_rng(0), (100, 100), 1, 1)
    assert 0.29 < abs(weights).max() <= 0.3


def test_the_fans_of_a_convolution_count_its_area():
    seen = {}

    def init(rng, shape, fan_in, fan_out):
        seen[shape] = (fan_in, fan_out)
        return np.zeros(shape, np.float32)

    Conv2D(3, 5, (2, 4), init=init)
    ConvTranspose2D(3, 6, (2, 4), init=init)  # its weight is (R, S, K, C)
    Dense(3, 5, init=init)
    assert seen == {(2, 4, 3, 5): (24, 40), (2, 4, 6, 3): (24, 48), (3, 5): (3, 5)}


def test_the_same_seed_gives_the_same_weights():
    one, other = (Dense(3, 5, rng=np.random.default_rng(7)).W for _ in range(2))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (3, 3, 2, 5)])
def test_all_singular_values_of_orthogonal_weights_are_the_gain(shape):
    W = orthogonal(2.0)(np.random.default_rng(0), shape, 1, 1)
    assert (W.shape, W.dtype) == (shape, np.float32)
    np.testing.assert_allclose(np.linalg.svd(W.reshape(-1, shape[-1]), compute_uv=False), 2, rtol=1e-6)


def test_orthogonal_weights_are_as_often_negative_as_positive():
    """Without the signs of R, the first entry of Q would always be negative."""
    draws = [orthogonal()(np.random.default_rng(seed), (3, 2), 1, 1)[0, 0] for seed in range(40)]
    assert 10 < sum(draw > 0 for draw in draws) < 30
