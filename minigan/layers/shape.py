"""Layers that only change the shape. They copy, so that no output shares memory with an input."""

from __future__ import annotations

from math import prod
from typing import Any

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


class Flatten(Reshape):
    """x (N, H, W, C) → y (N, H·W·C), or any other x (N, …)."""

    def __init__(self) -> None:
        super().__init__()

    def _shape_for(self, x: Any) -> tuple[int, ...]:
        return (prod(x.shape[1:]),)

    def __repr__(self) -> str:
        return "Flatten()"
