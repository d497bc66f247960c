"""The equalized learning rate: weights are stored with variance 1 and multiplied by a constant in every pass."""

from __future__ import annotations

import copy
from math import prod, sqrt
from typing import Any, NamedTuple

import numpy as np

from minigan.backend import array_module
from minigan.layers.base import Layer, Wrt
from minigan.layers.composite import check_layers
from minigan.layers.conv import Conv2D, ConvTranspose2D
from minigan.layers.dense import Dense
from minigan.layers.reach import Chain


class EqualizedCache(NamedTuple):
    """The inner layer's cache, and the W and b that it computed with."""

    inner: Any
    W: Any
    b: Any


class Equalized(Layer):
    """The inner layer with W = c V and b = m a for its stored parameters V and a (Karras et al. 2018, section 4.1).

        V ~ N(0, 1)/m        c = gain · m/√fan_in        fan_in: the inputs that an output sums, C or R·S·C/groups,
                                                         in a transposed convolution as if its stride were 1

    At the start W has the variance gain²/fan_in, as with He's initialization for gain = √2. What differs is training.
    Adam changes every stored number by about lr in a step, whatever the size of the gradient. A W stored with the
    standard deviation √(2/fan_in) would change by lr·√(fan_in/2) relative to its size, so layers with many inputs would
    learn faster than those with few. V has the standard deviation 1/m in every layer, so V, and W with it, changes by
    lr·m relative to its size. `lr_multiplier` m is 1, or 0.01 in the mapping network of StyleGAN, which is to learn a
    hundred times more slowly.

    First order. W = c V, so the inner layer's gradients are multiplied by the same constants, and dx is its own:

        dV = c dW        da = m db

    Second order. dx is computed by the inner layer's backward with W. So its double_backward with W gives ddy, dx2 and
    ∂P/∂W, and ∂P/∂V = c ∂P/∂W.

    layer: Dense, Conv2D or ConvTranspose2D. Its W is replaced by V, its b, if it has one, by `bias`/m, so that b starts
           as `bias`. Optimizers and checkpoints see V and a, under the names layer.W and layer.b.
    rng:   a host generator, draws V. Raises ValueError for another layer, or unless gain and lr_multiplier are > 0.
    """

    def __init__(
        self,
        layer: Layer,
        gain: float = 1.0,
        lr_multiplier: float = 1.0,
        bias: float = 0.0,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        check_layers("Equalized", layer)
        if not (gain > 0 and lr_multiplier > 0):
            raise ValueError(f"gain is {gain} and lr_multiplier {lr_multiplier}: both must be more than 0")
        self.layer, self.gain, self.lr_multiplier, self.bias = layer, float(gain), float(lr_multiplier), float(bias)
        self.scale = self.gain * self.lr_multiplier / sqrt(_fan_in(layer))  # c
        layer.W = (rng or np.random.default_rng()).standard_normal(layer.W.shape) / self.lr_multiplier
        if layer.b is not None:
            layer.b[...] = self.bias / self.lr_multiplier

    def children(self) -> dict[str, Layer]:
        """{"layer": …}: the inner layer, which owns V and a."""
        return {"layer": self.layer}

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """x → y, by the inner layer with c V for W and m a for b."""
        self.check_array(x)
        V, a = self.layer.W, self.layer.b
        dtype = x.dtype if x.dtype in (np.float32, np.float64) else V.dtype
        W = V.astype(dtype)  # a copy: V stays as it is
        W *= self.scale
        b = None if a is None else a.astype(dtype) * self.lr_multiplier
        y, inner = self._with(W, b).forward(x, train, rng)
        return y, EqualizedCache(inner, W, b)

    def backward(self, dy: Any, cache: EqualizedCache, wrt: Wrt = "both") -> Any:
        """dy → dx."""
        # forward: y = layer(x) with W = c V and b = m a
        layer = self._with(cache.W, cache.b, gradient=wrt != "input")
        dx = layer.backward(dy, cache.inner, wrt)
        if wrt != "input":
            self._add_gradients(layer)
        return dx

    def double_backward(self, ddx: Any, dy: Any, cache: EqualizedCache) -> tuple[Any, Any]:
        """ddx → (ddy, dx2), those of the inner layer."""
        # backward: dx = layer.backward(dy) with W = c V
        layer = self._with(cache.W, cache.b, gradient=True)
        ddy, dx2 = layer.double_backward(ddx, dy, cache.inner)
        self._add_gradients(layer)
        return ddy, dx2

    def reach(self) -> Chain:
        """That of the inner layer."""
        return Chain((self.layer,))

    def _with(self, W: Any, b: Any, gradient: bool = False) -> Layer:
        """A shallow copy of the inner layer with these W and b, and with zeros as dW and db if `gradient`."""
        layer = copy.copy(self.layer)
        dW, db = (None if a is None or not gradient else array_module(a).zeros_like(a) for a in (W, b))
        vars(layer).update(W=W, b=b, dW=dW, db=db)  # not `layer.W = …`, which would take the dtype of the layer's own
        return layer

    def _add_gradients(self, layer: Layer) -> None:
        """dV += c dW and da += m db, with dW and db of a copy of the inner layer. Overwrites these."""
        layer.dW *= self.scale
        self.layer.dW += layer.dW
        if layer.b is not None:
            self.layer.db += self.lr_multiplier * layer.db


def _fan_in(layer: Layer) -> int:
    """The number of inputs that an output of the layer sums. Raises ValueError for a layer of another type."""
    if isinstance(layer, Dense):
        return layer.in_features
    if isinstance(layer, (Conv2D, ConvTranspose2D)):
        return prod(layer.kernel_size) * layer.in_channels // layer.groups
    raise ValueError(f"{layer!r} can't be equalized: wrap the Dense, Conv2D or ConvTranspose2D itself")
