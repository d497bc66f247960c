"""Sequential and Residual: chain rule, kept dys, and a gradient penalty in four sweeps."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.layers import Conv2D, Dense, LeakyReLU, ReLU, Residual, Sequential, Tanh
from minigan.testing import shake, smooth_point
from minigan.testing.differences import along, derivative


def make_critic(*, seed=0):
    rng = np.random.default_rng(seed)
    critic = Sequential(Dense(3, 5, rng=rng), Tanh(), Dense(5, 4, rng=rng), Tanh(), Dense(4, 1, rng=rng))
    return shake(critic, rng).to(dtype=np.float64)


def penalty(critic, x):
    """mean over samples of (|∂y/∂x| − 1)², with ∂penalty/∂(dx)."""
    y, cache = critic.forward(x)
    dy = np.ones_like(y)
    dx = critic.backward(dy, cache, wrt="input")
    norm = np.sqrt((dx * dx).sum(axis=1, keepdims=True))
    return ((norm - 1) ** 2).mean(), 2 * (norm - 1) * dx / norm / len(x), dy, cache


def test_gradient_of_a_gradient_penalty():
    critic, x = make_critic(), smooth_point(np.random.default_rng(1), (4, 3))
    _, ddx, dy, cache = penalty(critic, x)
    _, dx2 = critic.double_backward(ddx, dy, cache)
    for name, (value, grad) in {**critic.parameters().named(), "x": (x, dx2)}.items():
        direction = np.random.default_rng(2).standard_normal(value.shape)
        slope = derivative(along(value, direction, lambda: penalty(critic, x)[0]), 1e-3)
        assert abs(np.vdot(grad, direction) - slope) < 1e-9, name


def test_backward_keeps_the_inner_dys_for_double_backward():
    calls = []

    class Counted(Tanh):
        def backward(self, dy, cache, wrt="both"):
            calls.append(wrt)
            return super().backward(dy, cache, wrt)

    net, x = Sequential(Counted()), np.ones((1, 2))
    dy = np.ones((1, 2))
    _, cache = net.forward(x)
    net.backward(dy, cache, wrt="input")
    net.double_backward(x, dy, cache)
    assert calls == ["input"]
    net.double_backward(x, dy + 1, cache)  # another dy: the kept ones are stale
    assert calls == ["input"] * 2


def test_a_stale_dy_is_not_used():
    critic, x = make_critic(), smooth_point(np.random.default_rng(1), (4, 3))
    y, cache = critic.forward(x)
    expected = critic.double_backward(x, 3 * np.ones_like(y), cache)
    critic.backward(np.ones_like(y), cache, wrt="input")
    for one, other in zip(expected, critic.double_backward(x, 3 * np.ones_like(y), cache), strict=True):
        np.testing.assert_array_equal(one, other)


def test_piecewise_linear_networks_have_no_dx2():
    net = Sequential(Dense(3, 4), LeakyReLU(), Residual(Sequential(Dense(4, 4), ReLU())), Dense(4, 1))
    x = np.ones((2, 3))
    y, cache = net.forward(x)
    assert net.double_backward(x, np.ones_like(y), cache)[1] is None


def test_with_wrt_params_no_gradient_is_computed_that_nobody_asked_for():
    asked = {}

    class Spy(Dense):
        def __init__(self, name):
            super().__init__(2, 2)
            self.name = name

        def backward(self, dy, cache, wrt="both"):
            asked[self.name] = wrt
            return super().backward(dy, cache, wrt)

    class Unasked(Tanh):
        def backward(self, dy, cache, wrt="both"):
            raise AssertionError("below the first layer with parameters")

    net = Sequential(Unasked(), Spy("first"), Tanh(), Spy("last"))
    y, cache = net.forward(np.ones((2, 2)))
    assert net.backward(y + 1, cache, wrt="params") is None
    assert asked == {"first": "params", "last": "both"}


def test_sequences_have_a_length_items_and_a_constructor_to_show():
    net = Sequential(Dense(3, 4, bias=False), Conv2D(1, 2, 3, stride=2), Residual(Tanh()), LeakyReLU())
    assert len(net) == 4
    assert isinstance(net[1], Conv2D)
    assert repr(net) == (
        "Sequential(Dense(3, 4, bias=False), Conv2D(1, 2, 3, stride=2), Residual(Tanh()), LeakyReLU())"
    )
    assert [name for name, _ in net.walk()] == ["", "0.", "1.", "2.", "2.body.", "3."]


def test_ways_that_end_in_different_shapes_are_refused():
    with pytest.raises(ShapeError, match=r"the body gives \(2, 4\), the shortcut \(2, 3\)"):
        Residual(Dense(3, 4)).forward(np.ones((2, 3)))


def test_an_empty_sequence_is_refused():
    with pytest.raises(ValueError, match="at least one layer"):
        Sequential()
