"""Channels into pixels and back: how a convolution enlarges a picture without zeros between its inputs.

Shi et al. 2016, "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural
Network". A convolution to r²·C channels, followed by `PixelShuffle(r)`, computes r × r pixels of C channels at each
place of the small picture:

    PixelShuffle        y[n, r·h + i, r·w + j, c] = x[n, h, w, (r·i + j)·C + c]        0 ≤ i, j < r
    PixelUnshuffle      the other way round

Both only move numbers, each exactly once, so one is the inverse of the other and its adjoint as well:

    dx = unshuffle(dy)        ddy = shuffle(ddx)        dx2 is None

**Order of channels.** Here all C channels of a pixel lie next to each other: the channel (r·i + j)·C + c. PyTorch has
c·r² + r·i + j. A layer before `PixelShuffle` computes the same as PyTorch's if its output channels are exchanged:

    ours = theirs[…, np.arange(r * r * C).reshape(C, r * r).T.ravel()]        for a kernel W (R, S, C_in, r²·C), and b

A new convolution computes r² different patterns, which shows as a checkerboard; `icnr` in initializers.py begins with
equal ones.
"""

from __future__ import annotations

from typing import Any

from minigan.errors import ShapeError
from minigan.kernels.geometry import pair
from minigan.layers.base import Layer
from minigan.layers.reach import Window


class PixelShuffle(Layer):
    """x (N, H, W, r²·C) → y (N, r·H, r·W, C), for `upscale_factor` r.

    Raises ShapeError if r² doesn't divide the number of channels.
    """

    def __init__(self, upscale_factor: int) -> None:
        self.upscale_factor, _ = pair(upscale_factor, 1)

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, H, W, r²·C) → y (N, r·H, r·W, C)."""
        self.check_input(x, 4, None)
        if x.shape[3] % self.upscale_factor**2:
            raise ShapeError(f"{self!r} needs a multiple of {self.upscale_factor**2} channels, got {tuple(x.shape)}")
        return _shuffled(x, self.upscale_factor), x.shape

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy (N, r·H, r·W, C) → dx (N, H, W, r²·C)."""
        # forward: y = shuffle(x)
        return _unshuffled(dy, self.upscale_factor)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (N, H, W, r²·C) → ddy (N, r·H, r·W, C); dx2 is None."""
        self.check_second(ddx, dy, cache)
        # backward: dx = unshuffle(dy)
        return _shuffled(ddx, self.upscale_factor), None

    def shapes(self, cache: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(N, H, W, r²·C), (N, r·H, r·W, C)."""
        (N, H, W, C), r = cache, self.upscale_factor
        return cache, (N, r * H, r * W, C // r**2)

    def reach(self) -> Window:
        """Blocks of r × r outputs side by side."""
        r = self.upscale_factor
        return Window((r, r), (r, r), spread=True)


class PixelUnshuffle(Layer):
    """x (N, r·H, r·W, C) → y (N, H, W, r²·C), for `downscale_factor` r.

    Raises ShapeError if r doesn't divide height and width.
    """

    def __init__(self, downscale_factor: int) -> None:
        self.downscale_factor, _ = pair(downscale_factor, 1)

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, r·H, r·W, C) → y (N, H, W, r²·C)."""
        self.check_input(x, 4, None)
        if any(n % self.downscale_factor for n in x.shape[1:3]):
            raise ShapeError(f"{self!r} needs multiples of {self.downscale_factor} pixels, got {tuple(x.shape)}")
        return _unshuffled(x, self.downscale_factor), x.shape

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy (N, H, W, r²·C) → dx (N, r·H, r·W, C)."""
        # forward: y = unshuffle(x)
        return _shuffled(dy, self.downscale_factor)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (N, r·H, r·W, C) → ddy (N, H, W, r²·C); dx2 is None."""
        self.check_second(ddx, dy, cache)
        # backward: dx = shuffle(dy)
        return _unshuffled(ddx, self.downscale_factor), None

    def shapes(self, cache: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(N, r·H, r·W, C), (N, H, W, r²·C)."""
        (N, H, W, C), r = cache, self.downscale_factor
        return cache, (N, H // r, W // r, r**2 * C)

    def reach(self) -> Window:
        """An output sees a block of r × r pixels."""
        r = self.downscale_factor
        return Window((r, r), (r, r))


def _shuffled(x: Any, r: int) -> Any:
    N, H, W, D = x.shape  # D = r²·C
    lines = x.reshape(N, H, W, r, D // r).swapaxes(2, 3)  # (N, H, r, W, r·C): pixel j of a block is beside pixel j + 1
    return lines.reshape(N, r * H, r * W, D // r**2).copy()


def _unshuffled(y: Any, r: int) -> Any:
    N, OH, OW, C = y.shape
    blocks = y.reshape(N, OH // r, r, OW // r, r * C).swapaxes(2, 3)  # (N, H, W, r, r·C)
    return blocks.reshape(N, OH // r, OW // r, r**2 * C).copy()
