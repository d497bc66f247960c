"""One array or several: what a layer takes, returns, or gets back as gradients, entry by entry.

x may be a tuple of arrays, some of them of integers: labels, which are not differentiated. None is a gradient that is
zero, or isn't there. Entries have names: "x", or "x[0]", "x[1]", …
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.testing.differences import GradientError


def each(function: Callable[[Any], Any], a: Any) -> Any:
    """`function` of an array, or of every array in a tuple; None stays None."""
    if isinstance(a, tuple):
        return tuple(each(function, entry) for entry in a)
    return None if a is None else function(a)


def entries(name: str, a: Any) -> dict[str, Any]:
    """{"x": a}, or {"x[0]": a_0, "x[1]": a_1, …} for a tuple; None is an entry too."""
    if not isinstance(a, tuple):
        return {name: a}
    return {key: entry for i, inner in enumerate(a) for key, entry in entries(f"{name}[{i}]", inner).items()}


def is_float(a: Any) -> bool:
    """Whether an entry is differentiated."""
    return a is not None and a.dtype.kind == "f"


def floats(name: str, a: Any) -> dict[str, Any]:
    """The entries that are differentiated."""
    return {key: entry for key, entry in entries(name, a).items() if is_float(entry)}


def flat(a: Any) -> np.ndarray:
    """All that is differentiated, as one vector."""
    parts = [entry.ravel() for entry in floats("", a).values()]
    return parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0), *parts])


def gradients(name: str, of: Any, gradient: Any) -> dict[str, np.ndarray]:
    """The gradient of every entry of `of` that is differentiated, by that entry's name; None is zero.

    Raises GradientError for a gradient that is no tuple of the same length where `of` is a tuple.
    """
    if gradient is not None and form(gradient) != form(of):
        raise GradientError(f"the gradient of {name} is {form(gradient)}, but {name} is {form(of)}")
    found = entries(name, gradient)
    return {
        key: np.zeros_like(entry) if found.get(key) is None else found[key] for key, entry in floats(name, of).items()
    }


def form(a: Any) -> str:
    """Say whether it is one array, or a tuple of how many."""
    return f"a tuple of {len(a)}" if isinstance(a, tuple) else "one array"
