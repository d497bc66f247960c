"""Layers that only change the shape, or take some entries. They copy, so that no output shares memory with an input."""

from __future__ import annotations

from math import prod
from typing import Any

from minigan.backend import array_module
from minigan.errors import ShapeError
from minigan.layers.base import Layer


class Reshape(Layer):
    """x (N, …) → y (N, *shape), the same numbers in the same order.

    Nothing is computed: dx is dy in the shape of x, ddy is ddx in the shape of y, and dx2 is None.
    """

    def __init__(self, *shape: int) -> None:
        self.shape = shape

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, …) → y (N, *shape). Raises ShapeError if the numbers don't fit."""
        self.check_input(x, None, None)
        y_shape = (*x.shape[:1], *self._shape_for(x))
        if x.ndim == 0 or prod(x.shape[1:]) != prod(y_shape[1:]):
            raise ShapeError(f"{self!r} can't take {prod(x.shape[1:])} numbers a sample, input {tuple(x.shape)}")
        return x.reshape(y_shape).copy(), (x.shape, y_shape)

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy (N, *shape) → dx (N, …)."""
        x_shape, _ = cache
        # forward: y = x.reshape(y_shape)
        return dy.reshape(x_shape).copy()

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (N, …) → ddy (N, *shape); dx2 is None."""
        self.check_second(ddx, dy, cache)
        _, y_shape = cache
        # backward: dx = dy.reshape(x_shape)
        return ddx.reshape(y_shape).copy(), None

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """Both are in the cache."""
        return cache

    def _shape_for(self, x: Any) -> tuple[int, ...]:
        """The shape of a sample of y."""
        return self.shape

    def __repr__(self) -> str:
        return f"Reshape({', '.join(map(str, self.shape))})"


class Columns(Layer):
    """Some entries of the last axis: x (…, C) → y (…, K), the slices of x that are given, side by side.

    Columns((0, 2), (5, 6)) takes entries 0, 1 and 5. y is linear in x: dx is dy at the places that its numbers came
    from and 0 elsewhere, ddy takes the same slices of ddx, and dx2 is None.
    """

    per_pixel = True

    def __init__(self, *slices: tuple[int, int]) -> None:
        if not slices or any(not 0 <= start < stop for start, stop in slices):
            raise ValueError(f"Columns takes pairs (start, stop) with 0 ≤ start < stop, got {slices}")
        self.slices = slices

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (…, C) → y (…, K). Raises ShapeError if C is less than the largest stop."""
        self.check_input(x, None, None)
        if x.ndim == 0 or x.shape[-1] < max(stop for _, stop in self.slices):
            raise ShapeError(f"{self!r} takes entries that an input {tuple(x.shape)} doesn't have")
        return self._taken(x), x.shape

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy (…, K) → dx (…, C)."""
        dx, at = array_module(dy).zeros(cache, dy.dtype), 0
        # forward: y = concatenate(x[..., start:stop], …)
        for start, stop in self.slices:
            dx[..., start:stop] += dy[..., at : at + stop - start]
            at += stop - start
        return dx

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (…, C) → ddy (…, K); dx2 is None."""
        self.check_second(ddx, dy, cache)
        # backward: dx[..., start:stop] += the part of dy
        return self._taken(ddx), None

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """(…, C), (…, K)."""
        return cache, (*cache[:-1], sum(stop - start for start, stop in self.slices))

    def _taken(self, x: Any) -> Any:
        return array_module(x).concatenate([x[..., start:stop] for start, stop in self.slices], axis=-1)

    def __repr__(self) -> str:
        return f"Columns({', '.join(map(str, self.slices))})"


class Flatten(Reshape):
    """x (N, H, W, C) → y (N, H·W·C), or any other x (N, …)."""

    def __init__(self) -> None:
        super().__init__()

    def _shape_for(self, x: Any) -> tuple[int, ...]:
        return (prod(x.shape[1:]),)

    def __repr__(self) -> str:
        return "Flatten()"
