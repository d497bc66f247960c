"""Cheap checks while a model trains, which say in one sentence what is wrong and what to try.

The loss of a GAN doesn't fall as it gets better, so a run that has gone wrong looks like one that goes well. But there
are signs that cost next to nothing to look for: gradients, the size of weights, what a critic makes of real and of
generated data, how different samples are. rules.py has all rules: a new one is a function there, and a line in a list.

A false alarm is worse than a late one. So a sign has to stay for a number of records before it is reported; it is
reported once, and again only when it has been gone for a while. The bounds are where no run of any model with its
defaults came near (tests/training/test_doctor_runs.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import cache
from typing import Any

import numpy as np

from minigan.backend import array_module, to_numpy
from minigan.common.words import either
from minigan.model import Exhibit, Model, Phase
from minigan.training.doctor.likeness import compare, fitted
from minigan.training.doctor.rule import SINCE, Case, Drawn, Note, Rule, Sign, advice
from minigan.training.doctor.rules import AT_START, OF_RECORDS, OF_SAMPLES
from minigan.training.settings import RunConfig

__all__ = ["Doctor", "Note", "Sign"]


class Doctor:
    """Looks after one run of `model`, and remembers what it has to. It never changes anything of the model.

    real: a function of the name of an array and a number n: real samples (n, …) on the host, or fewer if there are
          fewer. It is asked once for each array and number. With None, samples are compared with nothing.
    """

    def __init__(self, model: Model, config: RunConfig, real: Callable[[str, int], np.ndarray] | None) -> None:
        self.case = Case(model, config, model.phases[0])
        measured = self.measure()
        self.case.initial = {name: float(to_numpy(measured[f"weights.{name}"])) for name in model.networks}
        self.real, self.advice = real and cache(real), advice(model, config)
        self.signs: dict[str, Sign] = {}

    def at_start(self) -> list[Note]:
        """What can be told before the first step."""
        return self._apply(AT_START, 0, None, {})

    def begin(self, phase: Phase) -> None:
        """Start the counts of all signs again, unless this phase has begun already.

        Other layers learn in it, from other batches, so gradients of the last phase are nothing to compare with. But
        weights and samples go on as they are: what they were at first, and that they have differed, is remembered.
        """
        if phase.name != self.case.phase.name:
            self.case.phase, self.case.trends, self.signs = phase, {}, {}

    def measure(self) -> dict[str, Any]:
        """Right after a step: the norms of the gradients of every layer, and the rms of every network's weights.

        0-d arrays by name, "gradients.G.0", "weights.G", which stay on the device. One pass over each vector.
        """
        found = {}
        for place, layer in self.case.layers():
            if layer.parameter_names:
                own = sum(getattr(layer, parameter).size for parameter in layer.parameter_names)
                grads = layer.parameters().grads[:own]  # its own come before those of inner layers
                found[f"gradients.{place}"] = array_module(grads).sqrt(array_module(grads).vdot(grads, grads))
        for name, network in self.case.model.networks.items():
            values = network.parameters().values
            mean = array_module(values).vdot(values, values) / max(values.size, 1)
            found[f"weights.{name}"] = array_module(values).sqrt(mean)
        return found

    def check(self, record: dict[str, Any]) -> list[Note]:
        """Look at a record of metrics.jsonl."""
        return self._apply(OF_RECORDS, record["step"], record, self.signs)

    def look_at(self, step: int, exhibits: Mapping[str, Exhibit]) -> tuple[dict[str, float], list[Note]]:
        """Look at the exhibits that are samples of latents, always of the same ones, on the host: notes, and diversity.

        That of the first such exhibit is "diversity", of others "diversity.NAME"; what can't be told is left out.
        """
        sampled = {name: exhibit for name, exhibit in exhibits.items() if exhibit.like}
        found: dict[str, float] = {}
        notes = []
        for name, exhibit in sampled.items():
            x = exhibit.samples
            real = fitted(self.real(exhibit.like, len(x)), x.shape[1:]) if self.real else None
            drawn = Drawn(step, name, f" in {name}" if len(sampled) > 1 else "", x, real, compare(x, real))
            if not math.isnan(drawn.look.diversity):
                found["diversity" if name == next(iter(sampled)) else f"diversity.{name}"] = drawn.look.diversity
            notes += self._apply(OF_SAMPLES, step, drawn, self.signs)
        return found, notes

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know, as plain JSON."""
        case, signs = self.case, {key: asdict(sign) for key, sign in self.signs.items()}
        known = {"phase": case.phase.name, "initial": case.initial, "trends": case.trends}
        return known | {"diverse": sorted(case.diverse), "signs": signs}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` returned.

        For anything else it raises KeyError, TypeError, ValueError, AttributeError or OverflowError, and changes
        nothing.
        """
        phases = {phase.name: phase for phase in self.case.model.phases}
        signs = {str(key): Sign(**sign) for key, sign in state["signs"].items()}
        if any(type(n) not in (int, bool) for sign in signs.values() for n in vars(sign).values()):
            raise ValueError("these are no counts")
        self.case = replace(
            self.case,
            phase=phases[state["phase"]],
            initial={name: float(state["initial"][name]) for name in self.case.model.networks},
            trends={str(name): [float(mean), float(most)] for name, (mean, most) in state["trends"].items()},
            diverse={str(name) for name in state["diverse"]},
        )
        self.signs = signs

    def _apply(self, rules: tuple[Rule, ...], step: int, looked_at: Any, signs: dict[str, Sign]) -> list[Note]:
        """Count what the rules see, and return the notes that are due, which is seldom any."""
        notes = []
        for rule in rules:
            due = []
            for seen in rule.look(self.case, looked_at):
                sign = signs.setdefault(f"{rule.check} {seen.of}".rstrip(), Sign())
                if sign.watch(int(seen.there), step, rule.patience):
                    tried = [self.advice[kind] for kind in rule.tried if self.advice[kind]]
                    sentence = seen.sentence.replace(SINCE, f"since step {sign.since}")
                    due.append(Note(rule.check, f"{sentence}: try {either(tried)}" if tried else sentence))
            notes += due[:1] if rule.only_one else due
        return notes
