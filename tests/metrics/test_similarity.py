import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.backend import to_numpy
from minigan.errors import ShapeError
from minigan.metrics import psnr, ssim
from minigan.testing import forbid_transfers

SEEDS = st.integers(0, 2**32 - 1)
KINDS = st.sampled_from(
    [{}, {"sigma": 0.8}, {"window": 5}, {"gaussian": False}, {"gaussian": False, "sample_covariance": True}]
)


def draw_pair(seed, shape=(2, 13, 12, 3), noise=0.3):
    """Pictures in [-1, 1] and noisy ones."""
    rng = np.random.default_rng(seed)
    a = rng.uniform(-1, 1, shape)
    return a, np.clip(a + noise * rng.normal(size=shape), -1, 1)


def by_definition(a, b, L, weights, norm=1.0, C=(0.01, 0.03)):
    """Window by window, for one picture of one channel (H, W); only where the window fits. → (H − r, W − r)."""
    size = len(weights)
    C1, C2 = (C[0] * L) ** 2, (C[1] * L) ** 2
    values = np.empty((a.shape[0] - size + 1, a.shape[1] - size + 1))
    for i, j in np.ndindex(values.shape):
        x, y = (z[i : i + size, j : j + size] for z in (a, b))
        mx, my = (weights * x).sum(), (weights * y).sum()
        vx, vy = (norm * (weights * (z - m) ** 2).sum() for z, m in ((x, mx), (y, my)))
        cov = norm * (weights * (x - mx) * (y - my)).sum()
        values[i, j] = (2 * mx * my + C1) * (2 * cov + C2) / ((mx**2 + my**2 + C1) * (vx + vy + C2))
    return values


def gaussian_window(size, sigma):
    offset = np.arange(size) - size // 2
    weights = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * sigma**2))
    return weights / weights.sum()


@pytest.mark.parametrize(
    ("options", "weights", "norm"),
    [
        ({}, gaussian_window(11, 1.5), 1),
        ({"sigma": 1.0}, gaussian_window(9, 1.0), 1),  # 3.5 σ, rounded, to each side
        ({"window": 5, "sigma": 2.0, "K1": 0.05, "K2": 0.1}, gaussian_window(5, 2.0), 1),
        ({"gaussian": False}, np.full((7, 7), 1 / 49), 1),
        ({"gaussian": False, "window": 3, "sample_covariance": True}, np.full((3, 3), 1 / 9), 9 / 8),
    ],
)
def test_the_value_is_the_definition_window_by_window(options, weights, norm):
    a, b = draw_pair(0)
    constants = options.get("K1", 0.01), options.get("K2", 0.03)
    expected = [
        np.mean([by_definition(a[n, :, :, c], b[n, :, :, c], 2.0, weights, norm, constants) for c in range(3)])
        for n in range(2)
    ]
    np.testing.assert_allclose(ssim(a, b, 2.0, **options), expected, rtol=1e-11)


def test_the_map_covers_the_border_with_reflected_pictures():
    """The map of a picture is the inner part of the map of the picture that was continued by hand."""
    a, b = draw_pair(1, (1, 14, 15, 2))
    larger = [np.pad(z, ((0, 0), (5, 5), (5, 5), (0, 0)), mode="symmetric") for z in (a, b)]
    values, similarity = ssim(a, b, 2.0, full=True)
    _, outer = ssim(*larger, 2.0, full=True)
    assert similarity.shape == a.shape
    np.testing.assert_allclose(similarity, outer[:, 5:-5, 5:-5], rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(values, similarity[:, 5:-5, 5:-5].mean(axis=(1, 2, 3)), rtol=1e-13)


@given(SEEDS, KINDS)
def test_it_is_symmetric_and_at_most_1(seed, options):
    a, b = draw_pair(seed)
    there, back = ssim(a, b, 2.0, full=True, **options), ssim(b, a, 2.0, full=True, **options)
    np.testing.assert_allclose(there[0], back[0], rtol=1e-13)
    assert (there[0] < 1).all()
    assert there[1].max() <= 1 + 1e-12


@given(SEEDS, KINDS, st.sampled_from([np.float32, np.float64]))
def test_a_picture_is_exactly_1_for_itself(seed, options, dtype):
    a = draw_pair(seed)[0].astype(dtype)
    assert ssim(a, a.copy(), 2.0, **options).tolist() == [1, 1]


@given(SEEDS, KINDS, st.floats(0.1, 300))
def test_units_do_not_matter(seed, options, unit):
    """Pictures in other units, with the range in the same unit, are as similar as before."""
    a, b = draw_pair(seed)
    np.testing.assert_allclose(ssim(unit * a, unit * b, 2 * unit, **options), ssim(a, b, 2.0, **options), rtol=1e-9)
    np.testing.assert_allclose(psnr(unit * a, unit * b, 2 * unit), psnr(a, b, 2.0), rtol=1e-12)


@given(SEEDS, KINDS)
def test_turning_and_mirroring_both_pictures_changes_nothing(seed, options):
    a, b = draw_pair(seed)
    for turn in (lambda x: x.swapaxes(1, 2), lambda x: x[:, ::-1], lambda x: x[:, :, ::-1]):
        np.testing.assert_allclose(ssim(turn(a), turn(b), 2.0, **options), ssim(a, b, 2.0, **options), rtol=1e-11)


def test_flat_pictures_differ_by_their_luminance_alone():
    """(2 x y + C₁)/(x² + y² + C₁)."""
    a, b = np.full((11, 11, 1), 0.2), np.full((11, 11, 1), 0.6)
    assert ssim(a, b, 1.0) == pytest.approx((2 * 0.12 + 1e-4) / (0.04 + 0.36 + 1e-4), rel=1e-11)
    assert ssim(a * 0, b * 0, 1.0) == 1


def test_each_picture_has_its_own_value():
    a, b = draw_pair(3)
    whole = ssim(a, b, 2.0), psnr(a, b, 2.0)
    for n in range(2):
        np.testing.assert_allclose([ssim(a[n], b[n], 2.0), psnr(a[n], b[n], 2.0)], [w[n] for w in whole], rtol=1e-12)
    assert ssim(a[0], b[0], 2.0).shape == psnr(a[0], b[0], 2.0).shape == ()


def test_bytes_are_taken_as_numbers():
    """255 − 0 is no −1, and 200² doesn't wrap around."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, 1, 12, 12, 3), dtype=np.uint8)
    np.testing.assert_allclose(ssim(a, b, 255), ssim(a.astype(float), b.astype(float), 255), rtol=1e-14)
    np.testing.assert_allclose(psnr(a, b, 255), psnr(a.astype(float), b.astype(float), 255), rtol=1e-14)


def test_psnr_by_hand():
    """An error of a tenth of the range everywhere is 20 dB, one of 1 in the range 255 is 48.13 dB."""
    a = np.zeros((2, 3, 4, 1))
    b = a + np.array([0.2, -1 / 127.5])[:, None, None, None]
    np.testing.assert_allclose(psnr(a, b, 2.0), [20, 20 * np.log10(255)], rtol=1e-13)


@pytest.mark.filterwarnings("error")
def test_psnr_of_equal_pictures_is_infinite():
    a, b = draw_pair(0)
    b[1] = a[1]
    found = psnr(a, b, 2.0)
    assert np.isfinite(found[0])
    assert found[1] == np.inf


@pytest.mark.parametrize("options", [{}, {"gaussian": False, "sample_covariance": True, "full": True}])
def test_they_stay_on_the_device_and_do_not_write_to_the_pictures(device, options):
    a, b = (x.astype(np.float32) for x in draw_pair(4))
    x, y = device.array(a), device.array(b)
    with forbid_transfers():
        found, decibels = ssim(x, y, 2.0, **options), psnr(x, y, 2.0)
    expected = ssim(a.astype(float), b.astype(float), 2.0, **options)
    if not options.get("full"):
        found, expected = (found,), (expected,)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == np.float64
        np.testing.assert_allclose(to_numpy(ours), theirs, rtol=1e-12)
    np.testing.assert_allclose(to_numpy(decibels), psnr(a.astype(float), b.astype(float), 2.0), rtol=1e-12)
    assert np.array_equal(to_numpy(x), a)
    assert np.array_equal(to_numpy(y), b)


@pytest.mark.parametrize("function", [ssim, psnr])
@pytest.mark.parametrize(
    "shapes", [((2, 16, 16, 1), (1, 16, 16, 1)), ((16, 16), (16, 16)), ((0, 16, 16, 1), (0, 16, 16, 1))]
)
def test_shapes_that_do_not_fit_are_refused(function, shapes):
    with pytest.raises(ShapeError, match=r"have one shape, \(N, H, W, C\) or \(H, W, C\)"):
        function(np.zeros(shapes[0]), np.zeros(shapes[1]), 1.0)


def test_pictures_smaller_than_the_window_are_refused():
    assert ssim(np.zeros((11, 11, 1)), np.zeros((11, 11, 1)), 1.0) == 1
    with pytest.raises(ShapeError, match="a window of 11 pixels takes pictures that large"):
        ssim(np.zeros((11, 10, 1)), np.zeros((11, 10, 1)), 1.0)


@pytest.mark.parametrize(
    "options", [{"window": 4}, {"window": 1, "sample_covariance": True}, {"sigma": 0.0}, {"K1": -1.0}, {"K2": -1.0}]
)
def test_options_that_mean_nothing_are_refused(options):
    with pytest.raises(ValueError, match=r"window|sigma"):
        ssim(np.zeros((11, 11, 1)), np.zeros((11, 11, 1)), 1.0, **options)


@pytest.mark.parametrize("function", [ssim, psnr])
@pytest.mark.parametrize("data_range", [0, -1.0, np.nan])
def test_a_range_that_is_not_positive_is_refused(function, data_range):
    with pytest.raises(ValueError, match="data_range is the difference"):
        function(np.zeros((11, 11, 1)), np.zeros((11, 11, 1)), data_range)
