"""The contract of a layer: the two halves of backward, the checks, and the layer in base.py's docstring."""

import textwrap

import numpy as np
import pytest

from minigan.errors import LayerError, ShapeError
from minigan.layers import Conditional, Conv2D, Dense, Layer, LeakyReLU, Reshape, Sequential, base
from minigan.testing import check_layer, smooth_point

X = smooth_point(np.random.default_rng(0), (4, 3))


def scale():
    """The layer that the docstring shows."""
    names = {"Layer": Layer, "np": np}
    example = base.__doc__[base.__doc__.index("    class Scale") :]
    exec(textwrap.dedent(example).replace("'''", '"""'), names)
    return names["Scale"]


Scale = scale()


def test_the_layer_of_the_docstring_is_right():
    check_layer(Scale(3), X)
    check_layer(Sequential(Scale(3), Dense(3, 2)), X)


class Halves(Scale):
    """Notes which half is asked for."""

    def __init__(self):
        super().__init__(3)
        self.asked = []

    def backward_input(self, dy, cache):
        self.asked.append("input")
        return super().backward_input(dy, cache)

    def backward_params(self, dy, cache):
        self.asked.append("params")
        return super().backward_params(dy, cache)


@pytest.mark.parametrize(
    ("wrt", "asked"), [("both", ["params", "input"]), ("input", ["input"]), ("params", ["params"])]
)
def test_backward_computes_the_halves_that_are_asked_for(wrt, asked):
    layer = Halves()
    y, cache = layer.forward(X)
    dx = layer.backward(y, cache, wrt)
    assert layer.asked == asked
    assert (dx is None) == (wrt == "params")
    assert layer.ds.any() == (wrt != "input")


def test_backward_checks_before_it_computes():
    layer = Halves()
    y, cache = layer.forward(X)
    with pytest.raises(ShapeError, match=r"dy has shape \(1, 3\), but the output has \(4, 3\)"):
        layer.backward(y[:1], cache)
    with pytest.raises(ValueError, match="wrt is 'weights': use 'both', 'input' or 'params'"):
        layer.backward(y, cache, "weights")
    assert layer.asked == []


@pytest.mark.parametrize(
    ("ddx", "dy", "sentence"),
    [
        (X[:1], X, r"ddx has shape \(1, 3\), but the input has \(4, 3\)"),
        (X, X[:1], r"dy has shape \(1, 3\), but the output has \(4, 3\)"),
        (None, X, "takes an array as its ddx, got None"),
    ],
)
def test_double_backward_is_checked(ddx, dy, sentence):
    layer = Scale(3)
    with pytest.raises(ShapeError, match=sentence):
        layer.double_backward(ddx, dy, X)


class Two(Layer):
    """(features (4, 3), labels) → (4, 3), for its shapes alone."""

    def shapes(self, cache):
        return ((4, 3), None), (4, 3)


@pytest.mark.parametrize("ddx", [(X, None), (None, None)])
def test_entries_of_a_tuple_may_be_none(ddx):
    Two().check_second(ddx, X, None)


@pytest.mark.parametrize(
    ("ddx", "sentence"),
    [
        (X, "takes a tuple of 2 arrays as its ddx, got ndarray"),
        ((X,), "takes a tuple of 2 arrays as its ddx, got a tuple of 1"),
        ((X[:1], None), r"ddx\[0\] has shape \(1, 3\), but the input\[0\] has \(4, 3\)"),
        ((X, X), r"labels have no gradient, so ddx\[1\] must be None, got ndarray"),
    ],
)
def test_the_entries_of_a_tuple_are_checked(ddx, sentence):
    with pytest.raises(ShapeError, match=sentence):
        Two().check_second(ddx, X, None)


@pytest.mark.parametrize(
    ("x", "ndim", "channels", "wanted"),
    [
        (X[None], 2, 3, "N, 3"),
        (X[None], 2, None, "N, C"),
        (X, None, 4, "…, 4"),
        (X[0, 0], None, 3, "…, 3"),
        (X, 4, 3, "N, H, W, 3"),
        (X, 3, None, "…, C"),
    ],
)
def test_an_input_of_another_shape_is_refused(x, ndim, channels, wanted):
    with pytest.raises(ShapeError, match=rf"takes an input of shape \({wanted}\), got"):
        Layer().check_input(x, ndim, channels)


@pytest.mark.parametrize(("ndim", "channels"), [(2, 3), (2, None), (None, 3), (None, None)])
def test_an_input_that_fits_is_accepted(ndim, channels):
    Layer().check_input(X, ndim, channels)
    Layer().check_input(X[0, 0], None, None)


class Forward(Layer):
    """y = x, and nothing else is written."""

    def forward(self, x, train=True, rng=None):
        return x.copy(), x


class WithoutShapes(Forward):
    def backward_input(self, dy, cache):
        return dy.copy()


@pytest.mark.parametrize(
    ("layer", "call", "sentence"),
    [
        (Layer(), lambda layer: layer.forward(X), r"Layer has no forward: write forward\(self, x, train, rng\)"),
        (
            Forward(),
            lambda layer: layer.backward(X, X),
            r"no backward: write backward_input\(self, dy, cache\) or backward\(self, dy, cache, wrt\)",
        ),
        (WithoutShapes(), lambda layer: layer.backward(X, X), r"no shapes: write shapes\(self, cache\), which returns"),
        (
            Forward(),
            lambda layer: layer.double_backward(X, X, X),
            r"no double_backward, which gradient penalties need: write double_backward\(self, ddx, dy, cache\)",
        ),
    ],
)
def test_what_a_layer_lacks_is_said_in_a_sentence(layer, call, sentence):
    with pytest.raises(NotImplementedError, match=sentence):
        call(layer)


def test_a_conditional_layer_that_returns_one_gradient_is_refused():
    class Conditioned(Forward):
        conditional = True

        def forward(self, x, train=True, rng=None):
            return x[0].copy(), x[0]

        def backward(self, dy, cache, wrt="both"):
            return dy.copy()

    network = Conditional(Conditioned())
    y, cache = network.forward((X[:2], X[:2]))
    with pytest.raises(ShapeError, match="takes a tuple of 2 arrays as its gradient, got ndarray"):
        network.backward(y, cache)


def test_layers_are_what_composites_are_made_of():
    with pytest.raises(LayerError, match="number 1 is None, which is no Layer"):
        Sequential(Dense(2, 2), None)


def test_sizes_may_be_integers_of_numpy():
    n = np.prod((5, 2))
    for layer in (Dense(n, n), Conv2D(n, n, 1), Conv2D(n, n, 1, groups=np.int64(2))):
        x = np.ones((2, 4, 4, n), np.float32)
        y, cache = layer.forward(x)
        assert layer.backward(y, cache).shape == layer.double_backward(x, y, cache)[0].shape == x.shape
        assert "…" not in repr(layer)


def test_an_array_without_axes_is_a_number_and_no_batch():
    x = np.full((), -2.0, np.float32)
    assert LeakyReLU(0.5).forward(x)[0] == -1
    with pytest.raises(ShapeError, match="can't take 1 numbers a sample, input \\(\\)"):
        Reshape(1).forward(x)


def test_a_layer_of_ones_own_may_call_a_number_dilation():
    class Dilated(Layer):
        def __init__(self, dilation):
            self.dilation = dilation

    assert repr(Dilated(2)) == "Dilated(2)"
