"""The choice between three ways of computing a convolution, which give the same numbers up to rounding.

* patches.py: any convolution, by one large matrix product;
* minimal.py: on a CPU, 4×4 kernels at stride 2 and 3×3 at stride 1 with enough channels: half of the multiplications;
* depthwise.py: a window of its own for each channel: products of numbers, not of matrices.
"""

from __future__ import annotations

from typing import Any

from minigan.backend import array_module
from minigan.kernels.fast import depthwise, minimal, patches
from minigan.kernels.geometry import Pair


def conv2d(
    x: Any, W: Any, stride: Pair = (1, 1), padding: Pair = (0, 0), dilation: Pair = (1, 1), groups: int = 1
) -> Any:
    """x (N, H, W, C), W (R, S, C/groups, K) → y (N, OH, OW, K)."""
    way = _way(x, x.shape, W.shape, stride, padding, dilation, groups)
    return way.conv2d(x, W, stride, padding, dilation, groups)


def conv2d_input_grad(
    dy: Any, W: Any, size: Pair, stride: Pair = (1, 1), padding: Pair = (0, 0), dilation: Pair = (1, 1), groups: int = 1
) -> Any:
    """dy (N, OH, OW, K), W (R, S, C/groups, K) → dx (N, H, W, C) for `size` = (H, W)."""
    x_shape = (len(dy), *size, W.shape[2] * groups)
    way = _way(dy, x_shape, W.shape, stride, padding, dilation, groups)
    return way.conv2d_input_grad(dy, W, size, stride, padding, dilation, groups)


def conv2d_weight_grad(
    x: Any,
    dy: Any,
    kernel: Pair,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Any:
    """x (N, H, W, C), dy (N, OH, OW, K) → dW (R, S, C/groups, K) for `kernel` = (R, S)."""
    W_shape = (*kernel, x.shape[-1] // groups, dy.shape[-1])
    way = _way(x, x.shape, W_shape, stride, padding, dilation, groups)
    return way.conv2d_weight_grad(x, dy, kernel, stride, padding, dilation, groups)


def _way(array: Any, x_shape: tuple, W_shape: tuple, *geometry: Any) -> Any:
    """The module whose function is called: the same for all three kernels of a convolution."""
    if minimal.pays(x_shape, W_shape, *geometry, array_module(array)):
        return minimal
    (*_, C_in_group, K), groups = W_shape, geometry[-1]
    return depthwise if C_in_group == 1 and groups == K > 1 else patches
