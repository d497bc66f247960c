"""Hypothesis strategy for critics: random networks of all layers that a gradient penalty allows.

    @given(critics())
    def test_my_penalty(case):
        value = my_penalty(case.critic, case.real, case.fake, case.rng(), case.labels)

Each layer is chosen among those that fit the shape so far, so no draw is rejected. The critics are built so that the
slope of the penalty can be checked by finite differences:

* Norms have ε = 0.1 and are followed by an activation that is not odd. Of three values, two or even all may be equal,
  after an upsampling or a dense layer. A norm with a small ε maps two distinct values to ±1, whatever they are, and a
  tanh and a sum turn that into the same logit for all samples; the gradient would then be rounding errors only. For the
  same reason pictures that went through a norm are not summed at the end: a sum of normalized numbers cancels.
* The last layer's weight is scaled so that the mean slope is 0.4 or 1.8, on either side of 1, the minimum of P. Without
  that, five sigmoids in a row would have a slope of 1e-6, and differences would drown in the rounding of (1e-6 − 1)².
* Spectral norms have singular vectors for u and v, and a largest singular value well above the next: see
  `points.separate_singular_value`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from minigan import layers as L
from minigan.layers import Layer
from minigan.layers.norms import Norm
from minigan.testing.points import separate_singular_value, shake
from minigan.testing.strategies import seeds, sizes

Shape = tuple[int, ...]  # of one sample: (C,) or (H, W, C)
CLASSES = 3
EPS = 0.1  # of the norms


@dataclass
class CriticCase:
    """A critic in float64, real and fake samples (N, …), their labels (N,) if it is conditional, and a seed."""

    critic: Layer
    real: np.ndarray
    fake: np.ndarray
    labels: np.ndarray | None
    seed: int

    def rng(self) -> np.random.Generator:
        """Return a generator that makes the same draws every time."""
        return np.random.default_rng(self.seed)

    def __repr__(self) -> str:
        labels = "" if self.labels is None else f", labels {self.labels.tolist()}"
        return f"CriticCase({self.critic!r}, real {self.real.shape}{labels}, seed={self.seed})"


@st.composite
def critics(draw: Callable) -> CriticCase:
    """Draw critics of points (N, C) or pictures (N, H, W, C), with or without labels: one to four parts, and a head."""
    seed = draw(seeds())
    rng = np.random.default_rng(seed)
    N = draw(sizes(2, 4))
    sample = (*(draw(sizes(1, 4)) for _ in range(draw(st.sampled_from((0, 2))))), draw(sizes(1, 3)))
    labels = rng.integers(0, CLASSES, N) if draw(st.booleans()) else None
    parts, shape = [], sample
    for _ in range(draw(sizes())):
        fitting = [make for fits, make in PARTS if fits(shape)]
        part = draw(st.sampled_from(fitting))(_Draws(draw, rng, N), shape)
        parts, shape = [*parts, *part], _shape_after(part, shape, N)
    if len(shape) == 3:
        normed = any(isinstance(inner, Norm) for part in parts for _, inner in part.walk())
        part = [L.Flatten() if normed else draw(st.sampled_from((L.Flatten, L.GlobalSumPool, L.GlobalAvgPool)))()]
        parts, shape = [*parts, *part], _shape_after(part, shape, N)
    head = L.Dense(shape[0], 1, bias=draw(st.booleans()), rng=rng)
    if labels is None:
        critic = L.Sequential(*parts, head)
    else:
        critic = L.Conditional(*parts, L.Projection(head, L.Embedding(CLASSES, shape[0], rng=rng)))
    real, fake = rng.standard_normal((2, N, *sample))
    return prepared(CriticCase(shake(critic, rng), real, fake, labels, seed), draw(st.sampled_from((0.4, 1.8))))


def prepared(case: CriticCase, slope: float) -> CriticCase:
    """Return the case with a critic in float64 whose mean slope on the real samples is `slope` (see above)."""
    critic = case.critic.to(dtype=np.float64)
    for _, layer in critic.walk():
        if isinstance(layer, L.SpectralNorm):
            separate_singular_value(layer)
    x = case.real if case.labels is None else (case.real, case.labels)
    logits, cache = critic.forward(x, True, case.rng())
    dx = critic.backward(np.ones_like(logits), cache, wrt="input")
    dx = dx if case.labels is None else dx[0]
    found = np.linalg.norm(dx.reshape(len(dx), -1), axis=1).mean()
    if found > 0:  # 0 if all ReLUs are off
        for _, layer in critic[-1].walk():
            if "W" in layer.parameter_names:
                layer.W *= slope / found
    return case


@dataclass
class _Draws:
    """The sources of randomness for the parts below."""

    draw: Callable
    rng: np.random.Generator
    N: int

    def size(self, least: int = 1, most: int = 3) -> int:
        return self.draw(sizes(least, most))

    def either(self, *values: object) -> object:
        return self.draw(st.sampled_from(values))

    def weighted(self, layer: Layer) -> Layer:
        """Return the layer, in one of three cases wrapped in a spectral norm."""
        return L.SpectralNorm(layer, rng=self.rng) if self.either(False, False, True) else layer

    def activation(self, channels: int, odd: bool = True) -> Layer:
        prelu, softplus = (lambda: L.PReLU(self.either(1, channels))), (lambda: L.Softplus(self.either(1.0, 2.5)))
        return self.either(softplus, L.LeakyReLU, L.ReLU, prelu, *((L.Tanh, L.Sigmoid) if odd else ()))()


def _maxout(d: _Draws, shape: Shape) -> list[Layer]:
    pieces = d.size(2, 3)
    return [L.Dense(shape[-1], pieces * d.size(), rng=d.rng), L.Maxout(pieces)]


def _layer_norm(d: _Draws, shape: Shape) -> list[Layer]:
    axes = d.size(1, len(shape)) if shape[-1] >= 3 else len(shape)
    return [L.LayerNorm(shape[-axes:], EPS, d.either(True, False)), d.activation(shape[-1], odd=False)]


def _residual(d: _Draws, shape: Shape) -> list[Layer]:
    C, K = shape[-1], d.size()
    shortcut = None if d.either(True, False) else L.Dense(C, C, rng=d.rng)
    return [L.Residual(L.Sequential(L.Dense(C, K, rng=d.rng), d.activation(K), L.Dense(K, C, rng=d.rng)), shortcut)]


def _reshape(d: _Draws, shape: Shape) -> list[Layer]:
    picture = (d.size(1, 2), d.size(1, 2), d.size(1, 2))
    return [L.Dense(shape[-1], int(np.prod(picture)), rng=d.rng), L.Reshape(*picture)]


def _conv(d: _Draws, shape: Shape) -> list[Layer]:
    kernel = tuple(d.size(1, min(3, n + 2)) for n in shape[:2])  # fits with a padding of 1 on both sides
    geometry = (shape[-1], d.size(), kernel, (d.size(1, 2), d.size(1, 2)), 1 if max(kernel) > 1 else 0)
    return [d.weighted(L.Conv2D(*geometry, bias=d.either(True, False), rng=d.rng))]


def _conv_transpose(d: _Draws, shape: Shape) -> list[Layer]:
    kernel, stride = d.size(2, 3), d.size(1, 2)
    padding, output_padding = (1, 0) if min(shape[:2]) > 1 else (0, d.size(0, stride - 1))
    geometry = (shape[-1], d.size(), kernel, stride, padding, output_padding)
    return [d.weighted(L.ConvTranspose2D(*geometry, bias=d.either(True, False), rng=d.rng))]


def _parallel(d: _Draws, shape: Shape) -> list[Layer]:
    K = d.size()
    bent = L.Sequential(L.Dense(shape[-1], K, rng=d.rng), d.activation(K))
    return [L.Parallel(bent, L.Dense(shape[-1], d.size(), rng=d.rng))]


def _down_block(d: _Draws, shape: Shape) -> list[Layer]:
    if d.either(True, False):
        return [L.first_down_block(shape[-1], d.size(), wrap=d.weighted, rng=d.rng)]
    norm = d.either(None, lambda channels: L.InstanceNorm(channels, EPS)) if np.prod(shape[:2]) > 2 else None
    return [L.down_block(shape[-1], d.size(), downsample=d.either(True, False), wrap=d.weighted, norm=norm, rng=d.rng)]


def _window(d: _Draws, shape: Shape) -> tuple[tuple[int, ...], int]:
    """Draw the size and the stride of a pooling window."""
    return tuple(d.size(1, min(2, n)) for n in shape[:2]), d.size(1, 2)


def _is_picture(shape: Shape) -> bool:
    return len(shape) == 3


# (condition on the shape of a sample, function that returns the layers to append)
PARTS: list[tuple[Callable[[Shape], bool], Callable[[_Draws, Shape], list[Layer]]]] = [
    (lambda s: True, lambda d, s: [d.weighted(L.Dense(s[-1], d.size(1, 5), bias=d.either(True, False), rng=d.rng))]),
    (lambda s: True, lambda d, s: [d.activation(s[-1])]),
    (lambda s: True, _maxout),
    (lambda s: np.prod(s) >= 3, _layer_norm),
    (
        lambda s: _is_picture(s) and np.prod(s[:2]) >= 3,
        lambda d, s: [L.InstanceNorm(s[-1], EPS, d.either(True, False)), d.activation(s[-1], odd=False)],
    ),
    (lambda s: True, lambda d, s: [L.Dropout(0.3)]),
    (lambda s: True, _residual),
    (lambda s: not _is_picture(s), _reshape),
    (_is_picture, _conv),
    (lambda s: _is_picture(s) and max(s[:2]) <= 3, _conv_transpose),
    (_is_picture, lambda d, s: [L.AvgPool2D(*_window(d, s))]),
    (_is_picture, lambda d, s: [L.MaxPool2D(*_window(d, s))]),
    (lambda s: True, _parallel),
    (lambda s: _is_picture(s) and max(s[:2]) <= 3, lambda d, s: [L.Upsample((d.size(1, 2), d.size(1, 2)))]),
    (
        lambda s: _is_picture(s) and min(s[:2]) >= 2,
        lambda d, s: [d.either(L.ReflectionPad2D, L.ReplicationPad2D)(1), *_conv(d, s)],
    ),
    (lambda s: _is_picture(s) and max(s[:2]) <= 3, lambda d, s: [L.BilinearUpsample((d.size(1, 2), d.size(1, 2)))]),
    (lambda s: _is_picture(s) and max(s[:2]) <= 3, lambda d, s: [L.BicubicUpsample((d.size(1, 2), d.size(1, 2)))]),
    (lambda s: _is_picture(s) and s[0] % 2 == 0, lambda d, s: [L.BicubicDownsample((2, 1))]),
    (_is_picture, lambda d, s: [L.Blur(2)]),
    (lambda s: _is_picture(s) and s[0] % 2 == s[1] % 2 == 0, lambda d, s: [L.DownsampleFIR()]),
    (lambda s: _is_picture(s) and max(s[:2]) <= 3, lambda d, s: [L.UpsampleFIR()]),
    (lambda s: True, lambda d, s: [L.ScaledLeakyReLU()]),
    (lambda s: _is_picture(s) and s[2] % 4 == 0 and max(s[:2]) <= 3, lambda d, s: [L.PixelShuffle(2)]),
    (lambda s: _is_picture(s) and s[0] % 2 == s[1] % 2 == 0, lambda d, s: [L.PixelUnshuffle(2)]),
    (lambda s: True, lambda d, s: [L.Skip(L.Sequential(L.Dense(s[-1], d.size(1, 2), rng=d.rng), d.activation(1)))]),
    (lambda s: True, lambda d, s: [L.Softmax()]),
    (lambda s: _is_picture(s) and min(s[:2]) >= 2, _down_block),
    (_is_picture, lambda d, s: [L.MinibatchStdDev(d.either(d.N, *(g for g in (2, 3) if d.N % g == 0)))]),
]


def _shape_after(part: list[Layer], shape: Shape, N: int) -> Shape:
    return L.Sequential(*part).forward(np.zeros((N, *shape)), train=False)[0].shape[1:]
