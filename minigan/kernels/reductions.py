"""Sums and means over some axes of an array. These axes stay with length 1, so that the result broadcasts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import prod
from operator import mul
from typing import Any

from minigan.kernels.fast import reductions as fast
from minigan.kernels.twin import runs_as

Axes = tuple[int, ...]


@runs_as(fast.sum_over)
def sum_over(factors: Sequence[Any], axes: Axes) -> Any:
    """Σ of the product of `factors` over `axes`: of x (N, H, W, C) over (0, 1, 2) → (1, 1, 1, C)."""
    return reduce(mul, factors).sum(axis=axes, keepdims=True)


@runs_as(fast.sums_over)
def sums_over(products: Sequence[Sequence[Any]], axes: Axes) -> list[Any]:
    """`sum_over` of each of several products of arrays, all of the same shape."""
    return [sum_over(factors, axes) for factors in products]


def mean(x: Any, axes: Axes) -> Any:
    """⟨x⟩ over `axes`."""
    return sum_over((x,), axes) / prod(x.shape[axis] for axis in axes)
