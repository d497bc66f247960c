"""Dropout: random zeros in training, nothing in inference."""

from __future__ import annotations

from typing import Any

from minigan.layers.base import Layer, Wrt


class Dropout(Layer):
    """y = x · mask in training, where mask is 0 with probability p and 1/(1 − p) otherwise (Srivastava et al. 2014).

    The mask is drawn from the generator given to `forward`. Once it is drawn, the layer is linear:

        dx = dy · mask        ddy = ddx · mask        dx2 is nothing

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

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dx = dy · mask."""
        shape, mask = cache
        self.check_dy(dy, shape, wrt)
        return _masked(dy, mask) if wrt != "params" else None

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddy = ddx · mask; dx2 is nothing."""
        shape, mask = cache
        self.check_ddx(ddx, shape, dy, shape)
        return _masked(ddx, mask), None


def _masked(a: Any, mask: Any) -> Any:
    return a.copy() if mask is None else a * mask
