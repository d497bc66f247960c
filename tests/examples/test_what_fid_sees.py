"""The distance grows with what is wrong, on the digits of the package."""

import sys
from pathlib import Path

import numpy as np
import pytest

from minigan.metrics import DigitClassifier

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))
import what_fid_sees as example  # noqa: E402


@pytest.fixture(scope="module")
def found():
    real, other = example.open_two("digits", seed=0)
    return example.distances(DigitClassifier(), real, other)


@pytest.mark.slow
@pytest.mark.parametrize("what", example.DISTORTIONS)
def test_the_distance_grows_with_every_step(found, what):
    distances = [distance for _, distance in found[what]]
    assert np.all(np.diff(distances) > 0), distances
    assert distances[-1] > 10 * distances[0] > 0


def test_nothing_is_done_with_no_strength():
    x = np.random.default_rng(0).uniform(-1, 1, (2, 16, 16, 1)).astype(np.float32)
    for distort in (example.noise, example.blur, example.swirl):
        np.testing.assert_allclose(distort(x, 0, np.random.default_rng(0)), x, atol=1e-6)


def test_blur_keeps_what_is_even_and_a_swirl_only_moves_pixels():
    even = np.full((1, 16, 16, 1), 0.3, np.float32)
    np.testing.assert_allclose(example.blur(even, 2, None), even, rtol=1e-6)
    x = np.arange(17 * 17, dtype=np.float32).reshape(1, 17, 17, 1)
    turned = example.swirl(x, 2, None)
    assert set(turned.ravel()) <= set(x.ravel())
    assert turned[0, 8, 8] == x[0, 8, 8]  # the center stays where it is
    assert (turned != x).mean() > 0.5
