"""Fast sums: without storing the product, several in one pass through the rows, and as short sums.

In float32 the rounding error of a sum grows with its length. So of pictures (N, H, W, C), the rows are summed first,
then the columns, then the pictures; of other arrays the last two axes (never the batch), then the others one by one: a
few short sums in place of a long one. A GPU sums pairwise in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from math import prod
from operator import mul
from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.kernels.fast.elementwise import rows_of
from minigan.threads.partition import over_rows

Axes = tuple[int, ...]


def sum_over(factors: Sequence[Any], axes: Axes) -> Any:
    """Σ of the product of `factors` over `axes`, which stay with length 1."""
    return sums_over((factors,), axes)[0]


def sums_over(products: Sequence[Sequence[Any]], axes: Axes) -> list[Any]:
    """`sum_over` of each product, in one pass through arrays of the same shape."""
    return _sums(lambda rows: [[factor[rows] for factor in factors] for factors in products], axes, products[0][0])


def sums_by_rows(products_of: Callable[..., Sequence[Sequence[Any]]], axes: Axes, *arrays: Any) -> list[Any]:
    """`sums_over` of the products that a function returns for some rows of each array. It may change these rows."""
    return _sums(lambda rows: products_of(*rows_of(arrays, rows)), axes, arrays[0])


def _sums(products_of: Callable[[slice], Sequence[Sequence[Any]]], axes: Axes, x: Any) -> list[Any]:
    parts = over_rows(lambda rows: [_partial_sum(factors, axes) for factors in products_of(rows)], x)
    return [_total(sums, axes, x.shape) for sums in zip(*parts, strict=True)]


def _partial_sum(factors: Sequence[Any], axes: Axes) -> Any:
    """Σ of the product of some rows of `factors` over `axes`, which are dropped; the first axis is not summed yet."""
    x, xp = factors[0], array_module(factors[0])
    if xp is not np:  # CuPy's einsum would multiply rows with rows, one product of matrices for each
        product = reduce(mul, factors)
        within = tuple(axis for axis in axes if axis > 0)
        return product.sum(axis=within) if within else product
    if x.ndim == 4 and axes[-2:] == (1, 2) and all(factor.flags.c_contiguous for factor in factors):
        # rows of W·C numbers are added up, then the W pixels of the sum: long inner loops
        N, H, W, C = x.shape
        rows = [factor.reshape(N, H, W * C) for factor in factors]
        sums = np.einsum(",".join(["abc"] * len(rows)) + "->ac", *rows)
        return np.einsum("abc->ac", sums.reshape(N, W, C))
    letters = "abcdefgh"[: x.ndim]
    first = [axis for axis in axes if axis >= max(1, x.ndim - 2)]
    kept = "".join(letter for axis, letter in enumerate(letters) if axis not in first)
    sums = np.einsum(",".join([letters] * len(factors)) + "->" + kept, *factors)
    for axis in reversed(axes):
        if axis > 0 and axis not in first:  # the dropped axes came after it, so it still has its number
            sums = sums.sum(axis=axis)
    return sums


def _total(parts: Sequence[Any], axes: Axes, shape: tuple[int, ...]) -> Any:
    """Join the partial sums of all rows of an array of this shape; sum over the first axis if it is one of `axes`."""
    sums = parts[0] if len(parts) == 1 else array_module(parts[0]).concatenate(parts)
    if 0 in axes:
        sums = sums.sum(axis=0)
    return sums.reshape(tuple(1 if axis in axes else length for axis, length in enumerate(shape)))


def count(x: Any, axes: Axes) -> int:
    """How many numbers of x a sum over `axes` adds."""
    return prod(x.shape[axis] for axis in axes)
