import numpy as np
import pytest
from PIL import Image

from minigan.training.pictures import grid, save_film, save_image, scatter, slerp, to_bytes, walk


def test_the_unit_range_becomes_bytes():
    assert to_bytes(np.array([-2, -1, 0, 0.2, 1, 3])).tolist() == [0, 0, 128, 153, 255, 255]


@pytest.mark.parametrize(("size", "channels", "scale"), [(16, 1, 4), (28, 1, 2), (64, 3, 1), (100, 3, 1)])
def test_a_grid_is_enlarged_by_a_whole_factor(size, channels, scale):
    pictures = np.full((5, size, size, channels), -1.0)
    pictures[3] = 1  # row 1, column 0 of a grid with three columns
    image = np.asarray(grid(pictures))
    step = size * scale + 2
    assert image.shape == (2 * step + 2, 3 * step + 2, 3)
    assert (image[step + 2 : 2 * step, 2:step] == 255).all()
    assert (image[2:step, 2:step] == 0).all()


def test_slerp_goes_round_and_not_through():
    a, b = np.eye(2)[:1] * 2, np.eye(2)[1:] * 4
    np.testing.assert_allclose(slerp(a, b, 0), a, atol=1e-12)
    np.testing.assert_allclose(slerp(a, b, 1), b, atol=1e-12)
    middle = slerp(a, b, 0.5)
    np.testing.assert_allclose(middle, 3 * np.sqrt(0.5) * np.ones((1, 2)))
    np.testing.assert_allclose(slerp(a, a, 0.3), a)


def test_a_walk_starts_and_ends_where_it_should():
    rng = np.random.default_rng(0)
    starts, ends = rng.standard_normal((2, 3, 10), dtype=np.float32)
    way = walk(starts, ends, 5)
    assert (way.shape, way.dtype) == ((3, 5, 10), np.float32)
    np.testing.assert_allclose(way[:, 0], starts, rtol=1e-5)
    np.testing.assert_allclose(way[:, -1], ends, rtol=1e-5)


def test_points_stay_where_they_are_from_picture_to_picture():
    real = np.array([[1.0, 0.0], [-1.0, 0.0]])
    here = [np.asarray(scatter(fake, real)) for fake in (np.array([[0.0, 0.5]]), np.array([[0.0, 50.0]]))]
    assert (here[0][240, 48] == here[1][240, 48]).all()  # x = −1 of ±1.25
    assert tuple(here[0][144, 240]) == (31, 104, 180)  # y = .5


def test_a_film_has_at_most_60_frames_and_ends_with_the_last_picture(tmp_path):
    paths = []
    for i in range(70):
        paths.append(tmp_path / f"{i:03d}.png")
        save_image(Image.new("RGB", (700, 35), (i, 2 * i, 255 - i)), paths[-1])
    save_film(paths, tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 60
        assert film.size == (640, 32)
        film.seek(59)
        assert np.abs(np.array(film.convert("RGB").getpixel((5, 5))) - (69, 138, 186)).max() < 8
