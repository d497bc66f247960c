"""The convolution with fewer multiplications: the same numbers as the plain one, to second order, in any network."""

from dataclasses import replace

import numpy as np
import pytest
from crews import number_of_threads
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import arrays_of, assert_close, reference, three_results
from steps import make_step

from minigan.backend import CPU
from minigan.gans import DCGAN
from minigan.kernels import convolution, twin
from minigan.kernels.fast import depthwise, minimal, patches, planes
from minigan.kernels.geometry import output_size
from minigan.layers import Conv2D, ConvTranspose2D
from minigan.optim import Adam
from minigan.testing import STRICT, check_adjoint, check_layer, forbid_transfers, shake, smooth_point
from minigan.testing.geometries import Geometry, seeds, sizes

SUITED = ((4, 2), (3, 1), (4, 1), (5, 1), (7, 1))  # kernel and stride


@st.composite
def geometries(draw, most=7, most_channels=4):
    """From the output back to the input; `left_over` rows and columns at the end are seen by no kernel position."""
    kernel, stride = draw(st.sampled_from(SUITED))
    axes = []
    for _ in range(2):
        left_over = draw(sizes(0, stride - 1))
        padded = (draw(sizes(1, most)) - 1) * stride + kernel + left_over
        padding = draw(sizes(0, min(3, (padded - 1) // 2)))
        axes.append((padded - 2 * padding, padding, left_over))
    size, padding, left_over = zip(*axes, strict=True)
    N, C, K = draw(sizes(1, 5)), draw(sizes(1, most_channels)), draw(sizes(1, most_channels))
    return Geometry(N, C, K, size, (kernel, kernel), (stride, stride), padding, left_over)


@pytest.fixture(autouse=True, scope="module")
def fast_kernels():
    """Also where MINIGAN_KERNELS is "reference"."""
    token = twin._reference.set(False)
    yield
    twin._reference.reset(token)


def force(patch, minimal_too):
    """Let the faster way be taken wherever the kernel suits it, however small the pictures, or nowhere.

    Returns the set of its functions that are called from then on.
    """
    taken = set()

    def pays(x_shape, W_shape, stride, padding, dilation, xp):
        return minimal_too and (*W_shape[:2], *stride) in {(k, k, s, s) for k, s in SUITED}

    patch.setattr(minimal, "pays", pays)
    for function in (minimal.conv2d, minimal.conv2d_input_grad, minimal.conv2d_weight_grad):
        noted = lambda *args, f=function: (taken.add(f.__name__), f(*args))[1]  # noqa: E731
        patch.setattr(minimal, function.__name__, noted)
    return taken


# The three functions


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 3e-6)])
@given(geometries(), seeds(), st.sampled_from((1, 2, 3, 5)), st.sampled_from((1, 1 << 10, minimal.BLOCK_BYTES)))
def test_it_equals_the_reference(dtype, tolerance, g, seed, n_threads, block_bytes):
    """However many threads there are, and however many pictures in a block.

    Errors are relative to the largest sum of absolute values: where terms cancel out, their rounding doesn't.
    """
    x, W, dy = arrays_of(g, seed, dtype)
    expected = three_results(reference, g, *(a.astype(np.float64) for a in (x, W, dy)))
    sums = three_results(reference, g, *(abs(a.astype(np.float64)) for a in (x, W, dy)))
    with number_of_threads(n_threads), pytest.MonkeyPatch.context() as patch:
        patch.setattr(minimal, "BLOCK_BYTES", block_bytes)
        patch.setattr(minimal, "WEIGHTS_BLOCK", block_bytes)
        found = three_results(minimal, g, x, W, dy)
    for one, other, sum_of_terms in zip(found, expected, sums, strict=True):
        assert one.dtype == dtype
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * sum_of_terms.max())


@pytest.mark.parametrize("kernel", [4, 5, 7, 9])
def test_blocks_of_taps_where_dx_is_no_convolution_of_dy(kernel):
    """In float64 these kernels have several blocks. With a frame as wide as the kernel, dx is added up tile by tile."""
    g = Geometry(2, 3, 2, (6, 5), (kernel, kernel), (1, 1), (kernel, kernel + 1))
    arrays = arrays_of(g, 0)
    assert minimal._tiling(g.size, kernel, 1, g.padding, np.float64).blocks > 1
    assert_close(three_results(minimal, g, *arrays), three_results(reference, g, *arrays), 1e-12)


@given(geometries(), seeds())
def test_its_functions_are_adjoint_to_each_other(g, seed):
    x, W, dy = arrays_of(g, seed)
    steps = (g.stride, g.padding, g.dilation)
    y = lambda x, W: minimal.conv2d(x, W, *steps)  # noqa: E731
    check_adjoint(lambda x: y(x, W), lambda dy: minimal.conv2d_input_grad(dy, W, g.size, *steps), x, dy)
    check_adjoint(lambda W: y(x, W), lambda dy: minimal.conv2d_weight_grad(x, dy, g.kernel_size, *steps), W, dy)


@given(geometries(), seeds())
def test_the_weights_dtype_has_no_say_and_nothing_is_written_to(g, seed):
    arrays = arrays_of(g, seed, np.float32)
    for a in arrays:
        a.flags.writeable = False
    x, W, dy = arrays
    y, dx, dW = three_results(minimal, g, x, W, dy)
    mixed = three_results(minimal, g, x, W.astype(np.float64), dy)
    for one, other in zip((y, dx, dW), mixed, strict=True):
        assert one.dtype == other.dtype == np.float32
        np.testing.assert_array_equal(one, other)
        assert not any(np.may_share_memory(one, a) for a in arrays)


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_the_same_bits_every_time(n_threads):
    """The sum over threads too has its order, whichever of them ends first."""
    g = Geometry(7, 8, 6, (10, 12), (4, 4), (2, 2), (1, 1))
    arrays = arrays_of(g, 0, np.float32)
    with number_of_threads(n_threads):
        first, *others = [three_results(way, g, *arrays) for way in (minimal, patches) * 3]
        for results, expected in zip(others, [others[0], first] * 3, strict=False):
            assert all(np.array_equal(a, b) for a, b in zip(results, expected, strict=True))


# Which of the two is taken


def test_it_pays_for_the_layers_of_dcgan_but_not_on_a_gpu_nor_for_another_kernel():
    x_shape, W_shape, steps = (128, 32, 32, 64), (4, 4, 64, 128), ((2, 2), (1, 1), (1, 1))
    assert minimal.pays(x_shape, W_shape, *steps, np)
    assert not minimal.pays(x_shape, W_shape, *steps, STRICT.xp)
    assert not minimal.pays((1, 4, 4, 64), W_shape, *steps, np)
    residual_block = (3, 3, 128, 128), (1, 1), (0, 0), (1, 1), np  # of CycleGAN's generator for 64 pixels
    assert [minimal.pays((N, 18, 18, 128), *residual_block) for N in (1, 2, 4)] == [False, False, True]
    assert not minimal.pays((128, 32, 32, 3), (4, 4, 3, 64), *steps, np)
    assert minimal.pays((64, 32, 32, 64), (7, 7, 64, 64), (1, 1), (3, 3), (1, 1), np)  # of lapgan
    assert not minimal.pays((64, 32, 32, 64), (7, 7, 64, 3), (1, 1), (3, 3), (1, 1), np)
    for kernel, stride in [((5, 5), (2, 2)), ((6, 6), (1, 1)), ((3, 3), (2, 2)), ((4, 3), (2, 1)), ((4, 4), (2, 1))]:
        assert not minimal.pays(x_shape, (*kernel, 64, 128), stride, *steps[1:], np)
    for dilation in [(2, 2), (1, 2)]:
        assert not minimal.pays(x_shape, W_shape, *steps[:2], dilation, np)


@given(geometries(), seeds())
def test_the_choice_is_the_same_for_all_three_and_is_followed(g, seed):
    arrays, asked = arrays_of(g, seed, np.float32), []
    for answer, way in ((True, minimal), (False, patches)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(minimal, "pays", lambda *question, answer=answer: (asked.append(question), answer)[1])
            patch.setattr(planes, "pays", lambda *_: False)
            found = three_results(convolution, g, *arrays)
        assert all(np.array_equal(a, b) for a, b in zip(found, three_results(way, g, *arrays), strict=True))
    assert asked == [(g.x_shape, arrays[1].shape, g.stride, g.padding, (1, 1), np)] * 6


@pytest.mark.parametrize(("groups", "K", "taken"), [(3, 3, True), (3, 6, False), (1, 3, False)])
def test_a_window_for_each_channel_is_depthwise(groups, K, taken):
    g = Geometry(2, 3, K, (4, 4), (3, 3), (1, 1), (1, 1), groups=groups)
    called = []
    with pytest.MonkeyPatch.context() as patch:
        for function in (depthwise.conv2d, depthwise.conv2d_input_grad, depthwise.conv2d_weight_grad):
            noted = lambda *args, f=function: (called.append(f), f(*args))[1]  # noqa: E731
            patch.setattr(depthwise, function.__name__, noted)
        three_results(convolution, g, *arrays_of(g, 0))
    assert len(called) == 3 * taken


@given(geometries(), seeds())
def test_groups_take_it_as_well(g, seed):
    g = replace(g, in_channels=2 * g.in_channels, out_channels=2 * g.out_channels, groups=2)
    arrays = arrays_of(g, seed)
    with pytest.MonkeyPatch.context() as patch:
        taken = force(patch, True)
        assert_close(three_results(convolution, g, *arrays), three_results(reference, g, *arrays), 1e-13)
    depthwise_is_taken = g.in_channels == g.out_channels == 2
    assert len(taken) == (0 if depthwise_is_taken else 3)


# In layers and networks


@st.composite
def layers(draw):
    """A convolution, or the transposed one that enlarges what it shrinks, with shaken parameters, and an input."""
    g, rng = draw(geometries(most=3, most_channels=2)), np.random.default_rng(draw(seeds()))
    options = {"bias": draw(st.booleans()), "rng": rng}
    if draw(st.booleans()):
        layer = Conv2D(g.in_channels, g.out_channels, g.kernel_size, g.stride, g.padding, **options)
        return shake(layer, rng), smooth_point(rng, g.x_shape)
    out = output_size(g.size, g.kernel_size, g.stride, g.padding)
    steps = (g.kernel_size, g.stride, g.padding, g.output_padding)
    layer = ConvTranspose2D(g.out_channels, g.in_channels, *steps, **options)
    return shake(layer, rng), smooth_point(rng, (g.batch, *out, g.out_channels))


@given(layers())
def test_gradients_to_second_order_and_all_promises(case):
    with pytest.MonkeyPatch.context() as patch, number_of_threads(1):
        taken = force(patch, True)
        check_layer(*case, entries=2)
    assert taken == {"conv2d", "conv2d_input_grad", "conv2d_weight_grad"}


@given(layers())
def test_it_would_run_on_a_gpu(case):
    """With nothing but what NumPy and CuPy both have, and without waiting for the device."""
    layer, x = case
    results = []
    with pytest.MonkeyPatch.context() as patch:
        force(patch, True)
        for device in (CPU, STRICT):
            layer.to(device, np.float64).parameters().zero_grad()
            rng, on_device = np.random.default_rng(0), device.array(x)
            with forbid_transfers():
                y, cache = layer.forward(on_device)
                dy, ddx = (device.array(rng.standard_normal(a.shape)) for a in (y, on_device))
                found = [y, layer.backward(dy, cache), layer.double_backward(ddx, dy, cache)[0]]
            grads = layer.to(CPU).parameters().grads.copy()
            results.append([a.get() if device is STRICT else a for a in found] + [grads])
    for host, there in zip(*results, strict=True):
        np.testing.assert_allclose(there, host, rtol=0, atol=1e-13 * max(1, abs(host).max()))


def trained(size, minimal_too, n_threads=1, dtype=np.float64, steps=3):
    """Losses and parameters of a small DCGAN after a few steps."""
    gan = DCGAN((size, size, 1), latent_dim=6, features=4, rng=np.random.default_rng(0))
    for name, network in gan.networks.items():
        gan.optimizers[name] = Adam(network.to(dtype=dtype).parameters(), 2e-3, (0.5, 0.999))
    draw, rng = gan.latent, np.random.default_rng(1)
    gan.latent = lambda n, rng: draw(n, rng).astype(dtype)
    batch = lambda: np.tanh(rng.normal(size=(5, size, size, 1))).astype(dtype)  # noqa: E731
    with pytest.MonkeyPatch.context() as patch, number_of_threads(n_threads):
        taken = force(patch, minimal_too)
        losses = [[float(loss) for loss in make_step(gan, batch, rng).values()] for _ in range(steps)]
    assert len(taken) == (3 if minimal_too else 0)
    return np.array(losses), *(network.parameters().values for network in gan.networks.values())


@pytest.mark.parametrize("size", [16, 32])  # at 32 pixels there are 3×3 kernels as well
def test_a_training_run_is_the_same(size):
    """Differences are of some 1e-14."""
    for one, other in zip(trained(size, False), trained(size, True), strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_training_run_repeats_itself_to_the_bit(n_threads):
    one, other = (trained(16, True, n_threads, np.float32) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
