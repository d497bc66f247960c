"""CycleGAN's generator: a ResNet between a network that halves the picture twice and one that enlarges it again.

    x (H, W, C) → 7×7, F channels → 3×3 stride 2, 2F → 3×3 stride 2, 4F        encoder: (H/4, W/4, 4F)
                → residual blocks, 4F                                            transformer
                → enlarged, 2F → enlarged, F → 7×7, K channels → tanh            decoder: y (H, W, K) in [−1, 1]

A residual block is h + f(h), with f = 3×3, norm, ReLU, 3×3, norm, and no activation after the sum. Frames for the 7×7
and the residual convolutions are reflections of the picture, not zeros.

All norms are instance norms without γ and β, so a picture's result doesn't depend on the other pictures of its batch,
and is the same in training and inference. A bias before such a norm would cancel in x − mean, so those convolutions
have none; the reference code has them, without effect.

Source: "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks" (Zhu et al. 2017), section
7.1, after Johnson et al. 2016; sizes as in models/networks.py of junyanz/pytorch-CycleGAN-and-pix2pix.
"""

from __future__ import annotations

import numpy as np

from minigan.errors import ShapeError
from minigan.gans.base import Shape, choose
from minigan.layers import (
    BilinearUpsample,
    Conv2D,
    ConvTranspose2D,
    InstanceNorm,
    Layer,
    ReflectionPad2D,
    ReLU,
    Residual,
    Sequential,
    Tanh,
)
from minigan.layers.initializers import normal

MULTIPLE = 4  # height and width are halved twice
LEAST = 8  # pixels: an instance norm needs more than one pixel, and there are (H/4)·(W/4) in the residual blocks
BLOCKS = ((256, 9), (128, 6), (64, 4), (0, 3))  # from this size on, so many; 256 and 128 px are the paper's


def build_resnet(
    in_channels: int, out_channels: int, features: int, blocks: int, upsampling: str, *, rng: np.random.Generator
) -> Sequential:
    """Build a generator: pictures (N, H, W, in_channels) → (N, H, W, out_channels) in [−1, 1], H and W multiples of 4.

    features:   channels F of the first convolution
    blocks:     number of residual blocks
    upsampling: "transposed" or "bilinear", see `enlarged`

    Weights are drawn from N(0, 0.02²); biases are 0.
    """
    F = features
    return Sequential(
        ReflectionPad2D(3),
        Conv2D(in_channels, F, 7, bias=False, init=normal(0.02), rng=rng),
        *(InstanceNorm(F), ReLU()),
        *halved(F, rng),  # (H, W, F) → (H/2, W/2, 2F)
        *halved(2 * F, rng),  # → (H/4, W/4, 4F)
        *(residual_block(4 * F, rng) for _ in range(blocks)),
        *enlarged(4 * F, upsampling, rng),  # → (H/2, W/2, 2F)
        *enlarged(2 * F, upsampling, rng),  # → (H, W, F)
        ReflectionPad2D(3),
        Conv2D(F, out_channels, 7, init=normal(0.02), rng=rng),
        Tanh(),
    )


def halved(channels: int, rng: np.random.Generator) -> list[Layer]:
    """Layers from (N, H, W, C) to (N, H/2, W/2, 2C)."""
    convolution = Conv2D(channels, 2 * channels, 3, 2, 1, bias=False, init=normal(0.02), rng=rng)
    return [convolution, InstanceNorm(2 * channels), ReLU()]


def residual_block(channels: int, rng: np.random.Generator) -> Residual:
    """h + f(h) for h (N, H, W, C)."""
    layers: list[Layer] = []
    for activation in ([ReLU()], []):
        convolution = Conv2D(channels, channels, 3, bias=False, init=normal(0.02), rng=rng)
        layers += [ReflectionPad2D(1), convolution, InstanceNorm(channels), *activation]
    return Residual(Sequential(*layers))


def enlarged(channels: int, upsampling: str, rng: np.random.Generator) -> list[Layer]:
    """Layers from (N, H, W, C) to (N, 2H, 2W, C/2). Raises ValueError for another `upsampling` than these.

    "transposed": a 3×3 transposed convolution with stride 2, as in the paper. Its outputs sum 1, 2 or 4 products in
                  turn, which shows as a checkerboard while the weights don't balance it
    "bilinear":   bilinear interpolation and a 3×3 convolution, in which all outputs are alike: four times the work
    """
    narrow, weights = channels // 2, {"bias": False, "init": normal(0.02), "rng": rng}
    kinds: dict[str, list[Layer]] = {
        "transposed": [ConvTranspose2D(channels, narrow, 3, stride=2, padding=1, output_padding=1, **weights)],
        "bilinear": [BilinearUpsample(2), ReflectionPad2D(1), Conv2D(channels, narrow, 3, **weights)],
    }
    return [*choose("upsampling", upsampling, kinds), InstanceNorm(narrow), ReLU()]


def features_for(size: tuple[int, int]) -> int:
    """Return the default number of channels of a generator's first layer: 64, as in the paper; under 128 pixels 32."""
    return 64 if min(size) >= 128 else 32


def blocks_for(size: tuple[int, int]) -> int:
    """Return the default number of residual blocks for pictures of `size`: 9 from 256 pixels on, 6 from 128.

    These are the paper's. It has no smaller pictures; here 4 from 64 pixels on, else 3.
    """
    return next(blocks for least, blocks in BLOCKS if min(size) >= least)


def check_pictures(name: str, shape: Shape) -> None:
    """Raise ShapeError unless pictures (H, W, C) fit the generator: multiples of 4, at least 8 pixels."""
    if any(n % MULTIPLE or n < LEAST for n in shape[:2]):
        size = "×".join(map(str, shape[:2]))
        raise ShapeError(f"pictures of {name} are {size}: choose `img_size` from the multiples of 4 from 8 on")
