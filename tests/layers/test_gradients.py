"""Every layer, over random geometries: gradients to second order and all promises, by `check_layer`."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan import layers
from minigan.layers import Layer, Residual, Sequential
from minigan.testing import check_layer
from minigan.testing.strategies import LAYERS, networks, pictures

CASES = settings.default.max_examples


def test_there_is_a_strategy_for_every_layer():
    exported = {name for name in layers.__all__ if isinstance(getattr(layers, name), type)}
    every_layer = {name for name in exported if issubclass(getattr(layers, name), Layer)}
    assert set(LAYERS) == every_layer - {"Layer", "Activation", "Sequential", "Residual", "SelfAttention"}


@pytest.mark.parametrize("name", LAYERS)
@settings(max_examples=CASES * 4 // 10)
@given(data=st.data(), train=st.booleans())
def test_layer(name, data, train):
    layer, x = data.draw(LAYERS[name])
    check_layer(layer, x, train=train, entries=6)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
@settings(max_examples=CASES * 2)
@given(data=st.data(), train=st.booleans())
def test_layer_in_many_cases(name, data, train):
    layer, x = data.draw(LAYERS[name])
    check_layer(layer, x, train=train)


@settings(max_examples=CASES // 2)
@given(case=networks(), train=st.booleans())
def test_network(case, train):
    check_layer(case.layer, case.x, train=train, step=1e-4, entries=6)


@given(x=pictures(channels=2), data=st.data())
def test_residual_without_a_shortcut_layer(x, data):
    convolution = layers.Conv2D(2, 2, 3, padding=1)
    check_layer(Residual(Sequential(convolution, layers.Softplus())), x)
