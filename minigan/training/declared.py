"""The display names of a model's measures, judgements, networks, layers and exhibits.

They are stored in RUN/declared.json, so that the page and the charts of a run can be drawn without the model.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from minigan.common.model_checks import SCALES
from minigan.common.untrusted import open_file
from minigan.model import Exhibit, Judgement, Measure
from minigan.training.files import write_text

LARGEST_FILE = 1 << 20  # bytes; a network of a hundred layers needs about ten thousand
MOST_ROWS = 1000  # of a table
LOSSES = "Losses"  # the chart whose measures are named "D loss" in a line of progress, and "D" in the chart


@dataclass(frozen=True)
class Chart:
    """A chart. `curves` maps names in the records to display names; `scale` is the scale of a measure."""

    title: str
    curves: dict[str, str]
    scale: str = "any"
    note: str = ""


@dataclass(frozen=True)
class Table:
    """An exhibit of pictures with a caption for each column: the page shows one row at a time, large."""

    captions: tuple[str, ...]
    rows: int

    @classmethod
    def of(cls, exhibit: Exhibit) -> Table | None:
        """Return the table that an exhibit is; None if it is none."""
        n = len(exhibit.captions)
        if exhibit.samples.ndim != 4 or not n or n != (exhibit.columns or n) or len(exhibit.samples) % n:
            return None
        return cls(tuple(exhibit.captions), len(exhibit.samples) // n)


@dataclass(frozen=True)
class Declared:
    """The display names of a model, by the names in its records.

    networks: a title for each; critics come first, like their measures
    layers:   {"G.0": "Dense(100, 2048)", …}
    exhibits: names, in the order of the page; the first one is drawn large
    tables:   of the exhibits that are tables
    """

    measures: dict[str, Measure] = field(default_factory=dict)
    judgements: dict[str, Judgement] = field(default_factory=dict)
    networks: dict[str, str] = field(default_factory=dict)
    layers: dict[str, str] = field(default_factory=dict)
    exhibits: tuple[str, ...] = ()
    tables: dict[str, Table] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Any, judgements: dict[str, Judgement] | None = None) -> Declared:
        """Return the declarations of a model, without exhibits. `judgements` defaults to the model's own."""
        roles = {}
        if len(model.games) == 1:  # with several games, "Generator" would be ambiguous
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

    def showing(self, exhibits: dict[str, Exhibit]) -> Declared:
        """Return these declarations with exhibits."""
        tables = {name: table for name, exhibit in exhibits.items() if (table := Table.of(exhibit))}
        return replace(self, exhibits=tuple(exhibits), tables=tables)

    @property
    def charts(self) -> list[Chart]:
        """The charts of the measures, grouped by title, in the order of declaration."""
        groups: dict[str, dict[str, Measure]] = {}
        for name, measure in self.measures.items():
            groups.setdefault(measure.chart, {})[name] = measure
        found = []
        for title, measures in groups.items():
            first, words = next(iter(measures.values())), {name: measure.words for name, measure in measures.items()}
            words |= {name: one.words for name, one in self.judgements.items() if one.chart == title}
            found.append(Chart(title, words, first.scale, next((m.note for m in measures.values() if m.note), "")))
        return found

    @property
    def judged(self) -> list[Chart]:
        """The charts of the judgements: one for each, or for those with the same title, without those of measures."""
        found: dict[str, Chart] = {}
        measured = {measure.chart for measure in self.measures.values()}
        for name, judgement in self.judgements.items():
            key = judgement.chart or f" {name}"  # no chart is called so
            if judgement.chart in measured:
                continue
            if key in found:
                found[key].curves[name] = judgement.words
            else:
                found[key] = judgement_chart(name, judgement)
        return list(found.values())

    def write(self, path: str | os.PathLike) -> None:
        """Write declared.json. Raises OSError if it can't be written."""
        write_text(path, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: str | os.PathLike) -> Declared:
        """Read declared.json. A missing or damaged file counts as empty: the names in the records are shown instead."""
        try:
            with open_file(path) as file:
                values = json.loads(file.read(LARGEST_FILE))
            return cls(
                {name: _made(Measure, value) for name, value in values["measures"].items()},
                {name: _made(Judgement, value) for name, value in values["judgements"].items()},
                {name: _text(value) for name, value in values["networks"].items()},
                {name: _text(value) for name, value in values["layers"].items()},
                tuple(map(_text, values["exhibits"])),
                {name: _table(value) for name, value in values.get("tables", {}).items()},
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return cls()


def judgement_chart(name: str, judgement: Judgement) -> Chart:
    """Return the chart of one judgement."""
    title, note = judgement.chart or judgement.words, f"{judgement.better} is better"
    title = title[:1].upper() + title[1:]
    return Chart(title, {name: judgement.words}, judgement.scale, judgement.note or note * bool(judgement.better))


def _made(kind: Any, value: dict[str, Any]) -> Any:
    """Build a Measure or Judgement from parsed JSON. Raises ValueError, TypeError or KeyError if it is invalid."""
    texts = {name: _text(text) for name, text in value.items() if name != "healthy"}  # used by the doctor only
    if texts["scale"] not in SCALES:
        raise ValueError(f"{texts['scale']!r} is none of {', '.join(SCALES)}")
    return kind(**texts)


def _table(value: dict[str, Any]) -> Table:
    rows, captions = value["rows"], tuple(map(_text, value["captions"]))
    if type(rows) is not int or not 1 <= rows <= MOST_ROWS or not captions:
        raise ValueError(f"{value!r} is no table")
    return Table(captions, rows)


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError(f"{value!r} is not text")
    return value
