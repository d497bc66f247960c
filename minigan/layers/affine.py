"""The affine map after a norm, y = γ x + β, for rows of γ and β that are chosen by the sample's label."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.errors import ShapeError
from minigan.kernels.reductions import sum_over
from minigan.layers.base import Layer
from minigan.layers.embedding import check_labels, one_hot
from minigan.layers.initializers import Initializer


class ConditionalAffine(Layer):
    """y_n = γ[label_n] x_n + β[label_n], with gamma and beta (num_classes, C) (de Vries et al. 2017).

    First order. With the one-hot matrix E (N, num_classes) of the labels, γ[label] = E γ, so

        dx = γ[label] dy        dγ = Eᵀ S with S[n] = Σ_pixels dy x        dβ = Eᵀ Σ_pixels dy

    Second order. x and β don't occur in dx. With v = ddx = ∂P/∂(dx):

        ddy = γ[label] v        dγ += Eᵀ Σ_pixels dy v                     dx2 is None
    """

    conditional = True
    per_pixel = True

    def __init__(
        self,
        channels: int,
        num_classes: int,
        *,
        init: Initializer | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.channels, self.num_classes = channels, num_classes
        self.add_parameters(**new_affine((num_classes, channels), init=init, rng=rng))

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """(x (N, …, C), labels (N,)) → y like x. Raises ShapeError as `Embedding` does."""
        self.check_several(x, 2)
        x, labels = x
        self.check_input(x, None, self.channels)
        if x.ndim < 2:
            raise ShapeError(f"{self!r} takes (N, …, {self.channels}), got {tuple(x.shape)}")
        check_labels(self, labels, self.num_classes, len(x))
        y = x * self._rows(self.gamma, labels, x)
        y += self._rows(self.beta, labels, x)
        return y, (x, labels)

    def backward_input(self, dy: Any, cache: Any) -> tuple[Any, None]:
        """dy → (dx, None)."""
        _, labels = cache
        # forward: y = x * gamma[labels]
        return dy * self._rows(self.gamma, labels, dy), None

    def backward_params(self, dy: Any, cache: Any) -> None:
        """Add dgamma and dbeta."""
        x, labels = cache
        # forward: y = x * gamma[labels] + beta[labels]
        self.dgamma += self._by_class(labels, dy, x)
        self.dbeta += self._by_class(labels, dy)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """(ddx, None) → ddy; dx2 is None."""
        self.check_second(ddx, dy, cache)
        v, labels = ddx[0], cache[1]
        # backward: dx = dy * gamma[labels]
        self.dgamma += self._by_class(labels, dy, v)
        return v * self._rows(self.gamma, labels, dy), None

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """Those of (x, labels), of which labels have no gradient, and of y."""
        return (cache[0].shape, None), cache[0].shape

    def _rows(self, table: Any, labels: Any, like: Any) -> Any:
        """The rows of gamma or beta for labels (N,), to be broadcast over pixels: (N, C) or (N, 1, 1, C)."""
        rows = table[labels].astype(like.dtype, copy=False)
        return rows.reshape(len(labels), *(1,) * (like.ndim - 2), self.channels)

    def _by_class(self, labels: Any, *factors: Any) -> Any:
        """Sum of the product of `factors` over the pixels and the samples of each class: → (num_classes, C)."""
        sums = sum_over(factors, tuple(range(1, factors[0].ndim - 1))).reshape(len(labels), self.channels)
        return one_hot(labels, self.num_classes, sums.dtype).T @ sums  # (num_classes, N) @ (N, C)


def new_affine(
    shape: tuple[int, ...], wanted: bool = True, init: Initializer | None = None, rng: np.random.Generator | None = None
) -> dict[str, Any]:
    """γ and β at the start: ones, or what `init` draws, and zeros. Both are None if not `wanted`."""
    if not wanted:
        return {"gamma": None, "beta": None}
    gamma = np.ones(shape, np.float32) if init is None else init(rng or np.random.default_rng(), shape, 1, 1)
    return {"gamma": gamma, "beta": np.zeros(shape, np.float32)}
