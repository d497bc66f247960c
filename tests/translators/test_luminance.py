"""The luminance of a picture, and how it correlates before and after a translation."""

import numpy as np
import pytest

from minigan.testing import STRICT, forbid_transfers
from minigan.translators.luminance import luminance, luminance_correlation

RNG = np.random.default_rng(0)
PICTURES = RNG.uniform(-1, 1, (3, 8, 10, 3))


def test_red_green_and_blue_count_as_in_bt_601_and_other_channels_alike():
    pure = np.eye(3).reshape(1, 1, 3, 3)
    assert luminance(pure).ravel().tolist() == [0.299, 0.587, 0.114]
    np.testing.assert_allclose(luminance(np.full((1, 2, 2, 3), 0.5)), 0.5)
    np.testing.assert_allclose(luminance(np.arange(4.0).reshape(1, 1, 2, 2)), [[[0.5, 2.5]]])


def test_the_correlation_is_the_mean_of_that_of_each_picture():
    other = PICTURES + RNG.uniform(-1, 1, PICTURES.shape)
    expected = [
        np.corrcoef(luminance(x[None]).ravel(), luminance(y[None]).ravel())[0, 1]
        for x, y in zip(PICTURES, other, strict=True)
    ]
    assert luminance_correlation(PICTURES, other) == pytest.approx(np.mean(expected), abs=1e-6)


def test_brighter_flatter_colored_and_negative():
    gray = luminance(PICTURES)[..., None]
    assert luminance_correlation(PICTURES, 0.3 * PICTURES + 0.5) == pytest.approx(1, abs=1e-6)
    assert luminance_correlation(PICTURES, -PICTURES) == pytest.approx(-1, abs=1e-6)
    assert luminance_correlation(PICTURES, gray) == pytest.approx(1, abs=1e-6)
    assert luminance_correlation(PICTURES, np.zeros_like(PICTURES)) == 0


def test_rounding_errors_of_a_picture_without_contrast_are_no_relation():
    assert 0 <= luminance_correlation(PICTURES, 1e-9 * PICTURES) < 0.1


def test_it_stays_on_the_device():
    x, y = (STRICT.array(a.astype(np.float32)) for a in (PICTURES, -PICTURES))
    with forbid_transfers():
        found = luminance_correlation(x, y)
    assert found.shape == () and found.dtype == np.float32
