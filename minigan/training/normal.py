"""The scores of normal pictures that training didn't see, kept in RUN/normal.json, and the threshold that they give.

By default they are the held-out pictures of a run with odd numbers: those with even numbers may have chosen the best
checkpoint, and a threshold from them would be too low.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigan.backend import to_numpy
from minigan.common.terminal import bar
from minigan.common.untrusted import open_file
from minigan.data import HeldOut
from minigan.errors import CheckpointError
from minigan.metrics.detection import threshold_of
from minigan.model import Model, can
from minigan.training.files import write_text
from minigan.training.settings import RunConfig
from minigan.training.sources import open_sources

BATCH = 64  # pictures
MEASURED = 256  # pictures, at most, whose errors of single pixels are measured
LARGEST = 0.999  # quantile of these errors, which heat maps take as full heat
LONGEST = 1 << 26  # bytes of normal.json


@dataclass(frozen=True)
class Normal:
    """The scores of normal pictures, in ascending order, by the weights of step `step`.

    source: which pictures these are
    alpha:  the rate of false alarms of the last call
    heat:   the error |x − x̂| of a pixel that only one of a thousand pixels exceeds; 0 without reconstructions
    """

    step: int
    source: str
    alpha: float
    heat: float
    scores: list[float]

    @property
    def threshold(self) -> float:
        """The score above which a picture is abnormal. Raises MiniganError for too few scores."""
        return threshold_of(np.array(self.scores), self.alpha)

    def write(self, path: Path) -> None:
        """Write normal.json."""
        write_text(path, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Normal:
        """Read normal.json. Raises CheckpointError if it is damaged, FileNotFoundError if there is none."""
        try:
            with open_file(path) as file:
                found = cls(**json.loads(file.read(LONGEST).decode()))
            numbers = [*found.scores, found.alpha, found.heat]
            right = bool(found.scores) and type(found.step) is int and type(found.source) is str
            if not right or not all(type(x) in (int, float) and math.isfinite(x) for x in numbers):
                raise ValueError
        except FileNotFoundError:
            raise
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise CheckpointError(f"{path} is damaged: delete it, and it is made again") from error
        return found


def score_batches(model: Any, batches: Iterable[np.ndarray], n: int, what: str) -> np.ndarray:
    """Return the scores (N,) of n pictures, given as batches (b, H, W, C) on the host, with a progress bar."""
    found = []
    with bar(total=n, desc=what, unit=" pictures") as shown:
        for x in batches:
            found.append(to_numpy(model.score(model.device.array(x))))
            shown.update(len(x))
    return np.concatenate(found).astype(np.float64)


def in_batches(read: Callable[[np.ndarray], np.ndarray], which: Sequence[int]) -> Iterator[np.ndarray]:
    """Yield these pictures in batches; `read` maps their numbers to an array (b, H, W, C)."""
    for start in range(0, len(which), BATCH):
        yield read(np.asarray(which[start : start + BATCH]))


def measure_normal(
    model: Any, read: Callable[[np.ndarray], np.ndarray], which: Sequence[int], step: int, source: str, alpha: float
) -> Normal:
    """Score normal pictures."""
    scores = score_batches(model, in_batches(read, which), len(which), "scoring normal pictures")
    errors = []
    if can(model, "reconstruct"):
        for x in in_batches(read, which[:MEASURED]):
            there = model.device.array(x)
            errors.append(to_numpy(abs(there - model.reconstruct(there))).mean(axis=3).ravel())  # (b·H·W,)
    heat = float(np.quantile(np.concatenate(errors), LARGEST)) if errors else 0.0
    return Normal(step, source, alpha, heat, np.sort(scores).tolist())


def held_out_normal(config: RunConfig, cls: type[Model] | None) -> tuple[Any, Callable, list[int], str]:
    """Open the pictures of a run: a source of those for training, and how to read which of those held out.

    Returns (training source, read, numbers, words). Raises MiniganError if the data can't be opened.
    """
    training, kept = open_sources(config, cls)
    feed = next(iter(training))
    array = next(name for name, kind in training[feed].kinds.items() if kind.what == "picture")
    held_out = HeldOut(kept, training[feed].kinds)

    def read(numbers: np.ndarray) -> np.ndarray:
        return np.concatenate([held_out[int(i)][array] for i in numbers])

    odd = list(range(1, len(held_out), 2))
    return training[feed], read, odd, f"held out of {training[feed].name}"
