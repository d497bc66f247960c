"""Accumulates the measures of the steps until a record is written.

Measures are 0-d arrays that stay on the device, because a transfer after every step would stall it. They are fetched in
one transfer when a record or a checkpoint is due.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import array_module, to_numpy
from minigan.training.checkpoint import NotFiniteError

STATES, MOMENTS = "running statistics", "optimizer's vectors"


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

    Raises NotFiniteError if a norm isn't finite, or a running statistic or a vector of an optimizer: those may become
    NaN while all losses are still finite.
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
