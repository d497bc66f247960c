"""Dense, Conv2D and ConvTranspose2D on numbers that can be worked out by hand, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given

from minigan.errors import ShapeError
from minigan.kernels.convolution import conv2d_input_grad
from minigan.layers import Conv2D, ConvTranspose2D, Dense
from minigan.testing.strategies import conv_geometries, conv_transpose_geometries


def with_weights(layer, **arrays):
    for name, value in arrays.items():
        getattr(layer, name)[...] = value
    return layer


def test_dense_by_hand():
    layer = with_weights(Dense(2, 3), W=[[1, 2, 3], [4, 5, 6]], b=[10, 20, 30])
    y, cache = layer.forward(np.array([[1.0, -1.0]]))
    dx = layer.backward(np.array([[1.0, 0.0, 2.0]]), cache)
    np.testing.assert_array_equal(y, [[7, 17, 27]])
    np.testing.assert_array_equal(dx, [[1 + 6, 4 + 12]])
    np.testing.assert_array_equal(layer.dW, [[1, 0, 2], [-1, 0, -2]])
    np.testing.assert_array_equal(layer.db, [1, 0, 2])


def test_dense_second_order_by_hand():
    layer = with_weights(Dense(2, 1), W=[[3], [5]])
    _, cache = layer.forward(np.ones((1, 2)))
    ddy, dx2 = layer.double_backward(np.array([[7.0, 11.0]]), np.array([[2.0]]), cache)  # P = 7·2·W0 + 11·2·W1
    assert ddy.item() == 7 * 3 + 11 * 5
    np.testing.assert_array_equal(layer.dW, [[14], [22]])
    assert dx2 is None


def picture(rows):
    return np.array(rows, np.float64)[None, :, :, None]


def test_conv_by_hand():
    layer = with_weights(Conv2D(1, 1, 2), W=np.reshape([1, 2, 3, 4], (2, 2, 1, 1)), b=[0.5])
    x = picture([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    y, cache = layer.forward(x)
    dx = layer.backward(picture([[1, 0], [0, 10]]), cache)
    np.testing.assert_array_equal(y, picture([[37.5, 47.5], [67.5, 77.5]]))
    np.testing.assert_array_equal(dx, picture([[1, 2, 0], [3, 4 + 10, 20], [0, 30, 40]]))
    np.testing.assert_array_equal(layer.dW[..., 0, 0], [[1 + 50, 2 + 60], [4 + 80, 5 + 90]])
    np.testing.assert_array_equal(layer.db, [11])


def test_conv_stride_and_padding_by_hand():
    layer = with_weights(Conv2D(1, 1, (1, 2), stride=(2, 3), padding=(0, 1), bias=False), W=[[[[1]], [[10]]]])
    y, _ = layer.forward(picture([[1, 2, 3, 4], [0, 0, 0, 0], [5, 6, 7, 8]]))  # padded rows: 0 1 2 3 4 0
    np.testing.assert_array_equal(y, picture([[10, 43], [50, 87]]))


def test_conv_transpose_by_hand():
    layer = with_weights(
        ConvTranspose2D(1, 1, 2, stride=2, output_padding=1), W=np.reshape([1, 2, 3, 4], (2, 2, 1, 1)), b=[1]
    )
    y, _ = layer.forward(picture([[1, 10]]))
    np.testing.assert_array_equal(y, picture([[2, 3, 11, 21, 1], [4, 5, 31, 41, 1], [1, 1, 1, 1, 1]]))


@given(conv_transpose_geometries())
def test_a_convolution_shrinks_what_its_transpose_enlarged(g):
    more = {"dilation": g.dilation, "groups": g.groups}
    up = ConvTranspose2D(g.in_channels, g.out_channels, g.kernel_size, g.stride, g.padding, g.output_padding, **more)
    down = Conv2D(g.out_channels, g.in_channels, g.kernel_size, g.stride, g.padding, **more)
    assert up.W.shape == down.W.shape
    assert down.forward(up.forward(np.zeros(g.x_shape))[0])[0].shape == g.x_shape


@given(conv_geometries())
def test_macs_count_the_products(g):
    more = {"dilation": g.dilation, "groups": g.groups}
    layer = Conv2D(g.in_channels, g.out_channels, g.kernel_size, g.stride, g.padding, **more)
    y, _ = layer.forward(np.zeros(g.x_shape))
    assert layer.macs(g.x_shape, y.shape) == y[..., 0].size * layer.W.size
    up = ConvTranspose2D(g.in_channels, g.out_channels, g.kernel_size, g.stride, **more)
    assert up.macs(g.x_shape, None) == np.prod(g.x_shape[:3]) * up.W.size
    assert Dense(3, 5).macs((7, 3), (7, 5)) == 7 * 3 * 5


@pytest.mark.parametrize(
    ("layer", "x_shape", "sentence"),
    [
        (Dense(3, 2), (5, 4), r"Dense\(3, 2\) takes an input of shape \(…, 3\), got \(5, 4\)"),
        (
            Conv2D(3, 2, 3),
            (5, 4, 4, 2),
            r"Conv2D\(3, 2, 3\) takes .* of shape \(N, H, W, 3\), got \(5, 4, 4, 2\)",
        ),
        (Conv2D(3, 2, 3), (4, 4, 3), r"takes an input of shape \(N, H, W, 3\), got \(4, 4, 3\)"),
        (Conv2D(1, 2, 5, padding=1), (1, 2, 9, 1), "the kernel is larger than the padded input"),
        (Conv2D(1, 2, 2, dilation=4), (1, 4, 9, 1), r"Conv2D\(1, 2, 2, dilation=4\): the kernel is larger"),
        (ConvTranspose2D(1, 2, 2, padding=1), (1, 1, 4, 1), "nothing is left of an output"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_in_a_sentence(layer, x_shape, sentence):
    with pytest.raises(ShapeError, match=sentence):
        layer.forward(np.zeros(x_shape))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool])
def test_integers_are_refused_with_advice(dtype):
    with pytest.raises(ShapeError, match=r"x\.astype\('float32'\)"):
        Dense(2, 2).forward(np.zeros((1, 2), dtype))


@pytest.mark.parametrize("kernel_size", [0, (3,), (3, 3, 3), 2.5, (1, 0)])
def test_kernels_that_are_none_are_refused(kernel_size):
    with pytest.raises(ShapeError, match="expected an integer of at least 1, or a pair of them"):
        Conv2D(1, 1, kernel_size)


def test_output_padding_is_smaller_than_the_stride():
    with pytest.raises(ShapeError, match="output_padding 2 must be smaller than the stride 2"):
        ConvTranspose2D(1, 1, 3, stride=2, output_padding=2)


@pytest.mark.parametrize("kind", [Conv2D, ConvTranspose2D])
@pytest.mark.parametrize("groups", [-1, 0, 3, 4, 2.0])
def test_groups_divide_both_numbers_of_channels(kind, groups):
    with pytest.raises(ShapeError, match=f"groups is {groups}: it must divide in_channels 4 and out_channels 6"):
        kind(4, 6, 3, groups=groups)


@pytest.mark.parametrize("dilation", [0, (1, 0), 1.5])
def test_dilation_is_an_integer_of_at_least_one(dilation):
    with pytest.raises(ShapeError, match="expected an integer of at least 1"):
        Conv2D(1, 1, 3, dilation=dilation)


def test_fans_count_the_channels_of_one_group():
    fans = []

    def init(rng, shape, fan_in, fan_out):
        fans.append((shape, fan_in, fan_out))
        return np.ones(shape, np.float32)

    Conv2D(4, 8, (2, 3), groups=2, init=init)
    ConvTranspose2D(4, 8, (2, 3), groups=2, init=init)
    assert fans == [((2, 3, 2, 8), 12, 24), ((2, 3, 4, 4), 12, 24)]


def test_dilation_and_groups_by_hand():
    x = np.arange(10.0).reshape(1, 1, 5, 2)  # channels 0 2 4 6 8 and 1 3 5 7 9
    W = np.reshape([1, 100, 10, 1000], (1, 2, 1, 2))
    layer = with_weights(Conv2D(2, 2, (1, 2), dilation=(1, 3), groups=2, bias=False), W=W)
    y, _ = layer.forward(x)
    np.testing.assert_array_equal(y, [[[[0 + 10 * 6, 100 + 1000 * 7], [2 + 10 * 8, 300 + 1000 * 9]]]])


@pytest.mark.parametrize("kind", [Conv2D, ConvTranspose2D])
def test_options_may_be_assigned_later(kind):
    layer = kind(3, 4, 3, stride=2, padding=1, rng=np.random.default_rng(0))
    layer.stride, layer.padding = (1, 1), (0, 2)
    other = kind(3, 4, 3, stride=1, padding=(0, 2), rng=np.random.default_rng(0))
    x = np.random.default_rng(1).standard_normal((2, 6, 6, 3))
    (y, cache), (expected, _) = layer.forward(x), other.forward(x)
    assert np.array_equal(y, expected)
    assert layer.backward(y, cache).shape == x.shape


def test_a_size_that_has_other_outputs_is_refused():
    dy, W = np.ones((2, 6, 6, 4)), np.ones((4, 4, 3, 4))
    with pytest.raises(ShapeError, match=r"no picture of size \(7, 7\) has outputs of size \(6, 6\)"):
        conv2d_input_grad.fast(dy, W, (7, 7), (2, 2), (1, 1))
