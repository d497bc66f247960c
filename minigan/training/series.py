"""From the records of a run to curves: which numbers they have, a running mean, and fewer points of the same shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.training.records import TABLES

LATEST = 2**53  # step: JavaScript knows no larger whole numbers
BUCKETS = 300  # parts into which a long curve is cut; each keeps its extremes


class Records:
    """The records of a run, sorted by what they tell. Of several with one step the last counts.

    Numbers in tables have names such as "gradients.G.0".

    last_step: 0 if there are none
    notes:     (step, check, sentence), in order
    phases:    (step, name) of each phase but the first: it began after the last record of the one before
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
        """The names of all numbers, in the order in which they turned up."""
        return list(self._columns)

    def series(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """The steps (n,) at which there are numbers of this name, and the numbers (n,)."""
        return self._columns.get(name, (np.zeros(0, int), np.zeros(0)))

    def last(self, name: str) -> float | None:
        """The newest number of this name; None if there is none."""
        return float(self._columns[name][1][-1]) if name in self._columns else None


def thin(y: np.ndarray, buckets: int = BUCKETS) -> np.ndarray:
    """Which of the n points of a curve (n,) are enough to draw it: indices, rising.

    The curve is cut into `buckets` parts. Of each part stays where it is lowest and where it is highest, so no peak is
    lost; and the first and the last point stay. A curve with few points keeps them all.
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
