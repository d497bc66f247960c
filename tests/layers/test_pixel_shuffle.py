"""Channels into pixels: the order of channels, the inverse, and equal neighbors at the start."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.layers import Conv2D, PixelShuffle, PixelUnshuffle, Sequential, Upsample, he_normal, icnr

RNG = np.random.default_rng(0)


def test_every_number_is_where_the_formula_says():
    r, C = 3, 2
    x = RNG.standard_normal((2, 4, 5, r * r * C))
    y = PixelShuffle(r).output(x)
    assert y.shape == (2, 12, 15, C)
    for n, h, w, i, j, c in np.ndindex(2, 4, 5, r, r, C):
        assert y[n, r * h + i, r * w + j, c] == x[n, h, w, (r * i + j) * C + c]


def test_figures_on_paper():
    """One pixel of four channels becomes a block, row by row; with two colors, a color stays together."""
    assert PixelShuffle(2).output(np.arange(4.0).reshape(1, 1, 1, 4))[0, :, :, 0].tolist() == [[0, 1], [2, 3]]
    blocks = PixelShuffle(2).output(np.arange(8.0).reshape(1, 1, 1, 8))[0]
    assert blocks.tolist() == [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]


@pytest.mark.parametrize("r", [1, 2, 4])
def test_each_is_the_inverse_of_the_other_and_its_adjoint(r):
    x = RNG.standard_normal((2, 3, 2, 2 * r * r))
    y, cache = PixelShuffle(r).forward(x)
    z, back = PixelUnshuffle(r).forward(y)
    np.testing.assert_array_equal(z, x)
    np.testing.assert_array_equal(PixelShuffle(r).backward(y, cache), x)
    np.testing.assert_array_equal(PixelUnshuffle(r).backward(x, back), y)


def test_icnr_begins_with_every_pixel_repeated():
    rng = [np.random.default_rng(3) for _ in range(2)]
    shuffled = Sequential(Conv2D(4, 3 * 9, 3, padding=1, init=icnr(he_normal(), 3), rng=rng[0]), PixelShuffle(3))
    repeated = Sequential(Conv2D(4, 3, 3, padding=1, init=he_normal(), rng=rng[1]), Upsample(3))
    x = RNG.standard_normal((1, 4, 5, 4))
    np.testing.assert_allclose(shuffled.output(x), repeated.output(x), rtol=0, atol=1e-12)


def test_icnr_tells_the_fans_of_a_filter():
    seen = []

    def init(rng, shape, fan_in, fan_out):
        seen.append((shape, fan_in, fan_out))
        return np.zeros(shape, np.float32)

    Conv2D(4, 12, 3, init=icnr(init, 2))
    assert seen == [((3, 3, 4, 3), 36, 27)]


def test_what_does_not_fit():
    with pytest.raises(ShapeError, match=r"PixelShuffle\(2\) needs a multiple of 4 channels"):
        PixelShuffle(2).forward(np.zeros((1, 2, 2, 6)))
    for shape in ((1, 2, 3, 1), (1, 3, 2, 1)):
        with pytest.raises(ShapeError, match="needs multiples of 2 pixels"):
            PixelUnshuffle(2).forward(np.zeros(shape))
    with pytest.raises(ShapeError, match="integer of at least 1"):
        PixelShuffle(0)
    with pytest.raises(ShapeError, match="must be a multiple of 4"):
        Conv2D(1, 6, 3, init=icnr(he_normal(), 2))
    assert PixelUnshuffle(2).output(np.zeros((0, 4, 4, 1))).shape == (0, 2, 2, 4)
