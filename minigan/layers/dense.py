"""The dense (fully connected) layer: a matrix product over the last axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.kernels.elementwise import add_product, product
from minigan.layers.base import Layer, Wrt
from minigan.layers.initializers import Initializer, glorot_uniform


class Dense(Layer):
    """y = x W + b, for x of shape (…, C), W (C, K), b (K,).

    All axes but the last are read as one axis of M rows. First order, for a loss L of y with dy = ∂L/∂y (…, K):

        dx = dy Wᵀ        dW = xᵀ dy        db = Σ_rows dy

    Second order. The map (dy, W) → dx = dy Wᵀ is again a product. With v = ddx = ∂P/∂(dx):

        ddy = v W         dW += vᵀ dy       (x does not occur in dx, so dx2 is nothing)

    that is: forward without the bias, and the ordinary weight gradient with v in place of x.
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

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy (…, K) → dx (…, C)."""
        x = cache
        self.check_dy(dy, (*x.shape[:-1], self.out_features), wrt)
        if wrt != "input":
            dy_rows = dy.reshape(-1, self.out_features)
            # forward: y = x @ W + b
            if self.b is not None:
                self.db += dy_rows.sum(axis=0)
            add_product(self.dW, x.reshape(-1, self.in_features).T, dy_rows)  # (C, M) @ (M, K)
        return product(dy, self._W_like(dy).T) if wrt != "params" else None  # (…, K) @ (K, C)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (…, C) → ddy (…, K); dx2 is nothing."""
        self.check_ddx(ddx, cache.shape, dy, (*cache.shape[:-1], self.out_features))
        # backward: dx = dy @ W.T
        ddx_rows, dy_rows = ddx.reshape(-1, self.in_features), dy.reshape(-1, self.out_features)
        add_product(self.dW, ddx_rows.T, dy_rows)  # (C, M) @ (M, K)
        return product(ddx, self._W_like(ddx)), None  # (…, C) @ (C, K)

    def macs(self, x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> int:
        """Every output sums C products."""
        return int(np.prod(y_shape)) * self.in_features

    def _W_like(self, a: Any) -> Any:
        return self.W.astype(a.dtype, copy=False)  # the input's dtype decides, not the weight's
