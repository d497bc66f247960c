"""The three convolution kernels with about half of the multiplications, for square kernels of 3, 4, 5, 7 and 9 taps.

Neighboring outputs of a convolution see overlapping patches, so some of their products can be shared (tiles.py derives
this). The convolution becomes p² matrix products, p = 3 to 6, between linear maps:

    U = inputs(x)        V = weights(W)        M_ij = U_ij V_ij        y = outputs(M)

The gradients follow as they do for y = P W in patches.py:

    dM = outputs_adjoint(dy)        dU_ij = dM_ij V_ijᵀ        dx = inputs_adjoint(dU)
                                    dV_ij = U_ijᵀ dM_ij        dW = weights_adjoint(dV)

With several blocks of taps, U_ij is `rows_of` what `inputs` returns, and `rows_adjoint` comes before `inputs_adjoint`.

A 4×4 kernel at stride 2 takes 9/16 of the multiplications. At stride 1, kernels of 3×3, 4×4 and 5×5 take 1/4, 1/4 and
9/25 in float32, and of 7×7 about half. In float64, tiles are smaller, and their sums rounded less: 3×3 takes 4/9. In
float32, results differ from those of patches.py by about 1e-6 of the largest.

`dilation` must be 1. It is an argument only because the other ways have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product as combinations
from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.kernels.fast.elementwise import product
from minigan.kernels.fast.patches import other_padding, turned
from minigan.kernels.fast.tiles import Tiling
from minigan.kernels.geometry import Pair
from minigan.threads.crew import in_parallel
from minigan.threads.partition import pieces, shares

# Outputs of a tile and taps of a block, (m, t), by the taps of the kernel; with more, there are several blocks
FORMS = {2: ((2, 2),), 3: ((2, 3),), 4: ((2, 2),), 5: ((3, 3),)}
FORMS_FLOAT32 = {3: ((4, 3),), 4: ((3, 4),), 5: ((2, 5),)}  # fewer products, but their sums are rounded more
# Of U or M for a block of tiles, which should stay in a thread's cache; but with fewer rows, products are slow
BLOCK_BYTES, BLOCK_TILES = 1 << 20, 192
BLOCK_TILES_OF_BLOCKS = 400  # where there are several blocks of taps, so that V is larger
WEIGHTS_BLOCK = 1 << 19  # numbers of V at a time, for the same reason
LEAST_WEIGHTS = 1 << 13  # C·K: with fewer, handing over parts takes longer than it saves
# Where it pays, measured: (kernel, stride) → the least C·K, tiles of all pictures together, and C·K·tiles. With less,
# the transforms (C + K numbers for a tile, C·K in all) cost more than the products save.
LEAST = {
    (4, 2): (1 << 13, 128, 1 << 23),
    (3, 1): (1 << 10, 64, 1 << 19),
    (4, 1): (1 << 14, 64, 1 << 21),
    **dict.fromkeys(((5, 1), (7, 1), (9, 1)), (1 << 12, 256, 1 << 21)),
}


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
        tiling.outputs(_times_V(tiling, tiling.inputs(x[block], tile_rows), V), y[block, rows])

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
        dU = product(dM, V.swapaxes(1, 2))  # (p², tiles, K) @ (p², K, F)
        tiling.inputs_adjoint(tiling.rows_adjoint(dU, block.stop - block.start), dx[block])

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
            dM = tiling.outputs_adjoint(dy[block, rows])
            dV_block = _times_dM(tiling, tiling.inputs(x[block], tile_rows), dM)
            dV = dV_block if dV is None else xp.add(dV, dV_block, out=dV)
        return dV

    dV, *others = in_parallel(work, shares(_blocks(N, tiling, C, K)), on_host=xp is np)
    dV, *others = (array.reshape(_V_shape(tiling, C * K)) for array in (dV, *others))
    dW = tiling.with_zeros(xp.empty((*kernel, C, K), x.dtype))
    by_taps = tiling.by_taps(dW)

    def transform(part: tuple[Any, ...]) -> None:
        i, j, a, b, some = part
        for other in others:
            dV[:, i, j, a, b, some] += other[:, i, j, a, b, some]
        tiling.weights_adjoint(dV[:, i, j, a, b, some], by_taps[:, :, i, j, a, b, some])

    in_parallel(transform, _parts_of_weights(tiling, C, K), on_host=xp is np)
    return xp.ascontiguousarray(dW[: kernel[0], : kernel[1]])


def _times_V(tiling: Tiling, Bd: Any, V: Any) -> Any:
    """M_ij = U_ij V_ij: B d (p², n, h, w, s²·C), V (p², F, K) → M (p², tiles, K)."""
    if tiling.blocks == 1:
        return product(Bd.reshape(*V.shape[:1], -1, V.shape[1]), V)  # (p², tiles, F) @ (p², F, K)
    (_, n, h, w, _), b, xp = Bd.shape, tiling.blocks, array_module(Bd)
    M = xp.empty((len(V), n * (h - b + 1) * (w - b + 1), V.shape[2]), Bd.dtype)
    for ij in range(len(V)):  # U is larger than B d: only one U_ij at a time
        xp.matmul(tiling.rows_of(Bd[ij]), V[ij], out=M[ij])  # (tiles, F) @ (F, K)
    return M


def _times_dM(tiling: Tiling, Bd: Any, dM: Any) -> Any:
    """dV_ij = U_ijᵀ dM_ij: B d (p², n, h, w, s²·C), dM (p², tiles, K) → dV (p², F, K)."""
    if tiling.blocks == 1:
        U = Bd.reshape(*dM.shape[:2], -1)
        return product(U.swapaxes(1, 2), dM)  # (p², F, tiles) @ (p², tiles, K)
    xp = array_module(Bd)
    dV = xp.empty((len(dM), tiling.blocks**2 * Bd.shape[-1], dM.shape[2]), Bd.dtype)
    for ij in range(len(dM)):
        xp.matmul(tiling.rows_of(Bd[ij]).T, dM[ij], out=dV[ij])  # (F, tiles) @ (tiles, K)
    return dV


def _tiling(size: Sequence[int], kernel: int, stride: int, padding: Pair, dtype: Any) -> Tiling:
    """Of the forms for the kernel and the dtype, the one with the fewest products."""
    taps = -(-kernel // stride)
    forms = FORMS[min(taps, max(FORMS))] + (FORMS_FLOAT32.get(taps, ()) if dtype == np.float32 else ())
    tilings = [Tiling(tuple(size), kernel, stride, padding, *form) for form in forms]
    return min(tilings, key=lambda t: (t.p * t.blocks) ** 2 * t.TH * t.TW)


def _weights(tiling: Tiling, W: Any, dtype: Any) -> Any:
    """V (p², F, K) of W (R, S, C, K), in the dtype of the pictures."""
    (*_, C, K), xp = W.shape, array_module(W)
    by_taps = tiling.by_taps(tiling.with_zeros(xp.ascontiguousarray(W.astype(dtype, copy=False))))
    V = xp.empty(_V_shape(tiling, C * K), dtype)

    def transform(part: tuple[Any, ...]) -> None:
        i, j, a, b, some = part
        tiling.weights(by_taps[:, :, i, j, a, b, some], V[:, i, j, a, b, some])

    in_parallel(transform, _parts_of_weights(tiling, C, K), on_host=xp is np)
    return V.reshape(tiling.p**2, -1, K)


def _V_shape(tiling: Tiling, CK: int) -> tuple[int, ...]:
    """(p², blocks, blocks, s, s, C·K)."""
    b, s = tiling.blocks, tiling.stride
    return tiling.p**2, b, b, s, s, CK


def _parts_of_weights(tiling: Tiling, C: int, K: int) -> list[tuple[Any, ...]]:
    """Parts of the weights for several threads: a block, a folded pixel, and some of the C·K numbers.

    They don't depend on the number of threads, so that the bits don't either.
    """
    threads = 4 if C * K >= LEAST_WEIGHTS else 1
    parts = pieces(C * K, WEIGHTS_BLOCK // tiling.p**2, threads)
    return list(combinations(*map(range, _V_shape(tiling, 0)[1:-1]), parts))


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
    least = BLOCK_TILES if tiling.blocks == 1 else BLOCK_TILES_OF_BLOCKS
    return max(least, BLOCK_BYTES // (4 * tiling.p**2 * max(tiling.stride**2 * C, K)))
