"""The three convolution kernels where each group has one input channel: W is (R, S, 1, K), with K = m·C.

W_rs has one row for a group here, so the products are of single numbers, channel by channel:

    y += x_rs · W_rs            dx_rs += dy · W_rs            dW_rs = Σ_{n, i, j} x_rs · dy

If m is larger than 1, each channel of x is repeated m times first, and dx summed over the m copies.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.kernels.geometry import Pair, output_size, padded, padded_size, places, unpadded
from minigan.threads.crew import in_parallel
from minigan.threads.partition import pieces

BLOCK_BYTES = 1 << 19  # of y for a block of pictures: it is read and written R·S times, and should stay in the cache


def conv2d(
    x: Any, W: Any, stride: Pair = (1, 1), padding: Pair = (0, 0), dilation: Pair = (1, 1), groups: int = 1
) -> Any:
    """x (N, H, W, C), W (R, S, 1, K) → y (N, OH, OW, K), with C = `groups`."""
    xp, (N, *size, C), (R, S, _, K) = array_module(x), x.shape, W.shape
    OH, OW = output_size(size, (R, S), stride, padding, dilation)
    y = xp.zeros((N, OH, OW, K), x.dtype)
    W_rows = _along_rows(W, OW, x.dtype)

    def work(block: slice) -> None:
        y_block, term = y[block], xp.empty(y[block].shape, x.dtype)
        for r, s, x_rs in places(padded(_repeated(x[block], K // C), padding), (OH, OW), (R, S), stride, dilation):
            y_block += xp.multiply(x_rs, W_rows[r, s], out=term)

    in_parallel(work, _blocks(y), on_host=xp is np)
    return y


def conv2d_input_grad(
    dy: Any,
    W: Any,
    size: Pair,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Any:
    """dy (N, OH, OW, K), W (R, S, 1, K) → dx (N, H, W, C) for `size` = (H, W), with C = `groups`."""
    xp, (N, OH, OW, K), (R, S, _, _) = array_module(dy), dy.shape, W.shape
    H, W_ = size
    dx = xp.empty((N, H, W_, groups), dy.dtype)
    W_rows = _along_rows(W, OW, dy.dtype)

    def work(block: slice) -> None:
        dy_block, term = dy[block], xp.empty(dy[block].shape, dy.dtype)
        dx_padded = xp.zeros((len(dy_block), *padded_size(size, padding), K), dy.dtype)
        for r, s, dx_rs in places(dx_padded, (OH, OW), (R, S), stride, dilation):
            dx_rs += xp.multiply(dy_block, W_rows[r, s], out=term)
        dx_block = unpadded(dx_padded, padding)  # (n, H, W, K), a view
        if groups < K:
            dx_block = dx_block.reshape(len(dy_block), H, W_, groups, K // groups).sum(axis=4)
        dx[block] = dx_block

    in_parallel(work, _blocks(dy), on_host=xp is np)
    return dx


def conv2d_weight_grad(
    x: Any,
    dy: Any,
    kernel: Pair,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Any:
    """x (N, H, W, C), dy (N, OH, OW, K) → dW (R, S, 1, K) for `kernel` = (R, S), with C = `groups`."""
    xp, (_, *out_size, K) = array_module(x), dy.shape

    def work(block: slice) -> Any:
        x_padded, dW = padded(_repeated(x[block], K // groups), padding), xp.empty((*kernel, 1, K), x.dtype)
        for r, s, x_rs in places(x_padded, out_size, kernel, stride, dilation):
            dW[r, s, 0] = _sum_over_pixels(x_rs, dy[block])
        return dW

    dW, *others = in_parallel(work, _blocks(dy), on_host=xp is np)
    for other in others:
        dW += other
    return dW


def _along_rows(W: Any, OW: int, dtype: Any) -> Any:
    """W (R, S, 1, K) → (R, S, OW, K), repeated: NumPy's inner loop is then a row of pixels, not one pixel."""
    return W.astype(dtype, copy=False).repeat(OW, axis=2)


def _repeated(x: Any, m: int) -> Any:
    """x (n, H, W, C) → (n, H, W, m·C), each channel m times."""
    return x if m == 1 else x.repeat(m, axis=3)


def _sum_over_pixels(x: Any, dy: Any) -> Any:
    """Σ_{n, i, j} x · dy: both (n, OH, OW, K) → (K,). Row by row, because long sums in float32 round more."""
    if isinstance(x, np.ndarray):
        return np.einsum("nijk,nijk->nik", x, dy).sum(axis=(0, 1))
    return (x * dy).sum(axis=(0, 1, 2))


def _blocks(y: Any) -> list[slice]:
    """Cut the pictures of y (N, OH, OW, K) into blocks that stay in the cache; on a GPU, one block."""
    N = len(y)
    return pieces(N, BLOCK_BYTES * N // max(1, y.nbytes)) if isinstance(y, np.ndarray) else [slice(0, N)]
