"""Derivatives by differences: what every check of a hand-written gradient is measured against.

A function t → y(t) of one number is evaluated at ±h and ±h/2. Each pair gives a central difference,

    D(h) = (y(h) − y(−h)) / 2h = y′(0) + y‴(0) h²/6 + O(h⁴),

and (4 D(h/2) − D(h))/3 cancels the h² term (Richardson). In float64, with h = 1e-4, what is left of the truncation is
y⁽⁵⁾ h⁴/480, of the order 1e-19 · y⁽⁵⁾, and the rounding is of the order 1e-12 · y: see `rounding`.

A gradient of many entries is compared one entry at a time if it is small. Of a larger one a random choice of entries is
taken, and a few random directions of ±1 through all of them, so that an error in any entry shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np


class GradientError(AssertionError):
    """A layer, network or loss whose gradient is wrong, or that breaks a promise every layer makes."""


@dataclass(frozen=True)
class Comparison:
    """One number of a gradient, written by hand and by differences, with the size that their error is relative to."""

    where: str
    written: float
    numeric: float
    scale: float

    @property
    def error(self) -> float:
        """|written − numeric| / scale; infinite if either isn't a number."""
        difference = abs(self.written - self.numeric)
        if difference == 0:
            return 0.0
        return difference / self.scale if np.isfinite(difference) and self.scale > 0 else np.inf

    def __str__(self) -> str:
        return f"{self.where}: written {self.written:.12g}, by differences {self.numeric:.12g}"


def derivative(y: Callable[[float], Any], step: float) -> Any:
    """y′(0), for y of any shape."""
    coarse = (y(step) - y(-step)) / (2 * step)
    fine = (y(step / 2) - y(-step / 2)) / step
    return (4 * fine - coarse) / 3


def along(array: np.ndarray, direction: Any, output: Callable[[], Any]) -> Callable[[float], Any]:
    """The function t → output() while `array`, which `output` reads, is moved by t · direction."""

    def moved(t: float) -> Any:
        before = array.copy()
        array[...] = before + t * direction
        try:
            return output()
        finally:
            array[...] = before

    return moved


def one_entry(shape: tuple[int, ...], index: tuple[int, ...]) -> np.ndarray:
    """The direction of a single entry: 1 at `index`, 0 elsewhere."""
    direction = np.zeros(shape)
    direction[index] = 1
    return direction


def directions(shape: tuple[int, ...], entries: int, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """Yield `(where, direction)`: every entry of an array of up to `entries` numbers.

    Of a larger array, `entries` random ones and two random directions of ±1 through all of them.
    """
    size = int(np.prod(shape))
    chosen = range(size) if size <= entries else rng.choice(size, entries, replace=False)
    for flat in chosen:
        index = tuple(int(i) for i in np.unravel_index(flat, shape))
        yield f"at {index}", one_entry(shape, index)
    for k in range(2 if size > entries else 0):
        yield f"along random direction {k}", rng.choice([-1.0, 1.0], shape)


def require(worst: Comparison, tolerance: float, what: str) -> None:
    """Raise GradientError, saying what and where, if the worst comparison is beyond the tolerance."""
    if not worst.error <= tolerance:
        raise GradientError(f"{what}\n  {worst}\n  relative error {worst.error:.2e}, allowed {tolerance:.0e}")


def magnitude(*arrays: np.ndarray) -> float:
    """The largest |entry| of all arrays; 0 if there is none."""
    return max((float(np.abs(a).max()) for a in arrays if a.size), default=0.0)
