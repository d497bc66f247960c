"""Fewer and more pixels: average and max pooling, the sum over a picture, and nearest-neighbor upsampling.

Averages and sums need two kernels, each the adjoint of the other (kernels/windows.py):

                AvgPool2D                    Upsample
    forward     window_sum(x)/(R·S)          window_spread(x), windows side by side
    dx          window_spread(dy)/(R·S)      window_sum(dy)
    ddy         window_sum(ddx)/(R·S)        window_spread(ddx)

These layers are linear in x: x doesn't occur in dx, so dx2 is None, and ddy is the forward of ddx. Max pooling is
linear as long as the same pixels win. No layer here has parameters. Letters: x (N, H, W, C), y (N, OH, OW, C).
"""

from __future__ import annotations

from typing import Any

from minigan.backend import array_module
from minigan.errors import ShapeError
from minigan.kernels.geometry import Pair, output_size, pair
from minigan.kernels.reductions import sum_over
from minigan.kernels.windows import window_max, window_pick, window_place, window_spread, window_sum
from minigan.layers.base import Layer
from minigan.layers.reach import Window


class _Windows(Layer):
    """What pooling layers with windows have in common: `kernel_size`, `stride` and `padding`."""

    def __init__(self, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0) -> None:
        self.kernel_size, self.padding = pair(kernel_size, 1), pair(padding, 0)
        self.stride = self.kernel_size if stride is None else pair(stride, 1)
        if any(2 * p > k for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ShapeError(f"padding {padding} is more than half of the kernel {kernel_size}: use less")

    def reach(self) -> Window:
        """Its own window."""
        return Window(self.kernel_size, self.stride, self.padding)

    def _geometry(self) -> tuple[Pair, Pair, Pair]:
        return self.kernel_size, self.stride, self.padding

    def _y_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        N, H, W, C = x_shape
        return (N, *output_size((H, W), *self._geometry()), C)

    def _check_x(self, x: Any) -> None:
        self.check_input(x, 4, None)
        if min(self._y_shape(x.shape)[1:3]) < 1:
            raise ShapeError(f"{self!r}: the kernel is larger than the padded input {tuple(x.shape)}")


class AvgPool2D(_Windows):
    """y = window_sum(x)/area: the mean over windows of R×S pixels, for x (N, H, W, C) → y (N, OH, OW, C).

    OH = ⌊(H + 2·padding − R)/stride⌋ + 1, and likewise OW; pixels left over at the end are in no window. `stride` is
    the kernel's size unless it is given. The zeros of the padding count in the mean, as is PyTorch's default: the area
    is R·S everywhere. With `count_include_pad=False` the area of window (i, j) is the number of pixels in it,

        area[i, j] = rows[i]·columns[j]      rows[i] = min(i·stride − padding + R, H) − max(i·stride − padding, 0)

    which doesn't depend on the numbers in x, so y is still linear in x:

        y = window_sum(x)/area        dx = window_spread(dy/area)        ddy = window_sum(ddx)/area

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

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy (N, OH, OW, C) → dx (N, H, W, C)."""
        # forward: y = window_sum(x) / area
        return window_spread(dy / self._area(dy, cache), cache[1:3], *self._geometry())

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (N, H, W, C) → ddy (N, OH, OW, C), its mean; dx2 is None."""
        self.check_second(ddx, dy, cache)
        # backward: dx = window_spread(dy / area)
        return self._mean(ddx), None

    def shapes(self, cache: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(N, H, W, C), (N, OH, OW, C)."""
        return cache, self._y_shape(cache)

    def _mean(self, x: Any) -> Any:
        y = window_sum(x, *self._geometry())
        y /= self._area(x, x.shape)
        return y

    def _area(self, like: Any, x_shape: tuple[int, ...]) -> Any:
        """R·S, or the number of pixels in each window, (OH, OW, 1), with the dtype of `like`."""
        if self.count_include_pad or not any(self.padding):
            return self.kernel_size[0] * self.kernel_size[1]
        xp, sides = array_module(like), []
        for size, out, k, s, p in zip(x_shape[1:3], self._y_shape(x_shape)[1:3], *self._geometry(), strict=True):
            start = xp.arange(out) * s - p
            sides.append((xp.minimum(start + k, size) - xp.maximum(start, 0)).astype(like.dtype))
        rows, columns = sides
        return rows[:, None, None] * columns[:, None]  # (OH, 1, 1) · (OW, 1) → (OH, OW, 1)


class MaxPool2D(_Windows):
    """y = the largest of every window of R×S pixels, channel by channel, for x (N, H, W, C) → y (N, OH, OW, C).

    Each y is a copy of the pixel that won, at place w = argmax of its window, and gradients travel the same way:

        y[o] = x[w(o)]        dx adds dy[o] to pixel w(o)        ddy[o] = v[w(o)], v = ddx        dx2 is None

    because w doesn't move with x, except where two pixels of a window are equal. There the first one wins, row by row
    from the top left, as in PyTorch. Outside of the picture there is −∞. The sizes are those of `AvgPool2D`.
    """

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, H, W, C) → y (N, OH, OW, C). Raises ShapeError if the kernel is larger than the padded picture."""
        self._check_x(x)
        y, winner = window_max(x, *self._geometry())
        return y, (winner, x.shape)

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy (N, OH, OW, C) → dx (N, H, W, C)."""
        winner, x_shape = cache
        # forward: y = the pixel of x at `winner`
        return window_place(dy, winner, x_shape[1:3], *self._geometry())

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (N, H, W, C) → ddy (N, OH, OW, C): what lies where the largest was; dx2 is None."""
        self.check_second(ddx, dy, cache)
        winner, _ = cache
        # backward: dx = window_place(dy, winner)
        return window_pick(ddx, winner, *self._geometry()), None

    def shapes(self, cache: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(N, H, W, C), (N, OH, OW, C)."""
        winner, x_shape = cache
        return x_shape, winner.shape


class Upsample(Layer):
    """Every pixel becomes a block of F×F equal ones (nearest neighbor), for x (N, H, W, C) → y (N, F·H, F·W, C).

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

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy (N, F·H, F·W, C) → dx (N, H, W, C)."""
        # forward: y = window_spread(x), windows side by side
        return window_sum(dy, self._block, self._block)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (N, H, W, C) → ddy (N, F·H, F·W, C), upsampled; dx2 is None."""
        self.check_second(ddx, dy, cache)
        # backward: dx = window_sum(dy)
        return self._repeat(ddx), None

    def shapes(self, cache: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(N, H, W, C), (N, F·H, F·W, C)."""
        return cache, self._y_shape(cache)

    def reach(self) -> Window:
        """Blocks side by side."""
        return Window(self._block, self._block, spread=True)

    def _repeat(self, x: Any) -> Any:
        return window_spread(x, self._y_shape(x.shape)[1:3], self._block, self._block)

    def _y_shape(self, x_shape: tuple[int, ...]) -> tuple[int, int, int, int]:
        (N, H, W, C), (fh, fw) = x_shape, self._block
        return (N, fh * H, fw * W, C)


class GlobalSumPool(Layer):
    """y[n, c] = Σ_{i, j} x[n, i, j, c]: the sum over a picture's pixels, for x (N, H, W, C) → y (N, C).

    y is linear in x, and every pixel occurs in it once: dx[n, i, j, c] = dy[n, c], and ddy is the sum of ddx.
    """

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, H, W, C) → y (N, C)."""
        self.check_input(x, 4, None)
        return _sum_of_pixels(x), x.shape

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy (N, C) → dx (N, H, W, C)."""
        # forward: y = Σ_{i, j} x
        dx = array_module(dy).empty(cache, dy.dtype)
        dx[...] = dy[:, None, None, :]  # (N, C) → (N, H, W, C)
        return dx

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (N, H, W, C) → ddy (N, C), its sum; dx2 is None."""
        self.check_second(ddx, dy, cache)
        # backward: dx = dy, at every pixel
        return _sum_of_pixels(ddx), None

    def shapes(self, cache: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(N, H, W, C), (N, C)."""
        return cache, (cache[0], cache[3])


class GlobalAvgPool(GlobalSumPool):
    """y[n, c] = Σ_{i, j} x[n, i, j, c]/(H·W): the mean over a picture's pixels, for x (N, H, W, C) → y (N, C).

    A network that ends in it takes pictures of any size (Lin et al. 2013, "Network in Network"). It is linear in x, as
    the sum is: dx[n, i, j, c] = dy[n, c]/(H·W), and ddy is the mean of ddx.
    """

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, H, W, C) → y (N, C)."""
        y, x_shape = super().forward(x, train, rng)
        return y / _area(x_shape), x_shape

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy (N, C) → dx (N, H, W, C)."""
        # forward: y = Σ_{i, j} x / (H·W)
        return super().backward_input(dy / _area(cache), cache)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (N, H, W, C) → ddy (N, C), its mean; dx2 is None."""
        # backward: dx = dy / (H·W), at every pixel
        ddy, _ = super().double_backward(ddx, dy, cache)
        return ddy / _area(cache), None


def _area(x_shape: tuple[int, ...]) -> int:
    """H·W of (N, H, W, C)."""
    return x_shape[1] * x_shape[2]


def _sum_of_pixels(x: Any) -> Any:
    return sum_over((x,), axes=(1, 2)).reshape(x.shape[0], x.shape[3])
