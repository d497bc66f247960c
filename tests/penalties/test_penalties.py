"""Gradient penalties: values known by hand, the points, what they promise, and which critics they refuse."""

import copy
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.backend import array_module, to_numpy
from minigan.errors import MiniganError, ShapeError
from minigan.layers import BatchNorm, Conv2D, Dense, Flatten, LeakyReLU, Residual, Sequential, Softplus, Tanh
from minigan.losses import Wasserstein
from minigan.penalties import DRAGAN, R1, R2, GradientPenalty, norm_and_direction
from minigan.testing import forbid_transfers, shake
from minigan.testing.strategies import seeds

PENALTIES = [GradientPenalty(10.0), GradientPenalty(3.0, one_sided=True), DRAGAN(10.0), R1(10.0), R2(4.0)]
each_penalty = pytest.mark.parametrize("penalty", PENALTIES, ids=repr)


def linear(w, dtype=np.float64):
    critic = Dense(len(w), 1).to(dtype=dtype)
    critic.W[:, 0] = w
    return critic


def level(dtype=np.float64):
    """D(x) = softplus(x + b_0) − softplus(x + b_1), b = 0: the slope is 0 everywhere, but a bias can change that."""
    critic = Sequential(Dense(1, 2), Softplus(), Dense(2, 1)).to(dtype=dtype)
    critic[0].W[...], critic[2].W[:, 0] = 1, (1, -1)
    return critic


def picture_critic(rng):
    body = [Conv2D(2, 3, 3, padding=1, rng=rng), Tanh(), Conv2D(3, 4, 2, stride=2, rng=rng), LeakyReLU()]
    return shake(Sequential(*body, Flatten(), Dense(16, 1, rng=rng)), rng)


def pictures(rng, n=5):
    return rng.uniform(-1, 1, (2, n, 4, 4, 2))


class Points:
    """A critic D(x) = Σ x that remembers where it was asked for."""

    def walk(self):
        return iter(())

    def forward(self, x, train, rng):
        self.x, self.train = x, train
        return x.reshape(len(x), -1).sum(axis=1, keepdims=True), x

    def backward(self, dy, cache, wrt):
        return np.ones_like(cache)

    def double_backward(self, ddx, dy, cache):
        self.ddx = ddx


# Known by hand: a linear critic has the slope w everywhere


@given(st.integers(1, 5), st.integers(1, 6), seeds())
def test_a_linear_critic(n, dimensions, seed):
    """∇ = w, so P and ∂P/∂w are formulas of ‖w‖, whatever the points and however many they are."""
    rng = np.random.default_rng(seed)
    w = rng.standard_normal(dimensions)
    w += np.sign(w) * 0.1
    norm = np.linalg.norm(w)
    real, fake = rng.standard_normal((2, n, dimensions))
    steep = max(0.0, norm - 1)
    expected = {
        GradientPenalty(10.0): (10 * (norm - 1) ** 2, 20 * (norm - 1) * w / norm),
        GradientPenalty(3.0, one_sided=True): (3 * steep**2, 6 * steep * w / norm),
        DRAGAN(7.0): (7 * (norm - 1) ** 2, 14 * (norm - 1) * w / norm),
        R1(10.0): (5 * norm**2, 10 * w),
        R2(3.0): (1.5 * norm**2, 3 * w),
    }
    for penalty, (value, gradient) in expected.items():
        critic = linear(w)
        np.testing.assert_allclose(penalty(critic, real, fake, rng), value, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(critic.dW[:, 0], gradient, rtol=1e-12, atol=1e-14)
        assert critic.db == 0


@pytest.mark.parametrize("length", [0.5, 2.0])
def test_one_sided_leaves_gentle_slopes_alone(length):
    critic = linear([0.6 * length, 0.8 * length])
    value = GradientPenalty(one_sided=True)(critic, np.zeros((3, 2)), np.ones((3, 2)), np.random.default_rng(0))
    assert value == pytest.approx(10.0 if length == 2 else 0.0)
    assert critic.dW.any() == (length == 2)


def test_the_norm_is_over_all_axes_of_a_picture():
    critic = Sequential(Flatten(), linear(np.full(12, 0.5)))
    real = np.zeros((4, 2, 3, 2))
    assert GradientPenalty()(critic, real, real, np.random.default_rng(0)) == pytest.approx(
        10 * (math.sqrt(3) - 1) ** 2
    )


def test_the_norm_is_of_every_sample_and_the_mean_over_them():
    """Two slopes, 3 and 1: the mean of (‖∇‖ − 1)² is 2, while the norm of both together would give another number."""
    value, ddx = GradientPenalty(1.0).of_gradient(np.array([[3.0, 0.0], [0.0, -1.0]]))
    assert value == 2
    np.testing.assert_array_equal(ddx, [[2, 0], [0, 0]])


# Where the slope is taken


@given(st.integers(2, 5), seeds())
def test_wgan_gp_looks_between_pairs_with_one_epsilon_per_sample(n, seed):
    rng = np.random.default_rng(seed)
    real, fake = pictures(rng, n)
    critic = Points()
    GradientPenalty()(critic, real, fake, rng)
    epsilon = (critic.x - fake) / (real - fake)
    first = epsilon[:, :1, :1, :1]
    np.testing.assert_allclose(epsilon, np.broadcast_to(first, epsilon.shape), atol=1e-6)
    assert ((first >= 0) & (first <= 1)).all()
    assert len(np.unique(first.round(9))) == n
    assert critic.train


def test_epsilon_is_uniform():
    epsilon = GradientPenalty().points(np.ones((20_000, 1)), np.zeros((20_000, 1)), np.random.default_rng(0))
    assert abs(np.sort(epsilon[:, 0]) - np.linspace(0, 1, 20_000)).max() < 0.015  # Kolmogorov and Smirnov: p < 0.001


def test_dragan_looks_around_the_real_samples_as_its_authors_do():
    """The noise over ½ std is α·u: between 0 and 1, uniform for each sample, up to an α of the sample's own."""
    rng = np.random.default_rng(0)
    real = 3 * rng.standard_normal((2000, 200)) + 1
    noise = (DRAGAN().points(real, None, rng) - real) / (0.5 * real.std())
    alpha = noise.max(axis=1)  # of 200 numbers: a little less than α
    assert noise.min() >= 0
    assert abs(np.sort(alpha) - np.linspace(0, 1, 2000)).max() < 0.05
    assert abs(np.sort((noise / alpha[:, None]).ravel()) - np.linspace(0, 1, noise.size)).max() < 0.01
    np.testing.assert_array_equal(DRAGAN(c=0).points(real, None, rng), real)


def test_r1_looks_at_the_real_and_r2_at_the_fake_samples():
    real, fake = pictures(np.random.default_rng(0))
    for penalty, points in ((R1(), real), (R2(), fake)):
        critic = Points()
        penalty(critic, real, fake, None)
        np.testing.assert_array_equal(critic.x, points)


# A slope of zero, and slopes that are tiny or huge


@each_penalty
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_slope_of_zero_is_safe(penalty, dtype):
    """A value, a gradient of zero, no NaN and no warning."""
    real, fake = np.zeros((2, 4, 3), dtype)
    critic = linear([0, 0, 0], dtype)
    with np.errstate(all="raise"):
        value = penalty(critic, real, fake, np.random.default_rng(0))
    two_sided = isinstance(penalty, GradientPenalty) and not penalty.one_sided
    assert value == (10 if two_sided else 0)
    assert not critic.parameters().grads.any()


def test_a_flat_place_in_a_curved_critic_is_safe():
    """D's slope is 0 here, but moving a bias gives it one: the norm has a kink, and ddx = 0 is chosen."""
    critic, x = level(), np.array([[0.3], [-2.0]])
    assert GradientPenalty(1.0)(critic, x, x, np.random.default_rng(0)) == 1
    assert not critic.parameters().grads.any()
    assert R1(1.0)(critic, x, x, None) == 0
    assert not critic.parameters().grads.any()


@pytest.mark.parametrize("magnitude", [1e-45, 1e-40, 1e-30, 1e-20, 1.0, 1e20, 1e38])
def test_norms_of_tiny_and_huge_float32_gradients(magnitude):
    """1e-45 is the smallest number there is (1.4e-45, really); its square is not."""
    dx = np.array([[3, 0, -4], [0, 0, 0]], np.float32) * (np.float32(magnitude) / np.float32(2 if magnitude > 1 else 1))
    with np.errstate(divide="raise", invalid="raise", over="raise"):
        norm, direction = norm_and_direction(dx)
    exact = np.linalg.norm(dx[0].astype(np.float64))
    assert norm.dtype == direction.dtype == np.float32
    np.testing.assert_allclose(norm[0, 0], exact, rtol=1e-6, atol=1.5e-45)
    np.testing.assert_allclose(direction, [dx[0] / exact, [0, 0, 0]], rtol=1e-6, atol=1e-7)
    assert norm[1] == 0


# Promises


@each_penalty
def test_gradients_are_added_and_nothing_else_is_changed(penalty):
    rng = np.random.default_rng(0)
    critic, (real, fake) = picture_critic(rng).to(dtype=np.float64), pictures(rng)
    flat = critic.parameters()
    before = [a.copy() for a in (flat.values, real, fake)]
    value = penalty(critic, real, fake, np.random.default_rng(1))
    once = flat.grads.copy()
    flat.grads[...] = start = rng.standard_normal(len(flat))
    assert penalty(critic, real, fake, np.random.default_rng(1)) == value
    np.testing.assert_allclose(flat.grads, start + once, atol=1e-12)
    for array, was in zip((flat.values, real, fake), before, strict=True):
        np.testing.assert_array_equal(array, was)


@each_penalty
def test_it_stands_beside_the_losses_in_one_step(penalty):
    """The losses' forwards are alive while the penalty runs; the gradient of all is the sum of the parts."""
    rng, loss = np.random.default_rng(0), Wasserstein()
    critic, (real, fake) = picture_critic(rng).to(dtype=np.float64), pictures(rng)
    flat = critic.parameters()

    def losses(in_between=lambda: None):
        (l_real, c_real), (l_fake, c_fake) = critic.forward(real), critic.forward(fake)
        critic.backward(loss.real(l_real)[1], c_real, wrt="params")
        in_between()
        critic.backward(loss.fake(l_fake)[1], c_fake, wrt="params")

    def gradient_of(part):
        flat.zero_grad()
        part()
        return flat.grads.copy()

    penalize = lambda: penalty(critic, real, fake, np.random.default_rng(1))  # noqa: E731
    np.testing.assert_allclose(
        gradient_of(lambda: losses(penalize)), gradient_of(losses) + gradient_of(penalize), atol=1e-12
    )


@each_penalty
def test_on_every_device_without_a_transfer(device, penalty):
    """float32 stays float32, P stays on the device, and numbers are as on the host where the draws are."""
    rng = np.random.default_rng(0)
    critic, (real, fake) = picture_critic(rng), pictures(rng).astype(np.float32)
    host = copy.deepcopy(critic)
    expected = penalty(host, real, fake, np.random.default_rng(1))
    critic.to(device)
    with forbid_transfers():
        value = penalty(critic, device.array(real), device.array(fake), device.rng(1))
    grads = critic.parameters().grads
    for array in (value, grads):
        assert array_module(array) is device.xp
        assert array.dtype == np.float32
    assert value.shape == ()
    assert to_numpy(grads).any()
    if not device.name.startswith("cuda") or isinstance(penalty, R1):  # another library draws other points
        np.testing.assert_allclose(to_numpy(value), expected, rtol=1e-5)
        np.testing.assert_allclose(to_numpy(grads), host.parameters().grads, rtol=1e-4, atol=1e-5)


def test_a_leaky_critic_teaches_its_biases_nothing():
    """f″ = 0: the fourth sweep carries nothing, so a bias, which occurs in forward alone, gets no gradient."""
    rng = np.random.default_rng(0)
    x, fake = rng.standard_normal((2, 5, 3))
    for activation, learns in ((LeakyReLU(), False), (Tanh(), True)):
        critic = shake(Sequential(Dense(3, 8, rng=rng), activation, Dense(8, 1, rng=rng)).to(dtype=np.float64), rng)
        GradientPenalty()(critic, x, fake, rng)
        assert critic[0].db.any() == learns
        assert critic[0].dW.any()


# What is refused


@each_penalty
def test_batch_norm_is_refused_wherever_it_is(penalty):
    body = Sequential(Dense(2, 2), BatchNorm(2))
    critic = Sequential(Dense(3, 2), Residual(body), Dense(2, 1))
    x = np.zeros((4, 3), np.float32)
    with pytest.raises(MiniganError) as caught:
        penalty(critic, x, x, np.random.default_rng(0))
    sentence = str(caught.value)
    assert sentence.startswith("a gradient penalty can't be used on a critic with BatchNorm(2) at '1.body.1': it mixes")
    assert sentence.endswith("use LayerNorm, InstanceNorm or no norm")
    assert not critic.parameters().grads.any()
    assert not body[1].running_mean.any()


def test_a_wrong_shape_is_refused():
    with pytest.raises(ShapeError, match=r"\(4, 3\).*\(5, 3\)"):
        GradientPenalty()(linear([1, 2, 3]), np.zeros((4, 3)), np.zeros((5, 3)), np.random.default_rng(0))


def test_a_critic_with_several_numbers_for_a_sample_is_refused():
    """The sum of its outputs has a slope, too, but nobody wants that to be 1."""
    with pytest.raises(ShapeError, match=r"one output per sample, got shape \(4, 2\)"):
        GradientPenalty()(Dense(3, 2), np.zeros((4, 3)), np.ones((4, 3)), np.random.default_rng(0))


@pytest.mark.parametrize("make", [lambda: GradientPenalty(-1), lambda: DRAGAN(c=-0.5), lambda: R1(float("nan"))])
def test_a_negative_weight_is_refused(make):
    with pytest.raises(ValueError, match="must be at least 0"):
        make()


def test_penalties_say_what_they_are():
    assert list(map(repr, PENALTIES)) == [
        "GradientPenalty(10)",
        "GradientPenalty(3, one_sided=True)",
        "DRAGAN(10, c=0.5)",
        "R1(10)",
        "R2(4)",
    ]
