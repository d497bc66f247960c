"""From the records of a run to curves: which numbers they have, a running mean, and fewer points of the same shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

LARGEST = 1e39  # a little more than float32 can hold
BUCKETS = 300  # parts into which a long curve is cut; each keeps its extremes
WINDOWS = 40  # running means side by side that would fill a curve


def is_number(value: Any) -> bool:
    """Whether a value of a record is one that can be drawn: neither text, nor a truth value, nor NaN, nor infinite."""
    return type(value) in (int, float) and abs(value) < LARGEST


def in_order(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records by rising step; of several with one step the last. Nested numbers get names such as "weights.G"."""
    by_step = {}
    for record in records:
        if isinstance(record, dict) and type(record.get("step")) is int and 0 <= record["step"] < 2**53:
            by_step[record["step"]] = record
    return [_flat(by_step[step], "weights") for step in sorted(by_step)]


def _flat(record: dict[str, Any], name: str) -> dict[str, Any]:
    inner = record.get(name)
    return record | {f"{name}.{key}": value for key, value in inner.items()} if isinstance(inner, dict) else record


def series(records: Sequence[dict[str, Any]], names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The steps (n,) of the records that have numbers under all `names`, and these numbers (names, n)."""
    having = [r for r in records if all(is_number(r.get(name)) for name in names)]
    steps = np.array([r["step"] for r in having], float)
    return steps, np.array([[r[name] for r in having] for name in names], float).reshape(len(names), len(having))


def thin(values: np.ndarray, buckets: int = BUCKETS) -> np.ndarray:
    """Which of the n points of several curves (curves, n) are enough to draw them all: indices, rising.

    The curves are cut into `buckets` parts. Of each part stays where each curve is lowest and where it is highest, so
    no peak is lost; and the first and the last point stay. Curves with few points keep them all.
    """
    curves, n = values.shape
    if n <= 2 * curves * buckets:
        return np.arange(n)
    edges = np.linspace(0, n, buckets + 1).astype(int)
    kept = {0, n - 1}
    for y in values:
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
