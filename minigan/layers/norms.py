"""Batch, layer and instance norm: y = γ x̂ + β, where x̂ is x normalized over some axes (`kernels/normalize.py`).

The norms differ in these axes and in the shape of γ and β. With Σ over all axes that γ and β don't have:

    first order     dx̂ = γ dy        dγ = Σ dy x̂        dβ = Σ dy        dx = J dx̂ = J(γ dy)
    second order    P is a scalar function of dx, v = ddx = ∂P/∂(dx). dx depends on x and on g = γ dy, not on β:
                    `double_J` gives ddx̂ = ∂P/∂g = J v, and dx2 = ∂P/∂x. From g = γ dy:
                    ddy = γ ddx̂        dγ += Σ dy ddx̂
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.errors import ShapeError
from minigan.kernels.normalize import J, affine, double_J, normalize
from minigan.kernels.reductions import Axes, sum_over, sums_over
from minigan.layers.affine import ConditionalAffine, new_affine
from minigan.layers.base import Layer, Wrt
from minigan.layers.containers import Conditional
from minigan.layers.embedding import check_labels
from minigan.layers.initializers import Initializer


class Norm(Layer):
    """y = γ x̂ + β. A subclass chooses the axes, and registers gamma and beta, which may be None.

    The cache is x̂, 1/σ and the axes; None for the axes if μ and σ were given instead of computed from x.
    """

    eps: float
    one_gamma = True  # numbers that are normalized together have the same γ

    def axes(self, x: Any) -> Axes:
        """The axes of x to normalize over. Raises ShapeError for an x that doesn't fit."""
        raise NotImplementedError

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x → y of the same shape."""
        axes = self.axes(x)
        y, x_hat, inv_sigma, _, _ = normalize(x, axes, self.eps, self.gamma, self.beta)
        return y, (x_hat, inv_sigma, axes)

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy → dx = J(γ dy), or γ dy/σ if μ and σ are running statistics."""
        x_hat, inv_sigma, axes = cache
        self.check_dy(dy, x_hat.shape, wrt)
        means = None
        if self.gamma is not None and wrt != "input":
            # forward: y = gamma * x_hat + beta
            dbeta, dgamma = sums_over(((dy,), (dy, x_hat)), self._axes_without_gamma(dy))
            self.dbeta += dbeta.reshape(self.beta.shape)
            self.dgamma += dgamma.reshape(self.gamma.shape)
            if self._axes_without_gamma(dy) == axes:  # batch norm: J dy needs the same two sums
                m = prod(dy.shape[:-1])
                means = dbeta / m, dgamma / m  # ⟨dy⟩ and ⟨x̂ dy⟩
        if wrt == "params":
            return None
        # forward: x_hat = (x - mu) / sigma
        if axes is None:  # mu and sigma are given
            return dy * self._scaled(inv_sigma)
        if self.one_gamma:  # J(γ dy) = γ J dy, which is J dy with γ/σ in place of 1/σ
            return J(dy, x_hat, self._scaled(inv_sigma), axes, means)
        return J(self._scaled(dy), x_hat, inv_sigma, axes)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx → ddy = γ J ddx and dx2, or γ ddx/σ and None if μ and σ are running statistics."""
        self.check_second(ddx, dy, cache)
        x_hat, inv_sigma, axes = cache
        # backward: dx = J(gamma * dy), or gamma * dy / sigma if mu and sigma are given
        if axes is None:
            ddx_hat, dx2 = ddx * inv_sigma, None
        else:
            ddx_hat, dx2 = double_J(ddx, self._scaled(dy), x_hat, inv_sigma, axes)
        if self.gamma is not None:
            self.dgamma += sum_over((dy, ddx_hat), self._axes_without_gamma(dy)).reshape(self.gamma.shape)
        return self._scaled(ddx_hat), dx2

    def shapes(self, cache: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """That of x̂, for x and y."""
        return cache[0].shape, cache[0].shape

    def _scaled(self, a: Any) -> Any:
        """γ a."""
        return a if self.gamma is None else a * self.gamma.astype(a.dtype, copy=False)

    def _axes_without_gamma(self, x: Any) -> Axes:
        return tuple(range(x.ndim - self.gamma.ndim))


class BatchNorm(Norm):
    """Normalize every channel over the batch (Ioffe and Szegedy 2015): axes (N, H, W), or N for x (N, C).

    Training also moves `running_mean` and `running_var` (unbiased: divided by m − 1) towards those of the batch,
    running ← (1 − momentum)·running + momentum·batch. Inference uses them as μ and σ²: x̂ is then linear in x,
    dx = γ dy/σ, and dx2 is None.
    """

    state_names = ("running_mean", "running_var")
    per_pixel = True

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
        self.add_parameters(**new_affine((channels,), affine, init, rng))
        self.running_mean, self.running_var = np.zeros(channels, np.float32), np.ones(channels, np.float32)

    def axes(self, x: Any) -> Axes:
        """All but the channels."""
        self.check_array(x)
        if x.ndim not in (2, 4):
            raise ShapeError(f"{self!r} takes (N, C) or (N, H, W, C), got {tuple(x.shape)}")
        self.check_input(x, x.ndim, self.channels)
        return tuple(range(x.ndim - 1))

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, C) or (N, H, W, C) → y. Raises ShapeError in training if a channel has a single value."""
        axes = self.axes(x)
        if not train:
            return self._forward_with_running_statistics(x)
        m = prod(x.shape[:-1])
        if m < 2:
            raise ShapeError(f"{self!r} can't train on one value a channel, input {tuple(x.shape)}: use a larger batch")
        y, x_hat, inv_sigma, mu, var = normalize(x, axes, self.eps, self.gamma, self.beta)
        self.running_mean += self.momentum * (mu.reshape(-1) - self.running_mean)
        self.running_var += self.momentum * (var.reshape(-1) * (m / (m - 1)) - self.running_var)
        return y, (x_hat, inv_sigma, axes)

    def _forward_with_running_statistics(self, x: Any) -> tuple[Any, Any]:
        inv_sigma = 1 / array_module(x).sqrt(self.running_var + self.eps)
        mu, inv_sigma = (a.astype(x.dtype, copy=False) for a in (self.running_mean, inv_sigma))  # (C,)
        x_hat = x - mu
        x_hat *= inv_sigma
        y = x_hat if self.gamma is None else affine(x_hat, self.gamma, self.beta)
        return y, (x_hat, inv_sigma, None)

    def output(self, x: Any, train: bool = True, rng: Any = None) -> Any:
        """x → y. In inference, y = (γ/σ) x + (β − μ γ/σ): two operations, where `forward` needs four to give x̂."""
        if train:
            return super().output(x, train, rng)
        self.axes(x)
        scale = 1 / array_module(x).sqrt(self.running_var + self.eps)  # (C,)
        shift = -self.running_mean * scale
        if self.gamma is not None:
            scale, shift = self.gamma * scale, self.gamma * shift + self.beta
        return affine(x, scale, shift)


class LayerNorm(Norm):
    """Normalize every sample over its last axes (Ba et al. 2016), which have the shape `normalized_shape`.

    gamma and beta have that shape too. It doesn't mix samples, so a critic with a gradient penalty may use it.
    """

    one_gamma = False

    def __init__(
        self, normalized_shape: int | tuple[int, ...], eps: float = 1e-5, elementwise_affine: bool = True
    ) -> None:
        shape = (int(normalized_shape),) if np.ndim(normalized_shape) == 0 else tuple(normalized_shape)
        self.normalized_shape, self.eps, self.elementwise_affine = shape, float(eps), elementwise_affine
        self.add_parameters(**new_affine(shape, elementwise_affine))

    def axes(self, x: Any) -> Axes:
        """The last ones, as many as `normalized_shape` has."""
        self.check_input(x, None, None)
        if x.ndim <= len(self.normalized_shape) or x.shape[-len(self.normalized_shape) :] != self.normalized_shape:
            raise ShapeError(f"{self!r} takes (N, …, {str(self.normalized_shape)[1:]}, got {tuple(x.shape)}")
        return tuple(range(x.ndim - len(self.normalized_shape), x.ndim))


class InstanceNorm(Norm):
    """Normalize every channel of every picture over its pixels (Ulyanov et al. 2016): axes (H, W)."""

    def __init__(
        self,
        channels: int,
        eps: float = 1e-5,
        affine: bool = False,
        *,
        init: Initializer | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.channels, self.eps, self.affine = channels, float(eps), affine
        self.add_parameters(**new_affine((channels,), affine, init, rng))

    def axes(self, x: Any) -> Axes:
        """Height and width. Raises ShapeError for pictures of one pixel, of which nothing would be left."""
        self.check_input(x, 4, self.channels)
        if x.shape[1] * x.shape[2] < 2:
            raise ShapeError(f"{self!r} needs more than one pixel a picture, got {tuple(x.shape)}")
        return (1, 2)


class ConditionalBatchNorm(Conditional):
    """Batch norm whose γ and β are rows chosen by the sample's label (de Vries et al. 2017; Miyato et al. 2018).

    A batch norm without γ and β, followed by a `ConditionalAffine`: y_n = γ[label_n] x̂_n + β[label_n]. Mean, variance
    and running statistics are those of the whole batch, whatever its labels are.
    """

    def __init__(
        self,
        channels: int,
        num_classes: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        *,
        init: Initializer | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.channels, self.num_classes = channels, num_classes
        self.norm = BatchNorm(channels, eps, momentum, affine=False)
        self.affine = ConditionalAffine(channels, num_classes, init=init, rng=rng)
        super().__init__(self.norm, self.affine)

    eps = property(lambda self: self.norm.eps, lambda self, eps: setattr(self.norm, "eps", eps))
    momentum = property(lambda self: self.norm.momentum, lambda self, m: setattr(self.norm, "momentum", m))

    def children(self) -> dict[str, Layer]:
        """{"norm": …, "affine": …}."""
        return {"norm": self.norm, "affine": self.affine}

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """(x (N, C) or (N, H, W, C), labels (N,)) → y. Raises ShapeError as `BatchNorm` and `Embedding` do."""
        self.check_several(x, 2)
        self.norm.axes(x[0])
        check_labels(self, x[1], self.num_classes, len(x[0]))  # before the running statistics move
        return super().forward(x, train, rng)

    def output(self, x: Any, train: bool = True, rng: Any = None) -> Any:
        """The y of `forward`, with its checks."""
        return self.forward(x, train, rng)[0]

    __repr__ = Layer.__repr__
