"""Layers for Hypothesis to test that take labels, have branches, or consist of other layers, and small networks.

Each function draws `(layer, shape of its input)`, as `strategies` expects; the shape is a tuple of shapes for several
inputs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from minigan import layers as L
from minigan.layers import Layer
from minigan.testing.geometries import shapes, sizes
from minigan.testing.points import Labels


def embedding(draw: Callable, rng: np.random.Generator) -> tuple[Layer, Labels]:
    """An embedding, and labels."""
    classes = draw(sizes())
    return L.Embedding(classes, draw(sizes()), rng=rng), Labels(draw(sizes()), classes)


def branches(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple]:
    """One to three branches: a dense layer, a network, an embedding, or the identity on numbers or on labels."""

    def dense() -> tuple[Layer, tuple[int, ...]]:
        shape = draw(shapes())
        return L.Dense(shape[-1], draw(sizes()), rng=rng), shape

    kinds = {
        "dense": dense,
        "embedding": lambda: embedding(draw, rng),
        "labels": lambda: (None, Labels(draw(sizes()), draw(sizes()))),
        "network": lambda: (L.Sequential(L.Tanh(), L.Dense(2, 3, rng=rng)), (draw(sizes()), 2)),
        "unchanged": lambda: (None, draw(shapes())),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(kinds)), min_size=1, max_size=3))
    layers, inputs = zip(*(kinds[kind]() for kind in chosen), strict=True)
    return L.Branches(*layers), inputs


def concat(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple]:
    """A concatenation of one to three arrays that differ in their channels."""
    shape = draw(shapes())
    return L.Concat(), tuple((*shape[:-1], draw(sizes())) for _ in range(draw(sizes(1, 3))))


def parallel(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    """A linear branch, and up to two nonlinear ones, which have a dx2."""
    shape = draw(shapes())
    linear, bent = (L.Dense(shape[-1], draw(sizes()), rng=rng) for _ in range(2))
    return L.Parallel(linear, *[L.Sequential(bent, L.Softplus()), L.Tanh()][: draw(st.integers(0, 2))]), shape


def fork(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    """One to three branches of the same input: linear, nonlinear, and the input itself."""
    shape = draw(shapes(ndim=2))
    kinds = (L.Dense(shape[-1], draw(sizes()), rng=rng), L.Tanh(), None)
    return L.Fork(*kinds[: draw(st.integers(1, 3))]), shape


def attention(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple]:
    """Queries, keys and values of pictures or of rows, with another number of queries than of keys."""
    N, d, e = draw(sizes(1, 2)), draw(sizes(1, 3)), draw(sizes(1, 3))
    pixels = st.lists(sizes(1, 3), min_size=1, max_size=2).map(tuple)
    queries, keys = draw(pixels), draw(pixels)
    return L.DotProductAttention(), ((N, *queries, d), (N, *keys, d), (N, *keys, e))


def adaptive_affine(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple]:
    """Gain and bias by linear layers, or by a network, which has a dx2."""
    N, F, C = draw(sizes(1, 3)), draw(sizes(1, 3)), draw(sizes(1, 3))
    shape = (N, *draw(st.sampled_from(((), (3,), (2, 2)))), C)
    linear, other = (L.Dense(F, shape[-1], rng=rng) for _ in range(2))
    bent = L.Sequential(other, L.Softplus()) if draw(st.booleans()) else other
    return L.AdaptiveAffine(bent, linear), (shape, (shape[0], F))


def adain(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple]:
    """An adaptive instance norm of pictures of at least two pixels."""
    N, H, W, C, F = draw(sizes()), draw(sizes(2, 4)), draw(sizes(1, 3)), draw(sizes()), draw(sizes())
    return L.AdaIN(C, F, 0.1, rng=rng), ((N, H, W, C), (N, F))


def with_style(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple]:
    """An adaptive instance norm that gets one of several styles."""
    layer, (x, (N, F)) = adain(draw, rng)
    index = draw(st.integers(0, 2))
    return L.WithStyle(layer, index), (x, (N, index + draw(sizes()), F))


def columns(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    """One or two slices, which may overlap."""
    C = draw(sizes(2, 5))
    starts = [draw(sizes(0, C - 1)) for _ in range(draw(sizes(1, 2)))]
    return L.Columns(*((start, draw(sizes(start + 1, C))) for start in starts)), draw(shapes(channels=C))


def skip(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    """A skip over a linear body, a nonlinear one, which has a dx2, or a whole U-Net level with another skip inside."""
    shape = draw(shapes())
    K = draw(sizes())
    body = {
        "linear": lambda: L.Dense(shape[-1], K, rng=rng),
        "bent": lambda: L.Sequential(L.Dense(shape[-1], K, rng=rng), L.Softplus()),
        "nested": lambda: L.Sequential(
            L.Dense(shape[-1], K, rng=rng), L.Skip(L.Sequential(L.Tanh(), L.Dense(K, 2, rng=rng))), L.Softplus()
        ),
    }
    return L.Skip(body[draw(st.sampled_from(sorted(body)))]()), shape


def projection(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple]:
    """A projection discriminator's last layer, whose unconditional part is linear or not."""

    N, F, classes = draw(sizes()), draw(sizes()), draw(sizes())
    linear, bent = L.Dense(F, 1, rng=rng), [L.Dense(F, 2, rng=rng), L.Tanh(), L.Dense(2, 1, rng=rng)]
    dense = linear if draw(st.booleans()) else L.Sequential(*bent)
    return L.Projection(dense, L.Embedding(classes, F, rng=rng)), ((N, F), Labels(N, classes))


def conditional(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple]:
    """Conditional batch norm, activation, perhaps a conditional residual block, and a dense or projection layer."""
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


def network(draw: Callable, rng: np.random.Generator) -> tuple[Layer, tuple[int, ...]]:
    """A small critic: convolution, norm, activation, perhaps a residual block and a transposed convolution, dense."""
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
