"""The mistakes of a call of the checker, and of a layer that can't be checked: each in a sentence."""

import numpy as np
import pytest

from minigan.errors import LayerError, ShapeError
from minigan.layers import Dense, Layer, Residual, Sequential, Tanh
from minigan.testing import (
    GradientError,
    check_adjoint,
    check_layer,
    check_loss,
    check_network,
    check_promises,
    check_through,
    smooth_point,
)

X = smooth_point(np.random.default_rng(0), (4, 3))
Tensor = type("Tensor", (), {"__module__": "torch"})


def with_entry(value):
    x = X.copy()
    x[2, 1] = value
    return x


@pytest.mark.parametrize("check", [check_layer, check_network, check_promises])
@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        ([[1.0, 2, 3]], r"x must be an array, got a list: convert it with np\.array"),
        (Tensor(), "x must be an array, got a torch Tensor: pass"),
        (None, "x must be an array, got None"),
        (1.0, "x must be an array"),
        (np.float64(1), r"x has shape \(\), so nothing can be checked: give a batch"),
        (X[:0], r"x has shape \(0, 3\), so nothing can be checked: give a batch"),
        (with_entry(np.nan), r"x has NaN or infinity in it, at \(2, 1\)"),
        (with_entry(np.inf), r"x has NaN or infinity in it, at \(2, 1\)"),
        (X.astype(complex), "x is complex128: give floats"),
        ((), "x is an empty tuple"),
        ((X, X * np.nan), r"x\[1\] has NaN"),
    ],
)
def test_points_at_which_nothing_can_be_checked(check, x, sentence):
    with pytest.raises(ShapeError, match=sentence):
        check(Tanh(), x)


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (Tanh, r"not the class Tanh: make one, Tanh\("),
        ([Tanh()], "not a list: derive it from"),
        (np.tanh, "not a ufunc"),
    ],
)
def test_what_is_no_layer(layer, sentence):
    with pytest.raises(LayerError, match=sentence):
        check_layer(layer, X)


def test_other_orders_than_two():
    with pytest.raises(LayerError, match="order is 3: 1 checks backward"):
        check_layer(Tanh(), X, order=3)


def test_a_parameter_that_is_no_number():
    layer = Dense(3, 2)
    layer.b[1] = np.nan
    with pytest.raises(LayerError, match="parameter b of .* has NaN"):
        check_layer(layer, X)


class Doubled(Layer):
    """y = 2x. Every mistake is made in a copy of it."""

    def forward(self, x, train=True, rng=None):
        return 2 * x, x.shape

    def backward_input(self, dy, cache):
        return 2 * dy

    def double_backward(self, ddx, dy, cache):
        self.check_second(ddx, dy, cache)
        return 2 * ddx, None

    def shapes(self, cache):
        return cache, cache


def changed(**verbs):
    """A layer that has these verbs in the place of its own."""
    return type("Changed", (Doubled,), verbs)()


def unwritten(*arguments):
    raise NotImplementedError


@pytest.mark.parametrize("promises", [True, False])
@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (
            changed(forward=lambda self, x, train=True, rng=None: 2 * x),
            r"forward returns one array: it must .*\(y, cache\)",
        ),
        (changed(forward=lambda self, x, train=True, rng=None: [2 * x, 0]), "forward returns a list: it must"),
        (changed(forward=lambda self, x, train=True, rng=None: ((2 * x).tolist(), 0)), "returns a y that is a list"),
        (changed(forward=lambda self, x, train=True, rng=None: (Tensor(), 0)), "returns a y that is a Tensor"),
        (changed(backward=lambda self, dy, cache, wrt="both": dy.tolist()), "returns a dx that is a list"),
        (changed(double_backward=lambda self, ddx, dy, cache: 2 * ddx), r"one array: it must return \(ddy, dx2\)"),
        (
            changed(double_backward=lambda self, ddx, dy, cache: (1, None)),
            "returns a ddy that is a int: it must be a NumPy",
        ),
        (changed(double_backward=unwritten), "double_backward is not written: write it, or check .* order=1"),
        (
            changed(double_backward=Layer.double_backward),
            r"no double_backward, .*: write double_backward\(.*\), or check backward alone with order=1",
        ),
        (
            changed(backward_input=Layer.backward_input),
            r"no backward: write backward_input\(self, dy, cache\) or backward\(self, dy, cache, wrt\)$",
        ),
        (changed(forward=Layer.forward), r"no forward: write forward\(self, x, train, rng\)$"),
        (changed(shapes=Layer.shapes), r"no shapes: write shapes\(self, cache\), which returns the shapes of x and y$"),
    ],
)
def test_verbs_that_return_something_else(layer, sentence, promises):
    with pytest.raises(GradientError, match=sentence):
        check_layer(layer, X[:2], promises=promises)


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (
            changed(forward=lambda self, x: x),
            r"forward of Changed can't be called .*: declare forward\(self, x, train=True",
        ),
        (changed(backward=lambda self, dy, cache: dy), "backward of Changed can't be called"),
        (changed(backward_input=lambda self, dy: dy), "declare backward_input"),
        (changed(backward_params=lambda self, dy: None), "declare backward_params"),
        (changed(shapes=lambda self: None), "declare shapes"),
        (changed(double_backward=lambda self, dy, cache: dy), "double_backward of Changed can't be called"),
    ],
)
def test_verbs_with_other_arguments(layer, sentence):
    with pytest.raises(LayerError, match=sentence):
        check_layer(Sequential(layer), X)


@pytest.mark.parametrize("y", [np.ones(3, int), np.ones(3, complex), np.ones(3, bool), np.array(["a"])])
def test_an_output_that_is_no_float(y):
    with pytest.raises(GradientError, match="forward returns a y of .*: it must be of floats"):
        check_layer(changed(forward=lambda self, x, train=True, rng=None: (y, x.shape)), X)


def test_a_gradient_that_is_not_returned():
    with pytest.raises(GradientError, match="dx is None: return it"):
        check_layer(changed(backward=lambda self, dy, cache, wrt="both": None), X)


def test_one_tolerance_for_both_orders():
    check_layer(Tanh(), X, tolerance=1e-6)
    with pytest.raises(GradientError, match="dx2"):
        check_layer(changed(double_backward=lambda self, ddx, dy, cache: (2 * ddx, ddx)), X, tolerance=1e-6)


def test_order_one_asks_nothing_of_double_backward():
    check_layer(changed(double_backward=unwritten), X, order=1)


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (changed(forward=lambda self, x, train=True, rng=None: (x / 0, x.shape)), "y has NaN or infinity in it"),
        (changed(backward=lambda self, dy, cache, wrt="both": dy * np.nan), "dx has NaN or infinity in it"),
        (changed(double_backward=lambda self, ddx, dy, cache: (ddx, ddx * np.nan)), "dx2 has NaN or infinity in it"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_results_that_are_no_numbers_are_called_so(layer, sentence):
    with pytest.raises(GradientError, match=sentence):
        check_layer(layer, X)


# What forward computes with must be known to the layer


class Scaled(Doubled):
    """y = 2x · s, with s as the attribute `where`, in the form that `wrap` gives it, and not registered."""

    def __init__(self, where, wrap, gradient=False):
        self.where = where
        setattr(self, where, wrap(np.full(3, 2.0, np.float32)))
        if gradient:
            setattr(self, "d" + where, np.zeros(3, np.float32))

    def forward(self, x, train=True, rng=None):
        s = getattr(self, self.where)
        s = next(iter(s.values())) if isinstance(s, dict) else s[0] if isinstance(s, list) else s
        return 2 * x * s.astype(x.dtype), x.shape


class OfItsClass(Doubled):
    s = np.ones(3, np.float32)

    def forward(self, x, train=True, rng=None):
        return 2 * x * self.s.astype(x.dtype), x.shape


def read_only(a):
    a.flags.writeable = False
    return a


@pytest.mark.parametrize("check", [check_layer, check_network])
@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (Scaled("s", np.copy, gradient=True), r"s and its gradient ds are not registered: call self\.add_"),
        (Scaled("s", np.copy), "the numbers in s, which are not registered: .*else name it in state_names"),
        (Scaled("s", read_only), "the numbers in s, which are not registered"),
        (Scaled("parts", lambda s: [s]), "the numbers in parts, which"),
        (Scaled("parts", lambda s: {"s": s}), "the numbers in parts, which"),
        (OfItsClass(), "the numbers in s, which"),
    ],
)
def test_arrays_that_are_not_registered_are_refused(check, layer, sentence):
    with pytest.raises(GradientError, match=sentence):
        check(layer, X)
    with pytest.raises(GradientError, match=r" 1\.(s|parts)"):
        check(Sequential(Tanh(), layer), X)


def test_a_number_with_a_gradient_is_a_parameter_too():
    class Slope(Doubled):
        def __init__(self):
            self.slope, self.dslope = 0.2, 0.0

    with pytest.raises(GradientError, match="slope and its gradient dslope are not registered"):
        check_layer(Slope(), X)


def test_state_and_what_forward_only_leaves_behind_are_no_parameters():
    class Kept(Doubled):
        state_names = ("s",)

        def __init__(self):
            self.s = np.full(3, 2.0)

        def forward(self, x, train=True, rng=None):
            self.last = x
            return x * self.s.astype(x.dtype), x.shape

    layer = Kept()
    layer.forward(X)
    check_layer(layer, X)


@pytest.mark.parametrize("hold", [lambda layer: layer, lambda layer: [layer], lambda layer: {"inner": layer}])
def test_a_layer_that_is_no_child_is_found(hold):
    class Hidden(Doubled):
        def __init__(self):
            self.inner = hold(Dense(3, 3))

    with pytest.raises(GradientError, match="the layer in inner is not among the children of Hidden"):
        check_layer(Residual(Hidden()), X)


@pytest.mark.parametrize("state", [{}, {"m": 0}, {"m": [1.0]}])
def test_state_is_arrays(state):
    layer = type("Kept", (Doubled,), {"state_names": ("m",)} | state)()
    for ask in (lambda: check_layer(layer, X), layer.state_dict, lambda: layer.to(dtype=np.float64)):
        with pytest.raises(LayerError, match="Kept names 'm' in state_names, but it has no such array: make it one"):
            ask()


def test_a_tuple_of_one_name_ends_in_a_comma():
    with pytest.raises(LayerError, match="names 'm' in state_names, .*ends in a comma"):
        check_layer(type("Kept", (Doubled,), {"state_names": ("mean")})(), X)


def test_tensors_are_no_parameters():
    layer = changed()
    layer.weight = Tensor()
    with pytest.raises(GradientError, match="weight is of torch, which can.t be checked: make it an array"):
        check_layer(layer, X)


def test_through_what_is_no_layer():
    with pytest.raises(LayerError, match="only a layer can be checked"):
        check_through(Tanh(), np.tanh, X)
    with pytest.raises(ShapeError, match="x must be an array"):
        check_through(Tanh(), Tanh(), X.tolist())


def right_loss(x):
    return x.sum(), np.ones_like(x)


@pytest.mark.parametrize("x", [X.tolist(), Tensor(), X * np.nan, X[:0], None])
def test_a_loss_of_what_is_no_array(x):
    with pytest.raises(ShapeError, match="array 0 of right_loss"):
        check_loss(right_loss, x)
    with pytest.raises(ShapeError, match="x "):
        check_adjoint(lambda a: a, lambda a: a, x, X)


@pytest.mark.parametrize(
    ("loss", "sentence"),
    [
        (lambda x: x.sum(), r"returns a float64: it must return \(value, gradient\)"),
        (lambda x: (float(x.sum()), np.ones_like(x)), "has a value that is a float: return NumPy"),
        (lambda x: (x.sum(), [1.0]), "has a gradient that is a list: return NumPy"),
    ],
)
def test_a_loss_that_returns_something_else(loss, sentence):
    with pytest.raises(GradientError, match=sentence):
        check_loss(loss, X)


def test_a_wrong_entry_that_is_small_is_caught():
    class SmallOneWrong(Tanh):
        def backward(self, dy, cache, wrt="both"):
            dx = super().backward(dy, cache, wrt)
            return dx if dx is None else np.where(np.abs(dx) < 1e-2 * np.abs(dx).max(), 1.001 * dx, dx)

    x = X.copy()
    x[3, 2] = 4.5  # tanh′(4.5) = 5e-4
    with pytest.raises(GradientError, match=r"dx of(.|\n)*at \(3, 2\)"):
        check_layer(SmallOneWrong(), x, order=1)
