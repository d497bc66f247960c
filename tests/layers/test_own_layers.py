"""What goes wrong with a first layer of one's own, or a first network: done right, or refused in a sentence."""

import copy

import numpy as np
import pytest

from minigan.errors import LayerError, MiniganError
from minigan.layers import (
    Branches,
    Dense,
    Equalized,
    Layer,
    Parallel,
    Projection,
    ReLU,
    Residual,
    Sequential,
    SpectralNorm,
)
from minigan.optim import SGD, Adam, RMSprop, WeightAverage, clip_grad_norm, clip_weights
from minigan.testing.strict import STRICT

Tensor = type("Tensor", (), {"__module__": "torch"})  # what a tensor looks like to a package that doesn't import torch


class Own(Layer):
    """y = x · s, with what the test registers as s."""

    def __init__(self, s):
        self.add_parameters(s=s)

    def forward(self, x, train=True, rng=None):
        self.check_input(x, None, None)
        return x * self.s.astype(x.dtype, copy=False), x

    def backward(self, dy, cache, wrt="both"):
        self.check_dy(dy, cache.shape, wrt)
        if wrt != "input":
            self.ds = (dy * cache).sum(axis=0)  # the mistake that everybody makes: = for +=
        return dy * self.s.astype(dy.dtype, copy=False) if wrt != "params" else None


@pytest.mark.parametrize(
    "s", [np.ones(3), np.ones(3, np.float16), np.ones(3, int), [1, 1.0, 1], STRICT.array(np.ones(3))]
)
def test_a_parameter_begins_in_float32(s):
    layer = Own(s)
    assert layer.s.dtype == layer.ds.dtype == np.float32
    assert layer.s.shape == layer.ds.shape == (3,)


def test_a_single_number_is_a_parameter():
    layer = Own(1.0)
    layer.parameters().values[...] = 3
    assert layer.s.shape == ()
    assert float(layer.s) == 3


def test_one_parameter_of_float64_changes_no_other():
    network = Sequential(Dense(3, 3), Own(np.ones(3)), Dense(3, 3))
    assert network.parameters().values.dtype == network[0].W.dtype == np.float32


def test_what_is_registered_is_a_copy():
    s = np.ones(3, np.float32)
    Own(s).parameters().values[...] = 2
    assert (s == 1).all()


@pytest.mark.parametrize(
    ("s", "sentence"),
    [
        (np.ones(3, complex), "complex128: give real numbers"),
        (np.array(["a"]), "give real numbers"),
        (np.ones(3, bool), "bool: give real numbers"),
        ([[1.0], [1.0, 2.0]], "differ in length"),
        ("ones", "must be an array of numbers, got a str"),
        (True, "must be an array of numbers"),
        (Tensor(), r"got a torch Tensor: pass its \.detach\(\)\.cpu\(\)\.numpy\(\)"),
        (np.ones, "must be an array of numbers"),
        (np.ones((3, 0)), r"has shape \(3, 0\): there is nothing in it to learn"),
    ],
)
def test_what_cannot_be_learned_is_refused(s, sentence):
    with pytest.raises(LayerError, match=sentence):
        Own(s)


@pytest.mark.parametrize("name", ["forward", "s", "parameters", "tanh"])
def test_names_that_are_taken_are_refused(name):
    class Taken(Own):
        dtanh = None

    with pytest.raises(LayerError, match=f"has an attribute {name} or d{name} already: give the parameter another"):
        Taken(1.0).add_parameters(**{name: np.ones(3)})


def test_a_parameter_that_comes_too_late_is_refused():
    network = Sequential(Own(1.0))
    network.parameters()
    with pytest.raises(LayerError, match="register t before parameters"):
        network[0].add_parameters(t=1.0)


@pytest.mark.parametrize("bound", [False, True])
def test_assigning_to_a_parameter_reaches_the_vector(bound):
    layer, weights = Own(np.zeros(3)), np.array([1.0, 2, 3])
    if bound:
        layer.parameters()
    layer.s, layer.ds = weights, weights
    flat = layer.parameters()
    weights[...] = 9
    assert flat.values.tolist() == flat.grads.tolist() == [1, 2, 3]
    flat.values[...] = 5
    assert layer.s.tolist() == [5, 5, 5]
    assert layer.s.dtype == np.float32


@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (
            np.ones(4),
            r"an array of shape \(4,\) can't be assigned to it: give one of its shape, or write s\[\.\.\.\] = ",
        ),
        (1.0, "only an array of numbers"),
        (None, "only an array of numbers"),
        (Tensor(), "torch Tensor: pass"),
        (np.ones(3, complex), "only an array of numbers"),
    ],
)
def test_what_does_not_fit_cannot_be_assigned(value, sentence, bound):
    layer = Own(np.zeros(3))
    if bound:
        layer.parameters()
    with pytest.raises(LayerError, match=sentence):
        layer.s = value
    assert layer.s.tolist() == [0, 0, 0]


def test_a_gradient_that_is_assigned_still_reaches_the_optimizer():
    network = Sequential(Own(np.ones(3)))
    optimizer = SGD(network.parameters(), 1.0)
    y, cache = network.forward(np.ones((2, 3), np.float32))
    network.backward(y, cache)
    optimizer.step()
    assert network[0].s.tolist() == [-1, -1, -1]


def test_a_shallow_copy_gets_weights_of_its_own():
    layer = Own(np.ones(3))
    layer.parameters()
    twin = copy.copy(layer)
    twin.s = np.zeros(3)
    assert layer.s.tolist() == [1, 1, 1]


@pytest.mark.parametrize(("name", "layer"), [("body", Residual(Dense(2, 2))), ("layers", Sequential(Dense(2, 2)))])
def test_an_inner_layer_that_comes_too_late_is_refused(name, layer):
    setattr(layer, name, Dense(2, 2) if name == "body" else (Dense(2, 2),))
    layer.parameters()
    with pytest.raises(LayerError, match=f"those of another {name} wouldn't be in it: make a new network"):
        setattr(layer, name, Dense(2, 2) if name == "body" else (Dense(2, 2),))


def test_parts_of_two_dtypes_make_no_network():
    with pytest.raises(LayerError, match=r"one dtype and one device, got 0\.W .*float64.* and 1\.W .*float32"):
        Sequential(Dense(2, 2).to(dtype=np.float64), Dense(2, 2)).parameters()


def test_a_parameter_that_is_named_but_not_there_is_refused():
    class Named(Dense):
        parameter_names = ("s",)

    with pytest.raises(LayerError, match="names s a parameter, but"):
        Named(2, 2).parameters()


def test_children_that_are_no_dict_are_refused():
    class Listed(Residual):
        def children(self):
            return [self.body]

    with pytest.raises(LayerError, match="must return a dict of layers by name"):
        Listed(Dense(2, 2)).parameters()


@pytest.mark.parametrize("make", [Sequential, Parallel, Branches, Residual, SpectralNorm, Equalized])
@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        ([Dense(2, 2), ReLU()], r"one by one, not in a list: write \w+\(\*layers\)"),
        (ReLU, r"not a layer: write ReLU\("),
        (np.tanh, "is tanh, which is no Layer: write a subclass of Layer"),
        ("relu", "is str, which is no Layer"),
        (Tensor(), "is Tensor, which is no Layer"),
    ],
)
def test_what_is_no_layer_is_in_no_composite(make, layer, sentence):
    with pytest.raises(LayerError, match=sentence):
        make(layer)


def test_a_projection_is_made_of_two_layers():
    with pytest.raises(LayerError, match="number 1 is function, which|number 1 is <lambda>, which"):
        Projection(Dense(2, 1), lambda labels: labels)


@pytest.mark.parametrize("x", [[[1.0, 2.0]], Tensor(), 1.0, None, "x"], ids=lambda x: type(x).__name__)
@pytest.mark.parametrize("layer", [Dense(2, 2), ReLU(), Own(np.ones(2)), Sequential(Dense(2, 2), ReLU())], ids=repr)
def test_what_is_no_array_is_no_input(layer, x):
    with pytest.raises(MiniganError, match="takes an array as its input, got"):
        layer.forward(x)


def test_what_is_no_array_is_no_dy():
    layer = Dense(2, 2)
    _, cache = layer.forward(np.ones((1, 2), np.float32))
    for dy in ([[1.0, 1.0]], Tensor()):
        with pytest.raises(MiniganError, match="takes an array as its dy, got"):
            layer.backward(dy, cache)
        with pytest.raises(MiniganError, match="takes an array as its dy, got"):
            layer.double_backward(np.ones((1, 2)), dy, cache)


@pytest.mark.parametrize("make", [lambda p: SGD(p, 0.1), RMSprop, Adam, lambda p: clip_grad_norm(p, 1.0)])
def test_optimizers_take_parameters(make):
    with pytest.raises(
        LayerError, match=r"takes the parameters, not the Dense itself: \w+\(network\.parameters\(\), …\)"
    ):
        make(Dense(2, 2))
    for other in ([Dense(2, 2).parameters()], np.ones(3), {"G": Dense(2, 2)}):
        with pytest.raises(LayerError, match="takes the parameters of one network"):
            make(other)


def test_an_optimizer_is_made_after_the_network_moves():
    network = Sequential(Dense(2, 2))
    optimizer = Adam(network.parameters())
    network.to(dtype=np.float64)
    with pytest.raises(LayerError, match=r"the network was moved after Adam was created: create optimizers after \.to"):
        optimizer.step()
    assert optimizer.t == 0


class Returns(Own):
    """Two rows go in, so an array that comes back alone could be taken for a pair."""

    def __init__(self, y=None, ddy=None):
        super().__init__(1.0)
        self.y, self.ddy = y, ddy

    def forward(self, x, train=True, rng=None):
        return super().forward(x) if self.y is None else self.y(x)

    def double_backward(self, ddx, dy, cache):
        return self.ddy(ddx)


COMPOSITES = [Sequential, Residual, Parallel, lambda layer: Residual(ReLU(), layer), lambda layer: Branches(layer)]
ONE, THREE = (lambda x: x + 1), (lambda x: (x + 1, x, x))


@pytest.mark.parametrize("make", COMPOSITES)
@pytest.mark.parametrize(("wrong", "got"), [(ONE, "ndarray"), (THREE, "a tuple of 3"), (lambda x: [x + 1, x], "list")])
def test_a_layer_that_returns_no_pair_is_named(make, wrong, got):
    x = np.ones((2, 3), np.float32)
    given = (x,) if make is COMPOSITES[-1] else x
    sentence = rf"Returns\(.*\) returned {got}: forward must return \(y, cache\), and double_backward \(ddy, dx2\)"
    with pytest.raises(LayerError, match=sentence):
        make(Returns(y=wrong)).forward(given)
    network = make(Returns(ddy=wrong))
    y, cache = network.forward(given)
    with pytest.raises(LayerError, match=sentence):
        network.double_backward(given, y, cache)
    with pytest.raises(LayerError, match=sentence):
        make(Returns(y=wrong)).output(given)


def test_a_penalty_says_what_a_layer_lacks():
    critic = Sequential(Own(np.ones(3)), Dense(3, 1))
    x = np.ones((2, 3), np.float32)
    y, cache = critic.forward(x)
    with pytest.raises(NotImplementedError, match="Own has no double_backward, which gradient penalties need: write"):
        critic.double_backward(x, y, cache)


@pytest.mark.parametrize("lr", ["0.1", None, np.nan, np.inf, -1e-3, np.ones(2)])
@pytest.mark.parametrize("make", [SGD, RMSprop, Adam])
def test_a_learning_rate_is_a_number(make, lr):
    with pytest.raises(LayerError, match=f"{make.__name__} takes a learning rate of at least 0"):
        make(Dense(2, 2).parameters(), lr)


@pytest.mark.parametrize("betas", [0.5, (0.5,), (0.5, 1.0), (-0.1, 0.9)])
def test_adam_has_two_betas(betas):
    with pytest.raises(LayerError, match="Adam takes two betas of at least 0"):
        Adam(Dense(2, 2).parameters(), betas=betas)


@pytest.mark.parametrize("dtype", [int, np.float16, complex])
def test_networks_compute_in_two_dtypes(dtype):
    with pytest.raises(LayerError, match="computes in float32 or float64, not in"):
        Dense(2, 2).to(dtype=dtype)


@pytest.mark.parametrize("dtype", ["float64", np.float64, np.dtype("float64")])
def test_a_dtype_is_no_device(dtype):
    with pytest.raises(LayerError, match=r"is no device: write \.to\(dtype=…\)"):
        Dense(2, 2).to(dtype)


def test_the_relatives_of_optimizers():
    with pytest.raises(LayerError, match="takes the parameters, not the Dense itself"):
        clip_weights(Dense(2, 2), 0.1)
    with pytest.raises(LayerError, match="takes a network, got Parameters"):
        WeightAverage(Dense(2, 2).parameters())


def test_a_layer_is_shown_even_if_its_arguments_are_not_its_attributes():
    class Named(Dense):
        def __init__(self, width, s=None, *args, **options):
            super().__init__(width, width)
            self.s = np.ones(3) if s is None else s

    assert repr(Named(2)) == "Named(…, s=…)"
    assert repr(Own(1.0)) == "Own(…)"
