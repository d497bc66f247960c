"""The synthesis network of StyleGAN, which grows and has a style for each layer (Karras et al. 2019).

    block4       a learned constant of 4×4·C, noise and norm 0; conv 3×3, noise and norm 1
    block8       enlarge, conv 3×3, blur, noise and norm 2; conv 3×3, noise and norm 3        and so on
    rgb8         conv 1×1: features to a picture

"Noise and norm i" is noise for each pixel with a learned strength, bias, LeakyReLU (slope 0.2), and an adaptive
instance norm with the style ws[:, i]. All weights are equalized. Channels, levels and the fade between two sizes are
those of growing.py, whose critic StyleGAN uses with a blur.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.gans.growing import FIRST, GAIN, SLOPE, Growing, stage, width
from minigan.layers import (
    AdaIN,
    Blur,
    Conditional,
    Constant,
    Conv2D,
    Equalized,
    Fade,
    Layer,
    LeakyReLU,
    NoiseBias,
    Sequential,
    Upsample,
    WithStyle,
)
from minigan.layers.base import Wrt
from minigan.layers.composite import add

BLUR = (1, 2, 1)  # weights along each axis


class GrowingSynthesis(Growing):
    """(ws (N, L, Z), level) → pictures (N, 4·2ᵏ, 4·2ᵏ, channels), k = ⌈level⌉; not limited to [−1, 1].

    L = 2·top + 2, two styles for each size. A level has layers for the first 2k + 2: the others have no effect and get
    no gradient. The path of a level takes (x, ws). Its x is ws too: the first layer is a constant, which takes only the
    number of samples from x, so that dx is 0.
    """

    def __init__(self, top: int, latent_dim: int, channels: int, features: int, *, rng: np.random.Generator) -> None:
        def conv(C: int, K: int) -> Layer:
            return Equalized(Conv2D(C, K, 3, padding=1, bias=False), GAIN, rng=rng)

        def noise_and_norm(C: int, k: int, i: int) -> list[Layer]:
            norm = WithStyle(AdaIN(C, latent_dim, rng=rng), i)
            return [NoiseBias(C, FIRST << k, rng=rng), LeakyReLU(SLOPE), norm]

        self.n_layers, C, layers = 2 * top + 2, width(0, features), dict[str, Layer]()
        for k in range(top + 1):
            K = width(k, features)
            first = [Upsample(2), conv(C, K), Blur(1, taps=BLUR)] if k else [Constant(FIRST, FIRST, C, init=_ones)]
            layers[f"block{FIRST << k}"] = Conditional(
                *first, *noise_and_norm(K, k, 2 * k), conv(K, K), *noise_and_norm(K, k, 2 * k + 1)
            )
            layers[f"rgb{FIRST << k}"] = Equalized(Conv2D(K, channels, 1), rng=rng)
            C = K
        super().__init__(layers, top)

    def path(self, level: float) -> Conditional:
        """The blocks up to a level, and RGB: at level 2.3 the blocks to 16 pixels, then a fade from 16 to 32."""
        k, alpha = stage(level)
        blocks, rgb = ([self.layers[f"{name}{FIRST << i}"] for i in range(k + 1)] for name in ("block", "rgb"))
        if alpha == 1:
            return Conditional(*blocks, rgb[k])
        fade = Fade(Sequential(rgb[k - 1], Upsample(2)), Conditional(blocks[k], rgb[k]), alpha)
        return Conditional(*blocks[:k], fade)

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """(ws, level) → pictures."""
        path, ws = self._path_of(x), x[0]
        y, cache = path.forward((ws, ws), train, rng)
        return y, (path, cache)

    def output(self, x: Any, train: bool = True, rng: Any = None) -> Any:
        """(ws, level) → pictures."""
        return self._path_of(x).output((x[0], x[0]), train, rng)

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy → (dws, None)."""
        path, inner = cache
        # forward: y = path(ws, ws)
        gradients = path.backward(dy, inner, wrt)
        return (add(*gradients), None) if wrt != "params" else None

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """(ddws, None) → ddy, and (dws2, None) or None."""
        path, inner = cache
        # backward: dws = the sum of both gradients of path.backward(dy), of which the first is always 0
        ddy, second = path.double_backward((None, ddx[0]), dy, inner)
        return ddy, None if second is None else (add(*second), None)


def _ones(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> np.ndarray:
    return np.ones(shape, np.float32)
