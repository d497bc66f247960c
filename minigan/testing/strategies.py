"""Hypothesis strategies for layers and their inputs. They need `pip install hypothesis`.

    from hypothesis import given
    from minigan.testing import check_layer
    from minigan.testing.strategies import pictures

    @given(pictures(channels=3))
    def test_my_layer(x):
        check_layer(MyLayer(3), x)

Valid cases are constructed, not filtered: the geometry of a convolution is drawn from the output back to the input, and
inputs are constructed away from kinks. Arrays come from a drawn seed, so a failing case shrinks to a small shape and a
small seed, and prints in one line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigan import layers as L
from minigan.layers import Layer
from minigan.testing import composites
from minigan.testing.geometries import conv_geometries, conv_transpose_geometries, pictures, seeds, shapes, sizes
from minigan.testing.points import Apart, Labels, separate_singular_value, shake, smooth_input
from minigan.testing.several import each

__all__ = ["LAYERS", "Case", "conv_geometries", "conv_transpose_geometries", "layers", "networks", "pictures"]
__all__ += ["seeds", "shapes", "sizes"]

epsilons = st.sampled_from((1e-5, 0.1))


class Case:
    """A layer and an input at which it is smooth: `layer, x = case`. For a layer with several inputs, x is a tuple."""

    def __init__(self, layer: Layer, x: Any, seed: int) -> None:
        self.layer, self.x, self.seed = layer, x, seed

    def __iter__(self) -> Iterator:
        return iter((self.layer, self.x))

    def __repr__(self) -> str:
        return f"Case({self.layer!r}, x of shape {each(np.shape, self.x)}, seed={self.seed})"


@st.composite
def _cases(draw: Callable, make: Callable) -> Case:
    """Draw a case of the layer and shape that `make(draw, rng)` returns, with shaken parameters."""
    seed = draw(seeds())
    rng = np.random.default_rng(seed)
    layer, shape = make(draw, rng)
    return Case(shake(layer, rng), smooth_input(rng, shape), seed)


def _dense(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    shape = (*(draw(sizes()) for _ in range(draw(st.integers(1, 3)))), draw(sizes()))
    return L.Dense(shape[-1], draw(sizes()), bias=draw(st.booleans()), rng=rng), shape


def _conv(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    g = draw(conv_geometries())
    sizes_and_steps = (g.in_channels, g.out_channels, g.kernel_size, g.stride, g.padding)
    options = {"dilation": g.dilation, "groups": g.groups, "rng": rng}
    return L.Conv2D(*sizes_and_steps, bias=draw(st.booleans()), **options), g.x_shape


def _conv_transpose(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    g = draw(conv_transpose_geometries())
    sizes_and_steps = (g.in_channels, g.out_channels, g.kernel_size, g.stride, g.padding, g.output_padding)
    options = {"dilation": g.dilation, "groups": g.groups, "rng": rng}
    return L.ConvTranspose2D(*sizes_and_steps, bias=draw(st.booleans()), **options), g.x_shape


# Norms get at least three values: two are normalized to ±1 whatever they are, with a gradient of rounding errors


def _batch_norm(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    shape = draw(shapes(least=3))
    layer = L.BatchNorm(shape[-1], draw(epsilons), affine=draw(st.booleans()))
    layer.running_mean += rng.standard_normal(shape[-1]).astype(np.float32)
    layer.running_var *= rng.uniform(0.5, 2, shape[-1]).astype(np.float32)
    return layer, shape


def _conditional_batch_norm(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple]:
    shape, classes = draw(shapes(least=3)), draw(sizes())
    layer = L.ConditionalBatchNorm(shape[-1], classes, draw(epsilons))
    layer.norm.running_mean += rng.standard_normal(shape[-1]).astype(np.float32)
    layer.norm.running_var *= rng.uniform(0.5, 2, shape[-1]).astype(np.float32)
    return layer, (shape, Labels(shape[0], classes))


def _conditional_affine(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple]:
    shape, classes = draw(shapes()), draw(sizes())
    return L.ConditionalAffine(shape[-1], classes), (shape, Labels(shape[0], classes))


def _layer_norm(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    shape = (draw(sizes()), *(draw(sizes(1)) for _ in range(draw(st.integers(0, 2)))), draw(sizes(3)))
    axes = draw(st.integers(1, len(shape) - 1))
    return L.LayerNorm(shape[-axes:], draw(epsilons), elementwise_affine=draw(st.booleans())), shape


def _instance_norm(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    shape = (draw(sizes()), draw(sizes()), draw(sizes(3)), draw(sizes()))
    return L.InstanceNorm(shape[-1], draw(epsilons), affine=draw(st.booleans())), shape


def _prelu(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    shape = draw(shapes())
    return L.PReLU(draw(st.sampled_from((1, shape[-1])))), shape


def _maxout(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    pieces = draw(sizes(1, 4))
    return L.Maxout(pieces), draw(shapes(channels=pieces * draw(sizes(1, 3))))


def _reshape(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    a, b, c = (draw(sizes()) for _ in range(3))
    return L.Reshape(a, b, c), (draw(sizes()), *draw(st.sampled_from(((a * b * c,), (c, a * b), (b, c, a)))))


def _avg_pool(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    g = draw(conv_geometries(most_dilation=1, most_groups=1))
    padding = tuple(min(p, k // 2) for p, k in zip(g.padding, g.kernel_size, strict=True))
    size = tuple(n + 2 * (before - p) for n, before, p in zip(g.size, g.padding, padding, strict=True))
    return L.AvgPool2D(g.kernel_size, g.stride, padding, draw(st.booleans())), (g.batch, *size, g.in_channels)


def _max_pool(draw: Callable, rng: np.random.Generator) -> tuple[Layer, Apart]:
    average, shape = _avg_pool(draw, rng)
    return L.MaxPool2D(average.kernel_size, average.stride, average.padding), Apart(shape)


def _reflection(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    N, H, W, C = draw(shapes(ndim=4))
    return L.ReflectionPad2D((draw(st.integers(0, H - 1)), draw(st.integers(0, W - 1)))), (N, H, W, C)


def _bicubic_down(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    (N, H, W, C), factors = draw(shapes(ndim=4)), (draw(sizes()), draw(sizes()))
    return L.BicubicDownsample(factors, draw(st.booleans())), (N, H * factors[0], W * factors[1], C)


def _pixel_norm(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    return L.PixelNorm(draw(epsilons)), draw(shapes(least=2))


def _fade(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    N, H, W, C = draw(shapes(ndim=4))
    old = L.Sequential(L.AvgPool2D(2), L.Conv2D(C, 2, 1, rng=rng))
    new = L.Sequential(L.Conv2D(C, 2, 3, padding=1, rng=rng), L.Tanh(), L.AvgPool2D(2))
    return L.Fade(old, new, draw(st.floats(0, 1))), (N, 2 * H, 2 * W, C)


def _pixel_shuffle(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    r = draw(sizes(1, 3))
    return L.PixelShuffle(r), draw(shapes(channels=r * r * draw(sizes(1, 2)), ndim=4))


def _pixel_unshuffle(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    r, (N, H, W, C) = draw(sizes(1, 3)), draw(shapes(ndim=4))
    return L.PixelUnshuffle(r), (N, r * H, r * W, C)


def _blur(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    taps = draw(st.sampled_from(((1, 3, 3, 1), (1, 2, 1))))
    N, H, W, C = draw(shapes(ndim=4))
    return L.Blur(draw(st.integers(0, len(taps) - 1)), draw(st.sampled_from((1, 4))), taps), (N, H + 3, W + 3, C)


def _halved_by_filter(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    N, H, W, C = draw(shapes(ndim=4))
    return L.DownsampleFIR(draw(st.sampled_from((0.5, 1)))), (N, 2 * H, 2 * W, C)


def _modulated(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple]:
    N, H, W, C = draw(shapes(ndim=4))
    kernel, up, demodulate = draw(st.sampled_from((1, 3))), draw(st.booleans()), draw(st.booleans())
    eps = draw(epsilons) if C * kernel > 2 else 0.1  # the root of few squares isn't smooth where all are small
    layer = L.ModulatedConv2D(C, draw(sizes()), kernel, up, demodulate, draw(st.booleans()), eps=eps, rng=rng)
    return layer, ((N, H, W, C), (N, C))


def _noise(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    N, _, W, C = draw(shapes(ndim=4))
    return L.NoiseBias(C, W, rng=rng), (N, W, W, C)


def _minibatch_std_dev(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    """With an odd number of groups, signs alternate within a group; otherwise a large eps keeps the layer smooth."""
    members, groups = draw(sizes(1, 4)), draw(sizes(1, 3))
    group_size = members + (draw(sizes(0, 2)) if groups == 1 else 0)  # a batch may be smaller than its group
    eps = draw(epsilons) if groups % 2 else 0.1
    return L.MinibatchStdDev(group_size, eps), (members * groups, *(draw(sizes(1, 3)) for _ in range(3)))


@st.composite
def _spectral_norm(draw: Callable) -> Case:
    """Draw a wrapped layer whose u and v are the first singular vectors, so that its training gradient is exact."""
    layer, x = draw(st.one_of(LAYERS["Dense"], LAYERS["Conv2D"], LAYERS["ConvTranspose2D"]))
    wrapped, seed = L.SpectralNorm(layer.to(dtype=np.float64), draw(st.integers(1, 2))), draw(seeds())
    separate_singular_value(wrapped)
    return Case(wrapped, x, seed)


@st.composite
def _equalized(draw: Callable) -> Case:
    layer, x = draw(st.one_of(LAYERS["Dense"], LAYERS["Conv2D"], LAYERS["ConvTranspose2D"]))
    seed, multiplier = draw(seeds()), draw(st.sampled_from((0.5, 1.0)))
    rng = np.random.default_rng(seed)
    wrapped = L.Equalized(layer, draw(st.floats(0.5, 2)), multiplier, draw(st.sampled_from((0.0, 1.0))), rng=rng)
    return Case(shake(wrapped, rng), x, seed)


def _any_shape(make: Callable) -> Callable:
    return lambda draw, rng: (make(draw), draw(shapes()))


def _pictures_of(make: Callable) -> Callable:
    return lambda draw, rng: (make(draw), draw(shapes(ndim=4)))


LAYERS: dict[str, st.SearchStrategy[Case]] = {
    name: _cases(make)
    for name, make in {
        "Dense": _dense,
        "Conv2D": _conv,
        "ConvTranspose2D": _conv_transpose,
        "BatchNorm": _batch_norm,
        "LayerNorm": _layer_norm,
        "InstanceNorm": _instance_norm,
        "ReLU": _any_shape(lambda draw: L.ReLU()),
        "LeakyReLU": _any_shape(lambda draw: L.LeakyReLU(draw(st.floats(0, 1)))),
        "PReLU": _prelu,
        "ScaledLeakyReLU": _any_shape(lambda draw: L.ScaledLeakyReLU(draw(st.floats(0, 1)), draw(st.floats(0.5, 2)))),
        "Tanh": _any_shape(lambda draw: L.Tanh()),
        "Sigmoid": _any_shape(lambda draw: L.Sigmoid()),
        "Softplus": _any_shape(lambda draw: L.Softplus(draw(st.floats(0.5, 3)))),
        "Softmax": _any_shape(lambda draw: L.Softmax()),
        "Maxout": _maxout,
        "Dropout": _any_shape(lambda draw: L.Dropout(draw(st.floats(0, 0.9)))),
        "Reparametrize": lambda draw, rng: (L.Reparametrize(), draw(shapes(channels=2 * draw(sizes())))),
        "Reshape": _reshape,
        "Flatten": _any_shape(lambda draw: L.Flatten()),
        "AvgPool2D": _avg_pool,
        "MaxPool2D": _max_pool,
        "GlobalSumPool": _pictures_of(lambda draw: L.GlobalSumPool()),
        "BilinearUpsample": _pictures_of(
            lambda draw: L.BilinearUpsample(draw(st.one_of(sizes(1, 4), st.tuples(sizes(), sizes()))))
        ),
        "BicubicUpsample": _pictures_of(
            lambda draw: L.BicubicUpsample(draw(st.one_of(sizes(), st.tuples(sizes(), sizes()))))
        ),
        "BicubicDownsample": _bicubic_down,
        "Blur": _blur,
        "DownsampleFIR": _halved_by_filter,
        "UpsampleFIR": _pictures_of(lambda draw: L.UpsampleFIR(draw(st.sampled_from((0.5, 1))))),
        "ModulatedConv2D": _modulated,
        "NoiseBias": _noise,
        "Constant": lambda draw, rng: (L.Constant(draw(sizes()), draw(sizes()), rng=rng), draw(shapes())),
        "PixelNorm": _pixel_norm,
        "Fade": _fade,
        "PixelShuffle": _pixel_shuffle,
        "PixelUnshuffle": _pixel_unshuffle,
        "GlobalAvgPool": _pictures_of(lambda draw: L.GlobalAvgPool()),
        "Upsample": _pictures_of(lambda draw: L.Upsample(draw(st.one_of(sizes(1, 3), st.tuples(sizes(), sizes()))))),
        "ReflectionPad2D": _reflection,
        "ReplicationPad2D": _pictures_of(lambda draw: L.ReplicationPad2D((draw(sizes(0)), draw(sizes(0))))),
        "MinibatchStdDev": _minibatch_std_dev,
        "Embedding": composites.embedding,
        "Branches": composites.branches,
        "Concat": composites.concat,
        "Fork": composites.fork,
        "Parallel": composites.parallel,
        "Skip": composites.skip,
        "Projection": composites.projection,
        "DotProductAttention": composites.attention,
        "Gain": _any_shape(lambda draw: L.Gain(draw(st.floats(-2, 2)))),
        "ConditionalAffine": _conditional_affine,
        "AdaptiveAffine": composites.adaptive_affine,
        "AdaIN": composites.adain,
        "WithStyle": composites.with_style,
        "Columns": composites.columns,
        "ConditionalBatchNorm": _conditional_batch_norm,
        "Conditional": composites.conditional,
    }.items()
}
LAYERS["SpectralNorm"] = _spectral_norm()
LAYERS["Equalized"] = _equalized()


def layers() -> st.SearchStrategy[Case]:
    """Draw any layer but Sequential, Residual and SelfAttention, with an input. `LAYERS["Conv2D"]` draws one kind."""
    return st.one_of(*LAYERS.values())


def networks() -> st.SearchStrategy[Case]:
    """Draw small smooth critics of two to seven layers with norms, residual blocks and transposed convolutions."""
    return _cases(composites.network)
