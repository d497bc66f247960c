"""Matrix products whose rows or columns several threads share."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.threads import partition
from minigan.threads.crew import in_a_part, in_parallel
from minigan.threads.partition import pieces


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
    if xp is not np or a.size * b.shape[-1] < partition.LEAST_PRODUCT or in_a_part():
        parts = [(a, b, whole, plus)]
    elif b.ndim > 2:
        parts = [(a[i], b[i], out[i], None) for i in range(len(b))]
    elif len(a) > b.shape[1]:
        parts = [(a[rows], b, whole[rows], plus) for rows in pieces(len(a))]
    else:
        cuts = pieces(b.shape[1])
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
    whole = xp is not np or a.size * b.shape[1] < partition.LEAST_PRODUCT
    parts = [slice(0, len(out))] if whole else pieces(len(out), partition.ROWS_BYTES * len(out) // out.nbytes)

    def work(rows: slice) -> None:
        out_rows = out[rows]
        out_rows += xp.matmul(a[rows], b)

    in_parallel(work, parts, on_host=xp is np)
