"""`minigan replay`: repeats the step at which a run failed, and checks every array in it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from minigan.backend import get_device
from minigan.commands.cli import Parser
from minigan.commands.options import add_run_options, own_class, place
from minigan.errors import CheckpointError
from minigan.model import Model
from minigan.training.build import build_model, check_arguments
from minigan.training.checkpoint import Checkpoint
from minigan.training.doctor import Doctor
from minigan.training.failure import first_not_finite
from minigan.training.finding import Event, Finding, short
from minigan.training.folder import RunFolder
from minigan.training.npz_files import load_failure, load_frozen
from minigan.training.settings import RunConfig, parse_config
from minigan.training.stepper import Stepper
from minigan.training.summary import table

PASSES = 6  # shown by default: the last passes through whole networks


def add_arguments(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument("file", type=place, metavar="FILE", help="failure.npz, or the folder of the run")
    shown = f"show the step from its beginning (default: the last {PASSES} passes through a network)"
    parser.add_argument("--all", action="store_true", help=shown)
    add_run_options(parser)


def main(args: argparse.Namespace) -> int:
    """Repeat the step, and print its events in the order of computation."""
    path = _failure(args.file)
    checkpoint, batches = load_failure(path)
    config, cls = own_class("replay", path, _config(checkpoint, path), args.model)
    check_arguments(config, path, cls)
    model = build_model(config, cls, get_device(args.device))
    load_frozen(RunFolder(path.parent), model)
    feeds: Any = _SavedBatches(batches, config, model, path)
    stepper = Stepper(model, feeds, config, Doctor(model, config, None))
    stepper.restore(checkpoint)
    events: list[Event] = []

    found, _ = stepper.with_batches(lambda *step: first_not_finite(model, *step, events.append))
    print(f"step {stepper.step + 1} of {config.model} on {config.data}, from the state before it: the largest")
    print("magnitude in each array, in the order of computation\n")
    print(timetable(events, None if args.all else PASSES))
    end = found.sentence if isinstance(found, Finding) else "every number in this step is finite"
    print(f"\n{end[0].upper()}{end[1:]}.")
    return 0


class _SavedBatches:
    """Replaces the feeds of a run by the saved batches of one step. Raises CheckpointError for invalid batches."""

    def __init__(self, batches: list[dict[str, np.ndarray]], config: RunConfig, model: Model, path: Path) -> None:
        self.batches, self.config, self.model, self.path = iter(batches), config, model, path
        self.position, self.batch_size = 0, config.batch_size

    def seek(self, position: int) -> None:
        self.position = position

    def next(self, n: int | None = None) -> dict[str, Any]:
        batch = next(self.batches, {})
        if not batch or not all(self._fits(name, batch.get(name)) for name in self.model.arrays):
            problem = f"its batches aren't those of one step of {self.config.model}"
            raise CheckpointError(f"{self.path} is damaged: {problem}")
        self.position += len(next(iter(batch.values())))
        return {name: self.model.device.array(rows) for name, rows in batch.items()}

    def _fits(self, name: str, rows: np.ndarray | None) -> bool:
        """Whether rows have the type and the shape of this array in the run."""
        kinds = "iu" if self.model.arrays[name].what in ("label", "mask") else "f"
        shape = tuple(self.config.shapes.get(name, ()))
        return rows is not None and len(rows) > 0 and rows.dtype.kind in kinds and rows.shape[1:] == shape


def _failure(file: Path) -> Path:
    """Return the path of failure.npz, given that file or its folder. Raises CheckpointError if it doesn't exist."""
    path = file / "failure.npz" if file.is_dir() else file
    if not path.exists():
        why = "no step of this run has failed" if file.is_dir() else "give failure.npz, or the folder of a run"
        raise CheckpointError(f"there is no file {path}: {why}")
    return path


def _config(checkpoint: Checkpoint, path: Path) -> RunConfig:
    """Return the settings in a failure.npz. Raises CheckpointError if they are missing or invalid."""
    try:
        config = parse_config(checkpoint.state["config"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged: it has no configuration of a run") from error
    if config.model != checkpoint.state["model"]:
        raise CheckpointError(f"{path} is damaged: its state is of another model than its configuration")
    return config


def timetable(events: list[Event], passes: int | None) -> str:
    """Format events, one per line, below a line for each pass through a network; only the last `passes` passes."""
    begins = [i for i, one in enumerate(events) if one.begins]
    first = 0 if passes is None or len(begins) <= passes else begins[-passes]
    rows = []
    for one in events[first:]:
        magnitudes = "  ".join(f"{name} {short(largest)}" for name, largest in one.largest.items())
        if one.begins:
            rows += [("", "", ""), (f"{one.network}, {one.verb}", "", magnitudes)]
        elif one.layer:
            rows.append((f"  {one.network}.{one.layer}", one.what, magnitudes))
        else:
            what = f"{one.what} updates {one.network}" if one.verb == "update" else one.what
            rows.append(("", what, magnitudes))
    before = f"  ({first:,} lines before these: --all shows them)\n" if first else ""
    return before + "\n".join(line.rstrip() for line in table(rows, "<<<").split("\n")) if rows else ""
