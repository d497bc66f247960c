"""A table of how exact every gradient is: the cases, and a row for each of their arrays.

`minigan gradcheck` prints it. The cases are fixed by a seed; Hypothesis draws others (`strategies`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from minigan.errors import MiniganError
from minigan.layers import (
    AvgPool2D,
    BatchNorm,
    Branches,
    Concat,
    Conditional,
    ConditionalAffine,
    ConditionalBatchNorm,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalSumPool,
    InstanceNorm,
    Layer,
    LayerNorm,
    LeakyReLU,
    Maxout,
    MaxPool2D,
    MinibatchStdDev,
    Parallel,
    PReLU,
    Projection,
    ReLU,
    Reshape,
    Residual,
    Sequential,
    Sigmoid,
    Softplus,
    SpectralNorm,
    Tanh,
    Upsample,
)
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
    """The largest relative errors of the gradients that belong to one array of a case.

    array "x": dx and dx2; "dy": ddy, which there is only at second order; "W" and other parameters: dW at either order.
    With several inputs they are "x[0]", "x[1]", …; there is nothing to check for labels.
    """

    name: str
    array: str
    first: float | None
    second: float


def standard_cases(seed: int = 0) -> list[Case]:
    """Every layer of minigan.layers, each with several geometries; `seed` draws the weights and inputs."""
    rng = np.random.default_rng(seed)
    cases = []
    for layer, *shapes in _layers_and_shapes(seed):
        shake(layer, rng)
        if isinstance(layer, SpectralNorm):
            singular_vectors(layer.to(dtype=np.float64))
        for shape in shapes:
            x = smooth_input(rng, shape)
            cases.append(Case(_title(layer, shape), layer, x))
            if isinstance(layer, (BatchNorm, ConditionalBatchNorm, Dropout, SpectralNorm)):
                other = each(lambda a: a.astype(np.float32) if is_float(a) else a, smooth_input(rng, shape))
                layer.forward(other, rng=rng)  # moves the running statistics
                cases.append(Case(_title(layer, shape) + ", inference", layer, x, train=False))
    return cases


def check_cases(names: Iterable[str] | None = None, seed: int = 0) -> Iterator[Row]:
    """Check the standard cases, or those of the layers called `names` ("Conv2D"), and yield a row for every array.

    Raises GradientError at the first gradient that is wrong, and MiniganError for a name that no layer has.
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


def _layers_and_shapes(seed: int) -> list[tuple]:
    """(layer, shape of x, another shape, …)."""
    rng = np.random.default_rng([seed, 1])
    points, pictures = (5, 6), (2, 3, 4, 6)
    return [
        (Dense(6, 4, rng=rng), points, (2, 3, 6), (1, 6)),
        (Dense(6, 1, bias=False, rng=rng), points),
        (Conv2D(2, 3, 3, padding=1, rng=rng), (2, 4, 5, 2), (1, 3, 3, 2)),
        (Conv2D(2, 3, 4, stride=2, padding=1, rng=rng), (2, 6, 4, 2), (2, 7, 5, 2)),
        (Conv2D(3, 2, (3, 1), stride=(1, 2), padding=(2, 0), bias=False, rng=rng), (2, 2, 5, 3)),
        (Conv2D(2, 3, 1, stride=3, rng=rng), (2, 5, 4, 2)),
        (ConvTranspose2D(3, 2, 4, stride=2, padding=1, rng=rng), (2, 2, 3, 3), (1, 1, 1, 3)),
        (ConvTranspose2D(2, 3, 5, stride=2, padding=2, output_padding=1, rng=rng), (2, 2, 3, 2)),
        (ConvTranspose2D(3, 2, (2, 3), stride=(3, 1), padding=(0, 1), bias=False, rng=rng), (2, 2, 3, 3)),
        (BatchNorm(6), points, pictures),
        (BatchNorm(6, affine=False), points, pictures),
        (LayerNorm(6), points, pictures),
        (LayerNorm((3, 4, 6)), pictures),
        (LayerNorm((4, 6), elementwise_affine=False), pictures),
        (InstanceNorm(6), pictures),
        (InstanceNorm(6, affine=True), pictures),
        (ReLU(), points, pictures),
        (LeakyReLU(0.2), points, pictures),
        (PReLU(), points, pictures),
        (PReLU(6), points, pictures),
        (Tanh(), points, pictures),
        (Sigmoid(), points, pictures),
        (Softplus(), points, pictures),
        (Softplus(beta=3.0), points),
        (Maxout(2), points, pictures),
        (Maxout(3), points),
        (Dropout(0.4), points, pictures),
        (Reshape(3, 2), points),
        (Flatten(), pictures, points),
        (AvgPool2D(2), (2, 4, 6, 3), (2, 5, 3, 2)),
        (AvgPool2D((3, 2), stride=2, padding=1), (2, 4, 5, 3)),
        (AvgPool2D(3, stride=1, padding=1, count_include_pad=False), (2, 4, 5, 3), (1, 2, 2, 3)),
        (MaxPool2D(2), Apart((2, 4, 6, 3)), Apart((2, 5, 3, 2))),
        (MaxPool2D(3, stride=(2, 1), padding=1), Apart((2, 4, 5, 3))),
        (GlobalSumPool(), pictures),
        (Upsample(), pictures),
        (Upsample((1, 3)), (2, 3, 2, 2)),
        (MinibatchStdDev(), (4, 2, 3, 2), (12, 2, 1, 3)),
        (MinibatchStdDev(3), (9, 2, 2, 2), (1, 2, 3, 2)),
        *_conditional_layers_and_shapes(rng, points, pictures),
        (_critic(rng), (3, 6, 5, 2)),
        (Residual(Sequential(Dense(6, 6, rng=rng), Tanh())), points),
        (Residual(Conv2D(2, 3, 3, padding=1, rng=rng), Conv2D(2, 3, 1, rng=rng)), (2, 4, 3, 2)),
        (Parallel(Dense(6, 2, rng=rng), Tanh(), Sequential(Dense(6, 3, rng=rng), Softplus())), points, pictures),
        (SpectralNorm(Dense(6, 4, rng=rng), rng=rng), points),
        (SpectralNorm(Conv2D(2, 3, 4, stride=2, padding=1, rng=rng), rng=rng), (2, 6, 4, 2)),
        (SpectralNorm(ConvTranspose2D(3, 2, 4, stride=2, padding=1, rng=rng), rng=rng), (2, 2, 3, 3)),
    ]


def _critic(rng: np.random.Generator) -> Sequential:
    """A small critic with something of everything, smooth so that it can be checked like a layer."""
    return Sequential(
        Conv2D(2, 3, 3, stride=2, padding=1, rng=rng),
        LayerNorm((3, 3, 3)),
        Softplus(),
        Residual(Sequential(Conv2D(3, 3, 3, padding=1, rng=rng), Tanh())),
        Flatten(),
        Dense(27, 1, rng=rng),
    )


def _conditional_layers_and_shapes(rng: np.random.Generator, points: tuple, pictures: tuple) -> list[tuple]:
    """Those with several inputs, most of them with labels of 3 classes. Points are (5, 6), pictures (2, 3, 4, 6)."""
    two, five = Labels(2, 3), Labels(5, 3)
    block = Residual(Conditional(Dense(6, 6, rng=rng), ConditionalBatchNorm(6, 3), Tanh()), Dense(6, 6, rng=rng))
    return [
        (Embedding(3, 4, rng=rng), five, Labels(1, 3)),
        (Branches(None, Embedding(3, 4, rng=rng)), (points, five), (pictures, two)),
        (Branches(Dense(6, 2, rng=rng), Tanh(), None), (points, pictures, five)),
        (Concat(), (points, (5, 1)), (pictures, (2, 3, 4, 1), (2, 3, 4, 2))),
        (ConditionalAffine(6, 3), (points, five), (pictures, two)),
        (ConditionalBatchNorm(6, 3), (points, five), (pictures, two)),
        (Projection(Dense(6, 1, rng=rng), Embedding(3, 6, rng=rng)), (points, five), ((1, 6), Labels(1, 3))),
        (Conditional(ConditionalBatchNorm(6, 3), Softplus(), Dense(6, 2, rng=rng)), (points, five), (pictures, two)),
        (Conditional(block, Projection(Dense(6, 1, rng=rng), Embedding(3, 6, rng=rng))), (points, five)),
        (Sequential(Branches(None, Embedding(3, 2, rng=rng)), Concat(), Dense(8, 3, rng=rng), Tanh()), (points, five)),
    ]


def _title(layer: Layer, shape: tuple) -> str:
    title = repr(layer)
    return f"{title if len(title) < 90 else type(layer).__name__ + '(…)'} on {_size(shape)}"


def _size(shape: tuple) -> str:
    if isinstance(shape, (Apart, Labels)):
        return str(shape)
    return ", ".join(map(_size, shape)) if isinstance(shape[0], tuple) else "×".join(map(str, shape))
