"""Fewer and more pixels: average and max pooling, the sum over a picture, and nearest-neighbour upsampling.

Averages and sums need two maps, each the adjoint of the other. A window of R×S pixels is moved over the picture by
`stride`, and

    window_sum(x)     → y[n, i, j, c] = Σ_{r, s} x[n, i·stride + r − padding, j·stride + s − padding, c]
    window_spread(dy) → dx            adds dy[n, i, j, c] to every pixel of window (i, j)

                AvgPool2D                    Upsample
    forward     window_sum(x)/(R·S)          window_spread(x), windows side by side
    dx          window_spread(dy)/(R·S)      window_sum(dy)
    ddy         window_sum(ddx)/(R·S)        window_spread(ddx)

These layers are linear in x: x doesn't occur in dx, so dx2 is nothing, and ddy is the forward of ddx. Max pooling is
linear as long as the same pixels win. No layer here has parameters. Letters: x (N, H, W, C), y (N, OH, OW, C).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minigan.backend import array_module
from minigan.errors import ShapeError
from minigan.kernels.reductions import sum_over
from minigan.layers.base import Layer, Wrt
from minigan.layers.conv import pair
from minigan.layers.kernels import Pair, output_size, patches, scatter_patches, unpadded
from minigan.layers.reach import Window


class _Windows(Layer):
    """What pooling layers with windows have in common: `kernel_size`, `stride` and `padding`."""

    def __init__(self, kernel_size: int | Pair, stride: int | Pair | None, padding: int | Pair) -> None:
        self.kernel_size, self.padding = pair(kernel_size, 1), pair(padding, 0)
        self.stride = self.kernel_size if stride is None else pair(stride, 1)
        if any(2 * p > k for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ShapeError(f"padding {padding} is more than half of the kernel {kernel_size}: use less")

    def reach(self) -> Window:
        """Its own window."""
        return Window(self.kernel_size, self.stride, self.padding)

    def _check_x(self, x: Any) -> None:
        self.check_input(x, 4, None)
        if min(self._y_shape(x.shape)[1:3]) < 1:
            raise ShapeError(f"{self!r}: the kernel is larger than the padded input {tuple(x.shape)}")

    def _y_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        N, H, W, C = x_shape
        return (N, *output_size((H, W), self.kernel_size, self.stride, self.padding), C)


class AvgPool2D(_Windows):
    """y = window_sum(x)/area: the mean over windows of R×S pixels, for x (N, H, W, C) → y (N, OH, OW, C).

    OH = ⌊(H + 2·padding − R)/stride⌋ + 1, and likewise OW; pixels left over at the end are in no window. `stride` is
    the kernel's size unless it is given. The zeros of the padding count in the mean, as is PyTorch's default: the area
    is R·S everywhere. With `count_include_pad=False` the area of window (i, j) is the number of pixels in it,

        area[i, j] = rows[i]·columns[j]      rows[i] = min(i·stride − padding + R, H) − max(i·stride − padding, 0)

    which depends on no number of x, so y is still linear in x, and with D = 1/area, a diagonal matrix,

        y = D window_sum(x)        dx = window_spread(D dy)        ddy = D window_sum(ddx)

    `kernel_size`, `stride` and `padding` are numbers or pairs (height, width).
    Raises ShapeError if the padding is more than half of the kernel: a window could lie in it altogether.
    """

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding)
        self.count_include_pad = count_include_pad

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, H, W, C) → y (N, OH, OW, C). Raises ShapeError if the kernel is larger than the padded picture."""
        self._check_x(x)
        return self._mean(x), x.shape

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy (N, OH, OW, C) → dx (N, H, W, C)."""
        self.check_dy(dy, self._y_shape(cache), wrt)
        if wrt == "params":
            return None
        # forward: y = window_sum(x) / area
        return window_spread(dy / self._area(dy, cache), cache[1:3], self.kernel_size, self.stride, self.padding)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (N, H, W, C) → ddy (N, OH, OW, C), its mean; dx2 is nothing."""
        self.check_ddx(ddx, cache, dy, self._y_shape(cache))
        return self._mean(ddx), None

    def _mean(self, x: Any) -> Any:
        y = window_sum(x, self.kernel_size, self.stride, self.padding)
        y /= self._area(x, x.shape)
        return y

    def _area(self, like: Any, x_shape: tuple[int, ...]) -> Any:
        """R·S, or the pixels of each window, (OH, OW, 1), as numbers of the dtype of `like`."""
        if self.count_include_pad or not any(self.padding):
            return self.kernel_size[0] * self.kernel_size[1]
        xp, sides = array_module(like), []
        geometry = zip(
            x_shape[1:3], self._y_shape(x_shape)[1:3], self.kernel_size, self.stride, self.padding, strict=True
        )
        for size, out, k, s, p in geometry:
            start = xp.arange(out) * s - p
            sides.append((xp.minimum(start + k, size) - xp.maximum(start, 0)).astype(like.dtype))
        rows, columns = sides
        return rows[:, None, None] * columns[:, None]  # (OH, 1, 1) · (OW, 1) → (OH, OW, 1)


class MaxPool2D(_Windows):
    """y = the largest of every window of R×S pixels, channel by channel, for x (N, H, W, C) → y (N, OH, OW, C).

    Each y is a copy of the pixel that won, at place w = argmax of its window, and gradients travel the same way:

        y[o] = x[w(o)]        dx adds dy[o] to pixel w(o)        ddy[o] = v[w(o)], v = ddx        dx2 is nothing

    because w doesn't move with x, except where two pixels of a window are equal. There the first one wins, from the top
    left, row by row, as in PyTorch. Outside of the picture there is −∞. The sizes are those of `AvgPool2D`.
    """

    def __init__(self, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0) -> None:
        super().__init__(kernel_size, stride, padding)

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, H, W, C) → y (N, OH, OW, C). Raises ShapeError if the kernel is larger than the padded picture."""
        self._check_x(x)
        xp, y_shape = array_module(x), self._y_shape(x.shape)
        y = xp.full(y_shape, -xp.inf, x.dtype)
        winner = xp.zeros(y_shape, "uint8" if self.kernel_size[0] * self.kernel_size[1] <= 256 else "int32")
        for place, pixels in self._places(self._framed(x, -xp.inf)):
            winner[...] = xp.where(pixels > y, place, winner)  # a later pixel must be larger, not as large
            xp.maximum(y, pixels, out=y)
        return y, (winner, x.shape)

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy (N, OH, OW, C) → dx (N, H, W, C)."""
        winner, x_shape = cache
        self.check_dy(dy, winner.shape, wrt)
        if wrt == "params":
            return None
        xp = array_module(dy)
        dx = self._framed(xp.zeros(x_shape, dy.dtype), 0)
        # forward: y = the pixel at place `winner`
        for place, pixels in self._places(dx):
            pixels += dy * (winner == place)
        return xp.ascontiguousarray(unpadded(dx, self.padding))

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (N, H, W, C) → ddy (N, OH, OW, C): what lies where the largest was; dx2 is nothing."""
        winner, x_shape = cache
        self.check_ddx(ddx, x_shape, dy, winner.shape)
        ddy = array_module(ddx).zeros(winner.shape, ddx.dtype)
        # backward: dx[winner] += dy
        for place, pixels in self._places(self._framed(ddx, 0)):
            ddy += pixels * (winner == place)
        return ddy, None

    def _framed(self, x: Any, value: float) -> Any:
        """A copy of x inside a frame of `padding` pixels of that value."""
        N, H, W, C = x.shape
        framed = array_module(x).full((N, H + 2 * self.padding[0], W + 2 * self.padding[1], C), value, x.dtype)
        unpadded(framed, self.padding)[...] = x
        return framed

    def _places(self, x_framed: Any) -> Iterator[tuple[int, Any]]:
        """Yield `(r·S + s, the pixels at (r, s) of all windows: a view (N, OH, OW, C))`."""
        size = output_size(x_framed.shape[1:3], self.kernel_size, self.stride, (0, 0))
        windows = patches(x_framed, size, self.kernel_size, self.stride)  # (N, OH, OW, R, S, C)
        R, S = self.kernel_size
        for r in range(R):
            for s in range(S):
                yield r * S + s, windows[:, :, :, r, s]


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

    def reach(self) -> Window:
        """Blocks side by side."""
        return Window(self._block, self._block, spread=True)

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
    return sum_over((x,), axes=(1, 2)).reshape(x.shape[0], x.shape[3])


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
