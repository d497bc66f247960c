"""What may change when a run goes on, and how it is said.

A run that goes on with the same data on the same machine ends with the same bytes as one that was never ended. What
makes it another run from here on is said when it goes on, and is kept in `RunConfig.changes`, which its page shows.
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
from minigan.training.sources import Sources, absolute

LOOKED_AT = 16  # samples that tell whether two sets are the same
SPOKEN = ("data", "batch_size", "augment", "ema", "device", "on_nan", "eval_interval")  # and learning rates
CHANGEABLE = (*SPOKEN, "n_steps", "sample_interval", "checkpoint_interval", "keep_checkpoints", "skip_bad")


def extend(config: RunConfig, given: dict[str, Any], cls: type[Model] | None = None) -> RunConfig:
    """Change what may change when a run goes on. Raises TrainingError if anything else was given another value."""
    given = as_kept(given)
    if "n_epochs" in given:
        samples = given.pop("n_epochs") * max(config.samples.values())
        given["n_steps"] = steps_for(samples, config, build_model(config, cls, CPU))
    if "data" in given:
        given["data"] = absolute(given["data"])
    began = asdict(config) | config.model_args
    for name, value in given.items():
        if began.get(name) is None:  # nothing was asked for: what it came to
            began[name] = _came_to(name, config)
        if not _changeable(name, config) and value != began[name]:
            problem = f"{f'the model {value}' if name == 'model' else f'`{name}` {_plain(value)}'} doesn't fit this run"
            what = _plain(began[name]) if hasattr(config, name) or name in config.model_args else "a model without it"
            raise TrainingError(f"{problem}, which began with {what}: leave it out, or start a new run")
    changed = {name: value for name, value in given.items() if _changeable(name, config)}
    arguments = {name: changed.pop(name) for name in config.model_args.keys() & changed.keys()}
    return replace(config, model_args=config.model_args | arguments, **changed)


def _came_to(name: str, config: RunConfig) -> Any:
    """The value, in a run, of a setting that wasn't given; None if the data doesn't tell."""
    pictures = [shape for shape in config.shapes.values() if len(shape) == 3]
    found: dict[str, Any] = {"limit": max(config.samples.values())}
    if pictures:
        found |= {"img_size": pictures[-1][:2], "channels": pictures[-1][2]}
    return found.get(name)


def as_kept(given: dict[str, Any]) -> dict[str, Any]:
    """What was given, without None, in the types that settings have: a size is (H, W), augmentations are a tuple."""
    given = {name: value for name, value in given.items() if value is not None}
    if "img_size" in given:
        given["img_size"] = as_size(given["img_size"])
    if isinstance(given.get("augment"), str):
        given["augment"] = given["augment"].split(",")
    return given | ({"augment": tuple(given["augment"])} if "augment" in given else {})


def _changeable(name: str, config: RunConfig) -> bool:
    """Whether a setting, or an argument of the model, may change: of the latter the learning rates."""
    return name in CHANGEABLE or (name in config.model_args and (name == "lr" or name.startswith("lr_")))


def fingerprint(sources: Sources) -> str:
    """SHA-256 of some samples from all over each feed, with their labels, in hexadecimal."""
    digest = hashlib.sha256()
    for source in sources.values():
        some = np.unique(np.linspace(0, len(source) - 1, LOOKED_AT).astype(int))
        for rows in source.read(some).values():
            digest.update(np.ascontiguousarray(rows).tobytes())
    return digest.hexdigest()


def changes(before: RunConfig, after: RunConfig, state: dict[str, Any]) -> list[str]:
    """What is different when a run goes on from a checkpoint with `state`, a sentence each."""
    found = []
    old_values, new_values = (asdict(config) | config.model_args for config in (before, after))
    rates = [name for name in after.model_args if _changeable(name, after)]
    for name in (*SPOKEN, *rates):
        old, new = old_values[name], new_values[name]
        if old != new:
            found.append(f"{name} {_plain(new)}, before {_plain(old)}")
    return [*found, *other_files(before, after), *_other_data(before, after), *_other_machine(state)]


def other_files(before: RunConfig, after: RunConfig) -> list[str]:
    """A user's own files that aren't what they were when the run began, or last went on."""
    old, new = before.own or {}, after.own or {}
    changed = sorted(name for name, checksum in new.items() if old and checksum not in old.values())
    return [f"{name} isn't what it was: the run goes by what it says now" for name in changed]


def _other_data(before: RunConfig, after: RunConfig) -> list[str]:
    if before.samples == after.samples and before.fingerprint in ("", after.fingerprint):
        return []
    counts = "; ".join(
        f"{before.samples.get(feed, 0):,} before, {n:,} now"
        for feed, n in after.samples.items()
        if before.samples.get(feed, 0) != n
    )
    counts = f" ({counts})" if counts else ""
    return [f"the data isn't what it was{counts}: from here on samples come in the order of the new set"]


def _other_machine(state: dict[str, Any]) -> list[str]:
    """Other kernels and another number of threads round differently."""
    for name, new, unit in (("blas", str(blas.describe()), ""), ("threads", crew.count(), " threads")):
        old = state.get(name)
        if type(old) is type(new) and old != new:
            return [f"computed with {new}{unit}, before with {old}: no longer the same to the last bit"]
    return []


def _plain(value: Any) -> str:
    """A value as it is typed."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple) and value and isinstance(value[0], int):  # a size
        return str(value[0]) if value[0] == value[-1] else "x".join(map(str, value))
    if isinstance(value, tuple):
        return ",".join(value) or "none"
    return "none" if value is None else str(value)
