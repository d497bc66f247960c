"""Convolutions at stride 1 with few channels on one side: first the products, then sums of shifted planes.

patches.py copies the R·S·C numbers that each output sees, 49 times x for a 7×7 kernel. But of the products of a pixel
of x with the weights, summed over c, there are only R·S·K, which are far fewer numbers if K is 1 or 3. So these sums
over c are computed first, for all places (r, s) of the window, here for one picture x (H, W, C) and W (R, S, C, K):

    Z[r, s, k, i, j] = Σ_c W[r, s, c, k] x[i, j, c]                  (R·S·K, C) @ (C, H·W)
    y[i, j, k] = Σ_rs Z[r, s, k, i + r·dilation − padding, j + s·dilation − padding]

Z[r, s, k] is a plane (H, W) with contiguous rows, so adding shifted planes is fast. Terms outside of the picture are
left out, because x is zero there.

At stride 1, both gradients are those of a convolution in the other direction, from dy to dx, with the window W' turned
by 180°, its channels exchanged, and another padding (`turned` and `other_padding` of patches.py):

    W'[r, s, k, c] = W[R − 1 − r, S − 1 − s, c, k]                   padding' = dilation·(R − 1) − padding
    dx = conv2d(dy, W', padding')
    dW' = conv2d_weight_grad(dy, x, padding')                        dW is dW' turned back

padding' must not be negative. If K is small, y is a sum of planes, and dx and dW' need patches of dy alone, with R·S·K
numbers for each pixel. If C is small, it is the other way round: y and dW need patches of x alone, with R·S·C numbers,
and dx, a convolution to few channels, is a sum of planes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.kernels.fast import patches
from minigan.kernels.fast.elementwise import product
from minigan.kernels.fast.patches import other_padding, turned
from minigan.kernels.geometry import Pair, output_size
from minigan.threads.crew import in_parallel

# Where it pays, measured: at most MOST channels on one side, and at least FEWER times as many on the other
MOST, FEWER = 8, 4


def pays(x_shape: tuple, W_shape: tuple, stride: Pair, padding: Pair, dilation: Pair, xp: Any) -> bool:
    """Whether this is the faster way: on a CPU, at stride 1, with few channels on one side, and enough outputs.

    False also if the padding is larger than dilation·(kernel − 1): then the gradients would need a negative padding'.
    """
    (_, H, W, _), (R, S, C, K) = x_shape, W_shape
    OH, OW = output_size((H, W), (R, S), stride, padding, dilation)
    one_sided = _few(C, K) or _few(K, C)
    # Z has R·S·K numbers for each pixel, most of them unused if there are few outputs, as in a critic's last layer
    suits = R * S > 1 and stride == (1, 1) and 2 * OH * OW >= H * W
    return xp is np and one_sided and suits and min(other_padding((R, S), padding, dilation)) >= 0


def conv2d(x: Any, W: Any, stride: Pair, padding: Pair, dilation: Pair) -> Any:
    """x (N, H, W, C), W (R, S, C, K) → y (N, OH, OW, K)."""
    (N, *size, C), (R, S, _, K) = x.shape, W.shape
    if not _few(K, C):
        return patches.conv2d(x, W, stride, padding, dilation)
    xp, out_size = array_module(x), output_size(size, (R, S), stride, padding, dilation)
    y = xp.empty((N, *out_size, K), x.dtype)
    W_rows = W.transpose(0, 1, 3, 2).reshape(R * S * K, C).astype(x.dtype, copy=False)

    def work(block: slice) -> None:
        Z = product(W_rows, x[block].reshape(-1, C).T)  # (R·S·K, C) @ (C, n·H·W), below (R, S, K, n, H, W)
        sums = _shifted_sums(Z.reshape(R, S, K, -1, *size), out_size, padding, dilation)
        y[block] = xp.moveaxis(sums, 0, -1)  # (K, n, OH, OW) → (n, OH, OW, K)

    in_parallel(work, patches.blocks_of_pictures(x, R * S * K), on_host=xp is np)
    return y


def conv2d_input_grad(dy: Any, W: Any, size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Any:
    """dy (N, OH, OW, K), W (R, S, C, K) → dx (N, H, W, C) for `size` = (H, W), by the turned window."""
    return conv2d(dy, turned(W), stride, other_padding(W.shape[:2], padding, dilation), dilation)


def conv2d_weight_grad(x: Any, dy: Any, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Any:
    """x (N, H, W, C), dy (N, OH, OW, K) → dW (R, S, C, K) for `kernel` = (R, S)."""
    if not _few(dy.shape[3], x.shape[3]):
        return patches.conv2d_weight_grad(x, dy, kernel, stride, padding, dilation)
    other = other_padding(kernel, padding, dilation)
    return turned(patches.conv2d_weight_grad(dy, x, kernel, stride, other, dilation))  # (R, S, K, C) → (R, S, C, K)


def _few(channels: int, others: int) -> bool:
    return channels <= MOST and FEWER * channels <= others


def _shifted_sums(Z: Any, out_size: Pair, padding: Pair, dilation: Pair) -> Any:
    """Z (R, S, K, n, H, W) → the sum over (r, s) of Z[r, s] shifted by (r, s)·dilation − padding: (K, n, OH, OW).

    First the sums over r, of all S·K planes at once: a few long operations in place of many short ones.
    """
    R, S, K, n, H, W = Z.shape
    over_r = array_module(Z).zeros((S, K, n, out_size[0], W), Z.dtype)
    for r in range(R):
        rows, rows_of_Z = _overlap(out_size[0], H, r * dilation[0] - padding[0])
        over_r[:, :, :, rows] += Z[r, :, :, :, rows_of_Z]
    sums = array_module(Z).zeros((K, n, *out_size), Z.dtype)
    for s in range(S):
        columns, columns_of_Z = _overlap(out_size[1], W, s * dilation[1] - padding[1])
        sums[..., columns] += over_r[s, ..., columns_of_Z]
    return sums


def _overlap(n_out: int, n: int, shift: int) -> tuple[slice, slice]:
    """The outputs i of n_out for which i + shift is one of n pixels, and these pixels."""
    first = max(0, -shift)
    last = max(first, min(n_out, n - shift))
    return slice(first, last), slice(first + shift, last + shift)
