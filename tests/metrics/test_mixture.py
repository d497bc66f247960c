import numpy as np
import pytest

from minigan.data.points import grid, ring
from minigan.metrics import modes_and_quality

CENTERS = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])


@pytest.mark.parametrize("data", [ring, grid])
def test_real_points_find_every_mode_and_are_as_good_as_gaussians_are(data):
    """1 − exp(−9/2) of them, within four standard errors."""
    points = data(50_000, seed=3)
    modes, quality = modes_and_quality(points.samples, points.centers, points.std)
    assert modes == len(points.centers)
    p = 1 - np.exp(-4.5)
    assert abs(quality - p) < 4 * np.sqrt(p * (1 - p) / 50_000)


def test_a_sample_is_good_within_3_std_in_every_direction():
    angle = np.linspace(0, 2 * np.pi, 40)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    for radius, share in ((2.99, 1), (3.01, 0)):
        assert modes_and_quality(CENTERS[1] + 0.5 * radius * circle, CENTERS, 0.5) == (share, share)


@pytest.mark.parametrize(("hits", "found"), [(9, 1), (10, 2)])
def test_a_mode_is_found_from_a_hundredth_of_all_samples_on(hits, found):
    """Of all, not of the good ones: 500 of the 1000 are far from everything."""
    points = np.repeat([CENTERS[0], CENTERS[2], [99.0, 99.0]], [500 - hits, hits, 500], axis=0)
    assert modes_and_quality(points, CENTERS, 1.0) == (found, 0.5)


def test_samples_that_are_near_a_mode_but_not_good_find_nothing():
    points = np.repeat(CENTERS, 100, axis=0) + 4.0
    assert modes_and_quality(points, CENTERS, 1.0) == (0, 0.0)


def test_a_sample_counts_for_its_nearest_center_only():
    """All are good for both: between two centers 4 std apart."""
    centers = np.array([[0.0, 0.0], [4.0, 0.0]])
    assert modes_and_quality(np.array([[1.9, 0.0]] * 10), centers, 1.0) == (1, 1.0)


@pytest.mark.parametrize(("n", "k"), [(0, 3), (5, 101)])
def test_what_cannot_be_counted_is_refused(n, k):
    with pytest.raises(ValueError, match=f"not {n} and {k}"):
        modes_and_quality(np.zeros((n, 2)), np.zeros((k, 2)), 1.0)
