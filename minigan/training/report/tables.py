"""The tables of a page: settings, judgements, speed and data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import Any

from minigan.models import MODELS
from minigan.options import arguments_of
from minigan.training.curves import RecordTable
from minigan.training.declared import Declared
from minigan.training.progress import duration
from minigan.training.report.charts import LONGEST, diversities
from minigan.training.report.markup import Html, number, table, tag, when
from minigan.training.settings import RunConfig

# Fields that aren't in the table of settings; most are elsewhere on the page
ELSEWHERE = {"model", "model_args", "shapes", "samples", "classes", "fingerprint", "own", "changes", "command"}
ELSEWHERE |= {"started", "versions", "given", "palettes"}
BY_MODEL = ("batch_size", "lr_decay", "ema", "crops")  # settings whose default is an attribute of the model
WIDE, MOST_CLASSES = 22, 12  # characters, above which a value gets a separate line; names of classes that are listed


def settings(config: RunConfig) -> list[tuple[str, Any, str, bool]]:
    """Return (name, value, formatted default, whether the user changed it) for each setting; changed ones first.

    A value that follows from the data or from the length of the run differs from the default, but wasn't changed. The
    defaults of a user's own model are unknown, because its file isn't loaded for the page.
    """
    model = MODELS.get(config.model)
    own = arguments_of(model) if model else {}
    found: list[tuple[str, Any, str, bool]] = []
    for name, value in config.model_args.items():
        default = own[name].default if name in own else None
        shown = plain(default) if isinstance(default, float) else own[name].shown if name in own else ""
        found.append((name, value, shown, name in own and value != default))
    for field in fields(config):
        if field.name not in ELSEWHERE:
            value, default = getattr(config, field.name), field.default
            if field.name in BY_MODEL:
                default = getattr(model, field.name) if model else MISSING
            known = default is not MISSING
            found.append((field.name, value, plain(default) if known else "", known and value != default))
    found = [(name, value, shown, differs and name in config.given) for name, value, shown, differs in found]
    return sorted(found, key=lambda row: not row[3])


def configuration(config: RunConfig) -> Html:
    """Return the table of settings."""
    rows = []
    for name, value, default, differs in settings(config):
        mark = tag("span", "changed", class_="mark") if differs else ""
        words = "default" if value is None and default not in ("", "none") else plain(value)
        cells = tag("th", name.replace("_", " "), " ", mark, scope="row"), tag("td", words), tag("td", default)
        rows.append(tag("tr", *cells, class_="differs" if differs else None))
    return table(("setting", "value", "default"), rows, class_="settings")


def plain(value: Any) -> str:
    """Format the value of a setting."""
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):  # names, or a size in pixels
        return (", " if any(isinstance(part, str) for part in value) else "×").join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def judgements(records: RecordTable, declared: Declared) -> Html | None:
    """Return a table with the last and the best value of each judgement; None if there are none."""
    rows = []
    for name, judgement in (declared.judgements | diversities(records)).items():
        steps, values = records.series(name)
        if len(steps):
            best = {"lower": [int(values.argmin())], "higher": [int(values.argmax())]}.get(judgement.better, [])
            cells = [tag("td", number(values[i]), " ", tag("small", f"step {steps[i]:,}")) for i in (-1, *best)]
            cells += [tag("td")] * (2 - len(cells))
            rows.append(tag("tr", tag("th", judgement.words[:LONGEST], scope="row"), *cells))
    if not rows:
        return None
    return table(("judgement", "last", "best"), rows)


def facts(pairs: Sequence[tuple[str, str]]) -> Html:
    """Return a list of names and values, without empty values."""
    entries = []
    for name, value in pairs:
        if value:
            wide = None if isinstance(value, Html) or len(value) <= WIDE else "wide"
            entries.append(tag("div", tag("dt", name), tag("dd", value), class_=wide))
    return tag("dl", *entries, class_="facts")


def about(config: RunConfig, records: RecordTable, step: int, seconds: float) -> Html:
    """Return the facts about speed, data and versions that aren't in the header."""
    _, speeds = records.series("pictures_per_second")
    epoch = records.last("epoch")
    shown, more = ", ".join(config.classes[:MOST_CLASSES]), len(config.classes) - MOST_CLASSES
    return facts(
        [
            ("a thousand steps", duration(1000 * seconds / step) if step and seconds > 0 else ""),
            ("samples per second, mean", number(speeds.mean()) if len(speeds) else ""),
            ("epochs", "" if epoch is None else number(epoch)),
            ("data", _data(config)),
            ("classes", f"{shown} and {more} more" if more > 0 else shown),
            ("own files", ", ".join(config.own or {})),
            ("started", when(config.started)),
            ("versions", ", ".join(f"{name} {version}" for name, version in (config.versions or {}).items())),
        ]
    )


def _data(config: RunConfig) -> str:
    shapes = ["×".join(map(str, shape)) for shape in config.shapes.values()]
    if len(shapes) == len(config.samples) == 1:
        (n,) = config.samples.values()
        return f"{n:,} pictures of {shapes[0]}" if "×" in shapes[0] else f"{n:,} points"
    feeds = [f"{n:,} samples" + f" of {feed}" * (len(config.samples) > 1) for feed, n in config.samples.items()]
    arrays = [f"{name} {shape}" for name, shape in zip(config.shapes, shapes, strict=True)]
    return f"{', '.join(feeds)}: {', '.join(arrays)}"
