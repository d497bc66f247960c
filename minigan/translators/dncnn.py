"""DnCNN: a network that computes the damage in a picture ("Beyond a Gaussian Denoiser", Zhang et al. 2017).

    conv 3×3, ReLU, then (depth − 2) times conv 3×3, batch norm, ReLU, then conv 3×3

All layers work at the size of the picture. The paper has 64 channels and a depth of 17 for a known σ. An output pixel
depends on a square of 2·depth + 1 pixels: 21 for depth 10, 35 for depth 17. No bias before a batch norm; weights N(0,
2/fan_in) (He et al. 2015).
"""

from __future__ import annotations

import numpy as np

from minigan.layers import BatchNorm, Conv2D, Layer, ReLU, Sequential, he_normal


def build_dncnn(channels: int, outputs: int, features: int, depth: int, *, rng: np.random.Generator) -> Sequential:
    """Build the network: (N, H, W, channels) → (N, H, W, outputs). Raises ValueError for a depth below 2."""
    if depth < 2:
        raise ValueError(f"`depth` is {depth}: a DnCNN has a first and a last layer, so 2 at least")

    def conv(n_in: int, n_out: int, bias: bool = True) -> Conv2D:
        return Conv2D(n_in, n_out, 3, padding=1, bias=bias, init=he_normal(), rng=rng)

    layers: list[Layer] = [conv(channels, features), ReLU()]
    for _ in range(depth - 2):
        layers += [conv(features, features, bias=False), BatchNorm(features), ReLU()]
    return Sequential(*layers, conv(features, outputs))
