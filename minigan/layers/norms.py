"""Batch, layer and instance normalisation: y = γ x̂ + β with x̂ from `normalize` over different axes.

The affine part, with Σ over all axes that γ and β don't have:

    first order     dx̂ = γ dy        dγ = Σ dy x̂        dβ = Σ dy        dx = J dx̂
    second order    dx = J(γ dy), and β does not occur in it. With v = ddx and ddx̂ = J v:
                    ddy = γ ddx̂      dγ += Σ dy ddx̂     dx2 from `normalize_double_backward`
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.errors import ShapeError
from minigan.layers.base import Layer, Wrt
from minigan.layers.initializers import Initializer
from minigan.layers.normalize import Axes, normalize, normalize_backward, normalize_double_backward, sum_product


class _Norm(Layer):
    """What the three have in common. Each says over which axes it normalises, and what its gamma's shape is."""

    gamma_per_channel = True  # gamma is the same for all numbers that are normalised together

    def _add_affine(
        self, affine: bool, shape: tuple[int, ...], init: Initializer | None, rng: np.random.Generator | None
    ) -> None:
        gamma = np.ones(shape, np.float32) if init is None else init(rng or np.random.default_rng(), shape, 1, 1)
        self.add_parameters(gamma=gamma if affine else None, beta=np.zeros(shape, np.float32) if affine else None)

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x → y of the same shape."""
        axes = self._axes(x)
        x_hat, inv_sigma, _, _ = normalize(x, axes, self.eps)
        return self._affine(x_hat), (x_hat, inv_sigma, axes)

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy → dx = J(γ dy)."""
        x_hat, inv_sigma, axes = cache
        self.check_dy(dy, x_hat.shape, wrt)
        if self.gamma is not None and wrt != "input":
            # forward: y = gamma * x_hat + beta
            self.dgamma += self._sum(dy, x_hat)
            self.dbeta += self._sum(dy)
        if wrt == "params":
            return None
        # forward: x_hat = (x - mu) / sigma
        if axes is None:
            return dy * self._scaled(inv_sigma)  # mu and sigma were given: they don't depend on x
        if self.gamma_per_channel:  # J(γ dy) = γ J dy, and J ends with a factor 1/σ: one pass for both
            return normalize_backward(dy, x_hat, self._scaled(inv_sigma), axes)
        return normalize_backward(self._scaled(dy), x_hat, inv_sigma, axes)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx → ddy = γ J ddx, and dx2."""
        x_hat, inv_sigma, axes = cache
        self.check_ddx(ddx, x_hat.shape, dy, x_hat.shape)
        # backward: dx = J(gamma * dy)
        if axes is None:
            ddx_hat, dx2 = ddx * inv_sigma, None
        else:
            ddx_hat, dx2 = normalize_double_backward(ddx, self._scaled(dy), x_hat, inv_sigma, axes)
        if self.gamma is not None:
            self.dgamma += self._sum(dy, ddx_hat)
        return self._scaled(ddx_hat), dx2

    def _axes(self, x: Any) -> Axes:
        """Check x, and return the axes to normalise over."""
        raise NotImplementedError

    def _affine(self, x_hat: Any) -> Any:
        if self.gamma is None:
            return x_hat
        y = self._scaled(x_hat)
        y += self.beta.astype(y.dtype, copy=False)
        return y

    def _scaled(self, a: Any) -> Any:
        return a if self.gamma is None else a * self.gamma.astype(a.dtype, copy=False)

    def _sum(self, *factors: Any) -> Any:
        """Sum of the product of `factors` over the axes that gamma doesn't have: (…, *shape) → shape."""
        return sum_product(factors, axes=tuple(range(factors[0].ndim - self.gamma.ndim))).reshape(self.gamma.shape)


class BatchNorm(_Norm):
    """Normalise every channel over the batch (Ioffe and Szegedy 2015): axes (N, H, W), or N for x (N, C).

    Training also moves `running_mean` and `running_var` (unbiased: divided by m − 1) towards those of the batch,
    running ← (1 − momentum)·running + momentum·batch. Inference uses them as μ and σ²: x̂ is then linear in x,
    dx = γ dy/σ, and dx2 is nothing.
    """

    state_names = ("running_mean", "running_var")

    def __init__(
        self,
        channels: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        *,
        init: Initializer | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.channels, self.eps, self.momentum, self.affine = channels, float(eps), float(momentum), affine
        self._add_affine(affine, (channels,), init, rng)
        self.running_mean, self.running_var = np.zeros(channels, np.float32), np.ones(channels, np.float32)

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, C) or (N, H, W, C) → y. Raises ShapeError in training if a channel has a single value."""
        axes = self._axes(x)
        if not train:
            inv_sigma = (1 / array_module(x).sqrt(self.running_var + self.eps)).astype(x.dtype, copy=False)
            x_hat = (x - self.running_mean.astype(x.dtype, copy=False)) * inv_sigma
            return self._affine(x_hat), (x_hat, inv_sigma, None)
        m = prod(x.shape[:-1])
        if m < 2:
            raise ShapeError(f"{self!r} can't train on one value a channel, input {tuple(x.shape)}: use a larger batch")
        x_hat, inv_sigma, mu, var = normalize(x, axes, self.eps)
        self.running_mean += self.momentum * (mu.reshape(-1) - self.running_mean)
        self.running_var += self.momentum * (var.reshape(-1) * (m / (m - 1)) - self.running_var)
        return self._affine(x_hat), (x_hat, inv_sigma, axes)

    def _axes(self, x: Any) -> Axes:
        if x.ndim not in (2, 4):
            raise ShapeError(f"{self!r} takes (N, C) or (N, H, W, C), got {tuple(x.shape)}")
        self.check_input(x, x.ndim, self.channels)
        return tuple(range(x.ndim - 1))


class LayerNorm(_Norm):
    """Normalise every sample over its last axes (Ba et al. 2016), which have the shape `normalized_shape`.

    gamma and beta have that shape too. It doesn't mix samples, so a critic with a gradient penalty may use it.
    """

    gamma_per_channel = False

    def __init__(
        self, normalized_shape: int | tuple[int, ...], eps: float = 1e-5, elementwise_affine: bool = True
    ) -> None:
        shape = (int(normalized_shape),) if np.ndim(normalized_shape) == 0 else tuple(normalized_shape)
        self.normalized_shape, self.eps, self.elementwise_affine = shape, float(eps), elementwise_affine
        self._add_affine(elementwise_affine, shape, None, None)

    def _axes(self, x: Any) -> Axes:
        self.check_input(x, None, None)
        if x.ndim <= len(self.normalized_shape) or x.shape[-len(self.normalized_shape) :] != self.normalized_shape:
            raise ShapeError(f"{self!r} takes (N, …, {str(self.normalized_shape)[1:]}, got {tuple(x.shape)}")
        return tuple(range(x.ndim - len(self.normalized_shape), x.ndim))


class InstanceNorm(_Norm):
    """Normalise every channel of every picture over its pixels (Ulyanov et al. 2016): axes (H, W)."""

    def __init__(self, channels: int, eps: float = 1e-5, affine: bool = False) -> None:
        self.channels, self.eps, self.affine = channels, float(eps), affine
        self._add_affine(affine, (channels,), None, None)

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, H, W, C) → y. Raises ShapeError for pictures of one pixel, of which nothing would be left."""
        if x.ndim == 4 and x.shape[1] * x.shape[2] < 2:
            raise ShapeError(f"{self!r} needs more than one pixel a picture, got {tuple(x.shape)}")
        return super().forward(x, train, rng)

    def _axes(self, x: Any) -> Axes:
        self.check_input(x, 4, self.channels)
        return (1, 2)
