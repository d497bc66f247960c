"""Reflection and replication padding: frames made of a picture's own pixels."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.layers import ReflectionPad2D, ReplicationPad2D
from minigan.testing import check_adjoint

MODES = {ReflectionPad2D: "reflect", ReplicationPad2D: "edge"}
each_layer = pytest.mark.parametrize("layer", MODES, ids=lambda layer: layer.__name__)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def test_rows_as_in_the_documentation():
    x = np.array([1.0, 2, 3, 4]).reshape(1, 1, 4, 1)
    assert ReflectionPad2D((0, 2)).forward(x)[0].ravel().tolist() == [3, 2, 1, 2, 3, 4, 3, 2]
    assert ReplicationPad2D((0, 2)).forward(x)[0].ravel().tolist() == [1, 1, 1, 2, 3, 4, 4, 4]


@each_layer
@pytest.mark.parametrize("padding", [(0, 0), (2, 1), (3, 4)])
def test_corners_and_sides_are_those_of_numpy(layer, padding):
    x, (ph, pw) = normal(2, 4, 5, 3), padding
    expected = np.pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0)), MODES[layer])
    np.testing.assert_array_equal(layer(padding).forward(x)[0], expected)


@each_layer
def test_backward_is_the_adjoint_of_forward(layer):
    x, layer = normal(2, 4, 5, 3), layer((2, 3))
    y, cache = layer.forward(x)
    check_adjoint(lambda x: layer.forward(x)[0], lambda dy: layer.backward(dy, cache), x, normal(*y.shape, seed=1))


@each_layer
def test_dx_counts_the_copies_of_each_pixel(layer):
    """In a row a b c d with 2 pixels of padding, the mirror copies b and c twice; replication copies a and d twice."""
    y, cache = layer((0, 2)).forward(np.zeros((1, 1, 4, 1)))
    copies = layer((0, 2)).backward(np.ones_like(y), cache).ravel().tolist()
    assert copies == ([1, 3, 3, 1] if layer is ReflectionPad2D else [3, 1, 1, 3])


@each_layer
def test_linear_in_x(layer):
    layer, x, ddx = layer(1), normal(2, 4, 5, 3), normal(2, 4, 5, 3, seed=1)
    y, cache = layer.forward(x)
    ddy, dx2 = layer.double_backward(ddx, np.ones_like(y), cache)
    assert dx2 is None
    np.testing.assert_array_equal(ddy, layer.forward(ddx)[0])


@each_layer
def test_a_batch_of_nothing_gives_nothing(layer):
    y, cache = layer(1).forward(np.zeros((0, 4, 4, 3)))
    assert y.shape == (0, 6, 6, 3)
    assert layer(1).backward(y, cache).shape == (0, 4, 4, 3)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match=r"ReflectionPad2D\(3\) mirrors as many pixels beside the outermost one"):
        ReflectionPad2D(3).forward(np.zeros((1, 3, 8, 1)))
    with pytest.raises(ShapeError, match="at least one pixel"):
        ReplicationPad2D(3).forward(np.zeros((1, 0, 8, 1)))
    with pytest.raises(ShapeError, match="integer of at least 0"):
        ReplicationPad2D(-1)
    assert repr(ReflectionPad2D((1, 2))) == "ReflectionPad2D((1, 2))"
