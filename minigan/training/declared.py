"""What a model declares for people to read: enough for the page of a run, its plain lines and its drawings.

It is kept in RUN/declared.json, so that none of them needs the model itself.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import Any

from minigan.common.model_checks import SCALES
from minigan.common.untrusted import open_file
from minigan.model import Judgement, Measure
from minigan.training.files import write_text

LARGEST_FILE = 1 << 20  # bytes; that of a network of a hundred layers has about ten thousand
LOSSES = "Losses"  # the chart whose measures are called "D loss" in a line, and "D" in the chart


@dataclass(frozen=True)
class Chart:
    """What a chart shows. `curves`: names in the records, and what people call them; `scale`: of a measure."""

    title: str
    curves: dict[str, str]
    scale: str = "any"
    note: str = ""


@dataclass(frozen=True)
class Declared:
    """Of a model: everything that has a name in its records, and the words for it.

    networks: the title of each; critics come first, as their measures do
    layers:   what they are, by the names in records: {"G.0": "Dense(100, 2048)", …}
    exhibits: the names of its exhibits, in the order of the page; the first one is large
    """

    measures: dict[str, Measure] = field(default_factory=dict)
    judgements: dict[str, Judgement] = field(default_factory=dict)
    networks: dict[str, str] = field(default_factory=dict)
    layers: dict[str, str] = field(default_factory=dict)
    exhibits: tuple[str, ...] = ()

    @classmethod
    def of(cls, model: Any, judgements: dict[str, Judgement] | None = None) -> Declared:
        """Read it off a model; what it shows isn't known yet. `judgements`: all of a run's, or its own."""
        roles = {}
        if len(model.games) == 1:  # of several, "Generator" would not say which
            roles = {model.games[0].generator: "Generator", model.games[0].critic: "Discriminator"}
        critics = [game.critic for game in model.games]
        layers = {
            f"{name}.{prefix}".rstrip("."): repr(layer)
            for name, network in model.networks.items()
            for prefix, layer in network.walk()
            if not layer.children()
        }
        return cls(
            dict(model.measures),
            dict(model.judgements if judgements is None else judgements),
            {name: roles.get(name, name) for name in dict.fromkeys([*critics, *model.networks])},
            layers,
        )

    @property
    def charts(self) -> list[Chart]:
        """The measures, each title once, in the order in which they were declared."""
        groups: dict[str, dict[str, Measure]] = {}
        for name, measure in self.measures.items():
            groups.setdefault(measure.chart, {})[name] = measure
        found = []
        for title, measures in groups.items():
            first, words = next(iter(measures.values())), {name: measure.words for name, measure in measures.items()}
            found.append(Chart(title, words, first.scale, next((m.note for m in measures.values() if m.note), "")))
        return found

    @property
    def judged(self) -> list[Chart]:
        """The judgements, a chart for each."""
        return [chart_of(name, judgement) for name, judgement in self.judgements.items()]

    def write(self, path: str | os.PathLike) -> None:
        """Write declared.json. Raises OSError if it can't be written."""
        write_text(path, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: str | os.PathLike) -> Declared:
        """Read declared.json. If it is missing or damaged, nothing is declared: names in records stand for words."""
        try:
            with open_file(path) as file:
                values = json.loads(file.read(LARGEST_FILE))
            return cls(
                {name: _made(Measure, value) for name, value in values["measures"].items()},
                {name: _made(Judgement, value) for name, value in values["judgements"].items()},
                {name: _text(value) for name, value in values["networks"].items()},
                {name: _text(value) for name, value in values["layers"].items()},
                tuple(map(_text, values["exhibits"])),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return cls()


def chart_of(name: str, judgement: Judgement) -> Chart:
    """The chart of one judgement."""
    title, note = judgement.words[:1].upper() + judgement.words[1:], f"{judgement.better} is better"
    return Chart(title, {name: judgement.words}, judgement.scale, judgement.note or note * bool(judgement.better))


def _made(kind: Any, value: dict[str, Any]) -> Any:
    """A measure or judgement of what JSON gave; raises ValueError or TypeError for what is none."""
    texts = {name: _text(text) for name, text in value.items() if name != "healthy"}  # that is for the doctor
    if texts["scale"] not in SCALES:
        raise ValueError(f"{texts['scale']!r} is none of {', '.join(SCALES)}")
    return kind(**texts)


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError(f"{value!r} is not text")
    return value
