"""Inputs at which every layer is smooth, made so instead of searched for.

A derivative by differences is worth something only where the function is smooth: away from the kink of a ReLU, from a
tie between the pieces of a maxout, from a batch whose values all coincide.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import numpy as np

from minigan.layers import Layer, SpectralNorm

AnyLayer = TypeVar("AnyLayer", bound=Layer)


class Labels(NamedTuple):
    """The shape of labels: how many there are, of how many classes."""

    count: int
    classes: int

    def __str__(self) -> str:
        return f"{self.count} labels"


class Apart(NamedTuple):
    """The shape of pictures in which no two pixels of a channel are equal."""

    shape: tuple[int, int, int, int]

    def __str__(self) -> str:
        return "×".join(map(str, self.shape))


def smooth_input(rng: np.random.Generator, shape: Any) -> Any:
    """`smooth_point` of a shape, `apart` for `Apart`, integers for `Labels`; for a tuple of shapes a tuple of these."""
    if isinstance(shape, Apart):
        return apart(rng, shape.shape)
    if isinstance(shape, Labels):
        return rng.integers(shape.classes, size=shape.count, dtype=rng.choice([np.uint8, np.int64]))
    if shape and isinstance(shape[0], tuple):
        return tuple(smooth_input(rng, entry) for entry in shape)
    return smooth_point(rng, shape)


def smooth_point(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A random float64 array at which every layer of minigan is smooth, with room for steps of 0.02 (or 0.4/C if less).

    * |x| is between 0.2 and 2, so no entry is near 0, where (leaky) ReLUs have their kink;
    * signs alternate along every axis, so whatever is normalised, over whichever axes, is spread out;
    * along the last axis all magnitudes differ, by 0.9/C at least, so there are no ties within a maxout.
    """
    channels = shape[-1] if shape else 1
    ranks = rng.permuted(np.broadcast_to(np.arange(channels), shape), axis=-1) if shape else np.zeros(())
    magnitudes = 0.2 + 1.8 * (ranks + rng.uniform(0, 0.5, shape)) / channels
    parity = np.indices(shape).sum(axis=0) + rng.integers(2)
    return magnitudes * np.where(parity % 2, 1.0, -1.0)


def apart(rng: np.random.Generator, shape: tuple[int, int, int, int]) -> np.ndarray:
    """Random float64 pictures (N, H, W, C) in (−2, 2): two pixels of a channel are at least 2/(H·W) apart.

    So there are no ties within a window of max pooling. `smooth_point` has none within a pixel.
    """
    N, H, W, C = shape
    ranks = rng.permuted(np.broadcast_to(np.arange(H * W)[:, None], (N, H * W, C)), axis=1)
    return (-2 + 4 * (ranks + rng.uniform(0, 0.5, ranks.shape)) / (H * W)).reshape(shape)


def shake(layer: AnyLayer, rng: np.random.Generator, amount: float = 0.1) -> AnyLayer:
    """Add N(0, amount²) to every parameter of a layer, in place, and return it.

    Initial values are special: with γ = 1 a forgotten factor γ doesn't show.
    """
    values = layer.parameters().values
    values += (amount * rng.standard_normal(values.shape)).astype(values.dtype)
    return layer


def singular_vectors(network: Layer) -> Layer:
    """Set the u and v of every spectral norm to the first singular vectors of W, where its gradient is exact.

    Power iterations would need thousands where the second singular value is nearly as large. The network should be in
    float64. In place; it is returned.
    """
    for _, layer in network.walk():
        if isinstance(layer, SpectralNorm):
            left, _, right = np.linalg.svd(layer._matrix(layer.layer.W), full_matrices=False)  # (R·S·C, K)
            layer.v[...], layer.u[...] = left[:, 0], right[0]
            layer.iterate()
    return network


def non_contiguous(a: Any) -> np.ndarray:
    """The same numbers, lying backwards and with gaps in memory."""
    room = np.zeros(tuple(2 * n for n in a.shape), a.dtype)
    view = room[tuple(slice(None, None, -2) for _ in a.shape)]
    view[...] = a
    return view
