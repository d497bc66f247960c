"""How work is cut into parts for several threads.

    in_parallel(work, pieces(n, most))        slices of 0…n with at most `most` elements
    in_parallel(work, shares(parts))          one list of parts for each thread: for sums
    over_rows(work, x)                        slices of the first axis of x that stay in the cache

The cut depends on the shape and the number of threads alone, so every run with the same number of threads has the same
bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigan.threads.crew import Part, Result, count, in_parallel

ROWS_BYTES = 1 << 21  # of an array, for a piece of element-wise work: a few such pieces stay in the cache
LEAST_PRODUCT = 1 << 22  # multiplications: with fewer, handing over parts takes longer than it saves


def pieces(n: int, most: int | None = None, threads: int | None = None) -> list[slice]:
    """Cut 0…n into slices of nearly equal length, at most `most` (None: n), at least 1.

    Their number is a multiple of the number of threads, if n is large enough: without `most`, each thread gets one.
    """
    threads = threads or count()
    number = -(-n // max(1, n if most is None else most))
    number = max(1, min(n, -(-number // threads) * threads))
    return [slice(n * i // number, n * (i + 1) // number) for i in range(number)]


def shares(parts: Sequence[Part]) -> list[Sequence[Part]]:
    """One list of parts for each thread: number i gets parts i, i + count, … So each thread always adds up the same."""
    return [parts[i :: count()] for i in range(min(count(), len(parts)))]


def over_rows(work: Callable[[Any], Result], x: Any, most: int | None = None) -> list[Result]:
    """Call `work(rows)` for slices of the first axis of x; return the results in their order.

    A slice has at most `most` bytes (None: ROWS_BYTES), or one row. An array on a GPU is a single slice.
    """
    most = ROWS_BYTES if most is None else most
    if not isinstance(x, np.ndarray) or x.nbytes <= most:
        return [work(slice(0, len(x)) if x.ndim else ...)]
    return in_parallel(work, pieces(len(x), most * len(x) // x.nbytes))
