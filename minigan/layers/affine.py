"""The affine map after a norm, y = γ x + β, where γ and β of a sample depend on its label or on a vector."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.errors import ShapeError
from minigan.kernels.reductions import sum_over
from minigan.layers.base import Layer, Wrt
from minigan.layers.composite import add, check_layers, double_backward_of
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


class AdaptiveAffine(Layer):
    """y_n = (1 + a_n) x_n + b_n, with a = gain(c) and b = bias(c) for a vector c_n of each sample.

    x (N, …, C) and c (N, F) → y like x. `gain` and `bias` are layers from (N, F) to (N, C), most often linear. After a
    batch norm that is BigGAN's conditional norm, after an instance norm AdaIN (Huang and Belongie 2017).

    First order. x meets a and b at every pixel:

        dx = (1 + a) dy        da = Σ_pixels dy x        db = Σ_pixels dy
        dc = gain.backward(da) + bias.backward(db)

    Second order, with v = ddx and u = ddc. P depends on dx and on dc, and dc on da and db, which depend on dy. Call
    dda and ddb what the double backward of `gain` and `bias` gives for u:

        ddy = (1 + a) v + dda x + ddb        x2 = dda dy
        ∂P/∂a = Σ_pixels dy v, which goes back through gain: c2 = gain.backward(∂P/∂a) + the layers' own dx2
    """

    conditional = True

    def __init__(self, gain: Layer, bias: Layer) -> None:
        check_layers("AdaptiveAffine", gain, bias)
        self.gain, self.bias = gain, bias

    def children(self) -> dict[str, Layer]:
        """{"gain": …, "bias": …}."""
        return {"gain": self.gain, "bias": self.bias}

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """(x (N, …, C), c (N, F)) → y like x. Raises ShapeError if gain and bias don't have C channels."""
        self.check_several(x, 2)
        x, c = x
        self.check_input(x, None, None)
        a, gain_cache = self.gain.forward(c, train, rng)
        b, bias_cache = self.bias.forward(c, train, rng)
        if x.ndim < 2 or a.shape != b.shape or a.shape != (len(x), x.shape[-1]):
            found = f"gives {tuple(a.shape)} and {tuple(b.shape)} for an input {tuple(x.shape)}"
            raise ShapeError(f"{self!r} {found}: both must be of shape (samples, channels)")
        y = x * _at_pixels(1 + a, x)
        y += _at_pixels(b, x)
        return y, (x, a, c.shape, gain_cache, bias_cache)

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy → (dx, dc)."""
        x, a, _, gain_cache, bias_cache = cache
        self.check_dy(dy, x.shape, wrt)
        # forward: a = gain(c), b = bias(c)
        dc = add(
            self.gain.backward(_over_pixels(dy, x), gain_cache, wrt),
            self.bias.backward(_over_pixels(dy), bias_cache, wrt),
        )
        # forward: y = (1 + a) * x + b
        return (dy * _at_pixels(1 + a, dy), dc) if wrt != "params" else None

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """(ddx, ddc), of which one may be None, for zero → ddy, and (x2, c2)."""
        self.check_second(ddx, dy, cache)
        (v, u), (x, a, _, gain_cache, bias_cache) = ddx, cache
        # backward: dc = gain.backward(da) + bias.backward(db)
        dda, c2_gain = double_backward_of(self.gain, u, _over_pixels(dy, x), gain_cache)
        ddb, c2_bias = double_backward_of(self.bias, u, _over_pixels(dy), bias_cache)
        c2 = add(c2_gain, c2_bias)
        ddy = x2 = None
        if u is not None:
            # backward: da = Σ dy * x, db = Σ dy
            ddy, x2 = x * _at_pixels(dda, x) + _at_pixels(ddb, x), dy * _at_pixels(dda, x)
        if v is not None:
            # backward: dx = (1 + a) * dy
            ddy = add(ddy, v * _at_pixels(1 + a, v))
            c2 = add(c2, self.gain.backward(_over_pixels(dy, v), gain_cache))
        return ddy, (x2, c2)

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """Those of (x, c), and of y."""
        x, _, c_shape, *_ = cache
        return (x.shape, c_shape), x.shape


def _at_pixels(a: Any, x: Any) -> Any:
    """a (N, C), to be broadcast over the pixels of x (N, …, C)."""
    return a.reshape(len(a), *(1,) * (x.ndim - 2), a.shape[1])


def _over_pixels(*factors: Any) -> Any:
    """Sum of the product of `factors` (N, …, C) over the pixels: → (N, C)."""
    x = factors[0]
    return sum_over(factors, tuple(range(1, x.ndim - 1))).reshape(len(x), x.shape[-1])


def new_affine(
    shape: tuple[int, ...], wanted: bool = True, init: Initializer | None = None, rng: np.random.Generator | None = None
) -> dict[str, Any]:
    """γ and β at the start: ones, or what `init` draws, and zeros. Both are None if not `wanted`."""
    if not wanted:
        return {"gamma": None, "beta": None}
    gamma = np.ones(shape, np.float32) if init is None else init(rng or np.random.default_rng(), shape, 1, 1)
    return {"gamma": gamma, "beta": np.zeros(shape, np.float32)}
