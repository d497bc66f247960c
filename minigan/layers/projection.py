"""The last layer of a conditional discriminator: how well the features go with the label."""

from __future__ import annotations

from typing import Any

from minigan.errors import ShapeError
from minigan.layers.base import Layer, Wrt, check_layers
from minigan.layers.embedding import check_labels


class Projection(Layer):
    """y_n = dense(h_n) + ⟨h_n, e_n⟩ with e = embedding(labels) (Miyato and Koyama 2018, equation 3).

    h is (N, F), e is (N, F) and y (N, 1). The two layers may be spectrally normalised; here they are called, and the
    product with its sum over the features, Σ_k h_nk e_nk, is what has to be derived. It is linear in h and in e.

    First order:

        dh = dense.backward(dy) + dy e        de = dy h, which goes on into the embedding

    Second order. P depends on dh = dense.backward(dy) + dy e. With v = ddh = ∂P/∂(dh):

        ddy = dense's own + ⟨v, e⟩        ∂P/∂e = dy v        dh2 = dense's own (h doesn't occur in dy e)

    e occurs in dh as it is, so ∂P/∂e is an ordinary gradient: the embedding's backward takes it to its weights.
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

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy (N, 1) → (dh (N, F), None)."""
        h, e, dense_cache, embedding_cache = cache
        self.check_dy(dy, (len(h), 1), wrt)
        # forward: y = dense(h) + (h * e).sum(axis=1)
        dh = self.dense.backward(dy, dense_cache, wrt)
        # forward: e = embedding(labels)
        if wrt != "input":
            self.embedding.backward(dy * h, embedding_cache, "params")  # (N, 1) * (N, F)
        return (dh + dy * e, None) if wrt != "params" else None

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """(ddh (N, F), None) → ddy (N, 1), and (dh2, None)."""
        h, e, dense_cache, embedding_cache = cache
        self.check_several(ddx, 2, "ddx")
        ddh, _ = ddx
        self.check_ddx(ddh, h.shape, dy, (len(h), 1))
        # backward: dh = dense.backward(dy) + dy * e
        ddy, dh2 = self.dense.double_backward(ddh, dy, dense_cache)
        self.embedding.backward(dy * ddh, embedding_cache, "params")  # (N, 1) * (N, F)
        return ddy + (ddh * e).sum(axis=1, keepdims=True), None if dh2 is None else (dh2, None)
