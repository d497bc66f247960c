"""Looking at the numbers of an array: how large they are, and how many aren't finite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.backend import to_numpy


@dataclass
class Tally:
    """Of the numbers in an array, or in several: the largest finite magnitude, and how many aren't finite."""

    largest: float = 0.0
    nan: int = 0
    infinite: int = 0
    size: int = 0

    @property
    def finite(self) -> bool:
        """Whether all are."""
        return not self.nan and not self.infinite

    def __str__(self) -> str:
        bad = [f"{count:,} {kind}" for count, kind in ((self.nan, "NaN"), (self.infinite, "infinite")) if count]
        return f"{' and '.join(bad)} of {self.size:,} numbers"


def tally(x: Any) -> Tally:
    """Look at every number of an array, or of a tuple of arrays; labels and None have none to look at."""
    total = Tally()
    for array in x if isinstance(x, tuple) else (x,):
        if isinstance(array, tuple):
            found = tally(array)
        elif array is None or array.dtype.kind != "f":
            continue
        else:
            host = to_numpy(array)
            magnitude = np.abs(host[np.isfinite(host)])
            nan = int(np.isnan(host).sum())
            found = Tally(float(magnitude.max(initial=0)), nan, host.size - magnitude.size - nan, host.size)
        total.largest = max(total.largest, found.largest)
        total.nan, total.infinite = total.nan + found.nan, total.infinite + found.infinite
        total.size += found.size
    return total


def short(number: float) -> str:
    """A magnitude in few characters: 0.031, 12, 4200, 3.1e38."""
    rounded = f"{number:.2g}"
    plain = f"{float(rounded):g}" if 1e-3 <= number < 1e5 else rounded
    return plain.replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")
