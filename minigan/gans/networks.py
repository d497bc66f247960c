"""Networks that several GANs share: a critic of DCGAN's shape without batch norm, and dense networks for points.

The critic is what a gradient penalty or spectral normalisation wants: batch norm mixes the samples of a batch, and the
slope at one sample would depend on all the others.
"""

from __future__ import annotations

import numpy as np

from minigan.gans.dcgan import stage_widths
from minigan.layers import Conv2D, Dense, Flatten, Layer, LeakyReLU, ReLU, Sequential
from minigan.layers.blocks import Wrap, as_it_is
from minigan.layers.initializers import Initializer


def critic_features(
    shape: tuple[int, ...],
    features: int,
    rng: np.random.Generator,
    init: Initializer,
    wrap: Wrap = as_it_is,
) -> tuple[list[Layer], int]:
    """Layers from pictures (N, H, W, C) to features (N, F), and F: DCGAN's discriminator up to its last layer.

    A bias stands where DCGAN has a batch norm. `wrap` is put around every layer with a weight, such as SpectralNorm.
    """
    size, _, C = shape
    W = {"init": init, "rng": rng}
    if size == 28:
        layers = [
            *_leaky(wrap(Conv2D(C, features, 5, stride=2, padding=2, **W))),  # 28² → 14²
            *_leaky(wrap(Conv2D(features, 2 * features, 5, stride=2, padding=2, **W))),  # 14² → 7²
            Flatten(),
            *_leaky(wrap(Dense(7 * 7 * 2 * features, 16 * features, **W))),
        ]
        return layers, 16 * features
    widths = stage_widths(size, features)[::-1]
    geometry = {"kernel_size": 3, "padding": 1} if size == 32 else {"kernel_size": 4, "stride": 2, "padding": 1}
    layers = _leaky(wrap(Conv2D(C, widths[0], **geometry, **W)))
    for narrow, wide in zip(widths, widths[1:], strict=False):
        layers += _leaky(wrap(Conv2D(narrow, wide, 4, stride=2, padding=1, **W)))  # half the size, to 4²
    return [*layers, Flatten()], 4 * 4 * widths[-1]


def point_networks(
    shape: tuple[int, ...], latent_dim: int, rng: np.random.Generator, width: int = 128
) -> tuple[Sequential, Sequential]:
    """G: z (N, latent_dim) → (N, 2); D: (N, 2) → logits (N, 1). Two hidden layers of `width` each."""
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
    """Layers from (N, n_in) to (N, width): `hidden` times a dense layer and LeakyReLU (slope 0: ReLU)."""
    sizes = [n_in] + [width] * hidden
    layers: list[Layer] = []
    for a, b in zip(sizes, sizes[1:], strict=False):
        layers += [wrap(Dense(a, b, init=init, rng=rng)), LeakyReLU(negative_slope) if negative_slope else ReLU()]
    return layers


def _leaky(layer: Layer) -> list[Layer]:
    return [layer, LeakyReLU(0.2)]
