"""Fewer and more pixels: average pooling, the sum over a picture, and nearest-neighbour upsampling.

Two maps, each the adjoint of the other, are all that pooling needs. A window of R×S pixels is moved over the picture
by `stride`, and

    window_sum(x)     → y[n, i, j, c] = Σ_{r, s} x[n, i·stride + r − padding, j·stride + s − padding, c]
    window_spread(dy) → dx            adds dy[n, i, j, c] to every pixel of window (i, j)

                AvgPool2D                    Upsample
    forward     window_sum(x)/(R·S)          window_spread(x), windows side by side
    dx          window_spread(dy)/(R·S)      window_sum(dy)
    ddy         window_sum(ddx)/(R·S)        window_spread(ddx)

All layers here are linear in x and have no parameters: x doesn't occur in dx, so dx2 is nothing, and ddy is the forward
of ddx. Letters: x (N, H, W, C), y (N, OH, OW, C).
"""

from __future__ import annotations

from typing import Any

from minigan.backend import array_module
from minigan.errors import ShapeError
from minigan.layers.base import Layer, Wrt
from minigan.layers.conv import pair
from minigan.layers.kernels import Pair, output_size, patches, scatter_patches, unpadded
from minigan.layers.normalize import sum_product


class AvgPool2D(Layer):
    """y = window_sum(x)/(R·S): the mean over windows of R×S pixels, for x (N, H, W, C) → y (N, OH, OW, C).

    OH = ⌊(H + 2·padding − R)/stride⌋ + 1, and likewise OW; pixels left over at the end are in no window. `stride` is
    the kernel's size unless it is given. The zeros of the padding count in the mean, as is PyTorch's default.
    `kernel_size`, `stride` and `padding` are numbers or pairs (height, width).
    Raises ShapeError if the padding is more than half of the kernel: a window could lie in it altogether.
    """

    def __init__(self, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0) -> None:
        self.kernel_size, self.padding = pair(kernel_size, 1), pair(padding, 0)
        self.stride = self.kernel_size if stride is None else pair(stride, 1)
        if any(2 * p > k for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ShapeError(f"padding {padding} is more than half of the kernel {kernel_size}: use less")

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, H, W, C) → y (N, OH, OW, C). Raises ShapeError if the kernel is larger than the padded picture."""
        self.check_input(x, 4, None)
        if min(self._y_shape(x.shape)[1:3]) < 1:
            raise ShapeError(f"{self!r}: the kernel is larger than the padded input {tuple(x.shape)}")
        return self._mean(x), x.shape

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy (N, OH, OW, C) → dx (N, H, W, C)."""
        self.check_dy(dy, self._y_shape(cache), wrt)
        if wrt == "params":
            return None
        # forward: y = window_sum(x) / area
        return window_spread(dy / self._area(), cache[1:3], self.kernel_size, self.stride, self.padding)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (N, H, W, C) → ddy (N, OH, OW, C), its mean; dx2 is nothing."""
        self.check_ddx(ddx, cache, dy, self._y_shape(cache))
        return self._mean(ddx), None

    def _mean(self, x: Any) -> Any:
        y = window_sum(x, self.kernel_size, self.stride, self.padding)
        y /= self._area()
        return y

    def _area(self) -> int:
        return self.kernel_size[0] * self.kernel_size[1]

    def _y_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        N, H, W, C = x_shape
        return (N, *output_size((H, W), self.kernel_size, self.stride, self.padding), C)


class Upsample(Layer):
    """Every pixel becomes a block of F×F equal ones (nearest neighbour), for x (N, H, W, C) → y (N, F·H, F·W, C).

        y[n, i, j, c] = x[n, ⌊i/F⌋, ⌊j/F⌋, c]        dx = the sum of dy over each block

    `scale_factor` is the number F or a pair (height, width).
    """

    def __init__(self, scale_factor: int | Pair = 2) -> None:
        self.scale_factor = scale_factor
        self._block = pair(scale_factor, 1)

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, H, W, C) → y (N, F·H, F·W, C)."""
        self.check_input(x, 4, None)
        return self._repeat(x), x.shape

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy (N, F·H, F·W, C) → dx (N, H, W, C)."""
        self.check_dy(dy, self._y_shape(cache), wrt)
        # forward: y = window_spread(x), windows side by side
        return window_sum(dy, self._block, stride=self._block) if wrt != "params" else None

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (N, H, W, C) → ddy (N, F·H, F·W, C), upsampled; dx2 is nothing."""
        self.check_ddx(ddx, cache, dy, self._y_shape(cache))
        return self._repeat(ddx), None

    def _repeat(self, x: Any) -> Any:
        return window_spread(x, self._y_shape(x.shape)[1:3], self._block, stride=self._block)

    def _y_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        (N, H, W, C), (fh, fw) = x_shape, self._block
        return (N, fh * H, fw * W, C)


class GlobalSumPool(Layer):
    """y[n, c] = Σ_{i, j} x[n, i, j, c]: the sum over a picture's pixels, for x (N, H, W, C) → y (N, C).

    Every pixel has its part in the sum, so dx[n, i, j, c] = dy[n, c].
    """

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, H, W, C) → y (N, C)."""
        self.check_input(x, 4, None)
        return _sum_of_pixels(x), x.shape

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy (N, C) → dx (N, H, W, C)."""
        self.check_dy(dy, (cache[0], cache[3]), wrt)
        if wrt == "params":
            return None
        # forward: y = Σ_{i, j} x
        dx = array_module(dy).empty(cache, dy.dtype)
        dx[...] = dy[:, None, None, :]  # (N, C) → (N, H, W, C)
        return dx

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (N, H, W, C) → ddy (N, C), its sum; dx2 is nothing."""
        self.check_ddx(ddx, cache, dy, (cache[0], cache[3]))
        return _sum_of_pixels(ddx), None


def _sum_of_pixels(x: Any) -> Any:
    return sum_product((x,), axes=(1, 2)).reshape(x.shape[0], x.shape[3])


def window_sum(x: Any, kernel: Pair, stride: Pair, padding: Pair = (0, 0)) -> Any:
    """The sum of every window: x (N, H, W, C) → y (N, OH, OW, C).

    The sum goes over the R·S positions inside of a window, for all windows at a time.
    """
    xp = array_module(x)
    OH, OW = output_size(x.shape[1:3], kernel, stride, padding)
    if any(padding):
        x = xp.pad(x, ((0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0)))
    windows = patches(x, (OH, OW), kernel, stride)  # (N, OH, OW, R, S, C), a view
    y = xp.zeros((x.shape[0], OH, OW, x.shape[3]), x.dtype)
    for r in range(kernel[0]):
        for s in range(kernel[1]):
            y += windows[:, :, :, r, s]
    return y


def window_spread(dy: Any, size: Pair, kernel: Pair, stride: Pair, padding: Pair = (0, 0)) -> Any:
    """Adjoint of `window_sum`: dy (N, OH, OW, C) → dx (N, H, W, C) for `size` = (H, W)."""
    xp = array_module(dy)
    (N, OH, OW, C), (R, S) = dy.shape, kernel
    windows = xp.broadcast_to(dy[:, :, :, None, None, :], (N, OH, OW, R, S, C))
    dx_padded = xp.empty((N, size[0] + 2 * padding[0], size[1] + 2 * padding[1], C), dy.dtype)
    scatter_patches(windows, dx_padded, stride)
    return xp.ascontiguousarray(unpadded(dx_padded, padding))
