"""Initial weights.

An initializer is called as `init(rng, shape, fan_in, fan_out)` and returns float32. The fans count the inputs that a
unit sums and the outputs that it feeds: for a convolution R·S·C and R·S·K.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt

import numpy as np

from minigan.errors import ShapeError

Initializer = Callable[[np.random.Generator, tuple, int, int], np.ndarray]


def normal(std: float = 0.02, mean: float = 0.0) -> Initializer:
    """N(mean, std²); std .02 is DCGAN's (Radford et al. 2015, section 4)."""
    return lambda rng, shape, fan_in, fan_out: _normal(rng, shape, std) + np.float32(mean)


def glorot_normal(gain: float = 1.0) -> Initializer:
    """N(0, gain²·2/(fan_in + fan_out)) (Glorot and Bengio 2010): keeps variance in both directions."""
    return lambda rng, shape, fan_in, fan_out: _normal(rng, shape, gain * sqrt(2 / (fan_in + fan_out)))


def glorot_uniform(gain: float = 1.0) -> Initializer:
    """U(−a, a) with a = gain·√(6/(fan_in + fan_out)) (Glorot and Bengio 2010, equation 16)."""
    return lambda rng, shape, fan_in, fan_out: _uniform(rng, shape, gain * sqrt(6 / (fan_in + fan_out)))


def he_normal(negative_slope: float = 0.0) -> Initializer:
    """N(0, 2/((1 + slope²)·fan_in)) (He et al. 2015, equations 10 and 15): keeps variance through a (leaky) ReLU."""
    return lambda rng, shape, fan_in, fan_out: _normal(rng, shape, sqrt(2 / ((1 + negative_slope**2) * fan_in)))


def he_uniform(negative_slope: float = 0.0) -> Initializer:
    """U(−a, a) with a = √(6/((1 + slope²)·fan_in)): He's variance, uniform."""
    return lambda rng, shape, fan_in, fan_out: _uniform(rng, shape, sqrt(6 / ((1 + negative_slope**2) * fan_in)))


def uniform(bound: float) -> Initializer:
    """U(−bound, bound)."""
    return lambda rng, shape, fan_in, fan_out: _uniform(rng, shape, bound)


def orthogonal(gain: float = 1.0) -> Initializer:
    """gain · Q with orthonormal rows or columns (Saxe et al. 2014, "Exact solutions to the nonlinear dynamics").

    The matrix is W with its last axis, the outputs, as columns: all of its singular values are `gain`.
    """

    def draw(rng: np.random.Generator, shape: tuple, fan_in: int, fan_out: int) -> np.ndarray:
        rows, columns = prod(shape[:-1]), shape[-1]
        Q, R = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
        Q *= np.sign(np.diag(R))  # without these signs, Q isn't uniformly distributed
        return (gain * (Q if rows >= columns else Q.T)).reshape(shape).astype(np.float32)

    return draw


def icnr(init: Initializer, upscale_factor: int) -> Initializer:
    """Weights (R, S, C, r²·K) of a convolution before `PixelShuffle(r)`: K filters, each for all r² pixels of a block.

    At the start, the enlarged picture is that of K channels with every pixel repeated, which has no checkerboard
    (Aitken et al. 2017, "Checkerboard artifact free sub-pixel convolution"). `init` draws the K filters.
    """
    r2 = upscale_factor**2

    def draw(rng: np.random.Generator, shape: tuple, fan_in: int, fan_out: int) -> np.ndarray:
        if shape[-1] % r2:
            raise ShapeError(f"before PixelShuffle({upscale_factor}), the channels must be a multiple of {r2}: {shape}")
        filters = init(rng, (*shape[:-1], shape[-1] // r2), fan_in, fan_out // r2)  # (R, S, C, K)
        return np.tile(filters, r2)  # channel (r·i + j)·K + k is filter k

    return draw


def _normal(rng: np.random.Generator, shape: tuple, std: float) -> np.ndarray:
    return (std * rng.standard_normal(shape)).astype(np.float32)


def _uniform(rng: np.random.Generator, shape: tuple, bound: float) -> np.ndarray:
    return rng.uniform(-bound, bound, shape).astype(np.float32)
