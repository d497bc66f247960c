"""Matrix products."""

from __future__ import annotations

from typing import Any

from minigan.kernels.fast import elementwise as fast
from minigan.kernels.twin import runs_as


@runs_as(fast.product)
def product(a: Any, b: Any, out: Any = None, plus: Any = None) -> Any:
    """a (…, C) @ b (C, K) + plus (K,)."""
    ab = a @ b
    if plus is not None:
        ab += plus
    if out is None:
        return ab
    out[...] = ab
    return out


@runs_as(fast.add_product)
def add_product(out: Any, a: Any, b: Any) -> None:
    """out (C, K) += a (C, M) @ b (M, K)."""
    out += a @ b
