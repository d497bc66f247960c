"""The networks of VAE-GAN (Larsen et al. 2016; andersbll/autoencoding_beyond_pixels, architectures.py).

All convolutions are 5×5. n²·K is n×n pixels with K channels, F = `features`, D = `latent_dim`, and → halves or doubles
the size. For 64×64 pixels:

    encoder    64²·C → 32²·F → 16²·2F → 8²·4F, dense 16F, dense 2D: μ and log σ, no activation
    decoder    dense 8²·4F → 16²·4F → 32²·2F → 64²·F/2, convolution to 64²·C, tanh
    features   convolution to 64²·F/2, ReLU → 32²·2F → 16²·4F → 8²·4F, as it leaves the last convolution
    verdict    batch norm, ReLU, dense 8F, dense 1: a logit

Batch norm and ReLU follow every other layer, which then has no bias. `features` and `verdict` are the discriminator in
two parts. 32×32 pixels: as above with half the sizes, but `features` ends at 8²·4F, one convolution earlier, and
`verdict` begins with the norm and has the last convolution. 28×28 and other sizes that aren't a multiple of 8, or below
32: one halving less.
"""

from __future__ import annotations

import numpy as np

from minigan.errors import ShapeError
from minigan.gans.base import Shape
from minigan.layers import BatchNorm, Conv2D, ConvTranspose2D, Dense, Flatten, Layer, ReLU, Reshape, Sequential, Tanh

SMALLEST, LARGEST = 16, 128  # pixels
LEAST_OF_FEATURES = 7  # pixels of the maps in which reconstructions are compared, at least


def check_shape(shape: Shape) -> None:
    """Raise ShapeError unless the networks exist for pictures of `shape` (H, W, C)."""
    sizes, channels = shape[:2], shape[2:]
    if len(shape) != 3 or channels[0] not in (1, 3) or any(s % 4 or not SMALLEST <= s <= LARGEST for s in sizes):
        got = "×".join(map(str, shape))
        raise ShapeError(
            f"the encoder takes pictures with 1 or 3 channels, with sides that are multiples of 4 from {SMALLEST} "
            f"to {LARGEST} pixels, not {got}: give another `img_size`"
        )


def halvings(shape: Shape) -> int:
    """Return how many times the encoder halves height and width."""
    return 3 if all(size % 8 == 0 and size >= 32 for size in shape[:2]) else 2


def encoder(shape: Shape, latent_dim: int, features: int, rng: np.random.Generator) -> Sequential:
    """Build the encoder: pictures (N, H, W, C) → μ and log σ (N, 2·latent_dim)."""
    H, W, C = shape
    k, layers = halvings(shape), list[Layer]()
    for K in [features << i for i in range(k)]:
        layers += [Conv2D(C, K, 5, stride=2, padding=2, bias=False, rng=rng), BatchNorm(K), ReLU()]
        C = K
    units = 16 * features
    return Sequential(
        *layers,
        Flatten(),  # (N, H/2ᵏ, W/2ᵏ, C) → (N, H/2ᵏ·W/2ᵏ·C)
        Dense((H >> k) * (W >> k) * C, units, bias=False, rng=rng),
        BatchNorm(units),
        ReLU(),
        Dense(units, 2 * latent_dim, rng=rng),
    )


def decoder(shape: Shape, latent_dim: int, features: int, rng: np.random.Generator) -> Sequential:
    """Build the decoder: z (N, latent_dim) → pictures (N, H, W, C) in [−1, 1]."""
    H, W, C = shape
    k = halvings(shape)
    h, w, K = H >> k, W >> k, features << (k - 1)
    layers = [Dense(latent_dim, h * w * K, bias=False, rng=rng), BatchNorm(h * w * K), ReLU(), Reshape(h, w, K)]
    for wide in [*(features << i for i in reversed(range(1, k))), max(1, features // 2)]:
        up = ConvTranspose2D(K, wide, 5, stride=2, padding=2, output_padding=1, bias=False, rng=rng)
        layers += [up, BatchNorm(wide), ReLU()]
        K = wide
    return Sequential(*layers, Conv2D(K, C, 5, padding=2, rng=rng), Tanh())


def discriminator(shape: Shape, features: int, rng: np.random.Generator) -> tuple[Sequential, Sequential]:
    """Build D in two parts: pictures (N, H, W, C) → feature maps (N, h, w, K), and these → logits (N, 1)."""
    H, W, C = shape
    k, K = halvings(shape), max(1, features // 2)
    parts: list[list[Layer]] = [[Conv2D(C, K, 5, padding=2, rng=rng), ReLU()], []]
    split = max(i for i in range(1, k + 1) if min(H, W) >> i >= LEAST_OF_FEATURES)  # the convolution that is compared
    for i in range(1, k + 1):
        wide = features << min(i, 2)
        parts[i > split].append(Conv2D(K, wide, 5, stride=2, padding=2, bias=False, rng=rng))
        parts[i >= split] += [BatchNorm(wide), ReLU()]
        K = wide
    units = 8 * features
    head = [Dense((H >> k) * (W >> k) * K, units, bias=False, rng=rng), BatchNorm(units), ReLU()]
    return Sequential(*parts[0]), Sequential(*parts[1], Flatten(), *head, Dense(units, 1, rng=rng))
