"""Element-wise functions and matrix products of some rows or columns at a time, on several threads.

Rows stay in the cache from the first operation of a function to the last. Small arrays, and those on a GPU, are not
cut. The cut never changes a bit of an element-wise result; it may change the last bits of a product, because BLAS
rounds differently for another shape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from minigan.backend import array_module, is_array
from minigan.errors import ShapeError
from minigan.threads import partition
from minigan.threads.crew import in_a_part, in_parallel
from minigan.threads.partition import over_rows, pieces

PRODUCT_BYTES = 1 << 21  # of a product that is added to an array
WIDE = 64  # channels: with more, inner loops over them are long enough
LEAST_WIDE = 1 << 15  # numbers: with fewer, repeating the vectors takes longer than it saves


def by_rows(f: Callable[..., Any], *arrays: Any) -> Any:
    """f of some rows of each array at a time. If f takes `out`, it writes into y, and nothing is copied."""
    x = arrays[0]
    if not isinstance(x, np.ndarray) or x.nbytes <= partition.ROWS_BYTES:
        y = _checked(f, f(*arrays), x)
        return (y.copy() if any(y is a for a in arrays) else y).astype(x.dtype, copy=False)
    y = np.empty(x.shape, x.dtype)
    takes_out = _takes_out(f)

    def fill(rows: slice) -> None:
        y_rows, inputs = y[rows], rows_of(arrays, rows)
        result = f(*inputs, out=y_rows) if takes_out else f(*inputs)
        if result is not y_rows:
            y_rows[...] = _checked(f, result, y_rows)

    over_rows(fill, x)
    return y


def _checked(f: Callable[..., Any], y: Any, x: Any) -> Any:
    """y = f(x). Raises ShapeError unless it is an array of the shape of x."""
    if getattr(y, "shape", None) != x.shape:
        name, got = getattr(f, "__qualname__", f), getattr(y, "shape", type(y).__name__)
        raise ShapeError(f"{name} must return an array with the shape of its first argument, {x.shape}, got {got}")
    return y


def change_by_rows(f: Callable[..., Any], *arrays: Any) -> None:
    """f of some rows of each array at a time: half as many as above, because an optimizer has three or four arrays."""
    over_rows(lambda rows: f(*rows_of(arrays, rows)), arrays[0], partition.ROWS_BYTES // 2)


def _takes_out(f: Callable[..., Any]) -> bool:
    """Whether f has an argument `out`. `inspect.signature` takes 20 µs, as long as f itself may."""
    code = getattr(f, "__code__", None)
    arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] if code else ()
    return isinstance(f, np.ufunc) or "out" in arguments


def rows_of(arrays: tuple[Any, ...], rows: slice) -> list[Any]:
    """Some rows of each array. An array of length 1 along the first axis belongs to all rows."""
    return [a if len(a) == 1 else a[rows] for a in arrays]


def widened(arrays: Sequence[Any], vectors: Sequence[Any]) -> tuple[Any, ...]:
    """View arrays (N, H, W, C) as (N, H, W·C), and repeat vectors (C,) or (n, 1, 1, C) to (n, 1, W·C).

    Where they are broadcast against each other, NumPy's inner loops then run over W·C numbers in place of C, which is
    up to 1.5 times as fast. All are returned as they are if the channels are many, the arrays small, or on a GPU.
    """
    x = arrays[0]
    suits = isinstance(x, np.ndarray) and x.ndim == 4 and x.shape[3] <= WIDE and x.size >= LEAST_WIDE
    if not suits or not all(a.flags.c_contiguous for a in arrays):
        return *arrays, *vectors
    N, H, W, C = x.shape
    if any(v.shape != (C,) and v.shape[1:] != (1, 1, C) for v in vectors):  # a layer norm has one for each pixel
        return *arrays, *vectors
    repeated = (np.tile(v.reshape(-1, 1, C), (1, 1, W)) for v in vectors)
    return *(a.reshape(N, H, W * C) for a in arrays), *repeated


def add_bias(y: Any, b: Any) -> None:
    """y (…, K) += b (K,)."""

    def add(y: Any) -> None:
        wide, repeated = widened((y,), (b.astype(y.dtype, copy=False),))
        wide += repeated

    change_by_rows(add, y)


def scale_channels(y: Any, a: Any) -> None:
    """y (…, K) *= a (K,), or a (1,)."""

    def scale(y: Any) -> None:
        wide, repeated = widened((y,), (a.astype(y.dtype, copy=False),))
        wide *= repeated

    change_by_rows(scale, y)


def positive_part(x: Any, out: Any = None) -> Any:
    """max(x, 0). NumPy's `clip` takes a third of the time of its `maximum` of an array and a number."""
    return array_module(x).clip(x, 0, np.inf, out=out)


def negative_part(x: Any, out: Any = None) -> Any:
    """min(x, 0)."""
    return array_module(x).clip(x, -np.inf, 0, out=out)


def step(y: Any, below: Any) -> Any:
    """(1 − below)·(y > 0) + below, which NumPy computes several times as fast as `where`; a GPU doesn't."""
    xp = array_module(y)
    if not is_array(below):
        below = y.dtype.type(below)  # in y's dtype, (1 − below) + below is 1 to the last bit
    if xp is not np:
        return xp.where(y > 0, y.dtype.type(1), below)
    slope = (y > 0).astype(y.dtype)
    wide, factor, below = widened((slope,), (1 - below, below))
    wide *= factor
    wide += below
    return wide.reshape(y.shape)


def product(a: Any, b: Any, plus: Any = None) -> Any:
    """Each thread computes some of the rows, or of the columns if there are more of these, and adds `plus` at once.

    Stacks of matrices, a (p, M, C) and b (p, C, K), are multiplied one by one, each by one thread, without `plus`.
    """
    out = array_module(a).empty((*a.shape[:-1], b.shape[-1]), a.dtype)
    if b.ndim > 2:
        product_into(out, a, b)
    else:
        M = prod(a.shape[:-1])
        product_into(out.reshape(M, b.shape[1]), a.reshape(M, a.shape[-1]), b, plus)
    return out


def product_into(y: Any, a: Any, b: Any, plus: Any = None) -> None:
    """y (M, K) = a (M, C) @ b (C, K) + plus, or stacks of them."""
    xp = array_module(a)
    if xp is not np or a.size * b.shape[-1] < partition.LEAST_PRODUCT or in_a_part():
        parts = [(a, b, plus, y)]
    elif b.ndim > 2:
        parts = [(a[i], b[i], None, y[i]) for i in range(len(b))]
    elif len(a) > b.shape[1]:
        parts = [(a[rows], b, plus, y[rows]) for rows in pieces(len(a))]
    else:
        parts = [(a, b[:, cut], None if plus is None else plus[cut], y[:, cut]) for cut in pieces(b.shape[1])]

    def multiply(part: tuple[Any, Any, Any, Any]) -> None:
        a, b, plus, y = part
        xp.matmul(a, b, out=y)
        if plus is not None:
            y += plus

    in_parallel(multiply, parts, on_host=xp is np)


def add_product(c: Any, a: Any, b: Any) -> None:
    """Some rows of c at a time, so that their product is added while it is in the cache."""
    xp = array_module(a)
    small = xp is not np or a.size * b.shape[1] < partition.LEAST_PRODUCT
    parts = [slice(0, len(c))] if small else pieces(len(c), PRODUCT_BYTES * len(c) // c.nbytes)

    def multiply(rows: slice) -> None:
        c_rows = c[rows]
        c_rows += xp.matmul(a[rows], b)

    in_parallel(multiply, parts, on_host=xp is np)
