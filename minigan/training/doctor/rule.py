"""The interface of the doctor's rules: their inputs and results, and the advice in their notes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from minigan.layers import Layer
from minigan.model import Model, Phase
from minigan.options import arguments_of
from minigan.training.doctor.likeness import Comparison
from minigan.training.hooks import places
from minigan.training.settings import LEAST_STEPS, RunConfig

WELL = 50  # records or pictures without a sign before it may be reported again
SMOOTHING = 0.1  # the label smoothing of Salimans et al. 2016
SINCE = "since step …"  # placeholder in a sentence for the first step of a sign


@dataclass(frozen=True)
class Note:
    """A report: the name of the check, and one sentence."""

    check: str
    sentence: str


@dataclass
class Sign:
    """The persistence of a symptom."""

    seen: int = 0  # consecutive observations
    since: int = 0  # the step of the first of them
    gone: int = 0  # consecutive absences
    said: bool = False  # whether it was reported

    def watch(self, there: int, step: int, patience: int) -> bool:
        """Count an observation or an absence; return whether a report is due."""
        if not there:
            self.seen, self.gone = 0, self.gone + 1
            self.said = self.said and self.gone < WELL
            return False
        self.since = self.since if self.seen else step
        self.seen, self.gone = self.seen + there, 0
        first, self.said = not self.said and self.seen >= patience, self.said or self.seen >= patience
        return first


class Observation(NamedTuple):
    """One result of a rule.

    present:  whether the symptom is present, or how many times this observation counts
    sentence: the report
    subject:  the network, layer or measure concerned
    """

    present: int
    sentence: str
    subject: str = ""


class Rule(NamedTuple):
    """One symptom and how to detect it. `look` omits subjects for which it can't be determined at this step.

    patience: the number of consecutive observations before a report
    tried:    kinds of `advice`
    only_one: report only the first of several subjects at the same time
    """

    check: str
    patience: int
    look: Callable[[Context, Any], Iterable[Observation]]
    tried: tuple[str, ...] = ()
    only_one: bool = False


class SampledExhibit(NamedTuple):
    """An exhibit of samples, and real samples of the same shape or None. `which` names it if there are several."""

    step: int
    exhibit: str
    which: str
    samples: np.ndarray
    real: np.ndarray | None
    comparison: Comparison


@dataclass
class Context:
    """The data shared by all rules.

    initial: the root mean square of each network's initial weights
    trends:  for each generator, the running mean of log10 of its gradient norm, and the maximum of that mean
    diverse: the exhibits that have reached the diversity DIVERSE
    """

    model: Model
    config: RunConfig
    phase: Phase
    initial: dict[str, float] = field(default_factory=dict)
    trends: dict[str, list[float]] = field(default_factory=dict)
    diverse: set[str] = field(default_factory=set)

    def layers(self) -> Iterator[tuple[str, Layer]]:
        """Yield all layers of the trained networks, with their places, such as "G.8"."""
        return ((str(place), place.layer) for place in places(self.model.networks))


def is_idle(place: str, phase: Phase) -> bool:
    """Whether a layer isn't trained in this phase, by itself or as part of another layer."""
    return any(place == idle or place.startswith(f"{idle}.") for idle in phase.idle)


def advice(model: Model, config: RunConfig) -> dict[str, str]:
    """Return the remedies by kind, such as `--lr 0.0001`; empty if the model lacks the option, or uses it already."""
    arguments = arguments_of(type(model))
    values = {name: config.model_args.get(name, argument.default) for name, argument in arguments.items()}
    rate = values.get("lr") or max((optimizer.lr for optimizer in model.optimizers.values()), default=0.0)
    default = arguments["lr"].default if "lr" in arguments else None
    usual = default if isinstance(default, float) and default < rate else math.inf
    n_critic, weight = values.get("n_critic") or 0, values.get("lambda_gp", 0)
    n_steps = max(LEAST_STEPS, 2 * config.n_steps)
    identity = max(0.5, 2 * getattr(model, "identity", 0.0))
    comparable = len({shape[-1] for shape in config.shapes.values()}) == 1  # the identity loss needs equal channels
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
        "identity": f"--identity {identity:g}" if "identity" in arguments and comparable else "",
        "batch": "a larger batch" if own_batch else f"--batch-size {max(16, 2 * config.batch_size)}",
        "longer": f"--n-steps {n_steps}",
        "go_on": f"--resume with --n-steps {n_steps}",
        "augmentation": "" if config.augment else "--augment flip",
        "more_pictures": "more pictures",
        "seed": "another --seed",
    }
