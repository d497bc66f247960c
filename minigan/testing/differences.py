"""Derivatives by finite differences, the reference for all gradients written by hand.

A function t → y(t) of one number is evaluated at ±h and ±h/2. Each pair gives a central difference,

    D(h) = (y(h) − y(−h)) / 2h = y′(0) + y‴(0) h²/6 + O(h⁴),

and (4 D(h/2) − D(h))/3 cancels the h² term (Richardson). In float64, with h = 1e-4, the remaining truncation error is
y⁽⁵⁾ h⁴/480, of the order 1e-19 · y⁽⁵⁾, and the rounding error is of the order 1e-12 · y: see `rounding`.

A small gradient is compared entry by entry. Of a larger one, random entries are compared, and a few random directions
of ±1 through all entries, so that an error in any entry shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np


class GradientError(AssertionError):
    """A layer, network or loss has a wrong gradient, or breaks a promise that every layer makes."""


@dataclass(frozen=True)
class Comparison:
    """One number of a gradient, by hand and by differences, and the scale to which their error is relative."""

    where: str
    written: float
    numeric: float
    scale: float

    @property
    def error(self) -> float:
        """|written − numeric| / scale; infinite if either is not finite."""
        difference = abs(self.written - self.numeric)
        if difference == 0:
            return 0.0
        return difference / self.scale if np.isfinite(difference) and self.scale > 0 else np.inf

    def __str__(self) -> str:
        return f"{self.where}: written {self.written:.12g}, by differences {self.numeric:.12g}"


def derivative(y: Callable[[float], Any], step: float) -> Any:
    """Return y′(0), for y of any shape."""
    coarse = (y(step) - y(-step)) / (2 * step)
    fine = (y(step / 2) - y(-step / 2)) / step
    return (4 * fine - coarse) / 3


def along(array: np.ndarray, direction: Any, output: Callable[[], Any]) -> Callable[[float], Any]:
    """Return the function t → output() with `array`, which `output` reads, displaced by t · direction."""

    def moved(t: float) -> Any:
        before = array.copy()
        array[...] = before + t * direction
        try:
            return output()
        finally:
            array[...] = before

    return moved


def one_entry(shape: tuple[int, ...], index: tuple[int, ...]) -> np.ndarray:
    """Return the direction of a single entry: 1 at `index`, 0 elsewhere."""
    direction = np.zeros(shape)
    direction[index] = 1
    return direction


def directions(shape: tuple[int, ...], entries: int, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """Yield `(where, direction)` for every entry of an array of up to `entries` numbers.

    For a larger array, yield `entries` random ones, and two random directions of ±1 through all of them.
    """
    size = int(np.prod(shape))
    chosen = range(size) if size <= entries else rng.choice(size, entries, replace=False)
    for flat in chosen:
        index = tuple(int(i) for i in np.unravel_index(flat, shape))
        yield f"at {index}", one_entry(shape, index)
    for k in range(2 if size > entries else 0):
        yield f"along random direction {k}", rng.choice([-1.0, 1.0], shape)


def require(worst: Comparison, tolerance: float, what: str) -> None:
    """Raise GradientError, with `what` and the place, if the comparison exceeds the tolerance."""
    if not worst.error <= tolerance:
        raise GradientError(f"{what}\n  {worst}\n  relative error {worst.error:.2e}, allowed {tolerance:.0e}")


def magnitude(*arrays: np.ndarray) -> float:
    """Return the largest |entry| of all arrays; 0 if there are none."""
    return max((float(np.abs(a).max()) for a in arrays if a.size), default=0.0)
