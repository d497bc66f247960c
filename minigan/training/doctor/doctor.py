"""The doctor of one run: it applies the rules of table.py to whatever comes, and counts what they see."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from minigan.backend import array_module, to_numpy
from minigan.errors import CheckpointError
from minigan.model import Exhibit, Model, Phase
from minigan.training.doctor.advice import advice, listed
from minigan.training.doctor.diversity import Likeness
from minigan.training.doctor.noise import neighbour_correlation
from minigan.training.doctor.rule import SINCE, Case, Note, Rule, Sign
from minigan.training.doctor.samples import Drawn
from minigan.training.doctor.table import AT_START, OF_RECORDS, OF_SAMPLES
from minigan.training.settings import RunConfig

LARGEST = 308  # of log10 of a number


class Doctor:
    """Looks after one run of `model`, and remembers what it has to. It never changes anything of the model.

    real: a function of the name of an array and a number n, which returns so many real samples (n, …) on the host, or
          fewer if there are fewer. It is asked once for each exhibit. With None, samples are compared with nothing.
    """

    def __init__(self, model: Model, config: RunConfig, real: Callable[[str, int], np.ndarray] | None) -> None:
        initial = {name: float(to_numpy(_rms(net.parameters().values))) for name, net in model.networks.items()}
        self.case = Case(model, config, model.phases[0], initial)
        self.real, self.advice = real, advice(model, config)
        self.signs: dict[str, Sign] = {}
        self.compared: dict[tuple[str, tuple[int, ...]], tuple[Likeness, float]] = {}

    def at_start(self) -> list[Note]:
        """What can be told before the first step."""
        return self._apply(AT_START, 0, None, {})

    def begin(self, phase: Phase) -> None:
        """Start the counts of all signs again, because another phase begins; nothing happens if it has begun already.

        Other layers learn in it, from batches of another size: what gradients were says nothing of what they should
        be. The weights go on from what they are, and a generator goes on drawing what it has learned to: their initial
        size, and which samples have differed, are remembered.
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
            found[f"weights.{name}"] = _rms(network.parameters().values)
        return found

    def check(self, record: dict[str, Any]) -> list[Note]:
        """Look at a record of metrics.jsonl."""
        return self._apply(OF_RECORDS, record["step"], record, self.signs)

    def look_at(self, step: int, exhibits: Mapping[str, Exhibit]) -> tuple[dict[str, float], list[Note]]:
        """Look at the exhibits that are samples of latents, always of the same ones, on the host.

        Returns what goes into the record, and notes. The diversity of the first such exhibit is called "diversity",
        that of others "diversity.NAME"; one that can't be told is left out.
        """
        sampled = {name: exhibit for name, exhibit in exhibits.items() if exhibit.like}
        found, notes = {}, []
        for name, exhibit in sampled.items():
            x = np.asarray(exhibit.samples)
            likeness, real_smooth = self._real_beside(name, exhibit.like, x)
            smooth = neighbour_correlation(x) if x.ndim == 4 else math.nan
            which = f" in {name}" if len(sampled) > 1 else ""
            drawn = Drawn(step, name, which, x.ndim == 4, likeness(x), smooth, real_smooth)
            if not math.isnan(drawn.look.diversity):
                found[f"diversity.{name}" if found else "diversity"] = drawn.look.diversity
            notes += self._apply(OF_SAMPLES, step, drawn, self.signs)
        return found, notes

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know, as plain JSON."""
        return {
            "phase": self.case.phase.name,
            "initial": self.case.initial,
            "trends": self.case.trends,
            "diverse": sorted(self.case.diverse),
            "signs": {key: asdict(sign) for key, sign in self.signs.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` returned; an empty one changes nothing.

        Raises CheckpointError, with nothing changed, for what no doctor has written.
        """
        if not state:
            return
        model, config = self.case.model, self.case.config
        try:
            phase = {phase.name: phase for phase in model.phases}[state["phase"]]
            initial = {name: float(state["initial"][name]) for name in model.networks}
            trends = {str(name): [float(mean), float(most)] for name, (mean, most) in state["trends"].items()}
            signs = {str(key): Sign(**sign) for key, sign in state["signs"].items()}
            if any(type(n) is not int for sign in signs.values() for n in (sign.seen, sign.since, sign.gone)):
                raise ValueError("these are no counts")
            if not all(abs(number) <= LARGEST for trend in trends.values() for number in trend):
                raise ValueError("these are no logarithms of norms")
            self.case = Case(model, config, phase, initial, trends, {str(name) for name in state["diverse"]})
            self.signs = signs
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise CheckpointError("what the checkpoint remembers for the checks of the run is damaged") from error

    def _apply(self, rules: tuple[Rule, ...], step: int, looked_at: Any, signs: dict[str, Sign]) -> list[Note]:
        """Count what the rules see, and return the notes that are due, which is seldom any."""
        notes = []
        for rule in rules:
            due = []
            for seen in rule.look(self.case, looked_at):
                sign = signs.setdefault(f"{rule.check} {seen.of}".rstrip(), Sign())
                if sign.watch(bool(seen.there), step, seen.patience or rule.patience):
                    tried = listed(self.advice[kind] for kind in rule.tried)
                    sentence = seen.sentence.replace(SINCE, f"since step {sign.since}")
                    due.append(Note(rule.check, f"{sentence}: try {tried}" if tried else sentence))
            notes += due[:1] if rule.only_one else due
        return notes

    def _real_beside(self, name: str, like: str, x: np.ndarray) -> tuple[Likeness, float]:
        """To compare samples x with: real ones, and how smooth these are. Kept for samples of the same shape."""
        if (name, x.shape) not in self.compared:
            real = fitted(self.real(like, len(x)), x.shape[1:]) if self.real else None
            smooth = math.nan if real is None or real.ndim != 4 else neighbour_correlation(real)
            self.compared[name, x.shape] = Likeness(real), smooth
        return self.compared[name, x.shape]


def fitted(real: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """Real samples (n, …) of another `shape`: pictures (H, W, C) by means over rectangles. None where they don't fit.

    A model that works at several resolutions shows small pictures at first.
    """
    if real.shape[1:] == shape:
        return real
    if real.ndim != 4 or len(shape) != 3 or real.shape[1] % shape[0] or real.shape[2] % shape[1]:
        return None
    n, H, W, C = real.shape
    h, w, _ = shape
    return real.reshape(n, h, H // h, w, W // w, C).mean(axis=(2, 4)) if shape[2] == C else None


def _rms(vector: Any) -> Any:
    """The root mean square of a vector, 0-d, on its device."""
    xp = array_module(vector)
    return xp.sqrt(xp.vdot(vector, vector) / max(vector.size, 1))
