"""Softmax over the channels: from a logit for each class to its probability."""

from __future__ import annotations

from typing import Any

from minigan.backend import array_module
from minigan.kernels.elementwise import by_rows
from minigan.layers.base import Layer


class Softmax(Layer):
    """y_k = exp(x_k)/Σ_j exp(x_j) over the last axis: x (…, K) → y (…, K).

    The Jacobian of one row is J = diag(y) − y yᵀ, which is symmetric. First order, with ⟨a, b⟩ = Σ_k a_k b_k:

        dx = J dy = y (dy − ⟨dy, y⟩)

    Second order, with v = ddx: ∂P/∂(dy) and ∂P/∂y are those of ⟨v, J dy⟩ with v held fixed. This is
    Σ_k v_k y_k dy_k − ⟨v, y⟩⟨dy, y⟩, so, element by element,

        ddy = J v        ∂P/∂y = v dy − v ⟨dy, y⟩ − dy ⟨v, y⟩        dx2 = J ∂P/∂y

    The largest x of a row is subtracted before exp, which prevents overflow and doesn't change y.
    """

    per_pixel = True

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x (…, K) → y (…, K): probabilities whose sum over the last axis is 1."""
        self.check_input(x, None, None)
        y = by_rows(_softmax, x)
        return y, y

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy (…, K) → dx (…, K)."""
        # forward: y = exp(x)/Σ exp(x)
        return by_rows(_J, dy, cache)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """ddx (…, K) → ddy and dx2, both (…, K)."""
        self.check_second(ddx, dy, cache)
        y = cache
        # backward: dx = J dy = y · (dy − ⟨dy, y⟩)
        dP_dy = ddx * dy - ddx * _dot(dy, y) - dy * _dot(ddx, y)
        return _J(ddx, y), _J(dP_dy, y)

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """(…, K), twice."""
        return cache.shape, cache.shape


def _softmax(x: Any) -> Any:
    y = array_module(x).exp(x - x.max(axis=-1, keepdims=True))
    y /= y.sum(axis=-1, keepdims=True)
    return y


def _J(v: Any, y: Any) -> Any:
    """(diag(y) − y yᵀ) v for each row of v (…, K)."""
    return y * (v - _dot(v, y))


def _dot(a: Any, b: Any) -> Any:
    """Σ_k a b: (…, K) and (…, K) → (…, 1)."""
    return (a * b).sum(axis=-1, keepdims=True)
