"""What a rule of the doctor is, what it is given and returns, and the advice that goes with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from minigan.layers import Layer
from minigan.model import Model, Phase
from minigan.options import arguments_of
from minigan.training.doctor.likeness import Look
from minigan.training.settings import LEAST_STEPS, RunConfig
from minigan.training.watching import places

WELL = 50  # records or pictures without a sign before it may be reported again
SMOOTHING = 0.1  # of Salimans et al. 2016
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

    def watch(self, there: int, step: int, patience: int) -> bool:
        """Count; return whether it is to be said now."""
        if not there:
            self.seen, self.gone = 0, self.gone + 1
            self.said = self.said and self.gone < WELL
            return False
        self.since = self.since if self.seen else step
        self.seen, self.gone = self.seen + there, 0
        first, self.said = not self.said and self.seen >= patience, self.said or self.seen >= patience
        return first


class Seen(NamedTuple):
    """Whether a sign is there, or how many times it counts; the sentence if it is; of which network, layer, measure."""

    there: int
    sentence: str
    of: str = ""


class Rule(NamedTuple):
    """One thing to look for. A function gets the case and what is looked at, and leaves out what can't be told now.

    patience: how many records, or looks at exhibits, in a row must have the sign before it is reported
    tried:    kinds of `advice`. only_one: of several signs that are due at once, the first is reported
    """

    check: str
    patience: int
    look: Callable[[Case, Any], Iterable[Seen]]
    tried: tuple[str, ...] = ()
    only_one: bool = False


class Drawn(NamedTuple):
    """An exhibit of samples beside real ones, or None, of the same shape. `which` names it where there are several."""

    step: int
    exhibit: str
    which: str
    samples: np.ndarray
    real: np.ndarray | None
    look: Look


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
    initial: dict[str, float] = field(default_factory=dict)
    trends: dict[str, list[float]] = field(default_factory=dict)
    diverse: set[str] = field(default_factory=set)

    def layers(self) -> Iterator[tuple[str, Layer]]:
        """All layers of all networks that learn, by place, such as "G.8"."""
        return ((str(place), place.layer) for place in places(self.model.networks))


def is_idle(place: str, phase: Phase) -> bool:
    """Whether a layer is one of those that learn nothing in this phase, or inside of one."""
    return any(place == idle or place.startswith(f"{idle}.") for idle in phase.idle)


def advice(model: Model, config: RunConfig) -> dict[str, str]:
    """What to try, by kind, such as `--lr 0.0001`; empty where the model has no such option, or tries it already."""
    arguments = arguments_of(type(model))
    values = {name: config.model_args.get(name, argument.default) for name, argument in arguments.items()}
    rate = values.get("lr") or max((optimizer.lr for optimizer in model.optimizers.values()), default=0.0)
    default = arguments["lr"].default if "lr" in arguments else None
    usual = default if isinstance(default, float) and default < rate else math.inf
    n_critic, weight = values.get("n_critic") or 0, values.get("lambda_gp", 0)
    n_steps = max(LEAST_STEPS, 2 * config.n_steps)
    own_batch = any(phase.batch_size for phase in model.phases)

    def smaller_lr(times: float) -> str:
        return f"--lr {min(rate / times, usual):.2g}" if "lr" in arguments and rate else "a smaller learning rate"

    return {
        "smaller_lr": smaller_lr(2),
        "much_smaller_lr": smaller_lr(10),
        "smoothing": f"--label-smoothing {SMOOTHING}" if values.get("label_smoothing") == 0 else "",
        "weaker_critic": "--n-critic 1" if n_critic > 1 else "",
        "stronger_critic": f"--n-critic {2 * n_critic}" if n_critic else "",
        "penalty": "a larger --lambda-gp" if weight is None else f"--lambda-gp {10 * weight:g}" if weight else "",
        "batch": "a larger batch" if own_batch else f"--batch-size {max(16, 2 * config.batch_size)}",
        "longer": f"--n-steps {n_steps}",
        "go_on": f"--resume with --n-steps {n_steps}",
        "augmentation": "" if config.augment else "--augment flip",
        "more_pictures": "more pictures",
        "seed": "another --seed",
    }
