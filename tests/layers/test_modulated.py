"""Modulated convolution: a kernel for each sample, by scaling channels instead."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.layers import Conv2D, ConvTranspose2D, ModulatedConv2D
from minigan.testing import check_layer

RNG = np.random.default_rng(0)
OPTIONS = [(up, demodulate) for up in (False, True) for demodulate in (False, True)]


def pictures_and_styles(N=3, size=4, C=5):
    return RNG.standard_normal((N, size, size, C)), 1 + RNG.standard_normal((N, C))


@pytest.mark.parametrize(("up", "demodulate"), OPTIONS)
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_a_convolution_with_a_kernel_for_each_sample(kernel, up, demodulate):
    """Equations 1 to 3 of the paper, as they stand, with an ε that counts."""
    layer, (x, s) = ModulatedConv2D(5, 2, kernel, up, demodulate, eps=0.5, rng=RNG), pictures_and_styles()
    y, _ = layer.forward((x, s))
    for one, style, expected in zip(x, s, y, strict=True):
        W = layer.W.astype(float) * style[:, None]
        W = W / np.sqrt((W**2).sum(axis=(0, 1, 2)) + 0.5) if demodulate else W / np.sqrt(5 * kernel**2)
        if up:
            plain = ConvTranspose2D(5, 2, kernel, 2, bias=False).to(dtype=np.float64)
            plain.W = W.swapaxes(2, 3)
        else:
            plain = Conv2D(5, 2, kernel, 1, kernel // 2, bias=False).to(dtype=np.float64)
            plain.W = W
        np.testing.assert_allclose(expected, plain.forward(one[None])[0][0], rtol=1e-6, atol=1e-6)


def test_demodulation_removes_the_scale_of_a_style():
    layer, (x, s) = ModulatedConv2D(5, 2, rng=RNG), pictures_and_styles()
    np.testing.assert_allclose(layer.forward((x, 7 * s))[0], layer.forward((x, s))[0], rtol=1e-6, atol=1e-6)
    y, cache = layer.forward((x, s))
    _, ds = layer.backward(RNG.standard_normal(y.shape), cache)
    assert abs((ds * s).sum(axis=1)).max() < 1e-6 * abs(ds).max()  # so the gradient is at right angles to the style


@pytest.mark.parametrize("demodulate", [True, False])
def test_noise_of_variance_one_stays_so(demodulate):
    """Whatever the style, with demodulation; without it, for a style of ones. Pixels at the edge see zeros."""
    x, s = RNG.standard_normal((2, 32, 32, 64)), np.ones((2, 64))
    if demodulate:
        s *= RNG.uniform(0, 30, s.shape)
    y, _ = ModulatedConv2D(64, 64, demodulate=demodulate, rng=RNG).forward((x, s))
    assert y[:, 1:-1, 1:-1].var() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(("up", "demodulate"), OPTIONS)
@pytest.mark.parametrize("absent", [0, 1])
def test_none_is_zero_in_ddx(absent, up, demodulate):
    """P may depend on the style's gradient alone, as path length does."""
    layer, x = ModulatedConv2D(5, 2, 3, up, demodulate, rng=RNG).to(dtype=np.float64), pictures_and_styles()
    y, cache = layer.forward(x)
    dy, v, results = RNG.standard_normal(y.shape), [RNG.standard_normal(a.shape) for a in x], []
    for nothing in (np.zeros_like(v[absent]), None):
        v[absent] = nothing
        layer.parameters().zero_grad()
        ddy, dx2 = layer.double_backward(tuple(v), dy, cache)
        results.append([ddy, *dx2, layer.dW.copy()])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-13)


def test_the_bias_is_added_last():
    layer, x = ModulatedConv2D(5, 2, bias=True, rng=RNG), pictures_and_styles()
    without, _ = layer.forward(x)
    layer.b = np.array([1.0, -2.0])
    y, cache = layer.forward(x)
    np.testing.assert_allclose(y, without + [1, -2], rtol=0, atol=1e-6)
    layer.backward(np.ones_like(y), cache, wrt="params")
    assert layer.db.tolist() == [3 * 16, 3 * 16]


def test_a_style_of_zeros_is_no_division_by_zero():
    layer, (x, s) = ModulatedConv2D(5, 2, rng=RNG), pictures_and_styles()
    y, cache = layer.forward((x.astype(np.float32), np.zeros_like(s, dtype=np.float32)))
    assert not y.any()
    assert all(np.isfinite(gradient).all() for gradient in layer.backward(np.ones_like(y), cache))


@pytest.mark.parametrize(("up", "demodulate"), OPTIONS)
def test_small_styles_to_second_order(up, demodulate):
    """ε is a tenth of q here, so that a wrong one would be seen."""
    x, s = pictures_and_styles(2)
    check_layer(ModulatedConv2D(5, 2, 3, up, demodulate, eps=0.5, rng=RNG), (x, 0.2 * s))


def test_multiply_adds():
    assert ModulatedConv2D(5, 2).macs(((3, 4, 4, 5), (3, 5)), (3, 4, 4, 2)) == 3 * 16 * 9 * 10
    assert ModulatedConv2D(5, 2, up=True).macs(((3, 4, 4, 5), (3, 5)), (3, 9, 9, 2)) == 3 * 16 * 9 * 10


def test_what_it_refuses():
    layer, (x, s) = ModulatedConv2D(5, 2), pictures_and_styles()
    with pytest.raises(ShapeError, match=r"^ModulatedConv2D\(5, 2\) takes one style for each of 3 samples, got 2"):
        layer.forward((x, s[:2]))
    with pytest.raises(ShapeError, match=r"takes an input of shape \(N, 5\), got \(3, 4\)"):
        layer.forward((x, s[:, :4]))
    with pytest.raises(ShapeError, match=r"takes an input of shape \(N, H, W, 5\), got \(3, 4, 4, 4\)"):
        layer.forward((x[..., :4], s))
    with pytest.raises(ShapeError, match="takes a tuple of 2 arrays"):
        layer.forward(x)
    for kernel in (2, 0):
        with pytest.raises(ShapeError, match=f"kernel_size is {kernel}: it must be odd"):
            ModulatedConv2D(5, 2, kernel)
