"""Checkpoints: everything that a run needs to go on as if it had never stopped, in one .npz file.

    networks.G.0.W, …       parameters and running statistics by name
    optimizers.G.m, …       the optimisers' vectors and step counts
    averages.G.0.W, …       with --ema only: the average of the generator's weights, and its count of updates
    generator               of runs on a GPU only: the state of the random generator
    state                   JSON as bytes: format, model, configuration, step, position in the data, seconds, state of
                            the random generator, measures that are not in a record yet, the doctor's memory
    checksum                SHA-256 of all of that

Nothing in it is pickled: a checkpoint from a stranger can't run code. NumPy alone reads it, too:
`np.load(path)["networks.G.1.W"]`.

A file is written to a temporary name, flushed to the disk, and renamed. Should the newest be damaged all the same, the
one before it is used (`load_newest`).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigan.backend import CPU, Device, to_numpy
from minigan.errors import UNREADABLE_NPZ, CheckpointError
from minigan.training.files import replacing
from minigan.untrusted import open_file, read_npz

FORMAT = 2
KINDS = ("networks", "optimizers", "averages")
MOST = 1 << 60  # steps, and seconds
KNOWN = {"model": (str,), "step": (int,), "position": (int,), "seconds": (int, float), "rng": (dict,)}  # no bool


class DamagedCheckpoint(CheckpointError):
    """A file that isn't a checkpoint, or not what was once written."""


class NotFiniteError(CheckpointError):
    """A number of a run isn't finite any more; `step` is the one after which it was seen."""

    def __init__(self, message: str, step: int) -> None:
        super().__init__(message)
        self.step = step


@dataclass
class Checkpoint:
    """What was read from a file: arrays by name, and the state of the run (see `save_checkpoint`)."""

    path: Path
    arrays: dict[str, np.ndarray]
    state: dict[str, Any]

    def restore(self, gan: Any, weights_only: bool = False) -> None:
        """Copy the networks, the optimisers and the average into `gan`; with `weights_only` leave out the optimisers.

        An average that only the file has is left out; one that only `gan` has begins anew from the weights. Raises
        CheckpointError, with nothing changed, if any other array is missing, left over or of another shape.
        """
        parts = _parts(gan)
        averaged = any(name.startswith("averages.") for name in self.arrays)
        for kind, wanted in (("optimizers", not weights_only), ("averages", averaged)):
            if not wanted:
                del parts[kind]
        own = _arrays(parts)
        left_out = set(KINDS) - {kind for kind, some in parts.items() if some}
        saved = {name for name in self.arrays if name.partition(".")[0] not in left_out}
        for name in sorted(own.keys() ^ saved):
            raise CheckpointError(f"{self.path} {'lacks' if name in own else 'has'} {name}: it is of another model")
        for name, array in own.items():
            found = self.arrays[name]
            if found.shape != array.shape or found.dtype.kind != array.dtype.kind:
                raise CheckpointError(
                    f"{self.path}: {name} is {found.dtype} {found.shape}, but this model has "
                    f"{array.dtype} {array.shape}: it is of another model or size"
                )
            if found.dtype.kind == "f" and np.abs(found).max(initial=0) > np.finfo(array.dtype).max:
                raise CheckpointError(f"{self.path}: {name} has numbers that are too large for {array.dtype}")
        for kind, some in parts.items():
            for name, part in some.items():
                prefix = f"{kind}.{name}."
                part.load_state_dict(
                    {key.removeprefix(prefix): a for key, a in self.arrays.items() if key.startswith(prefix)}
                )
        if gan.average is not None and not averaged:
            gan.average.restart()


def gan_arrays(gan: Any) -> dict[str, np.ndarray]:
    """Copy every array of a GAN's networks, optimisers and average to the host, by name."""
    return _arrays(_parts(gan))


def _arrays(parts: dict[str, dict[str, Any]]) -> dict[str, np.ndarray]:
    return {
        f"{kind}.{name}.{key}": np.asarray(array)
        for kind, some in parts.items()
        for name, part in some.items()
        for key, array in part.state_dict().items()
    }


def _parts(gan: Any) -> dict[str, dict[str, Any]]:
    averages = {} if gan.average is None else {"G": gan.average}
    return {"networks": gan.networks, "optimizers": gan.optimizers, "averages": averages}


def save_checkpoint(
    path: str | os.PathLike, gan: Any, state: dict[str, Any], extra: dict[str, np.ndarray] | None = None
) -> None:
    """Write a checkpoint. `state` has "model", "step", "position", "seconds" and "rng" (see `save_rng`), or more.

    `extra` are further arrays, under names of their own. Raises NotFiniteError, and leaves an older file as it is, if a
    parameter is NaN or infinite.
    """
    arrays = gan_arrays(gan)
    check_finite(arrays, state["step"])
    rng = dict(state["rng"])
    if isinstance(rng.get("state"), np.ndarray):
        arrays["generator"] = rng.pop("state")
    text = json.dumps({"format": FORMAT} | state | {"rng": rng})
    arrays |= {"state": np.frombuffer(text.encode(), np.uint8)} | (extra or {})
    with replacing(path) as file:
        np.savez(file, **arrays, checksum=checksum(arrays))


def check_finite(arrays: dict[str, np.ndarray], step: int) -> None:
    """Raise NotFiniteError if there is a NaN or an infinity in one of the arrays, which are there after `step`."""
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise NotFiniteError(f"{name} is not finite after step {step}", step)


def checksum(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """SHA-256 of names, types, shapes and bytes of arrays, in the order of their names: uint8 (32,)."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {arrays[name].shape}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return np.frombuffer(digest.digest(), np.uint8)


def load_checkpoint(path: str | os.PathLike, model: str | None = None) -> Checkpoint:
    """Read a checkpoint of `model`, or of any.

    Raises CheckpointError if it isn't there or is of another model, and DamagedCheckpoint, which is one too, if it is
    damaged.
    """
    path = Path(path)
    try:
        with open_file(path) as file:
            arrays = read_npz(file)
        state = json.loads(arrays["state"].tobytes())
        known = type(state) is dict and type(state.get("format")) is int
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint {path}: nothing has been saved there yet") from None
    except OSError as error:  # it may be whole, and can't be read now
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    except MemoryError as error:
        raise CheckpointError(f"there is not enough memory to read {path}: end other programs") from error
    except UNREADABLE_NPZ as error:
        raise DamagedCheckpoint(f"{path} is damaged, or no checkpoint of minigan") from error
    if known and state["format"] != FORMAT:
        age = "newer" if state["format"] > FORMAT else "older"
        raise CheckpointError(f"{path} is of format {state['format']}, this is {FORMAT}: use the {age} minigan for it")
    problem = "its form is unknown" if not known else _problem(arrays, state)
    if problem:
        raise DamagedCheckpoint(f"{path} is damaged, or no checkpoint of minigan: {problem}")
    if state["model"] != (model or state["model"]):
        raise CheckpointError(f"{path} is a checkpoint of {state['model']}, not of {model}")
    if "generator" in arrays:
        state["rng"]["state"] = arrays.pop("generator")
    del arrays["state"], arrays["checksum"]
    return Checkpoint(path, arrays, state)


def _problem(arrays: dict[str, np.ndarray], state: dict[str, Any]) -> str:
    """What is wrong with the contents of a checkpoint; empty if nothing is."""
    if not all(type(state.get(name)) in kinds for name, kinds in KNOWN.items()):
        return "its state is of an unknown form"
    if not all(0 <= state[name] < MOST for name in ("step", "position", "seconds")):
        return "its counts make no sense"
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu":
            return f"{name} holds no numbers"
        if array.dtype.kind == "f" and not name.startswith("batch.") and not np.isfinite(array).all():
            return f"{name} is not finite"  # the data of failure.npz may be what failed
        if array.dtype.kind == "i" and (array < 0).any():  # counts of steps and updates
            return f"{name} is negative"
    try:
        load_rng(state["rng"], CPU)
    except CheckpointError:
        return "its random state makes no sense"
    others = {name: array for name, array in arrays.items() if name != "checksum"}
    if not np.array_equal(arrays.get("checksum"), checksum(others)):
        return "its contents are not those that its checksum was made of"
    return ""


def load_newest(paths: Sequence[Path], model: str, damaged: Callable[[DamagedCheckpoint], None]) -> Checkpoint:
    """Read the last of `paths`, which go from old to new; if it is damaged the one before it, and so on.

    `damaged` is told of every file that was passed over. Raises CheckpointError as `load_checkpoint` does; if every one
    is damaged, the error of the last.
    """
    problems = []
    for path in reversed(paths):
        try:
            checkpoint = load_checkpoint(path, model)
        except DamagedCheckpoint as problem:
            problems.append(problem)
            continue
        for problem in problems:
            damaged(problem)
        return checkpoint
    raise problems[0]


def save_rng(rng: Any, seed: list[int]) -> dict:
    """The state of a generator, and the seed of another for where the state means nothing.

    NumPy's state is a dict. CuPy's is an array of bytes on the device, the same for every card, and comes as one here,
    uint8 (1.5 MiB): CuPy has no function for it, but never changes it behind this array's back.
    """
    if isinstance(rng, np.random.Generator):
        return {"seed": seed, "state": rng.bit_generator.state}
    return {"seed": seed, "state": to_numpy(rng.bit_generator._state).view(np.uint8)}


def load_rng(saved: dict, device: Device) -> Any:
    """Make the generator that a checkpoint speaks of; from its seed where it was saved on another kind of device.

    An array of another length is of another kind too.

    Raises CheckpointError if `saved` makes no sense.
    """
    try:
        rng, state = device.rng(saved["seed"]), saved.get("state")
        if not isinstance(state, (dict, np.ndarray, type(None))):
            raise TypeError(f"a state can't be {type(state).__name__}")
        if isinstance(rng, np.random.Generator) and isinstance(state, dict):
            rng.bit_generator.state = state
        elif not isinstance(rng, np.random.Generator) and isinstance(state, np.ndarray):
            there = rng.bit_generator._state
            if state.nbytes == there.nbytes:
                there[...] = device.array(state.view(there.dtype))
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise CheckpointError("the checkpoint's random state is damaged") from error
    return rng
