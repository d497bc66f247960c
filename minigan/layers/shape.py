"""Layers that only change the shape. They copy, so that no output shares memory with an input."""

from __future__ import annotations

from math import prod
from typing import Any

from minigan.errors import ShapeError
from minigan.layers.base import Layer, Wrt


class Reshape(Layer):
    """x (N, …) → y (N, *shape), the same numbers in the same order.

    Nothing is computed: dx is dy, and ddy is ddx, in the other's shape; dx2 is nothing.
    """

    def __init__(self, *shape: int) -> None:
        self.shape = shape

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, …) → y (N, *shape). Raises ShapeError if the numbers don't fit."""
        self.check_input(x, None, None)
        if prod(x.shape[1:]) != prod(self.shape):
            raise ShapeError(f"{self!r} can't take {prod(x.shape[1:])} numbers a sample, input {tuple(x.shape)}")
        return x.reshape(len(x), *self.shape).copy(), x.shape

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy (N, *shape) → dx (N, …)."""
        self.check_dy(dy, (cache[0], *self.shape), wrt)
        return dy.reshape(cache).copy() if wrt != "params" else None

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (N, …) → ddy (N, *shape); dx2 is nothing."""
        self.check_ddx(ddx, cache, dy, (cache[0], *self.shape))
        return ddx.reshape(len(ddx), *self.shape).copy(), None

    def __repr__(self) -> str:
        return f"Reshape({', '.join(map(str, self.shape))})"


class Flatten(Layer):
    """x (N, H, W, C) → y (N, H·W·C). dx is dy and ddy is ddx, in the other's shape; dx2 is nothing."""

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, …) → y (N, product of the rest)."""
        self.check_input(x, None, None)
        return x.reshape(len(x), prod(x.shape[1:])).copy(), x.shape

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy (N, H·W·C) → dx (N, H, W, C)."""
        self.check_dy(dy, (cache[0], prod(cache[1:])), wrt)
        return dy.reshape(cache).copy() if wrt != "params" else None

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (N, H, W, C) → ddy (N, H·W·C); dx2 is nothing."""
        self.check_ddx(ddx, cache, dy, (cache[0], prod(cache[1:])))
        return ddx.reshape(len(ddx), prod(ddx.shape[1:])).copy(), None
