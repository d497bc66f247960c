import numpy as np
import pytest
from PIL import Image

from minigan.errors import ShapeError
from minigan.model import Exhibit
from minigan.testing import STRICT
from minigan.training.pictures import draw_exhibit, grid, scatter


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_stand_in_a_grid_as_they_are(channels):
    pictures = np.random.default_rng(0).uniform(-1, 1, (6, 20, 30, channels))
    assert np.array_equal(draw_exhibit(Exhibit(pictures, 2)), grid(pictures, 2))
    assert draw_exhibit(Exhibit(pictures, 2)).size == (2 + 2 * 62, 2 + 3 * 42)  # twice as large, with gutters


def test_pictures_on_a_gpu_are_fetched():
    pictures = np.random.default_rng(0).uniform(-1, 1, (2, 20, 30, 3))
    assert np.array_equal(draw_exhibit(Exhibit(STRICT.array(pictures), 2)), grid(pictures, 2))


def test_pictures_that_are_not_square_make_a_grid_that_nearly_is():
    wide, high = (draw_exhibit(Exhibit(np.zeros((18, *size, 1)))).size for size in ((32, 64), (64, 32)))
    assert wide == high[::-1] == (200, 206)


def test_a_grid_of_photos_is_reduced_to_what_a_page_takes():
    assert draw_exhibit(Exhibit(np.zeros((3, 3000, 2000, 1), np.float32), 3)).size == (3004, 1502)


def test_captions_stand_above_their_columns_and_the_grid_stays_as_it_is():
    pictures = np.zeros((6, 64, 64, 3))
    plain = draw_exhibit(Exhibit(pictures, 3))
    for captions in (("input", "", "what the decoder makes of it"), ("a" * 80, " ".join("b" * 40), "")):
        drawn = draw_exhibit(Exhibit(pictures, 3, captions=captions))
        head = drawn.height - plain.height
        assert drawn.width == plain.width and 18 <= head <= 4 * 16 + 2
        assert np.array_equal(np.asarray(drawn)[head:], plain)
        dark = (np.asarray(drawn)[:head] < 200).any(axis=(0, 2))
        written = [dark[2 + 66 * i : 66 + 66 * i].any() for i in range(3)]
        assert written == [bool(caption) for caption in captions]
        assert not dark[[0, 1, 66, 67, 132, 133]].any()  # no caption reaches into the next column


def test_points_are_drawn_over_real_ones():
    rng = np.random.default_rng(0)
    points, real, centers = rng.standard_normal((3, 20, 2))
    assert np.array_equal(draw_exhibit(Exhibit(points), real, centers), scatter(points, real, centers))
    many = np.concatenate([points, real], axis=1)
    assert np.array_equal(draw_exhibit(Exhibit(many), many), scatter(points, points))
    assert isinstance(draw_exhibit(Exhibit(points[:, :1])), Image.Image)


@pytest.mark.parametrize("shape", [(4,), (2, 8, 8), (2, 8, 8, 4), (0, 8, 8, 3), (0, 2), (2, 3, 8, 8, 1)])
def test_what_can_not_be_drawn_is_refused_in_a_sentence(shape):
    with pytest.raises(ShapeError, match="an exhibit has samples of shape"):
        draw_exhibit(Exhibit(np.zeros(shape)))
