"""The dense (fully connected) layer: a matrix product over the last axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.kernels.elementwise import add_product, product
from minigan.layers.base import Layer
from minigan.layers.initializers import Initializer, glorot_uniform


class Dense(Layer):
    """y = x W + b, for x of shape (…, C), W (C, K), b (K,).

    All axes but the last are read as one axis of M rows. First order, for a loss L of y with dy = ∂L/∂y (…, K):

        dx = dy Wᵀ        dW = xᵀ dy        db = Σ_rows dy

    Second order. The map (dy, W) → dx = dy Wᵀ is again a product. With v = ddx = ∂P/∂(dx):

        ddy = v W         dW += vᵀ dy       (x does not occur in dx, so dx2 is None)

    that is: forward without the bias, and the weight gradient with v in place of x.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        init: Initializer | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.in_features, self.out_features, self.bias = in_features, out_features, bias
        W = (init or glorot_uniform())(
            rng or np.random.default_rng(), (in_features, out_features), in_features, out_features
        )
        self.add_parameters(W=W, b=np.zeros(out_features, np.float32) if bias else None)

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (…, C) → y (…, K)."""
        self.check_input(x, None, self.in_features)
        return product(x, self._W_like(x), plus=self.b), x  # (…, C) @ (C, K) + (K,)

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy (…, K) → dx (…, C)."""
        # forward: y = x @ W + b
        return product(dy, self._W_like(dy).T)  # (…, K) @ (K, C)

    def backward_params(self, dy: Any, cache: Any) -> None:
        """Add dW (C, K) and db (K,)."""
        # forward: y = x @ W + b
        if self.b is not None:
            self.db += _rows(dy).sum(axis=0)
        add_product(self.dW, _rows(cache).T, _rows(dy))  # (C, M) @ (M, K)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (…, C) → ddy (…, K), and dW; dx2 is None."""
        self.check_second(ddx, dy, cache)
        # backward: dx = dy @ W.T
        add_product(self.dW, _rows(ddx).T, _rows(dy))  # (C, M) @ (M, K)
        return product(ddx, self._W_like(ddx)), None  # (…, C) @ (C, K)

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """(…, C) and (…, K)."""
        return cache.shape, (*cache.shape[:-1], self.out_features)

    def macs(self, x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> int:
        """Every output sums C products."""
        return int(np.prod(y_shape)) * self.in_features

    def _W_like(self, a: Any) -> Any:
        return self.W.astype(a.dtype, copy=False)  # the dtype of the input decides, not that of W


def _rows(a: Any) -> Any:
    return a.reshape(-1, a.shape[-1])  # (…, C) → (M, C)
