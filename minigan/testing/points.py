"""Inputs at which every layer is smooth, constructed rather than searched for.

Finite differences are meaningful only where the function is smooth: away from the kink of a ReLU, from ties between the
pieces of a maxout, and from batches of equal values.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import numpy as np

from minigan.layers import Layer, SpectralNorm

AnyLayer = TypeVar("AnyLayer", bound=Layer)


class Labels(NamedTuple):
    """The shape of an array of labels: their number, and the number of classes."""

    count: int
    classes: int

    def __str__(self) -> str:
        return f"{self.count} labels"


class Apart(NamedTuple):
    """The shape of pictures in which all pixels of a channel differ."""

    shape: tuple[int, int, int, int]

    def __str__(self) -> str:
        return "×".join(map(str, self.shape))


def smooth_input(rng: np.random.Generator, shape: Any) -> Any:
    """Draw an input of a shape: `apart` for Apart, integers for Labels, a tuple for a tuple, else `smooth_point`."""
    if isinstance(shape, Apart):
        return apart(rng, shape.shape)
    if isinstance(shape, Labels):
        return rng.integers(shape.classes, size=shape.count, dtype=rng.choice([np.uint8, np.int64]))
    if shape and isinstance(shape[0], tuple):
        return tuple(smooth_input(rng, entry) for entry in shape)
    return smooth_point(rng, shape)


def smooth_point(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw a float64 array at which every layer of minigan is smooth within 0.02 (or 0.4/C, if that is less).

    * |x| is between 0.2 and 2, so no entry is near 0, the kink of (leaky) ReLUs.
    * Signs alternate along every axis, so the variance that a norm divides by is far from 0, whatever its axes.
    * Magnitudes along the last axis differ by at least 0.9/C, so a maxout has no ties.
    """
    channels = shape[-1] if shape else 1
    ranks = rng.permuted(np.broadcast_to(np.arange(channels), shape), axis=-1) if shape else np.zeros(())
    magnitudes = 0.2 + 1.8 * (ranks + rng.uniform(0, 0.5, shape)) / channels
    parity = np.indices(shape).sum(axis=0) + rng.integers(2)
    return magnitudes * np.where(parity % 2, 1.0, -1.0)


def apart(rng: np.random.Generator, shape: tuple[int, int, int, int]) -> np.ndarray:
    """Draw float64 pictures (N, H, W, C) in (−2, 2), with any two pixels of a channel at least 2/(H·W) apart.

    A window of max pooling then has no ties. `smooth_point` prevents ties only within a pixel.
    """
    N, H, W, C = shape
    ranks = rng.permuted(np.broadcast_to(np.arange(H * W)[:, None], (N, H * W, C)), axis=1)
    return (-2 + 4 * (ranks + rng.uniform(0, 0.5, ranks.shape)) / (H * W)).reshape(shape)


def shake(layer: AnyLayer, rng: np.random.Generator, amount: float = 0.1) -> AnyLayer:
    """Add N(0, amount²) to every parameter of a layer, in place, and return the layer.

    Initial values hide errors: with γ = 1, a missing factor γ has no effect.
    """
    values = layer.parameters().values
    values += (amount * rng.standard_normal(values.shape)).astype(values.dtype)
    return layer


def singular_vectors(network: Layer) -> Layer:
    """Set u and v of every spectral norm to the first singular vectors of W, where its gradient is exact, in place.

    They come from an SVD, because power iterations would need thousands of steps where the second singular value is
    close to the first. The network should be in float64; it is returned.
    """
    for _, layer in network.walk():
        if isinstance(layer, SpectralNorm):
            left, _, right = np.linalg.svd(layer._matrix(layer.layer.W), full_matrices=False)  # (R·S·C, K)
            layer.v[...], layer.u[...] = left[:, 0], right[0]
            layer.iterate()
    return network


def separate_singular_value(layer: SpectralNorm) -> None:
    """Add 3 |W| u vᵀ to W, so that its largest singular value is at least twice the next, and iterate u and v.

    There, and only there, σ is stationary in u and v, and the gradient in training mode is exact.
    """
    W = layer._to_last(layer.layer.W)
    W += 3 * np.linalg.norm(W) * np.outer(layer.v, layer.u).reshape(W.shape)
    layer.iterate(100)


def non_contiguous(a: Any) -> np.ndarray:
    """Return a copy whose memory has negative strides and gaps."""
    room = np.zeros(tuple(2 * n for n in a.shape), a.dtype)
    view = room[tuple(slice(None, None, -2) for _ in a.shape)]
    view[...] = a
    return view
