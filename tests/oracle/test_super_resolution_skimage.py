"""The protocol's luminance is scikit-image's rgb2ycbcr, rounded, and its scores are scikit-image's of it."""

import numpy as np
import pytest

from minigan.metrics import luma, protocol_scores

color = pytest.importorskip("skimage.color")
theirs = pytest.importorskip("skimage.metrics")
pytestmark = pytest.mark.oracle


def test_luminance_and_scores():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 256, (60, 50, 3), dtype=np.uint8)
    b = np.clip(a + rng.integers(-20, 21, a.shape), 0, 255).astype(np.uint8)
    x, y = (np.floor(color.rgb2ycbcr(pixels)[..., 0] + 0.5) for pixels in (a, b))
    assert (luma(a)[..., 0] == x).all()
    x, y = x[4:-4, 4:-4], y[4:-4, 4:-4]
    found = protocol_scores(a, b, 4)
    assert found["psnr"] == pytest.approx(theirs.peak_signal_noise_ratio(y, x, data_range=255), abs=1e-9)
    options = {"gaussian_weights": True, "use_sample_covariance": False, "data_range": 255}
    assert found["ssim"] == pytest.approx(theirs.structural_similarity(x, y, **options), abs=1e-9)
