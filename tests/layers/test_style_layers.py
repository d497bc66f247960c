"""Noise with a learned strength, StyleGAN2's activation, and the learned constant."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.layers import Constant, NoiseBias, ScaledLeakyReLU

RNG = np.random.default_rng(0)


def noisy(strength=0.5):
    layer = NoiseBias(3, 4, rng=np.random.default_rng(1))
    layer.b, layer.strength = np.array([1.0, 2.0, 3.0]), np.full(1, strength)
    return layer


def test_one_number_for_each_pixel_and_a_bias_for_each_channel():
    x = RNG.standard_normal((2, 4, 4, 3)).astype(np.float32)
    y, _ = noisy().forward(x, rng=np.random.default_rng(5))
    drawn = np.random.default_rng(5).standard_normal((2, 4, 4, 1), dtype=np.float32)
    np.testing.assert_allclose(y, x + np.array([1, 2, 3]) + 0.5 * drawn, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(noisy(0.0).forward(x, rng=RNG)[0], x + np.array([1, 2, 3], np.float32))


def test_inference_without_a_generator_has_fixed_noise_and_with_one_draws_it():
    layer, x = noisy(), np.zeros((2, 4, 4, 3), np.float32)
    y = layer.output(x, train=False)
    np.testing.assert_array_equal(y[0], y[1])
    np.testing.assert_allclose(y[0], [1, 2, 3] + 0.5 * layer.fixed, rtol=0, atol=1e-6)
    assert (layer.output(x, train=False, rng=np.random.default_rng(0)) != y).any()
    assert (layer.fixed == NoiseBias(3, 4, rng=np.random.default_rng(1)).fixed).all()
    assert set(layer.state_dict()) == {"b", "strength", "fixed"}


def test_the_strength_begins_at_zero():
    assert not NoiseBias(3, 4).strength.any() and not NoiseBias(3, 4).b.any()


def test_noise_that_is_refused():
    with pytest.raises(ValueError, match=r"^NoiseBias\(3, 4\) draws noise in training: pass a random generator"):
        noisy().forward(np.zeros((1, 4, 4, 3)))
    with pytest.raises(ShapeError, match=r"^NoiseBias\(3, 4\) takes pictures of 4×4 pixels, got \(1, 4, 5, 3\)"):
        noisy().forward(np.zeros((1, 4, 5, 3)), rng=RNG)


def test_the_activation_keeps_the_mean_square():
    x = RNG.standard_normal(100_000)
    y, _ = ScaledLeakyReLU().forward(x)
    assert np.mean(y**2) == pytest.approx(1.04, abs=0.03)
    np.testing.assert_allclose(ScaledLeakyReLU(0.2, 3.0).forward(np.array([2.0, -1.0]))[0], [6, -0.6])
    for gain in (0, -1):
        with pytest.raises(ValueError, match=f"gain is {gain}: it must be greater than 0"):
            ScaledLeakyReLU(0.2, gain)
    with pytest.raises(ValueError, match="negative_slope is 2"):
        ScaledLeakyReLU(2.0)


def test_a_constant_depends_on_the_number_of_samples_alone():
    layer = Constant(2, 2, 3, rng=np.random.default_rng(0))
    y, cache = layer.forward(RNG.standard_normal((4, 7)).astype(np.float32))
    assert y.shape == (4, 2, 2, 3) and y.dtype == np.float32
    assert all((one == layer.W).all() for one in y)
    dy = RNG.standard_normal(y.shape).astype(np.float32)
    assert not layer.backward(dy, cache).any()
    np.testing.assert_allclose(layer.dW, dy.sum(axis=0), rtol=0, atol=1e-6)
    assert repr(layer) == "Constant(2, 2, 3)" and 0.1 < layer.W.std() < 2
    with pytest.raises(ShapeError, match=r"takes \(N, …\), got a number"):
        layer.forward(np.array(1.0))
