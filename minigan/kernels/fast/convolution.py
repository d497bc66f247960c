"""The choice between four ways of computing a convolution, which give the same numbers up to rounding.

* patches.py: any convolution, by one large matrix product;
* minimal.py: on a CPU, 4×4 kernels at stride 2, and 3×3, 4×4, 5×5, 7×7 and 9×9 at stride 1, with enough channels: fewer
  multiplications;
* planes.py: on a CPU, stride 1 to or from a few channels: products before sums;
* depthwise.py: a window of its own for each channel: products of numbers, not of matrices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigan.backend import array_module
from minigan.errors import ShapeError
from minigan.kernels.fast import depthwise, minimal, patches, planes
from minigan.kernels.geometry import Pair, channel_groups, output_size


def conv2d(
    x: Any, W: Any, stride: Pair = (1, 1), padding: Pair = (0, 0), dilation: Pair = (1, 1), groups: int = 1
) -> Any:
    """x (N, H, W, C), W (R, S, C/groups, K) → y (N, OH, OW, K)."""
    geometry = stride, padding, dilation
    way, groups = _way(x, x.shape, W.shape, groups, geometry)
    return _by_group(lambda x, W: way.conv2d(x, W, *geometry), x, W, groups)


def conv2d_input_grad(
    dy: Any, W: Any, size: Pair, stride: Pair = (1, 1), padding: Pair = (0, 0), dilation: Pair = (1, 1), groups: int = 1
) -> Any:
    """dy (N, OH, OW, K), W (R, S, C/groups, K) → dx (N, H, W, C) for `size` = (H, W)."""
    geometry = stride, padding, dilation
    if output_size(size, W.shape[:2], *geometry) != tuple(dy.shape[1:3]):  # scatter_patches would write beyond dx
        raise ShapeError(f"no picture of size {tuple(size)} has outputs of size {tuple(dy.shape[1:3])}")
    way, groups = _way(dy, (len(dy), *size), W.shape, groups, geometry)
    return _by_group(lambda dy, W: way.conv2d_input_grad(dy, W, size, *geometry), dy, W, groups)


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
    geometry = stride, padding, dilation
    way, groups = _way(x, x.shape, (*kernel, x.shape[3] // groups, dy.shape[3]), groups, geometry)
    return _by_group(lambda x, dy: way.conv2d_weight_grad(x, dy, kernel, *geometry), x, dy, groups)


def _way(array: Any, x_shape: tuple, W_shape: tuple, groups: int, geometry: tuple[Pair, Pair, Pair]) -> tuple[Any, int]:
    """The module whose function is called, and for how many groups: the same for all three kernels of a convolution."""
    R, S, C_in_group, K = W_shape
    if C_in_group == 1 and groups == K > 1:
        return depthwise, 1
    x_shape, W_shape = (*x_shape[:3], C_in_group), (R, S, C_in_group, K // groups)
    xp = array_module(array)
    return next((way for way in (minimal, planes) if way.pays(x_shape, W_shape, *geometry, xp)), patches), groups


def _by_group(kernel: Callable[[Any, Any], Any], a: Any, b: Any, groups: int) -> Any:
    """Call `kernel` for each group, and join the results: x, W and y all have their groups along the last axis."""
    if groups == 1:
        return kernel(a, b)
    parts = channel_groups(a.shape[-1], b.shape[-1], groups)
    return array_module(a).concatenate([kernel(a[..., i], b[..., j]) for i, j in parts], axis=-1)
