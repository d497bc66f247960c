"""Networks that are cut and chained: who owns a layer, several gradients over one pass, a penalty across a cut."""

import copy

import numpy as np
import pytest

from minigan.errors import LayerError
from minigan.layers import Conv2D, Dense, Flatten, LeakyReLU, Sequential, Tanh
from minigan.optim import Adam
from minigan.penalties import R1
from minigan.testing import standard_cases
from minigan.testing.call import Call


def cases():
    """One of the standard cases for each kind of layer."""
    return {type(case.layer).__name__: case for case in reversed(standard_cases())}.values()


def test_a_layer_belongs_to_one_network():
    shared = Dense(3, 3)
    Sequential(Dense(2, 3), shared).parameters()
    with pytest.raises(LayerError, match="a layer belongs to one"):
        Sequential(shared, Dense(3, 1)).parameters()


@pytest.mark.parametrize("case", cases(), ids=lambda case: type(case.layer).__name__)
def test_several_gradients_go_back_through_one_pass(case):
    """In either order, also after the gradient of a penalty, each gives the input gradient that it gives alone."""
    call = Call(case.layer, case.x, case.train, seed=0)

    def fresh(*sweeps):
        """What each sweep in turn returns, and the gradients that they leave, over the cache of one pass."""
        _, call.cache = call.forward()
        call.zero_grad()
        return [sweep() for sweep in sweeps], call.grads.copy()

    def back(wrt="both"):
        return call.layer.backward(call.dy, call.cache, wrt)

    def again():
        call.layer.backward(call.dy, call.cache, "input")
        return call.layer.double_backward(call.ddx, call.dy, call.cache)

    (alone,), once = fresh(back)
    _, penalty = fresh(again)
    (first, _, second, _), both = fresh(back, again, back, lambda: back("input"))
    same(first, alone)
    same(second, alone)
    np.testing.assert_allclose(both, 2 * once + penalty, rtol=1e-9, atol=1e-9)


def same(a, b):
    if isinstance(a, tuple):
        for one, other in zip(a, b, strict=True):
            same(one, other)
    elif a is not None:
        np.testing.assert_array_equal(a, b)


def networks(seed):
    """The features and the verdict of a critic, in float64."""
    rng = np.random.default_rng(seed)
    features = Sequential(Conv2D(1, 3, 3, padding=1, rng=rng), LeakyReLU(0.2), Flatten(), Dense(48, 5, rng=rng), Tanh())
    verdict = Sequential(Dense(5, 4, rng=rng), Tanh(), Dense(4, 1, rng=rng))
    return features.to(dtype=np.float64), verdict.to(dtype=np.float64)


def test_a_chain_of_networks_serves_a_penalty_and_each_learns_with_its_own_optimizer():
    real = np.random.default_rng(1).standard_normal((3, 4, 4, 1))
    features, verdict = networks(0)
    optimizers = [Adam(network.parameters(), 1e-2) for network in (features, verdict)]
    vectors = [network.parameters().values for network in (features, verdict)]
    whole = Sequential(*(copy.deepcopy(layer) for network in (features, verdict) for layer in network.layers))
    value = R1()(Sequential(features, verdict), real, None, None)
    assert value == R1()(whole, real, None, None)
    cut = np.concatenate([network.parameters().grads for network in (features, verdict)])
    np.testing.assert_allclose(cut, whole.parameters().grads, rtol=1e-12)

    for optimizer, network, vector in zip(optimizers, (features, verdict), vectors, strict=True):
        before = vector.copy()
        optimizer.step()
        assert network.parameters().values is vector and (vector != before).any()


def test_a_loss_in_the_middle_and_one_at_the_end_meet_where_the_network_is_cut():
    """The gradient in the features is the sum of that from the verdict and that of a loss on the features."""
    x = np.random.default_rng(1).standard_normal((3, 4, 4, 1))
    features, verdict = networks(0)
    weights = features.parameters()

    def loss():
        f = features.output(x)
        return verdict.output(f).sum() + (f * f).sum() / 2

    f, f_cache = features.forward(x)
    logits, cache = verdict.forward(f)
    features.backward(verdict.backward(np.ones_like(logits), cache, wrt="input") + f, f_cache, wrt="params")
    direction = np.random.default_rng(2).standard_normal(len(weights.values))
    ends = []
    for h in (1e-6, -2e-6):
        weights.values += h * direction
        ends.append(loss())
    weights.values += 1e-6 * direction
    assert weights.grads @ direction == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6)
    assert not verdict.parameters().grads.any()
