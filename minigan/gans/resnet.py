"""ResNets for 32×32 pictures, from WGAN-GP (Gulrajani et al. 2017) and SN-GAN (Miyato et al. 2018).

    G: z → dense 4²·F → 8²·F → 16²·F → 32²·F → norm, ReLU → 3×3 → tanh      three residual blocks that double the size
    D: 32²·C → 16²·F → 8²·F → 8²·F → 8²·F → ReLU                             two that halve it, two that keep it

Each GAN appends its own last layers to D: a mean or a sum over the pixels, then a dense layer or a projection.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minigan.errors import ShapeError
from minigan.gans.base import Shape
from minigan.layers import BatchNorm, Conv2D, Dense, Layer, ReLU, Reshape, Tanh, down_block, first_down_block, up_block
from minigan.layers.blocks import Insert, Wrap, as_it_is, nothing

SIZE = 32
STAGES = (8, 16)  # pixels inside of both networks


def check_shape(shape: Shape, model: str, otherwise: str = " or `networks` dcgan") -> None:
    """Raise ShapeError unless `shape` is (32, 32, C). `otherwise`: what else to do, after "give `img_size` 32"."""
    if tuple(shape[:2]) != (SIZE, SIZE) or len(shape) != 3:
        got = "×".join(map(str, shape))
        raise ShapeError(f"{model} makes pictures of 32 by 32 pixels, not {got}: give `img_size` 32{otherwise}")


def generator_layers(
    shape: Shape,
    latent_dim: int,
    features: int,
    rng: np.random.Generator,
    norm: Callable[[int], Layer] = BatchNorm,
    insert: Insert = nothing,
) -> list[Layer]:
    """Layers from z (N, latent_dim) to pictures (N, 32, 32, C) in [−1, 1].

    norm:   maps a number of channels to the normalization layer of a residual block
    insert: maps the pixels and channels of a stage, (8, features) or (16, features), to layers that end it
    """
    return [
        Dense(latent_dim, 4 * 4 * features, rng=rng),
        Reshape(4, 4, features),
        up_block(features, features, norm=norm, rng=rng),  # 4² → 8²
        *insert(8, features),
        up_block(features, features, norm=norm, rng=rng),  # → 16²
        *insert(16, features),
        up_block(features, features, norm=norm, rng=rng),  # → 32²
        BatchNorm(features),
        ReLU(),
        Conv2D(features, shape[2], 3, padding=1, rng=rng),
        Tanh(),
    ]


def critic_layers(
    shape: Shape, features: int, rng: np.random.Generator, wrap: Wrap = as_it_is, insert: Insert = nothing
) -> list[Layer]:
    """Layers from pictures (N, 32, 32, C) to features (N, 8, 8, F).

    `wrap` is applied to each convolution; `insert` as in `generator_layers`.
    """
    options = {"wrap": wrap, "rng": rng}
    return [
        first_down_block(shape[2], features, **options),  # 32² → 16²
        *insert(16, features),
        down_block(features, features, **options),  # 16² → 8²
        *insert(8, features),
        down_block(features, features, downsample=False, **options),
        down_block(features, features, downsample=False, **options),
        ReLU(),
    ]
