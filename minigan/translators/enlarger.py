"""Networks that enlarge pictures: a residual network at the small size, then pixel shuffle (Ledig et al. 2017).

    x (h, w, C) → head: k×k, F channels, PReLU        h
                → blocks, 3×3                          h + f(h): features (h, w, F)
                → tail                                 (s·h, s·w, C)
                + bicubic enlargement of x             if `residual`

    block       h + g(h), g = 3×3, norm, PReLU, 3×3, norm; no activation after the sum
    f           all blocks, 3×3, norm

Almost all work is done at the small size, where a layer costs s² times less than at the large one.

    preset      F, blocks    k    tail
    small       16, 5        3    3×3 to s²·C channels, pixel shuffle by s
    default     32, 8        3    the same
    paper       64, 16       9    3×3 to 4F channels, pixel shuffle by 2, PReLU, twice for s = 4; then 9×9 to C channels

The tail of `paper` is the paper's. It has a convolution at the large size, and costs more than all blocks together. The
other tail is that of ESPCN (Shi et al. 2016).

**Start.** A residual y = bicubic(x) + r needs r = 0 to be as good as the bicubic enlargement, so the last
convolution starts 10 times smaller; so does the last one of each block, as in ESRGAN (Wang et al. 2018). Before a pixel
shuffle, the weights for the s² pixels that come from one are equal at the start (ICNR, Aitken et al. 2017), so that the
enlargement starts without a checkerboard.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minigan.gans.base import choose
from minigan.layers import (
    BatchNorm,
    BicubicUpsample,
    Conv2D,
    Layer,
    PixelShuffle,
    PReLU,
    Residual,
    Sequential,
    he_normal,
    icnr,
)
from minigan.layers.initializers import Initializer

SLOPE = 0.25  # of a PReLU at the start
SMALL_START = 0.1  # factor on initial weights
SCALES = (2, 3, 4)


class Preset(NamedTuple):
    """Channels, residual blocks, and whether head and tail are those of the paper."""

    features: int
    blocks: int
    as_in_paper: bool = False


PRESETS = {"small": Preset(16, 5), "default": Preset(32, 8), "paper": Preset(64, 16, True)}


def build_enlarger(
    channels: int, scale: int, preset: Preset, norm: str = "none", residual: bool = True, *, rng: np.random.Generator
) -> Layer:
    """Build a network: pictures (N, h, w, C) → (N, scale·h, scale·w, C), with no activation on its output.

    norm:     "none", or "batch": batch norm after each 3×3 convolution at the small size
    residual: add the bicubic enlargement of the input

    Raises ValueError for another norm.
    """
    F, blocks, as_in_paper = preset
    normed = choose("norm", norm, {"none": False, "batch": True})
    init = he_normal(SLOPE)

    def conv(C: int, K: int, k: int = 3, init: Initializer = init, bias: bool = True) -> Conv2D:
        return Conv2D(C, K, k, padding=k // 2, bias=bias, init=init, rng=rng)

    def convs(init: Initializer = init) -> list[Layer]:
        return [conv(F, F, init=init, bias=not normed), *([BatchNorm(F)] if normed else [])]

    def block() -> Residual:
        return Residual(Sequential(*convs(), PReLU(F), *convs(init if normed else scaled(init, SMALL_START))))

    last = scaled(init, SMALL_START) if residual else init
    if as_in_paper:
        tail: list[Layer] = []
        for s in (2, 2) if scale == 4 else (scale,):
            tail += [conv(F, s * s * F, init=icnr(init, s)), PixelShuffle(s), PReLU(F)]
        tail.append(conv(F, channels, 9, init=last))
    else:
        tail = [conv(F, scale * scale * channels, init=icnr(last, scale)), PixelShuffle(scale)]
    body = Sequential(
        conv(channels, F, 9 if as_in_paper else 3),
        PReLU(F),
        Residual(Sequential(*(block() for _ in range(blocks)), *convs())),
        *tail,
    )
    return Residual(body, BicubicUpsample(scale)) if residual else body


def scaled(init: Initializer, factor: float) -> Initializer:
    """Return an initializer whose weights are `factor` times those of `init`."""
    return lambda rng, shape, fan_in, fan_out: init(rng, shape, fan_in, fan_out) * np.float32(factor)
