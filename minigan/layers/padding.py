"""Frames around a picture that are made of its own pixels: reflection and replication padding.

A convolution pads with zeros by itself. A frame of zeros is an edge that no photograph has, and a network that makes
pictures shows it at the border. A frame of the picture's own pixels, followed by a convolution without padding, avoids
that (Zhu et al. 2017, section 7.1).

In a row of n pixels with p pixels of padding on each side, let k count from the first pixel of the picture, so that
place k is entry p + k of the framed row. The places of the frame are −p ≤ k < 0 and n ≤ k < n + p. Each gets a copy of
the pixel source(k):

    ReflectionPad2D     source(k) = −k, or 2 (n − 1) − k: a mirror on the outermost pixel, which isn't repeated
    ReplicationPad2D    source(k) = 0, or n − 1: the outermost pixel

First the rows above and below are copied, then the columns at both sides with these rows, so a corner is a copy of a
copy. Backward takes the two in the reverse order. Each copy in forward is a sum in backward:

    forward     y[k] = y[source(k)]         backward    dy[source(k)] += dy[k]

After these sums, dx is the part of dy inside the frame. Both layers are linear in x and have no parameters: y = A x and
dx = Aᵀ dy with a matrix A of zeros and ones. So ddy = A ddx, which is forward, and dx2 is None.

Letters: x (N, H, W, C), y (N, H + 2·ph, W + 2·pw, C), with `padding` = (ph, pw).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minigan.backend import array_module
from minigan.errors import ShapeError
from minigan.kernels.geometry import Pair, padded_size, pair, unpadded
from minigan.layers.base import Layer
from minigan.layers.reach import Window


class _Frame(Layer):
    """A frame of copied pixels; a subclass says which ones. `padding` is a number or a pair (height, width)."""

    def __init__(self, padding: int | Pair) -> None:
        self.padding = pair(padding, 0)

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, H, W, C) → y (N, H + 2·ph, W + 2·pw, C). Raises ShapeError if the picture is too small."""
        self.check_input(x, 4, None)
        self._check_size(x.shape)
        return self._framed(x), x.shape

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy (N, H + 2·ph, W + 2·pw, C) → dx (N, H, W, C)."""
        (_, H, W, _), (ph, pw) = cache, self.padding
        # forward: y[:, :, pw + k] = y[:, :, pw + source]
        dy_rows = dy[:, :, pw : pw + W].copy()  # (N, H + 2·ph, W, C)
        for k, source in self._sources(W, pw):
            dy_rows[:, :, source] += dy[:, :, pw + k]
        # forward: y[:, ph + k] = y[:, ph + source]
        dx = dy_rows[:, ph : ph + H].copy()  # (N, H, W, C)
        for k, source in self._sources(H, ph):
            dx[:, source] += dy_rows[:, ph + k]
        return dx

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (N, H, W, C) → ddy (N, H + 2·ph, W + 2·pw, C), framed; dx2 is None."""
        self.check_second(ddx, dy, cache)
        # backward: dx = Aᵀ dy, where forward is y = A x
        return self._framed(ddx), None

    def shapes(self, cache: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(N, H, W, C), (N, H + 2·ph, W + 2·pw, C)."""
        return cache, self._y_shape(cache)

    def reach(self) -> Window:
        """A window of one pixel; the frame counts as padding."""
        return Window(padding=self.padding)

    def _framed(self, x: Any) -> Any:
        (_, H, W, _), (ph, pw) = x.shape, self.padding
        y = array_module(x).empty(self._y_shape(x.shape), x.dtype)
        unpadded(y, self.padding)[...] = x
        for k, source in self._sources(H, ph):
            y[:, ph + k, pw : pw + W] = x[:, source]  # (N, W, C)
        for k, source in self._sources(W, pw):
            y[:, :, pw + k] = y[:, :, pw + source]  # (N, H + 2·ph, C)
        return y

    def _sources(self, n: int, p: int) -> Iterator[tuple[int, int]]:
        """Yield (k, source(k)) for each place k of the frame around n pixels."""
        raise NotImplementedError

    def _check_size(self, x_shape: tuple[int, ...]) -> None:
        """Raise ShapeError if the picture has too few pixels for the frame."""
        _, H, W, _ = x_shape
        if min(H, W) < 1:
            raise ShapeError(f"{self!r} takes pictures of at least one pixel, got {tuple(x_shape)}")

    def _y_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        N, H, W, C = x_shape
        return (N, *padded_size((H, W), self.padding), C)


class ReflectionPad2D(_Frame):
    """A frame that mirrors the picture: a b c d → c b a b c d c b for 2 pixels. The outermost pixel isn't repeated.

    x (N, H, W, C) → y (N, H + 2·ph, W + 2·pw, C) for `padding` = (ph, pw), or one number for both.
    Raises ShapeError unless the picture is larger than the padding on both axes.
    """

    def _sources(self, n: int, p: int) -> Iterator[tuple[int, int]]:
        for k in range(1, p + 1):
            yield -k, k
            yield n - 1 + k, n - 1 - k

    def _check_size(self, x_shape: tuple[int, ...]) -> None:
        super()._check_size(x_shape)
        if any(p >= n for p, n in zip(self.padding, x_shape[1:3], strict=True)):
            raise ShapeError(f"{self!r} mirrors as many pixels beside the outermost one, input {tuple(x_shape)}")


class ReplicationPad2D(_Frame):
    """A frame that repeats the outermost pixels: a b c d → a a a b c d d d for 2 pixels.

    x (N, H, W, C) → y (N, H + 2·ph, W + 2·pw, C) for `padding` = (ph, pw), or one number for both.
    Raises ShapeError for a picture without pixels.
    """

    def _sources(self, n: int, p: int) -> Iterator[tuple[int, int]]:
        for k in range(1, p + 1):
            yield -k, 0
            yield n - 1 + k, n - 1
