"""What a page tells in tables: what was asked for, how good it became, time and memory."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import Any

import numpy as np

from minigan.gans import MODELS
from minigan.training.report.markup import Html, duration, memory, number, tag, when
from minigan.training.report.series import Records
from minigan.training.run import RunConfig

ELSEWHERE = (
    "changes",
    "model",
    "model_args",
    "command",
    "started",
    "versions",
    "classes",
    "samples",
    "shape",
    "fingerprint",
)  # not in the table
WIDE = 22  # characters; a longer fact gets a line of its own
# Measures whose best value is worth a row: their names for people, and where the best one is
BEST = {
    "fid": ("FID", np.argmin),
    "is": ("Inception Score", np.argmax),
    "inception_score": ("Inception Score", np.argmax),
    "kid": ("KID", np.argmin),
    "modes": ("modes found", np.argmax),
    "quality": ("good samples", np.argmax),
    "diversity": ("diversity", np.argmax),
}


def settings(config: RunConfig) -> list[tuple[str, Any, Any, bool]]:
    """(name, value, default for people, whether it differs) for each thing that can be set; those that differ first."""
    model = MODELS.get(config.model)
    own = inspect.signature(model).parameters if model else {}
    found = []
    for name, value in config.model_args.items():
        default = own[name].default if name in own else inspect.Parameter.empty
        words = getattr(model, "depends", {}).get(name)
        if default is inspect.Parameter.empty:
            found.append((name, value, words or "", False))
        else:
            found.append((name, value, words or default, value != default and not (words and name == "n_classes")))
    usual = {"batch_size": getattr(model, "batch_size", None), "lr_decay": getattr(model, "lr_decay", None)}
    for field in fields(config):
        if field.name in ELSEWHERE:
            continue
        value, default = getattr(config, field.name), usual.get(field.name, field.default)
        known = default is not MISSING and default is not None or (default is None and field.default is None)
        found.append((field.name, value, default if known else "", known and value != default))
    return sorted(found, key=lambda row: not row[3])


def configuration(config: RunConfig) -> Html:
    """The table of settings."""
    rows = []
    for name, value, default, differs in settings(config):
        mark = tag("span", "changed", class_="mark") if differs else Html("")
        head = tag("th", name.replace("_", " "), " ", mark, scope="row")
        depends = value is None and isinstance(default, str) and default  # a default that is told in words
        shown = tag("td", "default" if depends else plain(value)), tag("td", plain(default))
        rows.append(tag("tr", head, *shown, class_="differs" if differs else None))
    head = tag("tr", *(tag("th", words, scope="col") for words in ("setting", "value", "default")))
    return tag("table", tag("thead", head), tag("tbody", *rows), class_="settings")


def plain(value: Any) -> str:
    """A setting for people."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def measures(records: Records) -> Html | None:
    """The last and the best value of everything that was measured now and then; None if nothing was."""
    rows = []
    for name, (shown, best) in BEST.items():
        steps, (values,) = records.series(name)
        if len(steps):
            cells = [tag("td", number(values[i]), " ", tag("small", f"step {steps[i]:,}")) for i in (-1, best(values))]
            rows.append(tag("tr", tag("th", shown, scope="row"), *cells))
    if not rows:
        return None
    head = tag("tr", *(tag("th", words, scope="col") for words in ("measure", "last", "best")))
    return tag("table", tag("thead", head), tag("tbody", *rows))


def facts(pairs: Sequence[tuple[str, str]]) -> Html:
    """Names and values in a list; those without a value are left out."""
    entries = []
    for name, value in pairs:
        if value:
            wide = None if isinstance(value, Html) or len(value) <= WIDE else "wide"
            entries.append(tag("div", tag("dt", name), tag("dd", value), class_=wide))
    return tag("dl", *entries, class_="facts")


def time_and_memory(config: RunConfig, records: Records, step: int, seconds: float, peak: int | None) -> Html:
    """What the run has cost so far."""
    _, (speeds,) = records.series("pictures_per_second")
    epoch = records.last("epoch")
    return facts(
        [
            ("training", duration(seconds)),
            ("a thousand steps", duration(1000 * seconds / step) if step and seconds > 0 else ""),
            ("samples per second, mean", number(speeds.mean()) if len(speeds) else ""),
            ("epochs", "" if epoch is None else number(epoch)),
            ("peak memory", memory(peak) if peak else ""),
            ("data", _data(config)),
            ("classes", _some(config.classes)),
            ("started", when(config.started)),
            ("versions", ", ".join(f"{name} {version}" for name, version in (config.versions or {}).items())),
        ]
    )


def _data(config: RunConfig) -> str:
    if len(config.shape) == 1:
        return f"{config.samples:,} points"
    return f"{config.samples:,} pictures of {'×'.join(map(str, config.shape))}"


def _some(names: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
