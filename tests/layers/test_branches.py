"""A layer for each of several inputs, several for one, and putting arrays beside each other."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.layers import (
    Branches,
    Concat,
    Dense,
    Dropout,
    Embedding,
    Fork,
    Layer,
    MaxPool2D,
    Parallel,
    Sequential,
    Tanh,
)
from minigan.testing import check_layer, shake, smooth_point

RNG = np.random.default_rng(0)
X, LABELS = smooth_point(RNG, (4, 3)), np.array([2, 0, 1, 2], np.uint8)


def test_every_branch_gets_its_own_input():
    dense, embedding = Dense(3, 2), Embedding(3, 5)
    y, _ = Branches(dense, embedding, None, None).forward((X, LABELS, X, LABELS))
    for found, expected in zip(y, (dense.forward(X)[0], embedding.W[LABELS], X, LABELS), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert y[3].dtype == np.uint8


def test_concat_puts_the_channels_beside_each_other():
    a, b = smooth_point(RNG, (2, 3, 4, 1)), smooth_point(RNG, (2, 3, 4, 2))
    y, cache = Concat().forward((a, b))
    np.testing.assert_array_equal(y, np.concatenate([a, b], axis=3))
    for found, expected in zip(Concat().backward(y, cache), (a, b), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_first_input_decides_the_dtype_and_every_gradient_has_its_inputs():
    y, cache = Concat().forward((X.astype(np.float32), X))
    assert y.dtype == np.float32
    assert [dx.dtype for dx in Concat().backward(y, cache)] == [np.float32, np.float64]


def test_the_beginning_of_a_conditional_gan():
    rng = np.random.default_rng(0)
    network = Sequential(Branches(None, Embedding(3, 2, rng=rng)), Concat(), Dense(5, 4, rng=rng), Tanh())
    report = check_layer(shake(network, rng), (X, LABELS))
    assert set(report.first) == {"x[0]", "0.1.W", "2.W", "2.b"}
    assert [name for name, _ in network.walk()] == ["", "0.", "0.1.", "1.", "2.", "3."]


def test_branches_within_branches():
    inner = Sequential(Branches(Tanh(), Embedding(3, 2)), Concat())
    report = check_layer(Sequential(Branches(inner, None), Concat(), Dense(8, 2)), ((X, LABELS), X))
    assert {"x[0][0]", "x[1]"} <= set(report.second)


@pytest.mark.parametrize("absent", [0, 1, 2])
def test_none_is_zero_in_a_ddx(absent):
    """P may not depend on every dx_i: then the results are those for zeros."""
    rng = np.random.default_rng(1)
    ways = [Tanh(), Sequential(Dense(3, 3, rng=rng), Tanh()), None]
    network = Sequential(Branches(*ways), Concat(), Dense(9, 2, rng=rng), Tanh()).to(dtype=np.float64)
    y, cache = network.forward((X, X, X))
    v = [rng.standard_normal(X.shape) for _ in range(3)]
    results = []
    for nothing in (np.zeros_like(X), None):
        v[absent] = nothing
        network.parameters().zero_grad()
        ddy, dx2 = network.double_backward(tuple(v), np.ones_like(y), cache)
        dx2 = [np.zeros_like(X) if entry is None else entry for entry in dx2]
        results.append([ddy, *dx2, network.parameters().grads.copy()])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-15)


def test_a_branch_without_a_gradient_is_not_called():
    class Unasked(Layer):
        def forward(self, x, train=True, rng=None):
            return x + 1, None

    network = Branches(Tanh(), Unasked())
    y, cache = network.forward((X, X))
    assert network.backward((y[0], None), cache)[1] is None
    ddy, dx2 = network.double_backward((X, None), y, cache)
    assert ddy[1] is dx2[1] is None


def test_the_dy_of_a_branch_that_is_not_called_is_checked_all_the_same():
    network = Branches(Tanh(), Embedding(3, 2))
    y, cache = network.forward((X, LABELS))
    with pytest.raises(ShapeError, match=r"dy\[1\] has shape \(1, 2\), but the output\[1\] has \(4, 2\)"):
        network.double_backward((X, None), (y[0], y[1][:1]), cache)


def test_linear_branches_have_no_dx2():
    network = Branches(Dense(3, 2), Embedding(3, 2), None)
    y, cache = network.forward((X, LABELS, X))
    assert network.double_backward((X, None, X), y, cache)[1] is None


def test_the_branches_draw_one_after_the_other():
    network = Branches(Dropout(0.5), Dropout(0.5))
    (a, b), _ = network.forward((np.ones((20, 20)),) * 2, rng=np.random.default_rng(0))
    assert (a != b).any()


@pytest.mark.parametrize(
    ("layer", "x", "sentence"),
    [
        (
            Branches(None, None),
            (X,),
            r"\(None, None\) takes a tuple of 2 arrays as its input, got a tuple of 1",
        ),
        (Branches(None), X, "takes a tuple of 1 arrays as its input, got ndarray"),
        (Concat(), X, "takes a tuple of several arrays"),
        (Concat(), (X, X[:2]), r"joins along the last axis, so the others must agree: got \[\(4, 3\), \(2, 3\)\]"),
        (Concat(), (X, LABELS), "takes float32 or float64, got uint8"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_in_a_sentence(layer, x, sentence):
    with pytest.raises(ShapeError, match=sentence):
        layer.forward(x)


def test_no_branch_at_all_is_refused():
    with pytest.raises(ValueError, match="Branches needs at least one layer"):
        Branches()


def test_parallel_ways_end_beside_each_other():
    rng = np.random.default_rng(0)
    x, first, second = rng.standard_normal((2, 3, 4)), Dense(4, 2, rng=rng), Tanh()
    y, _ = Parallel(first, second).forward(x)
    np.testing.assert_array_equal(y, np.concatenate([first.forward(x)[0], np.tanh(x)], axis=-1))
    with pytest.raises(ShapeError, match="joins along the last axis, so the others must agree"):
        Parallel(MaxPool2D(2), MaxPool2D(1)).forward(np.zeros((1, 4, 4, 1)))
    with pytest.raises(ValueError, match="at least one layer"):
        Parallel()


def test_a_fork_gives_one_x_to_all_and_adds_their_gradients():
    rng = np.random.default_rng(0)
    x, dense = rng.standard_normal((3, 4)), Dense(4, 2, rng=rng).to(dtype=np.float64)
    fork = Fork(dense, None)
    y, cache = fork.forward(x)
    np.testing.assert_array_equal(y[0], dense.forward(x)[0])
    np.testing.assert_array_equal(y[1], x)
    dy = rng.standard_normal((3, 2)), rng.standard_normal((3, 4))
    np.testing.assert_allclose(fork.backward(dy, cache), dy[0] @ dense.W.T + dy[1], rtol=1e-14)
    np.testing.assert_allclose(fork.backward((None, dy[1]), cache), dy[1], rtol=1e-14)
    assert fork.backward(dy, cache, wrt="params") is None
