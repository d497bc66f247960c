"""The networks of LAPGAN (Denton et al. 2015): a pair for the coarsest level, and one for each of the others."""

from __future__ import annotations

from math import prod

import numpy as np

from minigan.gans.base import Networks, Shape
from minigan.layers import Concat, Conv2D, Dense, Dropout, Flatten, ReLU, Reshape, Sequential


def coarsest_networks(shape: Shape, latent_dim: int, features: int, rng: np.random.Generator) -> Networks:
    """G: z (N, latent_dim) → pictures (N, h, w, C); D: pictures → logits (N, 1)."""
    size, units = prod(shape), 16 * features
    G = Sequential(
        Dense(latent_dim, units, rng=rng),
        ReLU(),
        Dense(units, units, rng=rng),
        ReLU(),
        Dense(units, size, rng=rng),
        Reshape(*shape),
    )
    D = Sequential(
        Flatten(),
        Dense(size, units, rng=rng),
        ReLU(),
        Dropout(0.5),
        Dense(units, units, rng=rng),
        ReLU(),
        Dropout(0.5),
        Dense(units, 1, rng=rng),
    )
    return G, D


def residual_networks(shape: Shape, latent_dim: int, features: int, rng: np.random.Generator) -> Networks:
    """G: noise (N, h, w, 1) and coarse pictures (N, h, w, C) → residuals; D: pictures (N, h, w, C) → logits (N, 1)."""
    H, W, C = shape
    G = Sequential(
        Concat(),  # (N, h, w, 1 + C)
        Conv2D(1 + C, features, 7, padding=3, rng=rng),
        ReLU(),
        Conv2D(features, features, 7, padding=3, rng=rng),
        ReLU(),
        Conv2D(features, C, 5, padding=2, rng=rng),
    )
    h, w = ((size - 4 - 5) // 2 + 1 for size in (H, W))  # after two 5×5 windows without padding, one of stride 2
    D = Sequential(
        Conv2D(C, features, 5, rng=rng),
        ReLU(),
        Conv2D(features, features, 5, stride=2, rng=rng),
        Flatten(),
        ReLU(),
        Dropout(0.5),
        Dense(h * w * features, 1, rng=rng),
    )
    return G, D
