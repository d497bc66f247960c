"""A condition that goes into several layers: its gradients are added up, to second order.

Labels have no gradient, so the condition here is a vector for every sample, as in a generator with styles.
"""

import numpy as np
import pytest
from hypothesis import given, settings

from minigan.errors import ShapeError
from minigan.layers import (
    Conditional,
    ConditionalBatchNorm,
    Dense,
    Embedding,
    Layer,
    Projection,
    Residual,
    Sequential,
    SpectralNorm,
    Tanh,
)
from minigan.testing import check_layer, check_network, shake, smooth_point
from minigan.testing.differences import along, derivative
from minigan.testing.strategies import seeds

LABELS = np.array([1, 0, 2, 1, 2])


class Modulation(Layer):
    """y = x (1 + s), s = tanh(c W), for x (N, C) and c (N, K).

    With g = 1 − s² = tanh′(c W):  dx = dy (1 + s),  dt = dy x g,  dW = cᵀ dt,  dc = dt Wᵀ.
    With v = ddx, w = ddc and q = w W, P changes as Σ v dy (1 + s) + Σ q dy x g:

        ddy = v (1 + s) + q x g        dx2 = q dy g
        through s: da = (v dy − 2 s q dy x) g, so dc2 = da Wᵀ, dW += cᵀ da; and W in dc itself: dW += wᵀ dt
    """

    conditional = True

    def __init__(self, channels, condition, *, rng):
        self.add_parameters(W=rng.standard_normal((condition, channels)).astype(np.float32))

    def forward(self, x, train=True, rng=None):
        self.check_several(x, 2)
        x, c = x
        s = np.tanh(c @ self.W.astype(c.dtype))
        return x * (1 + s), (x, c, s)

    def backward_input(self, dy, cache):
        x, _, s = cache
        return dy * (1 + s), (dy * x * (1 - s * s)) @ self.W.astype(dy.dtype).T

    def backward_params(self, dy, cache):
        x, c, s = cache
        self.dW += c.T @ (dy * x * (1 - s * s))

    def shapes(self, cache):
        x, c, _ = cache
        return (x.shape, c.shape), x.shape

    def double_backward(self, ddx, dy, cache):
        self.check_second(ddx, dy, cache)
        x, c, s = cache
        v, w = (np.zeros_like(a) if v is None else v for v, a in zip(ddx, (x, c), strict=True))
        W, g = self.W.astype(x.dtype), 1 - s * s
        q = w @ W
        da = (v * dy - 2 * s * q * dy * x) * g
        self.dW += c.T @ da + w.T @ (dy * x * g)
        return v * (1 + s) + q * x * g, (q * dy * g, da @ W.T)


class Deaf(Modulation):
    """A conditional layer that passes x on: its second derivatives at x and at c are nothing."""

    def forward(self, x, train=True, rng=None):
        x, c = x
        return x + 0, (x, c)

    def backward(self, dy, cache, wrt="both"):
        x, c = cache
        self.check_dy(dy, x.shape, wrt)
        return (dy + 0, np.zeros_like(c)) if wrt != "params" else None

    def double_backward(self, ddx, dy, cache):
        v, _ = ddx
        return np.zeros_like(dy) if v is None else v + 0, (None, None)


def test_a_conditional_layer_whose_second_derivatives_are_nothing():
    """(None, None) is as good as None, at the end, in the middle and alone."""
    rng = np.random.default_rng(0)
    make = lambda kind: kind(3, 2, rng=rng)  # noqa: E731
    for layers in ([Deaf], [Deaf, Modulation], [Modulation, Deaf], [Deaf, Deaf]):
        check_network(Conditional(*map(make, layers), Dense(3, 2, rng=rng)), inputs(rng))
    deaf = Conditional(make(Deaf))
    x, c = inputs(rng)
    y, cache = deaf.forward((x, c))
    assert deaf.double_backward((x, c), y, cache)[1] is None


def inputs(rng, C=3, K=2):
    return smooth_point(rng, (5, C)), smooth_point(rng, (5, K))


def network(rng, C=3, K=2):
    """Ordinary and conditional layers in turn, and a block within a block."""
    inner = Residual(Conditional(Tanh(), Modulation(4, K, rng=rng)))
    body = Conditional(Modulation(4, K, rng=rng), Tanh(), inner, Dense(4, 4, rng=rng))
    layers = [Dense(C, 4, rng=rng), Modulation(4, K, rng=rng), Tanh(), Residual(body, Dense(4, 4, rng=rng))]
    return shake(Conditional(*layers, Dense(4, 2, rng=rng)), rng)


def test_the_modulation_itself_is_right():
    rng = np.random.default_rng(0)
    report = check_layer(Modulation(3, 2, rng=rng), inputs(rng))
    assert set(report.second) == {"dy", "x[0]", "x[1]", "W"}


@given(seeds())
@settings(max_examples=settings().max_examples // 5)
def test_gradients_at_the_condition_are_added_up_to_second_order(seed):
    rng = np.random.default_rng(seed)
    report = check_layer(network(rng), inputs(rng), step=2e-4, entries=6)
    assert {"x[0]", "x[1]"} <= set(report.first) & set(report.second)


@pytest.mark.parametrize("shortcut", ["none", "ordinary", "conditional"])
@pytest.mark.parametrize("body", ["ordinary", "conditional"])
def test_either_way_of_a_residual_may_see_the_condition(body, shortcut):
    rng = np.random.default_rng(0)
    ways = {
        "none": lambda: None,
        "ordinary": lambda: Sequential(Dense(3, 3, rng=rng), Tanh()),
        "conditional": lambda: Conditional(Tanh(), Modulation(3, 2, rng=rng)),
    }
    block, x = Residual(ways[body](), ways[shortcut]()), inputs(rng)
    assert block.conditional == ("conditional" in (body, shortcut))
    check_layer(shake(block, rng), x if block.conditional else x[0])


BLOCKS = {
    "network": network,
    "block": lambda rng: Residual(Conditional(Tanh(), Modulation(3, 2, rng=rng))),
    "block with a layer beside it": lambda rng: Residual(Modulation(3, 2, rng=rng), Sequential(Dense(3, 3), Tanh())),
}


@pytest.mark.parametrize("make", BLOCKS.values(), ids=BLOCKS)
@pytest.mark.parametrize("absent", [0, 1])
def test_none_is_zero_in_a_ddx(make, absent):
    """A penalty on the gradient at the condition alone, or at x alone."""
    rng = np.random.default_rng(0)
    critic, x = make(rng).to(dtype=np.float64), inputs(rng)
    y, cache = critic.forward(x)
    ddx, results = [rng.standard_normal(a.shape) for a in x], []
    for nothing in (np.zeros_like(x[absent]), None):
        ddx[absent] = nothing
        critic.parameters().zero_grad()
        ddy, dx2 = critic.double_backward(tuple(ddx), np.ones_like(y), cache)
        results.append([ddy, *dx2, critic.parameters().grads.copy()])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


def penalty(critic, x):
    """mean over samples of (|∂y/∂x| − 1)² + |∂y/∂c|², with ∂penalty/∂(dx) and ∂penalty/∂(dc)."""
    y, cache = critic.forward(x)
    dy = np.ones_like(y)
    dx, dc = critic.backward(dy, cache, wrt="input")
    norm = np.sqrt((dx * dx).sum(axis=1, keepdims=True))
    value = ((norm - 1) ** 2).mean() + (dc * dc).sum() / len(dc)
    return value, (2 * (norm - 1) * dx / norm / len(dx), 2 * dc / len(dc)), dy, cache


def test_gradient_of_a_gradient_penalty_on_both():
    rng = np.random.default_rng(3)
    critic, x = network(rng).to(dtype=np.float64), inputs(rng)
    _, ddx, dy, cache = penalty(critic, x)
    _, (dx2, dc2) = critic.double_backward(ddx, dy, cache)
    moved = {**critic.parameters().named(), "x": (x[0], dx2), "c": (x[1], dc2)}
    for name, (value, grad) in moved.items():
        direction = rng.standard_normal(value.shape)
        slope = derivative(along(value, direction, lambda: penalty(critic, x)[0]), 1e-4)
        assert abs(np.vdot(grad, direction) - slope) < 1e-7 * max(1, abs(slope)), name


def conditional_critic(rng):
    body = Conditional(Dense(4, 4, rng=rng), ConditionalBatchNorm(4, 3), Tanh())
    last = Projection(SpectralNorm(Dense(4, 1, rng=rng)), SpectralNorm(Embedding(3, 4, rng=rng)))
    critic = shake(Conditional(Dense(3, 4, rng=rng), Residual(body), last), rng).to(dtype=np.float64)
    for layer in (last.dense, last.embedding):
        layer.iterate(300)
    return critic


@pytest.mark.parametrize("train", [True, False])
def test_labels_as_the_condition(train):
    rng = np.random.default_rng(0)
    critic, x = conditional_critic(rng), smooth_point(rng, (5, 3))
    report = check_network(critic, (x, LABELS), train=train)
    assert set(report.first) == {"x[0]", *critic.parameters().named()}
    y, cache = critic.forward((x, LABELS))
    assert critic.backward(y, cache)[1] is None


def counting(layer):
    """A copy of a layer's class that notes the wrt of each backward."""
    calls = []

    class Counted(type(layer)):
        def backward(self, dy, cache, wrt="both"):
            calls.append(wrt)
            return super().backward(dy, cache, wrt)

    layer.__class__ = Counted
    return calls


def test_backward_keeps_the_inner_dys_for_double_backward():
    rng = np.random.default_rng(0)
    net, x = Conditional(Modulation(3, 2, rng=rng), Tanh(), Dense(3, 3)), inputs(rng)
    calls, dy = counting(net[1]), np.ones((5, 3))
    _, cache = net.forward(x)
    net.backward(dy, cache, wrt="input")
    net.double_backward(x, dy, cache)
    assert calls == ["input"]
    expected = Conditional(*net.layers).double_backward(x, dy + 1, net.forward(x)[1])
    found = net.double_backward(x, dy + 1, cache)  # another dy: the kept ones are stale
    np.testing.assert_array_equal(found[0], expected[0])
    assert calls == ["input"] * 3


def test_with_wrt_params_no_gradient_is_computed_that_nobody_asked_for():
    rng = np.random.default_rng(0)
    layers = [Tanh(), Modulation(3, 2, rng=rng), Tanh(), Dense(3, 3)]
    asked = [counting(layer) for layer in layers]
    net = Conditional(*layers)
    y, cache = net.forward(inputs(rng))
    assert net.backward(y, cache, wrt="params") is None
    assert asked == [[], ["params"], ["both"], ["both"]]


def test_names_and_constructor_are_those_of_a_sequence():
    net = Conditional(Dense(3, 3), ConditionalBatchNorm(3, 5))
    assert repr(net) == "Conditional(Dense(3, 3), ConditionalBatchNorm(3, 5))"
    assert [name for name, _ in net.walk()] == ["", "0.", "1.", "1.norm.", "1.affine."]
    assert net[1] is net.layers[1]
    assert not Sequential(net).conditional


def test_a_condition_that_nobody_takes_or_nobody_gives_is_refused():
    with pytest.raises(ValueError, match="none of these layers takes a condition: use a Sequential"):
        Conditional(Dense(3, 3), Tanh())
    for layer in (Conditional(ConditionalBatchNorm(3, 3)), Residual(Conditional(ConditionalBatchNorm(3, 3)))):
        with pytest.raises(ShapeError, match="takes a tuple of 2 arrays as its input, got ndarray"):
            layer.forward(np.ones((5, 3)))
