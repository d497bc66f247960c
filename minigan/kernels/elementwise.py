"""Element-wise functions and matrix products.

    y = by_rows(f, x, …)                y = f(x, …)
    change_by_rows(f, p, …)             f(p, …), where f writes into its arguments
    product(a, b, plus=c)               a @ b + c
    add_product(c, a, b)                c += a @ b
    add_bias(y, b)                      y += b
    scale_channels(y, a)                y *= a
    positive_part(x)                    max(x, 0)
    negative_part(x)                    min(x, 0)
    step(y, below)                      1 where y > 0, else `below`

The fast kernels compute some rows at a time, on several threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigan.backend import array_module
from minigan.kernels.fast import elementwise as fast
from minigan.kernels.twin import runs_as


@runs_as(fast.by_rows)
def by_rows(f: Callable[..., Any], *arrays: Any) -> Any:
    """f(*arrays), a new array with the shape and dtype of the first of `arrays`.

    Row n of the result (first axis) must depend on nothing but row n of each array. An array of length 1 along the
    first axis belongs to all rows. If f takes `out`, as NumPy's element-wise functions do, the result is not copied.
    """
    return f(*arrays)


@runs_as(fast.change_by_rows)
def change_by_rows(f: Callable[..., Any], *arrays: Any) -> None:
    """f(*arrays), which writes into some of `arrays`: into row n what depends on row n of each array."""
    f(*arrays)


@runs_as(fast.positive_part)
def positive_part(x: Any, out: Any = None) -> Any:
    """max(x, 0)."""
    return array_module(x).maximum(x, 0, out=out)


@runs_as(fast.negative_part)
def negative_part(x: Any, out: Any = None) -> Any:
    """min(x, 0)."""
    return array_module(x).minimum(x, 0, out=out)


@runs_as(fast.step)
def step(y: Any, below: Any) -> Any:
    """1 where y > 0, else `below`, in the dtype of y. `below` is a number, or an array of this dtype."""
    one = y.dtype.type(1)
    return array_module(y).where(y > 0, one, one * below)


@runs_as(fast.product)
def product(a: Any, b: Any, plus: Any = None) -> Any:
    """a (…, C) @ b (C, K) + plus (K,) → (…, K)."""
    ab = a @ b
    return ab if plus is None else ab + plus.astype(ab.dtype, copy=False)


@runs_as(fast.add_bias)
def add_bias(y: Any, b: Any) -> None:
    """y (…, K) += b (K,)."""
    y += b.astype(y.dtype, copy=False)


@runs_as(fast.scale_channels)
def scale_channels(y: Any, a: Any) -> None:
    """y (…, K) *= a (K,), or a (1,)."""
    y *= a.astype(y.dtype, copy=False)


@runs_as(fast.add_product)
def add_product(c: Any, a: Any, b: Any) -> None:
    """c (C, K) += a (C, M) @ b (M, K)."""
    c += a @ b
