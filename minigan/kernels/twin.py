"""Reference and fast kernels: which of the two runs.

    @runs_as(fast.conv2d)
    def conv2d(x, W, stride, padding): ...          # plain NumPy, for readers

A call of `conv2d` runs `fast.conv2d`. Inside `with reference_kernels():`, and everywhere if the environment variable
MINIGAN_KERNELS is "reference", it runs the code that stands below the decorator. A `threading.Thread` that is started
inside the block runs the fast kernels, because new threads begin with the default of a context variable.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_reference = ContextVar("reference", default=os.environ.get("MINIGAN_KERNELS") == "reference")


def runs_as(fast: Kernel) -> Callable[[Kernel], Kernel]:
    """Decorate a reference kernel: a call runs `fast` in its place. `.reference` and `.fast` are the two functions."""

    def decorate(reference: Kernel) -> Kernel:
        @wraps(reference)
        def kernel(*args: Any, **kwargs: Any) -> Any:
            return (reference if _reference.get() else fast)(*args, **kwargs)

        vars(kernel).update(reference=reference, fast=fast)
        return kernel  # type: ignore[return-value]

    return decorate


@contextmanager
def reference_kernels() -> Iterator[None]:
    """Run the reference kernels within this block."""
    token = _reference.set(True)
    try:
        yield
    finally:
        _reference.reset(token)
