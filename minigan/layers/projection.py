"""The last layer of a conditional discriminator: a product of the features with an embedding of the label."""

from __future__ import annotations

from typing import Any

from minigan.errors import ShapeError
from minigan.layers.base import Layer
from minigan.layers.composite import check_layers
from minigan.layers.embedding import check_labels


class Projection(Layer):
    """y_n = dense(h_n) + ⟨h_n, e_n⟩ with e = embedding(labels) (Miyato and Koyama 2018, equation 3).

    h is (N, F), e is (N, F) and y (N, 1). The dense layer and the embedding have gradients of their own, also inside a
    SpectralNorm. What is derived here is ⟨h_n, e_n⟩ = Σ_k h_nk e_nk, which is linear in h and in e.

    First order:

        dh = dense.backward(dy) + dy e        de = dy h, which goes on into the embedding

    Second order. P depends on dh = dense.backward(dy) + dy e. With v = ddh = ∂P/∂(dh):

        ddy = dense's + ⟨v, e⟩        ∂P/∂e = dy v        dh2 = dense's (h doesn't occur in dy e)

    e = W[labels] occurs in dh directly, so the embedding's ordinary backward maps ∂P/∂e to ∂P/∂W.
    """

    conditional = True

    def __init__(self, dense: Layer, embedding: Layer) -> None:
        check_layers("Projection", dense, embedding)
        self.dense, self.embedding = dense, embedding

    def children(self) -> dict[str, Layer]:
        """{"dense": …, "embedding": …}."""
        return {"dense": self.dense, "embedding": self.embedding}

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """(h (N, F), labels (N,)) → y (N, 1). Raises ShapeError if the embedding isn't as long as h."""
        self.check_several(x, 2)
        h, labels = x
        self.check_input(h, 2, None)
        check_labels(self, labels, None, len(h))
        y, dense_cache = self.dense.forward(h, train, rng)
        e, embedding_cache = self.embedding.forward(labels, train, rng)
        if y.shape != (len(h), 1) or e.shape != h.shape:
            raise ShapeError(
                f"{self!r}: features {tuple(h.shape)} want an embedding of that shape and an output ({len(h)}, 1), "
                f"got {tuple(e.shape)} and {tuple(y.shape)}"
            )
        e = e.astype(h.dtype, copy=False)
        return y + (h * e).sum(axis=1, keepdims=True), (h, e, dense_cache, embedding_cache)

    def backward_input(self, dy: Any, cache: Any) -> Any:
        """dy (N, 1) → (dh (N, F), None)."""
        _, e, dense_cache, _ = cache
        # forward: y = dense(h) + (h * e).sum(axis=1)
        return self.dense.backward(dy, dense_cache, "input") + dy * e, None  # (N, F) + (N, 1) * (N, F)

    def backward_params(self, dy: Any, cache: Any) -> None:
        """dy (N, 1) → the gradients of the two layers."""
        h, _, dense_cache, embedding_cache = cache
        # forward: y = dense(h) + (h * e).sum(axis=1), e = embedding(labels)
        self.dense.backward(dy, dense_cache, "params")
        self.embedding.backward(dy * h, embedding_cache, "params")  # (N, 1) * (N, F)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """(ddh (N, F), None) → ddy (N, 1), and (dh2, None)."""
        self.check_second(ddx, dy, cache)
        ddh, _ = ddx
        _, e, dense_cache, embedding_cache = cache
        # backward: dh = dense.backward(dy) + dy * e
        ddy, dh2 = self.dense.double_backward(ddh, dy, dense_cache)
        self.embedding.backward(dy * ddh, embedding_cache, "params")  # (N, 1) * (N, F)
        return ddy + (ddh * e).sum(axis=1, keepdims=True), None if dh2 is None else (dh2, None)

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """((N, F), labels without a gradient) and (N, 1)."""
        h, *_ = cache
        return (h.shape, None), (len(h), 1)
