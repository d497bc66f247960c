"""Noise is told from pictures by how much neighboring pixels have in common."""

import math

import numpy as np
import pytest

from minigan.data import open_dataset
from minigan.gans import DCGAN
from minigan.training.doctor.likeness import neighbor_correlation

SQUARES = np.indices((8, 8)).sum(axis=0) % 2 * 2.0 - 1  # a chessboard: each neighbor is the opposite
NOISE = np.random.default_rng(0).standard_normal((64, 32, 32, 3))


def test_the_extremes():
    assert neighbor_correlation(SQUARES[None, :, :, None]) == pytest.approx(-1)
    assert neighbor_correlation(NOISE) == pytest.approx(0, abs=0.02)
    halves = np.repeat([-1.0, 1.0], 500)[None, None, :, None] * np.ones((1, 1000, 1, 1))
    assert neighbor_correlation(halves) == pytest.approx(1 - 4 / 999 / 4)  # one step across, of 2, in 999; none down


def test_a_mean_of_neighbors_correlates_by_a_half():
    """(a + b)/2 and (b + c)/2 of white noise share one of two terms."""
    smooth = (NOISE[:, 1:] + NOISE[:, :-1]) / 2  # down only: across, neighbors have nothing in common
    assert neighbor_correlation(smooth) == pytest.approx((0.5 + 0) / 2, abs=0.03)


@pytest.mark.parametrize("data", ["digits", "shapes"])
def test_pictures_are_not_noise_whatever_their_brightness_and_contrast(data):
    x = open_dataset(data, limit=64).batch(np.arange(64))
    assert neighbor_correlation(x) > 0.8
    assert neighbor_correlation(0.01 * x + 0.7) == pytest.approx(neighbor_correlation(x))


def test_an_untrained_generator_draws_noise():
    gan = DCGAN((28, 28, 1), features=8, rng=np.random.default_rng(0))
    assert neighbor_correlation(gan.generate(gan.latent(64, np.random.default_rng(1)))) < 0.1


def test_where_nothing_can_be_told():
    for x in (np.ones((3, 4, 4, 1)), NOISE[:, :1], NOISE[:, :, :1], NOISE * np.inf):
        assert math.isnan(neighbor_correlation(x))
