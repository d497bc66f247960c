"""The three convolution kernels with a window of its own for each channel: groups = C = K, W is (R, S, 1, C).

W_rs has one number for a channel here, so the products are of numbers, not of matrices:

    y += x_rs · W_rs            dx_rs += dy · W_rs            dW_rs = Σ_{n, i, j} x_rs · dy
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.kernels.fast.reductions import sum_over
from minigan.kernels.geometry import Pair, output_size, padded, padded_size, places, unpadded
from minigan.threads.crew import in_parallel
from minigan.threads.partition import pieces

BLOCK_BYTES = 1 << 19  # of y for a block of pictures: it is read and written R·S times, and should stay in the cache


def conv2d(x: Any, W: Any, stride: Pair, padding: Pair, dilation: Pair) -> Any:
    """x (N, H, W, C), W (R, S, 1, C) → y (N, OH, OW, C)."""
    xp, (N, *size, C), kernel = array_module(x), x.shape, W.shape[:2]
    out_size = output_size(size, kernel, stride, padding, dilation)
    y = xp.zeros((N, *out_size, C), x.dtype)
    W_rows = _along_rows(W, y)

    def work(block: slice) -> None:
        y_block, product = y[block], xp.empty_like(y[block])
        for r, s, x_rs in places(padded(x[block], padding), out_size, kernel, stride, dilation):
            y_block += xp.multiply(x_rs, W_rows[r, s], out=product)

    in_parallel(work, _blocks(y), on_host=xp is np)
    return y


def conv2d_input_grad(dy: Any, W: Any, size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Any:
    """dy (N, OH, OW, C), W (R, S, 1, C) → dx (N, H, W, C) for `size` = (H, W)."""
    xp, (N, *out_size, C), kernel = array_module(dy), dy.shape, W.shape[:2]
    dx = xp.empty((N, *size, C), dy.dtype)
    W_rows = _along_rows(W, dy)

    def work(block: slice) -> None:
        dy_block, product = dy[block], xp.empty_like(dy[block])
        dx_padded = xp.zeros((len(dy_block), *padded_size(size, padding), C), dy.dtype)
        for r, s, dx_rs in places(dx_padded, out_size, kernel, stride, dilation):
            dx_rs += xp.multiply(dy_block, W_rows[r, s], out=product)
        dx[block] = unpadded(dx_padded, padding)

    in_parallel(work, _blocks(dy), on_host=xp is np)
    return dx


def conv2d_weight_grad(x: Any, dy: Any, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Any:
    """x (N, H, W, C), dy (N, OH, OW, C) → dW (R, S, 1, C) for `kernel` = (R, S)."""
    xp, C = array_module(x), x.shape[3]

    def work(block: slice) -> Any:
        dW = xp.empty((*kernel, 1, C), x.dtype)
        for r, s, x_rs in places(padded(x[block], padding), dy.shape[1:3], kernel, stride, dilation):
            dW[r, s] = sum_over((x_rs, dy[block]), axes=(0, 1, 2)).reshape(1, C)
        return dW

    return sum(in_parallel(work, _blocks(dy), on_host=xp is np))


def _along_rows(W: Any, y: Any) -> Any:
    """W (R, S, 1, C) → (R, S, OW, C), repeated: NumPy's inner loop is then a row of pixels, not one pixel."""
    return W.astype(y.dtype, copy=False).repeat(y.shape[2], axis=2)


def _blocks(y: Any) -> list[slice]:
    """Cut the pictures of y (N, OH, OW, C) into blocks that stay in the cache; on a GPU, one block."""
    N = len(y)
    return pieces(N, BLOCK_BYTES * N // max(1, y.nbytes)) if isinstance(y, np.ndarray) else [slice(0, N)]
