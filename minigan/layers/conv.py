"""Convolution and transposed convolution: three kernels, six uses.

                    Conv2D                               ConvTranspose2D
    forward         conv2d(x, W)                         conv2d_input_grad(x, W)
    dx              conv2d_input_grad(dy, W)             conv2d(dy, W)
    dW              conv2d_weight_grad(x, dy)            conv2d_weight_grad(dy, x)

and in the second derivatives the same again, with ddx in place of x. A transposed convolution from C to K channels *is*
the input gradient of a convolution from K to C channels, and it holds that convolution's weight, (R, S, K, C).

kernels/convolution.py has the three kernels and derives them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.errors import ShapeError
from minigan.kernels.convolution import conv2d, conv2d_input_grad, conv2d_weight_grad
from minigan.kernels.elementwise import add_bias
from minigan.kernels.geometry import Pair, extent, output_size, pair
from minigan.kernels.reductions import sum_over
from minigan.layers.base import Layer
from minigan.layers.initializers import Initializer, glorot_uniform
from minigan.layers.reach import Window


class _Convolution(Layer):
    """The options and parameters of both layers."""

    def __init__(self, channels: Pair, kernel_size: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> None:
        self.in_channels, self.out_channels = channels
        self.kernel_size, self.stride = pair(kernel_size, 1), pair(stride, 1)
        self.padding, self.dilation = pair(padding, 0), pair(dilation, 1)
        if not isinstance(groups, (int, np.integer)) or groups < 1 or any(n % groups for n in channels):
            both = "in_channels {} and out_channels {}".format(*channels)
            raise ShapeError(f"groups is {groups}: it must divide {both}")
        self.groups = int(groups)

    def _add_weights(self, C: int, K: int, bias: bool, init: Initializer | None, rng: Any) -> None:
        """Make W (R, S, C/groups, K) of a convolution from C to K channels, and b (out_channels,)."""
        (R, S), G, self.bias = self.kernel_size, self.groups, bias
        fan_in, fan_out = R * S * self.in_channels // G, R * S * self.out_channels // G
        W = (init or glorot_uniform())(rng or np.random.default_rng(), (R, S, C // G, K), fan_in, fan_out)
        self.add_parameters(W=W, b=np.zeros(self.out_channels, np.float32) if bias else None)

    @property
    def _geometry(self) -> dict[str, Any]:
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}

    def shapes(self, cache: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(N, H, W, C), (N, OH, OW, K)."""
        return cache.shape, (len(cache), *self._y_size(cache), self.out_channels)


class Conv2D(_Convolution):
    """y = conv2d(x, W) + b, for x (N, H, W, C), W (R, S, C/groups, K), b (K,) → y (N, OH, OW, K).

        OH = ⌊(H + 2·padding − dilation·(R − 1) − 1)/stride⌋ + 1, and likewise OW

    First order, by the adjoints of a map linear in x and in W:

        dx = conv2d_input_grad(dy, W)     dW = conv2d_weight_grad(x, dy)     db = Σ_{n, i, j} dy

    Second order: dx is linear in dy and in W, and x does not occur in it. With v = ddx = ∂P/∂(dx),
    P changes by ⟨v, conv2d_input_grad(δdy, W)⟩ = ⟨conv2d(v, W), δdy⟩ and likewise in W, so

        ddy = conv2d(v, W)                dW += conv2d_weight_grad(v, dy)    dx2 is None

    `kernel_size`, `stride`, `padding` and `dilation`, the distance between the pixels of a window, are numbers or pairs
    (height, width). The channels are cut into `groups` parts, and part g of y is a convolution of part g of x alone.
    Raises ShapeError for sizes that are no such numbers, and if `groups` doesn't divide both numbers of channels.
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
        dilation: int | Pair = 1,
        groups: int = 1,
        init: Initializer | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__((in_channels, out_channels), kernel_size, stride, padding, dilation, groups)
        self._add_weights(in_channels, out_channels, bias, init, rng)

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, H, W, C) → y (N, OH, OW, K). Raises ShapeError if the window is larger than the padded picture."""
        self.check_input(x, 4, self.in_channels)
        if min(self._y_size(x)) < 1:
            raise ShapeError(f"{self!r}: the kernel is larger than the padded input {tuple(x.shape)}")
        y = conv2d(x, self.W, **self._geometry)
        if self.b is not None:
            add_bias(y, self.b)
        return y, x

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy (N, OH, OW, K) → dx (N, H, W, C)."""
        x = cache
        # forward: y = conv2d(x, W) + b
        return conv2d_input_grad(dy, self.W, x.shape[1:3], **self._geometry)

    def backward_params(self, dy: Any, cache: Any) -> None:
        """Add dW (R, S, C/groups, K) and db (K,)."""
        x = cache
        # forward: y = conv2d(x, W) + b
        if self.b is not None:
            self.db += sum_over((dy,), axes=(0, 1, 2)).reshape(-1)
        self.dW += conv2d_weight_grad(x, dy, self.kernel_size, **self._geometry)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (N, H, W, C) → ddy (N, OH, OW, K); dx2 is None."""
        self.check_second(ddx, dy, cache)
        # backward: dx = conv2d_input_grad(dy, W)
        self.dW += conv2d_weight_grad(ddx, dy, self.kernel_size, **self._geometry)
        return conv2d(ddx, self.W, **self._geometry), None

    def macs(self, x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> int:
        """Every weight is used once for each pixel of y."""
        return int(np.prod(y_shape[:-1])) * self.W.size

    def reach(self) -> Window:
        """Its own window, with the pixels between its places."""
        return Window(extent(self.kernel_size, self.dilation), self.stride, self.padding)

    def _y_size(self, x: Any) -> Pair:
        return output_size(x.shape[1:3], self.kernel_size, self.stride, self.padding, self.dilation)


class ConvTranspose2D(_Convolution):
    """y = conv2d_input_grad(x, W) + b, for x (N, H, W, C), W (R, S, K/groups, C), b (K,) → y (N, OH, OW, K).

        OH = (H − 1)·stride − 2·padding + dilation·(R − 1) + 1 + output_padding, and likewise OW

    This is the size of a picture that a convolution with this kernel would shrink to H. With stride > 1 several sizes
    shrink to the same H; `output_padding` says which is meant.

    First order: the adjoint of an adjoint is the map itself.

        dx = conv2d(dy, W)                dW = conv2d_weight_grad(dy, x)     db = Σ_{n, i, j} dy

    Second order, with v = ddx = ∂P/∂(dx):

        ddy = conv2d_input_grad(v, W)     dW += conv2d_weight_grad(dy, v)    dx2 is None

    The options are those of `Conv2D`; `output_padding`, smaller than the stride, is a number or a pair as well.
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
        dilation: int | Pair = 1,
        groups: int = 1,
        init: Initializer | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__((in_channels, out_channels), kernel_size, stride, padding, dilation, groups)
        self.output_padding = pair(output_padding, 0)
        if any(o >= s for o, s in zip(self.output_padding, self.stride, strict=True)):
            raise ShapeError(f"output_padding {output_padding} must be smaller than the stride {stride}")
        self._add_weights(out_channels, in_channels, bias, init, rng)

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, H, W, C) → y (N, OH, OW, K). Raises ShapeError if nothing is left of the picture after the padding."""
        self.check_input(x, 4, self.in_channels)
        if min(self._y_size(x)) < 1:
            raise ShapeError(f"{self!r}: nothing is left of an output for the input {tuple(x.shape)}")
        y = conv2d_input_grad(x, self.W, self._y_size(x), **self._geometry)
        if self.b is not None:
            add_bias(y, self.b)
        return y, x

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy (N, OH, OW, K) → dx (N, H, W, C)."""
        # forward: y = conv2d_input_grad(x, W) + b
        return conv2d(dy, self.W, **self._geometry)

    def backward_params(self, dy: Any, cache: Any) -> None:
        """Add dW (R, S, K/groups, C) and db (K,)."""
        x = cache
        # forward: y = conv2d_input_grad(x, W) + b
        if self.b is not None:
            self.db += sum_over((dy,), axes=(0, 1, 2)).reshape(-1)
        self.dW += conv2d_weight_grad(dy, x, self.kernel_size, **self._geometry)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (N, H, W, C) → ddy (N, OH, OW, K); dx2 is None."""
        self.check_second(ddx, dy, cache)
        # backward: dx = conv2d(dy, W)
        self.dW += conv2d_weight_grad(dy, ddx, self.kernel_size, **self._geometry)
        return conv2d_input_grad(ddx, self.W, dy.shape[1:3], **self._geometry), None

    def macs(self, x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> int:
        """Every weight is used once for each pixel of x."""
        return int(np.prod(x_shape[:-1])) * self.W.size

    def reach(self) -> Window:
        """The window of the convolution that it is the adjoint of, spread."""
        window = extent(self.kernel_size, self.dilation)
        return Window(window, self.stride, self.padding, spread=True, extra=self.output_padding)

    def _y_size(self, x: Any) -> Pair:
        window = extent(self.kernel_size, self.dilation)
        axes = zip(x.shape[1:3], window, self.stride, self.padding, self.output_padding, strict=True)
        return tuple((n - 1) * s + k - 2 * p + o for n, k, s, p, o in axes)
