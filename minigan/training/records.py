"""The records of a run: accumulates measures, and reads and writes metrics.jsonl, one JSON object for every ten steps.

{"step": 10, "epoch": 0.3, "seconds": 1.2, "d_loss": 1.3, …, "gradients": {"G.0": 0.1, …}, "weights": {…}, "notes": […]}

Measures are 0-d arrays that stay on the device, because a transfer after every step would stall it. They are fetched in
one transfer when a record or a checkpoint is due.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from minigan.backend import array_module, to_numpy
from minigan.common.untrusted import open_file
from minigan.training.checkpoint import NotFiniteError
from minigan.training.files import naming, write_text

LARGEST = 1e39  # just above the largest float32
TABLES, WORDS = ("gradients", "weights"), ("phase",)  # fields of a record that aren't numbers
NOTE = {"check", "sentence"}
STATES, MOMENTS = "running statistics", "optimizer's vectors"


class RecordFile:
    """The records in a file. The file need not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, record: dict[str, Any]) -> None:
        """Append one line."""
        with naming(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def read(self) -> list[dict[str, Any]]:
        """Return all records. Invalid lines, such as one truncated by a crash, are skipped."""
        try:
            with open_file(self.path) as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            return []
        return [record for record in map(_parse, lines) if record]

    def forget_after(self, step: int) -> None:
        """Delete the records of later steps."""
        write_text(self.path, "".join(json.dumps(r) + "\n" for r in self.read() if r["step"] <= step))

    def flush(self) -> None:
        """Flush the records to disk: after a crash, a checkpoint must not be newer than the records before it."""
        if self.path.exists():
            with naming(self.path), self.path.open("ab") as file:
                os.fsync(file.fileno())


def _parse(line: bytes) -> dict[str, Any] | None:
    """Parse one line; return None unless it is a valid record."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or type(record.get("step")) is not int or record["step"] < 0:
        return None
    return record if all(_fits(name, value) for name, value in record.items()) else None


def _fits(name: str, value: Any) -> bool:
    """Whether a value has the type that a record has under this name."""
    if name in TABLES:
        return isinstance(value, dict) and all(map(_is_number, value.values()))
    if name == "notes":
        texts = isinstance(value, list) and all(isinstance(note, dict) and note.keys() == NOTE for note in value)
        return texts and all(type(text) is str for note in value for text in note.values())
    return type(value) is str if name in WORDS else _is_number(value)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < LARGEST


class Recorder:
    """Holds the measures of all steps since the last record."""

    def __init__(self) -> None:
        self._fetched: list[tuple[int, dict[str, float]]] = []
        self._waiting: list[tuple[int, dict[str, Any]]] = []  # on the device

    def add(self, step: int, measured: dict[str, Any]) -> None:
        """Store the measures of a step, which may be a subset of all measures."""
        self._waiting.append((step, measured))

    def fetch(self) -> list[tuple[int, dict[str, float]]]:
        """Return each step with its measures. Raises NotFiniteError for the first that isn't finite."""
        values = iter(_fetch([array for _, measured in self._waiting for array in measured.values()]))
        for step, measured in self._waiting:
            self._fetched.append((step, {name: next(values) for name in measured}))
        self._waiting = []
        for step, measured in self._fetched:
            for name, value in measured.items():
                if not np.isfinite(value):
                    raise NotFiniteError(f"{name} became {value:.0f} at step {step}", step)
        return self._fetched

    def close(self) -> dict[str, float]:
        """Return the mean of each measure over the steps that returned it, and clear the measures."""
        columns: dict[str, list[float]] = {}
        for _, measured in self.fetch():
            for name, value in measured.items():
                columns.setdefault(name, []).append(value)
        self._fetched = []
        return {name: float(f"{np.mean(values):.7g}") for name, values in columns.items()}

    def state(self) -> list[Any]:
        """Return the stored measures as plain JSON, for a checkpoint."""
        return [[step, measured] for step, measured in self.fetch()]

    def load(self, state: list[Any]) -> None:
        """Restore the result of `state`. Raises ValueError, TypeError or AttributeError for anything else."""
        loaded = [(int(step), {str(name): float(value) for name, value in found.items()}) for step, found in state]
        self._fetched, self._waiting = loaded, []


def _fetch(arrays: list[Any]) -> list[float]:
    """Copy 0-d arrays to the host, in one transfer."""
    return to_numpy(array_module(arrays[0]).stack(arrays)).tolist() if arrays else []


def fetch_norms(measured: dict[str, Any], model: Any, step: int) -> dict[str, dict[str, float]]:
    """Fetch the doctor's norms, "gradients.G.0", "weights.G", as tables {"gradients": {"G.0": …}, …}.

    Raises NotFiniteError also for running statistics and vectors of optimizers: the losses may still be finite then.
    """
    measured = measured | _state_sums(model)
    tables: dict[str, dict[str, float]] = {}
    for key, value in zip(measured, _fetch([*measured.values()]), strict=True):
        table, _, name = key.partition(".")
        if not np.isfinite(value):
            raise NotFiniteError(f"the {table} of {name} became {value:.0f} by step {step}", step)
        if table not in (STATES, MOMENTS):
            tables.setdefault(table, {})[name] = float(f"{value:.4g}")
    return tables


def _state_sums(model: Any) -> dict[str, Any]:
    """Return the sum of the running statistics of each network, and of the vectors of each optimizer.

    A sum is finite only if all its terms are. An infinite second moment of Adam would silently freeze its weight.
    """
    found = {}
    for name, network in model.networks.items():
        states = [getattr(layer, state) for _, layer in network.walk() for state in layer.state_names]
        if states:
            found[f"{STATES}.{name}"] = sum(state.sum() for state in states)
    for name, optimizer in model.optimizers.items():
        if optimizer.state_names:
            found[f"{MOMENTS}.{name}"] = sum(getattr(optimizer, state).sum() for state in optimizer.state_names)
    return found
