"""Converts the records of a run to curves, and thins out long curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.training.records import TABLES

LATEST = 2**53  # step: larger integers aren't exact in JavaScript
BUCKETS = 300  # parts of a long curve, each of which keeps its extremes


class Records:
    """The records of a run as columns. If a step has several records, the last one counts.

    Numbers in tables have names such as "gradients.G.0".

    last_step: 0 if there are no records
    notes:     (step, check, sentence), in order
    phases:    (step, name) of each phase after the first; the step is that of the last record before the phase
    """

    def __init__(self, records: Sequence[dict[str, Any]]) -> None:
        by_step = {record["step"]: record for record in records if record["step"] < LATEST}
        self.last_step = max(by_step, default=0)
        self.notes: list[tuple[int, str, str]] = []
        self.phases: list[tuple[int, str]] = []
        before, phase = 0, None
        columns: dict[str, tuple[list[int], list[float]]] = {}
        for step, record in sorted(by_step.items()):
            flat = {name: value for name, value in record.items() if isinstance(value, (int, float))}
            for table in TABLES:
                flat |= {f"{table}.{name}": value for name, value in record.get(table, {}).items()}
            for name, value in flat.items():
                steps, values = columns.setdefault(name, ([], []))
                steps.append(step)
                values.append(value)
            if phase not in (None, record.get("phase", phase)):
                self.phases.append((before, record["phase"]))
            before, phase = step, record.get("phase", phase)
            self.notes += [(step, note["check"], note["sentence"]) for note in record.get("notes", ())]
        self._columns = {name: (np.array(s), np.array(v, float)) for name, (s, v) in columns.items()}

    @property
    def names(self) -> list[str]:
        """The names of all columns, in the order of their first appearance."""
        return list(self._columns)

    def series(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the steps (n,) at which this number was recorded, and its values (n,)."""
        return self._columns.get(name, (np.zeros(0, int), np.zeros(0)))

    def last(self, name: str) -> float | None:
        """Return the last value of this number; None if it was never recorded."""
        return float(self._columns[name][1][-1]) if name in self._columns else None


def thin(y: np.ndarray, buckets: int = BUCKETS) -> np.ndarray:
    """Return the ascending indices of the points of a curve (n,) that are sufficient to draw it.

    The curve is divided into `buckets` parts, each of which keeps its minimum and its maximum, so that no peak is lost.
    The first and the last point are kept. A curve of at most 2 · `buckets` points is not thinned out.
    """
    n = len(y)
    if n <= 2 * buckets:
        return np.arange(n)
    edges = np.linspace(0, n, buckets + 1).astype(int)
    kept = {0, n - 1}
    for start, end in zip(edges[:-1], edges[1:], strict=True):
        part = y[start:end]
        kept |= {start + int(part.argmin()), start + int(part.argmax())}
    return np.array(sorted(kept))
