"""Settings that may change when a run is resumed, and the report of such changes.

With the same data, on the same machine, a resumed run produces the same bytes as an uninterrupted one. Every change
that breaks this is reported on resume, and recorded in `RunConfig.changes` for the page of the run.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from minigan.backend import CPU
from minigan.data import as_size
from minigan.model import Model
from minigan.threads import blas, crew
from minigan.training.build import build_model
from minigan.training.length import steps_for
from minigan.training.settings import RunConfig, TrainingError
from minigan.training.sources import Sources, absolute, absolute_held_out

FINGERPRINTED = 16  # samples
REPORTED = ("data", "batch_size", "augment", "ema", "device", "on_nan", "eval_interval")  # and learning rates
CHANGEABLE = (*REPORTED, "n_steps", "sample_interval", "checkpoint_interval", "keep_checkpoints", "skip_bad")


def extend(config: RunConfig, given: dict[str, Any], cls: type[Model] | None = None) -> RunConfig:
    """Return the settings with the allowed changes of a resumed run. Raises TrainingError for any other change."""
    given = normalized(given)
    if "n_epochs" in given:
        samples = given.pop("n_epochs") * max(config.samples.values())
        given["n_steps"] = steps_for(samples, config, build_model(config, cls, CPU))
    if "data" in given:
        given["data"] = absolute(given["data"])
    began = asdict(config) | config.model_args
    for name, value in given.items():
        if began.get(name) is None:  # the setting was left out: compare with the resulting value
            began[name] = _resulting_value(name, config)
        if not _changeable(name, config) and value != began[name]:
            problem = f"{f'the model {value}' if name == 'model' else f'`{name}` {_plain(value)}'} doesn't fit this run"
            what = _plain(began[name]) if hasattr(config, name) or name in config.model_args else "a model without it"
            what = f"with {what}" if what else "without it"
            raise TrainingError(f"{problem}, which began {what}: leave it out, or start a new run")
    changed = {name: value for name, value in given.items() if _changeable(name, config)}
    arguments = {name: changed.pop(name) for name in config.model_args.keys() & changed.keys()}
    names = tuple(sorted({*config.given, *given}))
    return replace(config, model_args=config.model_args | arguments, given=names, **changed)


def _resulting_value(name: str, config: RunConfig) -> Any:
    """Return the value that followed from the data for a setting that was left out; None if it isn't determined."""
    maps = config.palettes or {}
    pictures = [shape for name, shape in config.shapes.items() if len(shape) == 3 and name not in maps]
    found: dict[str, Any] = {"limit": max(config.samples.values())}
    if pictures:
        found |= {"img_size": pictures[-1][:2], "channels": pictures[-1][2]}
    return found.get(name)


def normalized(given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that aren't None, in the types of RunConfig: `img_size` (H, W), `augment` a tuple."""
    given = {name: value for name, value in given.items() if value is not None}
    if "img_size" in given:
        given["img_size"] = as_size(given["img_size"])
    if isinstance(given.get("augment"), str):
        given["augment"] = given["augment"].split(",")
    if isinstance(given.get("ignore"), str | int):
        given["ignore"] = str(given["ignore"]).split(",")
    if "held_out" in given:
        given["held_out"] = absolute_held_out(str(given["held_out"]))
    return given | {name: tuple(map(str, given[name])) for name in ("augment", "ignore") if name in given}


def _changeable(name: str, config: RunConfig) -> bool:
    """Whether a setting or a model argument may change. Of the model's arguments, only learning rates may."""
    return name in CHANGEABLE or (name in config.model_args and (name == "lr" or name.startswith("lr_")))


def fingerprint(sources: Sources) -> str:
    """Return the hexadecimal SHA-256 of samples at equal distances from each feed, with their labels."""
    digest = hashlib.sha256()
    for source in sources.values():
        some = np.unique(np.linspace(0, len(source) - 1, FINGERPRINTED).astype(int))
        for rows in source.read(some).values():
            digest.update(np.ascontiguousarray(rows).tobytes())
    return digest.hexdigest()


def changes(before: RunConfig, after: RunConfig, state: dict[str, Any]) -> list[str]:
    """Describe in one sentence each what differs when a run is resumed from a checkpoint with `state`."""
    found = []
    old_values, new_values = (asdict(config) | config.model_args for config in (before, after))
    rates = [name for name in after.model_args if _changeable(name, after)]
    for name in (*REPORTED, *rates):
        old, new = old_values[name], new_values[name]
        if old != new:
            found.append(f"{name} {_plain(new)}, before {_plain(old)}")
    return [*found, *other_files(before, after), *_other_data(before, after), *_other_machine(state)]


def other_files(before: RunConfig, after: RunConfig) -> list[str]:
    """Describe the user's own files that have changed since the run was started or last resumed."""
    old, new = before.own or {}, after.own or {}
    changed = sorted(name for name, checksum in new.items() if old and checksum not in old.values())
    return [f"{name} has changed: the new version is used" for name in changed]


def _other_data(before: RunConfig, after: RunConfig) -> list[str]:
    if before.samples == after.samples and before.fingerprint in ("", after.fingerprint):
        return []
    counts = "; ".join(
        f"{before.samples.get(feed, 0):,} before, {n:,} now"
        for feed, n in after.samples.items()
        if before.samples.get(feed, 0) != n
    )
    counts = f" ({counts})" if counts else ""
    return [f"the data has changed{counts}: from here on samples come in the order of the new set"]


def _other_machine(state: dict[str, Any]) -> list[str]:
    """Report another BLAS or another number of threads: their results round differently."""
    for name, new, unit in (("blas", str(blas.describe()), ""), ("threads", crew.count(), " threads")):
        old = state.get(name)
        if type(old) is type(new) and old != new:
            return [f"computed with {new}{unit}, before with {old}: results may differ in the last bits"]
    return []


def _plain(value: Any) -> str:
    """Format a value as on the command line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple) and value and isinstance(value[0], int):  # a size
        return str(value[0]) if value[0] == value[-1] else "x".join(map(str, value))
    if isinstance(value, tuple):
        return ",".join(value) or "none"
    return "none" if value is None else str(value)
