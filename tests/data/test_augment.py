import numpy as np
import pytest
from PIL import Image

from minigan.data import AUGMENTATIONS, random_crop, random_flip, random_jitter, random_rotation, random_turn
from minigan.errors import ShapeError


def rngs(n, seed=0):
    return [np.random.default_rng([seed, k]) for k in range(n)]


@pytest.fixture
def x():
    return np.random.default_rng(0).uniform(-1, 1, (200, 6, 9, 2)).astype(np.float32)


def fitting(name, x):
    """Square pictures for quarter turns."""
    return x[:, :, :6] if name == "turn" else x


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_keeps_shape_dtype_range_and_input_and_repeats_with_its_seed(name, x):
    x = fitting(name, x)
    before = x.copy()
    y = AUGMENTATIONS[name](x, rngs(200))
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    assert np.abs(y).max() <= 1
    assert (y != x).any()
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(y, AUGMENTATIONS[name](x, rngs(200)))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_change_follows_from_the_picture_s_own_generator(name, x):
    x = fitting(name, x)
    whole, some = AUGMENTATIONS[name](x, rngs(200)), slice(50, 57)
    np.testing.assert_array_equal(AUGMENTATIONS[name](x[some], rngs(200)[some]), whole[some])


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_there_is_a_generator_for_each_picture(name, x):
    for wrong in (rngs(199), np.random.default_rng(0)):
        with pytest.raises(ShapeError, match="a list of 200 generators, one for each picture"):
            AUGMENTATIONS[name](x, wrong)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_points_are_refused(name):
    with pytest.raises(ShapeError, match="needs pictures"):
        AUGMENTATIONS[name](np.zeros((5, 2), np.float32), rngs(5))


def test_flip_mirrors_about_half_of_the_pictures(x):
    y = random_flip(x, rngs(200))
    same, mirrored = ((y == other).all((1, 2, 3)) for other in (x, x[:, :, ::-1]))
    assert (same ^ mirrored).all()
    assert 70 < mirrored.sum() < 130


def test_turns_are_all_four_about_equally_often(x):
    x = fitting("turn", x)
    y = random_turn(x, rngs(200))
    turned = np.array([(np.rot90(x, k, axes=(1, 2)) == y).all((1, 2, 3)) for k in range(4)])
    assert (turned.sum(axis=0) == 1).all() and turned.sum(axis=1).min() > 30


def test_pictures_that_are_not_square_are_not_turned(x):
    with pytest.raises(ShapeError, match="exchange height and width, and pictures are 6x9: use a square `img_size`"):
        random_turn(x, rngs(200))


def test_crop_is_one_of_the_shifts_and_all_of_them_occur(x):
    y = random_crop(x, rngs(200), padding=1)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    shifts = [(padded[:, i : i + 6, j : j + 9] == y).all((1, 2, 3)) for i in range(3) for j in range(3)]
    assert (np.sum(shifts, 0) == 1).all()
    assert all(shift.any() for shift in shifts)


def test_rotation_by_zero_changes_nothing(x):
    np.testing.assert_allclose(random_rotation(x, rngs(200), degrees=0), x, atol=1e-6)


def test_rotation_turns_a_plane_exactly():
    """Bilinear interpolation is exact on a linear ramp, so the ramp of the result has the angle that was drawn."""
    v, u = np.mgrid[-4:5, -4:5].astype(np.float32)
    ramp = np.tile(u + 2 * v, (3, 1, 1))[..., None]
    y = random_rotation(ramp, rngs(3), degrees=30)[:, 3:6, 3:6, 0]  # far from the border
    angle = np.deg2rad([rng.uniform(-30, 30) for rng in rngs(3)]).reshape(3, 1, 1)
    row, column = np.cos(angle) * v - np.sin(angle) * u, np.sin(angle) * v + np.cos(angle) * u
    np.testing.assert_allclose(y, (column + 2 * row)[:, 3:6, 3:6], atol=1e-5)


def test_jitter_is_a_window_of_the_enlarged_picture_and_all_windows_occur():
    x = np.random.default_rng(0).uniform(-1, 1, (300, 12, 20, 1)).astype(np.float32)
    y = random_jitter(x, rngs(300), 1.25)
    found = np.zeros((4, 6), int)
    for old, new in zip(x[..., 0], y[..., 0], strict=True):
        large = np.asarray(Image.fromarray(old).resize((25, 15), Image.Resampling.BILINEAR))
        match = [[np.allclose(large[i : i + 12, j : j + 20], new, atol=1e-5) for j in range(6)] for i in range(4)]
        assert np.sum(match) == 1
        found += match
    assert found.min() > 2


def test_jitter_of_the_published_size():
    x = np.tile(np.arange(256, dtype=np.float32), (2, 256, 1))[..., None]
    y = AUGMENTATIONS["jitter"](x, rngs(2))
    np.testing.assert_allclose(np.diff(y[:, :, 5:-5, 0]), 256 / 286, atol=1e-4)


def test_interpolation_needs_floats():
    for change in (AUGMENTATIONS["rotate"], AUGMENTATIONS["jitter"]):
        with pytest.raises(ShapeError, match="this interpolates between pixels, so pictures must be floats, got uint8"):
            change(np.zeros((2, 8, 8, 1), np.uint8), rngs(2))
