"""Whatever a layer can't take is refused by that layer, under its own name, and not somewhere inside of it."""

import re

import numpy as np
import pytest

from minigan.errors import LayerError, ShapeError
from minigan.layers import (
    Branches,
    Conditional,
    ConditionalBatchNorm,
    Dense,
    Embedding,
    Equalized,
    Fade,
    Fork,
    Parallel,
    Projection,
    Residual,
    Sequential,
    SpectralNorm,
)
from minigan.testing import standard_cases
from minigan.testing.call import Call
from minigan.testing.several import each, floats, is_float

CONTAINERS = (
    Branches,
    Conditional,
    Fade,
    Fork,
    Parallel,
    Residual,
    Sequential,
)  # they leave it to the first layer inside
CASES = list({type(case.layer): case for case in standard_cases() if not isinstance(case.layer, CONTAINERS)}.values())
each_layer = pytest.mark.parametrize("case", CASES, ids=lambda case: type(case.layer).__name__)


def refused(layer, call):
    name = (
        re.escape(repr(layer)) if not isinstance(layer, (Equalized, SpectralNorm)) else ""
    )  # the layer inside speaks for it
    return pytest.raises(ShapeError, match=f"^{name}")


@each_layer
@pytest.mark.parametrize("verb", ["forward", "output"])
def test_what_is_no_array_of_floats(case, verb):
    layer, kinds = case.layer, [lambda a: a.tolist(), lambda a: a.astype(np.int32), lambda a: a.astype(np.float16)]
    for other in kinds:
        if floats("x", case.x):
            with refused(layer, verb):
                getattr(layer, verb)(each(lambda a, other=other: other(a) if is_float(a) else a, case.x), False)


def test_a_single_number_as_the_input_of_a_conditional_norm():
    with pytest.raises(ShapeError, match=r"^BatchNorm\(2, affine=False\) takes"):
        ConditionalBatchNorm(2, 3).forward((np.array(1.0), np.array([0])))


@each_layer
def test_gradients_of_another_shape_or_kind(case):
    call = Call(case.layer, case.x, False, 0)
    layer, (_, cache) = call.layer, call.forward()
    for other in (lambda a: a[None], lambda a: a.tolist()):
        wrong = lambda a, other=other: other(a) if is_float(a) else a  # noqa: E731
        with refused(layer, "backward"):
            layer.backward(each(wrong, call.dy), cache)
        with refused(layer, "double_backward"):
            layer.double_backward(call.ddx, each(wrong, call.dy), cache)
        if floats("ddx", call.ddx):
            with refused(layer, "double_backward"):
                layer.double_backward(each(wrong, call.ddx), call.dy, cache)


def test_labels_that_are_a_list():
    with pytest.raises(ShapeError, match=r"^Embedding\(3, 4\) takes an array as its labels"):
        Embedding(3, 4).forward([0, 1])


def test_what_passes_through_a_branch_unchanged():
    with pytest.raises(ShapeError, match="^Identity\\(\\) takes an array as its input"):
        Branches(None, Dense(2, 3)).forward(([1.0, 2.0], np.ones((4, 2))))


def test_a_sum_of_two_paths_names_itself():
    layer = Residual(Dense(2, 3), Dense(2, 3))
    _, cache = layer.forward(np.ones((4, 2)))
    with pytest.raises(ShapeError, match=f"^{re.escape(repr(layer))}: dy has shape"):
        layer.backward(np.ones((4, 1)), cache)
    with pytest.raises(ShapeError, match=f"^{re.escape(repr(layer))}: dy has shape"):
        layer.double_backward(np.ones((4, 2)), np.ones((4, 1)), cache)


def test_gradients_with_more_channels_than_all_paths_together():
    layer = Parallel(Dense(2, 3), Dense(2, 1))
    _, cache = layer.forward(np.ones((4, 2)))
    with pytest.raises(ShapeError, match=r"dy has shape \(4, 5\), but the output has \(4, 4\)"):
        layer.backward(np.ones((4, 5)), cache)
    with pytest.raises(ShapeError, match=r"dy has shape \(4, 5\)"):
        layer.double_backward(np.ones((4, 2)), np.ones((4, 5)), cache)


@pytest.mark.parametrize("make", [Conditional, Residual])
@pytest.mark.parametrize("verb", ["forward", "output"])
def test_a_condition_too_many_or_none(make, verb):
    layer, h = make(Projection(Dense(1, 1), Embedding(3, 1))), np.ones((2, 1))
    for wrong in (h, (h,), (h, np.array([0, 1]), np.array([0, 1]))):
        with pytest.raises(ShapeError, match=f"^{re.escape(repr(layer))} takes a tuple of 2 arrays as its input"):
            getattr(layer, verb)(wrong)


@pytest.mark.parametrize(
    "make",
    [
        Equalized,
        SpectralNorm,
        lambda layer: Projection(layer, Embedding(3, 3)),
        Branches,
        Parallel,
        Sequential,
        Residual,
    ],
)
@pytest.mark.parametrize("wrong", [Dense, [Dense(2, 2)], np.tanh], ids=["a class", "a list", "a function"])
def test_a_composite_of_what_is_no_layer(make, wrong):
    with pytest.raises(LayerError):
        make(wrong)
