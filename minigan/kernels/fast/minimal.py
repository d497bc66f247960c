"""The three convolution kernels with about half of the multiplications, for 4×4 at stride 2 and 3×3 at stride 1.

Neighboring outputs of a convolution see overlapping patches, so some of their products can be shared (tiles.py derives
this). The convolution becomes p² matrix products, p = 3, 4 or 6, between linear maps:

    U = inputs(x)        V = weights(W)        M_ij = U_ij V_ij        y = outputs(M)

The gradients follow as they do for y = P W in patches.py:

    dM = outputs_adjoint(dy)        dU_ij = dM_ij V_ijᵀ        dx = inputs_adjoint(dU)
                                    dV_ij = U_ijᵀ dM_ij        dW = weights_adjoint(dV)

A 4×4 kernel at stride 2 takes 9/16 of the multiplications. A 3×3 kernel at stride 1 takes 36/144 in float32, in tiles
of 4×4 outputs, and 16/36 in float64, in tiles of 2×2, whose sums are rounded less. In float32, results differ from
those of patches.py by about 1e-6 of the largest.

`dilation` must be 1. It is an argument only because the other ways have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.kernels.fast.elementwise import product
from minigan.kernels.fast.patches import other_padding, turned
from minigan.kernels.fast.tiles import Tiling
from minigan.kernels.geometry import Pair
from minigan.threads.crew import in_parallel
from minigan.threads.partition import pieces, shares

# Of U or M for a block of tiles, which should stay in a thread's cache; but with fewer rows, products are slow
BLOCK_BYTES, BLOCK_TILES = 1 << 20, 192
WEIGHTS_BLOCK = 1 << 19  # numbers of V at a time, for the same reason
LEAST_WEIGHTS = 1 << 13  # C·K: with fewer, handing over parts takes longer than it saves
# Where it pays, measured: (kernel, stride) → the least C·K, tiles of all pictures together, and C·K·tiles. With less,
# the transforms (C + K numbers for a tile, C·K in all) cost more than the products save.
LEAST = {(4, 2): (1 << 13, 128, 1 << 23), (3, 1): (1 << 10, 64, 1 << 19)}


def pays(x_shape: tuple, W_shape: tuple, stride: Pair, padding: Pair, dilation: Pair, xp: Any) -> bool:
    """Whether this is the faster way: on a CPU, for a kernel that it can do, with channels and tiles enough."""
    (N, H, W, C), (R, S, _, K) = x_shape, W_shape
    square = R == S and stride[0] == stride[1]
    if xp is not np or not square or (R, stride[0]) not in LEAST or dilation != (1, 1):
        return False
    least_channels, least_tiles, least_work = LEAST[R, stride[0]]
    channels = C * K
    if channels < least_channels:
        return False
    tiling = _tiling((H, W), R, stride[0], padding, np.float32)
    tiles = N * tiling.TH * tiling.TW
    return tiles >= least_tiles and channels * tiles >= least_work


def conv2d(x: Any, W: Any, stride: Pair, padding: Pair, dilation: Pair) -> Any:
    """x (N, H, W, C), W (R, S, C, K) → y (N, OH, OW, K)."""
    xp = array_module(x)
    (N, *size, _), (R, _, C, K) = x.shape, W.shape
    tiling = _tiling(size, R, stride[0], padding, x.dtype)
    V = _weights(tiling, W, x.dtype)
    y = xp.empty((N, *tiling.out_size, K), x.dtype)

    def work(part: tuple[slice, slice, slice]) -> None:
        block, tile_rows, rows = part
        U = tiling.inputs(x[block], tile_rows)
        tiling.outputs(product(U, V), y[block, rows])  # (p², tiles, F) @ (p², F, K)

    in_parallel(work, _blocks(N, tiling, C, K), on_host=xp is np)
    return y


def conv2d_input_grad(dy: Any, W: Any, size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Any:
    """dy (N, OH, OW, K), W (R, S, C, K) → dx (N, H, W, C) for `size` = (H, W)."""
    xp = array_module(dy)
    N, (R, _, C, K) = len(dy), W.shape
    if stride == (1, 1) and max(padding) < R:  # then no tiles need adding up
        return conv2d(dy, turned(W), stride, other_padding((R, R), padding, dilation), dilation)
    tiling = _tiling(size, R, stride[0], padding, dy.dtype)
    V = _weights(tiling, W, dy.dtype)
    dx = xp.empty((N, *size, C), dy.dtype)

    def work(block: slice) -> None:
        dM = tiling.outputs_adjoint(dy[block])
        tiling.inputs_adjoint(product(dM, V.swapaxes(1, 2)), dx[block])  # (p², tiles, K) @ (p², K, F)

    in_parallel(work, pieces(N, _tiles_of_a_block(tiling, C, K) // (tiling.TH * tiling.TW)), on_host=xp is np)
    return dx


def conv2d_weight_grad(x: Any, dy: Any, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Any:
    """x (N, H, W, C), dy (N, OH, OW, K) → dW (R, S, C, K) for `kernel` = (R, S)."""
    xp = array_module(x)
    (N, *size, C), K = x.shape, dy.shape[-1]
    tiling = _tiling(size, kernel[0], stride[0], padding, x.dtype)

    def work(blocks: Sequence[tuple[slice, slice, slice]]) -> Any:
        dV = None
        for block, tile_rows, rows in blocks:
            U, dM = tiling.inputs(x[block], tile_rows), tiling.outputs_adjoint(dy[block, rows])
            dV_block = product(U.swapaxes(1, 2), dM)  # (p², F, tiles) @ (p², tiles, K)
            dV = dV_block if dV is None else xp.add(dV, dV_block, out=dV)
        return dV

    dV, *others = in_parallel(work, shares(_blocks(N, tiling, C, K)), on_host=xp is np)
    s = tiling.stride
    dV, *others = (array.reshape(tiling.p**2, s, s, C * K) for array in (dV, *others))
    dW = xp.empty((*kernel, C, K), x.dtype)
    by_taps = tiling.by_taps(dW)

    def transform(part: tuple[int, int, slice]) -> None:
        a, b, some = part
        for other in others:
            dV[:, a, b, some] += other[:, a, b, some]
        tiling.weights_adjoint(dV[:, a, b, some], by_taps[:, :, a, b, some])

    in_parallel(transform, _parts_of_weights(tiling, C, K), on_host=xp is np)
    return dW


def _tiling(size: Sequence[int], kernel: int, stride: int, padding: Pair, dtype: Any) -> Tiling:
    """Tiles of 4×4 outputs for three taps in float32, if that means fewer products; else of 2×2."""
    tiling = Tiling(tuple(size), kernel, stride, padding)
    if kernel // stride != 3 or dtype != np.float32:
        return tiling
    larger = Tiling(tuple(size), kernel, stride, padding, 4)
    return min(larger, tiling, key=lambda t: t.p**2 * t.TH * t.TW)


def _weights(tiling: Tiling, W: Any, dtype: Any) -> Any:
    """V (p², F, K) of W (R, S, C, K), in the dtype of the pictures."""
    (*_, C, K), s, xp = W.shape, tiling.stride, array_module(W)
    by_taps = tiling.by_taps(xp.ascontiguousarray(W.astype(dtype, copy=False)))
    V = xp.empty((tiling.p**2, s, s, C * K), dtype)

    def transform(part: tuple[int, int, slice]) -> None:
        a, b, some = part
        tiling.weights(by_taps[:, :, a, b, some], V[:, a, b, some])

    in_parallel(transform, _parts_of_weights(tiling, C, K), on_host=xp is np)
    return V.reshape(tiling.p**2, -1, K)


def _parts_of_weights(tiling: Tiling, C: int, K: int) -> list[tuple[int, int, slice]]:
    """Parts of the weights for several threads: one of the s×s folded pixels, and some of the C·K numbers.

    They don't depend on the number of threads, so that the bits don't either.
    """
    s, threads = range(tiling.stride), 4 if C * K >= LEAST_WEIGHTS else 1
    parts = pieces(C * K, WEIGHTS_BLOCK // tiling.p**2, threads)
    return [(a, b, some) for a in s for b in s for some in parts]


def _blocks(N: int, tiling: Tiling, C: int, K: int) -> list[tuple[slice, slice, slice]]:
    """Blocks of pictures, and of some rows of tiles where a picture has many: (pictures, rows of tiles, rows of y).

    The rows don't depend on the number of threads, so that the bits of a single picture don't either.
    """
    most, OH = _tiles_of_a_block(tiling, C, K), tiling.out_size[0]
    rows = pieces(tiling.TH, most // tiling.TW, threads=2 if N == 1 else 1)
    of_y = [slice(tiling.m * some.start, min(OH, tiling.m * some.stop)) for some in rows]
    blocks = pieces(N, most // (tiling.TH * tiling.TW))
    return [(block, *some) for block in blocks for some in zip(rows, of_y, strict=True)]


def _tiles_of_a_block(tiling: Tiling, C: int, K: int) -> int:
    """How many tiles the cache allows."""
    return max(BLOCK_TILES, BLOCK_BYTES // (4 * tiling.p**2 * max(tiling.stride**2 * C, K)))
