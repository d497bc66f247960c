"""What rounding does to a comparison is measured: no right gradient fails for it, and no fault hides behind it."""

import everywhere
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from noise import noisy_products

from minigan.layers import BatchNorm, Dense, LeakyReLU, MinibatchStdDev, Sequential, Tanh
from minigan.testing import GradientError, check_layer, check_network, shake, smooth_point
from minigan.testing.networks import KINK, slope_and_roughness
from minigan.testing.rounding import LARGEST_STEP, Written, other_last_bits

X = smooth_point(np.random.default_rng(0), (4, 3))


class Faulty(Dense):
    """A dense layer whose db has `fault` more in its first entry, absolute or relative to its largest."""

    def __init__(self, C, K, rng, absolute=0.0, relative=0.0):
        super().__init__(C, K, rng=rng)
        self.absolute, self.relative = absolute, relative

    def backward(self, dy, cache, wrt="both"):
        before = self.db.copy()
        dx = super().backward(dy, cache, wrt)
        if wrt != "input":
            self.db[0] += self.absolute + self.relative * abs(self.db - before).max()
        return dx


def network(seed=0, **fault):
    """The gradient of the first bias is zero: the batch norm takes its mean away."""
    rng = np.random.default_rng(seed)
    return shake(Sequential(Faulty(3, 8, rng, **fault), BatchNorm(8), LeakyReLU(), Dense(8, 2, rng=rng)), rng)


@pytest.mark.parametrize("ulps", [0, 4])
def test_a_gradient_of_zero_is_right_whatever_its_rounding_is(ulps):
    with noisy_products(ulps):
        for seed in range(2):
            check_network(network(seed), X, seed=seed)
            check_layer(Sequential(Dense(3, 2), BatchNorm(2), Tanh()), X, seed=seed)


@pytest.mark.parametrize("fault", [1e-6, 1e-9, 1e-11])
def test_a_gradient_that_should_be_zero_and_is_not(fault):
    with pytest.raises(GradientError, match=r"0\.db"):
        check_network(network(absolute=fault), X, order=1)


@pytest.mark.parametrize("ulps", [0, 4])
@pytest.mark.parametrize("fault", [-1e-6, 1e-6])
def test_a_millionth_of_the_largest_entry_is_a_fault(fault, ulps):
    layer = Faulty(3, 2, np.random.default_rng(0), relative=fault)
    with noisy_products(ulps):
        for check in (check_layer, lambda *args, **options: check_network(*args, entries=99, **options)):
            with pytest.raises(GradientError, match=r"db .*first order"):
                check(layer, X, order=1)


def written(gradient, tolerance=1e-7):
    """Of s = Σ x², which is 1 + 2e-18: x[1] can't be seen."""
    x = np.array([1.0, 1e-9])
    gradients, output = (lambda: {"x": gradient(x)}), (lambda: x * x)
    return Written(gradients, {"x": x}, output, np.ones(2), tolerance, np.random.default_rng(0))


def test_rounding_is_of_the_order_of_the_last_bits():
    right = written(lambda x: 2 * x)
    assert 1e-17 < right.sigma["x"] < 1e-15
    assert 1e-17 < right.sigma_of_s < 1e-15
    assert right.scale("x") == 2
    assert right.step("x", 1e-5) == 1e-5
    assert right.uncertainty("x", 1e-5) < 1e-8


def test_a_gradient_that_rounding_hides_is_not_called_right():
    tiny = written(lambda x: 1e-12 * x)
    assert tiny.step("x", 1e-5) == LARGEST_STEP
    assert not tiny.can_tell("x", tiny.uncertainty("x", LARGEST_STEP))
    with pytest.raises(GradientError, match="try another input, at which the gradient is larger"):
        tiny.judge("x", "at (1,)", 1e-21, 0.0, 1e-12, tiny.uncertainty("x", LARGEST_STEP), "dx")


@pytest.mark.parametrize("seed", range(8))
def test_a_gradient_that_is_tiny_beside_the_others_is_compared_as_well_as_rounding_allows(seed):
    """Of two samples, the deviations from their mean are ±1 standard deviation whatever they are, but for eps."""
    x = np.random.default_rng(seed).standard_normal((2, 1, 1, 2))
    check_layer(MinibatchStdDev(2), x, seed=seed)
    wrong = MinibatchStdDev(2)
    wrong.double_backward = lambda *args: (lambda ddy, dx2: (ddy, dx2 + 1e-5))(
        *MinibatchStdDev(2).double_backward(*args)
    )
    with pytest.raises(GradientError, match="dx2 of MinibatchStdDev"):
        check_layer(wrong, x, seed=seed, promises=False)


def test_what_is_nothing_but_rounding_is_measured_against_the_largest_term():
    nothing = written(lambda x: np.zeros(2))
    assert nothing.scale("x") == 1e-3


def test_last_bits_are_put_back():
    a = np.array([1.0, 2.0, 3.0] * 9)
    before = a.copy()
    with pytest.raises(KeyError), other_last_bits({"a": a}, np.random.default_rng(0)):
        assert 0 < np.abs(a / before - 1).max() < 4e-16
        raise KeyError
    np.testing.assert_array_equal(a, before)


@given(st.floats(-0.999, 0.999), st.floats(-2, 2))
def test_a_kink_moves_the_slope_by_no_more_than_is_allowed_for(at, jump):
    """s′ jumps at `at`, in units of the step; the right slope is the one at 0."""
    s = lambda t: jump * (max(t - at, 0) - max(-at, 0))  # noqa: E731
    slope, roughness = slope_and_roughness(s, 1.0)
    assert abs(slope - (jump if at < 0 else 0)) <= KINK * roughness + 1e-12 or at == 0


def test_noise_is_found_to_be_there():
    with noisy_products(1e6):
        product = np.matmul(np.eye(3), np.ones((3, 3)))
        assert 1e-11 < np.abs(product - 1).max() < 1e-9
    assert (np.matmul(np.eye(3), np.ones((3, 3))) == 1).all()


@pytest.mark.parametrize("names", [["Dense"], pytest.param(["sngan"], marks=pytest.mark.slow)], ids=str)
def test_every_planted_fault_is_found_and_nothing_else(names):
    result = everywhere.measure(names, [0], noise=4)
    assert result["wrong"] == 0
    assert result["found"] == result["planted"] > 500


@pytest.mark.slow
def test_on_other_kernels(monkeypatch, capsys):
    line = "everywhere Dense BatchNorm cgan --kernels Haswell Prescott --threads 1 2 --seeds 2"
    monkeypatch.setattr("sys.argv", line.split())
    assert everywhere.main() == 0
    assert len(capsys.readouterr().out.splitlines()) == 6
