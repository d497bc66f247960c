"""Dropout: random zeros in training, nothing in inference."""

from __future__ import annotations

from typing import Any

from minigan.layers.base import Layer


class Dropout(Layer):
    """y = x · mask in training, where mask is 0 with probability p and 1/(1 − p) otherwise (Srivastava et al. 2014).

    The mask is drawn from the generator given to `forward`. Once it is drawn, the layer is linear:

        dx = dy · mask        ddy = ddx · mask        dx2 is None

    In inference y = x: the factor 1/(1 − p) has kept the mean the same.
    """

    per_pixel = True

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p < 1:
            raise ValueError(f"dropout probability is {p}: it must be at least 0 and less than 1")
        self.p = p

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x → y of the same shape. Raises ValueError in training without a generator."""
        self.check_input(x, None, None)
        if not train or self.p == 0:
            return x.copy(), (x.shape, None)
        if rng is None:
            raise ValueError(f"{self!r} draws a mask in training: pass a random generator, forward(x, rng=rng)")
        mask = (rng.random(x.shape, dtype=x.dtype) >= self.p).astype(x.dtype)
        mask *= 1 / (1 - self.p)
        return x * mask, (x.shape, mask)

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy → dx of the same shape."""
        # forward: y = x · mask
        return self._masked(dy, cache)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx → ddy of the same shape; dx2 is None."""
        self.check_second(ddx, dy, cache)
        # backward: dx = dy · mask
        return self._masked(ddx, cache), None

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """y has the shape of x."""
        return cache[0], cache[0]

    def _masked(self, a: Any, cache: Any) -> Any:
        _, mask = cache
        return a.copy() if mask is None else a * mask
