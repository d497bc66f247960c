from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.errors import MiniganError, ShapeError
from minigan.metrics import kernel_distance
from minigan.metrics.kernel_distance import kernel_distance_error, squared_mmd
from minigan.testing import STRICT


def kernel(x, y):
    return (np.dot(x, y) / len(x) + 1) ** 3


@given(st.integers(0, 999), st.integers(2, 5), st.integers(2, 5))
def test_the_estimate_is_the_definition_pair_by_pair(seed, m, n):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(m, 3)), rng.normal(1, 2, size=(n, 3))
    among = [np.mean([kernel(a, b) for a, b in permutations(z, 2)]) for z in (x, y)]
    between = np.mean([kernel(a, b) for a, b in product(x, y)])
    np.testing.assert_allclose(squared_mmd(x, y), sum(among) - 2 * between, rtol=1e-10, atol=1e-10)


def test_it_has_no_bias():
    """All pairs of draws from the two-point distributions {0, 1} and {0, 2}, averaged exactly.

    With k(a, b) = (ab + 1)³: E k(x, x′) = (3·1 + 8)/4, E k(y, y′) = (3·1 + 125)/4, E k(x, y) = (3·1 + 27)/4.
    """
    xs = [np.array(x, float)[:, None] for x in product((0, 1), repeat=2)]
    ys = [np.array(y, float)[:, None] for y in product((0, 2), repeat=2)]
    mean = np.mean([squared_mmd(x, y) for x in xs for y in ys])
    assert mean == pytest.approx(11 / 4 + 128 / 4 - 2 * 30 / 4, rel=1e-13)


def test_sets_of_one_distribution_have_0_in_expectation_and_others_have_not():
    """The mean of 400 independent estimates lies within four of its standard errors of 0."""
    rng = np.random.default_rng(0)
    same = np.array([squared_mmd(*rng.normal(size=(2, 20, 4))) for _ in range(400)])
    assert abs(same.mean()) < 4 * same.std() / 20
    assert same.min() < 0
    wider = np.array([squared_mmd(rng.normal(size=(20, 4)), rng.normal(0, 1.5, (20, 4))) for _ in range(400)])
    assert wider.mean() > 4 * wider.std() / 20


def test_it_tells_a_third_moment_that_the_frechet_distance_does_not_see():
    """Two points and their mirror image have mean 0 and variance 1 both."""
    x = np.array([2.0] + [-0.5] * 4)[:, None]
    assert np.mean(x) == 0
    many = np.tile(x, (200, 1))
    assert squared_mmd(many, -many) > 1


def test_mean_and_standard_deviation_are_over_subsets_without_repetition():
    """Subsets as large as the sets are the sets: every draw gives the same number."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 3)), rng.normal(1, 1, (12, 3))
    mean, std = kernel_distance(x, y, subset_size=12, subsets=5, rng=rng)
    assert mean == pytest.approx(float(squared_mmd(x, y)), rel=1e-12)
    assert std < 1e-12
    estimates = [kernel_distance(x, y, 4, 1, rng=np.random.default_rng(5))[0]]
    mean, std = kernel_distance(x, y, 4, 2, rng=np.random.default_rng(5))
    estimates.append(2 * mean - estimates[0])
    assert estimates[0] != estimates[1]
    assert std == pytest.approx(abs(estimates[1] - estimates[0]) / 2)


def test_float32_is_taken_in_float64_and_on_the_device(device):
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(30, 8)).astype(np.float32) for _ in range(2))
    expected = kernel_distance(x.astype(float), y.astype(float), 10, 3, rng=np.random.default_rng(1))
    found = kernel_distance(device.array(x), device.array(y), 10, 3, rng=np.random.default_rng(1))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_features_are_not_written_to():
    x = np.random.default_rng(0).normal(size=(6, 3))
    kept = x.copy()
    kernel_distance(x, x, 6, 1, rng=np.random.default_rng(0))
    squared_mmd(x, x)
    assert np.array_equal(x, kept)


@pytest.mark.parametrize(("n", "m"), [(9, 20), (20, 9)])
def test_a_subset_larger_than_a_set_is_refused(n, m):
    with pytest.raises(MiniganError, match=f"subsets of 10 needs 10 pictures or more in each set, got {n} and {m}"):
        kernel_distance(np.zeros((n, 2)), np.zeros((m, 2)), 10, rng=np.random.default_rng(0))


@pytest.mark.parametrize(("subset_size", "subsets"), [(1, 3), (3, 0)])
def test_too_small_a_subset_and_no_subset_are_refused(subset_size, subsets):
    with pytest.raises(MiniganError, match="a subset, and two pictures in it"):
        kernel_distance(np.zeros((9, 2)), np.zeros((9, 2)), subset_size, subsets, rng=np.random.default_rng(0))


@pytest.mark.parametrize("shapes", [((9, 2), (9, 3)), ((9,), (9, 2)), ((9, 2, 1), (9, 2, 1)), ((9, 0), (9, 0))])
def test_shapes_that_do_not_fit_are_refused(shapes):
    with pytest.raises(ShapeError, match=r"features \(N, F\) and \(M, F\)"):
        kernel_distance(np.zeros(shapes[0]), np.zeros(shapes[1]), 3, rng=np.random.default_rng(0))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(bad):
    x = np.zeros((9, 2))
    x[8, 1] = bad
    for pair in ((x, np.zeros((9, 2))), (np.zeros((9, 2)), x)):
        with pytest.raises(MiniganError, match="NaN or infinity"):
            kernel_distance(*pair, 3, rng=np.random.default_rng(0))


def test_the_error_is_that_of_leaving_out_one_picture_after_the_other():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(9, 3)), rng.normal(1, 2, (7, 3))
    value, error = kernel_distance_error(x, y)
    assert value == pytest.approx(float(squared_mmd(x, y)), rel=1e-12)
    without_x = [float(squared_mmd(np.delete(x, i, axis=0), y)) for i in range(9)]
    without_y = [float(squared_mmd(x, np.delete(y, j, axis=0))) for j in range(7)]
    assert error**2 == pytest.approx(8 * np.var(without_x) + 6 * np.var(without_y), rel=1e-9)


def test_the_error_is_the_spread_of_independent_estimates():
    """300 estimates from other pictures; their own standard deviation is known to 1/√600, 4 %."""
    rng = np.random.default_rng(0)
    draws = [kernel_distance_error(rng.normal(size=(60, 4)), rng.normal(0.5, 1.2, (40, 4))) for _ in range(300)]
    values, errors = np.array(draws).T
    assert np.sqrt((errors**2).mean()) == pytest.approx(values.std(), rel=0.15)


def test_rows_are_added_in_parts():
    """1,001 pictures take two parts of the kernel."""
    x = np.random.default_rng(0).normal(size=(1001, 2))
    value, error = kernel_distance_error(x, x[:50])
    assert value == pytest.approx(float(squared_mmd(x, x[:50])), rel=1e-10)
    assert (value, error) == pytest.approx(kernel_distance_error(x[:50], x), rel=1e-10)  # in one part of fifty rows


def test_a_device_gives_the_same_error():
    x, y = np.random.default_rng(0).normal(size=(2, 8, 3))
    assert kernel_distance_error(STRICT.array(x), STRICT.array(y)) == pytest.approx(kernel_distance_error(x, y))


def test_an_error_needs_three_pictures():
    with pytest.raises(MiniganError, match="needs 3 pictures or more in each set, got 2 and 3"):
        kernel_distance_error(np.zeros((2, 2)), np.zeros((3, 2)))
