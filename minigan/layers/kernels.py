"""Convolution as three kernels, and no others.

The correlation of pictures x with a kernel W,

    y[n, i, j, k] = Σ_{r, s, c} x[n, i·stride + r − padding, j·stride + s − padding, c] · W[r, s, c, k],

is linear in x and linear in W. So it has two adjoints, and these three close under differentiation: whatever gradient
of whatever order is asked for, it is one of

    conv2d(x, W)                → y          the correlation
    conv2d_input_grad(dy, W)    → dx         its adjoint in x
    conv2d_weight_grad(x, dy)   → dW         its adjoint in W

with  ⟨conv2d(x, W), dy⟩ = ⟨x, conv2d_input_grad(dy, W)⟩ = ⟨W, conv2d_weight_grad(x, dy)⟩.

Each is a matrix product with the patch matrix P, whose row (n, i, j) holds the R·S·C numbers that output (i, j) sees:

    y = P W          dP = dy Wᵀ, scattered back to x          dW = Pᵀ dy

P is R·S/stride² times as large as x. It is made for a few pictures at a time, so that it stays in the processor's
cache and its size doesn't depend on the batch. The threads that there are work on such blocks side by side.

Letters: x (N, H, W, C), W (R, S, C, K), y (N, OH, OW, K). `stride` and `padding` are pairs (height, width).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.kernels.elementwise import product
from minigan.threads.crew import in_parallel
from minigan.threads.partition import LEAST_PRODUCT, pieces, shares

Pair = tuple[int, int]

# The patch matrix of a block of pictures: on a CPU it should fit in the cache, on a GPU be large enough to fill it.
CPU_BLOCK_BYTES = 4 << 20
GPU_BLOCK_BYTES = 256 << 20


def output_size(size: Pair, kernel: Pair, stride: Pair, padding: Pair) -> Pair:
    """(OH, OW) of a correlation; the last rows and columns may be left over when the stride doesn't divide."""
    return tuple((n + 2 * p - k) // s + 1 for n, k, s, p in zip(size, kernel, stride, padding, strict=True))


def conv2d(x: Any, W: Any, stride: Pair = (1, 1), padding: Pair = (0, 0)) -> Any:
    """Correlate: x (N, H, W, C), W (R, S, C, K) → y (N, OH, OW, K)."""
    xp = array_module(x)
    (N, *size, _), (R, S, C, K) = x.shape, W.shape
    OH, OW = output_size(size, (R, S), stride, padding)
    y = xp.empty((N, OH, OW, K), x.dtype)
    W_matrix = W.reshape(R * S * C, K).astype(x.dtype, copy=False)

    def work(block: slice) -> None:
        P = patch_matrix(x[block], (R, S), stride, padding)
        product(P, W_matrix, out=y[block].reshape(-1, K))  # (n·OH·OW, R·S·C) @ (R·S·C, K)

    in_parallel(work, blocks_of_pictures(y, R * S * C), on_host=xp is np)
    return y


def conv2d_input_grad(dy: Any, W: Any, size: Pair, stride: Pair = (1, 1), padding: Pair = (0, 0)) -> Any:
    """Adjoint of `conv2d` in x: dy (N, OH, OW, K), W (R, S, C, K) → dx (N, H, W, C) for `size` = (H, W).

    Every number of P was copied from one place of the padded x, so its gradient is added to that place.
    """
    xp = array_module(dy)
    (N, OH, OW, K), (R, S, C, _) = dy.shape, W.shape
    if stride == (1, 1) and tuple(size) == (OH, OW) and K <= C and (xp is not np or N * OH * OW >= 16 * K):
        # dx is a correlation, too, of dy with W turned round: to gather is less work than to scatter, if W is small
        return conv2d(dy, W[::-1, ::-1].swapaxes(2, 3), stride, padding)
    dx = xp.empty((N, *size, C), dy.dtype)
    W_matrix = W.reshape(R * S * C, K).astype(dy.dtype, copy=False)

    def work(block: slice) -> None:
        dP = product(dy[block].reshape(-1, K), W_matrix.T)  # (n·OH·OW, K) @ (K, R·S·C)
        dx_padded = dx[block]
        if padding != (0, 0):
            dx_padded = xp.empty((len(dx_padded), *padded_size(size, padding), C), dy.dtype)
        scatter_patches(dP.reshape(-1, OH, OW, R, S, C), dx_padded, stride)
        if padding != (0, 0):
            dx[block] = unpadded(dx_padded, padding)

    in_parallel(work, blocks_of_pictures(dy, R * S * C), on_host=xp is np)
    return dx


def conv2d_weight_grad(x: Any, dy: Any, kernel: Pair, stride: Pair = (1, 1), padding: Pair = (0, 0)) -> Any:
    """Adjoint of `conv2d` in W: x (N, H, W, C), dy (N, OH, OW, K) → dW (R, S, C, K) for `kernel` = (R, S)."""
    xp = array_module(x)
    (R, S), C, K = kernel, x.shape[-1], dy.shape[-1]

    def work(blocks: list[slice]) -> Any:
        dW = None
        for block in blocks:
            P = patch_matrix(x[block], kernel, stride, padding)
            dW_block = product(P.T, dy[block].reshape(-1, K))  # (R·S·C, n·OH·OW) @ (n·OH·OW, K)
            dW = dW_block if dW is None else xp.add(dW, dW_block, out=dW)
        return dW

    blocks = blocks_of_pictures(dy, R * S * C)
    dW, *others = in_parallel(work, shares(blocks) if xp is np else [blocks], on_host=xp is np)
    for other in others:
        dW += other
    return dW.reshape(R, S, C, K)


def patch_matrix(x: Any, kernel: Pair, stride: Pair, padding: Pair) -> Any:
    """x (n, H, W, C) → P (n·OH·OW, R·S·C)."""
    (n, *size, C), (R, S) = x.shape, kernel
    OH, OW = output_size(size, kernel, stride, padding)
    return patches(padded(x, padding), (OH, OW), kernel, stride).reshape(n * OH * OW, R * S * C)  # this copies


def patches(x_padded: Any, out_size: Pair, kernel: Pair, stride: Pair, corner: Pair = (0, 0)) -> Any:
    """View x_padded (n, H, W, C) as patches (n, OH, OW, R, S, C), overlapping, without a copy.

    patches[n, i, j, r, s, c] is x_padded[n, i·stride + corner + r, j·stride + corner + s, c].
    """
    step_n, step_h, step_w, step_c = x_padded.strides
    return array_module(x_padded).lib.stride_tricks.as_strided(
        x_padded[:, corner[0] :, corner[1] :],
        (x_padded.shape[0], *out_size, *kernel, x_padded.shape[3]),
        (step_n, step_h * stride[0], step_w * stride[1], step_h, step_w, step_c),
    )


def scatter_patches(dP: Any, dx_padded: Any, stride: Pair) -> None:
    """Adjoint of `patches`: set dx_padded (n, H, W, C) to the sum of dP (n, OH, OW, R, S, C) over all patches.

    Patches overlap, so they can't be added at one go. But kernel positions inside one stride × stride tile of the
    kernel never fall on the same place for two outputs: a tile at a time can. The first whole tile leaves no gaps, so
    it is written rather than added, and only what lies beyond it has to be zero.
    """
    _, OH, OW, R, S, _ = dP.shape
    if OH == OW == 1:  # one patch a picture overlaps with nothing
        stride = (R, S)
    whole = stride[0] <= R and stride[1] <= S
    if whole:
        dx_padded[:, OH * stride[0] :] = 0
        dx_padded[:, :, OW * stride[1] :] = 0
    else:
        dx_padded.fill(0)
    for r in range(0, R, stride[0]):
        for s in range(0, S, stride[1]):
            tile = (min(stride[0], R - r), min(stride[1], S - s))
            places = patches(dx_padded, (OH, OW), tile, stride, corner=(r, s))  # (n, OH, OW, *tile, C)
            dP_tile = dP[:, :, :, r : r + tile[0], s : s + tile[1]]
            if whole and r == s == 0:
                places[...] = dP_tile
            else:
                places += dP_tile


def padded(x: Any, padding: Pair) -> Any:
    """x (n, H, W, C) inside a frame of `padding` zeros."""
    if padding == (0, 0):
        return x
    n, *size, C = x.shape
    result = array_module(x).zeros((n, *padded_size(size, padding), C), x.dtype)
    unpadded(result, padding)[...] = x
    return result


def unpadded(x_padded: Any, padding: Pair) -> Any:
    """View of the pictures inside their frame: the adjoint of `padded`."""
    (ph, pw), (_, H, W, _) = padding, x_padded.shape
    return x_padded[:, ph : H - ph, pw : W - pw]


def padded_size(size: Pair, padding: Pair) -> Pair:
    """(H + 2p, W + 2p)."""
    return size[0] + 2 * padding[0], size[1] + 2 * padding[1]


def blocks_of_pictures(y: Any, patch_size: int) -> list[slice]:
    """Cut the pictures of y (N, OH, OW, K) into blocks whose patches, of `patch_size` numbers, fit in the cache."""
    N, OH, OW, _ = y.shape
    if OH == OW == 1:  # a dense layer, and `product` cuts its matrices up better
        return [slice(0, N)]
    per_picture = max(1, OH * OW * patch_size * y.dtype.itemsize)
    if not isinstance(y, np.ndarray):
        return pieces(N, GPU_BLOCK_BYTES // per_picture, threads=1)
    return pieces(N, CPU_BLOCK_BYTES // per_picture, threads=1 if y.size * patch_size < LEAST_PRODUCT else None)
