"""What the strategies construct is valid, smooth, varied, and prints in a line."""

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings

from minigan.kernels.geometry import output_size
from minigan.testing import shake, smooth_point
from minigan.testing.points import non_contiguous
from minigan.testing.strategies import (
    LAYERS,
    conv_geometries,
    conv_transpose_geometries,
    layers,
    networks,
    pictures,
    seeds,
    shapes,
)

quick = settings(database=None, max_examples=200)
unshrunk = settings(quick, phases=[Phase.generate])


@given(shapes(), seeds())
def test_smooth_points_are_away_from_kinks_ties_and_constant_batches(shape, seed):
    x = smooth_point(np.random.default_rng(seed), shape)
    assert x.shape == shape
    assert 0.2 <= abs(x).min() <= abs(x).max() <= 2
    for axis, length in enumerate(shape):
        if length > 1:
            assert (np.diff(np.sign(x), axis=axis) != 0).all()
    gaps = np.diff(np.sort(abs(x), axis=-1), axis=-1)
    assert gaps.size == 0 or gaps.min() >= 0.9 / shape[-1] - 1e-12


@given(conv_geometries())
def test_convolutions_fit_their_input(g):
    assert min(output_size(g.size, g.kernel_size, g.stride, g.padding, g.dilation)) >= 1
    assert min(g.size) >= 1
    assert g.in_channels % g.groups == g.out_channels % g.groups == 0


@given(conv_transpose_geometries())
def test_transposed_convolutions_have_an_output(g):
    rest = zip(g.size, g.kernel_size, g.stride, g.padding, g.output_padding, g.dilation, strict=True)
    for n, kernel, stride, padding, output_padding, dilation in rest:
        assert (n - 1) * stride + dilation * (kernel - 1) + 1 + output_padding - 2 * padding >= 1
        assert output_padding < stride
    assert g.in_channels % g.groups == g.out_channels % g.groups == 0


@pytest.mark.parametrize(
    "wanted",
    [
        lambda g: g.kernel_size[0] != g.kernel_size[1],
        lambda g: g.stride[0] != g.stride[1],
        lambda g: g.padding[0] != g.padding[1],
        lambda g: g.size[0] != g.size[1],
        lambda g: g.stride[0] > g.kernel_size[0],
        lambda g: (g.size[0] + 2 * g.padding[0] - g.dilation[0] * (g.kernel_size[0] - 1) - 1) % g.stride[0],
        lambda g: g.dilation[0] != g.dilation[1],
        lambda g: 1 < g.groups < g.in_channels,
        lambda g: 1 < g.groups == g.in_channels < g.out_channels,
    ],
    ids=[
        "rectangular kernel",
        "strides",
        "paddings",
        "sizes",
        "gaps between kernels",
        "remainder",
        "dilations",
        "groups",
        "depthwise",
    ],
)
def test_geometries_are_varied(wanted):
    find(conv_geometries(), wanted, settings=unshrunk)


@given(layers())
def test_inputs_fit_their_layers(case):
    layer, x = case
    y, _ = layer.forward(x, rng=np.random.default_rng(0))
    n, of_outputs = ([len(entry) for entry in (v if isinstance(v, tuple) else (v,))] for v in (x, y))
    assert of_outputs == n or set(of_outputs) == {n[0]}  # as the inputs, or all as the first one


def test_failing_cases_shrink_and_print_in_a_line():
    smallest = find(LAYERS["Conv2D"], lambda case: case.layer.in_channels > 1, settings=quick)
    assert smallest.x.shape == (1, 1, 1, 2)
    assert repr(smallest) == "Case(Conv2D(2, 1, 1, bias=False), x of shape (1, 1, 1, 2), seed=0)"


@given(networks())
def test_networks_run(case):
    network, x = case
    y, _ = network.forward(x)
    assert y.shape == (len(x), y.shape[-1])


@given(pictures(channels=3, least=2))
def test_pictures_have_the_channels_asked_for(x):
    assert x.ndim == 4
    assert x.shape[-1] == 3
    assert min(x.shape[:3]) >= 2


def test_shaking_moves_every_parameter():
    layer = find(LAYERS["BatchNorm"], lambda case: case.layer.affine, settings=quick).layer
    before = layer.parameters().values.copy()
    assert shake(layer, np.random.default_rng(0)) is layer
    assert (layer.parameters().values != before).all()


def test_non_contiguous_copies_hold_the_same_numbers():
    x = np.arange(12.0).reshape(3, 4)
    strange = non_contiguous(x)
    np.testing.assert_array_equal(strange, x)
    assert max(strange.strides) < 0
    assert not strange.flags.c_contiguous
