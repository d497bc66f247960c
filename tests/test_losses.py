"""Objectives: values by hand, gradients by differences, on every array library."""

from math import exp, log, log1p

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.backend import to_numpy
from minigan.errors import ShapeError
from minigan.losses import (
    Hinge,
    LeastSquares,
    Minimax,
    RelativisticAverage,
    Wasserstein,
    kl_to_normal,
    l1,
    l2,
    pixel_cross_entropy,
    softmax_cross_entropy,
)
from minigan.testing import check_loss, devices_under_test, forbid_transfers

OBJECTIVES = {
    "minimax": Minimax(),
    "saturating": Minimax(saturating=True),
    "smoothed": Minimax(label_smoothing=0.1),
    "least squares": LeastSquares(),
    "pearson": LeastSquares(-1, 1, 0),
    "wasserstein": Wasserstein(),
    "hinge": Hinge(),
}
LOSSES = {
    f"{name} {side}": getattr(objective, side)
    for name, objective in OBJECTIVES.items()
    for side in ("real", "fake", "generator")
}
SHAPES = st.sampled_from([(1,), (7,), (1, 1), (5, 1), (2, 3, 4, 1)])
SEEDS = st.integers(0, 10_000)

each_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
each_device = pytest.mark.parametrize("device", devices_under_test(), ids=str)


def draw_logits(shape, seed):
    """Numbers in ±4 that are at least 0.1 away from ±1, where the hinge has its kinks."""
    rng = np.random.default_rng(seed)
    interval = rng.integers(3, size=shape)  # (−4, −1.1), (−0.9, 0.9) or (1.1, 4)
    low, high = np.array([-4, -0.9, 1.1])[interval], np.array([-1.1, 0.9, 4])[interval]
    return low + (high - low) * rng.random(shape)


# Gradients


@each_loss
@given(shape=SHAPES, seed=SEEDS)
def test_gradient_in_the_logits(loss, shape, seed):
    check_loss(loss, draw_logits(shape, seed), seed=seed)


each_side = pytest.mark.parametrize("side", ["critic", "generator"])


@each_side
@given(n=st.integers(1, 5), m=st.integers(1, 5), seed=SEEDS)
def test_gradients_of_the_relativistic_average(side, n, m, seed):
    """In real and in fake logits, of which there may be different numbers: the means couple all of them."""
    rng, loss = np.random.default_rng(seed), getattr(RelativisticAverage(), side)
    real, fake = rng.normal(0, 2, (n, 1)), rng.normal(0, 2, (m, 1))

    def in_real(logits):
        value, (dreal, _) = loss(logits, fake.astype(logits.dtype))
        return value, dreal

    def in_fake(logits):
        value, (_, dfake) = loss(real.astype(logits.dtype), logits)
        return value, dfake

    check_loss(in_real, real, seed=seed)
    check_loss(in_fake, fake, seed=seed)


@pytest.mark.parametrize("loss", [l1, l2])
@given(shape=SHAPES, seed=SEEDS)
def test_gradient_of_a_distance(loss, shape, seed):
    rng = np.random.default_rng(seed)
    target = rng.normal(size=shape)
    apart = rng.uniform(0.1, 2, shape) * rng.choice([-1, 1], shape)  # |y − target| has its kink at 0

    def distance(y):
        return loss(y, target.astype(y.dtype))

    check_loss(distance, target + apart, seed=seed)


@given(n=st.integers(1, 6), classes=st.integers(1, 6), seed=SEEDS)
def test_gradient_of_cross_entropy(n, classes, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)

    def cross_entropy(logits):
        return softmax_cross_entropy(logits, labels)

    check_loss(cross_entropy, rng.normal(size=(n, classes)), seed=seed)


@given(n=st.integers(1, 6), D=st.integers(1, 4), seed=SEEDS)
def test_gradient_of_the_kl_divergence(n, D, seed):
    check_loss(kl_to_normal, np.random.default_rng(seed).normal(size=(n, 2 * D)), seed=seed)


# Values, from the formulas of the papers for two logits, 2 and −0.7


def mean_of(f):
    return (f(2.0) + f(-0.7)) / 2


def sigmoid(l):
    return 1 / (1 + exp(-l))


@pytest.mark.parametrize(
    ("name", "f"),
    {
        "minimax real": lambda l: -log(sigmoid(l)),
        "minimax fake": lambda l: -log(1 - sigmoid(l)),
        "minimax generator": lambda l: -log(sigmoid(l)),
        "saturating real": lambda l: -log(sigmoid(l)),
        "saturating generator": lambda l: log(1 - sigmoid(l)),
        "smoothed real": lambda l: -0.9 * log(sigmoid(l)) - 0.1 * log(1 - sigmoid(l)),
        "smoothed fake": lambda l: -log(1 - sigmoid(l)),
        "smoothed generator": lambda l: -log(sigmoid(l)),
        "least squares real": lambda l: (l - 1) ** 2 / 2,
        "least squares fake": lambda l: l**2 / 2,
        "least squares generator": lambda l: (l - 1) ** 2 / 2,
        "pearson real": lambda l: (l - 1) ** 2 / 2,
        "pearson fake": lambda l: (l + 1) ** 2 / 2,
        "pearson generator": lambda l: l**2 / 2,
        "wasserstein real": lambda l: -l,
        "wasserstein fake": lambda l: l,
        "wasserstein generator": lambda l: -l,
        "hinge real": lambda l: max(0, 1 - l),
        "hinge fake": lambda l: max(0, 1 + l),
        "hinge generator": lambda l: -l,
    }.items(),
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_known_value(name, f):
    assert LOSSES[name](np.array([[2.0], [-0.7]]))[0] == pytest.approx(mean_of(f), rel=1e-14)


def test_the_relativistic_average_by_hand():
    """Real logits 1 and 3, fakes 0 and 2: u = 0 and 2, v = −2 and 0. The generator's loss exchanges the two."""
    real, fake, loss = np.array([1.0, 3.0]), np.array([0.0, 2.0]), RelativisticAverage()
    value, (dreal, dfake) = loss.critic(real, fake)
    assert value == pytest.approx((log(2) + log1p(exp(-2))) / 2 + (log1p(exp(-2)) + log(2)) / 2)
    du, dv = np.array([-0.5, -sigmoid(-2)]) / 2, np.array([sigmoid(-2), 0.5]) / 2
    np.testing.assert_allclose(dreal, du - dv.sum() / 2)
    np.testing.assert_allclose(dfake, dv - du.sum() / 2)
    exchanged = loss.critic(fake, real)
    for mine, other in zip(loss.generator(real, fake)[1], exchanged[1][::-1], strict=True):
        np.testing.assert_allclose(mine, other)
    assert loss.generator(real, fake)[0] == pytest.approx(exchanged[0])
    assert loss.critic(np.zeros(3), np.zeros(2))[0] == pytest.approx(log(4))  # D is undecided


@each_side
def test_the_relativistic_average_depends_on_differences_alone(side):
    rng, loss = np.random.default_rng(0), getattr(RelativisticAverage(), side)
    real, fake = rng.normal(size=(4, 1)), rng.normal(size=(3, 1))
    value, (dreal, dfake) = loss(real, fake)
    assert loss(real + 5, fake + 5)[0] == pytest.approx(value)
    assert dreal.sum() + dfake.sum() == pytest.approx(0, abs=1e-15)
    assert (dreal.sum() < 0) == (side == "critic")  # D raises real logits, G lowers them


@each_side
@each_device
def test_the_relativistic_average_on_every_device(side, device):
    rng, loss = np.random.default_rng(0), getattr(RelativisticAverage(), side)
    real, fake = 100 * rng.normal(size=(4, 1)), 100 * rng.normal(size=(3, 2))
    there = [device.array(logits, np.float32) for logits in (real, fake)]
    with forbid_transfers(), np.errstate(over="raise", invalid="raise"):
        value, gradients = loss(*there)
    expected = loss(real, fake)
    assert (value.shape, value.dtype) == ((), np.float32)
    np.testing.assert_allclose(to_numpy(value), expected[0], rtol=1e-5)
    for mine, theirs, logits in zip(gradients, expected[1], there, strict=True):
        assert (mine.shape, mine.dtype) == (logits.shape, np.float32)
        np.testing.assert_allclose(to_numpy(mine), theirs, rtol=1e-5, atol=1e-7)


@each_side
def test_the_relativistic_average_of_what_are_no_logits_is_refused(side):
    loss, right = getattr(RelativisticAverage(), side), np.zeros((2, 1))
    for wrong in ([[1.0]], np.zeros((2, 1), int), np.zeros((0, 1))):
        with pytest.raises(ShapeError, match="logits of real samples"):
            loss(wrong, right)
        with pytest.raises(ShapeError, match="logits of fakes"):
            loss(right, wrong)


def test_numbers_worked_out_on_paper():
    zero = np.zeros((4, 1))
    assert Minimax().real(zero)[0] + Minimax().fake(zero)[0] == pytest.approx(log(4))  # D = ½: the paper's −(−log 4)
    assert Hinge().real(np.array([[3.0], [0.0]]))[1].tolist() == [[0], [-0.5]]  # beyond 1 D stops pushing
    assert Hinge().fake(np.array([[-3.0], [0.0]]))[1].tolist() == [[0], [0.5]]
    assert Hinge().real(np.array([[1.0], [0.0]]))[1].tolist() == [[0], [-0.5]]  # nor exactly there
    assert Hinge().fake(np.array([[-1.0], [0.0]]))[1].tolist() == [[0], [0.5]]
    assert Wasserstein().real(zero)[1].tolist() == [[-0.25]] * 4
    y, target = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.0, 2.0], [5.0, 3.0]])
    assert l1(y, target)[0] == 1  # (1 + 0 + 2 + 1)/4
    assert l1(y, target)[1].tolist() == [[0.25, 0], [-0.25, 0.25]]
    assert l2(y, target)[0] == 1.5  # (1 + 0 + 4 + 1)/4
    assert l2(y, target)[1].tolist() == [[0.5, 0], [-1, 0.5]]
    value, gradient = softmax_cross_entropy(np.log([[1.0, 3.0], [2.0, 2.0]]), np.array([1, 0]))
    assert value == pytest.approx((log(4 / 3) + log(2)) / 2)
    np.testing.assert_allclose(gradient, [[0.125, -0.125], [-0.25, 0.25]])


# Contracts


@each_loss
def test_a_mean_over_the_batch(loss):
    """Twice the same batch: the same value, and every logit has half the influence."""
    logits = draw_logits((3, 2, 2, 1), 0)
    once, twice = loss(logits), loss(np.concatenate([logits, logits]))
    assert twice[0] == pytest.approx(once[0], rel=1e-14)
    np.testing.assert_allclose(twice[1], np.concatenate([once[1], once[1]]) / 2, rtol=1e-14)


@each_loss
@each_device
def test_on_every_device(loss, device):
    """Patch logits (N, H, W, 1) in float32: same numbers, same dtype, nothing copied to the host, input as before."""
    logits = draw_logits((2, 3, 4, 1), 0)
    x = device.array(logits, np.float32)
    with forbid_transfers():
        value, gradient = loss(x)
    assert (value.shape, value.dtype) == ((), np.float32)
    assert (gradient.shape, gradient.dtype) == (x.shape, np.float32)
    np.testing.assert_allclose(to_numpy(value), loss(logits)[0], rtol=1e-5)
    np.testing.assert_allclose(to_numpy(gradient), loss(logits)[1], rtol=1e-5, atol=1e-8)
    np.testing.assert_array_equal(to_numpy(x), logits.astype(np.float32))


@each_device
def test_distances_and_cross_entropy_on_every_device(device):
    rng = np.random.default_rng(0)
    y, target, labels = rng.normal(size=(5, 3)), rng.normal(size=(5, 3)), rng.integers(3, size=5)
    for loss, second in ((l1, target), (l2, target), (softmax_cross_entropy, labels)):
        there = device.array(y, np.float32), device.array(second, np.float32 if second is target else None)
        with forbid_transfers():
            value, gradient = loss(*there)
        assert (value.shape, value.dtype, gradient.dtype) == ((), np.float32, np.float32)
        np.testing.assert_allclose(to_numpy(value), loss(y, second)[0], rtol=1e-5)
        np.testing.assert_allclose(to_numpy(gradient), loss(y, second)[1], rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(to_numpy(there[0]), y.astype(np.float32))


@each_loss
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_logits_overflow_nothing(loss, dtype):
    logits = np.array([[-1e4], [-100], [0], [100], [1e4]], dtype)
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        value, gradient = loss(logits)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_extreme_cross_entropy_overflows_nothing():
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        value, gradient = softmax_cross_entropy(np.array([[1e4, -1e4], [1e4, -1e4]]), np.array([0, 1]))
    assert value == 1e4  # (0 + 2e4)/2
    assert gradient.tolist() == [[0, 0], [0.5, -0.5]]


def test_where_the_saturating_generator_learns_nothing_the_other_does():
    sure_that_it_is_fake = np.full((4, 1), -1e4)
    assert not Minimax(saturating=True).generator(sure_that_it_is_fake)[1].any()
    assert Minimax().generator(sure_that_it_is_fake)[1].tolist() == [[-0.25]] * 4  # −1/M


@pytest.mark.parametrize("side", ["real", "fake", "generator"])
def test_softplus_loses_no_digits(side):
    """In float32 a logit on its right side leaves a loss as small as e^−20, with all its digits."""
    right = -20.0 if side == "fake" else 20.0
    value, gradient = getattr(Minimax(), side)(np.full((1, 1), right, np.float32))
    assert value == pytest.approx(log1p(exp(-20)), rel=1e-6)
    assert abs(gradient.item()) == pytest.approx(exp(-20) / (1 + exp(-20)), rel=1e-6)


def test_label_smoothing_touches_real_only():
    logits = draw_logits((6, 1), 0)
    plain, smoothed = Minimax(), Minimax(label_smoothing=0.2)
    for side in ("fake", "generator"):
        np.testing.assert_array_equal(getattr(smoothed, side)(logits)[1], getattr(plain, side)(logits)[1])
        assert getattr(smoothed, side)(logits)[0] == getattr(plain, side)(logits)[0]
    np.testing.assert_allclose(smoothed.real(logits)[1] - plain.real(logits)[1], 0.2 / 6)
    at_target = np.full((2, 1), log(0.8 / 0.2))  # sigmoid is 1 − smoothing: D is content
    np.testing.assert_allclose(smoothed.real(at_target)[1], 0, atol=1e-16)


# What is refused


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, 2.0])
def test_smoothing_out_of_range_is_refused(smoothing):
    with pytest.raises(ValueError, match="label_smoothing"):
        Minimax(label_smoothing=smoothing)


@pytest.mark.parametrize("loss", [l1, l2])
def test_distances_refuse_to_broadcast(loss):
    with pytest.raises(ShapeError, match=r"\(4, 3\).*\(4, 1\)"):
        loss(np.zeros((4, 3)), np.zeros((4, 1)))


@pytest.mark.parametrize(("logits", "labels"), [((4,), (4,)), ((4, 3), (3,)), ((4, 3), (4, 1)), ((2, 2, 3), (2,))])
def test_cross_entropy_refuses_other_shapes(logits, labels):
    with pytest.raises(ShapeError, match="expected logits"):
        softmax_cross_entropy(np.zeros(logits), np.zeros(labels, int))


def test_a_masked_logit_costs_nothing():
    value, dlogits = softmax_cross_entropy(np.array([[0.0, -np.inf]]), np.array([0]))
    assert value == 0
    assert (dlogits == 0).all()


Tensor = type("Tensor", (), {"__module__": "torch"})  # what a tensor looks like to a package that doesn't import torch


@each_loss
@pytest.mark.parametrize(
    ("logits", "sentence"),
    [
        ([[1.0], [2.0]], "an array of logits, got a list: convert it"),
        (Tensor(), "got a torch Tensor: pass"),
        (np.array([[1], [2]]), r"a non-empty array of floats, got int64 \(2, 1\)"),  # whose gradient would be 0
        (np.zeros((0, 1)), r"got float64 \(0, 1\)"),
        (np.ones((2, 1), complex), "got complex128"),
        (None, "got None"),
    ],
)
def test_what_are_no_logits_is_refused(loss, logits, sentence):
    with pytest.raises(ShapeError, match=sentence):
        loss(logits)


@pytest.mark.parametrize("loss", [l1, l2])
@pytest.mark.parametrize("wrong", [[1.0, 2.0], Tensor(), np.array([1, 2]), np.zeros(0), None])
def test_what_are_no_outputs_or_targets_is_refused(loss, wrong):
    right = np.ones(2)
    for y, target, name in ((wrong, right, "outputs"), (right, wrong, "targets")):
        with pytest.raises(ShapeError, match=name):
            loss(y, target)


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([0, 1], "array of integers, got a list"),
        (np.array([0.0, 1.7]), "array of integers, got an array of float64"),  # 1.7 would be no class, and cost nothing
        (np.array([0, 3]), "labels are from 0 to 2, got 0 to 3"),
        (np.array([-1, 0]), "labels are from 0 to 2, got -1 to 0"),
        (np.array([[0], [1]]), r"labels \(N,\), got \(2, 3\) and \(2, 1\)"),
    ],
)
def test_what_are_no_labels_is_refused(labels, sentence):
    with pytest.raises(ShapeError, match=sentence):
        softmax_cross_entropy(np.zeros((2, 3)), labels)


@pytest.mark.parametrize("logits", [[[1.0, 2.0]], np.array([[1, 2]])], ids=["a list", "integers"])
def test_cross_entropy_of_what_are_no_logits_is_refused(logits):
    with pytest.raises(ShapeError, match="a loss takes"):
        softmax_cross_entropy(logits, np.array([0]))


def test_cross_entropy_of_pixels_is_that_of_the_known_ones():
    rng = np.random.default_rng(0)
    logits, labels = rng.standard_normal((2, 3, 4, 5)), rng.integers(5, size=(2, 3, 4))
    target = np.eye(5)[labels]
    target[0, 1] = 0  # unknown
    known = target.sum(axis=-1) > 0
    value, dlogits = pixel_cross_entropy(logits, target)
    expected, drows = softmax_cross_entropy(logits[known], labels[known])
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(dlogits[known], drows, atol=1e-15)
    assert not dlogits[~known].any()


def test_cross_entropy_of_pixels_far_out_and_of_nothing():
    logits = np.array([[1000.0, -1000.0]])
    value, dlogits = pixel_cross_entropy(logits, np.array([[0.0, 1.0]]))
    assert value == 2000
    np.testing.assert_array_equal(dlogits, [[1, -1]])
    value, dlogits = pixel_cross_entropy(logits, np.zeros((1, 2)))
    assert value == 0
    assert not dlogits.any()
    with pytest.raises(ShapeError, match="they must be the same"):
        pixel_cross_entropy(logits, np.zeros((1, 3)))


def test_the_kl_divergence_is_an_integral():
    """Of p log(p/q) on a fine grid, for two codes of two numbers: summed over the numbers, averaged over the codes."""
    means, sigmas = np.array([[0.0, 1.5], [-0.5, 0.3]]), np.array([[1.0, 0.5], [2.0, 0.1]])
    z = np.linspace(-20, 20, 400_001)

    def density(m, s):
        return np.exp(-(((z - m) / s) ** 2) / 2) / (s * np.sqrt(2 * np.pi))

    q = density(0, 1)
    total = 0.0
    for m, s in zip(means.ravel(), sigmas.ravel(), strict=True):
        p = density(m, s)
        there = p > 1e-300
        total += (p[there] * (np.log(p[there]) - np.log(q[there]))).sum() * (z[1] - z[0])
    value, dx = kl_to_normal(np.concatenate([means, np.log(sigmas)], axis=1))
    assert value == pytest.approx(total / 2, rel=1e-9)
    assert kl_to_normal(np.zeros((3, 4)))[0] == 0
    assert not kl_to_normal(np.zeros((3, 4)))[1].any()
    assert dx.shape == (2, 4)


@pytest.mark.parametrize("shape", [(3, 5), (4,), (2, 2, 2)])
def test_a_kl_divergence_takes_means_and_deviations(shape):
    with pytest.raises(ShapeError, match=r"^expected μ and log σ side by side, an array \(N, 2D\), got \("):
        kl_to_normal(np.zeros(shape))
