"""Bilinear enlargement: half-pixel centers, pixels at the edge repeated, and an exact adjoint."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.layers import AvgPool2D, BilinearUpsample
from minigan.testing import check_adjoint

RNG = np.random.default_rng(0)


def line(values, factor):
    return BilinearUpsample((1, factor)).forward(np.array(values, float).reshape(1, 1, -1, 1))[0].ravel().tolist()


def test_figures_on_paper():
    assert line([0, 4], 2) == [0, 1, 3, 4]  # at −¼, ¼, ¾, 1¼; outside is the pixel at the edge
    assert line([0, 6], 3) == [0, 0, 2, 4, 6, 6]
    assert line([0, 8], 4) == [0, 0, 1, 3, 5, 7, 8, 8]
    assert line([5], 3) == [5, 5, 5]
    assert line([1, 2, 3], 1) == [1, 2, 3]


def test_both_axes_one_after_the_other():
    x = RNG.standard_normal((2, 3, 4, 5))
    rows = BilinearUpsample((3, 1)).forward(x)[0]
    columns = BilinearUpsample((1, 2)).forward(rows)[0]
    np.testing.assert_array_equal(BilinearUpsample((3, 2)).forward(x)[0], columns)


def test_a_plane_stays_a_plane_inside():
    """Linear interpolation is exact for linear functions, away from the edge."""
    rows, columns = np.meshgrid(np.arange(5.0), np.arange(6.0), indexing="ij")
    y = BilinearUpsample(2).forward((2 * rows - columns).reshape(1, 5, 6, 1))[0][0, 1:-1, 1:-1, 0]
    i, j = np.meshgrid(np.arange(1, 9), np.arange(1, 11), indexing="ij")
    np.testing.assert_allclose(y, 2 * ((i + 0.5) / 2 - 0.5) - ((j + 0.5) / 2 - 0.5), atol=1e-12)


@pytest.mark.parametrize("factor", [2, 3, (1, 4)])
def test_backward_is_the_adjoint_of_forward(factor):
    layer, x = BilinearUpsample(factor), RNG.standard_normal((2, 3, 4, 2))
    y, cache = layer.forward(x)
    dy = RNG.standard_normal(y.shape)
    check_adjoint(lambda x: layer.forward(x)[0], lambda dy: layer.backward(dy, cache), x, dy)
    ddy, dx2 = layer.double_backward(x, dy, cache)
    np.testing.assert_array_equal(ddy, y)
    assert dx2 is None


def test_constants_stay_and_every_pixel_weighs_the_same():
    """The mean over the picture stays: each pixel's weights sum to F²."""
    x = RNG.standard_normal((1, 4, 5, 2))
    y, cache = BilinearUpsample(3).forward(x)
    np.testing.assert_allclose(AvgPool2D((12, 15)).forward(y)[0], AvgPool2D((4, 5)).forward(x)[0], atol=1e-12)
    np.testing.assert_allclose(BilinearUpsample(3).backward(np.ones_like(y), cache), 9, rtol=1e-12)


def test_a_batch_of_nothing_and_what_does_not_fit():
    assert BilinearUpsample().forward(np.zeros((0, 4, 4, 3)))[0].shape == (0, 8, 8, 3)
    with pytest.raises(ShapeError, match="integer of at least 1"):
        BilinearUpsample(0)
    with pytest.raises(ShapeError, match=r"takes an input of shape \(N, H, W, C\)"):
        BilinearUpsample().forward(np.zeros((2, 3)))
    assert repr(BilinearUpsample((2, 3))) == "BilinearUpsample(scale_factor=(2, 3))"
