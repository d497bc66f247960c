"""What a rule of the doctor is, what it is given, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from minigan.layers import Layer
from minigan.model import Model, Phase
from minigan.training.settings import RunConfig

WELL = 50  # records or pictures without a sign before it may be reported again
SINCE = "since step …"  # stands in a sentence for the step at which a sign began


@dataclass(frozen=True)
class Note:
    """What a check has to say: the name of the check, and one sentence."""

    check: str
    sentence: str


@dataclass
class Sign:
    """How long something has been seen, or not been seen any more."""

    seen: int = 0  # times in a row
    since: int = 0  # the step of the first of them
    gone: int = 0  # times in a row, after it was said
    said: bool = False

    def watch(self, there: bool, step: int, patience: int) -> bool:
        """Count; return whether it is to be said now."""
        if not there:
            self.seen, self.gone = 0, self.gone + 1
            self.said = self.said and self.gone < WELL
            return False
        self.since = self.since if self.seen else step
        self.seen, self.gone = self.seen + 1, 0
        first, self.said = not self.said and self.seen >= patience, self.said or self.seen >= patience
        return first


@dataclass(frozen=True)
class Seen:
    """Whether a sign is there, and the sentence to say if it is.

    of: the network, layer, measure or exhibit that has it; each has a count of its own
    patience: if it isn't the rule's
    """

    there: bool
    sentence: str
    of: str = ""
    patience: int | None = None


@dataclass(frozen=True)
class Rule:
    """One thing that the doctor looks for.

    check:     its name in a note
    patience:  how many records, or pictures, in a row must have the sign before it is reported
    look:      a function of the case and of what is looked at. What can't be told now isn't in what it returns: its
               count stays as it is
    tried:     kinds of advice (advice.py)
    only_one:  of several that are due at once, only the first is reported
    """

    check: str
    patience: int
    look: Callable[[Case, Any], Iterable[Seen]]
    tried: tuple[str, ...] = ()
    only_one: bool = False


@dataclass
class Case:
    """What all rules may draw on.

    initial: the root mean square of each network's weights at the beginning
    trends:  of each generator, log10 of its gradient's norm: the running mean, and the largest that it has been
    diverse: exhibits whose samples have once differed as real ones do
    """

    model: Model
    config: RunConfig
    phase: Phase
    initial: dict[str, float]
    trends: dict[str, list[float]] = field(default_factory=dict)
    diverse: set[str] = field(default_factory=set)

    def layers(self) -> Iterator[tuple[str, Layer]]:
        """All layers of all networks that learn, by place, such as "G.8"."""
        for name, network in self.model.networks.items():
            for prefix, layer in network.walk():
                yield f"{name}.{prefix}".rstrip("."), layer


def is_idle(place: str, phase: Phase) -> bool:
    """Whether a layer is one of those that learn nothing in this phase, or inside of one."""
    return any(place == idle or place.startswith(f"{idle}.") for idle in phase.idle)
