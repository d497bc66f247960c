import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.backend import to_numpy
from minigan.errors import MiniganError, ShapeError
from minigan.metrics import Moments, frechet_distance
from minigan.testing import STRICT, forbid_transfers

SEEDS = st.integers(0, 2**32 - 1)


def moments_of(*batches):
    moments = Moments(batches[0].shape[1])
    for batch in batches:
        moments.update(batch)
    return moments


def distance(x, y):
    """Between two sets of features."""
    a, b = moments_of(x), moments_of(y)
    return frechet_distance(a.mean, a.covariance, b.mean, b.covariance)


def draw_features(seed, n, F, rank=None):
    """n features around a mean of their own, correlated, in a random subspace of dimension `rank`."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, rank or F)) @ rng.normal(size=(rank or F, F)) + rng.normal(size=F)


def rotation(seed, F):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(F, F)))[0]


@given(SEEDS, st.lists(st.integers(0, 9), min_size=1, max_size=6), st.sampled_from([0.0, 1e6]))
def test_any_split_into_batches_gives_the_mean_and_the_covariance_of_the_whole(seed, sizes, far):
    """Empty batches and single features too, and a mean a million times the spread."""
    x = np.random.default_rng(seed).normal(size=(sum(sizes) + 2, 5))
    moments = moments_of(*np.split(x + far, np.cumsum(sizes)))
    assert moments.n == len(x)
    np.testing.assert_allclose(moments.mean - far, x.mean(axis=0), atol=1e-9 if far else 1e-14)
    np.testing.assert_allclose(moments.covariance, np.cov(x, rowvar=False), atol=1e-8 if far else 1e-13)


def test_batches_with_means_of_their_own_count_towards_the_covariance():
    """By hand: 0, 0 and 3, 3, 3 have the mean 9/5 and the scatter 2·(9/5)² + 3·(6/5)² = 54/5."""
    moments = moments_of(np.zeros((2, 1)), np.full((3, 1), 3.0))
    np.testing.assert_allclose([moments.mean[0], moments.covariance[0, 0]], [9 / 5, 54 / 5 / 4], rtol=1e-15)


def test_float32_is_summed_in_float64():
    x = np.random.default_rng(0).normal(1000, 1, (4000, 3)).astype(np.float32)
    np.testing.assert_allclose(moments_of(x).covariance, np.cov(x.astype(float), rowvar=False), rtol=1e-12)


def test_features_are_not_written_to_and_later_batches_do_not_change_what_was_read():
    x = np.random.default_rng(0).normal(size=(4, 3))
    kept, moments = x.copy(), moments_of(x)
    mean, covariance = moments.mean, moments.covariance
    before = mean.copy(), covariance.copy()
    moments.update(x + 1)
    assert np.array_equal(x, kept)
    assert np.array_equal(mean, before[0])
    assert np.array_equal(covariance, before[1])


def test_moments_stay_on_the_device(device):
    x = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    moments = Moments(3)
    with forbid_transfers():
        moments.update(device.array(x[:4]))
        moments.update(device.array(x[4:]))
        mean, covariance = moments.mean, moments.covariance
    np.testing.assert_allclose(to_numpy(mean), x.mean(axis=0, dtype=float), rtol=1e-12)
    np.testing.assert_allclose(to_numpy(covariance), np.cov(x.astype(float), rowvar=False), rtol=1e-12)
    far = frechet_distance(mean, covariance, mean + 2, covariance)
    assert far == pytest.approx(3 * 2**2)


@given(SEEDS)
def test_two_gaussians_whose_covariances_commute(seed):
    """Σ = Q diag(λ) Qᵀ with one Q: d² = |μ₁ − μ₂|² + Σ (√λ₁ − √λ₂)², some of the λ being 0."""
    rng, Q = np.random.default_rng(seed), rotation(seed, 6)
    mean1, mean2, a, b = rng.normal(size=(4, 6))
    a[0] = b[1] = a[2] = b[2] = 0
    expected = np.sum((mean1 - mean2) ** 2) + np.sum((abs(a) - abs(b)) ** 2)
    found = frechet_distance(mean1, (Q * a**2) @ Q.T, mean2, (Q * b**2) @ Q.T)
    assert found == pytest.approx(expected, rel=1e-12)


def test_two_gaussians_on_the_plane_that_do_not_commute():
    """Of a 2×2 matrix A with positive eigenvalues (tr A^½)² = tr A + 2 √(det A)."""
    cov1, cov2 = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[5.0, -2.0], [-2.0, 1.0]])
    root = np.sqrt(np.trace(cov1 @ cov2) + 2 * np.sqrt(np.linalg.det(cov1) * np.linalg.det(cov2)))
    found = frechet_distance(np.zeros(2), cov1, np.ones(2), cov2)
    assert found == pytest.approx(2 + 5 + 6 - 2 * root, rel=1e-12)


@given(SEEDS, st.sampled_from([(3, 4), (9, 9), (40, 30)]))
def test_fewer_pictures_than_features(seed, sizes):
    """Σ = XᵀX/(n − 1) of centered features is R Rᵀ with R = Xᵀ/√(n − 1): another way to the same number."""
    (n, m), F = sizes, 24
    x, y = draw_features(seed, n, F), draw_features(seed + 1, m, F)
    a, b = ((z - z.mean(axis=0)) / np.sqrt(len(z) - 1) for z in (x, y))
    root = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    expected = np.sum((x.mean(axis=0) - y.mean(axis=0)) ** 2) + np.sum(a**2) + np.sum(b**2) - 2 * root
    assert distance(x, y) == pytest.approx(expected, rel=1e-10)


@given(SEEDS, st.sampled_from([(5, 12, None), (60, 12, None), (60, 12, 4)]))
def test_a_set_has_distance_0_from_itself(seed, sizes):
    """Singular or not: to rounding of the traces, not to its root."""
    x = draw_features(seed, *sizes)
    assert 0 <= distance(x, x) <= 1e-13 * np.trace(np.cov(x, rowvar=False))


@given(SEEDS)
def test_it_is_symmetric_and_a_rotation_or_a_shift_of_both_sets_changes_nothing(seed):
    x, y, Q = draw_features(seed, 30, 8), draw_features(seed + 1, 6, 8), rotation(seed, 8)
    d = distance(x, y)
    assert d > 0
    assert distance(y, x) == pytest.approx(d, rel=1e-10)
    assert distance(x @ Q + 3, y @ Q + 3) == pytest.approx(d, rel=1e-10)


def test_constant_features_have_the_distance_of_their_means():
    assert distance(np.zeros((3, 2)), np.full((4, 2), 5.0)) == 50


@pytest.mark.parametrize("shape", [(4,), (4, 2), (4, 3, 1)])
def test_features_of_another_shape_are_refused(shape):
    with pytest.raises(ShapeError, match=r"features \(N, 3\), got"):
        Moments(3).update(np.zeros(shape))


def test_too_few_features_are_refused():
    moments = Moments(3)
    with pytest.raises(MiniganError, match="a mean needs 1 pictures or more, got 0"):
        moments.mean  # noqa: B018
    moments.update(np.ones((1, 3)))
    assert np.array_equal(moments.mean, np.ones(3))
    with pytest.raises(MiniganError, match="a covariance needs 2 pictures or more, got 1"):
        moments.covariance  # noqa: B018


@pytest.mark.parametrize("position", range(4))
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(position, bad):
    """Also if only a feature of one picture was: nothing that it touches forgets it."""
    arrays = [np.zeros(2), np.eye(2), np.zeros(2), np.eye(2)]
    arrays[position].flat[0] = bad
    with pytest.raises(MiniganError, match="holds NaN or infinity"):
        frechet_distance(*arrays)
    with pytest.raises(MiniganError, match="holds NaN or infinity"), np.errstate(invalid="ignore"):
        distance(np.array([[0.0, 1.0], [bad, 1.0], [3.0, 2.0]]), np.eye(2))


@pytest.mark.parametrize("position", range(4))
def test_shapes_that_do_not_fit_are_refused(position):
    arrays = [np.zeros(2), np.eye(2), np.zeros(2), np.eye(2)]
    arrays[position] = np.zeros((3,) * arrays[position].ndim)
    with pytest.raises(ShapeError, match="with the same F"):
        frechet_distance(*arrays)


@pytest.mark.parametrize("matrix", [[[1.0, 0.0], [0.0, -0.1]], [[1.0, 0.3], [0.0, 1.0]]])
def test_a_matrix_that_is_no_covariance_is_refused(matrix):
    for pair in ((np.eye(2), np.array(matrix)), (np.array(matrix), np.eye(2))):
        with pytest.raises(MiniganError, match="symmetric and have no negative eigenvalues"):
            frechet_distance(np.zeros(2), pair[0], np.zeros(2), pair[1])


def test_statistics_that_were_rounded_to_float32_are_taken():
    x = draw_features(0, 10, 24)
    a = moments_of(x)
    rounded = frechet_distance(a.mean, a.covariance.astype(np.float32), a.mean, a.covariance)
    assert 0 <= rounded < 1e-3 * np.trace(a.covariance)


def test_device_arrays_are_taken():
    arrays = [STRICT.array(x) for x in (np.zeros(2), np.eye(2), np.ones(2), np.eye(2))]
    assert frechet_distance(*arrays) == pytest.approx(2)
