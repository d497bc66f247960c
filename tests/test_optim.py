"""Update rules against the papers' formulas in plain Python, schedules, averaging and clipping."""

from math import factorial, inf, nan, sqrt

import host_kernel
import numpy as np
import pytest
from crews import number_of_threads

from minigan import optim
from minigan.backend import CPU, to_numpy
from minigan.errors import CheckpointError, LayerError
from minigan.layers import BatchNorm, Dense, Sequential
from minigan.optim import SGD, Adam, RMSprop, WeightAverage, clip_grad_norm, clip_weights
from minigan.testing import devices_under_test, forbid_transfers
from minigan.threads import partition

each_device = pytest.mark.parametrize("device", devices_under_test(), ids=str)
STEPS = 6


def network(device=CPU, dtype=np.float64, seed=0):
    return Sequential(Dense(3, 4, rng=np.random.default_rng(seed)), BatchNorm(4)).to(device, dtype)


def gradient(n, t):
    """The gradient of step t; one number in it is always 0."""
    g = np.random.default_rng(t).normal(size=n)
    g[1] = 0
    return g


def run(optimizer, steps=range(1, STEPS + 1)):
    """Take steps with the gradients of those numbers; return the parameters after each."""
    parameters, history = optimizer.parameters, []
    for t in steps:
        parameters.grads[:] = CPU.array(gradient(len(parameters), t))
        optimizer.step()
        history.append(parameters.values.copy())
    return np.array(history)


# References: one number p and its gradients, as the paper prints the algorithm


def sgd(p, gradients, lr=0.1, mu=0.0):
    v = 0
    for g in gradients:
        v = mu * v + g
        p = p - lr * v
        yield p


def nesterov(p, gradients, lr=0.1, mu=0.9):
    """The gradient is taken at the point ahead (Sutskever et al. 2013, equations 3 and 4), and p is that point.

    v' = mu v − lr g(θ + mu v), θ' = θ + v'; ahead = θ + mu v is what is stored.
    """
    theta, v = p, 0
    for g in gradients:
        v = mu * v - lr * g
        theta = theta + v
        yield theta + mu * v


def rmsprop(p, gradients, lr=1e-2, alpha=0.99, eps=1e-8):
    mean_square = 0
    for g in gradients:
        mean_square = alpha * mean_square + (1 - alpha) * g**2
        p = p - lr * g / (sqrt(mean_square) + eps)
        yield p


def adam(p, gradients, lr=1e-3, b1=0.9, b2=0.999, eps=1e-8):
    m = v = 0
    for t, g in enumerate(gradients, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat = m / (1 - b1**t)
        v_hat = v / (1 - b2**t)
        p = p - lr * m_hat / (sqrt(v_hat) + eps)
        yield p


def adam_short_form(p, gradients, lr=1e-3, b1=0.9, b2=0.999, eps=1e-8):
    """Section 2 of the paper, the last lines."""
    m = v = 0
    for t, g in enumerate(gradients, 1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        lr_t = lr * sqrt(1 - b2**t) / (1 - b1**t)
        p = p - lr_t * m / (sqrt(v) + eps)
        yield p


RULES = {
    "sgd": (lambda p: SGD(p, 0.1), sgd),
    "momentum": (lambda p: SGD(p, 0.1, 0.9), lambda p, g: sgd(p, g, mu=0.9)),
    "nesterov": (lambda p: SGD(p, 0.1, 0.9, nesterov=True), nesterov),
    "rmsprop": (RMSprop, rmsprop),
    "rmsprop, others": (lambda p: RMSprop(p, 5e-5, 0.9, 1e-3), lambda p, g: rmsprop(p, g, 5e-5, 0.9, 1e-3)),
    "adam": (Adam, adam),
    "adam of dcgan": (lambda p: Adam(p, 2e-4, (0.5, 0.999)), lambda p, g: adam(p, g, 2e-4, 0.5)),
    "adam, large eps": (lambda p: Adam(p, eps=0.1), lambda p, g: adam(p, g, eps=0.1)),
    "adam, epsilon hat": (
        lambda p: Adam(p, eps=0.1, epsilon_hat=True),
        lambda p, g: adam_short_form(p, g, eps=0.1),
    ),
}
each_rule = pytest.mark.parametrize("make", [make for make, _ in RULES.values()], ids=RULES)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("at_most", [partition.ROWS_BYTES, 80, 16])
def test_rule_is_the_papers(name, at_most, monkeypatch):
    """In one go and in pieces, the last one smaller: every parameter has a reference of its own."""
    monkeypatch.setattr(partition, "ROWS_BYTES", at_most)
    make, reference = RULES[name]
    parameters = network().parameters()
    start = parameters.values.copy()
    history = run(make(parameters))
    gradients = np.array([gradient(len(parameters), t) for t in range(1, STEPS + 1)])
    for i, p in enumerate(start):
        np.testing.assert_allclose(history[:, i], list(reference(p, gradients[:, i])), rtol=1e-12)


@each_rule
def test_pieces_and_threads_change_not_a_bit(make, monkeypatch):
    with number_of_threads(1):
        whole = run(make(network(dtype=np.float32).parameters()))
    monkeypatch.setattr(partition, "ROWS_BYTES", 40)
    for n in (1, 3):
        with number_of_threads(n):
            np.testing.assert_array_equal(run(make(network(dtype=np.float32).parameters())), whole)


@each_rule
@each_device
def test_a_step_on_every_device(make, device):
    """float32 stays float32, gradients stay as they are, nothing is copied to the host; same numbers as in float64."""
    expected = run(make(network(dtype=np.float32).to(dtype=np.float64).parameters()))[-1]
    parameters = network(device, np.float32).parameters()
    optimizer = make(parameters)
    for t in range(1, STEPS + 1):
        g = device.array(gradient(len(parameters), t), np.float32)
        parameters.grads[:] = g
        with forbid_transfers():
            optimizer.step()
        np.testing.assert_array_equal(to_numpy(parameters.grads), to_numpy(g))
    assert parameters.values.dtype == np.float32
    assert all(getattr(optimizer, name).dtype == np.float32 for name in optimizer.state_names)
    np.testing.assert_allclose(to_numpy(parameters.values), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(not host_kernel.COMPILER, reason="there is no C compiler")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("epsilon_hat", [False, True])
def test_adams_kernel_for_cupy_does_what_its_lines_do(dtype, epsilon_hat, monkeypatch):
    make = lambda: Adam(network(dtype=dtype).parameters(), 1e-2, (0.5, 0.99), 1e-3, epsilon_hat)  # noqa: E731
    lines, kernel = make(), make()
    expected = run(lines)
    monkeypatch.setattr(optim, "array_module", lambda x: host_kernel)
    tolerance = {"rtol": 0, "atol": 4 * np.finfo(dtype).eps}
    np.testing.assert_allclose(run(kernel), expected, **tolerance)
    for name in ("m", "v"):
        np.testing.assert_allclose(getattr(kernel, name), getattr(lines, name), **tolerance)


@each_rule
def test_a_step_moves_the_layers_themselves(make):
    net = network()
    before = net[0].W.copy()
    run(make(net.parameters()), [1])
    assert np.count_nonzero(net[0].W - before) == before.size - 1  # the one with gradient 0 stays


@each_rule
def test_zero_grad(make):
    parameters = network().parameters()
    parameters.grads[:] = 1
    make(parameters).zero_grad()
    assert not parameters.grads.any()


@each_rule
def test_a_new_learning_rate_acts_at_once(make):
    """Velocities are kept without the learning rate: half of it makes half the step, whatever came before."""
    whole, half = make(network().parameters()), make(network().parameters())
    run(whole, [1, 2])
    before = run(half, [1, 2])[-1]
    half.lr /= 2
    np.testing.assert_allclose(run(half, [3])[-1] - before, (run(whole, [3])[-1] - before) / 2, rtol=1e-9, atol=1e-15)


@each_rule
def test_after_a_reset_nothing_moves_without_a_gradient_and_the_rule_begins_anew(make):
    optimizer, fresh = (make(network().parameters()) for _ in range(2))
    run(optimizer, [1, 2])
    optimizer.reset()
    before = optimizer.parameters.values.copy()
    optimizer.zero_grad()
    optimizer.step()
    np.testing.assert_array_equal(optimizer.parameters.values, before)
    optimizer.reset()
    optimizer.parameters.values[:] = fresh.parameters.values
    np.testing.assert_array_equal(run(optimizer, [3]), run(fresh, [3]))


def test_the_two_epsilons_agree_as_the_paper_says():
    """ε̂ = ε √(1 − β2ᵗ), at the first step."""
    p, q = network().parameters(), network().parameters()
    np.testing.assert_allclose(
        run(Adam(p, eps=1e-2), [1]), run(Adam(q, eps=1e-2 * sqrt(1 - 0.999), epsilon_hat=True), [1]), rtol=1e-12
    )


# Saved states


@each_rule
@each_device
def test_a_saved_state_continues_identically(make, device):
    def steps(optimizer, numbers):
        for t in numbers:
            optimizer.parameters.grads[:] = device.array(gradient(24, t), np.float32)
            optimizer.step()

    through, stopped = (make(network(device, np.float32).parameters()) for _ in range(2))
    steps(through, range(1, 7))
    steps(stopped, range(1, 4))
    state = {name: array.copy() for name, array in stopped.state_dict().items()}
    assert all(isinstance(array, (np.ndarray, np.generic)) for array in state.values())

    resumed = make(stopped.parameters)
    resumed.load_state_dict(state)
    steps(resumed, range(4, 7))
    assert resumed.t == 6
    np.testing.assert_array_equal(to_numpy(resumed.parameters.values), to_numpy(through.parameters.values))


@each_rule
def test_a_saved_state_is_a_copy(make):
    optimizer = make(network().parameters())
    run(optimizer, [1])
    state = optimizer.state_dict()
    before = {name: np.copy(array) for name, array in state.items()}
    run(optimizer, [2])
    for name in state:
        np.testing.assert_array_equal(state[name], before[name])


FOREIGN = {
    "another rule": lambda: SGD(network().parameters(), 0.1).state_dict(),
    "a rule with less state": lambda: RMSprop(network().parameters()).state_dict(),
    "another network": lambda: Adam(Dense(2, 2).parameters()).state_dict(),
    "nothing": dict,
    "no step count": lambda: {"m": np.ones(24), "v": np.ones(24)},
}


@pytest.mark.parametrize("state", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_state_is_refused_and_changes_nothing(state):
    optimizer = Adam(network().parameters())
    run(optimizer, [1])
    before = optimizer.state_dict()
    with pytest.raises(CheckpointError):
        optimizer.load_state_dict(state())
    for name, array in optimizer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_rule_with_more_state_is_refused():
    with pytest.raises(CheckpointError, match=r"the saved optimizer state holds m, t, v instead of t, v"):
        RMSprop(network().parameters()).load_state_dict(Adam(network().parameters()).state_dict())


def test_a_rate_and_decays_of_0_are_allowed_and_an_infinite_rate_or_a_decay_of_1_are_not():
    parameters = network().parameters()
    assert (SGD(parameters, 0).lr, Adam(parameters, betas=(0, 0)).betas) == (0, (0, 0))
    for wrong in (lambda: SGD(parameters, inf), lambda: SGD(parameters, "0.1"), lambda: SGD(parameters, -0.1)):
        with pytest.raises(LayerError, match="takes a learning rate of at least 0"):
            wrong()
    for betas in ((0.9, 1), (1, 0.9), (-0.1, 0.9), (0.9, 0.99, 0.999), 0.9):
        with pytest.raises(LayerError, match="Adam takes two betas of at least 0 and less than 1"):
            Adam(parameters, betas=betas)


@each_rule
def test_an_optimizer_takes_parameters_not_a_network(make):
    with pytest.raises(LayerError, match="takes the parameters, not the Sequential itself"):
        make(network())


def test_a_network_that_moved_after_its_optimizer_was_made_is_refused():
    net = network()
    optimizer = Adam(net.parameters())
    net.to(dtype=np.float32)
    with pytest.raises(LayerError, match="the network was moved after Adam was created"):
        optimizer.step()


# Schedules


@pytest.mark.parametrize(
    ("make", "arguments", "points"),
    [
        (optim.constant, (), {0: 1, 7: 1, 1e9: 1}),
        (optim.linear_decay, (100, 100), {0: 1, 99: 1, 100: 1, 125: 0.75, 150: 0.5, 200: 0, 300: 0}),
        (optim.linear_decay, (0, 4), {0: 1, 1: 0.75, 4: 0, 5: 0}),
        (optim.exponential_decay, (0.5,), {0: 1, 1: 0.5, 3: 0.125, 0.5: sqrt(0.5)}),
        (optim.step_decay, (30,), {0: 1, 29: 1, 30: 0.1, 59: 0.1, 60: 0.01, 90: 1e-3}),
        (optim.step_decay, (2, 0.5), {1: 1, 2: 0.5, 3.9: 0.5, 4: 0.25}),
        (optim.cosine_decay, (10,), {0: 1, 2.5: (1 + sqrt(0.5)) / 2, 5: 0.5, 7.5: (1 - sqrt(0.5)) / 2, 10: 0, 20: 0}),
        (optim.cosine_decay, (10, 0.2), {0: 1, 5: 0.6, 10: 0.2, inf: 0.2}),
    ],
    ids=["constant", "cyclegan", "linear", "exponential", "step", "step by half", "cosine", "cosine to a floor"],
)
def test_schedule_at_known_points(make, arguments, points):
    schedule = make(*arguments)
    for t, factor in points.items():
        assert schedule(t) == pytest.approx(factor, abs=1e-15), t


# Averaging


@each_device
def test_average_of_a_constant_network(device):
    """average_n − p = Π d_t (average_0 − p); while d_t grows, the product of (1 + t) / (10 + t) is n! 9! / (n + 9)!."""
    net = network(device, np.float64)
    average = WeightAverage(net, decay=0.9)
    start = to_numpy(average.average.parameters().values).copy()
    np.testing.assert_array_equal(start, to_numpy(net.parameters().values))
    net.parameters().values += 1.0
    for n in range(1, 6):
        with forbid_transfers():
            average.update()
        left = factorial(n) * factorial(9) / factorial(n + 9)
        np.testing.assert_allclose(to_numpy(average.average.parameters().values), start + 1 - left, rtol=1e-12)


def test_the_decay_of_an_average_grows_up_to_the_one_that_was_asked_for():
    """(1 + t) / (10 + t) reaches .5 at t = 8; from there on every update halves what is left."""
    net = network()
    average = WeightAverage(net, decay=0.5)
    start = average.average.parameters().values.copy()
    net.parameters().values += 1.0
    left = []
    for _ in range(15):
        average.update()
        left.append((start + 1 - average.average.parameters().values).mean())
    factors = np.array(left[1:]) / left[:-1]
    np.testing.assert_allclose(factors, [min(0.5, (1 + t) / (10 + t)) for t in range(1, 15)], rtol=1e-6)


def test_an_average_restarts_from_the_networks_weights():
    net = network()
    average = WeightAverage(net)
    net.parameters().values += 1
    average.update()
    average.restart()
    assert average.t == 0
    np.testing.assert_array_equal(average.average.parameters().values, net.parameters().values)


@pytest.mark.parametrize("clip", [clip_grad_norm, clip_weights])
def test_what_clips_takes_parameters_not_a_network(clip):
    with pytest.raises(LayerError, match=f"{clip.__name__} takes the parameters, not the Sequential itself"):
        clip(network(), 1.0)


@pytest.mark.parametrize("decay", [-0.1, 1, 1.5, nan])
def test_a_decay_that_makes_no_average_is_refused(decay):
    assert WeightAverage(network(), 0).decay == 0
    with pytest.raises(ValueError, match="the decay of a moving average must be"):
        WeightAverage(network(), decay)


@each_device
def test_a_saved_average_continues_identically(device):
    """Also the count of updates, on which the decay depends."""
    net = network(device, np.float32)
    through, stopped = WeightAverage(net, 0.9), WeightAverage(net, 0.9)
    net.parameters().values += 1.0
    net[1].running_mean += 1.0
    for average in (through, stopped):
        average.update()
        average.update()
    saved = stopped.state_dict()
    assert all(isinstance(array, (np.ndarray, np.generic)) for array in saved.values())
    resumed = WeightAverage(network(device, np.float32, seed=1), 0.9)
    resumed.load_state_dict(saved)
    resumed.network = net
    through.update()
    resumed.update()
    for name, array in through.state_dict().items():
        np.testing.assert_array_equal(resumed.state_dict()[name], array, err_msg=name)


def test_a_foreign_average_is_refused_and_changes_nothing():
    average = WeightAverage(network())
    average.update()
    before = average.state_dict()
    for state in ({}, WeightAverage(Dense(2, 2)).state_dict(), network().state_dict()):
        with pytest.raises(CheckpointError):
            average.load_state_dict(state)
    for name, array in average.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@each_device
def test_average_copies_running_statistics(device):
    net = network(device, np.float32)
    average = WeightAverage(net, decay=0.9)
    net.forward(device.array(np.random.default_rng(0).normal(3, 2, (8, 3)), np.float32))
    average.update()
    for name in ("running_mean", "running_var"):
        np.testing.assert_array_equal(to_numpy(getattr(average.average[1], name)), to_numpy(getattr(net[1], name)))
        assert not np.allclose(to_numpy(getattr(net[1], name)), {"running_mean": 0, "running_var": 1}[name])


def test_the_averaged_network_is_one_of_its_own():
    """Also after an update, which copies the running statistics: neither network's training reaches the other."""
    net, x = network(), np.random.default_rng(0).normal(size=(5, 3))
    average = WeightAverage(net)
    average.update()
    before = average.average.forward(x, train=False)[0]
    run(SGD(net.parameters(), 0.1))
    net.forward(x)
    np.testing.assert_array_equal(average.average.forward(x, train=False)[0], before)
    state = net.state_dict()
    average.average.parameters().values[:] = 7
    average.average.forward(x)
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, state[name])


# Clipping


@each_device
@pytest.mark.parametrize(("max_norm", "factor"), [(1.0, 1 / 5), (5.0, 1), (100.0, 1)])
def test_clip_grad_norm(device, max_norm, factor):
    """A gradient of length 5: scaled as a whole if that is too long, else left alone."""
    parameters = network(device, np.float32).parameters()
    g = np.zeros(len(parameters), np.float32)
    g[2], g[-1] = 3, -4
    parameters.grads[:] = device.array(g)
    with forbid_transfers():
        norm = clip_grad_norm(parameters, max_norm)
    assert to_numpy(norm) == 5
    np.testing.assert_allclose(to_numpy(parameters.grads), g * factor, rtol=1e-6)
    assert parameters.grads.dtype == np.float32


def test_a_gradient_that_is_too_long_is_divided_by_a_millionth_more_than_its_length():
    """As in PyTorch: max_norm / (length + 1e-6), so that a length of 0 does no harm."""
    parameters = network().parameters()
    parameters.grads[0] = 1e-6
    clip_grad_norm(parameters, 1e-6)
    assert parameters.grads[0] == pytest.approx(0.5e-6, rel=1e-12)


def test_clip_grad_norm_of_nothing():
    parameters = network().parameters()
    assert clip_grad_norm(parameters, 1.0) == 0
    assert not parameters.grads.any()


@each_device
def test_clip_weights(device):
    net = network(device, np.float32)
    before = to_numpy(net.parameters().values).copy()
    with forbid_transfers():
        clip_weights(net.parameters(), 0.1)
    np.testing.assert_array_equal(to_numpy(net.parameters().values), before.clip(-0.1, 0.1))
    assert abs(before).max() > 0.1
    assert abs(to_numpy(net[0].W)).max() == np.float32(0.1)  # the layer sees it
