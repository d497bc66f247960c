"""What the search for a NaN tells: the first number that isn't finite, and everything that it has seen before."""

from __future__ import annotations

from dataclasses import dataclass, field

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
