"""A learned constant: the input of StyleGAN's synthesis network."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.errors import ShapeError
from minigan.kernels.reductions import sum_over
from minigan.layers.base import Layer
from minigan.layers.initializers import Initializer, normal


class Constant(Layer):
    """The same learned array for every sample: x (N, …) → y (N, *shape), y_n = W (Karras et al. 2019, section 2).

    Only the number of samples is taken from x. So

        dx = 0        dW = Σ_n dy_n        ddy = 0        dx2 is None

    W is drawn from N(0, 1), as in StyleGAN2, or by `init`; StyleGAN's were ones.
    """

    def __init__(self, *shape: int, init: Initializer | None = None, rng: np.random.Generator | None = None) -> None:
        self.shape = shape
        self.add_parameters(W=(init or normal(1.0))(rng or np.random.default_rng(), shape, 1, 1))

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (N, …) → y (N, *shape)."""
        self.check_input(x, None, None)
        if not x.ndim:
            raise ShapeError(f"{self!r} takes (N, …), got a number")
        xp = array_module(x)
        return xp.repeat(self.W[None].astype(x.dtype, copy=False), len(x), axis=0), x.shape

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy (N, *shape) → dx, zeros like x."""
        return array_module(dy).zeros(cache, dy.dtype)

    def backward_params(self, dy: Any, cache: Any) -> None:
        """Add dW."""
        # forward: y_n = W
        self.dW += sum_over((dy,), (0,))[0]

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx → ddy (N, *shape), zeros; dx2 is None."""
        self.check_second(ddx, dy, cache)
        # backward: dx = 0
        return array_module(dy).zeros_like(dy), None

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """That of x, and (N, *shape)."""
        return cache, (cache[0], *self.shape)

    def __repr__(self) -> str:
        return f"Constant({', '.join(map(str, self.shape))})"
