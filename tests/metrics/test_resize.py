"""Bilinear resizing: where the centers of pixels lie, and what follows from that."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.backend import to_numpy
from minigan.errors import ShapeError
from minigan.metrics.resize import resize_bilinear, weights
from minigan.testing import forbid_transfers

LENGTHS = st.integers(1, 12)


def row(*values):
    return np.array(values, np.float32).reshape(1, 1, -1, 1)


def test_centers_of_output_pixels_lie_between_those_of_input_pixels():
    assert resize_bilinear(row(0, 4), (1, 4)).ravel().tolist() == [0, 1, 3, 4]  # at −¼, ¼, ¾, 5/4
    assert resize_bilinear(row(0, 4, 8, 0), (1, 2)).ravel().tolist() == [2, 4]  # at ½ and 5/2
    assert resize_bilinear(row(5, 0, 0, 7, 0, 0, 9, 0, 0), (1, 3)).ravel().tolist() == [0, 0, 0]  # at 1, 4, 7


@given(LENGTHS, LENGTHS)
def test_every_output_pixel_is_a_mean_of_neighbors(n, m):
    A = weights(n, m)
    np.testing.assert_allclose(A.sum(axis=1), 1, rtol=1e-14)
    assert A.min() >= 0
    for taken in A:
        places = np.flatnonzero(taken)
        assert len(places) == 1 or places.tolist() == [places[0], places[0] + 1]


@given(LENGTHS, LENGTHS, LENGTHS, LENGTHS)
def test_a_slope_stays_a_slope_between_the_first_and_the_last_center(H, W, OH, OW):
    i, j = np.mgrid[:H, :W]
    y = resize_bilinear((3.0 * i - 2.0 * j)[None, :, :, None], (OH, OW))[0, :, :, 0]
    oi, oj = (np.clip((np.arange(m) + 0.5) * n / m - 0.5, 0, n - 1) for n, m in ((H, OH), (W, OW)))
    np.testing.assert_allclose(y, 3 * oi[:, None] - 2 * oj, atol=1e-12)


@given(LENGTHS, LENGTHS, st.integers(0, 3), st.integers(1, 4), st.sampled_from((np.float32, np.float64)))
def test_pictures_and_channels_do_not_mix(H, W, N, C, dtype):
    x = np.random.default_rng(0).standard_normal((N, H, W, C)).astype(dtype)
    y = resize_bilinear(x, 7)
    assert (y.shape, y.dtype) == ((N, 7, 7, C), dtype)
    for n, c in np.ndindex(N, C):
        one = resize_bilinear(x[n : n + 1, :, :, c : c + 1], 7)
        np.testing.assert_allclose(y[n : n + 1, :, :, c : c + 1], one, rtol=1e-6, atol=1e-6)


def test_the_same_on_every_device(device):
    x = np.random.default_rng(0).standard_normal((2, 5, 4, 3)).astype(np.float32)
    there = device.array(x)
    with forbid_transfers():
        y = resize_bilinear(there, (9, 2))
    np.testing.assert_allclose(to_numpy(y), resize_bilinear(x, (9, 2)), rtol=1e-6, atol=1e-6)


def test_pictures_of_the_right_size_come_back_as_a_copy():
    x = row(1, 2)
    y = resize_bilinear(x, (1, 2))
    assert np.array_equal(x, y)
    assert not np.may_share_memory(x, y)


@pytest.mark.parametrize("x", [np.zeros((2, 3, 3)), np.zeros((1, 0, 3, 3)), np.zeros((1, 3, 3, 3), np.uint8)])
def test_other_things_than_pictures_are_refused(x):
    with pytest.raises(ShapeError, match="expected pictures"):
        resize_bilinear(x, 4)


def test_a_picture_of_no_pixels_is_not_made():
    with pytest.raises(ValueError, match="0×4"):
        resize_bilinear(row(1, 2), (0, 4))
