"""The reparametrization trick: z = μ + σ ε. Its derivatives are compared with differences in test_gradients.py."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.layers import Reparametrize


def test_mean_and_deviation_of_what_is_drawn():
    mean, sigma = np.array([2.0, -1.0]), np.array([0.1, 3.0])
    x = np.tile(np.concatenate([mean, np.log(sigma)]), (20_000, 1))
    z, _ = Reparametrize().forward(x, rng=np.random.default_rng(0))
    assert z.shape == (20_000, 2)
    np.testing.assert_allclose(z.mean(0), mean, atol=5 * sigma.max() / 20_000**0.5)
    np.testing.assert_allclose(z.std(0), sigma, rtol=0.03)
    assert abs(np.corrcoef(z.T)[0, 1]) < 0.03  # every number has an ε of its own


def test_inference_returns_the_mean():
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    z, cache = Reparametrize().forward(x, train=False)
    np.testing.assert_array_equal(z, x[:, :2])
    dx = Reparametrize().backward(np.ones((3, 2), np.float32), cache, wrt="input")
    np.testing.assert_array_equal(dx, [[1, 1, 0, 0]] * 3)


def test_refusals():
    with pytest.raises(ShapeError, match=r"^Reparametrize\(\) takes μ and log σ side by side, an even number"):
        Reparametrize().forward(np.zeros((2, 3)), rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"^Reparametrize\(\) draws ε in training: pass a random generator"):
        Reparametrize().forward(np.zeros((2, 4)))
