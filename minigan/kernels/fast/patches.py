"""The three convolution kernels by a matrix of patches (im2col).

The reference makes R·S small products; here they are one. Row (n, i, j) of the patch matrix P (elsewhere P is a
penalty) holds the R·S·C numbers that output (i, j) of picture n sees. With dy as the matrix (N·OH·OW, K) and W as
(R·S·C, K),

    y = P W          dP = dy Wᵀ, scattered back to dx          dW = Pᵀ dy

P is R·S/stride² times as large as x. It is made for a few pictures at a time, or in `conv2d` for some rows of one,
so that it stays in the processor's cache and its size doesn't depend on the batch; several threads work on such blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.kernels.fast.elementwise import product, product_into
from minigan.kernels.geometry import Pair, output_size, padded, padded_size, unpadded
from minigan.threads import partition
from minigan.threads.crew import in_parallel
from minigan.threads.partition import pieces, shares

# The patch matrix of a block of pictures: on a CPU it should fit in the cache, on a GPU be large enough to fill it.
CPU_BLOCK_BYTES = 4 << 20
CPU_TURNED_BYTES = 2 << 20  # for the product with Pᵀ, which reads P by columns
GPU_BLOCK_BYTES = 256 << 20


def conv2d(x: Any, W: Any, stride: Pair, padding: Pair, dilation: Pair) -> Any:
    """x (N, H, W, C), W (R, S, C, K) → y (N, OH, OW, K)."""
    xp = array_module(x)
    (N, *size, C), (R, S, _, K) = x.shape, W.shape
    OH, OW = output_size(size, (R, S), stride, padding, dilation)
    y = xp.empty((N, OH, OW, K), x.dtype)
    W_matrix = W.reshape(R * S * C, K).astype(x.dtype, copy=False)

    def work(part: tuple[slice, slice]) -> None:
        block, rows = part
        P = patch_matrix(x[block], (R, S), stride, padding, dilation, rows)
        product_into(y[block, rows].reshape(-1, K), P, W_matrix)  # (n·oh·OW, R·S·C) @ (R·S·C, K)

    in_parallel(work, blocks_of_rows(y, R * S * C), on_host=xp is np)
    return y


def conv2d_input_grad(dy: Any, W: Any, size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Any:
    """dy (N, OH, OW, K), W (R, S, C, K) → dx (N, H, W, C) for `size` = (H, W)."""
    xp = array_module(dy)
    (N, OH, OW, K), (R, S, C, _) = dy.shape, W.shape
    if stride == (1, 1) and _turning_pays(dy, W, size, padding, dilation):
        return conv2d(dy, turned(W), stride, other_padding((R, S), padding, dilation), dilation)
    dx = xp.empty((N, *size, C), dy.dtype)
    W_matrix = W.reshape(R * S * C, K).astype(dy.dtype, copy=False)

    def work(block: slice) -> None:
        dP = product(dy[block].reshape(-1, K), W_matrix.T)  # (n·OH·OW, K) @ (K, R·S·C)
        dx_padded = dx[block]
        if padding != (0, 0):
            dx_padded = xp.empty((len(dx_padded), *padded_size(size, padding), C), dy.dtype)
        scatter_patches(dP.reshape(-1, OH, OW, R, S, C), dx_padded, stride, dilation)
        if padding != (0, 0):
            dx[block] = unpadded(dx_padded, padding)

    in_parallel(work, blocks_of_pictures(dy, R * S * C), on_host=xp is np)
    return dx


def turned(W: Any) -> Any:
    """W (R, S, C, K) → W' (R, S, K, C), turned by 180°, a view: at stride 1, dx is a convolution of dy with W'.

    Put r' = R − 1 − r into the sum for dx, and likewise for the columns:

        dx[i] = Σ_r W[r] dy[i − r·dilation + padding] = Σ_r' W'[r'] dy[i + r'·dilation − padding']
    """
    return W[::-1, ::-1].swapaxes(2, 3)


def other_padding(kernel: Pair, padding: Pair, dilation: Pair) -> Pair:
    """padding' = dilation·(kernel − 1) − padding, for the convolution in the other direction."""
    return dilation[0] * (kernel[0] - 1) - padding[0], dilation[1] * (kernel[1] - 1) - padding[1]


def _turning_pays(dy: Any, W: Any, size: Pair, padding: Pair, dilation: Pair) -> bool:
    """Whether dx should be a convolution of dy with W turned, rather than the scattered dP. Measured on CPUs.

    Patches of dy hold R·S·K numbers for each pixel of dx, those of dx R·S·C for each output, and are scattered in R·S
    steps. But pixels are more than outputs, which means more multiplications; and with few rows, the copy of the turned
    W takes longer than these.
    """
    (N, OH, OW, K), (R, S, C, _) = dy.shape, W.shape
    if C < K or OH == OW == 1 or min(other_padding((R, S), padding, dilation)) < 0:
        return False
    similar = 10 * size[0] * size[1] <= 13 * OH * OW or 8 * K <= C
    return similar and (array_module(dy) is not np or N * OH * OW >= 4 * K)


def conv2d_weight_grad(x: Any, dy: Any, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Any:
    """x (N, H, W, C), dy (N, OH, OW, K) → dW (R, S, C, K) for `kernel` = (R, S)."""
    xp = array_module(x)
    (R, S), C, K = kernel, x.shape[-1], dy.shape[-1]

    def work(blocks: Sequence[slice]) -> Any:
        dW = None
        for block in blocks:
            P = patch_matrix(x[block], kernel, stride, padding, dilation)
            dW_block = product(P.T, dy[block].reshape(-1, K))  # (R·S·C, n·OH·OW) @ (n·OH·OW, K)
            dW = dW_block if dW is None else xp.add(dW, dW_block, out=dW)
        return dW

    blocks = blocks_of_pictures(dy, R * S * C, CPU_TURNED_BYTES)
    dW, *others = in_parallel(work, shares(blocks) if xp is np else [blocks], on_host=xp is np)
    for other in others:
        dW += other
    return dW.reshape(R, S, C, K)


def patch_matrix(
    x: Any, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1), rows: slice | None = None
) -> Any:
    """x (n, H, W, C) → P (n·OH·OW, R·S·C); with `rows`, only those of the OH rows of outputs."""
    (n, *size, C), (R, S) = x.shape, kernel
    OH, OW = output_size(size, kernel, stride, padding, dilation)
    if rows is None or rows == slice(0, OH):
        x_padded = padded(x, padding)
    else:
        x_padded, OH = _padded_rows(x, rows, R, stride, padding, dilation), rows.stop - rows.start
    P = patches(x_padded, (OH, OW), kernel, stride, dilation)  # (n, OH, OW, R, S, C), a view
    return P.reshape(n * OH * OW, R * S * C)  # this copies


def _padded_rows(x: Any, rows: slice, R: int, stride: Pair, padding: Pair, dilation: Pair) -> Any:
    """The rows of x (n, H, W, C) in its frame that these rows of outputs see: (n, h, W + 2·padding, C)."""
    (n, _, W, C), (ph, pw) = x.shape, padding
    first = rows.start * stride[0] - ph
    last = (rows.stop - 1) * stride[0] - ph + dilation[0] * (R - 1) + 1
    inside = x[:, max(0, first) : max(0, last)]
    if padding == (0, 0):
        return inside
    framed = array_module(x).zeros((n, last - first, W + 2 * pw, C), x.dtype)
    top = max(0, -first)
    framed[:, top : top + inside.shape[1], pw : pw + W] = inside
    return framed


def patches(
    x_padded: Any, out_size: Pair, kernel: Pair, stride: Pair, dilation: Pair = (1, 1), corner: Pair = (0, 0)
) -> Any:
    """View x_padded (n, H, W, C) as overlapping patches (n, OH, OW, R, S, C).

    patches[n, i, j, r, s, c] = x_padded[n, i·stride + corner + r·dilation, j·stride + corner + s·dilation, c]
    """
    step_n, step_h, step_w, step_c = x_padded.strides
    of_outputs = (step_h * stride[0], step_w * stride[1])
    of_places = (step_h * dilation[0], step_w * dilation[1])
    return array_module(x_padded).lib.stride_tricks.as_strided(
        x_padded[:, corner[0] :, corner[1] :],
        (x_padded.shape[0], *out_size, *kernel, x_padded.shape[3]),
        (step_n, *of_outputs, *of_places, step_c),
    )


def scatter_patches(dP: Any, dx_padded: Any, stride: Pair, dilation: Pair = (1, 1)) -> None:
    """Adjoint of `patches`: set dx_padded (n, H, W, C) to the sum of dP (n, OH, OW, R, S, C) over all patches.

    Patches overlap, so they can't be added in one operation. But outputs i ≠ i′ see the same pixel only at places r, r′
    with (i − i′)·stride = (r′ − r)·dilation: r′ − r is a multiple of stride/gcd(stride, dilation). In a tile of that
    many neighboring places every pixel occurs once, so a tile can be added at once. Without dilation, the first tile
    covers every pixel up to the last output; it is written, not added, and only the pixels behind it are zeroed.
    """
    _, OH, OW, R, S, _ = dP.shape
    tile = tuple(s // gcd(s, d) for s, d in zip(stride, dilation, strict=True))
    if OH == OW == 1:  # one patch in a picture overlaps with nothing
        stride = tile = (R, S)
    covers = dilation == (1, 1) and stride[0] <= R and stride[1] <= S
    if covers:
        dx_padded[:, OH * stride[0] :] = 0
        dx_padded[:, :, OW * stride[1] :] = 0
    else:
        dx_padded.fill(0)
    for r in range(0, R, tile[0]):
        for s in range(0, S, tile[1]):
            dP_tile = dP[:, :, :, r : r + tile[0], s : s + tile[1]]
            corner = (r * dilation[0], s * dilation[1])
            pixels = patches(dx_padded, (OH, OW), dP_tile.shape[3:5], stride, dilation, corner)  # like dP_tile
            if covers and r == s == 0:
                pixels[...] = dP_tile
            else:
                pixels += dP_tile


def blocks_of_rows(y: Any, patch_size: int) -> list[tuple[slice, slice]]:
    """Cut y (N, OH, OW, K) as `blocks_of_pictures` does, and pictures with too many patches into blocks of rows.

    The rows of a block don't depend on the number of threads, so that the bits of a single picture don't either.
    """
    _, OH, OW, _ = y.shape
    most = CPU_BLOCK_BYTES if isinstance(y, np.ndarray) else GPU_BLOCK_BYTES
    per_row = OW * patch_size * y.dtype.itemsize
    rows = [slice(0, OH)] if OH == OW == 1 or OH * per_row <= most else pieces(OH, most // per_row, threads=1)
    return [(block, some) for block in blocks_of_pictures(y, patch_size) for some in rows]


def blocks_of_pictures(y: Any, patch_size: int, most: int | None = None) -> list[slice]:
    """Cut the pictures of y (N, OH, OW, K) into blocks whose patches fit in the cache.

    patch_size: numbers in a patch; most: bytes of a block's patches, on a CPU (None: CPU_BLOCK_BYTES)
    """
    N, OH, OW, _ = y.shape
    if OH == OW == 1:  # a dense layer, and `product` cuts its matrices up better
        return [slice(0, N)]
    per_picture = max(1, OH * OW * patch_size * y.dtype.itemsize)
    if not isinstance(y, np.ndarray):
        return pieces(N, GPU_BLOCK_BYTES // per_picture, threads=1)
    small = y.size * patch_size < partition.LEAST_PRODUCT
    return pieces(N, (most or CPU_BLOCK_BYTES) // per_picture, threads=1 if small else None)
