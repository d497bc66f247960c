"""Self-attention: what it computes, and its gradients to second order. In critics with a penalty: tests/penalties."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.layers import DotProductAttention, Gain, SelfAttention, SpectralNorm
from minigan.testing import check_layer, shake, smooth_point
from minigan.testing.points import apart

RNG = np.random.default_rng(0)
IDENTITY = np.eye(2)[None]


def test_an_example_by_hand():
    """Two queries, two keys: with logits 0 and ln 3 the weights are 1/4 and 3/4."""
    Q = np.array([[[0.0], [np.log(3)]]])
    K, V = np.array([[[0.0], [1.0]]]), np.array([[[4.0, 0.0], [8.0, 4.0]]])
    O, cache = DotProductAttention().forward((Q, K, V))
    np.testing.assert_allclose(O, [[[6, 2], [7, 3]]], rtol=1e-14)
    dQ, dK, dV = DotProductAttention().backward(np.array([[[0.0, 0.0], [1.0, 0.0]]]), cache)
    # of the second query: dA = (4, 8), ⟨dA, A⟩ = 7, dS = (1/4·(4 − 7), 3/4·(8 − 7)) = (−3/4, 3/4)
    np.testing.assert_allclose(dQ, [[[0], [0.75]]], atol=1e-15)
    np.testing.assert_allclose(dK, np.log(3) * np.array([[[-0.75], [0.75]]]), rtol=1e-14)
    np.testing.assert_allclose(dV, [[[0.25, 0], [0.75, 0]]], rtol=1e-14)


def test_one_formula_for_all_pixels():
    """Written out with einsum, in another order of the products."""
    layer = shake(SelfAttention(16, rng=RNG), RNG).to(dtype=np.float64)
    x = RNG.standard_normal((2, 4, 6, 16))
    weights = [conv.W[0, 0] for conv in (layer.theta, layer.phi[0], layer.g[0], layer.o)]
    theta, phi, g = (np.einsum("nijc,ck->nijk", x, W) for W in weights[:3])
    phi, g = (a.reshape(2, 2, 2, 3, 2, -1).max(axis=(2, 4)) for a in (phi, g))
    logits = np.einsum("nijd,nkld->nijkl", theta, phi)
    beta = np.exp(logits) / np.exp(logits).sum(axis=(3, 4), keepdims=True)
    y = x + layer.gain.gamma * np.einsum("nijkl,nkle,ec->nijc", beta, g, weights[3])
    np.testing.assert_allclose(layer.forward(x)[0], y, rtol=1e-12, atol=1e-13)
    assert [conv.out_channels for conv in (layer.theta, layer.phi[0], layer.g[0], layer.o)] == [2, 2, 8, 16]


def test_a_single_channel_is_enough():
    layer = SelfAttention(1, rng=RNG)
    assert [conv.out_channels for conv in (layer.theta, layer.phi[0], layer.g[0], layer.o)] == [1, 1, 1, 1]


def test_it_begins_as_the_identity_and_the_first_gradient_is_that_of_gamma():
    layer = SelfAttention(8, rng=RNG).to(dtype=np.float64)
    x = RNG.standard_normal((2, 4, 4, 8))
    y, cache = layer.forward(x)
    np.testing.assert_array_equal(y, x)
    layer.backward(x, cache)
    named = layer.parameters().named()
    assert {name for name, (_, gradient) in named.items() if gradient.any()} == {"body.3.gamma"}


def test_a_pixel_far_away_matters():
    layer = shake(SelfAttention(8, rng=RNG), RNG)
    x = RNG.standard_normal((1, 16, 16, 8)).astype(np.float32)
    y, cache = layer.forward(x)
    dy = np.zeros_like(y)
    dy[0, 0, 0] = 1
    assert layer.backward(dy, cache)[0, 8:, 8:].any()


def test_large_logits_do_not_overflow():
    Q = np.full((1, 2, 1), 1e4, np.float32)
    O, _ = DotProductAttention().forward((Q, np.array([[[1], [-1]]], np.float32), IDENTITY.astype(np.float32)))
    np.testing.assert_array_equal(O, [[[1, 0], [1, 0]]])


@pytest.mark.parametrize("wrapped", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["plain", "normalized"])
def test_gradients_to_second_order(wrapped):
    """All channels are one picture, whose pixels differ, and pooled weights are positive: no window has a tie."""
    rng = np.random.default_rng(1)
    normalized = {"wrap": lambda conv: SpectralNorm(conv, rng=rng)} if wrapped else {}
    layer = shake(SelfAttention(2, **normalized, rng=rng), rng)
    for pooled in (layer.phi, layer.g):
        conv = pooled[0].layer if wrapped else pooled[0]
        conv.W = 0.2 + abs(conv.W)
    layer.to(dtype=np.float64)
    x = apart(rng, (2, 2, 4, 1)).repeat(2, axis=3)
    report = check_layer(layer, x, train=not wrapped)
    weight = "layer.W" if wrapped else "W"
    names = {f"body.0.0.{weight}", f"body.0.1.0.{weight}", f"body.0.2.0.{weight}", f"body.2.{weight}", "body.3.gamma"}
    assert {"x", *names} <= set(report.first)
    assert {"x", "dy", *names} <= set(report.second)


@pytest.mark.parametrize("absent", [0, 1, 2])
def test_none_is_zero_in_a_ddx(absent):
    layer = DotProductAttention()
    x = tuple(smooth_point(RNG, (2, n, c)) for n, c in ((3, 2), (4, 2), (4, 5)))
    y, cache = layer.forward(x)
    v = [RNG.standard_normal(entry.shape) for entry in x]
    results = []
    for nothing in (np.zeros_like(x[absent]), None):
        v[absent] = nothing
        ddy, dx2 = layer.double_backward(tuple(v), y, cache)
        results.append([ddy, *dx2])
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_gain_is_one_number():
    layer = Gain(3.0).to(dtype=np.float64)
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    y, cache = layer.forward(x)
    np.testing.assert_array_equal(y, 3 * x)
    np.testing.assert_array_equal(layer.backward(np.ones_like(x), cache), np.full((2, 2), 3.0))
    assert layer.dgamma == [10]


Q, K, V = (np.zeros((2, *shape)) for shape in ((3, 4), (5, 4), (5, 6)))


@pytest.mark.parametrize(
    "x", [(Q, K[:1], V), (Q, K, V[:, :4]), (Q[..., :3], K, V), (Q[0], K[0], V[0])], ids=["samples", "values", "d", "2d"]
)
def test_what_does_not_belong_together_is_refused(x):
    with pytest.raises(ShapeError, match=r"takes queries \(N, …, d\), keys \(N, …, d\) and values \(N, …, e\) of them"):
        DotProductAttention().forward(x)


def test_a_picture_of_one_pixel_cannot_be_pooled():
    with pytest.raises(ShapeError, match="the kernel is larger"):
        SelfAttention(8).forward(np.zeros((1, 1, 1, 8)))
