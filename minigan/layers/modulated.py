"""Modulated convolution: a convolution whose weights depend on the sample, through a style (Karras et al. 2020)."""

from __future__ import annotations

from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from minigan.backend import array_module
from minigan.errors import ShapeError
from minigan.kernels.convolution import conv2d, conv2d_input_grad, conv2d_weight_grad
from minigan.kernels.elementwise import add_bias, by_rows
from minigan.kernels.reductions import sum_over
from minigan.layers.base import Layer, Wrt
from minigan.layers.initializers import Initializer, normal


class ModulatedCache(NamedTuple):
    """x (N, H, W, C), t (N, C), the shape of y, and with demodulation v (N, OH, OW, K) and d (N, K)."""

    x: Any
    t: Any
    y_shape: tuple[int, ...]
    v: Any
    d: Any


class ModulatedConv2D(Layer):
    """(x, s) → y: a convolution with the weight s_c W[i, j, c, k] for each sample, divided by its norm over (i, j, c).

    StyleGAN2 (Karras et al. 2020, equations 1 to 3). x (N, H, W, C), style s (N, C), W (R, R, C, K) → y (N, OH, OW, K).
    A kernel for each sample isn't needed. A convolution is linear, so a factor of an input channel of the weight may
    multiply that channel of x instead, and a factor of an output channel may multiply that channel of the result:

        t = g s            (N, C)         u = t x                 v = conv2d(u, W)        y = d v
        Q = Σ_{i, j} W²    (C, K)         q = t² Q + ε            d = q^−½                (N, K)

    t and d are the same at all pixels. Where x has independent channels of variance 1, y has variance 1: d removes the
    scale of s. Without `demodulate`, d = 1. g is the `gain`: 1 with demodulation, which would remove any other one, and
    1/√(R·R·C) without it, that of the equalized learning rate.

    With `up`, conv2d is the transposed convolution with stride 2 and no padding, so OH = 2H + R − 2; without it, the
    stride is 1, the padding R//2, and y has the size of x. With `bias`, b (K,) is added to y; db = Σ dy.

    First order. The forward formulas in reverse, with sums Σ over the pixels of a sample:

        dv = d dy          du = conv2d_input_grad(dv, W)          dx = t du
        dd = Σ dy v        dq = −½ d³ dd                          dt = Σ du x + 2 t (dq Qᵀ)        ds = g dt
        dW = conv2d_weight_grad(u, dv) + 2 W (t²)ᵀ dq

    ds has two parts: s_c multiplies channel c of the input, and it is part of the norm that divides all outputs.

    Second order. P depends on dx and ds, with ddx = a and dds = b. As dx and ds are the gradient of ⟨dy, y⟩, the sum
    ⟨a, dx⟩ + ⟨b, ds⟩ is Φ = ⟨dy, ẏ⟩, where ẏ is the derivative of y when (x, s) changes along (a, b). With ṫ = g b,

        u̇ = t a + ṫ x      v̇ = conv2d(u̇, W)      q̇ = 2 (t ṫ) Q      ḋ = −½ d³ q̇      ẏ = d v̇ + ḋ v

    So ddy = ẏ, and dx2, ds2 and dW are the gradients of Φ. Those with respect to v̇, u̇ and q̇ are dv, du and dq from
    above. Those with respect to v, u, x, d, q, t and s have the suffix 2:

        dv2 = ḋ dy         du2 = conv2d_input_grad(dv2, W)        dx2 = t du2 + ṫ du
        dd2 = Σ dy v̇ − 3/2 d² q̇ dd        dq2 = −½ d³ dd2
        dt2 = Σ (du2 x + du a) + 2 t (dq2 Qᵀ) + 2 ṫ (dq Qᵀ)       ds2 = g dt2
        dW += conv2d_weight_grad(u, dv2) + conv2d_weight_grad(u̇, dv) + 2 W ((t²)ᵀ dq2 + 2 (t ṫ)ᵀ dq)

    W is drawn from N(0, 1), or by `init`. Raises ShapeError unless `kernel_size` is an odd number.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        up: bool = False,
        demodulate: bool = True,
        bias: bool = False,
        *,
        eps: float = 1e-8,
        init: Initializer | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ShapeError(f"kernel_size is {kernel_size}: it must be odd, so that pictures keep their size")
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.up, self.demodulate, self.bias, self.eps = up, demodulate, bias, eps
        fan_in, fan_out = (kernel_size**2 * n for n in (in_channels, out_channels))
        self.gain = 1.0 if demodulate else 1 / sqrt(fan_in)
        shape = (kernel_size, kernel_size, in_channels, out_channels)
        W = (init or normal(1.0))(rng or np.random.default_rng(), shape, fan_in, fan_out)
        self.add_parameters(W=W, b=np.zeros(out_channels) if bias else None)

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, ModulatedCache]:
        """(x (N, H, W, C), s (N, C)) → y (N, OH, OW, K). Raises ShapeError for other shapes."""
        self.check_several(x, 2)
        x, s = x
        self.check_input(x, 4, self.in_channels)
        self.check_input(s, 2, self.in_channels)
        if len(s) != len(x):
            raise ShapeError(f"{self!r} takes one style for each of {len(x)} samples, got {len(s)}")
        t = x.dtype.type(self.gain) * s
        v = self._conv(_scaled(x, t))
        y, cache = v, ModulatedCache(x, t, v.shape, None, None)
        if self.demodulate:
            d = (t**2 @ self._Q(t) + t.dtype.type(self.eps)) ** -0.5  # (N, C) @ (C, K)
            y, cache = _scaled(v, d), cache._replace(v=v, d=d)
        if self.bias:
            add_bias(y, self.b)
        return y, cache

    def backward(self, dy: Any, cache: ModulatedCache, wrt: Wrt = "both") -> Any:
        """dy (N, OH, OW, K) → (dx (N, H, W, C), ds (N, C)); adds dW and db."""
        x, t, y_shape, v, d = cache
        self.check_dy(dy, y_shape, wrt)
        # forward: y = d v, with d = q^−½
        dv, dq = dy, None
        if self.demodulate:
            dv, dq = _scaled(dy, d), -0.5 * d**3 * _over_pixels(dy, v)
        if wrt != "input":
            # forward: v = conv2d(t x, W), q = t² Q + ε
            self._add_conv_gradient(_scaled(x, t), dv)
            if self.demodulate:
                self._add_norm_gradient((t**2).T @ dq)  # (C, N) @ (N, K)
            if self.bias:
                self.db += sum_over((dy,), (0, 1, 2))[0, 0, 0]  # (1, 1, 1, K) → (K,)
        if wrt == "params":
            return None
        # forward: v = conv2d(u, W), u = t x, q = t² Q + ε
        du = self._conv_input_grad(dv, x.shape[1:3])
        dt = _over_pixels(du, x)
        if self.demodulate:
            dt += 2 * t * (dq @ self._Q(t).T)  # (N, K) @ (K, C)
        # forward: t = g s
        return _scaled(du, t), x.dtype.type(self.gain) * dt

    def double_backward(self, ddx: Any, dy: Any, cache: ModulatedCache) -> tuple[Any, Any]:
        """(ddx (N, H, W, C), dds (N, C)), either of which may be None for zero → ddy, and (dx2, ds2); adds dW."""
        self.check_second(ddx, dy, cache)
        (a, b), (x, t, _, v, d) = ddx, cache
        xp, g = array_module(x), x.dtype.type(self.gain)
        t_dot = xp.zeros_like(t) if b is None else g * b
        u_dot = _scaled(x, t_dot) if a is None else _scaled_sum(a, t, x, t_dot)
        v_dot = self._conv(u_dot)
        # backward: dv = d dy, du = conv2d_input_grad(dv, W)
        dv = _scaled(dy, d) if self.demodulate else dy
        du = self._conv_input_grad(dv, x.shape[1:3])
        self._add_conv_gradient(u_dot, dv)
        dt2 = xp.zeros_like(t) if a is None else _over_pixels(du, a)
        if not self.demodulate:  # y = v, which is linear in x and in s: no further terms
            return v_dot, (_scaled(du, t_dot), g * dt2)

        Q = self._Q(t)
        q_dot = 2 * (t * t_dot) @ Q  # (N, C) @ (C, K)
        d_dot = -0.5 * d**3 * q_dot
        ddy = _scaled_sum(v_dot, d, v, d_dot)
        # backward: dv = d dy, dx = t du, dt = Σ du x + 2 t (dq Qᵀ), dq = −½ d³ dd, dd = Σ dy v
        dv2 = _scaled(dy, d_dot)
        du2 = self._conv_input_grad(dv2, x.shape[1:3])
        dd = _over_pixels(dy, v)
        dd2 = _over_pixels(dy, v_dot) - 1.5 * d**2 * q_dot * dd
        dq, dq2 = -0.5 * d**3 * dd, -0.5 * d**3 * dd2
        dt2 += _over_pixels(du2, x) + 2 * t * (dq2 @ Q.T) + 2 * t_dot * (dq @ Q.T)  # (N, K) @ (K, C)
        self._add_conv_gradient(_scaled(x, t), dv2)
        self._add_norm_gradient((t**2).T @ dq2 + 2 * (t * t_dot).T @ dq)  # (C, N) @ (N, K)
        return ddy, (_scaled_sum(du2, t, du, t_dot), g * dt2)

    def shapes(self, cache: ModulatedCache) -> tuple[Any, Any]:
        """((N, H, W, C), (N, C)) and (N, OH, OW, K)."""
        return (cache.x.shape, cache.t.shape), cache.y_shape

    def macs(self, x_shape: Any, y_shape: tuple[int, ...]) -> int:
        """Every weight is used once for each pixel of y, or of x with `up`."""
        return int(np.prod((x_shape[0] if self.up else y_shape)[:-1])) * self.W.size

    def _Q(self, like: Any) -> Any:
        """Σ_{i, j} W² (C, K), in the dtype of `like`."""
        return (self.W**2).sum(axis=(0, 1)).astype(like.dtype, copy=False)

    # The convolution, its adjoint and its weight gradient; with `up` the first two exchange their places, because
    # conv2d_input_grad with W as (R, R, K, C) is the transposed convolution

    def _conv(self, u: Any) -> Any:
        if self.up:
            H, W = ((n - 1) * 2 + self.kernel_size for n in u.shape[1:3])
            return conv2d_input_grad(u, self.W.swapaxes(2, 3), (H, W), stride=(2, 2))
        return conv2d(u, self.W, padding=self._padding)

    def _conv_input_grad(self, dv: Any, size: Any) -> Any:
        if self.up:
            return conv2d(dv, self.W.swapaxes(2, 3), stride=(2, 2))
        return conv2d_input_grad(dv, self.W, size, padding=self._padding)

    def _add_conv_gradient(self, u: Any, dv: Any) -> None:
        kernel = (self.kernel_size, self.kernel_size)
        if self.up:
            self.dW += conv2d_weight_grad(dv, u, kernel, stride=(2, 2)).swapaxes(2, 3)
        else:
            self.dW += conv2d_weight_grad(u, dv, kernel, padding=self._padding)

    def _add_norm_gradient(self, dQ: Any) -> None:
        # forward: Q = Σ_{i, j} W²
        self.dW += 2 * self.W * dQ

    @property
    def _padding(self) -> tuple[int, int]:
        return self.kernel_size // 2, self.kernel_size // 2


def _scaled(x: Any, factors: Any) -> Any:
    """x (N, H, W, C) times a factor (N, C) for each channel of each sample."""
    return by_rows(array_module(x).multiply, x, factors[:, None, None])


def _scaled_sum(x: Any, x_factors: Any, y: Any, y_factors: Any) -> Any:
    """x times its factors plus y times its factors, as in `_scaled`."""

    def f(x: Any, s: Any, y: Any, t: Any, out: Any = None) -> Any:
        result = array_module(x).multiply(x, s, out=out)
        result += y * t
        return result

    return by_rows(f, x, x_factors[:, None, None], y, y_factors[:, None, None])


def _over_pixels(x: Any, y: Any) -> Any:
    """Σ x y over the pixels of each sample: (N, H, W, C) → (N, C)."""
    return sum_over((x, y), (1, 2))[:, 0, 0]
