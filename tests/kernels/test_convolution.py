"""The three convolution kernels: the reference is their definition, and every way that runs for it equals it."""

from dataclasses import replace

import numpy as np
import pytest
from crews import number_of_threads
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import arrays_of, assert_close, reference, steps_of, three_results

from minigan.backend import CPU
from minigan.kernels import convolution
from minigan.kernels.fast import depthwise, patches
from minigan.kernels.geometry import output_size
from minigan.kernels.twin import reference_kernels
from minigan.testing import STRICT, check_adjoint, forbid_transfers
from minigan.testing.geometries import Geometry, conv_geometries, seeds
from minigan.testing.strategies import LAYERS

DTYPES = pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 3e-6)])


@st.composite
def depthwise_geometries(draw):
    """Each of two or three channels with a window of its own."""
    channels = draw(st.integers(2, 3))
    return replace(draw(conv_geometries(most_groups=1)), in_channels=channels, out_channels=channels, groups=channels)


def by_definition(x, W, stride, padding, dilation, groups):
    """The formula at the head of convolution.py, in loops."""
    x = np.pad(x, ((0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0)))
    R, S, C, K = W.shape
    y = np.zeros((len(x), *output_size(x.shape[1:3], (R, S), stride, (0, 0), dilation), K))
    for n, i, j, k in np.ndindex(*y.shape):
        first = k // (K // groups) * C  # the first input channel of k's group
        for r, s in np.ndindex(R, S):
            pixel = x[n, i * stride[0] + r * dilation[0], j * stride[1] + s * dilation[1], first : first + C]
            y[n, i, j, k] += pixel @ W[r, s, :, k]
    return y


@given(conv_geometries(), seeds())
def test_the_reference_is_the_definition(g, seed):
    x, W, _ = arrays_of(g, seed)
    np.testing.assert_allclose(
        reference.conv2d(x, W, **steps_of(g)), by_definition(x, W, **steps_of(g)), rtol=0, atol=1e-12
    )


@given(st.one_of(conv_geometries(), depthwise_geometries()), seeds(), st.sampled_from((reference, convolution)))
def test_both_gradients_are_adjoints(g, seed, way):
    x, W, dy = arrays_of(g, seed)
    how = steps_of(g)
    y = lambda x, W: way.conv2d(x, W, **how)  # noqa: E731
    check_adjoint(lambda x: y(x, W), lambda dy: way.conv2d_input_grad(dy, W, g.size, **how), x, dy)
    check_adjoint(lambda W: y(x, W), lambda dy: way.conv2d_weight_grad(x, dy, g.kernel_size, **how), W, dy)


@DTYPES
@given(conv_geometries(), seeds())
def test_what_runs_equals_the_reference(dtype, tolerance, g, seed):
    arrays = arrays_of(g, seed, dtype)
    found = three_results(convolution, g, *arrays)
    assert all(a.dtype == dtype for a in found)
    assert_close(found, three_results(reference, g, *arrays), tolerance)


@DTYPES
@given(depthwise_geometries(), seeds(), st.sampled_from((depthwise, convolution)))
def test_depthwise_equals_the_reference(dtype, tolerance, g, seed, way):
    arrays = arrays_of(g, seed, dtype)
    found = three_results(way, g, *arrays)
    assert all(a.dtype == dtype for a in found)
    assert_close(found, three_results(reference, g, *arrays), tolerance)


@given(st.one_of(conv_geometries(), depthwise_geometries()), seeds())
def test_blocks_and_threads_change_nothing(g, seed):
    g = replace(g, batch=3 * g.batch)
    arrays = arrays_of(g, seed)
    expected = three_results(reference, g, *arrays)
    two_pictures = 2 * 8 * int(np.prod(arrays[2].shape[1:3])) * int(np.prod(arrays[1].shape[:3]))
    for block_bytes, n_threads in ((1, 1), (1, 2), (two_pictures, 3)):
        with pytest.MonkeyPatch.context() as patch, number_of_threads(n_threads):
            patch.setattr(patches, "CPU_BLOCK_BYTES", block_bytes)
            patch.setattr(depthwise, "BLOCK_BYTES", block_bytes)
            assert_close(three_results(convolution, g, *arrays), expected, 1e-13)


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("groups", [2, 4])
def test_the_same_bits_every_time(n_threads, groups):
    """The sum over threads has its order, whichever of them ends first."""
    g = Geometry(7, 4, 8, (10, 12), (3, 3), (2, 1), (1, 1), dilation=(1, 2), groups=groups)
    arrays = arrays_of(g, 0, np.float32)
    with number_of_threads(n_threads), pytest.MonkeyPatch.context() as patch:
        patch.setattr(patches, "CPU_BLOCK_BYTES", 1)
        patch.setattr(depthwise, "BLOCK_BYTES", 1)
        first, *others = [three_results(convolution, g, *arrays) for _ in range(4)]
    for results in others:
        assert all(np.array_equal(a, b) for a, b in zip(results, first, strict=True))


@given(st.one_of(conv_geometries(), depthwise_geometries()), seeds(), st.sampled_from((reference, convolution)))
def test_the_weights_dtype_has_no_say_and_nothing_is_written_to(g, seed, way):
    arrays = arrays_of(g, seed, np.float32)
    for a in arrays:
        a.flags.writeable = False
    x, W, dy = arrays
    found, mixed = three_results(way, g, x, W, dy), three_results(way, g, x, W.astype(np.float64), dy)
    for one, other in zip(found, mixed, strict=True):
        assert one.dtype == other.dtype == np.float32
        np.testing.assert_array_equal(one, other)
        assert not any(np.may_share_memory(one, a) for a in arrays)


@given(st.one_of(conv_geometries(), depthwise_geometries()), seeds(), st.sampled_from((reference, convolution)))
def test_they_would_run_on_a_gpu(g, seed, way):
    """With nothing but what NumPy and CuPy both have, and without waiting for the device."""
    arrays = arrays_of(g, seed)
    on_device = [STRICT.array(a) for a in arrays]
    with forbid_transfers():
        found = three_results(way, g, *on_device)
    assert_close([a.get() for a in found], three_results(reference, g, *arrays), 1e-13)


@pytest.mark.parametrize("name", ["Conv2D", "ConvTranspose2D"])
@given(data=st.data(), dtype=st.sampled_from((np.float32, np.float64)))
def test_layers_are_the_same_with_the_reference_to_second_order(name, data, dtype):
    layer, x = data.draw(LAYERS[name])
    layer.to(CPU, dtype)
    x = x.astype(dtype)

    def everything():
        rng = np.random.default_rng(0)
        layer.parameters().zero_grad()
        y, cache = layer.forward(x)
        dy, ddx = (rng.standard_normal(a.shape).astype(dtype) for a in (y, x))
        first = [y, layer.backward(dy, cache), layer.parameters().grads.copy()]
        ddy, dx2 = layer.double_backward(ddx, dy, cache)
        assert dx2 is None
        return [*first, ddy, layer.parameters().grads]

    with reference_kernels():
        expected = [a.copy() for a in everything()]
    assert_close(everything(), expected, 1e-13 if dtype == np.float64 else 1e-5)


@pytest.mark.parametrize("channels", [(3, 2), (3, 3), (2, 3), (4, 4)])
@pytest.mark.parametrize(("kernel", "dilation"), [((3, 3), 1), ((1, 1), 1), ((5, 3), 1), ((1, 3), 1), ((3, 3), 2)])
def test_input_grad_of_a_convolution_that_keeps_the_size(kernel, dilation, channels):
    """Where there are no more channels out than in, and pixels enough (48 for 3), it is a convolution itself."""
    padding = tuple(dilation * (k // 2) for k in kernel)
    g = Geometry(2, *channels, (4, 6), kernel, (1, 1), padding, dilation=(dilation, dilation))
    arrays = arrays_of(g, 0)
    assert_close(three_results(patches, g, *arrays), three_results(reference, g, *arrays), 1e-13)


@pytest.mark.parametrize(("size", "stride", "padding"), [((2, 3), 1, 0), ((3, 4), 2, 0), ((1, 1), 3, 1)])
@pytest.mark.parametrize("groups", [1, 2])
def test_a_single_patch_in_a_picture_is_a_dense_layer(size, stride, padding, groups):
    """Pixels that the stride leaves over, and the frame of zeros, are in no window."""
    g = Geometry(5, 2, 4, size, (2, 3), (stride, stride), (padding, padding), groups=groups)
    arrays = arrays_of(g, 0)
    assert_close(three_results(convolution, g, *arrays), three_results(reference, g, *arrays), 1e-13)


@pytest.mark.parametrize("way", [reference, convolution])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_no_pictures_give_no_pictures(way, groups):
    x, W = np.zeros((0, 4, 4, 4)), np.ones((3, 3, 4 // groups, 8))
    assert way.conv2d(x, W, groups=groups).shape == (0, 2, 2, 8)
    assert way.conv2d_input_grad(np.zeros((0, 2, 2, 8)), W, (4, 4), groups=groups).shape == x.shape
    dW = way.conv2d_weight_grad(x, np.zeros((0, 2, 2, 8)), (3, 3), groups=groups)
    assert dW.shape == W.shape
    assert not dW.any()


def test_groups_are_convolutions_beside_each_other():
    rng = np.random.default_rng(0)
    x, W = rng.standard_normal((2, 5, 5, 6)), rng.standard_normal((3, 3, 2, 9))
    parts = [convolution.conv2d(x[..., 2 * g : 2 * g + 2], W[..., 3 * g : 3 * g + 3]) for g in range(3)]
    np.testing.assert_allclose(convolution.conv2d(x, W, groups=3), np.concatenate(parts, axis=-1), rtol=1e-12)


def test_dilation_is_a_kernel_with_zeros_in_between():
    rng = np.random.default_rng(0)
    x, W, wide = rng.standard_normal((2, 9, 8, 3)), rng.standard_normal((3, 2, 3, 4)), np.zeros((5, 4, 3, 4))
    wide[::2, ::3] = W
    np.testing.assert_allclose(
        convolution.conv2d(x, W, dilation=(2, 3)), convolution.conv2d(x, wide), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("rows", [slice(0, 2), slice(2, 5), slice(4, 9)])
def test_patches_of_some_rows_are_those_of_all(rows):
    x, geometry = np.random.default_rng(0).standard_normal((2, 9, 7, 3)), ((5, 5), (1, 1), (2, 3))
    whole = patches.patch_matrix(x, *geometry).reshape(2, 9, 9, -1)
    found = patches.patch_matrix(x, *geometry, rows=rows)
    np.testing.assert_array_equal(found, whole[:, rows].reshape(found.shape))
