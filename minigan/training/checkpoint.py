"""Checkpoints: the complete state of a run in one .npz file, so that a resumed run continues bit for bit.

    networks.G.0.W, …       parameters and running statistics by network and name
    optimizers.G.m, …       the optimizers' vectors and step counts
    averages.G.0.W, …       averages of weights, and their update counts
    model.pool, …           the model's own arrays
    state                   JSON as bytes: format, model, settings, step, samples used, phase, seconds, measures since
                            the last record, the doctor's state
    checksum                SHA-256 of all of the above

Random generators are not saved: those of a step are seeded by the run's seed and the step.

Nothing is pickled, so an untrusted checkpoint can't run code. NumPy can read it: `np.load(path)["networks.G.1.W"]`.

A file is written under a temporary name, flushed to disk, and renamed. If the newest file is damaged nevertheless, the
one before it is used (`load_newest`).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigan.common.untrusted import open_file, read_npz
from minigan.errors import UNREADABLE_NPZ, CheckpointError, ModelError
from minigan.training.files import replacing

Warn = Callable[[str], None]  # receives a warning for the user, one sentence
FORMAT = 3
KINDS = ("networks", "optimizers", "averages")
OWN = "fiub"  # dtype kinds allowed for a model's own arrays
MOST = 1 << 60  # steps, samples, and seconds
COUNTS = ("step", "samples", "seconds")
KNOWN = {"model": (str,), "step": (int,), "samples": (int,), "seconds": (int, float), "phase": (str,)}  # no bool


class DamagedCheckpoint(CheckpointError):
    """A file that isn't a checkpoint, or whose contents don't match its checksum."""


class NotFiniteError(CheckpointError):
    """A number of a run became infinite or NaN; `step` is the step after which this was detected."""

    def __init__(self, message: str, step: int) -> None:
        super().__init__(message)
        self.step = step


@dataclass
class Checkpoint:
    """The contents of a checkpoint: arrays by name, and the state of the run (see `save_checkpoint`)."""

    path: Path
    arrays: dict[str, np.ndarray]
    state: dict[str, Any]

    def restore(self, model: Any, weights_only: bool = False) -> None:
        """Copy networks, optimizers, averages and the model's own arrays into `model`.

        `weights_only` copies networks and averages only. Averages in the file are ignored if `model` averages nothing,
        and averages that the file lacks restart from the weights. Raises CheckpointError, before any network is
        changed, if any other array is missing, superfluous, or of the wrong shape.
        """
        parts = _parts(model)
        averaged = any(name.startswith("averages.") for name in self.arrays)
        if weights_only:
            del parts["optimizers"]
        if not averaged:
            del parts["averages"]
        self._check(parts, self.arrays)
        if not weights_only:
            try:
                model.load_state_dict({name: array.copy() for name, array in self._below("model.").items()})
            except (KeyError, ValueError, TypeError, AttributeError) as error:
                raise CheckpointError(f"{self.path} doesn't fit: the model's own arrays are different") from error
        for kind, some in parts.items():
            for name, part in some.items():
                part.load_state_dict(self._below(f"{kind}.{name}."))
        for average in () if averaged else model.averages.values():
            average.restart()

    def restore_shared(self, model: Any) -> None:
        """Copy the networks of another model's checkpoint into those of the same names in `model`.

        Other networks keep their initial weights. Raises CheckpointError, before any network is changed, if there is no
        such network, or if one has other arrays.
        """
        shared = {name: net for name, net in model.networks.items() if self._below(f"networks.{name}.")}
        if not shared:
            raise CheckpointError(f"{self.path} has no network of {type(model).__name__}: give a run of another model")
        prefixes = tuple(f"networks.{name}." for name in shared)
        self._check({"networks": shared}, {name for name in self.arrays if name.startswith(prefixes)})
        for name, network in shared.items():
            network.load_state_dict(self._below(f"networks.{name}."))
        for average in model.averages.values():
            average.restart()

    def _below(self, prefix: str) -> dict[str, np.ndarray]:
        """Return the arrays whose names start with `prefix`, by the rest of their names."""
        return {name.removeprefix(prefix): a for name, a in self.arrays.items() if name.startswith(prefix)}

    def _check(self, parts: dict[str, dict[str, Any]], among: Iterable[str]) -> None:
        """Raise CheckpointError unless the file has, of the arrays in `among`, exactly those of these parts."""
        own = {f"{kind}.{name}": array for kind, some in parts.items() for name, array in named_arrays(some).items()}
        left_out = {*KINDS, "model"} - {kind for kind, some in parts.items() if some}
        saved = {name for name in among if name.partition(".")[0] not in left_out}
        for name in sorted(own.keys() ^ saved):
            raise CheckpointError(
                f"{self.path} {'lacks' if name in own else 'has'} {name}: it is of another model or size"
            )
        for name, array in own.items():
            found = self.arrays[name]
            if found.shape != array.shape or found.dtype.kind != array.dtype.kind:
                raise CheckpointError(
                    f"{self.path}: {name} is {found.dtype} {found.shape}, but this model has "
                    f"{array.dtype} {array.shape}: it is of another model or size"
                )
            if found.dtype.kind == "f" and np.abs(found).max(initial=0) > np.finfo(array.dtype).max:
                raise CheckpointError(f"{self.path}: {name} has numbers that are too large for {array.dtype}")


def model_arrays(model: Any) -> dict[str, np.ndarray]:
    """Copy every array of a model's networks, optimizers, averages and its own to the host, by name."""
    arrays = {f"{kind}.{name}": a for kind, some in _parts(model).items() for name, a in named_arrays(some).items()}
    for name, array in model.state_dict().items():
        arrays[f"model.{name}"] = np.array(array)  # a copy: the model may modify its array later
        if arrays[f"model.{name}"].dtype.kind not in OWN:
            raise ModelError(f"{type(model).__name__}.state_dict: {name} holds no numbers: return arrays of numbers")
    return arrays


def named_arrays(parts: dict[str, Any]) -> dict[str, np.ndarray]:
    """Copy the arrays of networks, or of optimizers, to the host, as NAME.ARRAY."""
    return {f"{name}.{key}": np.asarray(a) for name, part in parts.items() for key, a in part.state_dict().items()}


def _parts(model: Any) -> dict[str, dict[str, Any]]:
    return {"networks": model.networks, "optimizers": model.optimizers, "averages": model.averages}


def save_checkpoint(
    path: str | os.PathLike, model: Any, state: dict[str, Any], extra: dict[str, np.ndarray] | None = None
) -> None:
    """Write a checkpoint. `state` needs at least "model", "step", "samples", "phase" and "seconds".

    `extra` holds additional arrays. Raises NotFiniteError, and keeps an existing file, if a parameter isn't finite.
    """
    arrays = model_arrays(model)
    check_finite(arrays, state["step"])
    text = json.dumps({"format": FORMAT} | state)
    arrays |= {"state": np.frombuffer(text.encode(), np.uint8)} | (extra or {})
    with replacing(path) as file:
        np.savez(file, **arrays, checksum=checksum(arrays))


def check_finite(arrays: dict[str, np.ndarray], step: int) -> None:
    """Raise NotFiniteError if one of the arrays, as they are after `step`, contains NaN or infinity."""
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise NotFiniteError(f"{name} is not finite after step {step}", step)


def checksum(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Return the SHA-256 of the names, dtypes, shapes and bytes of arrays, sorted by name: uint8 (32,)."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {arrays[name].shape}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return np.frombuffer(digest.digest(), np.uint8)


def load_checkpoint(path: str | os.PathLike, model: str | None = None) -> Checkpoint:
    """Read a checkpoint of the model called `model`, or of any model if that is None.

    Raises CheckpointError if the file is missing or of another model, DamagedCheckpoint if it is damaged.
    """
    path = Path(path)
    try:
        with open_file(path) as file:
            arrays = read_npz(file)
        state = json.loads(arrays["state"].tobytes())
        known = type(state) is dict and type(state.get("format")) is int
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint {path}: nothing has been saved there yet") from None
    except OSError as error:  # not DamagedCheckpoint: the file may be intact
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    except MemoryError as error:
        raise CheckpointError(f"there is not enough memory to read {path}: end other programs") from error
    except UNREADABLE_NPZ as error:
        raise DamagedCheckpoint(f"{path} is damaged, or no checkpoint of minigan") from error
    if known and state["format"] != FORMAT:
        age = "a newer" if state["format"] > FORMAT else "an older"
        raise CheckpointError(
            f"{path} was made by {age} minigan (format {state['format']}): start a new run with this one"
        )
    problem = "its form is unknown" if not known else _problem(arrays, state)
    if problem:
        raise DamagedCheckpoint(f"{path} is damaged, or no checkpoint of minigan: {problem}")
    if state["model"] != (model or state["model"]):
        raise CheckpointError(f"{path} is a checkpoint of {state['model']}, not of {model}")
    del arrays["state"], arrays["checksum"]
    return Checkpoint(path, arrays, state)


def _problem(arrays: dict[str, np.ndarray], state: dict[str, Any]) -> str:
    """Return a description of what is wrong with the contents of a checkpoint; empty if they are valid."""
    if not all(type(state.get(name)) in kinds for name, kinds in KNOWN.items()):
        return "its state is of an unknown form"
    if not all(0 <= state[name] < MOST for name in COUNTS):
        return "its counts make no sense"
    for name, array in arrays.items():
        if array.dtype.kind not in (OWN if name.startswith("model.") else "fiu"):
            return f"{name} holds no numbers"
        if name.startswith("batch."):  # a batch in failure.npz may contain the NaN that was the cause
            continue
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            return f"{name} is not finite"
        if array.dtype.kind == "i" and name.partition(".")[0] in KINDS and (array < 0).any():  # update counts
            return f"{name} is negative"
    others = {name: array for name, array in arrays.items() if name != "checksum"}
    if not np.array_equal(arrays.get("checksum"), checksum(others)):
        return "its contents don't match its checksum"
    return ""


def load_newest(paths: Sequence[Path], model: str | None, warn: Warn = lambda _: None) -> Checkpoint:
    """Read the newest undamaged checkpoint of `paths`, which are sorted from old to new.

    `warn` is called for every damaged file. Raises CheckpointError like `load_checkpoint`, or if all are damaged.
    """
    problems = []
    for path in reversed(paths):
        try:
            checkpoint = load_checkpoint(path, model)
        except DamagedCheckpoint as problem:
            problems.append(problem)
            continue
        for skipped in problems:
            warn(f"{skipped}; {path} is used instead")
        return checkpoint
    raise problems[0]
