"""The sets that need no files: digits, points and shapes."""

import numpy as np
import pytest

from minigan.data import ShapesDataset, grid, open_digits, ring


@pytest.mark.parametrize("size", [8, 16, 28, 32, 64])
def test_digits_are_white_on_black_at_any_size(size):
    dataset = open_digits(size)
    assert len(dataset) == 1797
    assert dataset.shape == (size, size, 1)
    assert np.bincount(dataset.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    x = dataset.batch(np.arange(1797))
    assert x.max() == 1
    assert x[:, 0].mean() < -0.9  # the margin
    assert -0.8 < x.mean() < -0.2


def test_digits_at_their_own_size_are_the_ones_of_uci():
    zero = open_digits(10).samples[0, 1:-1, 1:-1, 0]
    assert (zero[0] / 255 * 16).round().tolist() == [0, 0, 5, 13, 9, 1, 0, 0]


@pytest.mark.parametrize(("make", "modes"), [(ring, 8), (grid, 25)])
def test_points_lie_around_their_centers(make, modes):
    dataset = make(20_000)
    assert dataset.centers.shape == (modes, 2)
    assert set(dataset.labels) == set(range(modes))
    offset = (dataset.batch(np.arange(20_000)) - dataset.centers[dataset.labels]) / dataset.std
    np.testing.assert_allclose(offset.std(0), 1, atol=0.03)
    np.testing.assert_allclose(offset.mean(0), 0, atol=0.03)
    assert (np.hypot(*offset.T) < 3).mean() == pytest.approx(1 - np.exp(-4.5), abs=0.003)  # Rayleigh


@pytest.mark.parametrize("make", [ring, grid])
def test_points_have_the_promised_scale(make):
    points = make(20_000).samples
    np.testing.assert_allclose(points.std(0), 1, atol=0.02)
    assert np.abs(make(10).centers).max() == pytest.approx(np.sqrt(2))


def test_the_gaussians_are_narrow():
    assert ring(10).std / np.sqrt(2) == pytest.approx(0.01)  # of the radius
    assert grid(10).std * np.sqrt(2) == pytest.approx(0.025)  # of the spacing


def test_a_selection_of_points_keeps_its_centers():
    chosen = ring(100).select(np.arange(5))
    assert len(chosen) == 5
    assert chosen.centers.shape == (8, 2)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("background", ["color", "black"])
def test_shapes_stay_inside_on_their_background(channels, background):
    dataset = ShapesDataset(200, 32, channels, background)
    x = dataset.batch(np.arange(200))
    assert x.shape == (200, 32, 32, channels)
    assert x.dtype == np.float32
    assert x.min() >= -1
    assert x.max() <= 1
    border = np.concatenate([x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1]], axis=1)
    np.testing.assert_allclose(border, border[:, :1].repeat(128, 1), atol=1e-6)  # one color all around
    assert (border.max() == -1) == (background == "black")


def test_shapes_cover_the_area_that_geometry_says():
    dataset = ShapesDataset(500, 64, 1)
    covered = dataset._coverage(np.arange(500)).mean((1, 2)) / dataset._radius**2
    areas = [np.pi, 2, 0.75 * 3**0.5, 4 * 0.3 * (2 * 0.95 - 0.3), np.pi * (1 - 0.36)]
    for kind, area in enumerate(areas):
        np.testing.assert_allclose(covered[dataset.labels == kind], area, rtol=0.02)


def test_shapes_have_soft_edges():
    coverage = ShapesDataset(20, 32)._coverage(np.arange(20))
    assert ((coverage > 0.1) & (coverage < 0.9)).mean() > 0.01


def test_a_shape_depends_on_seed_and_index_alone():
    first, second = ShapesDataset(50, seed=3), ShapesDataset(50, seed=3)
    np.testing.assert_array_equal(first.batch(np.arange(50))[[7, 2]], second.batch(np.array([7, 2])))
    np.testing.assert_array_equal(first.select(np.array([7, 2])).batch(np.arange(2)), second.batch(np.array([7, 2])))
    assert (ShapesDataset(50, seed=4).batch(np.arange(50)) != first.batch(np.arange(50))).any()
