"""Residual blocks that double or halve a picture, as in the ResNets of WGAN-GP and SN-GAN.

Gulrajani et al. 2017 and Miyato et al. 2018 use the same three blocks for CIFAR-10, after the "pre-activation" of
He et al. 2016: the sum that leaves a block is not activated. Each is y = body(x) + shortcut(x):

    up_block          norm, ReLU, upsample, conv 3×3, norm, ReLU, conv 3×3        conv 1×1, upsample
    down_block        [norm], ReLU, conv 3×3, [norm], ReLU, conv 3×3, [pool]      [pool, conv 1×1]
    first_down_block  conv 3×3, ReLU, conv 3×3, pool                              pool, conv 1×1

A 1×1 convolution looks at one pixel, so it commutes with upsampling and with the mean over a block of pixels. In every
shortcut it works on the smaller of the two pictures, with a quarter of the multiplications; the papers' code has it on
the larger one in the first two blocks. Both paths are made of ordinary layers, which have their gradients.

Weights are Glorot uniform, with a gain of √2 for the 3×3 convolutions, which a ReLU precedes or follows, and of 1 for
the shortcuts. That is SN-GAN's code, and also WGAN-GP's: its `he_init` draws from N_in and N_out alike, as Glorot does.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np

from minigan.layers.activations import ReLU
from minigan.layers.base import Layer
from minigan.layers.containers import Conditional, Residual, Sequential
from minigan.layers.conv import Conv2D
from minigan.layers.initializers import Initializer, glorot_uniform
from minigan.layers.norms import BatchNorm
from minigan.layers.pooling import AvgPool2D, Upsample

Norm = Callable[[int], Layer]  # from a number of channels to a layer
Wrap = Callable[[Layer], Layer]
Insert = Callable[[int, int], list[Layer]]  # from the pixels and channels of a stage to layers that end it

GLOROT_RELU = glorot_uniform(gain=sqrt(2))


def as_it_is(layer: Layer) -> Layer:
    """The wrap that puts nothing around a layer."""
    return layer


def nothing(pixels: int, channels: int) -> list[Layer]:
    """The insert that adds no layers."""
    return []


def up_block(
    in_channels: int,
    out_channels: int,
    *,
    norm: Norm = BatchNorm,
    wrap: Wrap = as_it_is,
    init: Initializer = GLOROT_RELU,
    rng: np.random.Generator | None = None,
) -> Residual:
    """A generator's block: (N, H, W, C) → (N, 2H, 2W, K).

    norm: makes a norm for a number of channels; if that is conditional, `lambda c: ConditionalBatchNorm(c, 10)`, then
          so is the block, whose input is (x, labels).
    wrap: put around each convolution, such as `SpectralNorm`.
    init: of the 3×3 convolutions.
    """
    rng = rng or np.random.default_rng()
    body = [
        norm(in_channels),
        ReLU(),
        Upsample(2),
        wrap(_conv3x3(in_channels, out_channels, init, rng)),
        norm(out_channels),
        ReLU(),
        wrap(_conv3x3(out_channels, out_channels, init, rng)),
    ]
    return Residual(_chain(body), Sequential(wrap(Conv2D(in_channels, out_channels, 1, rng=rng)), Upsample(2)))


def down_block(
    in_channels: int,
    out_channels: int,
    *,
    downsample: bool = True,
    wrap: Wrap = as_it_is,
    norm: Norm | None = None,
    init: Initializer = GLOROT_RELU,
    rng: np.random.Generator | None = None,
) -> Residual:
    """A critic's block: (N, H, W, C) → (N, H/2, W/2, K); without `downsample` it keeps the size.

    The shortcut is x itself where neither size nor channels change. Between its convolutions the body has C channels.

    wrap: put around each convolution, such as `SpectralNorm`.
    norm: makes a norm for a number of channels; None for none, as in both papers' critics.
    init: of the 3×3 convolutions.
    """
    rng = rng or np.random.default_rng()
    make_norm = lambda: [] if norm is None else [norm(in_channels)]  # noqa: E731
    make_pool = lambda: [AvgPool2D(2)] if downsample else []  # noqa: E731
    body = [
        *make_norm(),
        ReLU(),
        wrap(_conv3x3(in_channels, in_channels, init, rng)),
        *make_norm(),
        ReLU(),
        wrap(_conv3x3(in_channels, out_channels, init, rng)),
        *make_pool(),
    ]
    if not downsample and in_channels == out_channels:
        return Residual(_chain(body))
    return Residual(_chain(body), Sequential(*make_pool(), wrap(Conv2D(in_channels, out_channels, 1, rng=rng))))


def first_down_block(
    in_channels: int,
    out_channels: int,
    *,
    wrap: Wrap = as_it_is,
    init: Initializer = GLOROT_RELU,
    rng: np.random.Generator | None = None,
) -> Residual:
    """A critic's first block: (N, H, W, C) → (N, H/2, W/2, K), without an activation on the picture itself.

    wrap and init as in `down_block`.
    """
    rng = rng or np.random.default_rng()
    body = Sequential(
        wrap(_conv3x3(in_channels, out_channels, init, rng)),
        ReLU(),
        wrap(_conv3x3(out_channels, out_channels, init, rng)),
        AvgPool2D(2),
    )
    return Residual(body, Sequential(AvgPool2D(2), wrap(Conv2D(in_channels, out_channels, 1, rng=rng))))


def _conv3x3(in_channels: int, out_channels: int, init: Initializer, rng: np.random.Generator) -> Conv2D:
    return Conv2D(in_channels, out_channels, 3, padding=1, init=init, rng=rng)


def _chain(layers: list[Layer]) -> Layer:
    return (Conditional if any(layer.conditional for layer in layers) else Sequential)(*layers)
