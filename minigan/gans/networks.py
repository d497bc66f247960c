"""Networks that several GANs share: a convolutional critic without batch norm, and dense networks for points.

Critics with a gradient penalty or spectral normalization have no batch norm, because it mixes the samples of a batch:
the gradient of D at one sample would depend on all the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.errors import ShapeError
from minigan.gans.base import Networks, Shape
from minigan.gans.dcgan import discriminator_features, stage_widths
from minigan.layers import (
    Branches,
    Dense,
    Embedding,
    Flatten,
    Layer,
    LeakyReLU,
    Projection,
    ReLU,
    SelfAttention,
    Sequential,
    SpectralNorm,
    glorot_uniform,
)
from minigan.layers.blocks import Insert, Wrap, as_it_is, nothing
from minigan.layers.initializers import Initializer


def critic_features(
    shape: Shape,
    features: int,
    rng: np.random.Generator,
    init: Initializer,
    wrap: Wrap = as_it_is,
    insert: Insert = nothing,
) -> tuple[list[Layer], int]:
    """Build DCGAN's discriminator without norms and last layer: pictures (N, H, W, C) → features (N, F). Returns F too.

    `wrap` is applied to each layer with a weight, such as SpectralNorm; `insert` as in dcgan.generator.
    """
    layers = discriminator_features(shape, features, rng, init, wrap=wrap, insert=insert)
    if shape[0] == 28:
        return layers, 16 * features
    return [*layers, Flatten()], 4 * 4 * stage_widths(shape[0], features)[0]


def logit_layers(layers: list[Layer], n: int, n_classes: int, rng: np.random.Generator, bias: bool) -> Sequential:
    """Build D with spectral norm from the layers that map x to features φ (N, n): logit = w·φ + b, plus e_y·φ for
    classes y ("cGANs with Projection Discriminator", Miyato and Koyama 2018).
    """
    dense = SpectralNorm(Dense(n, 1, bias, rng=rng), rng=rng)
    if not n_classes:
        return Sequential(*layers, dense)
    embedding = SpectralNorm(Embedding(n_classes, n, init=glorot_uniform(), rng=rng), rng=rng)
    return Sequential(Branches(Sequential(*layers), None), Projection(dense, embedding))


def attention_at(
    pixels: int, rng: np.random.Generator, init: Initializer | None = None, wrap: Wrap = as_it_is
) -> Insert:
    """Return the insert that ends the stage of `pixels` × `pixels` with self-attention, and no other stage."""

    def insert(stage: int, channels: int) -> list[Layer]:
        return [SelfAttention(channels, wrap=wrap, init=init, rng=rng)] if stage == pixels else []

    return insert


def check_attention(pixels: int, stages: Sequence[int], model: str) -> None:
    """Raise ValueError unless `pixels` is 0 or that of one of the stages."""
    if pixels and pixels not in stages:
        there = ", ".join(map(str, stages[:-1])) + " or " + str(stages[-1]) if stages else ""
        choose = f"choose {there}" if there else "leave it out, it is for pictures"
        raise ValueError(f"`attention` is {pixels}, but {model} has no such stage: {choose}")


def point_networks(shape: Shape, latent_dim: int, rng: np.random.Generator, width: int = 128) -> Networks:
    """G: z (N, latent_dim) → (N, 2); D: (N, 2) → logits (N, 1). Each has two hidden layers of `width` units."""
    G = Sequential(*point_features(latent_dim, rng, width), Dense(width, shape[0], rng=rng))
    return G, Sequential(*point_features(shape[0], rng, width), Dense(width, 1, rng=rng))


def point_features(
    n_in: int,
    rng: np.random.Generator,
    width: int = 128,
    hidden: int = 2,
    wrap: Wrap = as_it_is,
    negative_slope: float = 0.2,
    init: Initializer | None = None,
) -> list[Layer]:
    """Layers from (N, n_in) to (N, width): `hidden` dense layers, each followed by LeakyReLU, or ReLU for slope 0."""
    sizes = [n_in] + [width] * hidden
    layers: list[Layer] = []
    for a, b in zip(sizes, sizes[1:], strict=False):
        layers += [wrap(Dense(a, b, init=init, rng=rng)), LeakyReLU(negative_slope) if negative_slope else ReLU()]
    return layers


def check_groups(arguments: dict[str, Any], usual: int) -> None:
    """Raise ShapeError unless `group`, by default `usual`, divides `batch_size`. A smaller batch is one group."""
    group, batch_size = arguments.get("group", usual), arguments.get("batch_size", 0)
    if 0 < group < batch_size and batch_size % group:
        raise ShapeError(
            f"D sees the variety in groups of {group} pictures, which don't divide a batch of {batch_size}: use a "
            f"`batch_size` that is a multiple of {group}, or another `group`"
        )
