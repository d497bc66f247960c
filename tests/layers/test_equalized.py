"""The equalized learning rate: the constants, what is stored, and that Adam's step is the same part of every layer."""

import copy

import numpy as np
import pytest

from minigan.layers import Conv2D, ConvTranspose2D, Dense, Embedding, Equalized, Flatten, LeakyReLU, Sequential
from minigan.optim import Adam
from minigan.training.summary import PassCounter

WRAPPED = [
    (Dense(6, 4), 6, (5, 6)),
    (Conv2D(2, 3, 4, stride=2, padding=1), 4 * 4 * 2, (2, 6, 4, 2)),
    (Conv2D(4, 6, (3, 1), groups=2), 3 * 2, (2, 6, 5, 4)),
    (ConvTranspose2D(4, 6, 2, groups=2), 2 * 2 * 2, (2, 2, 3, 4)),
]


@pytest.mark.parametrize(("layer", "fan_in", "x_shape"), WRAPPED, ids=lambda p: repr(p))
@pytest.mark.parametrize(("gain", "multiplier", "bias"), [(1, 1, 0), (np.sqrt(2), 0.01, 0.5)])
def test_it_is_the_layer_with_scaled_weights(layer, fan_in, x_shape, gain, multiplier, bias):
    """y, dx and ddy are those of a layer with W = c V and b = m a; dV and da are its gradients times c and m."""
    rng = np.random.default_rng(0)
    wrapped = Equalized(copy.deepcopy(layer), gain, multiplier, bias, rng=rng).to(dtype=np.float64)
    plain, stored = copy.deepcopy(layer).to(dtype=np.float64), wrapped.layer
    assert stored.b == pytest.approx(bias / multiplier)
    stored.b[...] += rng.standard_normal(stored.b.shape)
    c = gain * multiplier / np.sqrt(fan_in)
    plain.W, plain.b = c * stored.W, multiplier * stored.b
    x, ddx = rng.standard_normal((2, *x_shape))
    (y, cache), (expected, plain_cache) = wrapped.forward(x), plain.forward(x)
    found = [y, wrapped.backward(y, cache), *wrapped.double_backward(ddx, y, cache)]
    theirs = [expected, plain.backward(expected, plain_cache), *plain.double_backward(ddx, expected, plain_cache)]
    for ours, other in zip(found[:3], theirs[:3], strict=True):
        np.testing.assert_allclose(ours, other, rtol=1e-12, atol=1e-12)
    assert found[3] is None and theirs[3] is None
    np.testing.assert_allclose(stored.dW, c * plain.dW, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(stored.db, multiplier * plain.db, rtol=1e-10, atol=1e-12)


def test_stored_weights_are_drawn_with_variance_1_over_m_squared():
    wrapped = Equalized(Dense(200, 100), 2.0, 0.01, rng=np.random.default_rng(0))
    assert wrapped.layer.W.std() == pytest.approx(100, rel=0.02)
    x = np.random.default_rng(1).standard_normal((300, 200)).astype(np.float32)
    assert wrapped.output(x).std() == pytest.approx(2, rel=0.05)  # the gain


def test_adam_changes_every_layer_by_the_same_part():
    """The first step of Adam is ±lr in every number: lr·m of V's size, however many inputs a layer has."""
    for n, multiplier in ((4, 1), (400, 1), (400, 0.01)):
        network = Equalized(Dense(n, 50), lr_multiplier=multiplier, rng=np.random.default_rng(0))
        before, optimizer = network.layer.W.copy(), Adam(network.parameters(), 1e-3)
        y, cache = network.forward(np.random.default_rng(1).standard_normal((8, n)).astype(np.float32))
        network.backward(y, cache)
        optimizer.step()
        part = np.linalg.norm(network.layer.W - before) / np.linalg.norm(before)
        assert part == pytest.approx(1e-3 * multiplier, rel=0.1)


def test_passes_over_real_and_fake_are_alive_together():
    """Each goes back through the W that it went up with, though V changed since."""
    x = np.random.default_rng(0).standard_normal((5, 6))

    def gradients(disturb):
        wrapped = Equalized(Dense(6, 4), 2.0, 0.5, rng=np.random.default_rng(1))
        y, cache = wrapped.forward(x)
        if disturb:
            wrapped.parameters().values[...] *= 2
            wrapped.forward(2 * x)
        return [wrapped.backward(y, cache), wrapped.double_backward(x, y, cache)[0], wrapped.parameters().grads]

    for found, expected in zip(gradients(True), gradients(False), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_gradient_of_the_input_does_not_pay_for_that_of_the_weight():
    wrapped = Equalized(Dense(6, 4))
    y, cache = wrapped.forward(np.ones((2, 6)))
    wrapped._add_gradients = None  # calling it would fail
    wrapped.backward(y, cache, wrt="input")
    with pytest.raises(TypeError):
        wrapped.backward(y, cache)


def test_a_dry_run_counts_the_inner_layer_once():
    class Gan:
        networks = {"D": Sequential(Equalized(Conv2D(2, 3, 3)), LeakyReLU(), Flatten(), Equalized(Dense(12, 1)))}

    D, watch = Gan.networks["D"], PassCounter(Gan)
    x = np.random.default_rng(0).standard_normal((2, 4, 4, 2))
    y, cache = D.forward(x)
    D.backward(y, cache)
    D.double_backward(x, y, cache)
    watch.close()
    macs = 2 * (2 * 2 * 3 * 9 * 2 + 12)
    assert watch.macs["D", "forward"] == macs
    assert watch.macs["D", "backward (both)"] == 2 * macs


def test_float64_input_is_computed_in_float64_whatever_the_weights_are():
    wrapped, x = Equalized(Dense(6, 4), rng=np.random.default_rng(0)), np.random.default_rng(1).standard_normal((3, 6))
    assert wrapped.layer.W.dtype == np.float32
    y, _ = wrapped.forward(x)
    np.testing.assert_allclose(y, x @ wrapped.layer.W.astype(np.float64) / np.sqrt(6), rtol=1e-14)


def test_what_the_inner_layer_adds_to_the_gradient_of_its_input_is_handed_on():
    class Marked(Dense):
        def double_backward(self, ddx, dy, cache):
            return super().double_backward(ddx, dy, cache)[0], ddx + 1

    wrapped, x = Equalized(Marked(3, 2, bias=False)), np.ones((1, 3))
    y, cache = wrapped.forward(x)
    np.testing.assert_array_equal(wrapped.double_backward(x, y, cache)[1], x + 1)


def test_what_can_not_be_equalized_is_refused_in_a_sentence():
    for layer in (LeakyReLU(0.2), Embedding(3, 4), Equalized(Dense(2, 3))):
        with pytest.raises(ValueError, match="can't be equalized: wrap the Dense, Conv2D or ConvTranspose2D itself"):
            Equalized(layer)
    for gain, multiplier in ((0, 1), (1, 0), (np.nan, 1), (1, -1)):
        with pytest.raises(ValueError, match="both must be more than 0"):
            Equalized(Dense(2, 3), gain, multiplier)


def test_it_shows_as_it_is_called():
    assert repr(Equalized(Dense(2, 3))) == "Equalized(Dense(2, 3))"
    assert (
        repr(Equalized(Dense(2, 3), 2.0, 0.01, 1)) == "Equalized(Dense(2, 3), gain=2.0, lr_multiplier=0.01, bias=1.0)"
    )
