"""A table of the accuracy of every gradient: the standard cases, and one row for each of their arrays.

`minigan gradcheck` prints it. A seed determines the cases; Hypothesis draws others (`strategies`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from minigan import layers as L
from minigan.errors import MiniganError
from minigan.layers import Layer
from minigan.testing.gradcheck import check_layer
from minigan.testing.points import Apart, Labels, shake, singular_vectors, smooth_input
from minigan.testing.several import each, is_float


class Case(NamedTuple):
    """A layer with shaken parameters, and an input at which it is smooth: an array, or a tuple."""

    name: str
    layer: Layer
    x: Any
    train: bool = True


class Row(NamedTuple):
    """The largest relative errors of the gradients of one array of a case.

    `array` "x" stands for dx and dx2; "dy" for ddy, at second order only; "W" and other parameters for their gradients
    of either order. With several inputs, the names are "x[0]", "x[1]", …; labels have no row.
    """

    name: str
    array: str
    first: float | None
    second: float


def standard_cases(seed: int = 0) -> list[Case]:
    """Return cases of every layer in minigan.layers, each with several geometries; `seed` draws weights and inputs."""
    rng = np.random.default_rng(seed)
    cases = []
    for layer, *shapes in _layers_and_shapes(seed):
        shake(layer, rng)
        if isinstance(layer, L.SpectralNorm):
            singular_vectors(layer.to(dtype=np.float64))
        for shape in shapes:
            x = smooth_input(rng, shape)
            cases.append(Case(_title(layer, shape), layer, x))
            if isinstance(layer, (L.BatchNorm, L.ConditionalBatchNorm, L.Dropout, L.Reparametrize, L.SpectralNorm)):
                other = each(lambda a: a.astype(np.float32) if is_float(a) else a, smooth_input(rng, shape))
                layer.forward(other, rng=rng)  # changes the running statistics
                cases.append(Case(_title(layer, shape) + ", inference", layer, x, train=False))
    return cases


def check_cases(names: Iterable[str] | None = None, seed: int = 0) -> Iterator[Row]:
    """Check the standard cases, or those of the layers named `names` ("Conv2D"), and yield a row for every array.

    Raises GradientError for the first wrong gradient, and MiniganError for a name that no layer has.
    """
    cases = standard_cases(seed)
    known = sorted({type(case.layer).__name__ for case in cases})
    wanted = known if names is None else list(names)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise MiniganError(f"no layer is called {unknown[0]}: choose from {', '.join(known)}")
    for case in cases:
        if type(case.layer).__name__ in wanted:
            report = check_layer(case.layer, case.x, train=case.train, seed=seed)
            for array in report.first | report.second:
                yield Row(case.name, array, report.first.get(array), report.second[array])


def _constructors(rng: np.random.Generator) -> tuple[Callable[..., Any], ...]:
    classes = (L.Dense, L.Conv2D, L.ConvTranspose2D, L.Embedding, L.SpectralNorm, L.Equalized)
    return tuple(partial(layer, rng=rng) for layer in classes)


def _layers_and_shapes(seed: int) -> list[tuple]:
    """Return tuples (layer, shape of x, another shape, …)."""
    rng = np.random.default_rng([seed, 1])
    dense, conv, conv_transpose, *_ = _constructors(rng)
    points, pictures = (5, 6), (2, 3, 4, 6)
    return [
        (dense(6, 4), points, (2, 3, 6), (1, 6)),
        (dense(6, 1, bias=False), points),
        (conv(2, 3, 3, padding=1), (2, 4, 5, 2), (1, 3, 3, 2)),
        (conv(2, 3, 4, stride=2, padding=1), (2, 6, 4, 2), (2, 7, 5, 2)),
        (conv(3, 2, (3, 1), stride=(1, 2), padding=(2, 0), bias=False), (2, 2, 5, 3)),
        (conv(2, 3, 1, stride=3), (2, 5, 4, 2)),
        (conv_transpose(3, 2, 4, stride=2, padding=1), (2, 2, 3, 3), (1, 1, 1, 3)),
        (conv_transpose(2, 3, 5, stride=2, padding=2, output_padding=1), (2, 2, 3, 2)),
        (conv_transpose(3, 2, (2, 3), stride=(3, 1), padding=(0, 1), bias=False), (2, 2, 3, 3)),
        (L.BatchNorm(6), points, pictures),
        (L.BatchNorm(6, affine=False), points, pictures),
        (L.LayerNorm(6), points, pictures),
        (L.LayerNorm((3, 4, 6)), pictures),
        (L.LayerNorm((4, 6), elementwise_affine=False), pictures),
        (L.InstanceNorm(6), pictures),
        (L.InstanceNorm(6, affine=True), pictures),
        (L.ReLU(), points, pictures),
        (L.LeakyReLU(0.2), points, pictures),
        (L.PReLU(), points, pictures),
        (L.PReLU(6), points, pictures),
        (L.Tanh(), points, pictures),
        (L.Sigmoid(), points, pictures),
        (L.Softplus(), points, pictures),
        (L.Softplus(beta=3.0), points),
        (L.Softmax(), points, pictures),
        (L.Maxout(2), points, pictures),
        (L.Maxout(3), points),
        (L.Dropout(0.4), points, pictures),
        (L.Reshape(3, 2), points),
        (L.Flatten(), pictures, points),
        (L.AvgPool2D(2), (2, 4, 6, 3), (2, 5, 3, 2)),
        (L.AvgPool2D((3, 2), stride=2, padding=1), (2, 4, 5, 3)),
        (L.AvgPool2D(3, stride=1, padding=1, count_include_pad=False), (2, 4, 5, 3), (1, 2, 2, 3)),
        (L.MaxPool2D(2), Apart((2, 4, 6, 3)), Apart((2, 5, 3, 2))),
        (L.MaxPool2D(3, stride=(2, 1), padding=1), Apart((2, 4, 5, 3))),
        (L.GlobalSumPool(), pictures),
        (L.GlobalAvgPool(), pictures),
        (L.Upsample(), pictures),
        (L.Upsample((1, 3)), (2, 3, 2, 2)),
        (L.ReflectionPad2D(2), (2, 3, 4, 2)),
        (L.ReplicationPad2D((1, 3)), (2, 3, 2, 2)),
        (L.BilinearUpsample((2, 3)), pictures, (1, 1, 1, 2)),
        (L.BicubicUpsample((2, 3)), (2, 3, 4, 3), (1, 1, 1, 2)),
        (L.BicubicDownsample((3, 2)), (2, 6, 8, 3), (1, 3, 2, 9)),
        (L.BicubicDownsample(2, antialias=False), (2, 6, 4, 3)),
        (L.PixelShuffle(2), (2, 3, 4, 8)),
        (L.PixelUnshuffle(2), (2, 6, 4, 3)),
        (L.MinibatchStdDev(), (4, 2, 3, 2), (12, 2, 1, 3)),
        (L.MinibatchStdDev(3), (9, 2, 2, 2), (1, 2, 3, 2)),
        *_attention_layers_and_shapes(rng, points, pictures),
        *_style_layers_and_shapes(rng, points, pictures),
        *_conditional_layers_and_shapes(rng, points, pictures),
        *_composites_and_shapes(rng, points, pictures),
    ]


def _attention_layers_and_shapes(rng: np.random.Generator, points: tuple, pictures: tuple) -> list[tuple]:
    """Return self-attention and its parts, for points (5, 6) and pictures (2, 3, 4, 6)."""
    return [
        (L.Gain(0.5), points, pictures),
        (L.Columns((0, 2), (1, 5)), points, pictures),
        (L.DotProductAttention(), ((2, 3, 4), (2, 5, 4), (2, 5, 2)), ((1, 2, 3, 4), (1, 2, 2, 4), (1, 2, 2, 1))),
        (L.SelfAttention(1, rng=rng), Apart((2, 4, 6, 1))),
    ]


def _style_layers_and_shapes(rng: np.random.Generator, points: tuple, pictures: tuple) -> list[tuple]:
    """Return the layers of progressive growing, StyleGAN, StyleGAN2 and VAE, for points and pictures."""
    return [
        (L.PixelNorm(), points, pictures),
        (L.Blur(2), (2, 3, 4, 3)),
        (L.Blur(1, 4.0, (1, 2, 1)), (1, 2, 3, 9)),
        (L.DownsampleFIR(), (2, 4, 6, 3)),
        (L.UpsampleFIR(), (2, 2, 3, 3)),
        (L.NoiseBias(3, 4, rng=rng), (2, 4, 4, 3)),
        (L.Reparametrize(), points, pictures),
        (L.Constant(2, 2, 3, rng=rng), points),
        (L.ModulatedConv2D(6, 3, rng=rng), (pictures, (2, 6))),
        (L.ModulatedConv2D(6, 3, up=True, rng=rng), (pictures, (2, 6))),
        (L.ModulatedConv2D(6, 3, 1, demodulate=False, bias=True, rng=rng), (pictures, (2, 6))),
        (L.ScaledLeakyReLU(0.2), points, pictures),
        (L.AdaIN(6, 3, rng=rng), (pictures, (2, 3))),
        (L.WithStyle(L.AdaIN(6, 3, rng=rng), 1), (pictures, (2, 2, 3))),
    ]


def _composites_and_shapes(rng: np.random.Generator, points: tuple, pictures: tuple) -> list[tuple]:
    """Return layers made of others, for points (5, 6) and pictures (2, 3, 4, 6)."""
    dense, conv, conv_transpose, _, spectral_norm, equalized = _constructors(rng)
    return [
        (_critic(rng), (3, 6, 5, 2)),
        (L.Residual(L.Sequential(dense(6, 6), L.Tanh())), points),
        (L.Residual(conv(2, 3, 3, padding=1), conv(2, 3, 1)), (2, 4, 3, 2)),
        (L.Fork(dense(6, 2), L.Tanh(), None), points, pictures),
        (L.AdaptiveAffine(dense(3, 6), L.Sequential(dense(3, 6), L.Tanh())), (points, (5, 3)), (pictures, (2, 3))),
        (L.Parallel(dense(6, 2), L.Tanh(), L.Sequential(dense(6, 3), L.Softplus())), points, pictures),
        (L.Skip(L.Sequential(dense(6, 2), L.Softplus())), points, pictures),
        (_u_net(rng), (2, 4, 4, 2)),
        (L.Fade(conv(2, 3, 1), L.Sequential(conv(2, 3, 3, padding=1), L.Softplus()), 0.3), (2, 3, 4, 2)),
        (spectral_norm(dense(6, 4)), points),
        (spectral_norm(conv(2, 3, 4, stride=2, padding=1)), (2, 6, 4, 2)),
        (spectral_norm(conv_transpose(3, 2, 4, stride=2, padding=1)), (2, 2, 3, 3)),
        (equalized(dense(6, 4), lr_multiplier=0.5, bias=1), points),
        (equalized(conv(2, 3, 4, stride=2, padding=1), gain=1.4), (2, 6, 4, 2)),
        (equalized(conv_transpose(3, 2, 4, stride=2, padding=1, bias=False)), (2, 2, 3, 3)),
    ]


def _critic(rng: np.random.Generator) -> L.Sequential:
    """Return a small critic with layers of all kinds, smooth so that it can be checked like a layer."""
    dense, conv, *_ = _constructors(rng)
    return L.Sequential(
        conv(2, 3, 3, stride=2, padding=1),
        L.LayerNorm((3, 3, 3)),
        L.Softplus(),
        L.Residual(L.Sequential(conv(3, 3, 3, padding=1), L.Tanh())),
        L.Flatten(),
        dense(27, 1),
    )


def _u_net(rng: np.random.Generator) -> L.Sequential:
    """Return a small U-Net of two levels, smooth so that it can be checked like a layer."""
    _, conv, conv_transpose, *_ = _constructors(rng)
    inner = L.Skip(L.Sequential(L.Tanh(), conv(3, 2, 4, 2, 1), L.Softplus(), conv_transpose(2, 2, 4, 2, 1)))
    return L.Sequential(conv(2, 3, 4, 2, 1), inner, L.Softplus(), conv_transpose(5, 2, 4, 2, 1), L.Tanh())


def _conditional_layers_and_shapes(rng: np.random.Generator, points: tuple, pictures: tuple) -> list[tuple]:
    """Return layers with several inputs, most with labels of 3 classes, for points (5, 6) and pictures (2, 3, 4, 6)."""
    dense, _, _, embedding, *_ = _constructors(rng)
    two, five = Labels(2, 3), Labels(5, 3)
    block = L.Residual(L.Conditional(dense(6, 6), L.ConditionalBatchNorm(6, 3), L.Tanh()), dense(6, 6))
    return [
        (embedding(3, 4), five, Labels(1, 3)),
        (L.Branches(None, embedding(3, 4)), (points, five), (pictures, two)),
        (L.Branches(dense(6, 2), L.Tanh(), None), (points, pictures, five)),
        (L.Concat(), (points, (5, 1)), (pictures, (2, 3, 4, 1), (2, 3, 4, 2))),
        (L.ConditionalAffine(6, 3), (points, five), (pictures, two)),
        (L.ConditionalBatchNorm(6, 3), (points, five), (pictures, two)),
        (L.Projection(dense(6, 1), embedding(3, 6)), (points, five), ((1, 6), Labels(1, 3))),
        (L.Conditional(L.ConditionalBatchNorm(6, 3), L.Softplus(), dense(6, 2)), (points, five), (pictures, two)),
        (L.Conditional(block, L.Projection(dense(6, 1), embedding(3, 6))), (points, five)),
        (L.Sequential(L.Branches(None, embedding(3, 2)), L.Concat(), dense(8, 3), L.Tanh()), (points, five)),
    ]


def _title(layer: Layer, shape: tuple) -> str:
    title = repr(layer)
    return f"{title if len(title) < 90 else type(layer).__name__ + '(…)'} on {_size(shape)}"


def _size(shape: tuple) -> str:
    if isinstance(shape, (Apart, Labels)):
        return str(shape)
    return ", ".join(map(_size, shape)) if isinstance(shape[0], tuple) else "×".join(map(str, shape))
