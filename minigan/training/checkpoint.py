"""Checkpoints: everything that a run needs to go on as if it had never stopped, in one .npz file.

    networks.G.0.W, …       parameters and running statistics by name
    optimizers.G.m, …       the optimisers' vectors and step counts
    averages.G.0.W, …       with --ema only: the average of the generator's weights, and its count of updates
    state                   JSON as bytes: model, step, position in the data, seconds, state of the random generator

Nothing in it is pickled, and it is read with `allow_pickle=False`: a checkpoint from a stranger can't run code.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigan.backend import Device
from minigan.errors import UNREADABLE_NPZ, CheckpointError
from minigan.training.files import replacing

FORMAT = 1
KNOWN = {"model": (str,), "step": (int,), "position": (int,), "seconds": (int, float), "rng": (dict,)}  # no bool


@dataclass
class Checkpoint:
    """What was read from a file: arrays by name, and the state of the run (see `save_checkpoint`)."""

    path: Path
    arrays: dict[str, np.ndarray]
    state: dict[str, Any]

    def restore(self, gan: Any) -> None:
        """Copy the networks, the optimisers and the average, if there is one, into `gan`.

        Raises CheckpointError, with nothing changed, if any array is missing, left over or of another shape.
        """
        own = gan_arrays(gan)
        averaged = any(name.startswith("averages.") for name in self.arrays)
        if averaged != (gan.average is not None):
            has, wants = ("an", "none") if averaged else ("no", "one")
            raise CheckpointError(f"{self.path} holds {has} average of the weights (--ema), but this run has {wants}")
        for name in sorted(own.keys() ^ self.arrays.keys()):
            raise CheckpointError(f"{self.path} {'lacks' if name in own else 'has'} {name}: it is of another model")
        for name, array in own.items():
            found = self.arrays[name]
            if found.shape != array.shape or found.dtype.kind != array.dtype.kind:
                raise CheckpointError(
                    f"{self.path}: {name} is {found.dtype} {found.shape}, but this model has "
                    f"{array.dtype} {array.shape}: it is of another model or size"
                )
        for kind, parts in _parts(gan).items():
            for name, part in parts.items():
                prefix = f"{kind}.{name}."
                part.load_state_dict(
                    {key.removeprefix(prefix): a for key, a in self.arrays.items() if key.startswith(prefix)}
                )


def gan_arrays(gan: Any) -> dict[str, np.ndarray]:
    """Copy every array of a GAN's networks, optimisers and average to the host, by name."""
    return {
        f"{kind}.{name}.{key}": np.asarray(array)
        for kind, parts in _parts(gan).items()
        for name, part in parts.items()
        for key, array in part.state_dict().items()
    }


def _parts(gan: Any) -> dict[str, dict[str, Any]]:
    averages = {} if gan.average is None else {"G": gan.average}
    return {"networks": gan.networks, "optimizers": gan.optimizers, "averages": averages}


def save_checkpoint(path: str | os.PathLike, gan: Any, state: dict[str, Any]) -> None:
    """Write a checkpoint. `state` has "model", "step", "position", "seconds" and "rng" (see `save_rng`).

    Raises CheckpointError, and leaves an older file as it is, if a parameter is NaN or infinite.
    """
    arrays = gan_arrays(gan)
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise CheckpointError(
                f"{name} is not finite after step {state['step']}, so no checkpoint is saved: try a smaller --lr"
            )
    text = json.dumps({"format": FORMAT} | state)
    with replacing(path) as file:
        np.savez(file, state=np.frombuffer(text.encode(), np.uint8), **arrays)


def load_checkpoint(path: str | os.PathLike, model: str) -> Checkpoint:
    """Read a checkpoint of `model`. Raises CheckpointError if it isn't there, is damaged, or is of another model."""
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        state = json.loads(arrays.pop("state").tobytes())
        if state["format"] != FORMAT or not all(type(state[name]) in kinds for name, kinds in KNOWN.items()):
            raise ValueError("its state is of an unknown form")
        if min(state["step"], state["position"], state["seconds"]) < 0 or not math.isfinite(state["seconds"]):
            raise ValueError("its counts make no sense")
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint {path}: nothing has been saved there yet") from None
    except UNREADABLE_NPZ as error:
        raise CheckpointError(f"{path} is damaged, or no checkpoint of minigan") from error
    if state["model"] != model:
        raise CheckpointError(f"{path} is a checkpoint of {state['model']}, not of {model}")
    for name, array in arrays.items():
        if array.dtype.kind in "fc" and not np.isfinite(array).all():
            raise CheckpointError(f"{path} is damaged: {name} is not finite")
        if array.dtype.kind == "i" and (array < 0).any():  # counts of steps and updates
            raise CheckpointError(f"{path} is damaged: {name} is negative")
    return Checkpoint(path, arrays, state)


def save_rng(rng: Any, device: Device, seed: list[int]) -> tuple[Any, dict]:
    """Return a generator to go on with, and its state for a checkpoint.

    NumPy's generator can be read and goes on as it is. CuPy's can't: there the checkpoint starts a new one from `seed`.
    """
    if isinstance(rng, np.random.Generator):
        return rng, {"seed": seed, "state": rng.bit_generator.state}
    return device.rng(seed), {"seed": seed}


def load_rng(saved: dict, device: Device) -> Any:
    """Make the generator that a checkpoint speaks of; from its seed where it was saved on another kind of device.

    Raises CheckpointError if `saved` makes no sense.
    """
    try:
        rng = device.rng(saved["seed"])
        if isinstance(rng, np.random.Generator) and "state" in saved:
            rng.bit_generator.state = saved["state"]
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise CheckpointError("the checkpoint's random state is damaged") from error
    return rng
