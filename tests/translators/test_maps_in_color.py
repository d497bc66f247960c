"""Class maps and their pictures: classes by color, and by number where a file holds numbers."""

import numpy as np
import pytest

from minigan.backend import to_numpy
from minigan.testing import devices_under_test
from minigan.translators.maps import from_colors, to_colors

COLORS = np.array([[2, 0, 0], [0, 0, 0], [200, 200, 200]], np.uint8)


def classes(*pixels):
    """The classes of a row of pixels in bytes; each has one."""
    x = np.array(pixels, np.float32).reshape(1, 1, len(pixels), -1) / np.float32(127.5) - 1
    onehot = from_colors(x, COLORS)
    assert onehot.shape == (1, 1, len(pixels), 3)
    assert onehot.dtype == np.float32
    np.testing.assert_array_equal(onehot.sum(axis=-1), 1)
    return onehot[0, 0].argmax(axis=-1).tolist()


def test_the_nearest_color():
    assert classes([2, 0, 0], [0, 0, 0], [200, 200, 200]) == [0, 1, 2]
    assert classes([9, 0, 0], [0, 5, 7], [180, 255, 130]) == [0, 1, 2]  # as after JPEG
    assert classes([200, 200, 200], [0, 0, 0]) == [2, 1]  # gray, but too bright for numbers
    assert classes([2, 0, 0], [0, 0, 0]) == [0, 1]  # dark, but not gray


def test_numbers_of_classes():
    assert classes([0, 0, 0], [1, 1, 1], [2, 2, 2]) == [0, 1, 2]
    assert classes([0], [1], [2], [0]) == [0, 1, 2, 0]
    assert classes([0, 0, 0], [3, 3, 3]) == [1, 0]  # there is no class 3, so these are colors


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_there_and_back(dtype):
    p = np.random.default_rng(0).random((2, 5, 4, 3)).astype(dtype)
    picture = to_colors(p, COLORS)
    assert picture.dtype == dtype
    np.testing.assert_array_equal(np.rint((picture + 1) * 127.5), COLORS[p.argmax(axis=-1)])
    np.testing.assert_array_equal(from_colors(picture, COLORS).argmax(axis=-1), p.argmax(axis=-1))


@pytest.mark.parametrize("device", devices_under_test(), ids=str)
def test_on_every_device(device):
    p = np.random.default_rng(0).random((1, 3, 4, 3)).astype(np.float32)
    again = from_colors(to_colors(device.array(p), COLORS), COLORS)
    np.testing.assert_array_equal(to_numpy(again).argmax(axis=-1), p.argmax(axis=-1))
