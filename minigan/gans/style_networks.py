"""The networks of StyleGAN2 (Karras et al. 2020): mapping, synthesis with a style for each layer, and discriminator.

    mapping        z (N, Z) → w (N, Z)             pixel norm, dense layers
    synthesis      ws (N, L, Z) → pictures         a learned constant of 4×4 pixels, which styled convolutions enlarge
    discriminator  pictures → logits (N, 1)        residual blocks that halve

With L layers that have a style, and Z numbers in z and w. All weights have the equalized learning rate; those that are
demodulated have the distribution N(0, 1) and no factor. Every LeakyReLU has slope 0.2 and, unless said otherwise, gain
√2. `features` is the number of channels at the size of the picture; it doubles with every halving, up to `most`.
"""

from __future__ import annotations

from math import log2, sqrt
from typing import Any, NamedTuple

import numpy as np

from minigan.backend import array_module
from minigan.errors import ShapeError
from minigan.layers import (
    Blur,
    Branches,
    Constant,
    Conv2D,
    Dense,
    DownsampleFIR,
    Equalized,
    Flatten,
    Layer,
    LeakyReLU,
    MinibatchStdDev,
    ModulatedConv2D,
    NoiseBias,
    PixelNorm,
    Residual,
    ScaledLeakyReLU,
    Sequential,
    UpsampleFIR,
)
from minigan.layers.base import Wrt
from minigan.layers.composite import add, double_backward_of

FIRST = 4  # pixels of the constant
MAPPING_RATE = 0.01  # multiplier of the mapping network's learning rate


def sizes_of(shape: tuple[int, ...], model: str) -> list[int]:
    """Return 4, 8, … up to the size of pictures (H, W, C). Raises ShapeError unless H = W is 8, 16, 32 …"""
    size = shape[0]
    if len(shape) != 3 or size != shape[1] or size < 2 * FIRST or size & (size - 1):
        raise ShapeError(
            f"{model} doubles a picture of 4 pixels, so it makes square pictures of 8, 16, 32, 64 … pixels, not of "
            f"shape {tuple(shape)}: choose an `img_size` of these"
        )
    return [2**k for k in range(2, int(log2(size)) + 1)]


def mapping(latent_dim: int, layers: int, rng: np.random.Generator) -> Sequential:
    """z (N, Z) → w (N, Z). Pixel norm gives every z the length √Z; the layers learn a hundred times more slowly."""
    made: list[Layer] = [PixelNorm()]
    for _ in range(layers):
        made += [_equalized(Dense(latent_dim, latent_dim), rng, lr_multiplier=MAPPING_RATE), ScaledLeakyReLU()]
    return Sequential(*made)


class Stage(NamedTuple):
    """The layers of one size of the synthesis: one or two convolutions (x, w) → x, and (x, w) → a picture."""

    convolutions: tuple[Layer, ...]
    to_picture: Layer


class Kept(NamedTuple):
    """A value for each layer of a stage: its cache, its dy or its dx2."""

    convolutions: list[Any]
    to_picture: Any
    up: Any = None


class SynthesisCache:
    """Caches of all layers, and the dy of each layer once `backward` with wrt="input" has run on `dy`."""

    def __init__(self, constant: Any, stages: list[Kept], shapes: tuple[Any, Any]) -> None:
        self.constant, self.stages, self.shapes = constant, stages, shapes
        self.dy: Any = None
        self.dys: list[Kept] = []


class Synthesis(Layer):
    """ws (N, L, Z) → pictures (N, H, W, C): the generator with skips of StyleGAN2 (figure 7 of the paper).

    x is a learned constant at 4×4. Styled convolutions double its size several times, and at each size a layer makes a
    picture of x. The result is the sum of these pictures, each enlarged to the last size:

        picture = up(picture) + to_picture(x, w)

    So coarse layers make the coarse part of the picture from the first step on, without growing. Layer i of the
    L = 2·log2(H) − 2 layers has the style ws[:, i]: at 4×4 one convolution, at every other size two. `to_picture` of a
    size has the style of the convolution that comes next, the last one a style of its own. For 8×8 pixels, L is 4:

        ws[:, 0]  conv4        ws[:, 1]  picture4, up8        ws[:, 2]  conv8        ws[:, 3]  picture8

    First and second order: the four sweeps of `Sequential`, through this graph. x goes both to `to_picture` and to the
    next convolution, so dx is the sum of their gradients. `add(a, b)` is a + b, with None for zero.
    """

    def __init__(
        self, shape: tuple[int, ...], latent_dim: int, features: int, most: int, *, rng: np.random.Generator
    ) -> None:
        sizes = sizes_of(shape, "Synthesis")
        self.shape, self.latent_dim, self.n_layers = tuple(shape), latent_dim, 2 * len(sizes)
        channels = [_channels(size, shape[0], features, most) for size in sizes]
        self.constant, self.up = Constant(FIRST, FIRST, channels[0], rng=rng), UpsampleFIR()
        stages = []
        for C, K, size in zip([channels[0], *channels], channels, sizes, strict=False):
            made = [_styled(latent_dim, C, K, size, True, rng)] if size > FIRST else []
            made.append(_styled(latent_dim, K, K, size, False, rng))
            to_picture = ModulatedConv2D(K, shape[2], 1, demodulate=False, bias=True, rng=rng)
            stages.append(Stage(tuple(made), Sequential(_style(latent_dim, K, rng), to_picture)))
        self.stages = tuple(stages)

    def children(self) -> dict[str, Layer]:
        """{"constant": …, "conv4": …, "picture4": …, "up8": …, "conv8": …, "picture8": …, …} and "up"."""
        found: dict[str, Layer] = {"constant": self.constant}
        for k, stage in enumerate(self.stages):
            names = [f"{name}{FIRST << k}" for name in ("up", "conv")]
            found |= dict(zip(names[-len(stage.convolutions) :], stage.convolutions, strict=True))
            found[f"picture{FIRST << k}"] = stage.to_picture
        return found | {"up": self.up}

    def forward(self, ws: Any, train: bool = True, rng: Any = None) -> tuple[Any, SynthesisCache]:
        """ws (N, L, Z) → pictures (N, H, W, C)."""
        self.check_input(ws, None, self.latent_dim)
        if ws.ndim != 3 or ws.shape[1] != self.n_layers:
            wanted = f"(N, {self.n_layers}, {self.latent_dim})"
            raise ShapeError(f"{self!r} takes an input of shape {wanted}, got {tuple(ws.shape)}")
        x, constant = self.constant.forward(ws)
        picture, caches, i = None, [], 0
        for stage in self.stages:
            of_convolutions, of_up = [], None
            for layer in stage.convolutions:
                x, cache = layer.forward((x, ws[:, i]), train, rng)
                of_convolutions.append(cache)
                i += 1
            if picture is not None:
                picture, of_up = self.up.forward(picture)
            of_x, of_picture = stage.to_picture.forward((x, ws[:, i]), train, rng)
            picture = add(picture, of_x)
            caches.append(Kept(of_convolutions, of_picture, of_up))
        return picture, SynthesisCache(constant, caches, (ws.shape, picture.shape))

    def backward(self, dy: Any, cache: SynthesisCache, wrt: Wrt = "both") -> Any:
        """dy (N, H, W, C) → dws (N, L, Z). With wrt="input" the cache keeps each layer's dy."""
        self.check_dy(dy, cache.shapes[1], wrt)
        inner: Wrt = "input" if wrt == "input" else "both"  # all layers but the constant need their dx
        dws = array_module(dy).zeros(cache.shapes[0], dy.dtype)
        dys, dpicture, dx, i = [], dy, None, self.n_layers - 1
        for stage, caches in zip(reversed(self.stages), reversed(cache.stages), strict=True):
            # forward: picture = up(picture) + to_picture(x, w)
            dx_picture, dw = stage.to_picture.backward(dpicture, caches.to_picture, inner)
            dx, of_convolutions, of_picture = add(dx, dx_picture), [], dpicture
            dws[:, i] += dw
            if caches.up is not None:
                dpicture = self.up.backward(dpicture, caches.up)
            for layer, layer_cache in zip(reversed(stage.convolutions), reversed(caches.convolutions), strict=True):
                # forward: x = layer(x, w)
                i -= 1
                of_convolutions.append(dx)
                dx, dw = layer.backward(dx, layer_cache, inner)
                dws[:, i] += dw
            dys.append(Kept(of_convolutions[::-1], of_picture))
        if wrt == "input":
            cache.dy, cache.dys = dy, dys[::-1]
        else:
            self.constant.backward(dx, cache.constant, "params")
        return dws if wrt != "params" else None

    def double_backward(self, ddx: Any, dy: Any, cache: SynthesisCache) -> tuple[Any, Any]:
        """ddws (N, L, Z) → ddy (N, H, W, C) and dws2 (N, L, Z)."""
        self.check_second(ddx, dy, cache)
        if cache.dy is not dy:
            self.backward(dy, cache, wrt="input")
        # Sweep 3, from the constant up. v is ∂P/∂(dx) for the dx of the next layer: None at the constant, whose dx
        # isn't part of dws
        ddws, v, ddpicture, second, i = ddx, None, None, [], 0
        for stage, caches, dys in zip(self.stages, cache.stages, cache.dys, strict=True):
            of_convolutions = []
            for layer, layer_dy, layer_cache in zip(
                stage.convolutions, dys.convolutions, caches.convolutions, strict=True
            ):
                # backward: dx, dw = layer.backward(dx)
                v, dx2 = double_backward_of(layer, (v, ddws[:, i]), layer_dy, layer_cache)
                of_convolutions.append(dx2)
                i += 1
            if caches.up is not None:
                # backward: dpicture = up.backward(dpicture)
                ddpicture = self.up.double_backward(ddpicture, dys.to_picture, caches.up)[0]
            # backward: dx, dw = to_picture.backward(dpicture), and this dx was added to that of the convolution
            of_x, dx2 = double_backward_of(stage.to_picture, (v, ddws[:, i]), dys.to_picture, caches.to_picture)
            ddpicture = add(ddpicture, of_x)
            second.append(Kept(of_convolutions, dx2))
        return ddpicture, self._sweep_4(second, cache)

    def _sweep_4(self, second: list[Kept], cache: SynthesisCache) -> Any:
        """∂P/∂ws (N, L, Z), from the dx2 of every layer by an ordinary backward, which adds to parameter gradients.

        `up` and the sum are linear: they have no dx2, so the pictures have no gradient here, only x and ws have.
        """
        dws = array_module(self.constant.W).zeros(cache.shapes[0], second[0].to_picture[1].dtype)
        dx, i = None, self.n_layers - 1
        for stage, caches, dx2s in zip(reversed(self.stages), reversed(cache.stages), reversed(second), strict=True):
            dx = add(dx, dx2s.to_picture[0])
            dws[:, i] += dx2s.to_picture[1]
            for layer, layer_cache, dx2 in zip(
                reversed(stage.convolutions), reversed(caches.convolutions), reversed(dx2s.convolutions), strict=True
            ):
                i -= 1
                dx, dw = add(dx2, None if dx is None else layer.backward(dx, layer_cache))
                dws[:, i] += dw
        self.constant.backward(dx, cache.constant, "params")
        return dws

    def shapes(self, cache: SynthesisCache) -> tuple[Any, Any]:
        """(N, L, Z) and (N, H, W, C)."""
        return cache.shapes

    def __repr__(self) -> str:
        return f"Synthesis({self.shape}, {self.latent_dim})"


def discriminator(
    shape: tuple[int, ...], features: int, most: int, group: int, *, rng: np.random.Generator
) -> Sequential:
    """Pictures (N, H, W, C) → logits (N, 1), by residual blocks that halve the picture down to 4×4.

    The sum of the two paths of a block is divided by √2, which keeps the variance: the LeakyReLU that ends the body has
    gain √2/√2 = 1, the shortcut a factor of 1/√2. `group`: of the minibatch standard deviation; 0: none.
    """
    sizes = sizes_of(shape, "discriminator")
    channels = [_channels(size, shape[0], features, most) for size in sizes]
    layers: list[Layer] = [_equalized(Conv2D(shape[2], channels[-1], 1), rng), ScaledLeakyReLU()]
    for C, K in zip(channels[:0:-1], channels[-2::-1], strict=True):
        body = Sequential(
            *(_equalized(Conv2D(C, C, 3, padding=1), rng), ScaledLeakyReLU()),
            *(Blur(2), _equalized(Conv2D(C, K, 3, stride=2), rng), LeakyReLU(0.2)),  # H → H + 1 → H/2
        )
        shortcut = Sequential(DownsampleFIR(sqrt(0.5)), _equalized(Conv2D(C, K, 1, bias=False), rng))
        layers.append(Residual(body, shortcut))
    C = channels[0]
    if group:
        layers.append(MinibatchStdDev(group))  # one channel more
    return Sequential(
        *layers,
        *(_equalized(Conv2D(C + bool(group), C, 3, padding=1), rng), ScaledLeakyReLU(), Flatten()),
        *(_equalized(Dense(FIRST * FIRST * C, C), rng), ScaledLeakyReLU(), _equalized(Dense(C, 1), rng)),
    )


def _styled(latent_dim: int, C: int, K: int, size: int, up: bool, rng: np.random.Generator) -> Sequential:
    """(x (N, H, W, C), w (N, Z)) → (N, size, size, K): a modulated convolution, noise, bias, LeakyReLU.

    With `up` H is half of `size`: the transposed convolution makes 2H + 1 pixels, the blur 2H. The gain of 4 makes up
    for the zeros that a stride of 2 puts between pixels.
    """
    blur = [Blur(1, gain=4.0)] if up else []
    convolution = ModulatedConv2D(C, K, 3, up, rng=rng)
    return Sequential(_style(latent_dim, C, rng), convolution, *blur, NoiseBias(K, size, rng=rng), ScaledLeakyReLU())


def _style(latent_dim: int, C: int, rng: np.random.Generator) -> Branches:
    """(x, w (N, Z)) → (x, s (N, C)): s = w A + b, b = 1 at first; x passes through."""
    return Branches(None, _equalized(Dense(latent_dim, C), rng, bias=1.0))


def _equalized(layer: Layer, rng: np.random.Generator, **options: float) -> Equalized:
    return Equalized(layer, **options, rng=rng)


def _channels(size: int, largest: int, features: int, most: int) -> int:
    return min(features * largest // size, most)
