"""The U-Net of pix2pix (Isola et al. 2017; Ronneberger et al. 2015): down to a few pixels, and up again, with skips.

With width w and depth 6, for 64×64 pixels, C input and K output channels:

    down    C →  w → 2w → 4w → 8w → 8w → 8w         4×4 convolutions, stride 2: 64² → 32² → … → 1²
    up      K ←  w ← 2w ← 4w ← 8w ← 8w ←            4×4 transposed convolutions, stride 2: 1² → 2² → … → 64²

A skip joins the input of each level with its output, so that details don't have to pass the bottleneck: the next
transposed convolution has twice as many input channels. A level is

    Skip(LeakyReLU, convolution, norm, the next level, ReLU, transposed convolution, norm, dropout)

The first and the innermost convolution and the last layer have no norm. The three innermost levels have dropout: at
256×256 pixels, where the outputs are 2², 4² and 8², as in the authors' Torch code. In their PyTorch code it is one
level further out: 4², 8² and 16². Dropout is the only noise: the paper's G learned to ignore an input z (section 3.1).

The authors' LeakyReLU writes into its input, so their skips carry LeakyReLU(x) in place of x. That is the same: a ReLU
follows each skip, and ReLU(LeakyReLU(x)) = ReLU(x).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.errors import ShapeError
from minigan.layers import Conv2D, ConvTranspose2D, Dropout, Layer, LeakyReLU, ReLU, Sequential, Skip, normal
from minigan.layers.blocks import Norm

DEEPEST = 8  # levels of the paper's U-Net, for 256×256 pixels
WITH_DROPOUT = 3  # levels, counted from the innermost


def build_unet(
    in_channels: int,
    out_channels: int,
    depth: int,
    width: int = 64,
    norm: Norm | None = None,
    dropout: float = 0.5,
    *,
    rng: np.random.Generator,
) -> Sequential:
    """Build a U-Net: (N, H, W, C) → (N, H, W, K), with no activation on its output.

    depth: the number of times that it halves a picture; H and W must be multiples of 2^depth
    width: channels of the first level; deeper ones have 2, 4, 8, 8, … times as many
    norm:  makes a norm for a number of channels; None: no norm, but a bias in each layer

    Raises ValueError if the depth is less than 1.
    """
    if depth < 1:
        raise ValueError(f"`depth` is {depth}: a U-Net halves its picture at least once")
    W = {"init": normal(0.02), "rng": rng}
    widths = [width * min(2**k, 8) for k in range(depth)]

    def down(C: int, K: int, bias: bool) -> Conv2D:
        return Conv2D(C, K, 4, stride=2, padding=1, bias=bias, **W)  # H → H/2

    def up(C: int, K: int, bias: bool) -> ConvTranspose2D:
        return ConvTranspose2D(C, K, 4, stride=2, padding=1, bias=bias, **W)  # H → 2H

    def norms(channels: int) -> list[Layer]:
        return [] if norm is None else [norm(channels)]

    first, inner, inner_channels = down(in_channels, width, True), list[Layer](), widths[-1]
    for k in reversed(range(1, depth)):  # from the innermost level outward
        C, K, innermost = widths[k - 1], widths[k], k == depth - 1
        dropouts = [Dropout(dropout)] if dropout and k >= depth - WITH_DROPOUT else []
        level = Sequential(
            LeakyReLU(0.2),
            down(C, K, bias=norm is None or innermost),
            *([] if innermost else norms(K)),
            *inner,
            ReLU(),
            up(inner_channels, C, bias=norm is None),
            *norms(C),
            *dropouts,
        )
        inner, inner_channels = [Skip(level)], 2 * C  # C channels of the skip, and C of the level
    return Sequential(first, *inner, ReLU(), up(inner_channels, out_channels, True))


def depth_of(size: Sequence[int]) -> int:
    """Return how often height and width can be halved together, at most 8 times.

    Raises ShapeError unless both are multiples of 4: a U-Net of one level would hardly look around.
    """
    depth = 0
    while depth < DEEPEST and not any(n % 2 ** (depth + 1) for n in size):
        depth += 1
    if depth < 2:
        raise ShapeError(
            f"a U-Net halves pictures several times, and {size[0]}×{size[1]} pixels aren't multiples of 4: give an "
            "`img_size` such as 64, 96 or 128"
        )
    return depth


def output_of(network: Layer, x: Any, multiple: int) -> Any:
    """Return the network's output in inference mode for x (N, H, W, C) of any size.

    x is padded at the bottom and on the right, by reflection, to multiples of `multiple`; the output is cropped.
    """
    _, H, W, _ = x.shape
    padding = (0, 0), (0, -H % multiple), (0, -W % multiple), (0, 0)
    if -H % multiple or -W % multiple:
        x = array_module(x).pad(x, padding, mode="reflect")
    return network.output(x, train=False)[:, :H, :W]
