"""The smooth filling of holes."""

import numpy as np
import pytest

from minigan.translators.damages import Damages
from minigan.translators.filling import filled


def holes(shape, seed=0):
    return 1 - np.stack([Damages("hole:blobs")(np.zeros((*shape[1:3], 1)), np.random.default_rng(seed))["mask"]] * 2)


@pytest.mark.parametrize("size", [(32, 32), (13, 21), (1, 7), (3, 1)])
def test_known_pixels_stay_and_a_flat_picture_becomes_flat(size):
    shape = (2, *size, 3)
    rng = np.random.default_rng(1)
    x, u = rng.uniform(-1, 1, shape), holes(shape).astype(float)
    y = filled(x, u)
    known = np.broadcast_to(u == 0, shape)
    assert np.array_equal(y[known], x[known])
    np.testing.assert_allclose(filled(np.full(shape, 0.3) + u, u), 0.3)  # what is in the hole isn't looked at
    assert (y.min(), y.max()) >= (x[known].min(), -1)
    assert y.max() <= x[known].max()


def test_a_slope_is_continued_into_the_hole():
    """A plane is the mean of its neighbors so it is the exact solution. The repetitions come close to it."""
    x = np.linspace(-1, 1, 64)[None, None, :, None] * np.ones((1, 64, 64, 1))
    u = np.zeros((1, 64, 64, 1))
    u[:, 24:40, 24:40] = 1
    error = np.abs(filled(x, u) - x)[u == 1]
    assert error.max() < 0.02  # the mean of the surroundings would be wrong by up to 0.25


def test_pictures_of_a_batch_have_nothing_to_do_with_each_other():
    rng = np.random.default_rng(2)
    x, u = rng.uniform(-1, 1, (2, 20, 24, 3)).astype(np.float32), holes((2, 20, 24)).astype(np.float32)
    y = filled(x, u)
    assert y.dtype == np.float32
    for i in range(2):
        np.testing.assert_allclose(filled(x[i : i + 1], u[i : i + 1])[0], y[i], atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_no_value_in_a_hole_has_an_effect(value):
    x, u = np.random.default_rng(3).uniform(-1, 1, (2, 12, 9, 3)), holes((2, 12, 9)).astype(float)
    assert u.any()
    assert np.array_equal(filled(np.where(u > 0, value, x), u), filled(x, u))


def test_a_picture_without_a_known_pixel_becomes_gray():
    assert not filled(np.ones((1, 6, 5, 3)), np.ones((1, 6, 5, 1))).any()
