"""The results of the search for a NaN: the magnitudes of arrays, and the first array that isn't finite."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigan.backend import to_numpy

WHEN = {
    "start": "before the step begins",
    "data": "",
    "loss": "",
    "update": "after the update",
    "step": "that the step returned",
}


@dataclass(frozen=True)
class Finding:
    """The first array in a step that isn't finite.

    network: "D", or "" for the data and for the measures that a step returned.
    layer:   its name in the network, such as "3" or "5.body.0"; "" for the network itself, and outside of layers.
    what:    the repr of the layer, or a description such as "the loss of D on fakes".
    verb:    "forward", "backward", "double backward" or "update"; or "start" (already before the step), "data",
             "loss", "step" (among the measures that the step returned).
    part:    the array: "the output", "dx", "dgamma", "Adam's v for W", …
    detail:  how many of its numbers aren't finite, and the magnitudes of the inputs it was computed from.
    """

    network: str
    layer: str
    what: str
    verb: str
    part: str
    detail: str

    @property
    def sentence(self) -> str:
        """The finding as one sentence."""
        of = f"of {self.what}" if self.what else ""
        place = f"(layer {self.network}.{self.layer})" if self.layer else ""
        where = " ".join(filter(None, (self.part, of, place, WHEN.get(self.verb, f"in {self.verb}"))))
        return f"the first number that isn't finite is in {where}: {self.detail}"


@dataclass
class Event:
    """One computation in a step, with the largest magnitude in each of its results, by name.

    The fields are named as in `Finding`. `begins` marks the start of a pass through a whole network.
    """

    network: str
    layer: str
    what: str
    verb: str
    largest: dict[str, float] = field(default_factory=dict)
    begins: bool = False


@dataclass
class Tally:
    """Statistics of one or more arrays: the largest finite magnitude, and the counts of NaN and infinite numbers."""

    largest: float = 0.0
    nan: int = 0
    infinite: int = 0
    size: int = 0

    @property
    def finite(self) -> bool:
        """Whether all numbers are finite."""
        return not self.nan and not self.infinite

    def __str__(self) -> str:
        bad = [f"{count:,} {kind}" for count, kind in ((self.nan, "NaN"), (self.infinite, "infinite")) if count]
        return f"{' and '.join(bad)} of {self.size:,} numbers"


def tally(x: Any) -> Tally:
    """Return the statistics of an array or a tuple of arrays. Integers, such as labels, and None count as empty."""
    if isinstance(x, tuple):
        parts = [tally(one) for one in x]
        nan, infinite, size = (sum(getattr(part, n) for part in parts) for n in ("nan", "infinite", "size"))
        return Tally(max((part.largest for part in parts), default=0.0), nan, infinite, size)
    if x is None or x.dtype.kind != "f":
        return Tally()
    host = to_numpy(x)
    magnitude = np.abs(host[np.isfinite(host)])
    nan = int(np.isnan(host).sum())
    return Tally(float(magnitude.max(initial=0)), nan, host.size - magnitude.size - nan, host.size)


def short(number: float) -> str:
    """Format a magnitude with two significant digits: 0.031, 12, 4200, 3.1e38."""
    rounded = f"{number:.2g}"
    plain = f"{float(rounded):g}" if 1e-3 <= number < 1e5 else rounded
    return plain.replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")
