"""A skip connection: x beside what a body makes of it; the gradients of both paths are added."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.layers import AvgPool2D, Dense, Parallel, Sequential, Skip, Tanh, Upsample

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 4, 6, 3))


def test_x_is_beside_what_the_body_makes_of_it():
    body = Dense(3, 2, rng=RNG)
    y, _ = Skip(body).forward(X)
    np.testing.assert_array_equal(y[..., :3], X)
    np.testing.assert_array_equal(y[..., 3:], body.forward(X)[0])
    np.testing.assert_array_equal(Skip(body).output(X), y)


def test_the_gradients_of_both_paths_are_added():
    body = Dense(3, 2, rng=RNG).to(dtype=np.float64)
    y, cache = Skip(body).forward(X)
    dy = RNG.standard_normal(y.shape)
    np.testing.assert_allclose(Skip(body).backward(dy, cache), dy[..., :3] + dy[..., 3:] @ body.W.T, rtol=1e-12)


def test_it_is_a_parallel_of_the_identity_and_the_body():
    body = Sequential(Dense(3, 3, rng=RNG), Tanh()).to(dtype=np.float64)
    results = []
    for layer in (Skip(body), Parallel(None, body)):
        y, cache = layer.forward(X)
        body.parameters().zero_grad()
        dx = layer.backward(y, cache, wrt="input")
        results.append([y, dx, *layer.double_backward(X, y, cache), body.parameters().grads.copy()])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13)


def test_only_what_is_asked_for_is_computed():
    body = Dense(3, 2, rng=RNG)
    y, cache = Skip(body).forward(X)
    assert Skip(body).backward(y, cache, wrt="params") is None
    assert body.dW.any()
    body.dW[...] = 0
    Skip(body).backward(y, cache, wrt="input")
    assert not body.dW.any()


def test_the_body_is_called_so_in_the_names_of_parameters():
    assert list(Skip(Sequential(Dense(3, 2))).parameters().named()) == ["body.0.W", "body.0.b"]
    assert repr(Skip(Tanh())) == "Skip(Tanh())"


def test_a_body_that_changes_the_size_is_refused_in_a_sentence():
    halved = Skip(Sequential(AvgPool2D(2), Upsample(2)))
    assert halved.forward(X)[0].shape == (2, 4, 6, 6)
    for pass_ in (halved.forward, halved.output):
        with pytest.raises(ShapeError, match=r"x \(2, 4, 5, 3\) with its body's output \(2, 4, 4, 3\): .* multiples"):
            pass_(X[:, :, :5])
