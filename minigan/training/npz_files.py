"""The .npz files besides checkpoints.

frozen.npz      the frozen networks of a model: saved once, and loaded whenever the run is opened
failure.npz     a checkpoint of the state before the step that failed, with the batches of that step:
                batch.0.real, batch.0.label, batch.1.real, …   (N, …) by the number of the batch and the array
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from minigan.backend import to_numpy
from minigan.common.untrusted import open_file, read_npz
from minigan.errors import UNREADABLE_NPZ, CheckpointError
from minigan.training.checkpoint import Checkpoint, checksum, load_checkpoint, named_arrays, save_checkpoint
from minigan.training.files import replacing
from minigan.training.folder import RunFolder

BATCH = "batch."


def save_frozen(folder: RunFolder, model: Any) -> None:
    """Write the arrays of `model.frozen` as NETWORK.PARAMETER, with a checksum; write nothing if there are none."""
    arrays: dict[str, Any] = named_arrays(model.frozen)
    if arrays:
        with replacing(folder.frozen) as file:
            np.savez(file, **arrays, checksum=checksum(arrays))


def load_frozen(folder: RunFolder, model: Any) -> None:
    """Copy frozen.npz into `model.frozen`. Raises CheckpointError if it is missing, damaged, or of another model."""
    own = named_arrays(model.frozen)
    if not own:
        return
    try:
        with open_file(folder.frozen) as file:
            arrays = read_npz(file)
        sum_ = arrays.pop("checksum")
    except FileNotFoundError:
        raise CheckpointError(f"{folder.frozen} is missing: without it the run's frozen networks are unknown") from None
    except UNREADABLE_NPZ as error:
        raise CheckpointError(f"{folder.frozen} is damaged: copy it again from where the run was trained") from error
    if not np.array_equal(sum_, checksum(arrays)):
        raise CheckpointError(f"{folder.frozen} is damaged: its contents don't match its checksum")
    forms, found = ({name: (a.shape, a.dtype.kind) for name, a in some.items()} for some in (own, arrays))
    if forms != found:
        raise CheckpointError(f"{folder.frozen} is of another model: its arrays have other names, shapes or types")
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise CheckpointError(f"{folder.frozen} is damaged: {name} is not finite")
    for name, network in model.frozen.items():
        prefix = f"{name}."
        network.load_state_dict({k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)})


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
