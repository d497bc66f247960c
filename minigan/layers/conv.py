"""Convolution and transposed convolution: three kernels, six uses.

                    Conv2D                               ConvTranspose2D
    forward         conv2d(x, W)                         conv2d_input_grad(x, W)
    input gradient  conv2d_input_grad(dy, W)             conv2d(dy, W)
    weight gradient conv2d_weight_grad(x, dy)            conv2d_weight_grad(dy, x)

and in the second derivatives the same again, with ddx in place of x. A transposed convolution from C to K channels *is*
the input gradient of a convolution from K to C channels, and it holds that convolution's weight, (R, S, K, C).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.errors import ShapeError
from minigan.kernels.reductions import sum_over
from minigan.layers.base import Layer, Wrt
from minigan.layers.convolve import conv2d, conv2d_input_grad, conv2d_weight_grad
from minigan.layers.initializers import Initializer, glorot_uniform
from minigan.layers.kernels import Pair, output_size
from minigan.layers.reach import Window
from minigan.threads.partition import over_rows


class Conv2D(Layer):
    """y = conv2d(x, W) + b, for x (N, H, W, C), W (R, S, C, K), b (K,) → y (N, OH, OW, K), OH = ⌊(H + 2p − R)/s⌋ + 1.

    First order, by the adjoints of a map linear in x and in W:

        dx = conv2d_input_grad(dy, W)     dW = conv2d_weight_grad(x, dy)     db = Σ_{n, i, j} dy

    Second order: dx is linear in dy and in W, and x does not occur in it. With v = ddx = ∂P/∂(dx),
    P changes by ⟨v, conv2d_input_grad(δdy, W)⟩ = ⟨conv2d(v, W), δdy⟩ and likewise in W, so

        ddy = conv2d(v, W)                dW += conv2d_weight_grad(v, dy)    dx2 is nothing

    `kernel_size`, `stride` and `padding` are numbers or pairs (height, width).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        bias: bool = True,
        *,
        init: Initializer | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.in_channels, self.out_channels, self.bias = in_channels, out_channels, bias
        self.kernel_size, self.stride, self.padding = pair(kernel_size, 1), pair(stride, 1), pair(padding, 0)
        area = self.kernel_size[0] * self.kernel_size[1]
        shape = (*self.kernel_size, in_channels, out_channels)
        W = (init or glorot_uniform())(rng or np.random.default_rng(), shape, area * in_channels, area * out_channels)
        self.add_parameters(W=W, b=np.zeros(out_channels, np.float32) if bias else None)

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, H, W, C) → y (N, OH, OW, K). Raises ShapeError if the kernel is larger than the padded picture."""
        self.check_input(x, 4, self.in_channels)
        if min(self._out_size(x)) < 1:
            raise ShapeError(f"{self!r}: the kernel is larger than the padded input {tuple(x.shape)}")
        y = conv2d(x, self.W, self.stride, self.padding)
        if self.b is not None:
            add_bias(y, self.b)
        return y, x

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy (N, OH, OW, K) → dx (N, H, W, C)."""
        x = cache
        self.check_dy(dy, (x.shape[0], *self._out_size(x), self.out_channels), wrt)
        if wrt != "input":
            # forward: add_bias(y, b)
            if self.b is not None:
                self.db += sum_over((dy,), axes=(0, 1, 2)).reshape(-1)
            # forward: y = conv2d(x, W)
            self.dW += conv2d_weight_grad(x, dy, self.kernel_size, self.stride, self.padding)
        if wrt == "params":
            return None
        return conv2d_input_grad(dy, self.W, x.shape[1:3], self.stride, self.padding)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (N, H, W, C) → ddy (N, OH, OW, K); dx2 is nothing."""
        x = cache
        self.check_ddx(ddx, x.shape, dy, (x.shape[0], *self._out_size(x), self.out_channels))
        # backward: dx = conv2d_input_grad(dy, W)
        self.dW += conv2d_weight_grad(ddx, dy, self.kernel_size, self.stride, self.padding)
        return conv2d(ddx, self.W, self.stride, self.padding), None

    def macs(self, x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> int:
        """Every output sums R·S·C products."""
        return int(np.prod(y_shape)) * self.kernel_size[0] * self.kernel_size[1] * self.in_channels

    def reach(self) -> Window:
        """Its own window."""
        return Window(self.kernel_size, self.stride, self.padding)

    def _out_size(self, x: Any) -> Pair:
        return output_size(x.shape[1:3], self.kernel_size, self.stride, self.padding)


class ConvTranspose2D(Layer):
    """y = conv2d_input_grad(x, W) + b, for x (N, H, W, C), W (R, S, K, C), b (K,) → y (N, OH, OW, K).

    OH = (H − 1)·stride − 2·padding + R + output_padding: the size of a picture that a convolution with this kernel
    would shrink to H. With stride > 1 several sizes shrink to the same H; `output_padding` says which is meant.

    First order: the adjoint of an adjoint is the map itself.

        dx = conv2d(dy, W)                dW = conv2d_weight_grad(dy, x)     db = Σ_{n, i, j} dy

    Second order, with v = ddx = ∂P/∂(dx):

        ddy = conv2d_input_grad(v, W)     dW += conv2d_weight_grad(dy, v)    dx2 is nothing

    `kernel_size`, `stride`, `padding` and `output_padding` are numbers or pairs (height, width).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        output_padding: int | Pair = 0,
        bias: bool = True,
        *,
        init: Initializer | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.in_channels, self.out_channels, self.bias = in_channels, out_channels, bias
        self.kernel_size, self.stride = pair(kernel_size, 1), pair(stride, 1)
        self.padding, self.output_padding = pair(padding, 0), pair(output_padding, 0)
        if any(o >= s for o, s in zip(self.output_padding, self.stride, strict=True)):
            raise ShapeError(f"output_padding {output_padding} must be smaller than the stride {stride}")
        area = self.kernel_size[0] * self.kernel_size[1]
        shape = (*self.kernel_size, out_channels, in_channels)
        W = (init or glorot_uniform())(rng or np.random.default_rng(), shape, area * in_channels, area * out_channels)
        self.add_parameters(W=W, b=np.zeros(out_channels, np.float32) if bias else None)

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, H, W, C) → y (N, OH, OW, K). Raises ShapeError if nothing is left of the picture after the padding."""
        self.check_input(x, 4, self.in_channels)
        if min(self._out_size(x)) < 1:
            raise ShapeError(f"{self!r}: nothing is left of an output for the input {tuple(x.shape)}")
        y = conv2d_input_grad(x, self.W, self._out_size(x), self.stride, self.padding)
        if self.b is not None:
            add_bias(y, self.b)
        return y, x

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy (N, OH, OW, K) → dx (N, H, W, C)."""
        x = cache
        self.check_dy(dy, (x.shape[0], *self._out_size(x), self.out_channels), wrt)
        if wrt != "input":
            # forward: add_bias(y, b)
            if self.b is not None:
                self.db += sum_over((dy,), axes=(0, 1, 2)).reshape(-1)
            # forward: y = conv2d_input_grad(x, W)
            self.dW += conv2d_weight_grad(dy, x, self.kernel_size, self.stride, self.padding)
        return conv2d(dy, self.W, self.stride, self.padding) if wrt != "params" else None

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (N, H, W, C) → ddy (N, OH, OW, K); dx2 is nothing."""
        x = cache
        self.check_ddx(ddx, x.shape, dy, (x.shape[0], *self._out_size(x), self.out_channels))
        # backward: dx = conv2d(dy, W)
        self.dW += conv2d_weight_grad(dy, ddx, self.kernel_size, self.stride, self.padding)
        return conv2d_input_grad(ddx, self.W, dy.shape[1:3], self.stride, self.padding), None

    def macs(self, x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> int:
        """Every input is multiplied with R·S·K weights."""
        return int(np.prod(x_shape)) * self.kernel_size[0] * self.kernel_size[1] * self.out_channels

    def reach(self) -> Window:
        """The window of the convolution that it is the adjoint of, spread."""
        return Window(self.kernel_size, self.stride, self.padding, spread=True, extra=self.output_padding)

    def _out_size(self, x: Any) -> Pair:
        geometry = zip(x.shape[1:3], self.kernel_size, self.stride, self.padding, self.output_padding, strict=True)
        return tuple((n - 1) * s - 2 * p + k + o for n, k, s, p, o in geometry)


def add_bias(y: Any, b: Any) -> None:
    """y (N, OH, OW, K) += b (K,)."""
    b = b.astype(y.dtype, copy=False)

    def work(rows: slice) -> None:
        y_rows = y[rows]
        y_rows += b

    over_rows(work, y)


def pair(value: int | Pair, least: int) -> Pair:
    """Read a number or a pair (height, width) of numbers that are at least `least`."""
    both = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(both) != 2 or any(not isinstance(v, (int, np.integer)) or v < least for v in both):
        raise ShapeError(f"expected an integer of at least {least}, or a pair of them, got {value!r}")
    return int(both[0]), int(both[1])
