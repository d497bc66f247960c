"""Saves the frozen networks of a model to RUN/frozen.npz, once, and loads them whenever the run is opened."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.common.untrusted import open_file, read_npz
from minigan.errors import UNREADABLE_NPZ, CheckpointError
from minigan.training.checkpoint import checksum, named_arrays
from minigan.training.files import replacing
from minigan.training.folder import RunFolder


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
        raise CheckpointError(f"{folder.frozen} is damaged: copy it anew from where the run was trained") from error
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
