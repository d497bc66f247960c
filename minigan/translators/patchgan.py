"""PatchGAN: a discriminator that gives a logit for each patch of a picture (Isola et al. 2017, section 3.2.2).

It is a convolutional network, so every logit sees a window of the picture, its receptive field, and the loss is a mean
over all windows and pictures. It judges texture; that the whole is right is the task of another loss, such as L1.

    field   layers (4×4 convolutions with padding 1; LeakyReLU .2 after all but the last; w = 64)
    1       w, 2w, 1                          1×1 convolutions: it sees single pixels
    16      w /2, 2w, 1                       /2: stride 2
    34      w /2, 2w /2, 4w, 1
    70      w /2, 2w /2, 4w /2, 8w, 1         256×256 pixels → 30×30 logits

Each layer but the first and the last has a norm. The field is computed from the last layer to the first: if the layers
after a layer have the field f, and its kernel is k and its stride s, then all of them together have the field
s·(f − 1) + k. So for the last row 1 → 4 → 7 → 16 → 34 → 70.

The default is the field nearest to a quarter of the picture's shorter side, as 70 of 256 in the paper, but at least 16:
16 for 64 pixels, 34 for 128, 70 for 256. With a field as large as the picture, D judges the picture as a whole. It then
has few windows in each picture, and learns a small training set by heart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minigan.errors import ShapeError
from minigan.gans.base import choose
from minigan.layers import Conv2D, Layer, LeakyReLU, Sequential, normal
from minigan.layers.blocks import Norm

STRIDES = {1: (1, 1, 1), 16: (2, 1, 1), 34: (2, 2, 1, 1), 70: (2, 2, 2, 1, 1)}  # of the layers, by receptive field


def build_patchgan(
    channels: int, field: int = 70, width: int = 64, norm: Norm | None = None, *, rng: np.random.Generator
) -> Sequential:
    """Build D: pictures (N, H, W, C) → logits (N, OH, OW, 1), one for each window of `field`×`field` pixels.

    field: 1, 16, 34 or 70; `check_size` says which pictures are large enough
    width: channels of the first layer; deeper ones have 2, 4, 8 times as many
    norm:  makes a norm for a number of channels; None: no norm, but a bias in each layer

    Raises ValueError for another field.
    """
    W = {"init": normal(0.02), "rng": rng}
    strides = choose("field", field, STRIDES)
    kernel, padding = (1, 0) if field == 1 else (4, 1)
    layers: list[Layer] = []
    for k, stride in enumerate(strides[:-1]):
        wide = width * 2**k
        normed = [norm(wide)] if norm is not None and k > 0 else []
        layers += [Conv2D(channels, wide, kernel, stride, padding, bias=not normed, **W), *normed, LeakyReLU(0.2)]
        channels = wide
    return Sequential(*layers, Conv2D(channels, 1, kernel, strides[-1], padding, **W))


def field_for(size: Sequence[int]) -> int:
    """Return the default receptive field for pictures of `size`: nearest to a quarter of the shorter side, not 1."""
    return min((field for field in STRIDES if field > 1), key=lambda field: abs(field - min(size) / 4))


def check_size(size: Sequence[int], field: int) -> None:
    """Raise ShapeError if pictures of `size` are too small for a receptive field: a norm needs two pixels, a logit one.

    Raises ValueError for a field that isn't one of 1, 16, 34, 70.
    """
    strides = choose("field", field, STRIDES)
    for side in size if field > 1 else ():
        n = side
        for stride in strides[:-1]:
            n = (n - 2) // stride + 1  # 4×4 and padding 1: n + 2 − 4
        if n < 2:
            raise ShapeError(
                f"`field` {field} is too large for pictures of {size[0]}×{size[1]} pixels: use a smaller one"
            )
