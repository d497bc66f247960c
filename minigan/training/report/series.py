"""From the records of a run to curves: which numbers they have, a running mean, and fewer points of the same shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minigan.training.records import LARGEST, TABLES

LATEST = 2**53  # step: JavaScript knows no larger whole numbers
BUCKETS = 300  # parts into which a long curve is cut; each keeps its extremes
WINDOWS = 40  # running means side by side that would fill a curve


class Records:
    """The records of a run, sorted by what they tell. Of several with one step the last counts.

    Numbers in tables have names such as "gradients.G.0". What is neither a number that float32 can hold nor a note is
    left out, whoever wrote it.

    last_step: 0 if there are none
    notes:     (step, check, sentence), in order
    phases:    (step, name) of the first record of each phase but the first
    """

    def __init__(self, records: Sequence[Any]) -> None:
        by_step = {}
        for record in records:
            if isinstance(record, dict) and type(record.get("step")) is int and 0 <= record["step"] < LATEST:
                by_step[record["step"]] = record
        self.last_step = max(by_step, default=0)
        self.notes: list[tuple[int, str, str]] = []
        self.phases: list[tuple[int, str]] = []
        columns: dict[str, tuple[list[int], list[float]]] = {}
        for step in sorted(by_step):
            for name, value in _numbers(by_step[step]):
                steps, values = columns.setdefault(name, ([], []))
                steps.append(step)
                values.append(value)
            phase = by_step[step].get("phase")
            if isinstance(phase, str) and (not self.phases or self.phases[-1][1] != phase):
                self.phases.append((step, phase))
            self.notes += [(step, check, sentence) for check, sentence in _notes(by_step[step].get("notes"))]
        self.phases = self.phases[1:]
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


def _numbers(record: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in record.items():
        if type(value) in (int, float) and abs(value) < LARGEST:
            yield name, value
        elif name in TABLES and isinstance(value, dict):
            for inner, entry in value.items():
                if type(entry) in (int, float) and abs(entry) < LARGEST:
                    yield f"{name}.{inner}", entry


def _notes(found: Any) -> Iterator[tuple[str, str]]:
    for note in found if isinstance(found, list) else ():
        if isinstance(note, dict) and isinstance(note.get("sentence"), str):
            yield str(note.get("check", "")), note["sentence"]


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


def running_mean(y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """At the indices `at`, the mean of y (n,) over a window around each; at the ends, over what is there.

    Each window is summed up by itself. Differences of one cumulative sum would be quicker, but after a loss of 1e30
    nothing would be left of the digits of later ones.
    """
    n = len(y)
    reach = n // WINDOWS
    starts, ends = np.maximum(at - reach, 0), np.minimum(at + reach + 1, n)
    # reduceat sums y[i : j] for neighbours i, j in its list if i < j: every second sum is a window
    sums = np.add.reduceat(np.append(y, 0.0), np.stack([starts, ends], axis=1).ravel())[::2]
    return sums / (ends - starts)
