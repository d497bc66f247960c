"""What may change when a run goes on, and how it is said.

A run that goes on with the same data on the same machine ends with the same bytes as one that was never ended. What
makes it another run from here on is said when it goes on, and is kept in `RunConfig.changes`, which its page shows.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np

from minigan import blas, threads
from minigan.data import Dataset
from minigan.training.run import RunConfig

LOOKED_AT = 16  # samples that tell whether two sets are the same
SPOKEN = ("data", "batch_size", "augment", "ema", "device", "on_nan", "eval_interval")  # and `lr`


def fingerprint(dataset: Dataset) -> str:
    """SHA-256 of some samples from all over a data set, and of their labels, in hexadecimal."""
    some = np.unique(np.linspace(0, len(dataset) - 1, LOOKED_AT).astype(int))
    digest = hashlib.sha256(np.ascontiguousarray(dataset.batch(some)).tobytes())
    if dataset.labels is not None:
        digest.update(np.asarray(dataset.labels, np.int64)[some].tobytes())
    return digest.hexdigest()


def with_data(config: RunConfig, dataset: Dataset) -> RunConfig:
    """The configuration with the size and the fingerprint of the data as they are now."""
    return replace(config, samples=len(dataset), fingerprint=fingerprint(dataset))


def changes(before: RunConfig, after: RunConfig, state: dict[str, Any]) -> list[str]:
    """What is different when a run goes on from a checkpoint with `state`, a sentence each."""
    found = []
    for name in SPOKEN:
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            found.append(f"{_flag(name)} {_plain(new)}, before {_plain(old)}")
    old, new = before.model_args.get("lr"), after.model_args.get("lr")
    if old != new:
        found.append(f"--lr {_plain(new)}, before {_plain(old)}")
    return [*found, *_other_data(before, after), *_other_machine(state)]


def _other_data(before: RunConfig, after: RunConfig) -> list[str]:
    same = before.samples == after.samples and before.fingerprint in ("", after.fingerprint)
    if same:
        return []
    counts = f" ({before.samples:,} before, {after.samples:,} now)" if before.samples != after.samples else ""
    return [f"the data isn't what it was{counts}: from here on samples come in the order of the new set"]


def _other_machine(state: dict[str, Any]) -> list[str]:
    """Other kernels and another number of threads round differently."""
    old, new = state.get("blas"), str(blas.describe())
    if isinstance(old, str) and old != new:
        return [f"computed with {new}, before with {old}: no longer the same to the last bit"]
    old, new = state.get("threads"), threads.count()
    if isinstance(old, int) and old != new:
        return [f"computed with {new} threads, before with {old}: no longer the same to the last bit"]
    return []


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _plain(value: Any) -> str:
    if value is None or value == ():
        return "none"
    return ",".join(value) if isinstance(value, tuple) else str(value)
