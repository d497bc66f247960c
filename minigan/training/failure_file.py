"""Reads and writes failure.npz: a checkpoint of the state before the step that failed, with the batches of that step.

batch.0.real, batch.0.label, batch.1.real, …     (N, …) by the number of the batch and the name of the array
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from minigan.backend import to_numpy
from minigan.errors import CheckpointError
from minigan.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

BATCH = "batch."


def save_failure(path: str | os.PathLike, model: Any, state: dict[str, Any], batches: list[dict[str, Any]]) -> None:
    """Write failure.npz: `model` and `state` before the step that failed, and its batches.

    `state` is the state of a checkpoint, with the settings of the run in state["config"]. Raises CheckpointError if
    the state before the step isn't finite, OSError if the file can't be written.
    """
    arrays = {f"{BATCH}{i}.{name}": to_numpy(a) for i, batch in enumerate(batches) for name, a in batch.items()}
    save_checkpoint(path, model, state, arrays)


def load_failure(path: str | os.PathLike) -> tuple[Checkpoint, list[dict[str, np.ndarray]]]:
    """Read failure.npz: the checkpoint without the batches, and the batches.

    Raises CheckpointError if the file doesn't exist, is damaged, or contains no batches.
    """
    checkpoint = load_checkpoint(path)
    batches: dict[int, dict[str, np.ndarray]] = {}
    for key in [key for key in checkpoint.arrays if key.startswith(BATCH)]:
        number, _, name = key.removeprefix(BATCH).partition(".")
        if number.isdecimal() and name:
            batches.setdefault(int(number), {})[name] = checkpoint.arrays.pop(key)
    if not batches or sorted(batches) != list(range(len(batches))):
        raise CheckpointError(f"{path} holds no batches: it is a checkpoint, but not of a step that failed")
    return checkpoint, [batches[i] for i in range(len(batches))]
