"""Hypothesis strategies for layers, geometries and inputs. They need `pip install hypothesis`.

    from hypothesis import given
    from minigan.testing import check_layer
    from minigan.testing.strategies import pictures

    @given(pictures(channels=3))
    def test_my_layer(x):
        check_layer(MyLayer(3), x)

Valid cases are constructed, not filtered: a convolution's geometry is drawn from its output back to its input, an input
is made to be away from kinks. Numbers come from a drawn seed, so a failing case shrinks to a small shape and a small
seed, and prints in one line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigan import layers as L
from minigan.layers import Layer
from minigan.testing.points import Apart, Labels, shake, smooth_input, smooth_point
from minigan.testing.several import each

Pair = tuple[int, int]


class Case:
    """A layer and an input at which it is smooth: `layer, x = case`. Of a layer with several inputs x is a tuple."""

    def __init__(self, layer: Layer, x: Any, seed: int) -> None:
        self.layer, self.x, self.seed = layer, x, seed

    def __iter__(self) -> Iterator:
        return iter((self.layer, self.x))

    def __repr__(self) -> str:
        return f"Case({self.layer!r}, x of shape {each(np.shape, self.x)}, seed={self.seed})"


@dataclass(frozen=True)
class Geometry:
    """Sizes of a convolution, or of a transposed one (which alone has an output_padding)."""

    batch: int
    in_channels: int
    out_channels: int
    size: Pair
    kernel_size: Pair
    stride: Pair
    padding: Pair
    output_padding: Pair = (0, 0)

    @property
    def x_shape(self) -> tuple[int, int, int, int]:
        """(N, H, W, C)."""
        return (self.batch, *self.size, self.in_channels)


epsilons = st.sampled_from((1e-5, 0.1))


def seeds() -> st.SearchStrategy[int]:
    """Seeds for `np.random.default_rng`; they shrink to 0."""
    return st.integers(0, 2**32 - 1)


def sizes(least: int = 1, most: int = 4) -> st.SearchStrategy[int]:
    """Small lengths of axes."""
    return st.integers(least, most)


@st.composite
def shapes(draw: Callable, channels: int | None = None, ndim: int | None = None, least: int = 1) -> tuple[int, ...]:
    """Shapes (N, C) or (N, H, W, C); N, H and W are at least `least`."""
    axes = ndim or draw(st.sampled_from((2, 4)))
    return (*(draw(sizes(least)) for _ in range(axes - 1)), channels or draw(sizes()))


@st.composite
def pictures(draw: Callable, channels: int | None = None, ndim: int | None = 4, least: int = 1) -> np.ndarray:
    """Float64 arrays (N, H, W, C) at which every layer is smooth (see `smooth_point`); ndim=2 for (N, C), None: either.

    |x| is between 0.2 and 2, signs alternate along every axis, no two numbers of the last axis are of the same size.
    """
    return smooth_point(np.random.default_rng(draw(seeds())), draw(shapes(channels, ndim, least)))


@st.composite
def conv_geometries(draw: Callable) -> Geometry:
    """Geometries of Conv2D, from the output back to the input:

    size = (output − 1)·stride + kernel + remainder − 2·padding, where remainder < stride is left over at the end.
    """
    axes = []
    for _ in range(2):
        kernel, stride = draw(sizes(1, 4)), draw(sizes(1, 3))
        padded = (draw(sizes(1, 3)) - 1) * stride + kernel + draw(sizes(0, stride - 1))
        padding = draw(sizes(0, min(2, (padded - 1) // 2)))
        axes.append((padded - 2 * padding, kernel, stride, padding))
    size, kernel, stride, padding = zip(*axes, strict=True)
    return Geometry(draw(sizes(1, 3)), draw(sizes(1, 3)), draw(sizes(1, 3)), size, kernel, stride, padding)


@st.composite
def conv_transpose_geometries(draw: Callable) -> Geometry:
    """Geometries of ConvTranspose2D: output = (size − 1)·stride + kernel + output_padding − 2·padding, at least 1."""
    axes = []
    for _ in range(2):
        size, kernel, stride = draw(sizes(1, 3)), draw(sizes(1, 4)), draw(sizes(1, 3))
        output_padding = draw(sizes(0, stride - 1))
        unpadded = (size - 1) * stride + kernel + output_padding
        axes.append((size, kernel, stride, draw(sizes(0, min(2, (unpadded - 1) // 2))), output_padding))
    size, *rest = zip(*axes, strict=True)
    return Geometry(draw(sizes(1, 3)), draw(sizes(1, 3)), draw(sizes(1, 3)), size, *rest)


@st.composite
def _cases(draw: Callable, make: Callable) -> Case:
    """A case of the layer and shape that `make(draw, rng)` returns, with shaken parameters."""
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
    return L.Conv2D(*sizes_and_steps, bias=draw(st.booleans()), rng=rng), g.x_shape


def _conv_transpose(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    g = draw(conv_transpose_geometries())
    sizes_and_steps = (g.in_channels, g.out_channels, g.kernel_size, g.stride, g.padding, g.output_padding)
    return L.ConvTranspose2D(*sizes_and_steps, bias=draw(st.booleans()), rng=rng), g.x_shape


# The norms get three values or more: two normalise to ±1 whatever they are, their gradient is nothing but rounding


def _batch_norm(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    shape = draw(shapes(least=3))
    layer = L.BatchNorm(shape[-1], draw(epsilons), affine=draw(st.booleans()))
    layer.running_mean += rng.standard_normal(shape[-1]).astype(np.float32)
    layer.running_var *= rng.uniform(0.5, 2, shape[-1]).astype(np.float32)
    return layer, shape


def _conditional_batch_norm(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple]:
    shape, classes = draw(shapes(least=3)), draw(sizes())
    layer = L.ConditionalBatchNorm(shape[-1], classes, draw(epsilons))
    layer.running_mean += rng.standard_normal(shape[-1]).astype(np.float32)
    layer.running_var *= rng.uniform(0.5, 2, shape[-1]).astype(np.float32)
    return layer, (shape, Labels(shape[0], classes))


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
    g = draw(conv_geometries())
    padding = tuple(min(p, k // 2) for p, k in zip(g.padding, g.kernel_size, strict=True))
    size = tuple(n + 2 * (before - p) for n, before, p in zip(g.size, g.padding, padding, strict=True))
    return L.AvgPool2D(g.kernel_size, g.stride, padding, draw(st.booleans())), (g.batch, *size, g.in_channels)


def _max_pool(draw: Callable, rng: np.random.Generator) -> tuple[Layer, Apart]:
    average, shape = _avg_pool(draw, rng)
    return L.MaxPool2D(average.kernel_size, average.stride, average.padding), Apart(shape)


def _minibatch_std_dev(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    """With an odd number of groups the members of a group have alternating signs; else only a large eps is smooth."""
    members, groups = draw(sizes(1, 4)), draw(sizes(1, 3))
    group_size = members + (draw(sizes(0, 2)) if groups == 1 else 0)  # a batch may be smaller than its group
    eps = draw(epsilons) if groups % 2 else 0.1
    return L.MinibatchStdDev(group_size, eps), (members * groups, *(draw(sizes(1, 3)) for _ in range(3)))


@st.composite
def _spectral_norm(draw: Callable) -> Case:
    """A wrapped dense layer or convolution whose u and v are the singular vectors, so that training is smooth in them.

    W gets 3 |W| u vᵀ besides: by this its largest singular value is at least twice the next, and 50 iterations suffice.
    """
    layer, x = draw(st.one_of(LAYERS["Dense"], LAYERS["Conv2D"], LAYERS["ConvTranspose2D"]))
    wrapped, seed = L.SpectralNorm(layer.to(dtype=np.float64), draw(st.integers(1, 2))), draw(seeds())
    W = wrapped._to_last(layer.W)
    W += 3 * np.linalg.norm(W) * np.outer(wrapped.v, wrapped.u).reshape(W.shape)
    wrapped.iterate(50)
    return Case(wrapped, x, seed)


def _embedding(draw: Callable, rng: np.random.Generator) -> tuple[Layer, Labels]:
    classes = draw(sizes())
    return L.Embedding(classes, draw(sizes()), rng=rng), Labels(draw(sizes()), classes)


def _branches(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple]:
    """One to three branches: layers with and without parameters, numbers and labels passed on, embeddings."""
    kinds = {
        "dense": lambda: _dense(draw, rng),
        "embedding": lambda: _embedding(draw, rng),
        "labels": lambda: (None, Labels(draw(sizes()), draw(sizes()))),
        "network": lambda: (L.Sequential(L.Tanh(), L.Dense(2, 3, rng=rng)), (draw(sizes()), 2)),
        "unchanged": lambda: (None, draw(shapes())),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(kinds)), min_size=1, max_size=3))
    layers, inputs = zip(*(kinds[kind]() for kind in chosen), strict=True)
    return L.Branches(*layers), inputs


def _concat(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple]:
    shape = draw(shapes())
    return L.Concat(), tuple((*shape[:-1], draw(sizes())) for _ in range(draw(sizes(1, 3))))


def _parallel(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    """A linear way, and perhaps one or two that have a dx2."""
    shape = draw(shapes())
    linear, bent = (L.Dense(shape[-1], draw(sizes()), rng=rng) for _ in range(2))
    return L.Parallel(linear, *[L.Sequential(bent, L.Softplus()), L.Tanh()][: draw(st.integers(0, 2))]), shape


def _projection(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple]:
    N, F, classes = draw(sizes()), draw(sizes()), draw(sizes())
    linear, bent = L.Dense(F, 1, rng=rng), [L.Dense(F, 2, rng=rng), L.Tanh(), L.Dense(2, 1, rng=rng)]
    dense = linear if draw(st.booleans()) else L.Sequential(*bent)
    return L.Projection(dense, L.Embedding(classes, F, rng=rng)), ((N, F), Labels(N, classes))


def _conditional(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple]:
    """Conditional batch norm, activation, perhaps a conditional residual block, and a last layer that may project."""
    shape, classes = draw(shapes(least=3)), draw(sizes())
    C = shape[-1]
    act = lambda: draw(st.sampled_from((L.Tanh, L.Sigmoid, L.Softplus)))()  # noqa: E731
    parts = [*([L.Tanh()] if draw(st.booleans()) else []), L.ConditionalBatchNorm(C, classes, 0.1), act()]
    if draw(st.booleans()):
        body = L.Conditional(L.Dense(C, C, rng=rng), L.ConditionalBatchNorm(C, classes, 0.1), act())
        parts.append(L.Residual(body, L.Dense(C, C, rng=rng) if draw(st.booleans()) else None))
    if len(shape) == 2 and draw(st.booleans()):
        parts.append(L.Projection(L.Dense(C, 1, rng=rng), L.Embedding(classes, C, rng=rng)))
    else:
        parts.append(L.Dense(C, draw(sizes()), rng=rng))
    return L.Conditional(*parts), (shape, Labels(shape[0], classes))


def _any_shape(make: Callable) -> Callable:
    return lambda draw, rng: (make(draw), draw(shapes()))


def _pictures_of(make: Callable) -> Callable:
    return lambda draw, rng: (make(draw), draw(shapes(ndim=4)))


def _network(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    """A small critic: convolution, norm, activation, perhaps a residual block and an up-convolution, then dense."""
    act = lambda: draw(st.sampled_from((L.Tanh, L.Sigmoid, L.Softplus)))()  # noqa: E731
    N, H, W, C, K = draw(sizes(2, 3)), draw(sizes(2, 4)), draw(sizes(2, 4)), draw(sizes(1, 2)), draw(sizes(2, 3))
    norm = {"no": [], "batch": [L.BatchNorm(K)], "layer": [L.LayerNorm((H, W, K))], "instance": [L.InstanceNorm(K)]}
    parts = [L.Conv2D(C, K, 3, padding=1, rng=rng), *norm[draw(st.sampled_from(sorted(norm)[::-1]))], act()]
    if draw(st.booleans()):
        shortcut = L.Sequential(L.Conv2D(K, K, 1, rng=rng), act()) if draw(st.booleans()) else None
        parts.append(L.Residual(L.Sequential(L.Conv2D(K, K, 3, padding=1, rng=rng), act()), shortcut))
    up = draw(st.booleans())
    if up:
        parts.append(L.ConvTranspose2D(K, 1, 2, stride=2, rng=rng))
    features = 2 * H * 2 * W * 1 if up else H * W * K
    return L.Sequential(*parts, L.Flatten(), L.Dense(features, draw(sizes(1, 2)), rng=rng)), (N, H, W, C)


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
        "Tanh": _any_shape(lambda draw: L.Tanh()),
        "Sigmoid": _any_shape(lambda draw: L.Sigmoid()),
        "Softplus": _any_shape(lambda draw: L.Softplus(draw(st.floats(0.5, 3)))),
        "Maxout": _maxout,
        "Dropout": _any_shape(lambda draw: L.Dropout(draw(st.floats(0, 0.9)))),
        "Reshape": _reshape,
        "Flatten": _any_shape(lambda draw: L.Flatten()),
        "AvgPool2D": _avg_pool,
        "MaxPool2D": _max_pool,
        "GlobalSumPool": _pictures_of(lambda draw: L.GlobalSumPool()),
        "Upsample": _pictures_of(lambda draw: L.Upsample(draw(st.one_of(sizes(1, 3), st.tuples(sizes(), sizes()))))),
        "MinibatchStdDev": _minibatch_std_dev,
        "Embedding": _embedding,
        "Branches": _branches,
        "Concat": _concat,
        "Parallel": _parallel,
        "Projection": _projection,
        "ConditionalBatchNorm": _conditional_batch_norm,
        "Conditional": _conditional,
    }.items()
}
LAYERS["SpectralNorm"] = _spectral_norm()


def layers() -> st.SearchStrategy[Case]:
    """Any layer but Sequential and Residual, with a fitting input. `LAYERS["Conv2D"]` is one kind of layer."""
    return st.one_of(*LAYERS.values())


def networks() -> st.SearchStrategy[Case]:
    """Small critics, smooth everywhere, of two to seven layers with norms, residual blocks and up-convolutions."""
    return _cases(_network)
