"""Pixel norm: the length of its result, and derivatives that are written out for one pixel."""

import numpy as np
import pytest

from minigan.layers import PixelNorm


def test_every_pixel_has_the_mean_square_1():
    x = np.random.default_rng(0).standard_normal((3, 4, 5, 6)).astype(np.float32) * 30
    y = PixelNorm().output(x)
    np.testing.assert_allclose((y * y).mean(axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(y * np.sqrt((x * x).mean(axis=-1, keepdims=True)), x, rtol=1e-5)


def test_zero_stays_zero_with_finite_gradients():
    layer, x = PixelNorm(), np.zeros((1, 1, 1, 3))
    y, cache = layer.forward(x)
    assert not y.any()
    np.testing.assert_allclose(layer.backward(np.ones_like(x), cache), 1e4)  # 1/√ε
    assert all(np.isfinite(a).all() for a in layer.double_backward(np.ones_like(x), np.ones_like(x), cache))


def test_derivatives_of_one_pixel_by_hand():
    """x = (3, 4) and ε = 0: y = x·√2/5. dy = (1, 0) gives dx = √2/5·(1 − 9/25, −12/25)."""
    layer, x, dy = PixelNorm(eps=0), np.array([[3.0, 4.0]]), np.array([[1.0, 0.0]])
    y, cache = layer.forward(x)
    r = np.sqrt(2) / 5
    np.testing.assert_allclose(y, r * x)
    np.testing.assert_allclose(layer.backward(dy, cache), [[r * 16 / 25, -r * 12 / 25]])
    v = np.array([[0.5, -2.0]])
    ddy, dx2 = layer.double_backward(v, dy, cache)
    np.testing.assert_allclose(ddy, layer.backward(v, cache))
    # S = v·dx = √2 (0.5 x₂² + 2 x₁ x₂)/|x|³, of which the derivatives are
    n = 5.0
    S_1 = np.sqrt(2) * (2 * x[0, 1] / n**3 - 3 * x[0, 0] * (0.5 * 16 + 2 * 12) / n**5)
    S_2 = np.sqrt(2) * ((x[0, 1] + 2 * x[0, 0]) / n**3 - 3 * x[0, 1] * (0.5 * 16 + 2 * 12) / n**5)
    np.testing.assert_allclose(dx2, [[S_1, S_2]])


def test_it_shows_as_it_is_called():
    assert repr(PixelNorm()) == "PixelNorm()"
    assert repr(PixelNorm(0.1)) == "PixelNorm(eps=0.1)"
    with pytest.raises(ValueError, match="could not convert"):
        PixelNorm("small")
