"""How work is cut into parts that a few threads share (`crew.py`): rows of an array, and products of matrices.

    over_rows(work, x)                        for element-wise work on an array
    product(a, b), add_product(out, a, b)     for a matrix product, and for its sum with an array
    in_parallel(work, parts)                  for anything; `pieces` and `shares` cut it into parts

How something is cut depends on its shape and on the number of threads alone, so that results are the same to the last
bit in every run with the same number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.crew import Part, Result, count, in_a_part, in_parallel

ROWS_BYTES = 1 << 21  # of an array, for a piece of element-wise work: a few such pieces stay in the cache
LEAST_PRODUCT = 1 << 22  # multiplications: handing out fewer takes longer than making them


def pieces(n: int, most: int, threads: int | None = None) -> list[slice]:
    """Cut 0…n into slices of at most `most` (at least 1), as even as possible, as many of them for each thread."""
    threads = threads or count()
    number = -(-n // max(1, most))
    number = max(1, min(n, -(-number // threads) * threads))
    return [slice(n * i // number, n * (i + 1) // number) for i in range(number)]


def shares(parts: Sequence[Part]) -> list[Sequence[Part]]:
    """Deal out parts, always in the same way: for sums, which would round differently if chance decided."""
    return [parts[i :: count()] for i in range(min(count(), len(parts)))]


def over_rows(work: Callable[[Any], Result], x: Any) -> list[Result]:
    """Call `work(rows)` for slices of the first axis of x that stay in the cache; return the results in their order.

    A small array, or one on a GPU, is a single slice.
    """
    if not isinstance(x, np.ndarray) or x.nbytes <= ROWS_BYTES:
        return [work(slice(0, len(x)) if x.ndim else ...)]
    return in_parallel(work, pieces(len(x), ROWS_BYTES * len(x) // x.nbytes))


def product(a: Any, b: Any, out: Any = None, plus: Any = None) -> Any:
    """a (…, C) @ b (C, K): each thread makes some of the rows, or of the columns if there are more of these.

    `plus` (K,) is added to every row of the product, while it is in the cache. Stacks of matrices, a (p, M, C) and
    b (p, C, K), are multiplied one by one, each by one thread, without it.
    """
    xp = array_module(a)
    if out is None:
        out = xp.empty((*a.shape[:-1], b.shape[-1]), a.dtype)
    whole = out
    if b.ndim == 2:
        M = prod(a.shape[:-1])
        a, whole = a.reshape(M, a.shape[-1]), out.reshape(M, b.shape[1])
    if xp is not np or a.size * b.shape[-1] < LEAST_PRODUCT or in_a_part():
        parts = [(a, b, whole, plus)]
    elif b.ndim > 2:
        parts = [(a[i], b[i], out[i], None) for i in range(len(b))]
    elif len(a) > b.shape[1]:
        parts = [(a[rows], b, whole[rows], plus) for rows in pieces(len(a), -(-len(a) // count()))]
    else:
        cuts = pieces(b.shape[1], -(-b.shape[1] // count()))
        parts = [(a, b[:, cut], whole[:, cut], None if plus is None else plus[cut]) for cut in cuts]

    def work(part: tuple[Any, ...]) -> None:
        a, b, out, plus = part
        xp.matmul(a, b, out=out)
        if plus is not None:
            out += plus

    in_parallel(work, parts, on_host=xp is np)
    return out


def add_product(out: Any, a: Any, b: Any) -> None:
    """out (C, K) += a (C, M) @ b (M, K), some rows at a time: the product is added while it is in the cache."""
    xp = array_module(a)
    whole = xp is not np or a.size * b.shape[1] < LEAST_PRODUCT
    parts = [slice(0, len(out))] if whole else pieces(len(out), ROWS_BYTES * len(out) // out.nbytes)

    def work(rows: slice) -> None:
        out_rows = out[rows]
        out_rows += a[rows] @ b

    in_parallel(work, parts, on_host=xp is np)
