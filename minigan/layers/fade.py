"""The fade between two resolutions of a growing network (Karras et al. 2018, figure 2)."""

from __future__ import annotations

from typing import Any

from minigan.layers.base import Layer
from minigan.layers.containers import Conditional, Residual, Sequential


class Scaled(Layer):
    """y = factor · x, for x of any shape: dx = factor · dy, ddy = factor · ddx, and dx2 is None."""

    per_pixel = True

    def __init__(self, factor: float) -> None:
        self.factor = float(factor)

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x → y, of the same shape."""
        self.check_input(x, None, None)
        return self.factor * x, x.shape

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy → dx."""
        # forward: y = factor * x
        return self.factor * dy

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx → ddy; dx2 is None."""
        self.check_second(ddx, dy, cache)
        # backward: dx = factor * dy
        return self.factor * ddx, None

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """Those of x and y, which are equal."""
        return cache, cache


class Fade(Residual):
    """y = (1 − α) old(x) + α new(x): a path of new layers is faded in beside the path that it replaces.

    A generator fades from an enlarged picture of the old resolution to a picture of the new one. A critic fades from
    the features of a halved picture to those of the whole picture:

        generator   old: to RGB, enlarge           new: enlarge, two convolutions, to RGB
        critic      old: halve, from RGB           new: from RGB, two convolutions, halve

    It is the sum of two paths, each of which ends in a factor. `Residual` adds their outputs, and their gradients:

        dx = old.backward((1 − α) dy) + new.backward(α dy)

    At α = 0 the network computes what it did before it grew. The gradients of the new layers and their part of dx have
    the factor α: while α is small, their random weights hardly change the gradients of trained layers.

    alpha: in [0, 1], no parameter. Raises ValueError for another value, ShapeError if the outputs differ in shape.
    """

    def __init__(self, old: Layer, new: Layer, alpha: float) -> None:
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha is {alpha}: it must be between 0, only the old path, and 1, only the new one")
        self.old, self.new, self.alpha = old, new, float(alpha)
        super().__init__(_times(self.alpha, new), _times(1 - self.alpha, old))


def _times(factor: float, path: Layer) -> Layer:
    """x → factor · path(x), or (x, c) → factor · path(x, c)."""
    return (Conditional if path.conditional else Sequential)(path, Scaled(factor))
