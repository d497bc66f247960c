"""Apply functions to one array or to a tuple of arrays: what a layer takes, returns, or gets as gradients.

A tuple may contain integer arrays: labels, which are not differentiated. None stands for a gradient that is zero or
doesn't exist. Entries are named "x", or "x[0]", "x[1]", …
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.testing.differences import GradientError


def each(function: Callable[[Any], Any], a: Any) -> Any:
    """Return `function` of an array, or of every array in a tuple; None stays None."""
    if isinstance(a, tuple):
        return tuple(each(function, entry) for entry in a)
    return None if a is None else function(a)


def entries(name: str, a: Any) -> dict[str, Any]:
    """Return {"x": a}, or {"x[0]": a_0, "x[1]": a_1, …} for a tuple; None is an entry, too."""
    if not isinstance(a, tuple):
        return {name: a}
    return {key: entry for i, inner in enumerate(a) for key, entry in entries(f"{name}[{i}]", inner).items()}


def is_float(a: Any) -> bool:
    """Whether an entry is differentiated, which excludes labels and None."""
    return a is not None and a.dtype.kind == "f"


def floats(name: str, a: Any) -> dict[str, Any]:
    """Return the entries that are differentiated."""
    return {key: entry for key, entry in entries(name, a).items() if is_float(entry)}


def flat(a: Any) -> np.ndarray:
    """Return all entries that are differentiated as one vector."""
    parts = [entry.ravel() for entry in floats("", a).values()]
    return parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0), *parts])


def gradients(name: str, of: Any, gradient: Any) -> dict[str, np.ndarray]:
    """Return the gradient of every differentiated entry of `of`, keyed by the entry's name; None becomes zeros.

    Raises GradientError unless both are single arrays, or tuples of the same length.
    """
    if gradient is not None and form(gradient) != form(of):
        raise GradientError(f"the gradient of {name} is {form(gradient)}, but {name} is {form(of)}")
    found = entries(name, gradient)
    return {
        key: np.zeros_like(entry) if found.get(key) is None else found[key] for key, entry in floats(name, of).items()
    }


def form(a: Any) -> str:
    """Return "one array", or "a tuple of" its length."""
    return f"a tuple of {len(a)}" if isinstance(a, tuple) else "one array"
