"""Batch, layer and instance normalisation: y = γ x̂ + β with x̂ from `normalize` over different axes.

The affine part, with Σ over all axes that γ and β don't have (conditional batch norm: over all that share a row):

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
from minigan.layers.embedding import check_labels, one_hot
from minigan.layers.initializers import Initializer
from minigan.layers.normalize import (
    Axes,
    centre,
    normalize_backward,
    normalize_double_backward,
    of_rows,
    standardize,
    sum_product,
    sum_products,
)
from minigan.threads.partition import over_rows


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
        centred, rest, inv_sigma, _, _ = centre(x, axes, self.eps)
        y, x_hat = self._affine(centred, rest, inv_sigma)
        return y, (x_hat, inv_sigma, axes)

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy → dx = J(γ dy)."""
        x_hat, inv_sigma, axes = cache
        self.check_dy(dy, x_hat.shape, wrt)
        means = None
        if self.gamma is not None and wrt != "input":
            # forward: y = gamma * x_hat + beta
            summed = tuple(range(dy.ndim - self.gamma.ndim))
            dgamma, dbeta = sum_products(((dy, x_hat), (dy,)), summed)
            self.dgamma += dgamma.reshape(self.gamma.shape)
            self.dbeta += dbeta.reshape(self.gamma.shape)
            if summed == axes:  # batch norm: J needs the same two sums
                m = prod(dy.shape[:-1])
                means = (dgamma / m, dbeta / m)
        if wrt == "params":
            return None
        # forward: x_hat = (x - mu) / sigma
        if self.gamma_per_channel:  # J(γ dy) = γ J dy, and J ends with a factor 1/σ: one pass for both
            return _J(dy, x_hat, self._scaled(inv_sigma), axes, means)
        return _J(self._scaled(dy), x_hat, inv_sigma, axes)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx → ddy = γ J ddx, and dx2."""
        x_hat, inv_sigma, axes = cache
        self.check_ddx(ddx, x_hat.shape, dy, x_hat.shape)
        # backward: dx = J(gamma * dy)
        ddx_hat, dx2 = _double_J(ddx, self._scaled(dy), x_hat, inv_sigma, axes)
        if self.gamma is not None:
            self.dgamma += self._sum(dy, ddx_hat)
        return self._scaled(ddx_hat), dx2

    def _axes(self, x: Any) -> Axes:
        """Check x, and return the axes to normalise over."""
        raise NotImplementedError

    def _affine(self, centred: Any, rest: Any, inv_sigma: Any) -> tuple[Any, Any]:
        """What `centre` returns → y and x̂, in one pass. x̂ takes the place of `centred`."""
        if self.gamma is None:
            standardize(centred, rest, inv_sigma)
            return centred, centred
        gamma, beta = (a.astype(centred.dtype, copy=False) for a in (self.gamma, self.beta))
        xp = array_module(centred)
        y = xp.empty(centred.shape, centred.dtype)

        def work(rows: slice) -> None:
            x_hat = centred[rows]
            x_hat -= of_rows(rest, rows)
            x_hat *= of_rows(inv_sigma, rows)
            y_rows = y[rows]
            xp.multiply(x_hat, gamma, out=y_rows)
            y_rows += beta

        over_rows(work, y)
        return y, centred

    def _scaled(self, a: Any) -> Any:
        return a if self.gamma is None else a * self.gamma.astype(a.dtype, copy=False)

    def _sum(self, *factors: Any) -> Any:
        """Sum of the product of `factors` over the axes that gamma doesn't have: (…, *shape) → shape."""
        return sum_product(factors, axes=tuple(range(factors[0].ndim - self.gamma.ndim))).reshape(self.gamma.shape)


def _J(dx_hat: Any, x_hat: Any, inv_sigma: Any, axes: Axes | None, means: tuple[Any, Any] | None = None) -> Any:
    """dx = J dx̂; without axes μ and σ were given and don't depend on x."""
    return dx_hat * inv_sigma if axes is None else normalize_backward(dx_hat, x_hat, inv_sigma, axes, means)


def _double_J(ddx: Any, dx_hat: Any, x_hat: Any, inv_sigma: Any, axes: Axes | None) -> tuple[Any, Any]:
    """ddx̂ = J ddx, and dx2, which is nothing without axes."""
    if axes is None:
        return ddx * inv_sigma, None
    return normalize_double_backward(ddx, dx_hat, x_hat, inv_sigma, axes)


class BatchNorm(_Norm):
    """Normalise every channel over the batch (Ioffe and Szegedy 2015): axes (N, H, W), or N for x (N, C).

    Training also moves `running_mean` and `running_var` (unbiased: divided by m − 1) towards those of the batch,
    running ← (1 − momentum)·running + momentum·batch. Inference uses them as μ and σ²: x̂ is then linear in x,
    dx = γ dy/σ, and dx2 is nothing.
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
        self._add_affine(affine, (channels,), init, rng)
        self.running_mean, self.running_var = np.zeros(channels, np.float32), np.ones(channels, np.float32)

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, C) or (N, H, W, C) → y. Raises ShapeError in training if a channel has a single value."""
        centred, rest, inv_sigma, axes = self._centre(x, train)
        y, x_hat = self._affine(centred, rest, inv_sigma)
        return y, (x_hat, inv_sigma, axes)

    def output(self, x: Any, train: bool = True, rng: Any = None) -> Any:
        """x → y. In inference, y = (γ/σ) x + (β − μ γ/σ): two operations, where `forward` needs four to give x̂."""
        if train or self.conditional:
            return super().output(x, train, rng)
        self._axes(x)
        xp = array_module(x)
        scale = 1 / xp.sqrt(self.running_var + self.eps)  # (C,)
        shift = -self.running_mean * scale
        if self.gamma is not None:
            scale, shift = self.gamma * scale, self.gamma * shift + self.beta
        scale, shift = scale.astype(x.dtype, copy=False), shift.astype(x.dtype, copy=False)
        y = xp.empty(x.shape, x.dtype)

        def work(rows: slice) -> None:
            y_rows = y[rows]
            xp.multiply(x[rows], scale, out=y_rows)
            y_rows += shift

        over_rows(work, y)
        return y

    def _centre(self, x: Any, train: bool) -> tuple[Any, Any, Any, Axes | None]:
        """x → centred, rest, 1/σ and the axes they depend on (None in inference). Training moves the running ones."""
        axes = self._axes(x)
        if not train:
            inv_sigma = 1 / array_module(x).sqrt(self.running_var[None] + self.eps)  # (1, C)
            mu, inv_sigma = (a.astype(x.dtype, copy=False) for a in (self.running_mean[None], inv_sigma))
            return x - mu, 0 * mu, inv_sigma, None
        m = prod(x.shape[:-1])
        if m < 2:
            raise ShapeError(f"{self!r} can't train on one value a channel, input {tuple(x.shape)}: use a larger batch")
        centred, rest, inv_sigma, mu, var = centre(x, axes, self.eps)
        self.running_mean += self.momentum * (mu.reshape(-1) - self.running_mean)
        self.running_var += self.momentum * (var.reshape(-1) * (m / (m - 1)) - self.running_var)
        return centred, rest, inv_sigma, axes

    def _axes(self, x: Any) -> Axes:
        self.check_array(x)
        if x.ndim not in (2, 4):
            raise ShapeError(f"{self!r} takes (N, C) or (N, H, W, C), got {tuple(x.shape)}")
        self.check_input(x, x.ndim, self.channels)
        return tuple(range(x.ndim - 1))


class ConditionalBatchNorm(BatchNorm):
    """Batch norm whose γ and β are rows chosen by the sample's label (de Vries et al. 2017; Miyato et al. 2018).

    y_n = γ[label_n] x̂_n + β[label_n], with gamma and beta (num_classes, C). Mean, variance and running statistics are
    those of the whole batch, whatever its labels are. Every formula above holds with the sample's own row for γ; the
    gradient of a row sums over the samples of its class, which is a product with the one-hot matrix E of the labels:

        dγ = Eᵀ S with S[n] = Σ_pixels dy x̂        dβ = Eᵀ Σ_pixels dy        dγ += Eᵀ Σ_pixels dy ddx̂ at second order
    """

    conditional = True

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
        super().__init__(channels, eps, momentum, affine=False)
        self.num_classes = num_classes
        self._add_affine(True, (num_classes, channels), init, rng)

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """(x (N, C) or (N, H, W, C), labels (N,)) → y. Raises ShapeError as `BatchNorm` and `Embedding` do."""
        self.check_several(x, 2)
        x, labels = x
        self._axes(x)
        check_labels(self, labels, self.num_classes, len(x))
        x_hat, rest, inv_sigma, axes = self._centre(x, train)
        standardize(x_hat, rest, inv_sigma)
        y = x_hat * self._rows(self.gamma, labels, x_hat)
        y += self._rows(self.beta, labels, x_hat)
        return y, (x_hat, inv_sigma, axes, labels)

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy → (dx, None)."""
        x_hat, inv_sigma, axes, labels = cache
        self.check_dy(dy, x_hat.shape, wrt)
        if wrt != "input":
            # forward: y = gamma[labels] * x_hat + beta[labels]
            self.dgamma += self._by_class(labels, dy, x_hat)
            self.dbeta += self._by_class(labels, dy)
        if wrt == "params":
            return None
        # forward: x_hat = (x - mu) / sigma
        return _J(dy * self._rows(self.gamma, labels, dy), x_hat, inv_sigma, axes), None

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """(ddx, None) → ddy = γ[labels] J ddx, and (dx2, None)."""
        x_hat, inv_sigma, axes, labels = cache
        self.check_several(ddx, 2, "ddx")
        self.check_ddx(ddx[0], x_hat.shape, dy, x_hat.shape)
        gamma = self._rows(self.gamma, labels, dy)
        # backward: dx = J(gamma[labels] * dy)
        ddx_hat, dx2 = _double_J(ddx[0], dy * gamma, x_hat, inv_sigma, axes)
        self.dgamma += self._by_class(labels, dy, ddx_hat)
        return gamma * ddx_hat, None if dx2 is None else (dx2, None)

    def _rows(self, table: Any, labels: Any, like: Any) -> Any:
        """The rows of gamma or beta for labels (N,), to be broadcast over pixels: (N, C) or (N, 1, 1, C)."""
        return (
            table[labels].reshape(len(labels), *(1,) * (like.ndim - 2), table.shape[-1]).astype(like.dtype, copy=False)
        )

    def _by_class(self, labels: Any, *factors: Any) -> Any:
        """Sum of the product of `factors` over the pixels and the samples of each class: → (num_classes, C)."""
        sums = sum_product(factors, tuple(range(1, factors[0].ndim - 1))).reshape(len(labels), -1)
        return one_hot(labels, self.num_classes, sums.dtype).T @ sums  # (num_classes, N) @ (N, C)


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
        self.check_array(x)
        if x.ndim == 4 and x.shape[1] * x.shape[2] < 2:
            raise ShapeError(f"{self!r} needs more than one pixel a picture, got {tuple(x.shape)}")
        return super().forward(x, train, rng)

    def _axes(self, x: Any) -> Axes:
        self.check_input(x, 4, self.channels)
        return (1, 2)
