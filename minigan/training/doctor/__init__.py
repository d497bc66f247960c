"""Inexpensive health checks during training, which report problems in one sentence, with a remedy.

The loss of a GAN doesn't decrease as the samples improve, so it doesn't distinguish a failed run from a good one. Other
signs do, and cost almost nothing: gradients, the size of weights, the critic's outputs for real and generated data, the
diversity of samples. All rules are in rules.py; a new rule is a function there and an entry in a list.

A false alarm is worse than a late one. Therefore a sign must persist for a number of records before it is reported. It
is reported once, and again only after it was absent for a while. The thresholds are far from every value in runs of all
models with their default settings (tests/training/test_doctor_runs.py).
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
from minigan.training.doctor.rule import SINCE, Context, Note, Rule, SampledExhibit, Sign, advice
from minigan.training.doctor.rules import AT_START, OF_RECORDS, OF_SAMPLES
from minigan.training.settings import RunConfig

__all__ = ["Doctor", "Note", "Sign"]


class Doctor:
    """Checks one run of `model`, without changing the model.

    real: a function (name of an array, n) → real samples (n, …) on the host, fewer if the data has fewer. It is called
          once for each pair of arguments. With None, samples are not compared with real data.
    """

    def __init__(self, model: Model, config: RunConfig, real: Callable[[str, int], np.ndarray] | None) -> None:
        self.context = Context(model, config, model.phases[0])
        measured = self.measure()
        self.context.initial = {name: float(to_numpy(measured[f"weights.{name}"])) for name in model.networks}
        self.real, self.advice = real and cache(real), advice(model, config)
        self.signs: dict[str, Sign] = {}

    def at_start(self) -> list[Note]:
        """Return the notes of the rules that apply before the first step."""
        return self._apply(AT_START, 0, None, {})

    def begin(self, phase: Phase) -> None:
        """Reset the counts of all signs at the beginning of a new phase.

        Other layers learn in a new phase, from other batches, so its gradients aren't comparable with earlier ones. The
        initial size of the weights and the set of diverse exhibits are kept, because weights and samples are continued.
        """
        if phase.name != self.context.phase.name:
            self.context.phase, self.context.trends, self.signs = phase, {}, {}

    def measure(self) -> dict[str, Any]:
        """Return the gradient norms of layers, "gradients.G.0", and the rms weights of networks, "weights.G"."""
        found = {}
        for place, layer in self.context.layers():
            if layer.parameter_names:
                own = sum(getattr(layer, parameter).size for parameter in layer.parameter_names)
                grads = layer.parameters().grads[:own]  # without those of inner layers, which follow
                found[f"gradients.{place}"] = array_module(grads).sqrt(array_module(grads).vdot(grads, grads))
        for name, network in self.context.model.networks.items():
            values = network.parameters().values
            mean = array_module(values).vdot(values, values) / max(values.size, 1)
            found[f"weights.{name}"] = array_module(values).sqrt(mean)
        return found

    def check(self, record: dict[str, Any]) -> list[Note]:
        """Check a record of metrics.jsonl, and return the notes that are due."""
        return self._apply(OF_RECORDS, record["step"], record, self.signs)

    def inspect(self, step: int, exhibits: Mapping[str, Exhibit]) -> tuple[dict[str, float], list[Note]]:
        """Check the exhibits that are samples from fixed latents, on the host; return their diversities and notes.

        The diversity of the first such exhibit is "diversity", of others "diversity.NAME". Undefined ones are omitted.
        """
        sampled = {name: exhibit for name, exhibit in exhibits.items() if exhibit.like}
        found: dict[str, float] = {}
        notes = []
        for name, exhibit in sampled.items():
            x = exhibit.samples
            real = fitted(self.real(exhibit.like, len(x)), x.shape[1:]) if self.real else None
            drawn = SampledExhibit(step, name, f" in {name}" if len(sampled) > 1 else "", x, real, compare(x, real))
            if not math.isnan(drawn.comparison.diversity):
                found["diversity" if name == next(iter(sampled)) else f"diversity.{name}"] = drawn.comparison.diversity
            notes += self._apply(OF_SAMPLES, step, drawn, self.signs)
        return found, notes

    def state_dict(self) -> dict[str, Any]:
        """Return the state of all counts as plain JSON, for a checkpoint."""
        context, signs = self.context, {key: asdict(sign) for key, sign in self.signs.items()}
        known = {"phase": context.phase.name, "initial": context.initial, "trends": context.trends}
        return known | {"diverse": sorted(context.diverse), "signs": signs}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the result of `state_dict`. For anything else, an exception is raised before any change."""
        phases = {phase.name: phase for phase in self.context.model.phases}
        signs = {str(key): Sign(**sign) for key, sign in state["signs"].items()}
        if any(type(n) not in (int, bool) for sign in signs.values() for n in vars(sign).values()):
            raise ValueError("these are no counts")
        self.context = replace(
            self.context,
            phase=phases[state["phase"]],
            initial={name: float(state["initial"][name]) for name in self.context.model.networks},
            trends={str(name): [float(mean), float(most)] for name, (mean, most) in state["trends"].items()},
            diverse={str(name) for name in state["diverse"]},
        )
        self.signs = signs

    def _apply(self, rules: tuple[Rule, ...], step: int, looked_at: Any, signs: dict[str, Sign]) -> list[Note]:
        """Apply rules to a subject, update the counts of their signs, and return the notes that are due."""
        notes = []
        for rule in rules:
            due = []
            for seen in rule.look(self.context, looked_at):
                sign = signs.setdefault(f"{rule.check} {seen.subject}".rstrip(), Sign())
                if sign.watch(int(seen.present), step, rule.patience):
                    tried = [self.advice[kind] for kind in rule.tried if self.advice[kind]]
                    sentence = seen.sentence.replace(SINCE, f"since step {sign.since}")
                    due.append(Note(rule.check, f"{sentence}: try {either(tried)}" if tried else sentence))
            notes += due[:1] if rule.only_one else due
        return notes
