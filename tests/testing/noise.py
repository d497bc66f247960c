"""Worse arithmetic than any processor has: every product in float64 is off by up to some units in the last place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np


@contextmanager
def noisy_products(ulps: float, seed: int = 0) -> Iterator[None]:
    """Multiply each product of arrays that is summed, in float64, by 1 + ulps · ε · u, with u uniform in ±1.

    Those are the matrix products, and einsums of two factors or more; an einsum of one is a sum.
    """
    rng = np.random.default_rng(seed)
    matmul, einsum = np.matmul, np.einsum

    def noisy(result: np.ndarray) -> np.ndarray:
        if result.dtype == np.float64:
            result *= 1 + ulps * np.finfo(np.float64).eps * rng.uniform(-1, 1, result.shape)
        return result

    def noisy_einsum(subscripts: str, *factors: np.ndarray, **options: Any) -> np.ndarray:
        result = einsum(subscripts, *factors, **options)
        return noisy(np.array(result)) if len(factors) > 1 else result

    with (
        mock.patch.object(np, "matmul", lambda *args, **kwargs: noisy(matmul(*args, **kwargs))),
        mock.patch.object(np, "einsum", noisy_einsum),
    ):
        yield
