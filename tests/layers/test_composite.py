"""What composites share: gradients of which None is zero, conditions, and what may be an inner layer."""

import numpy as np
import pytest

from minigan.errors import LayerError, ShapeError
from minigan.layers import Layer, ReLU
from minigan.layers.composite import Composite, Identity, add, check_layers, double_backward_of, is_zero

A, B = np.array([1.0, 2.0]), np.array([3.0, 4.0])


@pytest.mark.parametrize(
    ("a", "b", "total"),
    [
        (A, B, A + B),
        (A, None, A),
        (None, B, B),
        (None, None, None),
        ((A, None, None), (B, None, B), (A + B, None, B)),
        (((A,), B), ((B,), None), ((A + B,), B)),
        (None, (A, None), (A, None)),
    ],
)
def test_gradients_are_added_and_none_is_zero(a, b, total):
    assert str(add(a, b)) == str(total)


def test_a_sum_is_a_new_array():
    a = A.copy()
    add(a, B)[...] = 0
    assert (a == A).all()


@pytest.mark.parametrize(
    ("gradient", "zero"),
    [(None, True), ((None, (None,)), True), (np.zeros(2), False), ((None, A), False), ((None, (None, A)), False)],
)
def test_nothing_but_none_is_zero(gradient, zero):
    assert is_zero(gradient) == zero


@pytest.mark.parametrize(("ddx", "dy"), [(None, A), ((None, None), A), (A, None), (A, (None,))])
def test_a_layer_without_a_gradient_is_not_called(ddx, dy):
    assert double_backward_of(Layer(), ddx, dy, None) == (None, None)  # Layer's own raises NotImplementedError


def test_the_identity_returns_the_same_array():
    layer = Identity()
    y, cache = layer.forward(A)
    assert y is A
    assert layer.backward(B, cache) is B
    assert layer.double_backward(A, B, cache) == (A, None)
    with pytest.raises(ShapeError, match=r"ddx has shape \(1,\), but the input has \(2,\)"):
        layer.double_backward(A[:1], B, cache)


class Conditioned(Identity):
    conditional = True


def test_a_condition_goes_to_conditional_layers_of_a_conditional_composite():
    plain, conditional = Composite(Identity()), Composite(Identity())
    conditional.conditional = True
    assert conditional._join(Conditioned(), 1, 2) == (1, 2)
    assert [whole._join(layer, 1, 2) for whole in (plain, conditional) for layer in (Identity(),)] == [1, 1]
    assert plain._join(Conditioned(), 1, 2) == 1
    assert conditional._split(Conditioned(), (A, B)) == (A, B)
    assert conditional._split(Conditioned(), None) == (None, None)
    assert conditional._split(Identity(), A) == (A, None)
    assert plain._split(Conditioned(), (A, B)) == ((A, B), None)


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (ReLU, r"Pair: number 1 is the class, not a layer: write ReLU\(…\)"),
        ([ReLU()], r"Pair takes its layers one by one, not in a list: write Pair\(\*layers\)"),
        (None, "Pair: number 1 is None, which is no Layer"),
        (np.tanh, "Pair: number 1 is tanh, which is no Layer"),
    ],
)
def test_what_is_no_layer_is_named(layer, sentence):
    check_layers("Pair", ReLU(), ReLU())
    with pytest.raises(LayerError, match=sentence):
        check_layers("Pair", ReLU(), layer)
