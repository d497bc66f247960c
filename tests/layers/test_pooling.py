"""Average pooling, upsampling and the sum over a picture: two maps, adjoint to each other."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.layers import AvgPool2D, GlobalAvgPool, GlobalSumPool, Upsample
from minigan.testing import check_adjoint


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def test_mean_over_windows_counts_the_zeros_of_the_padding():
    x = np.arange(9.0).reshape(1, 3, 3, 1)
    assert AvgPool2D(2).forward(x)[0].ravel().tolist() == [2.0]  # (0 + 1 + 3 + 4)/4; the rest is left over
    assert AvgPool2D(2, stride=1).forward(x)[0].ravel().tolist() == [2.0, 3.0, 5.0, 6.0]
    assert AvgPool2D(2, padding=1).forward(x)[0].ravel().tolist() == [0.0, 0.75, 2.25, 6.0]


def test_pooling_undoes_upsampling():
    x = normal(2, 3, 4, 5)
    for factor in (2, (1, 3)):
        up = Upsample(factor).forward(x)[0]
        np.testing.assert_allclose(AvgPool2D(factor).forward(up)[0], x, rtol=1e-15)


def test_upsampling_repeats_pixels():
    x = normal(2, 3, 4, 5)
    np.testing.assert_array_equal(Upsample((2, 3)).forward(x)[0], x.repeat(2, axis=1).repeat(3, axis=2))
    assert repr(Upsample()) == "Upsample()"
    assert repr(Upsample((2, 3))) == "Upsample(scale_factor=(2, 3))"


def test_sum_and_mean_of_a_picture_are_those_of_one_window():
    x = normal(2, 3, 4, 5)
    mean = AvgPool2D((3, 4)).forward(x)[0].reshape(2, 5)
    np.testing.assert_allclose(GlobalSumPool().forward(x)[0], 12 * mean, rtol=1e-13)
    np.testing.assert_allclose(GlobalAvgPool().forward(x)[0], mean, rtol=1e-13)


@pytest.mark.parametrize("layer", [AvgPool2D(3, 2, 1), Upsample((2, 3)), GlobalSumPool(), GlobalAvgPool()], ids=repr)
def test_backward_is_the_adjoint_of_forward(layer):
    x = normal(2, 5, 4, 3)
    y, cache = layer.forward(x)
    check_adjoint(lambda x: layer.forward(x)[0], lambda dy: layer.backward(dy, cache), x, normal(*y.shape, seed=1))


@pytest.mark.parametrize("layer", [AvgPool2D(3, 2, 1), Upsample(2), GlobalSumPool(), GlobalAvgPool()], ids=repr)
def test_layers_linear_in_x_have_no_dx2_and_send_ddx_forward(layer):
    x, ddx = normal(2, 5, 4, 3), normal(2, 5, 4, 3, seed=1)
    y, cache = layer.forward(x)
    ddy, dx2 = layer.double_backward(ddx, np.ones_like(y), cache)
    assert dx2 is None
    np.testing.assert_array_equal(ddy, layer.forward(ddx)[0])


@pytest.mark.parametrize("layer", [AvgPool2D(3, 2, 1), Upsample(2), GlobalSumPool(), GlobalAvgPool()], ids=repr)
def test_a_batch_of_nothing_gives_nothing(layer):
    y, cache = layer.forward(np.zeros((0, 4, 4, 3)))
    dx = layer.backward(y, cache)
    assert len(y) == 0
    assert dx.shape == (0, 4, 4, 3)
    assert layer.double_backward(dx, y, cache)[0].shape == y.shape


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match="padding 2 is more than half of the kernel 3"):
        AvgPool2D(3, padding=2)
    with pytest.raises(ShapeError, match="the kernel is larger than the padded input"):
        AvgPool2D(5, padding=1).forward(np.zeros((1, 2, 8, 1)))
    with pytest.raises(ShapeError, match="integer of at least 1"):
        Upsample(0)
    with pytest.raises(ShapeError, match=r"takes an input of shape \(N, H, W, C\)"):
        GlobalSumPool().forward(np.zeros((2, 3)))
