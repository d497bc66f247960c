"""SSIM and PSNR are those of scikit-image, with every option that it has for pictures with channels."""

import numpy as np
import pytest

from minigan.metrics import psnr, ssim

pytest.importorskip("scipy")  # scikit-image asks for it only when it is called
theirs = pytest.importorskip("skimage.metrics")
pytestmark = pytest.mark.oracle

OPTIONS = {  # ours, theirs
    "Wang's": ({}, {"gaussian_weights": True, "use_sample_covariance": False}),
    "a Gaussian, sample covariance": ({"sample_covariance": True}, {"gaussian_weights": True}),
    "a narrow Gaussian": ({"sigma": 0.7}, {"gaussian_weights": True, "sigma": 0.7, "use_sample_covariance": False}),
    "a wide Gaussian": ({"sigma": 2.3}, {"gaussian_weights": True, "sigma": 2.3, "use_sample_covariance": False}),
    "scikit-image's defaults": ({"gaussian": False, "sample_covariance": True}, {}),
    "uniform, population covariance": ({"gaussian": False}, {"use_sample_covariance": False}),
    "a window of 3": ({"gaussian": False, "window": 3, "sample_covariance": True}, {"win_size": 3}),
    "a window as large as the picture": (
        {"gaussian": False, "window": 17, "sample_covariance": True},
        {"win_size": 17},
    ),
    "other constants": (
        {"K1": 0.05, "K2": 0.001},
        {"gaussian_weights": True, "use_sample_covariance": False, "K1": 0.05, "K2": 0.001},
    ),
}


def draw_pair(scale=1.0, shape=(3, 17, 20, 3)):
    """Smooth pictures in [-scale, scale], and noisy ones."""
    rng = np.random.default_rng(0)
    a = np.tanh(rng.normal(size=shape).cumsum(axis=1).cumsum(axis=2) / 5)
    return scale * a, scale * np.clip(a + rng.normal(0, 0.3, shape), -1, 1)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("scale", [1.0, 127.5])
def test_ssim_and_its_map(name, scale):
    ours, their = OPTIONS[name]
    a, b = draw_pair(scale)
    values, similarity = ssim(a, b, 2 * scale, full=True, **ours)
    for n in range(len(a)):
        value, full = theirs.structural_similarity(a[n], b[n], data_range=2 * scale, channel_axis=2, full=True, **their)
        assert values[n] == pytest.approx(value, abs=1e-10)
        np.testing.assert_allclose(similarity[n], full, atol=1e-10)


@pytest.mark.parametrize("name", ["Wang's", "scikit-image's defaults"])
def test_bytes(name):
    ours, their = OPTIONS[name]
    a, b = (np.round(x + 127.5).astype(np.uint8) for x in draw_pair(127.5))
    for n in range(len(a)):
        expected = theirs.structural_similarity(a[n], b[n], data_range=255, channel_axis=2, **their)
        assert ssim(a[n], b[n], 255, **ours) == pytest.approx(expected, abs=1e-10)
        expected = theirs.peak_signal_noise_ratio(a[n], b[n], data_range=255)
        assert psnr(a[n], b[n], 255) == pytest.approx(expected, rel=1e-12)


def test_psnr():
    a, b = draw_pair()
    expected = [theirs.peak_signal_noise_ratio(x, y, data_range=2) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(psnr(a, b, 2), expected, rtol=1e-12)
