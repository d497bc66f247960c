"""Parameters: one flat vector into which the layers look; copies, moves, saved states."""

import copy
import pickle

import numpy as np
import pytest

from minigan.errors import CheckpointError
from minigan.layers import BatchNorm, Conv2D, Dense, Flatten, LeakyReLU, PReLU, Residual, Sequential, Tanh
from minigan.testing import shake


def make_network():
    """A network of 4·3·3·2 + 4 + 8 + (16 + 4) + 1 + 49·2 parameters, with state and with layers within layers."""
    inner = Residual(Conv2D(4, 4, 1), Sequential(PReLU()))
    network = Sequential(Conv2D(2, 4, 3), BatchNorm(4), inner, Flatten(), Dense(4 * 3 * 3, 2, bias=False), LeakyReLU())
    return shake(network, np.random.default_rng(0))


NAMES = ["0.W", "0.b", "1.gamma", "1.beta", "2.body.W", "2.body.b", "2.shortcut.0.slope", "4.W"]


def test_names_go_from_the_first_layer_to_the_last():
    network = make_network()
    assert list(network.parameters().named()) == NAMES
    assert list(network.state_dict()) == NAMES[:4] + ["1.running_mean", "1.running_var"] + NAMES[4:]


def test_values_and_gradients_are_views_in_that_order():
    network = make_network()
    flat = network.parameters()
    values, grads = zip(*flat.named().values(), strict=True)
    np.testing.assert_array_equal(flat.values, np.concatenate([v.ravel() for v in values]))
    assert len(flat) == flat.values.size == flat.grads.size == 72 + 4 + 8 + 20 + 1 + 72
    assert all(np.shares_memory(v, flat.values) for v in values)
    assert all(np.shares_memory(g, flat.grads) for g in grads)
    flat.values[...], flat.grads[...] = 2, 3
    assert (network[0].W == 2).all()
    assert (network[2].body.db == 3).all()
    flat.zero_grad()
    assert not network[2].body.db.any()


def test_parameters_are_the_same_object_ever_after():
    network = make_network()
    flat = network.parameters()
    network.to(dtype=np.float64)
    assert network.parameters() is flat
    assert network[0].W.dtype == flat.values.dtype == np.float64


@pytest.mark.parametrize("inner_first", [True, False])
def test_an_inner_network_looks_into_a_slice(inner_first):
    network = make_network()
    order = [network[2], network] if inner_first else [network, network[2]]
    for part in order:
        part.parameters()
    network.parameters().values[...] = 0
    network[2].parameters().values[...] = 7
    assert (network[2].body.W == 7).all()
    assert (network.parameters().values == 7).sum() == 21


def test_a_network_without_parameters_has_empty_vectors():
    flat = Sequential(Tanh(), Flatten()).parameters()
    assert len(flat) == 0
    assert flat.named() == {}
    flat.zero_grad()


def test_a_deep_copy_shares_nothing():
    network = make_network()
    before = network.state_dict()
    twin = copy.deepcopy(network)
    twin.parameters().values[...] = 0
    twin.parameters().grads[...] = 1
    twin[1].running_mean[...] = 9
    after = network.state_dict()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert not twin[0].W.any()
    assert (twin[2].body.dW == 1).all()
    assert not network.parameters().grads.any()


def test_to_moves_state_too_and_keeps_the_values():
    network = make_network()
    before = network.state_dict()
    assert network.to(dtype=np.float64) is network
    for name, array in network.state_dict().items():
        assert array.dtype == np.float64
        np.testing.assert_array_equal(array, before[name])


def test_saved_state_round_trip():
    network, other = make_network(), make_network()
    other.parameters().values[...] = 0
    saved = network.state_dict()
    other.load_state_dict(saved)
    assert all(np.array_equal(a, saved[name]) for name, a in other.state_dict().items())
    saved["0.W"][...] = 5
    assert not (other[0].W == 5).any()
    assert not (network[0].W == 5).any()


def test_loading_keeps_the_views_and_the_dtype():
    network = make_network()
    saved = {name: a.astype(np.float64) for name, a in network.state_dict().items()}
    network.parameters().values[...] = 0
    network.load_state_dict(saved)
    np.testing.assert_array_equal(network.parameters().values[:72], saved["0.W"].ravel().astype(np.float32))
    assert network[0].W.dtype == np.float32


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda s: s.pop("4.W"), "the saved state lacks 4.W"),
        (lambda s: s.update(extra=np.zeros(1)), "this network has no place for extra"),
        (
            lambda s: s.update({"4.W": np.zeros((3, 3))}),
            r"4\.W has shape \(3, 3\) in the saved state, \(36, 2\)",
        ),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, sentence):
    network = make_network()
    saved = {name: np.zeros_like(a) for name, a in network.state_dict().items()}
    change(saved)
    before = network.state_dict()
    with pytest.raises(CheckpointError, match=sentence):
        network.load_state_dict(saved)
    assert all(np.array_equal(before[name], a) for name, a in network.state_dict().items())


def test_a_pickled_network_still_learns():
    net = Sequential(Dense(2, 3), Dense(3, 1))
    net.parameters()
    twin = pickle.loads(pickle.dumps(net))
    twin.parameters().values += 1
    np.testing.assert_array_equal(twin[0].W, net[0].W + 1)


def test_a_layer_belongs_to_one_place_of_one_network():
    shared = Dense(2, 2)
    with pytest.raises(ValueError, match="stands twice"):
        Sequential(shared, Tanh(), shared).parameters()
    Sequential(shared).parameters()
    with pytest.raises(ValueError, match="part of another network"):
        Sequential(shared, Tanh()).parameters()


def test_only_the_whole_network_moves():
    net = Sequential(Dense(2, 2))
    net.parameters()
    with pytest.raises(ValueError, match="move the network"):
        net[0].to(dtype=np.float64)
    net.to(dtype=np.float64)
    assert np.shares_memory(net[0].W, net.parameters().values)
