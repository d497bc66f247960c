"""Networks that grow from 4 pixels: all layers exist from the start, and a level says which of them compute.

Level k is 4·2ᵏ pixels. Between two levels, the layers of the larger one are faded in: at level 2.3, the layers for 32
pixels have the factor α = 0.3, those for 16 the factor 0.7. With C channels:

    generator    block4    pixel norm, dense to 4×4·C, conv 3×3                        z → 4×4·C
                 block8    enlarge, conv 3×3, conv 3×3                                 4×4·C → 8×8·C, and so on
                 rgb8      conv 1×1                                                    8×8·C → a picture
    critic       rgb8      conv 1×1                                                    a picture → 8×8·C
                 block8    conv 3×3, conv 3×3, halve                                   8×8·C → 4×4·C
                 block4    minibatch standard deviation, conv 3×3, dense, dense        4×4·C → a score

Every convolution and dense layer is followed by a LeakyReLU (slope 0.2), and in the generator then by a pixel norm. The
generator's conv 1×1 and the critic's last dense layer have neither. This is the network of Karras et al. 2018
(table 2), whose C is 512 up to 32 pixels and halves with each size above.
"""

from __future__ import annotations

from math import ceil, log2, sqrt
from typing import Any

import numpy as np

from minigan.errors import ShapeError
from minigan.layers import (
    AvgPool2D,
    Blur,
    Conv2D,
    Dense,
    Equalized,
    Fade,
    Flatten,
    Layer,
    LeakyReLU,
    MinibatchStdDev,
    PixelNorm,
    Reshape,
    Sequential,
    Upsample,
)
from minigan.layers.base import Wrt

FIRST = 4  # pixels at level 0
NARROWER = 32  # pixels above which the channels halve with each size
SLOPE, GAIN = 0.2, sqrt(2)  # of LeakyReLU, and of the weights before it, as for ReLU


def top_level(shape: tuple[int, ...], model: str) -> int:
    """Return the level of pictures (H, W, C). Raises ShapeError unless H = W is 8, 16, 32 …"""
    size = shape[0]
    if len(shape) != 3 or size != shape[1] or size < 2 * FIRST or size & (size - 1):
        raise ShapeError(
            f"{model} grows from 4 pixels by doubling, so it makes square pictures of 8, 16, 32, 64 … pixels, not of "
            f"shape {tuple(shape)}: choose an `img_size` of these"
        )
    return int(log2(size // FIRST))


def reduced(x: Any, top: int, level: float) -> Any:
    """Reduce pictures x (N, H, W, C) of level `top` to a level: (N, h, h, C), h = 4·2ᵏ, k = ⌈level⌉.

    Each pixel is the mean of a block. Between levels, the result is α x + (1 − α) u(d(x)) of these means x, where d
    halves and u enlarges, so that its finest details have the factor α, as those of G.
    """
    k, alpha = stage(level)
    shrunk = AvgPool2D(2 ** (top - k)).output(x) if k < top else x
    if alpha == 1:
        return shrunk
    return alpha * shrunk + (1 - alpha) * Upsample(2).output(AvgPool2D(2).output(shrunk))


class Growing(Layer):
    """(x, level) → y, by the layers of this level: those of other levels aren't computed, and get no gradient.

    A subclass returns the layers of a level from `path(level)`, as one network. The level is a Python number in
    [0, top]: it has no gradient, and a GPU needs no transfer to choose the layers.
    """

    def __init__(self, layers: dict[str, Layer], top: int) -> None:
        self.layers, self.top = layers, top

    def children(self) -> dict[str, Layer]:
        """{"block4": …, "rgb4": …, "block8": …, …}."""
        return self.layers

    def path(self, level: float) -> Sequential:
        """Return the layers that compute at a level, in order."""
        raise NotImplementedError(f"{type(self).__name__} has no path: write path(self, level)")

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """(x, level) → y. Raises ShapeError unless the level is between 0 and the top."""
        path = self._path_of(x)
        y, cache = path.forward(x[0], train, rng)
        return y, (path, cache)

    def output(self, x: Any, train: bool = True, rng: Any = None) -> Any:
        """(x, level) → y."""
        return self._path_of(x).output(x[0], train, rng)

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy → (dx, None)."""
        path, inner = cache
        # forward: y = path(x)
        dx = path.backward(dy, inner, wrt)
        return (dx, None) if wrt != "params" else None

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """(ddx, None) → ddy, and (dx2, None) or None."""
        path, inner = cache
        # backward: dx = path.backward(dy)
        ddy, dx2 = path.double_backward(ddx[0], dy, inner)
        return ddy, None if dx2 is None else (dx2, None)

    def _path_of(self, x: Any) -> Sequential:
        self.check_several(x, 2)
        if not 0 <= x[1] <= self.top:
            raise ShapeError(f"{type(self).__name__}: level {x[1]} isn't between 0 and {self.top}")
        return self.path(x[1])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={layer!r}' for name, layer in self.layers.items())})"


class GrowingGenerator(Growing):
    """(z (N, latent_dim), level) → pictures (N, 4·2ᵏ, 4·2ᵏ, channels), k = ⌈level⌉; not limited to [−1, 1].

    equalize: False stores the weights as large as they are used, which shows what the equalized learning rate does
    """

    def __init__(
        self, top: int, latent_dim: int, channels: int, features: int, equalize: bool, rng: np.random.Generator
    ) -> None:
        def weighted(layer: Layer, gain: float = GAIN) -> Layer:
            return _weighted(layer, gain, equalize, rng)

        layers: dict[str, Layer] = {}
        C = width(0, features)
        # the authors' gain: that of a transposed convolution with 4×4 kernels, whose fan-in is 16 times as large
        dense = weighted(Dense(latent_dim, FIRST * FIRST * C, rng=rng), GAIN / 4)
        body: list[Layer] = [PixelNorm(), dense, Reshape(FIRST, FIRST, C), LeakyReLU(SLOPE), PixelNorm()]
        for k in range(top + 1):  # block k: (N, 2·2ᵏ, 2·2ᵏ, C) → (N, 4·2ᵏ, 4·2ᵏ, K), and block 0: z → (N, 4, 4, C)
            K = width(k, features)
            for C_in in (C, K) if k else (C,):
                body += [weighted(Conv2D(C_in, K, 3, padding=1, rng=rng)), LeakyReLU(SLOPE), PixelNorm()]
            layers[f"block{FIRST << k}"] = Sequential(*body)
            layers[f"rgb{FIRST << k}"] = weighted(Conv2D(K, channels, 1, rng=rng), 1.0)
            body, C = [Upsample(2)], K
        super().__init__(layers, top)

    def path(self, level: float) -> Sequential:
        """The blocks up to a level, and RGB: at level 2.3 the blocks to 16 pixels, then a fade from 16 to 32."""
        k, alpha = stage(level)
        blocks, rgb = ([self.layers[f"{name}{FIRST << i}"] for i in range(k + 1)] for name in ("block", "rgb"))
        if alpha == 1:
            return Sequential(*blocks, rgb[k])
        return Sequential(*blocks[:k], Fade(Sequential(rgb[k - 1], Upsample(2)), Sequential(blocks[k], rgb[k]), alpha))


class GrowingCritic(Growing):
    """(pictures (N, 4·2ᵏ, 4·2ᵏ, channels), level) → scores (N, 1), k = ⌈level⌉.

    group:    pictures whose standard deviation is a channel of the last block; 0 for none
    equalize: as in the generator
    blur:     filter with [1, 2, 1] before the second convolution of a block, which is then halved, as in StyleGAN
    """

    def __init__(
        self,
        top: int,
        channels: int,
        features: int,
        group: int,
        equalize: bool,
        rng: np.random.Generator,
        blur: bool = False,
    ) -> None:
        def weighted(layer: Layer, gain: float = GAIN) -> list[Layer]:
            return [_weighted(layer, gain, equalize, rng), LeakyReLU(SLOPE)]

        layers: dict[str, Layer] = {}
        for k in reversed(range(top + 1)):  # block k: (N, 4·2ᵏ, 4·2ᵏ, C) → (N, 2·2ᵏ, 2·2ᵏ, K), and block 0 → (N, 1)
            C, K = width(k, features), width(max(k - 1, 0), features)
            layers[f"rgb{FIRST << k}"] = Sequential(*weighted(Conv2D(channels, C, 1, rng=rng)))
            if k:
                body = weighted(Conv2D(C, C, 3, padding=1, rng=rng))
                body += [Blur(1, taps=(1, 2, 1))] if blur else []
                body += weighted(Conv2D(C, K, 3, padding=1, rng=rng))
                body.append(AvgPool2D(2))
            else:
                body = [MinibatchStdDev(group)] if group else []
                body += weighted(Conv2D(C + bool(group), C, 3, padding=1, rng=rng))
                body += [Flatten(), *weighted(Dense(FIRST * FIRST * C, C, rng=rng))]
                body.append(_weighted(Dense(C, 1, rng=rng), 1.0, equalize, rng))
            layers[f"block{FIRST << k}"] = Sequential(*body)
        super().__init__(layers, top)

    def path(self, level: float) -> Sequential:
        """RGB, and the blocks down from a level: at level 2.3 a fade from 16 to 32 pixels, then the blocks from 16."""
        k, alpha = stage(level)
        blocks, rgb = ([self.layers[f"{name}{FIRST << i}"] for i in range(k + 1)] for name in ("block", "rgb"))
        if alpha == 1:
            return Sequential(rgb[k], *blocks[::-1])
        old, new = Sequential(AvgPool2D(2), rgb[k - 1]), Sequential(rgb[k], blocks[k])
        return Sequential(Fade(old, new, alpha), *blocks[:k][::-1])


def stage(level: float) -> tuple[int, float]:
    """Return k = ⌈level⌉, the last stage that computes, and α in (0, 1], its factor: level 2.3 → (3, 0.3)."""
    k = ceil(level)
    return k, level - k + 1


def width(k: int, features: int) -> int:
    """Return the channels at level k: `features` up to 32 pixels, then half as many with each size, at least 1."""
    return max(1, features * NARROWER // max(NARROWER, FIRST << k))


def _weighted(layer: Layer, gain: float, equalize: bool, rng: np.random.Generator) -> Layer:
    """Return a layer of weights with the variance gain²/fan_in, stored with variance 1 if they are equalized."""
    equalized = Equalized(layer, gain, rng=rng)
    if equalize:
        return equalized
    layer.W = equalized.scale * layer.W
    return layer
