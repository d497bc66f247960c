"""Adaptive instance norm: a style sets mean and deviation of every channel (Huang and Belongie 2017, for one style).

StyleGAN (Karras et al. 2019) has one after each convolution, each with a style of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.errors import ShapeError
from minigan.layers.affine import AdaptiveAffine
from minigan.layers.base import Layer, Wrt, checked_pair
from minigan.layers.composite import check_layers, double_backward_of
from minigan.layers.containers import Conditional
from minigan.layers.dense import Dense
from minigan.layers.equalized import Equalized
from minigan.layers.norms import InstanceNorm


class AdaIN(Conditional):
    """y = (1 + a) x̂ + b: x (N, H, W, C) and a style w (N, F) → y like x (Karras et al. 2019, equation 1).

    x̂ is x with mean 0 and deviation 1 in each channel of each picture (`InstanceNorm`). a (N, C) and b (N, C) are dense
    layers of w with the equalized learning rate, whose biases begin as 0. So whatever the mean and the deviation of a
    channel of x are, those of y are b and |1 + a|: the style of a layer replaces what the layers before it have set.

    With J for the derivative of x̂ by x (kernels/normalize.py), which is symmetric, and A, B for the two matrices:

        dx = J ((1 + a) dy)        da = Σ_pixels dy x̂        db = Σ_pixels dy        dw = da Aᵀ + db Bᵀ

    Forward and both derivatives are those of the two layers that it consists of, `InstanceNorm` and `AdaptiveAffine`.
    """

    def __init__(
        self, channels: int, style_dim: int, eps: float = 1e-8, *, rng: np.random.Generator | None = None
    ) -> None:
        self.channels, self.style_dim, self.eps = channels, style_dim, eps
        self.norm = InstanceNorm(channels, eps)
        self.affine = AdaptiveAffine(*(Equalized(Dense(style_dim, channels), rng=rng) for _ in range(2)))
        super().__init__(self.norm, self.affine)

    def children(self) -> dict[str, Layer]:
        """{"norm": …, "affine": …}."""
        return {"norm": self.norm, "affine": self.affine}

    __repr__ = Layer.__repr__


class WithStyle(Layer):
    """(x, ws (N, L, F)) → layer((x, ws[:, index])): a conditional layer gets its own one of a network's L styles.

    So a `Conditional` can hand all styles to all of its layers, and add up their gradients:

        dws[:, index] = dw of the layer, and 0 elsewhere        the layer gets ddws[:, index]
    """

    conditional = True

    def __init__(self, layer: Layer, index: int) -> None:
        check_layers("WithStyle", layer)
        if not layer.conditional:
            raise ValueError(f"{layer!r} takes no style: use it as it is, without WithStyle")
        self.layer, self.index = layer, index

    def children(self) -> dict[str, Layer]:
        """{"layer": …}."""
        return {"layer": self.layer}

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """(x, ws (N, L, F)) → y. Raises ShapeError if there are too few styles."""
        self.check_several(x, 2)
        x, ws = x
        self.check_input(ws, 3, None)
        if not self.index < ws.shape[1]:
            raise ShapeError(f"{self!r} takes styles (N, {self.index + 1} or more, F), got {tuple(ws.shape)}")
        y, cache = checked_pair(self.layer, self.layer.forward((x, ws[:, self.index]), train, rng))
        return y, (cache, x.shape, ws.shape, y.shape)

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        """dy → (dx, dws)."""
        inner, _, ws_shape, y_shape = cache
        self.check_dy(dy, y_shape, wrt)
        # forward: y = layer(x, ws[:, index])
        gradients = self.layer.backward(dy, inner, wrt)
        if wrt == "params":
            return None
        dx, dw = gradients
        return dx, self._among_all(dw, ws_shape)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """(ddx, ddws), either of which may be None for zero → ddy, and (dx2, dws2) or None."""
        self.check_second(ddx, dy, cache)
        inner, _, ws_shape, _ = cache
        v, u = ddx
        # backward: dx, dws[:, index] = layer.backward(dy)
        ddy, second = double_backward_of(self.layer, (v, None if u is None else u[:, self.index]), dy, inner)
        if second is None:
            return ddy, None
        x2, w2 = second
        return ddy, (x2, None if w2 is None else self._among_all(w2, ws_shape))

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        """Those of (x, ws), and of y."""
        _, x_shape, ws_shape, y_shape = cache
        return (x_shape, ws_shape), y_shape

    def _among_all(self, dw: Any, shape: tuple[int, ...]) -> Any:
        """dw (N, F) as row `index` of zeros (N, L, F)."""
        dws = array_module(dw).zeros(shape, dw.dtype)
        dws[:, self.index] = dw
        return dws
