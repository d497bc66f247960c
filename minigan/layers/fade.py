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
        """That of x, twice."""
        return cache, cache


class Fade(Residual):
    """y = (1 − α) old(x) + α new(x): a path of new layers is faded in beside the path that it replaces.

    A generator fades from an enlarged picture of the old resolution to one of the new, a critic from the features of a
    halved picture to those of the whole:

        generator   old: to RGB, enlarge           new: enlarge, two convolutions, to RGB
        critic      old: halve, from RGB           new: from RGB, two convolutions, halve

    It is the sum of two paths, each of which ends in a factor, so the gradients are those of `Residual`:

        dx = old.backward((1 − α) dy) + new.backward(α dy)

    At α = 0 the network computes what it did before it grew. For small α, the new layers' gradients, and what they pass
    on to the layers before them, have the factor α: layers that haven't learned yet don't disturb those that have.

    alpha: in [0, 1], no parameter. Raises ValueError for another value, ShapeError if the outputs differ in shape.
    """

    def __init__(self, old: Layer, new: Layer, alpha: float) -> None:
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha is {alpha}: it must be between 0, only the old path, and 1, only the new one")
        self.old, self.new, self.alpha = old, new, float(alpha)
        super().__init__(
            *(
                (Conditional if path.conditional else Sequential)(path, Scaled(factor))
                for path, factor in ((new, self.alpha), (old, 1 - self.alpha))
            )
        )
