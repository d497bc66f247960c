"""SRGAN's critic: one logit for a whole crop (Ledig et al. 2017, figure 4).

    x (H, W, C) → eight 3×3 convolutions, each with LeakyReLU .2, all but the first with batch norm
                  channels and strides      F, F/2, 2F, 2F/2, 4F, 4F/2, 8F, 8F/2        /2: stride 2
                → dense, 16F, LeakyReLU .2 → dense, 1

The paper has F = 64, and F = 32 is the default of srgan.py. The dense layers fix the size of the crops. PatchGAN
(patchgan.py) has a logit for each window instead. No bias before a norm; weights N(0, 2/((1 + .2²) fan_in)).
"""

from __future__ import annotations

import numpy as np

from minigan.layers import BatchNorm, Conv2D, Dense, Flatten, Layer, LeakyReLU, Sequential, he_normal

SLOPE = 0.2
CONVOLUTIONS = 8


def build_critic(
    size: tuple[int, int], channels: int, features: int, last_bias: bool = True, *, rng: np.random.Generator
) -> Sequential:
    """Build D: pictures (N, H, W, C) of one size (H, W) → logits (N, 1). `features` is F.

    last_bias: whether the logit has a bias. A relativistic loss contains differences of logits only, so a bias would
               have no gradient but rounding, which Adam would enlarge
    """
    layers: list[Layer] = []
    init, C, (H, W) = he_normal(SLOPE), channels, size
    for k in range(CONVOLUTIONS):
        K, stride = features * 2 ** (k // 2), 1 + k % 2
        norms = [BatchNorm(K)] if k else []
        layers += [Conv2D(C, K, 3, stride, padding=1, bias=not k, init=init, rng=rng), *norms, LeakyReLU(SLOPE)]
        C, H, W = K, (H - 1) // stride + 1, (W - 1) // stride + 1
    dense = Dense(H * W * C, 2 * C, init=init, rng=rng)  # C = 8F
    return Sequential(*layers, Flatten(), dense, LeakyReLU(SLOPE), Dense(2 * C, 1, bias=last_bias, rng=rng))
