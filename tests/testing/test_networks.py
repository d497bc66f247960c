"""Whole networks, with kinks: right ones pass, planted errors are caught."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan.layers import (
    BatchNorm,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Layer,
    LeakyReLU,
    Maxout,
    ReLU,
    Reshape,
    Sequential,
    Tanh,
)
from minigan.testing import GradientError, check_network, check_through, shake
from minigan.testing.networks import slope_and_roughness
from minigan.testing.strategies import seeds


def generator(rng):
    up = ConvTranspose2D(6, 2, 4, stride=2, padding=1, rng=rng)
    return shake(Sequential(Dense(5, 3 * 3 * 6, rng=rng), BatchNorm(54), ReLU(), Reshape(3, 3, 6), up, Tanh()), rng)


def discriminator(rng):
    body = [Conv2D(2, 6, 4, stride=2, padding=1, rng=rng), LeakyReLU(), Conv2D(6, 8, 3, rng=rng), BatchNorm(8)]
    return shake(Sequential(*body, LeakyReLU(), Dropout(0.3), Flatten(), Maxout(2), Dense(4, 1, rng=rng)), rng)


@pytest.mark.slow
@given(seeds())
@settings(max_examples=settings().max_examples // 3)
def test_networks_with_kinks(seed):
    rng = np.random.default_rng(seed)
    G, D, z, x = generator(rng), discriminator(rng), rng.standard_normal((4, 5)), rng.uniform(-1, 1, (4, 6, 6, 2))
    for network, inputs in ((G, z), (D, x)):
        report = check_network(network, inputs, seed=seed, entries=3)
        assert set(report.first) == {"x", *network.parameters().named()}
        assert set(report.second) == {"x", "dy", *network.parameters().named()}
    assert set(check_through(G, D, z, seed=seed, entries=3)) == set(G.parameters().named())


@given(st.floats(-0.99, 0.99))
def test_a_kink_is_seen_wherever_it_is_within_a_step(at):
    step = 1e-5
    hinge = lambda t: max(t - at * step, 0) - max(-at * step, 0)  # noqa: E731
    assert slope_and_roughness(hinge, step)[1] > 1e-3


def test_smooth_functions_have_no_roughness():
    slope, roughness = slope_and_roughness(lambda t: np.exp(3 * t) - 1, 1e-5)
    assert abs(slope - 3) < 1e-9
    assert roughness < 1e-8


class SignLost(LeakyReLU):
    def backward(self, dy, cache, wrt="both"):
        dx = super().backward(dy, cache, wrt)
        return None if dx is None else abs(dx)


class WrongByAThousandth(Tanh):
    def backward(self, dy, cache, wrt="both"):
        dx = super().backward(dy, cache, wrt)
        return None if dx is None else 1.001 * dx


class ForgottenCurvature(Tanh):
    def double_backward(self, ddx, dy, cache):
        return super().double_backward(ddx, dy, cache)[0], None


@pytest.mark.parametrize(
    ("layer", "order"), [(SignLost(), "first"), (WrongByAThousandth(), "first"), (ForgottenCurvature(), "second")]
)
def test_errors_inside_are_caught(layer, order):
    rng = np.random.default_rng(0)
    network = Sequential(Dense(3, 8, rng=rng), layer, Dense(8, 4, rng=rng), LeakyReLU())
    with pytest.raises(GradientError, match=f"{order} order"):
        check_network(network, rng.standard_normal((4, 3)))


def test_a_discriminator_that_ignores_wrt_is_caught():
    class Ignores(Layer):
        def __init__(self):
            self.add_parameters(scale=np.ones(1, np.float32))

        def forward(self, x, train=True, rng=None):
            return x * self.scale, x

        def backward(self, dy, cache, wrt="both"):
            self.dscale += (dy * cache).sum()
            return dy * self.scale

    rng = np.random.default_rng(0)
    with pytest.raises(GradientError, match="discriminator's gradients"):
        check_through(Dense(2, 2, rng=rng), Ignores(), rng.standard_normal((3, 2)))


class Noise(Layer):
    """Smooth nowhere that a step of 1e-5 could see."""

    def forward(self, x, train=True, rng=None):
        return np.sin(1e9 * x), x

    def backward(self, dy, cache, wrt="both"):
        return 0 * dy


def test_where_nothing_is_smooth_it_says_so():
    with pytest.raises(GradientError, match="no entry is smooth"):
        check_network(Noise(), np.ones((2, 3)), order=1)


def test_a_point_full_of_kinks_is_left():
    check_network(ReLU(), np.zeros((2, 3)))


def test_a_kink_within_reach_is_stepped_around():
    """One entry sits on the kink; the others are checked and it is not held against the layer."""
    x = np.array([[0.0, 1.0, -1.0, 2.0, -2.0, 3.0]])
    for seed in range(5):
        check_network(LeakyReLU(), x, seed=seed)


def test_an_embedding_of_which_few_rows_are_used_is_checked_where_its_gradient_is():
    """Of 400 classes two are in the batch: three random entries would nearly always be zeros."""

    class Doubled(Embedding):
        def backward(self, dy, cache, wrt="both"):
            super().backward(2 * dy, cache, wrt)

    network = Sequential(Doubled(400, 3, rng=np.random.default_rng(0)), Dense(3, 1, rng=np.random.default_rng(0)))
    with pytest.raises(GradientError, match=r"0\.dW"):
        check_network(network, np.array([7, 300]), order=1, entries=3)
