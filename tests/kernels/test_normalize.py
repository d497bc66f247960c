"""Normalization: fast equals reference, both equal differences, and float32 keeps its digits."""

from contextlib import nullcontext

import numpy as np
import pytest
from crews import number_of_threads
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minigan.backend import CPU, to_numpy
from minigan.kernels.fast import elementwise
from minigan.kernels.normalize import J, affine, double_J, normalize, standardize
from minigan.kernels.reductions import mean, sum_over, sums_over
from minigan.kernels.twin import reference_kernels
from minigan.testing import STRICT
from minigan.testing.strategies import seeds
from minigan.threads import partition

EPS = 0.1


@pytest.fixture(params=["fast", "reference"])
def kernels(request):
    """Run the test on both."""
    with reference_kernels() if request.param == "reference" else nullcontext():
        yield


@st.composite
def groups(draw):
    """An array of two to five axes, and some of its axes along which at least three numbers lie."""
    shape = draw(st.lists(st.integers(1, 5), min_size=2, max_size=5))
    axes = draw(st.sets(st.sampled_from(range(len(shape))), min_size=1))
    shape[max(axes)] = max(shape[max(axes)], 3)
    return tuple(shape), tuple(sorted(axes))


def both(kernel, *arguments):
    """What the fast kernel and the reference return, as lists of arrays."""
    fast = kernel(*arguments)
    with reference_kernels():
        reference = kernel(*arguments)
    return [list(result) if isinstance(result, (tuple, list)) else [result] for result in (fast, reference)]


def assert_equal(found, wanted, dtype):
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    for a, b in zip(found, wanted, strict=True):
        a, b = to_numpy(a), to_numpy(b)
        assert (a.shape, a.dtype) == (b.shape, dtype)
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1, abs(b).max(initial=0)))


@pytest.mark.parametrize("device", [CPU, STRICT], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(groups(), st.sampled_from((0.0, 7.0)), seeds())
def test_the_fast_kernels_equal_the_reference_to_second_order(device, dtype, case, offset, seed):
    shape, axes = case
    rng = np.random.default_rng(seed)
    place = lambda a: device.array(a.astype(dtype))  # noqa: E731
    x, g, v = (place(a) for a in rng.standard_normal((3, *shape)))
    gamma, beta = (place(a) for a in rng.standard_normal((2, *shape[-draw_ndim(rng, shape) :])))
    x = x + np.dtype(dtype).type(offset)
    x_hat, inv_sigma, _, _ = standardize(x, axes, EPS)
    for kernel, arguments in (
        (standardize, (x, axes, EPS)),
        (normalize, (x, axes, EPS, gamma, beta)),
        (normalize, (x, axes, EPS, None, None)),
        (affine, (x, gamma, beta)),
        (J, (g, x_hat, inv_sigma, axes)),
        (J, (g, x_hat, inv_sigma, axes, (mean(g, axes), mean(x_hat * g, axes)))),
        (double_J, (v, g, x_hat, inv_sigma, axes)),
        (sum_over, ((x, g, v), axes)),
        (sums_over, (((x,), (x, g)), axes)),
    ):
        assert_equal(*both(kernel, *arguments), dtype)


def draw_ndim(rng, shape):
    """How many of the last axes γ and β have: not the first one."""
    return rng.integers(1, len(shape))


@given(groups(), seeds())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_J_and_double_J_are_the_derivatives(kernels, case, seed):
    """Along a random direction, by central differences in float64."""
    shape, axes = case
    x, g, v, along = np.random.default_rng(seed).standard_normal((4, *shape))

    def S(x, g):
        x_hat, inv_sigma, _, _ = standardize(x, axes, EPS)
        return (v * J(g, x_hat, inv_sigma, axes)).sum()

    def difference(f, h=1e-5):
        return (f(h) - f(-h)) / (2 * h)

    x_hat, inv_sigma, _, _ = standardize(x, axes, EPS)
    ddx_hat, dx2 = double_J(v, g, x_hat, inv_sigma, axes)
    for gradient, numeric in (
        (J(g, x_hat, inv_sigma, axes), difference(lambda h: (g * standardize(x + h * along, axes, EPS)[0]).sum())),
        (ddx_hat, difference(lambda h: S(x, g + h * along))),
        (dx2, difference(lambda h: S(x + h * along, g))),
    ):
        assert abs((gradient * along).sum() - numeric) < 1e-6 * max(1, abs(numeric), np.linalg.norm(gradient))


def test_on_paper(kernels):
    """The example of docs/normalization.md: m = 4, ε = 0."""
    x, g, v = np.array([[7.0, 1, 1, -1], [4, 1, 1, -2], [3, -1, 1, 1]])
    x_hat, inv_sigma, mu, var = standardize(x, (0,), 0.0)
    assert (mu.item(), var.item()) == (2, 9)
    np.testing.assert_allclose(3 * x_hat, [5, -1, -1, -3])
    np.testing.assert_allclose(9 * J(g, x_hat, inv_sigma, (0,)), [-1, 2, 2, -3])
    ddx_hat, dx2 = double_J(v, g, x_hat, inv_sigma, (0,))
    np.testing.assert_allclose(9 * ddx_hat, [1, -5, 1, 3])
    np.testing.assert_allclose(18 * dx2, [1, 5, -3, -3])


@given(groups(), seeds())
@settings(max_examples=settings().max_examples // 4)
def test_pieces_and_threads_change_no_bit(case, seed):
    shape, axes = case
    rng = np.random.default_rng(seed)
    x, g, v = rng.standard_normal((3, *shape), dtype=np.float32)

    def results():
        y = normalize.fast(x, axes, EPS, *x.reshape(-1, shape[-1])[:2]) if x.size > shape[-1] else ()
        x_hat, inv_sigma, mu, var = standardize.fast(x, axes, EPS)
        return [*y, x_hat, mu, var, J.fast(g, x_hat, inv_sigma, axes), *double_J.fast(v, g, x_hat, inv_sigma, axes)]

    with number_of_threads(1):
        whole = results()
    with number_of_threads(2), pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition, "ROWS_BYTES", 1)
        for a, b in zip(results(), whole, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("outlier", [0, 1])
def test_the_variance_keeps_its_digits_when_one_number_is_unlike_the_others(kernels, outlier):
    """The fast kernel first subtracts a mean of every fourth number: number 0 is among them, number 1 isn't."""
    x = np.zeros((64, 1), np.float32)
    x[outlier] = 1000
    _, _, mu, var = standardize(x, (0,), 0.0)
    np.testing.assert_allclose(var, x.astype(np.float64).var(axis=0)[None], rtol=1e-6)
    np.testing.assert_allclose(mu, x.astype(np.float64).mean(axis=0)[None], rtol=1e-6)


@pytest.mark.parametrize("spread", [1, 1e-3])
def test_a_mean_that_float32_rounds_costs_no_digits(kernels, spread):
    """x̂ is right to some roundings."""
    x, axes = np.random.default_rng(0).normal(100, spread, (16, 12, 12, 3)).astype(np.float32), (0, 1, 2)
    x_hat, exact = (standardize(a, axes, 1e-5)[0] for a in (x, x.astype(np.float64)))
    np.testing.assert_allclose(x_hat, exact, rtol=0, atol=1e-6 * abs(exact).max())


def test_the_mean_is_right_where_a_single_sum_is_not(kernels):
    x, axes = np.random.default_rng(0).normal(100, 1, (64, 24, 24, 3)).astype(np.float32), (0, 1, 2)
    mu, exact = (standardize(a, axes, 1e-5)[2] for a in (x, x.astype(np.float64)))
    np.testing.assert_allclose(mu, exact, rtol=2e-7)
    assert abs(x.mean(axis=axes, keepdims=True) / exact - 1).max() > 2e-6


@pytest.mark.parametrize(
    ("shape", "axes"), [((2, 32, 32, 32), (1, 2, 3)), ((2, 96, 96, 8), (1, 2)), ((64, 32, 32, 8), (0, 1, 2))]
)
def test_the_fast_kernel_keeps_its_digits_in_long_sums(shape, axes):
    """One long sum each would be wrong by 3e-5."""
    x = np.random.default_rng(0).normal(10, 1, shape).astype(np.float32)
    exact, rounded = (standardize.fast(a, axes, 1e-5)[0] for a in (x.astype(np.float64), x))
    assert np.abs(rounded - exact).max() < 1e-5


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2), (1, 2, 3)], ids=["batch", "instance", "layer"])
@pytest.mark.parametrize("gamma_shape", [(3,), (4, 5, 3)], ids=str)
@pytest.mark.parametrize("n", [1, 20])  # 20 pixels, too: then shapes don't tell a pixel from a picture
def test_long_inner_loops_compute_the_same(monkeypatch, axes, gamma_shape, n):
    """Small arrays take them here as well. γ of a layer norm belongs to a pixel, and can't be repeated along a row."""
    monkeypatch.setattr(elementwise, "LEAST_WIDE", 1)
    rng = np.random.default_rng(0)
    x, v, g = rng.standard_normal((3, n, 4, 5, 3))
    gamma, beta = rng.standard_normal((2, *gamma_shape))

    def results():
        y, x_hat, inv_sigma, mu, var = normalize(x, axes, EPS, gamma, beta)
        dx, (ddx_hat, dx2) = J(g, x_hat, inv_sigma, axes), double_J(v, g, x_hat, inv_sigma, axes)
        return y, x_hat, inv_sigma, mu, var, dx, ddx_hat, dx2, affine(x, gamma, beta)

    found = results()
    with reference_kernels():
        expected = results()
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)
