"""What the search for a NaN tells: how large numbers are, and the first that isn't finite."""

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
    """The first number that isn't finite.

    network: "D", or "" for the data and for what a step returned.
    layer:   its name in the network, such as "3" or "5.body.0"; "" for the network itself, and for no layer.
    what:    the repr of the layer, or what it is else, such as "the loss of D on fakes".
    verb:    "forward", "backward", "double backward" or "update"; or "start" (there already before the step), "data",
             "loss", "step" (among the measures that the step returned).
    part:    which array of it: "the output", "dx", "dgamma", "Adam's v for W", …
    detail:  how many of its numbers, and how large those are that it was made from.
    """

    network: str
    layer: str
    what: str
    verb: str
    part: str
    detail: str

    @property
    def sentence(self) -> str:
        """One sentence for people."""
        of = f"of {self.what}" if self.what else ""
        place = f"(layer {self.network}.{self.layer})" if self.layer else ""
        where = " ".join(filter(None, (self.part, of, place, WHEN.get(self.verb, f"in {self.verb}"))))
        return f"the first number that isn't finite is in {where}: {self.detail}"


@dataclass
class Seen:
    """One thing that happened in a step, and the largest magnitude in each array that came of it, by name.

    Names are as in `Finding`. `begins` says that a pass through a whole network starts here.
    """

    network: str
    layer: str
    what: str
    verb: str
    largest: dict[str, float] = field(default_factory=dict)
    begins: bool = False


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
    """A magnitude in few characters: 0.031, 12, 4200, 3.1e38."""
    rounded = f"{number:.2g}"
    plain = f"{float(rounded):g}" if 1e-3 <= number < 1e5 else rounded
    return plain.replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")
