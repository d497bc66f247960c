"""Path length: its value on paper, and its gradient in every parameter of G and in w by differences."""

import numpy as np
import pytest

from minigan.backend import to_numpy
from minigan.gans.style_networks import Synthesis
from minigan.layers import Dense, Reshape, Sequential, Tanh
from minigan.penalties import PathLength
from minigan.testing import STRICT, forbid_transfers, shake
from minigan.testing.networks import check_entries
from minigan.testing.rounding import Written

RNG = np.random.default_rng(0)


def linear(A):
    """G(w) = w A, pictures of 2×2 pixels with one channel."""
    G = Sequential(Reshape(len(A)), Dense(len(A), 4, bias=False), Reshape(2, 2, 1)).to(dtype=np.float64)
    G[1].W = A
    return G


def test_the_value_on_paper():
    """J = A y, whatever w is; here the pixels of y have the standard deviation 1/√(2·2)."""
    A, a = RNG.standard_normal((3, 4)), np.full((), 0.5)
    y = np.random.default_rng(1).standard_normal((5, 4)) / 2
    lengths = np.linalg.norm(y @ A.T, axis=1)
    value, mean, dw = PathLength(3.0)(linear(A), RNG.standard_normal((5, 3)), a, np.random.default_rng(1))
    assert mean == pytest.approx(lengths.mean(), rel=1e-12)
    assert a == pytest.approx(0.99 * 0.5 + 0.01 * lengths.mean(), rel=1e-12)
    assert value == pytest.approx(3 * np.mean((lengths - a) ** 2), rel=1e-12)
    assert not dw.any()  # a linear G changes equally everywhere


def test_layers_are_averaged():
    """Two layers that do the same as one layer's w: ‖J‖² of each is the same, and so is their mean."""
    A, a = RNG.standard_normal((3, 4)), np.zeros(())
    one, _, _ = PathLength()(linear(A), RNG.standard_normal((5, 3)), a.copy(), np.random.default_rng(1))
    two, _, _ = PathLength()(
        linear(np.concatenate([A, A])), RNG.standard_normal((5, 2, 3)), a.copy(), np.random.default_rng(1)
    )
    assert two == pytest.approx(one, rel=1e-12)


def test_a_generator_that_depends_on_nothing_has_length_zero():
    value, mean, dw = PathLength(2.0)(linear(np.zeros((3, 4))), RNG.standard_normal((5, 3)), np.zeros(()), RNG)
    assert value == mean == 0 and not dw.any()


def bent():
    return Sequential(Dense(3, 6, rng=RNG), Tanh(), Dense(6, 4, rng=RNG), Reshape(2, 2, 1)), (4, 3)


@pytest.mark.parametrize("make", [bent, lambda: (Synthesis((8, 8, 2), 3, 2, 3, rng=RNG), (3, 4, 3))])
def test_the_gradient_in_every_parameter_and_in_w(make):
    G, shape = make()
    shake(G, RNG).to(dtype=np.float64)
    w, penalty = RNG.standard_normal(shape), PathLength(2.0, rate=0.0)

    def evaluate():
        return penalty(G, w, np.full((), 0.3), np.random.default_rng(5))

    def gradients():
        G.parameters().zero_grad()
        dw = evaluate()[2]
        return {name: gradient.copy() for name, (_, gradient) in G.parameters().named().items()} | {"w": dw}

    moved = {name: values for name, (values, _) in G.parameters().named().items()} | {"w": w}
    written = Written(gradients, moved, lambda: np.asarray(evaluate()[0]), np.ones(()), 1e-6, RNG)
    errors = check_entries(written, "path length", entries=3, step=1e-5, rng=RNG)
    assert max(errors.values()) < 1e-6 and "w" in errors
    learns = {name for name, gradient in gradients().items() if gradient.any()}
    assert {name for name in moved if name.endswith("W")} <= learns


def test_it_would_run_on_a_gpu():
    G, w = Synthesis((8, 8, 1), 3, 2, 3, rng=RNG).to(STRICT), STRICT.array(RNG.standard_normal((2, 4, 3)), np.float32)
    with forbid_transfers():
        value, mean, dw = PathLength()(G, w, STRICT.array(np.zeros(()), np.float32), STRICT.rng(0))
    assert all(np.isfinite(to_numpy(array)).all() for array in (value, mean, dw))


def test_its_words():
    assert repr(PathLength(2.0)) == "PathLength(2, rate=0.01)"
    with pytest.raises(ValueError, match="weight is -1"):
        PathLength(-1.0)
    with pytest.raises(ValueError, match="rate is -1"):
        PathLength(1.0, -1.0)
