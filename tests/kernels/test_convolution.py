"""The three convolution kernels: adjoint to each other, equal to their definition, however they are cut into blocks."""

import numpy as np
import pytest
from crews import number_of_threads
from hypothesis import given

from minigan.layers import kernels
from minigan.layers.kernels import conv2d, conv2d_input_grad, conv2d_weight_grad, output_size
from minigan.testing import check_adjoint
from minigan.testing.strategies import conv_geometries, seeds


def arrays_of(geometry, seed):
    """Random x, W and dy for a geometry."""
    rng, g = np.random.default_rng(seed), geometry
    out = output_size(g.size, g.kernel_size, g.stride, g.padding)
    x = rng.standard_normal(g.x_shape)
    W = rng.standard_normal((*g.kernel_size, g.in_channels, g.out_channels))
    return x, W, rng.standard_normal((g.batch, *out, g.out_channels))


def correlation_by_definition(x, W, stride, padding):
    """The formula at the head of kernels.py, in loops."""
    x = np.pad(x, ((0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0)))
    (R, S, _, K), (N, H, W_, _) = W.shape, x.shape
    y = np.zeros((N, (H - R) // stride[0] + 1, (W_ - S) // stride[1] + 1, K))
    for n, i, j, k in np.ndindex(*y.shape):
        window = x[n, i * stride[0] : i * stride[0] + R, j * stride[1] : j * stride[1] + S]
        y[n, i, j, k] = (window * W[..., k]).sum()
    return y


@given(conv_geometries(), seeds())
def test_conv2d_is_its_definition(g, seed):
    x, W, _ = arrays_of(g, seed)
    np.testing.assert_allclose(
        conv2d(x, W, g.stride, g.padding), correlation_by_definition(x, W, g.stride, g.padding), rtol=0, atol=1e-12
    )


@given(conv_geometries(), seeds())
def test_input_grad_is_the_adjoint_in_x(g, seed):
    x, W, dy = arrays_of(g, seed)
    check_adjoint(
        lambda x: conv2d(x, W, g.stride, g.padding),
        lambda dy: conv2d_input_grad(dy, W, g.size, g.stride, g.padding),
        x,
        dy,
    )


@pytest.mark.parametrize("channels", [(3, 2), (3, 3), (2, 3), (4, 4)])
@pytest.mark.parametrize("kernel", [(3, 3), (1, 1), (5, 3), (1, 3)])
def test_input_grad_of_a_correlation_that_keeps_the_size(kernel, channels):
    """Where there are no more channels out than in, and pixels enough (48 for 3), it is a correlation itself."""
    (R, S), (C, K), rng = kernel, channels, np.random.default_rng(0)
    x, W, dy = (rng.standard_normal(shape) for shape in ((2, 4, 6, C), (R, S, C, K), (2, 4, 6, K)))
    padding = (R // 2, S // 2)
    dx = conv2d_input_grad(dy, W, (4, 6), padding=padding)
    for index in np.ndindex(2, 4, 6, C):  # ∂⟨conv2d(x), dy⟩/∂x, entry by entry: the correlation of a single 1
        one = np.zeros_like(x)
        one[index] = 1
        assert dx[index] == pytest.approx((conv2d(one, W, padding=padding) * dy).sum(), abs=1e-12)


@pytest.mark.parametrize("padding", [(0, 0), (0, 1), (2, 1), (2, 2)])
def test_input_grad_of_a_correlation_that_changes_the_size(padding):
    """With as many pixels as above."""
    W, rng = np.random.default_rng(0).standard_normal((3, 3, 3, 2)), np.random.default_rng(1)
    out = output_size((4, 6), (3, 3), (1, 1), padding)
    x, dy = rng.standard_normal((9, 4, 6, 3)), rng.standard_normal((9, *out, 2))
    check_adjoint(
        lambda x: conv2d(x, W, padding=padding), lambda dy: conv2d_input_grad(dy, W, (4, 6), padding=padding), x, dy
    )


@given(conv_geometries(), seeds())
def test_weight_grad_is_the_adjoint_in_W(g, seed):
    x, W, dy = arrays_of(g, seed)
    check_adjoint(
        lambda W: conv2d(x, W, g.stride, g.padding),
        lambda dy: conv2d_weight_grad(x, dy, g.kernel_size, g.stride, g.padding),
        W,
        dy,
    )


@given(conv_geometries(), seeds())
def test_blocks_and_threads_change_nothing(g, seed):
    x, W, dy = arrays_of(g, seed)
    x, dy = np.concatenate([x] * 3), np.concatenate([dy] * 3)

    def results():
        return (
            conv2d(x, W, g.stride, g.padding),
            conv2d_input_grad(dy, W, g.size, g.stride, g.padding),
            conv2d_weight_grad(x, dy, g.kernel_size, g.stride, g.padding),
        )

    with number_of_threads(1):
        whole = results()
    two_pictures = 2 * int(np.prod(dy.shape[1:3])) * int(np.prod(W.shape[:3])) * 8
    for block_bytes, n_threads in ((1, 1), (1, 2), (two_pictures, 3)):
        with pytest.MonkeyPatch.context() as patch, number_of_threads(n_threads):
            patch.setattr(kernels, "CPU_BLOCK_BYTES", block_bytes)
            for one, other in zip(whole, results(), strict=True):
                np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("size", "stride", "padding"), [((2, 3), 1, 0), ((3, 4), 2, 0), ((1, 1), 3, 1)])
def test_a_single_patch_a_picture_is_a_dense_layer(size, stride, padding):
    """What the stride leaves over, and the frame of zeros, get and give nothing."""
    rng, geometry = np.random.default_rng(0), {"stride": (stride,) * 2, "padding": (padding,) * 2}
    x, W, dy = rng.standard_normal((5, *size, 2)), rng.standard_normal((2, 3, 2, 4)), rng.standard_normal((5, 1, 1, 4))
    y = conv2d(x, W, **geometry)
    np.testing.assert_allclose(y, correlation_by_definition(x, W, **geometry), rtol=0, atol=1e-12)
    check_adjoint(lambda x: conv2d(x, W, **geometry), lambda dy: conv2d_input_grad(dy, W, size, **geometry), x, dy)
    check_adjoint(lambda W: conv2d(x, W, **geometry), lambda dy: conv2d_weight_grad(x, dy, (2, 3), **geometry), W, dy)


def test_no_pictures_give_no_pictures():
    x, W = np.zeros((0, 4, 4, 2)), np.ones((3, 3, 2, 5))
    assert conv2d(x, W).shape == (0, 2, 2, 5)
    assert conv2d_input_grad(np.zeros((0, 2, 2, 5)), W, (4, 4)).shape == x.shape
    assert not conv2d_weight_grad(x, np.zeros((0, 2, 2, 5)), (3, 3)).any()
