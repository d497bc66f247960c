"""Normalization: fast equals reference, both equal differences, and float32 keeps its digits."""

import numpy as np
import pytest
from crews import number_of_threads
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan.backend import CPU, to_numpy
from minigan.kernels.normalize import J, affine, double_J, normalize, standardize
from minigan.kernels.reductions import mean, sum_over, sums_over
from minigan.kernels.twin import reference_kernels
from minigan.testing import STRICT
from minigan.testing.strategies import seeds
from minigan.threads import partition


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
    x_hat, inv_sigma, _, _ = standardize(x, axes, 0.1)
    for kernel, arguments in (
        (standardize, (x, axes, 0.1)),
        (normalize, (x, axes, 0.1, gamma, beta)),
        (normalize, (x, axes, 0.1, None, None)),
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


@pytest.mark.parametrize("which", ["fast", "reference"])
@given(groups(), seeds())
@settings(max_examples=settings().max_examples // 4)
def test_J_and_double_J_are_the_derivatives(which, case, seed):
    """Along a random direction, by central differences in float64."""
    shape, axes = case
    rng = np.random.default_rng(seed)
    x, g, v, along = rng.standard_normal((4, *shape))
    h, eps = 1e-5, 0.1

    def x_hat_at(x):
        return standardize(x, axes, eps)[0]

    def S(x, g):
        x_hat, inv_sigma, _, _ = standardize(x, axes, eps)
        return (v * J(g, x_hat, inv_sigma, axes)).sum()

    def difference(f):
        return (f(h) - f(-h)) / (2 * h)

    def check():
        x_hat, inv_sigma, _, _ = standardize(x, axes, eps)
        Jg = J(g, x_hat, inv_sigma, axes)
        ddx_hat, dx2 = double_J(v, g, x_hat, inv_sigma, axes)
        for grad, numeric in (
            (Jg, difference(lambda t: (g * x_hat_at(x + t * along)).sum())),
            (ddx_hat, difference(lambda t: S(x, g + t * along))),
            (dx2, difference(lambda t: S(x + t * along, g))),
        ):
            assert abs((grad * along).sum() - numeric) < 1e-6 * max(1, abs(numeric), np.linalg.norm(grad))

    if which == "reference":
        with reference_kernels():
            check()
    else:
        check()


def test_on_paper():
    """The example of docs/normalization.md: m = 4, ε = 0."""
    x, g, v = np.array([[7.0, 1, 1, -1], [4, 1, 1, -2], [3, -1, 1, 1]])
    for kernels in (standardize.fast, J.fast, double_J.fast), (standardize.reference, J.reference, double_J.reference):
        x_hat, inv_sigma, mu, var = kernels[0](x, (0,), 0.0)
        assert (mu.item(), var.item()) == (2, 9)
        np.testing.assert_allclose(3 * x_hat, [5, -1, -1, -3])
        np.testing.assert_allclose(9 * kernels[1](g, x_hat, inv_sigma, (0,)), [-1, 2, 2, -3])
        ddx_hat, dx2 = kernels[2](v, g, x_hat, inv_sigma, (0,))
        np.testing.assert_allclose(9 * ddx_hat, [1, -5, 1, 3])
        np.testing.assert_allclose(18 * dx2, [1, 5, -3, -3])


@given(groups(), seeds())
@settings(max_examples=settings().max_examples // 4)
def test_pieces_and_threads_change_no_bit(case, seed):
    shape, axes = case
    rng = np.random.default_rng(seed)
    x, g, v = rng.standard_normal((3, *shape), dtype=np.float32)

    def results():
        y = normalize.fast(x, axes, 0.1, *x.reshape(-1, shape[-1])[:2]) if x.size > shape[-1] else ()
        x_hat, inv_sigma, mu, var = standardize.fast(x, axes, 0.1)
        return [*y, x_hat, mu, var, J.fast(g, x_hat, inv_sigma, axes), *double_J.fast(v, g, x_hat, inv_sigma, axes)]

    with number_of_threads(1):
        whole = results()
    with number_of_threads(2), pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition, "ROWS_BYTES", 1)
        for a, b in zip(results(), whole, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kernel", [standardize.fast, standardize.reference], ids=["fast", "reference"])
@pytest.mark.parametrize("outlier", [0, 1])
def test_the_variance_keeps_its_digits_when_one_number_is_unlike_the_others(kernel, outlier):
    """The fast kernel first subtracts a mean of every fourth number: number 0 is among them, number 1 isn't."""
    x = np.zeros((64, 1), np.float32)
    x[outlier] = 1000
    _, _, mu, var = kernel(x, (0,), 0.0)
    np.testing.assert_allclose(var, x.astype(np.float64).var(axis=0)[None], rtol=1e-6)
    np.testing.assert_allclose(mu, x.astype(np.float64).mean(axis=0)[None], rtol=1e-6)


@pytest.mark.parametrize("kernel", [standardize.fast, standardize.reference], ids=["fast", "reference"])
@pytest.mark.parametrize("spread", [1, 1e-3])
def test_a_mean_that_float32_rounds_costs_no_digits(kernel, spread):
    """x̂ is right to some roundings, and so is μ, though NumPy's sum of so many numbers isn't."""
    x, axes = np.random.default_rng(0).normal(100, spread, (64, 24, 24, 3)).astype(np.float32), (0, 1, 2)
    (x_hat, _, mu, _), (exact, _, exact_mu, _) = kernel(x, axes, 1e-5), kernel(x.astype(np.float64), axes, 1e-5)
    np.testing.assert_allclose(x_hat, exact, rtol=0, atol=3e-6 * abs(exact).max())
    np.testing.assert_allclose(mu, exact_mu, rtol=2e-7)


@pytest.mark.parametrize(
    ("shape", "axes"), [((2, 32, 32, 32), (1, 2, 3)), ((2, 96, 96, 8), (1, 2)), ((64, 32, 32, 8), (0, 1, 2))]
)
def test_the_fast_kernel_keeps_its_digits_in_long_sums(shape, axes):
    """One long sum each would be wrong by 3e-5."""
    x = np.random.default_rng(0).normal(10, 1, shape).astype(np.float32)
    exact, rounded = (standardize.fast(a, axes, 1e-5)[0] for a in (x.astype(np.float64), x))
    assert np.abs(rounded - exact).max() < 1e-5
