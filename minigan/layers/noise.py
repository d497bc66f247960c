"""Noise for each pixel, with a learned strength, and the activation of StyleGAN2 with its gain."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.errors import ShapeError
from minigan.kernels.elementwise import by_rows, step
from minigan.kernels.reductions import sum_over
from minigan.layers.activations import LeakyReLU
from minigan.layers.base import Layer


class NoiseBias(Layer):
    """y = x + b + strength · n, with a bias for each channel and one number n ~ N(0, 1) for each pixel.

    Karras et al. 2019, section 2, with one strength for all channels (2020). x (N, H, W, C), b (C,), strength (1,), n
    (N, H, W, 1). The strength is 0 at first: how much detail is random is learned. In training n is drawn from `rng`.
    In inference it is drawn if there is an `rng`; without one it is `fixed` (H, W, 1), the same for every sample and
    in every call, so that a style always makes the same picture.

        dx = dy        db = Σ dy over all but channels        dstrength = Σ dy n

    dx doesn't depend on x, b or the strength: ddy = ddx, and dx2 is None.

    size: H = W of the pictures. rng: draws `fixed`.
    """

    state_names = ("fixed",)

    def __init__(self, channels: int, size: int, *, rng: np.random.Generator | None = None) -> None:
        self.channels, self.size = channels, size
        self.fixed = (rng or np.random.default_rng()).standard_normal((size, size, 1), dtype=np.float32)
        self.add_parameters(b=np.zeros(channels), strength=np.zeros(1))

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, H, W, C) → y. Raises ValueError in training without a generator, ShapeError for another size."""
        self.check_input(x, 4, self.channels)
        if x.shape[1:3] != self.fixed.shape[:2]:
            raise ShapeError(f"{self!r} takes pictures of {self.size}×{self.size} pixels, got {tuple(x.shape)}")
        if train and rng is None:
            raise ValueError(f"{self!r} draws noise in training: pass a random generator, forward(x, rng=rng)")
        shape = (*x.shape[:3], 1)
        noise = self.fixed[None].astype(x.dtype) if rng is None else rng.standard_normal(shape, dtype=x.dtype)
        b, strength = (a.astype(x.dtype, copy=False) for a in (self.b, self.strength))

        def f(x: Any, noise: Any, out: Any = None) -> Any:
            y = array_module(x).add(x, b, out=out)
            y += strength * noise  # (N, H, W, 1)
            return y

        return by_rows(f, x, noise), (x.shape, noise)

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy (N, H, W, C) → dx, a copy."""
        # forward: y = x + b + strength · n
        return dy.copy()

    def backward_params(self, dy: Any, cache: Any) -> None:
        """Add db (C,) and dstrength (1,)."""
        _, noise = cache
        # forward: y = x + b + strength · n
        self.db += sum_over((dy,), (0, 1, 2))[0, 0, 0]  # (1, 1, 1, C) → (C,)
        over_channels = array_module(dy).ascontiguousarray(dy.sum(axis=3, keepdims=True))  # (N, H, W, 1)
        self.dstrength += (over_channels * noise).sum()

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx → ddy, a copy; dx2 is None."""
        self.check_second(ddx, dy, cache)
        # backward: dx = dy
        return ddx.copy(), None

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """y has the shape of x."""
        return cache[0], cache[0]


class ScaledLeakyReLU(LeakyReLU):
    """y = gain · (x where x > 0, else slope · x).

    With a gain of √2 and a slope of 0.2, the mean square of y is 1.04 times that of a symmetric x (without gain: 0.52).
    So weights of the variance 1/fan_in keep the scale of features (Karras et al. 2020, code). In `progan`, where the
    activation has no gain, weights have the variance 2/fan_in instead.

    Raises ValueError for a slope outside [0, 1], or a gain that isn't positive.
    """

    def __init__(self, negative_slope: float = 0.2, gain: float = 2**0.5) -> None:
        super().__init__(negative_slope)
        if not gain > 0:
            raise ValueError(f"gain is {gain}: it must be greater than 0")
        self.gain = float(gain)

    def f(self, x: Any, out: Any = None) -> Any:
        """gain times the larger of x and slope · x."""
        y = super().f(x, out)
        y *= x.dtype.type(self.gain)
        return y

    def derivative(self, y: Any) -> Any:
        """The gain where x > 0, else gain · slope. y has the sign of x."""
        slope = step(y, self.negative_slope)
        slope *= y.dtype.type(self.gain)
        return slope
