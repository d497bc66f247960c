"""Dropout's mask, and the layers that only change the shape."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.layers import Dropout, Flatten, Maxout, Reshape


def test_dropout_zeroes_a_part_p_and_scales_the_rest():
    y, cache = Dropout(0.25).forward(np.ones((100, 100)), rng=np.random.default_rng(0))
    assert set(np.unique(y)) == {0, 1 / 0.75}
    assert abs((y == 0).mean() - 0.25) < 0.02
    np.testing.assert_array_equal(Dropout(0.25).backward(np.ones((100, 100)), cache), y)


def test_dropout_keeps_what_draws_exactly_p():
    """Draws are from 0, included, to 1, excluded: those below p are a part p of them."""

    class Always:
        def random(self, shape, dtype):
            return np.full(shape, 0.25, dtype)

    np.testing.assert_array_equal(Dropout(0.25).forward(np.ones((1, 3)), rng=Always())[0], np.full((1, 3), 4 / 3))


@pytest.mark.parametrize(("p", "train"), [(0.5, False), (0.0, True)])
def test_dropout_that_drops_nothing_needs_no_generator(p, train):
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(Dropout(p).forward(x, train=train)[0], x)


def test_dropout_says_what_is_missing():
    with pytest.raises(ValueError, match="pass a random generator"):
        Dropout().forward(np.zeros((1, 1)))
    with pytest.raises(ValueError, match="must be at least 0 and less than 1"):
        Dropout(1.0)


def test_reshape_and_flatten_keep_the_order():
    x = np.arange(24.0).reshape(2, 3, 4)
    y, cache = Reshape(2, 2, 3).forward(x)
    assert y.shape == (2, 2, 2, 3)
    np.testing.assert_array_equal(y.ravel(), x.ravel())
    np.testing.assert_array_equal(Reshape(2, 2, 3).backward(y, cache), x)
    assert Flatten().forward(x)[0].shape == (2, 12)
    assert repr(Reshape(2, 2, 3)) == "Reshape(2, 2, 3)"


def test_reshape_refuses_numbers_that_do_not_fit():
    with pytest.raises(ShapeError, match=r"Reshape\(2, 2\) can't take 6 numbers a sample"):
        Reshape(2, 2).forward(np.zeros((4, 6)))


@pytest.mark.parametrize("layer", [Flatten(), Maxout(2), Reshape(2, 2)])
def test_a_batch_of_nothing_gives_nothing(layer):
    y, cache = layer.forward(np.zeros((0, 4)))
    dx = layer.backward(y, cache)
    assert dx.shape == (0, 4)
    assert layer.double_backward(dx, y, cache)[0].shape == y.shape
