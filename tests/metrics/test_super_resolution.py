"""PSNR and SSIM of luminance, with a border cut, and the bicubic rows of published tables."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minigan.errors import ShapeError
from minigan.layers.bicubic import enlarged, shrunk
from minigan.metrics import cut_to_multiple, luma, protocol_scores, psnr, ssim
from minigan.metrics.super_resolution import detail

SETS = Path(os.environ.get("MINIGAN_TEST_SETS", "none")) / "super-resolution"


def draw_pair(shape=(40, 36, 3), error=9):
    rng = np.random.default_rng(0)
    a = rng.integers(error, 256 - error, shape)
    return a.astype(np.uint8), (a + rng.integers(-error, error + 1, shape)).astype(np.uint8)


def test_luma_is_that_of_the_formula_by_hand():
    colors = np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 200, 77]], np.uint8)
    wanted = [16, 235, 81, 145, 41, 127]  # 16 + 65.481 = 81.481; 144.553; 40.966; 16 + 2.57 + 100.83 + 7.54 = 126.93
    assert luma(colors).tolist() == [[y] for y in wanted]
    assert luma(colors[:, :1])[:, 0].tolist() == colors[:, 0].tolist()


def test_scores_are_those_of_rounded_luminance_without_the_border():
    a, b = draw_pair()
    found = protocol_scores(a, b, 3)
    y = [np.rint(16 + (65.481 * x[..., 0] + 128.553 * x[..., 1] + 24.966 * x[..., 2]) / 255) for x in (a, b)]
    inner = [x[3:-3, 3:-3, None] for x in y]
    error = np.mean((inner[0] - inner[1]) ** 2)
    assert found["psnr"] == pytest.approx(10 * np.log10(255**2 / error), abs=1e-12)
    assert found["ssim"] == pytest.approx(ssim(*inner, 255), abs=1e-12)
    c = a.copy()
    c[:3], c[:, -3:] = 0, 255  # only in the border
    assert protocol_scores(c, b, 3) == found and protocol_scores(c, b, 2) != found


def test_one_channel_is_compared_in_its_own_values():
    a, b = (x[..., :1] for x in draw_pair(error=50))
    as_color = protocol_scores(a.repeat(3, 2), b.repeat(3, 2), 2)["psnr"]
    own = protocol_scores(a, b, 2)["psnr"]
    assert own == pytest.approx(float(psnr(a[2:-2, 2:-2], b[2:-2, 2:-2], 255)))
    assert as_color - own == pytest.approx(20 * np.log10(255 / 219), abs=0.01)  # but for rounding


def wave(cycles, amplitude=1.0, size=64):
    """A wave along the rows with so many cycles per pixel, (size, size, 1)."""
    return (amplitude * np.sin(2 * np.pi * cycles * np.arange(size)) * np.ones((size, 1)))[..., None]


def test_detail_is_the_power_of_fine_waves_in_decibels():
    coarse, fine = wave(0.1, 9), wave(0.35)
    assert detail(coarse + 0.5 * fine, coarse + fine) == pytest.approx(20 * np.log10(0.5), abs=0.01)
    assert detail(coarse + fine, 3 * coarse + 50 + fine) == pytest.approx(0, abs=0.01)
    shifted = np.roll(fine, 1, axis=1)  # in the wrong place, but as much of it
    assert detail(shifted, fine) == pytest.approx(0, abs=0.01)
    assert detail(coarse, coarse + fine) < -40
    assert np.isnan(detail(fine, np.zeros((64, 64, 1)))) and detail(np.zeros((64, 64, 1)), fine) == -np.inf


def test_the_band_of_details_has_both_its_ends_and_no_trace_of_the_mean():
    """The window spreads a wave over three frequencies, with a quarter, 1 and a quarter of its power."""
    assert detail(wave(0.25), wave(0.35)) == pytest.approx(10 * np.log10(1.25 / 1.5), abs=0.1)
    stripes = np.broadcast_to((-1.0) ** np.arange(64)[:, None, None], (64, 64, 1))  # twice a wave's power, at ½ cycle
    assert detail(stripes, wave(0.35)) == pytest.approx(10 * np.log10(2 * 7 / 9), abs=0.1)  # 2/9 is spread beyond ½
    assert detail(250 + 1e-3 * wave(0.35), wave(0.35)) == pytest.approx(-60, abs=0.01)


def test_sizes_are_cut_at_the_bottom_and_on_the_right():
    x = np.arange(7 * 9 * 3).reshape(7, 9, 3)
    np.testing.assert_array_equal(cut_to_multiple(x, 4), x[:4, :8])
    np.testing.assert_array_equal(cut_to_multiple(x, 3), x[:6])


@pytest.mark.parametrize(
    ("result", "original", "what"),
    [
        (np.zeros((20, 20, 3)), np.zeros((20, 20, 3)), "bytes"),
        (np.zeros((20, 20, 3), np.uint8), np.zeros((20, 21, 3), np.uint8), "of one shape"),
        (np.zeros((20, 20, 4), np.uint8), np.zeros((20, 20, 4), np.uint8), "1 or 3"),
        (np.zeros((16, 20, 3), np.uint8), np.zeros((16, 20, 3), np.uint8), "window of 11"),
    ],
)
def test_other_pictures_are_refused(result, original, what):
    with pytest.raises(ShapeError, match=what):
        protocol_scores(result, original, 3)


def read(path):
    with Image.open(path) as image:
        x = np.asarray(image)
    return x.reshape(*x.shape[:2], -1)


@pytest.mark.skipif(not SETS.is_dir(), reason="needs published sets of pictures in MINIGAN_TEST_SETS")
@pytest.mark.parametrize(
    ("name", "scale", "wanted"), [("Set5", 2, 33.64), ("Set5", 3, 30.39), ("Set5", 4, 28.42), ("Set14", 4, 25.99)]
)
def test_bicubic_enlargement_has_its_published_scores(name, scale, wanted):
    """The published low pictures, and those that are made here, are the same bytes."""
    found = []
    for path in sorted((SETS / name / f"image_SRF_{scale}").glob("*_HR.png")):
        high = cut_to_multiple(read(path), scale)
        low = shrunk(high, scale)
        np.testing.assert_array_equal(low, read(path.with_name(path.name.replace("_HR", "_LR"))))
        found.append(protocol_scores(enlarged(low, scale), high, scale)["psnr"])
    assert np.mean(found) == pytest.approx(wanted, abs=0.01)
