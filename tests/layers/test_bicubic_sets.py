"""The scaler and the comparison against published pictures and numbers of super-resolution, where these are at hand."""

import os
from pathlib import Path

import numpy as np
import pytest

from minigan.layers.bicubic import enlarged, shrunk
from minigan.metrics.similarity import psnr

SETS = Path(os.environ.get("MINIGAN_TEST_SETS", "none")) / "super-resolution"
LUMINANCE = np.array([65.481, 128.553, 24.966]) / 255  # of ITU-R BT.601, from 16 to 235
pytestmark = pytest.mark.skipif(not SETS.is_dir(), reason="needs published sets of pictures in MINIGAN_TEST_SETS")


def pictures(name, factor):
    """Yield the high and the low pictures (H, W, C), in bytes."""
    from PIL import Image

    for path in sorted((SETS / name / f"image_SRF_{factor}").glob("*_HR.png")):
        both = path, path.with_name(path.name.replace("HR", "LR"))
        yield [np.atleast_3d(np.asarray(Image.open(file))) for file in both]


def compared(x, y, border):
    """PSNR of Y, rounded, without the border; gray pictures in their own values."""
    x, y = (a if a.shape[2] == 1 else np.floor(a @ LUMINANCE + 16.5)[..., None] for a in (x, y))
    inside = slice(border, -border)
    return psnr(x[inside, inside].astype(float), y[inside, inside].astype(float), 255)


@pytest.mark.parametrize(("name", "factor"), [("Set5", 2), ("Set5", 3), ("Set5", 4), ("Set14", 4)])
def test_the_published_low_pictures_byte_for_byte(name, factor):
    for high, low in pictures(name, factor):
        np.testing.assert_array_equal(shrunk(high, factor), low)


@pytest.mark.parametrize(
    ("name", "factor", "published"), [("Set5", 2, 33.64), ("Set5", 3, 30.39), ("Set5", 4, 28.42), ("Set14", 4, 25.99)]
)
def test_the_published_rows_of_bicubic_enlargement(name, factor, published):
    found = [compared(high, enlarged(low, factor), factor) for high, low in pictures(name, factor)]
    assert abs(np.mean(found) - published) <= 0.005


def test_the_published_row_of_set14_twice_from_its_large_pictures():
    found = []
    for high, _ in pictures("Set14", 4):
        high = high[: len(high) // 2 * 2, : high.shape[1] // 2 * 2]
        found.append(compared(high, enlarged(shrunk(high, 2), 2), 2))
    assert abs(np.mean(found) - 30.22) <= 0.005
