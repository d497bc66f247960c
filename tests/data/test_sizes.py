"""Pictures of any height and width: how a size is written, and that every data set takes one."""

import numpy as np
import pytest

from minigan.data import ShapesDataset, as_size, open_dataset, open_digits, parse_size
from minigan.errors import DataError


@pytest.mark.parametrize(
    ("text", "size"), [("64", (64, 64)), ("96x64", (96, 64)), (" 96X64", (96, 64)), ("8×4096", (8, 4096))]
)
def test_a_size_is_a_number_or_height_and_width(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "64x", "x64", "64x64x3", "6.5", "-64", "64 64", "1e3", "sixty"])
def test_what_is_no_size(text):
    with pytest.raises(DataError, match="a size is a number, or HEIGHTxWIDTH such as 96x64, not '"):
        parse_size(text)


@pytest.mark.parametrize("text", ["3", "64x3", "5000x64", "0", "999999999"])
def test_sizes_that_cannot_be_made(text):
    with pytest.raises(DataError, match=f"an image size of {text}.* cannot be made: use `img_size` 4 to 4096"):
        parse_size(text)


@pytest.mark.parametrize("size", [(64,), (64, 64, 3), [64], (6.5, 64), ("64", 64), (None, 64)])
def test_a_pair_has_two_whole_numbers(size):
    with pytest.raises(DataError, match=r"a pair \(height, width\), not|must be a whole number"):
        as_size(size)


def test_a_pair_from_json_is_a_size():
    assert as_size([96, 64]) == as_size((np.int64(96), 64)) == (96, 64)


@pytest.mark.parametrize("name", ["digits", "shapes"])
def test_sets_of_the_package_have_any_size(name):
    dataset = open_dataset(name, (20, 32))
    assert dataset.batch(np.arange(3)).shape == (3, *dataset.shape) == (3, 20, 32, dataset.shape[2])


def test_shapes_are_drawn_in_the_square_at_the_center():
    sets = [ShapesDataset(9, size, background="black", seed=1) for size in (16, (16, 26), (30, 16))]
    square, wide, tall = (dataset.batch(np.arange(9)) for dataset in sets)
    np.testing.assert_allclose(wide[:, :, 5:21], square, atol=1e-5)
    np.testing.assert_allclose(tall[:, 7:23], square, atol=1e-5)
    for rest in (wide[:, :, :5], wide[:, :, 21:], tall[:, :7], tall[:, 23:]):
        assert (rest == -1).all()


def test_arrays_are_cut_to_the_aspect_at_their_center():
    digits = open_digits(16)
    band = digits.fit((8, 16)).batch(np.arange(5))
    np.testing.assert_allclose(band, digits.batch(np.arange(5))[:, 4:12], atol=1e-6)
    assert digits.fit((16, 16)) is digits
