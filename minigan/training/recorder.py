"""What steps return, until it becomes a record.

Measures are 0-d arrays that stay on the device: fetching them after every step would make the device wait for the host.
They are fetched all at once, when a record or a checkpoint is due.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import array_module, to_numpy
from minigan.training.checkpoint import NotFiniteError

STATES, MOMENTS = "running statistics", "optimiser's vectors"


class Recorder:
    """Holds the measures of the steps since the newest record."""

    def __init__(self) -> None:
        self._fetched: list[tuple[int, dict[str, float]]] = []
        self._waiting: list[tuple[int, dict[str, Any]]] = []  # on the device

    def add(self, step: int, measured: dict[str, Any]) -> None:
        """Take in what a step returned: not always every measure."""
        self._waiting.append((step, measured))

    def fetch(self) -> list[tuple[int, dict[str, float]]]:
        """Each step and its measures, in one transfer. Raises NotFiniteError for the first that isn't finite."""
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
        """The mean of each measure over those steps that returned it; begins anew."""
        columns: dict[str, list[float]] = {}
        for _, measured in self.fetch():
            for name, value in measured.items():
                columns.setdefault(name, []).append(value)
        self._fetched = []
        return {name: float(f"{np.mean(values):.7g}") for name, values in columns.items()}

    def state(self) -> list[Any]:
        """What a checkpoint holds of it, as plain JSON."""
        return [[step, measured] for step, measured in self.fetch()]

    def load(self, state: list[Any]) -> None:
        """Take up what `state` returned. Raises ValueError, TypeError or AttributeError for what it never returns."""
        loaded = [(int(step), {str(name): float(value) for name, value in found.items()}) for step, found in state]
        self._fetched, self._waiting = loaded, []


def _fetch(arrays: list[Any]) -> list[float]:
    """The numbers of 0-d arrays, in one transfer."""
    return to_numpy(array_module(arrays[0]).stack(arrays)).tolist() if arrays else []


def fetch_norms(measured: dict[str, Any], model: Any, step: int) -> dict[str, dict[str, float]]:
    """Fetch the norms that the doctor measures, "gradients.G.0", "weights.G", as tables {"gradients": {"G.0": …}, …}.

    Raises NotFiniteError if one isn't finite, or a running statistic or a moment, which no loss need know of.
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
    """A number for each network that is finite if all arrays are that its layers keep besides parameters.

    And one for the vectors of each optimiser: an infinite one of Adam's stops its weight without a word.
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
