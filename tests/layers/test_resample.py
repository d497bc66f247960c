"""The filter [1, 3, 3, 1] before leaving out pixels and after putting zeros between them, with exact adjoints."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.layers import Blur, DownsampleFIR, UpsampleFIR
from minigan.testing import check_adjoint

RNG = np.random.default_rng(0)


def line(layer, values):
    """One axis alone: all rows are the same, and one in the middle is read, divided by what rows contribute."""
    x = np.broadcast_to(np.array(values, float).reshape(1, 1, -1, 1), (1, 8, len(values), 1))
    y = layer.forward(x)[0]
    return y[0, y.shape[1] // 2, :, 0].tolist()


def test_figures_on_paper():
    assert line(UpsampleFIR(), [4, 8, 0]) == [3, 5, 7, 6, 2, 0]  # ¾ of the nearest, ¼ of the next, 0 outside
    assert line(DownsampleFIR(), [8, 8, 0, 0, 8, 8]) == [6, 2, 6]  # (1·0 + 3·8 + 3·8 + 1·0)/8, (8 + 0 + 0 + 8)/8, …
    assert line(Blur(0), [8, 0, 0, 8, 16]) == [2, 5]
    assert line(Blur(2), [8, 0]) == [3, 3, 1]
    assert line(Blur(1, taps=(1, 2, 1)), [4, 0, 8]) == [2, 3, 4]
    assert line(Blur(0, gain=4.0), [8, 0, 0, 8]) == [8]


def test_both_axes():
    x = np.zeros((1, 5, 5, 1))
    x[0, 2, 2] = 64
    np.testing.assert_array_equal(Blur(0).forward(x)[0][0, :, :, 0], [[9, 9], [9, 9]])
    np.testing.assert_array_equal(Blur(1).forward(x)[0][0, ..., 0], np.outer([1, 3, 3, 1], [1, 3, 3, 1])[::-1][:4, :4])


def test_a_flat_picture_stays_flat_inside():
    x = np.ones((1, 8, 8, 2))
    for layer in (Blur(1), DownsampleFIR(), UpsampleFIR()):
        inner = layer.forward(x)[0][:, 1:-1, 1:-1]
        np.testing.assert_allclose(inner, 1, rtol=0, atol=1e-15)


def test_stripes_of_one_pixel_become_gray_and_not_black():
    stripes = np.broadcast_to(np.array([-1.0, 1.0] * 4).reshape(1, 1, 8, 1), (1, 8, 8, 1))
    np.testing.assert_allclose(DownsampleFIR().forward(stripes)[0][:, 1:-1, 1:-1], 0, atol=1e-15)


def test_enlarging_is_four_times_the_adjoint_of_shrinking():
    small, down = RNG.standard_normal((2, 3, 4, 2)), DownsampleFIR()
    _, cache = down.forward(np.zeros((2, 6, 8, 2)))
    np.testing.assert_allclose(UpsampleFIR().forward(small)[0], 4 * down.backward(small, cache), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    "layer", [Blur(0), Blur(1, 4.0), Blur(2), Blur(3), Blur(0, 2.0, (1, 2, 1)), DownsampleFIR(0.5), UpsampleFIR(0.5)]
)
@pytest.mark.parametrize("shape", [(2, 4, 6, 3), (1, 18, 20, 9)])
def test_backward_is_the_adjoint_of_forward(layer, shape):
    x = RNG.standard_normal(shape)
    y, cache = layer.forward(x)
    check_adjoint(lambda x: layer.forward(x)[0], lambda dy: layer.backward(dy, cache), x, RNG.standard_normal(y.shape))
    ddy, dx2 = layer.double_backward(x, y, cache)
    np.testing.assert_array_equal(ddy, y)
    assert dx2 is None


def test_what_cannot_be_filtered():
    with pytest.raises(ShapeError, match=r"^DownsampleFIR\(\) halves pictures of even height and width, got \(1, 4, 5"):
        DownsampleFIR().forward(np.zeros((1, 4, 5, 1)))
    with pytest.raises(ShapeError, match=r"^Blur\(0\): the filter is larger than the padded picture \(1, 3, 4, 1\)"):
        Blur(0).forward(np.zeros((1, 3, 4, 1)))
    with pytest.raises(ShapeError, match="filter is larger"):
        UpsampleFIR().forward(np.zeros((1, 0, 4, 1)))
    for padding in (-1, 4):
        with pytest.raises(ValueError, match=f"padding is {padding}: with 4 taps it is from 0 to 3"):
            Blur(padding)
    for taps in ((), (1, 2), (1, -2, 1)):
        with pytest.raises(ValueError, match="give symmetric weights with a sum that isn't 0"):
            Blur(0, taps=taps)
    with pytest.raises(ValueError, match="scaling by two needs an even number of weights"):
        UpsampleFIR(taps=(1, 2, 1))
