"""Which of the two ways of computing a convolution is taken: the plain one, or the one with fewer multiplications.

They give the same numbers, up to rounding. Read `kernels.py`.
"""

from __future__ import annotations

from typing import Any

from minigan.backend import array_module
from minigan.layers import kernels, minimal
from minigan.layers.kernels import Pair


def conv2d(x: Any, W: Any, stride: Pair = (1, 1), padding: Pair = (0, 0)) -> Any:
    """Correlate: x (N, H, W, C), W (R, S, C, K) → y (N, OH, OW, K)."""
    return _way(x.shape, W.shape, stride, padding, x).conv2d(x, W, stride, padding)


def conv2d_input_grad(dy: Any, W: Any, size: Pair, stride: Pair = (1, 1), padding: Pair = (0, 0)) -> Any:
    """Adjoint of `conv2d` in x: dy (N, OH, OW, K), W (R, S, C, K) → dx (N, H, W, C) for `size` = (H, W)."""
    x_shape = (len(dy), *size, W.shape[2])
    return _way(x_shape, W.shape, stride, padding, dy).conv2d_input_grad(dy, W, size, stride, padding)


def conv2d_weight_grad(x: Any, dy: Any, kernel: Pair, stride: Pair = (1, 1), padding: Pair = (0, 0)) -> Any:
    """Adjoint of `conv2d` in W: x (N, H, W, C), dy (N, OH, OW, K) → dW (R, S, C, K) for `kernel` = (R, S)."""
    W_shape = (*kernel, x.shape[-1], dy.shape[-1])
    return _way(x.shape, W_shape, stride, padding, x).conv2d_weight_grad(x, dy, kernel, stride, padding)


def _way(x_shape: Any, W_shape: Any, stride: Pair, padding: Pair, array: Any) -> Any:
    return minimal if minimal.pays(x_shape, W_shape, stride, padding, array_module(array)) else kernels
