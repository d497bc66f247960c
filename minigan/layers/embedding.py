"""A vector for every class: how labels enter a network."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.errors import ShapeError
from minigan.layers.base import Layer
from minigan.layers.initializers import Initializer, normal


class Embedding(Layer):
    """y_n = W[label_n]: for each label (N,) its row of W, which is (num_embeddings, K), K = embedding_dim.

    With the one-hot matrix E (N, num_embeddings), E[n, j] = 1 where label_n = j and else 0, it is a product:

        y = E W

    First order. There is no derivative by a label, so no dx, and

        dW = Eᵀ dy      every sample adds its dy to its row

    Second order. Without a dx nothing can depend on it: ddy is zero, and so is everything else.

    W begins as N(0, 1), as PyTorch's does. Beside a latent that is N(0, 1) too, a long vector of the class drowns it,
    and a generator may learn to ignore the latent: see the docstring of gans/cgan.py.

    The dtype is that of W. The labels are of any integer dtype. On the host a label out of range is an error; on a GPU
    it is not looked for, because that would wait for the device.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        init: Initializer | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        shape = (num_embeddings, embedding_dim)
        self.add_parameters(W=(init or normal(1.0))(rng or np.random.default_rng(), shape, *shape))

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """Labels (N,) → y (N, K). Raises ShapeError for what are no labels from 0 to num_embeddings − 1."""
        check_labels(self, x, self.num_embeddings)
        return self.W[x], x

    def backward_input(self, dy: Any, cache: Any) -> None:
        """dy (N, K) → None."""

    def backward_params(self, dy: Any, cache: Any) -> None:
        """dy (N, K) → dW (num_embeddings, K)."""
        # forward: y = E @ W
        self.dW += one_hot(cache, self.num_embeddings, dy.dtype).T @ dy  # (num_embeddings, N) @ (N, K)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """None → ddy (N, K), which is zero; dx2 is None."""
        self.check_second(ddx, dy, cache)
        return array_module(dy).zeros_like(dy), None

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """Labels have no gradient; (N, K)."""
        return None, (*cache.shape, self.embedding_dim)


def one_hot(labels: Any, count: int, dtype: Any) -> Any:
    """E (N, count) of labels (N,): 1 in the column of each label, 0 elsewhere."""
    return (labels[:, None] == array_module(labels).arange(count)).astype(dtype)


def check_labels(layer: Layer, labels: Any, count: int | None, n: int | None = None) -> None:
    """Raise ShapeError unless `labels` are integers (N,), of which there are n, and on the host from 0 to count − 1.

    None for `count` or `n`: any.
    """
    layer.check_array(labels, "labels")
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or n not in (None, len(labels)):
        got = f"{labels.dtype} {tuple(labels.shape)}"
        raise ShapeError(f"{layer!r} takes integer labels of shape ({n or 'N'},), got {got}")
    if count is not None and array_module(labels) is np and labels.size:
        least, most = labels.min(), labels.max()
        if not 0 <= least <= most < count:
            raise ShapeError(f"{layer!r} knows the labels 0 to {count - 1}, got {least if least < 0 else most}")
