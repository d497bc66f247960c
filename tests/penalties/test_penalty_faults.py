"""Errors are planted, and the check that guards against each is seen to fail."""

import numpy as np
import pytest
import test_penalties
from penalty_checks import PENALTIES, check_penalty
from test_penalty_gradients import critic_of

import minigan.penalties
from minigan import layers as L
from minigan.penalties import DRAGAN, R1, GradientPenalty
from minigan.testing import GradientError
from minigan.testing.critics import CriticCase


class ForgottenCurvature(L.Tanh):
    """f″ is missing, as it is in a popular package."""

    def double_backward(self, ddx, dy, cache):
        return super().double_backward(ddx, dy, cache)[0], None


@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_missing_second_derivative_is_caught(penalty):
    for activation in (L.Tanh(), ForgottenCurvature()):
        rng = np.random.default_rng(0)
        critic = L.Sequential(L.Dense(3, 8, rng=rng), activation, L.Dense(8, 1, rng=rng)).to(dtype=np.float64)
        critic.parameters().values[...] = rng.standard_normal(41)
        case = CriticCase(critic, *rng.standard_normal((2, 5, 3)), None, 0)
        if type(activation) is L.Tanh:
            check_penalty(*PENALTIES[penalty], case)
        else:
            with pytest.raises(GradientError, match=r"0\.dW of .* on CriticCase.*\n.*\n.*relative error"):
                check_penalty(*PENALTIES[penalty], case)


def scaled(base, value=1.0, ddx=1.0):
    """The class with a wrong factor in P, in ∂P/∂(dx), or in both; a factor may depend on the batch size."""

    class Scaled(base):
        def of_gradient(self, dx):
            P, gradient = super().of_gradient(dx)
            factors = [f(len(dx)) if callable(f) else f for f in (value, ddx)]
            return P * factors[0], gradient * factors[1]

    return Scaled


def at(base, points):
    """The class with the slope taken at other points."""

    class Elsewhere(base):
        def points(self, real, fake, rng):
            return points(real, fake, rng)

    return Elsewhere


class NormPerPixel(GradientPenalty):
    def of_gradient(self, dx):
        value, ddx = super().of_gradient(dx.reshape(-1, dx.shape[-1]))
        return value, ddx.reshape(dx.shape)


class NormOfTheBatch(GradientPenalty):
    def of_gradient(self, dx):
        value, ddx = super().of_gradient(dx.reshape(1, -1))
        return value, ddx.reshape(dx.shape)


class NormNotSquared(R1):
    def of_gradient(self, dx):
        norm, direction = minigan.penalties.norm_and_direction(dx)
        return self.gamma / 2 * norm.mean(), self.gamma / 2 / len(dx) * direction


def shared_epsilon(real, fake, rng):
    epsilon = rng.random()
    return epsilon * real + (1 - epsilon) * fake


def epsilon_per_pixel(real, fake, rng):
    epsilon = rng.random(real.shape)
    return epsilon * real + (1 - epsilon) * fake


def no_alpha(real, fake, rng):
    return real + 0.5 * real.std() * rng.random(real.shape)


FAULTS = {
    "λ twice in both": ("WGAN-GP", scaled(GradientPenalty, 2, 2)()),
    "λ twice in the gradient": ("WGAN-GP", scaled(GradientPenalty, ddx=2)()),
    "the factor 2 missing": ("WGAN-GP", scaled(GradientPenalty, ddx=0.5)()),
    "a thousandth too much": ("WGAN-GP", scaled(GradientPenalty, ddx=1.001)()),
    "batch mean forgotten in both": ("WGAN-GP", scaled(GradientPenalty, lambda N: N, lambda N: N)()),
    "batch mean forgotten in the gradient": ("WGAN-GP", scaled(GradientPenalty, ddx=lambda N: N)()),
    "ε shared by the batch": ("WGAN-GP", at(GradientPenalty, shared_epsilon)()),
    "ε per number": ("WGAN-GP", at(GradientPenalty, epsilon_per_pixel)()),
    "at real instead of x̂": ("WGAN-GP", at(GradientPenalty, lambda real, fake, rng: real)()),
    "norm per pixel": ("WGAN-GP", NormPerPixel()),
    "one norm for the batch": ("WGAN-GP", NormOfTheBatch()),
    "one-sided for two-sided": ("WGAN-GP", GradientPenalty(10.0, one_sided=True)),
    "two-sided for one-sided": ("one-sided", GradientPenalty(3.0)),
    "only real samples": ("DRAGAN", at(DRAGAN, lambda real, fake, rng: real)()),
    "no α": ("DRAGAN", at(DRAGAN, no_alpha)()),
    "between real and fake": ("DRAGAN", GradientPenalty()),
    "γ for γ/2": ("R1", scaled(R1, 2, 2)()),
    "γ/2 for γ": ("R1", scaled(R1, ddx=0.5)()),
    "batch mean forgotten": ("R1", scaled(R1, lambda N: N, lambda N: N)()),
    "norm not squared": ("R1", NormNotSquared()),
    "at fake": ("R1", at(R1, lambda real, fake, rng: fake)()),
    "at real": ("R2", R1(4.0)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_penalty_is_caught(fault):
    name, wrong = FAULTS[fault]
    case = critic_of("InstanceNorm")
    x = case.real
    slopes = np.linalg.norm(case.critic.backward(np.ones((len(x), 1)), case.critic.forward(x)[1], "input"), axis=(1, 2))
    assert slopes.min() < 1 < slopes.max()  # so that both sides are there to be told apart
    with pytest.raises(GradientError, match="has the value|relative error"):
        check_penalty(wrong, PENALTIES[name][1], case)


@pytest.mark.parametrize("name", sorted({name for name, _ in FAULTS.values()}))
def test_the_right_penalty_is_not(name):
    check_penalty(*PENALTIES[name], critic_of("InstanceNorm"))


def test_gradients_that_are_set_instead_of_added_are_caught():
    class Sets(GradientPenalty):
        def __call__(self, critic, *args):
            critic.parameters().zero_grad()
            return super().__call__(critic, *args)

    with pytest.raises(AssertionError):
        test_penalties.test_gradients_are_added_and_nothing_else_is_changed(Sets())
    with pytest.raises(AssertionError):
        test_penalties.test_it_stands_beside_the_losses_in_one_step(Sets())


def plain_norm(dx):
    norm = np.sqrt((dx * dx).sum(axis=tuple(range(1, dx.ndim)), keepdims=True))
    return norm, dx / norm


def norm_with_epsilon(dx):
    norm = np.sqrt((dx * dx).sum(axis=tuple(range(1, dx.ndim)), keepdims=True) + 1e-12)
    return norm, dx / norm


@pytest.mark.parametrize(("unsafe", "error"), [(plain_norm, FloatingPointError), (norm_with_epsilon, AssertionError)])
def test_an_unsafe_norm_is_caught(unsafe, error, monkeypatch):
    monkeypatch.setattr(minigan.penalties, "norm_and_direction", unsafe)
    with pytest.raises(error):
        test_penalties.test_a_slope_of_zero_is_safe(GradientPenalty(), np.float32)


@pytest.mark.parametrize("unsafe", [plain_norm, norm_with_epsilon])
def test_a_norm_that_loses_tiny_gradients_is_caught(unsafe, monkeypatch):
    monkeypatch.setattr(test_penalties, "norm_and_direction", unsafe)
    with pytest.raises((AssertionError, FloatingPointError)):
        test_penalties.test_norms_of_tiny_and_huge_float32_gradients(1e-30)
