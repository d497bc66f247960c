"""The largest pixel of every window: which one wins, and that gradients go there and nowhere else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.errors import ShapeError
from minigan.layers import AvgPool2D, MaxPool2D
from minigan.testing.strategies import LAYERS, seeds, sizes


def windows(layer, x, outside):
    """Yield `((i, j), the numbers of window (i, j): (N, R·S, C))`, cut out one by one."""
    (R, S), (sh, sw), (ph, pw) = layer.kernel_size, layer.stride, layer.padding
    padded = np.pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0)), constant_values=outside)
    for i, j in np.ndindex((padded.shape[1] - R) // sh + 1, (padded.shape[2] - S) // sw + 1):
        yield (i, j), padded[:, i * sh : i * sh + R, j * sw : j * sw + S].reshape(len(x), R * S, -1)


@given(LAYERS["MaxPool2D"])
def test_every_output_is_the_largest_pixel_of_its_window(case):
    layer, x = case
    y, _ = layer.forward(x)
    for (i, j), pixels in windows(layer, x, -np.inf):
        np.testing.assert_array_equal(y[:, i, j], pixels.max(axis=1))


@given(LAYERS["AvgPool2D"])
def test_a_mean_without_the_padding_is_that_of_the_pixels_that_are_there(case):
    layer, x = case
    y, _ = layer.forward(x)
    for (i, j), pixels in windows(layer, x, 0.0 if layer.count_include_pad else np.nan):
        np.testing.assert_allclose(y[:, i, j], np.nanmean(pixels, axis=1), rtol=0, atol=1e-14)


def test_without_the_padding_a_picture_of_ones_stays_one():
    x = np.ones((1, 5, 4, 2), np.float32)
    np.testing.assert_array_equal(AvgPool2D(3, 1, 1, count_include_pad=False).forward(x)[0], x)
    assert AvgPool2D(3, 1, 1).forward(x)[0].min() == np.float32(4 / 9)
    np.testing.assert_array_equal(AvgPool2D(3, 2, 1, count_include_pad=False).forward(x)[0], np.ones((1, 3, 2, 2)))
    assert repr(AvgPool2D(3, 1, 1, False)) == "AvgPool2D(3, stride=1, padding=1, count_include_pad=False)"


def test_of_equal_pixels_the_first_wins():
    layer, x = MaxPool2D(2), np.array([[1.0, 3.0, 0.0], [3.0, 3.0, 9.0]]).reshape(1, 2, 3, 1)
    y, cache = layer.forward(x)
    assert y.ravel().tolist() == [3.0]
    assert layer.backward(np.full_like(y, 5.0), cache).reshape(2, 3).tolist() == [[0, 5, 0], [0, 0, 0]]
    assert layer.double_backward(np.arange(6.0).reshape(x.shape), y, cache)[0].ravel().tolist() == [1.0]


def test_a_pixel_that_wins_in_several_windows_gets_the_sum_of_their_gradients():
    x = np.array([0.0, 7.0, 1.0]).reshape(1, 1, 3, 1)
    y, cache = MaxPool2D((1, 2), stride=1).forward(x)
    assert y.ravel().tolist() == [7.0, 7.0]
    dy = np.array([2.0, 3.0]).reshape(y.shape)
    assert MaxPool2D((1, 2), stride=1).backward(dy, cache).ravel().tolist() == [0.0, 5.0, 0.0]


def test_the_padding_never_wins():
    x = np.full((1, 2, 2, 1), -8.0)
    y, cache = MaxPool2D(3, 1, 1).forward(x)
    assert (y == -8).all()
    assert MaxPool2D(3, 1, 1).backward(np.ones_like(y), cache).sum() == 4.0


@pytest.mark.parametrize("kernel", [(17, 17), (1, 257), (257, 1)])
def test_the_place_of_the_winner_is_known_in_kernels_of_more_than_256_pixels(kernel):
    x = np.arange(float(np.prod(kernel))).reshape(1, *kernel, 1)
    y, cache = MaxPool2D(kernel).forward(x)
    dx = MaxPool2D(kernel).backward(np.ones_like(y), cache)
    assert dx.ravel().argmax() == x.size - 1
    assert dx.sum() == 1.0


@given(seeds(), sizes(), st.sampled_from((np.float32, np.float64)))
def test_double_backward_is_the_transpose_of_backward(seed, channels, dtype):
    rng = np.random.default_rng(seed)
    layer = MaxPool2D(3, 2, 1)
    x, ddx = rng.standard_normal((2, 2, 6, 5, channels)).astype(dtype)
    y, cache = layer.forward(x)
    dy = rng.standard_normal(y.shape).astype(dtype)
    ddy, dx2 = layer.double_backward(ddx, dy, cache)
    assert dx2 is None
    np.testing.assert_allclose((ddx * layer.backward(dy, cache)).sum(), (ddy * dy).sum(), rtol=1e-4, atol=1e-4)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match="padding 2 is more than half of the kernel 3"):
        MaxPool2D(3, padding=2)
    with pytest.raises(ShapeError, match="the kernel is larger than the padded input"):
        MaxPool2D(5, padding=1).forward(np.zeros((1, 2, 8, 1)))
    y, cache = MaxPool2D(2).forward(np.zeros((0, 4, 4, 3)))
    assert MaxPool2D(2).backward(y, cache).shape == (0, 4, 4, 3)
