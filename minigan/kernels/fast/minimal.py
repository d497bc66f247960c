"""The three convolution kernels with about half of the multiplications, for 4×4 at stride 2 and 3×3 at stride 1.

Neighboring outputs of a convolution see overlapping patches, so some of their products can be shared (tiles.py derives
this). The convolution becomes p² matrix products, p = 3 or 4, between linear maps that only add, subtract and halve:

    U = inputs(x)        V = weights(W)        M_ij = U_ij V_ij        y = outputs(M)

The gradients follow as they do for y = P W in patches.py:

    dM = outputs_adjoint(dy)        dU_ij = dM_ij V_ijᵀ        dx = inputs_adjoint(dU)
                                    dV_ij = U_ijᵀ dM_ij        dW = weights_adjoint(dV)

A 4×4 kernel at stride 2 takes 9/16 of the multiplications, a 3×3 kernel at stride 1 takes 16/36. The sums round
differently: in float32, results differ from those of patches.py by about 1e-6 of the largest.

`dilation` must be 1. It is an argument only because the other ways have it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.kernels.fast.elementwise import product
from minigan.kernels.fast.tiles import Tiling
from minigan.kernels.geometry import Pair
from minigan.threads.crew import in_parallel
from minigan.threads.partition import pieces, shares

BLOCK_BYTES = 8 << 20  # of U or M for a block of pictures: what a thread works on should stay in the cache
WEIGHTS_BLOCK = 1 << 19  # numbers of W at a time, for the same reason
# Where it pays, measured: (kernel, stride) → the least C·K·tiles. With less, the transforms (C + K numbers for a tile,
# C·K in all) cost more than the products save.
LEAST_WORK = {(4, 2): 1 << 23, (3, 1): 1 << 22}
LEAST_CHANNELS, LEAST_TILES = 1 << 13, 128  # of C·K; of all pictures together


def pays(x_shape: tuple, W_shape: tuple, stride: Pair, padding: Pair, dilation: Pair, xp: Any) -> bool:
    """Whether this is the faster way: on a CPU, for a kernel that it can do, with channels and tiles enough."""
    (N, H, W, C), (R, S, _, K) = x_shape, W_shape
    square = R == S and stride[0] == stride[1]
    if xp is not np or not square or (R, stride[0]) not in LEAST_WORK or dilation != (1, 1):
        return False
    tiling = Tiling((H, W), R, stride[0], padding)
    tiles = N * tiling.TH * tiling.TW
    return C * K >= LEAST_CHANNELS and tiles >= LEAST_TILES and C * K * tiles >= LEAST_WORK[R, stride[0]]


def conv2d(x: Any, W: Any, stride: Pair, padding: Pair, dilation: Pair) -> Any:
    """x (N, H, W, C), W (R, S, C, K) → y (N, OH, OW, K)."""
    xp = array_module(x)
    (N, *size, _), (R, _, C, K) = x.shape, W.shape
    tiling = Tiling(tuple(size), R, stride[0], padding)
    V = _weights(tiling, W.astype(x.dtype, copy=False))
    y = xp.empty((N, *tiling.out_size, K), x.dtype)

    def work(block: slice) -> None:
        U = tiling.inputs(x[block])
        tiling.outputs(product(U, V), y[block])  # (p², tiles, F) @ (p², F, K)

    in_parallel(work, _blocks(N, tiling, C, K), on_host=xp is np)
    return y


def conv2d_input_grad(dy: Any, W: Any, size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Any:
    """dy (N, OH, OW, K), W (R, S, C, K) → dx (N, H, W, C) for `size` = (H, W)."""
    xp = array_module(dy)
    N, (R, _, C, K) = len(dy), W.shape
    tiling = Tiling(size, R, stride[0], padding)
    V = _weights(tiling, W.astype(dy.dtype, copy=False))
    dx = xp.empty((N, *size, C), dy.dtype)

    def work(block: slice) -> None:
        dM = tiling.outputs_adjoint(dy[block])
        tiling.inputs_adjoint(product(dM, V.swapaxes(1, 2)), dx[block])  # (p², tiles, K) @ (p², K, F)

    in_parallel(work, _blocks(N, tiling, C, K), on_host=xp is np)
    return dx


def conv2d_weight_grad(x: Any, dy: Any, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Any:
    """x (N, H, W, C), dy (N, OH, OW, K) → dW (R, S, C, K) for `kernel` = (R, S)."""
    xp = array_module(x)
    (N, *size, C), K = x.shape, dy.shape[-1]
    tiling = Tiling(tuple(size), kernel[0], stride[0], padding)

    def work(blocks: Sequence[slice]) -> Any:
        dV = None
        for block in blocks:
            U, dM = tiling.inputs(x[block]), tiling.outputs_adjoint(dy[block])
            dV_block = product(U.swapaxes(1, 2), dM)  # (p², F, tiles) @ (p², tiles, K)
            dV = dV_block if dV is None else xp.add(dV, dV_block, out=dV)
        return dV

    dV, *others = in_parallel(work, shares(_blocks(N, tiling, C, K)), on_host=xp is np)
    dV = dV.reshape(tiling.p**2, -1, C, K)
    others = [other.reshape(dV.shape) for other in others]
    dW = xp.empty((*kernel, C, K), x.dtype)

    def transform(c: slice) -> None:
        for other in others:
            dV[:, :, c] += other[:, :, c]
        tiling.weights_adjoint(dV[:, :, c], dW[:, :, c])

    _over_channels(transform, dW)
    return dW


def _weights(tiling: Tiling, W: Any) -> Any:
    """V (p², F, K) of W (R, S, C, K)."""
    *_, C, K = W.shape
    V = array_module(W).empty((tiling.p**2, tiling.stride**2, C, K), W.dtype)
    _over_channels(lambda c: tiling.weights(W[:, :, c], V[:, :, c]), W)
    return V.reshape(tiling.p**2, -1, K)


def _over_channels(transform: Callable[[slice], None], W: Any) -> None:
    """Call `transform` for slices of the input channels of W (R, S, C, K), side by side."""
    R, S, C, K = W.shape
    slices = pieces(C, WEIGHTS_BLOCK // (R * S * K))
    in_parallel(transform, slices, on_host=isinstance(W, np.ndarray))


def _blocks(N: int, tiling: Tiling, C: int, K: int) -> list[slice]:
    """Blocks of pictures, as large as the cache allows."""
    per_picture = 4 * tiling.p**2 * tiling.TH * tiling.TW * max(tiling.stride**2 * C, K)  # bytes of U or M
    return pieces(N, BLOCK_BYTES // per_picture)
