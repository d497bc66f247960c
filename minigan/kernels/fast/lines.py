"""Weighted sums along one axis as products with one small matrix.

All windows have the same weights, so the matrix that takes x to y repeats itself along its diagonal. For stride 2 and
windows of 4 pixels, three outputs are

    y[0]     w0 w1 w2 w3  ·  ·  ·  ·      x[0]
    y[1]  =   ·  · w0 w1 w2 w3  ·  ·        ⋮
    y[2]      ·  ·  ·  · w0 w1 w2 w3      x[7]

and the next three come of x[6] to x[13] by the same matrix T (B, L), for blocks of B outputs, L = (B − 1)·stride + K.
Most of its numbers are zero, but one product with BLAS is ten times as fast as K sums of arrays in which every other
pixel is passed over. `_products` makes the product of T with each block:

    line_sum        y[b·B + i] = Σ_l T[i, l] x[b·B·stride + l]
    line_spread     the same for pixels in groups of `stride`, one group for each y: group o is the sum of the weights
                    w[j·stride], … w[j·stride + stride − 1] times y[o − j], for j = 0 … ⌈K/stride⌉ − 1

On a GPU, T would have to be copied there in each call. There, the sums are K operations, as in the reference.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.threads import partition
from minigan.threads.crew import in_parallel
from minigan.threads.partition import pieces

BLOCK = 8  # windows in a block: with more, T has more zeros; with fewer, products are too small
FEW_CHANNELS = 8  # with so many, the pixels of a row and their channels are one axis of the product


def line_sum(x: Any, weights: np.ndarray, stride: int, axis: int) -> Any:
    """n pixels along `axis` → ⌊(n − K)/stride⌋ + 1."""
    K, n, xp = len(weights), x.shape[axis], array_module(x)
    m = (n - K) // stride + 1
    if xp is not np:
        terms = [x[_places(axis, k, m, stride)] * x.dtype.type(weights[k]) for k in range(K)]
        return reduce(xp.add, terms)
    y = xp.empty((*x.shape[:axis], m, *x.shape[axis + 1 :]), x.dtype)
    for first, B, count in _blocks(m):
        T = np.zeros((B, (B - 1) * stride + K))
        for i in range(B):
            T[i, i * stride : i * stride + K] = weights
        _products(T, x, first * stride, B * stride, y, first, count, axis)
    return y


def line_spread(y: Any, weights: np.ndarray, stride: int, axis: int) -> Any:
    """m numbers along `axis` → (m − 1)·stride + K pixels."""
    xp, m, K = array_module(y), y.shape[axis], len(weights)
    if xp is not np:
        x = xp.zeros((*y.shape[:axis], (m - 1) * stride + K, *y.shape[axis + 1 :]), y.dtype)
        for k in range(K):
            x[_places(axis, k, m, stride)] += y * y.dtype.type(weights[k])
        return x
    J = -(-K // stride)  # each group of pixels depends on J numbers
    groups = np.zeros((J, stride))
    groups.reshape(-1)[:K] = weights  # groups[j, r] = w[j·stride + r]
    y = xp.pad(y, [(J - 1, J - 1) if i == axis else (0, 0) for i in range(4)])
    x = xp.empty((*y.shape[:axis], (m + J - 1) * stride, *y.shape[axis + 1 :]), y.dtype)
    for first, B, count in _blocks(m + J - 1):
        T = np.zeros((B, stride, B + J - 1))
        for i in range(B):
            T[i, :, i : i + J] = groups[::-1].T  # padded y[o + l] is y[o − j] for l = J − 1 − j
        _products(T.reshape(B * stride, B + J - 1), y, first, B, x, first * stride, count, axis)
    n = (m - 1) * stride + K
    return x if n == x.shape[axis] else xp.ascontiguousarray(x[:, :n] if axis == 1 else x[:, :, :n])


def _places(axis: int, k: int, m: int, stride: int) -> tuple[slice, ...]:
    """Pixel k of each of m windows along an axis."""
    return (*(slice(None),) * axis, slice(k, k + (m - 1) * stride + 1, stride))


def _blocks(m: int) -> list[tuple[int, int, int]]:
    """Cut 0…m into blocks of BLOCK, and one for the rest: (start, size, number of such blocks)."""
    whole, rest = divmod(m, BLOCK)
    return [(0, BLOCK, whole)] + [(m - rest, rest, 1)] * (rest > 0)


def _products(T: Any, x: Any, start: int, step: int, y: Any, first: int, count: int, axis: int) -> None:
    """Set y[first + b·B + i] = Σ_l T[i, l] x[start + b·step + l] along `axis`, for T (B, L) and b = 0 … count − 1."""
    xp, (B, L), (N, H, W, C), OW = array_module(x), T.shape, x.shape, y.shape[2]
    view = xp.lib.stride_tricks.as_strided
    x = xp.ascontiguousarray(x)
    of_n, of_h, of_w, of_c = x.strides
    if axis == 1:
        blocks = view(x[:, start:], (count, N, L, W * C), (step * of_h, of_n, of_h, of_c))
        out = y[:, first : first + count * B].reshape(N, count, B, W * C).swapaxes(0, 1)
        _multiply(xp.asarray(T, x.dtype), blocks, out)  # (B, L) @ (L, W·C)
    elif C <= FEW_CHANNELS:  # a pixel is C numbers, and T ⊗ 1 takes channel c to channel c alone
        blocks = view(x[:, :, start:], (N * H, count, L * C), (of_h, step * of_w, of_c)).swapaxes(0, 1)
        out = y.reshape(N * H, OW * C)[:, first * C : (first + count * B) * C].reshape(N * H, count, B * C)
        _multiply(blocks, xp.asarray(np.kron(T.T, np.eye(C)), x.dtype), out.swapaxes(0, 1))  # (N·H, L·C) @ (L·C, B·C)
    else:
        blocks = view(x[:, :, start:], (N * H, count, L, C), (of_h, step * of_w, of_w, of_c))
        out = y.reshape(N * H, OW, C)[:, first : first + count * B].reshape(N * H, count, B, C)
        _multiply(xp.asarray(T, x.dtype), blocks, out)  # (B, L) @ (L, C)


def _multiply(a: Any, b: Any, out: Any) -> None:
    """out = a @ b, stacks of matrices or a single one; each thread takes some matrices of the first axis of out."""
    if not isinstance(out, np.ndarray):
        out[...] = a @ b
        return

    def work(some: slice) -> None:
        np.matmul(a if a.ndim == 2 else a[some], b if b.ndim == 2 else b[some], out=out[some])

    in_parallel(work, [slice(0, len(out))] if out.nbytes <= partition.ROWS_BYTES else pieces(len(out)))
