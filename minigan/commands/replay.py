"""`minigan replay`: the step at which a run failed, once more, with every number looked at."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from minigan.backend import get_device
from minigan.cli import Parser
from minigan.commands.options import check_arguments, place
from minigan.errors import CheckpointError
from minigan.training.checkpoint import Checkpoint, load_rng
from minigan.training.failure import Seen, first_not_finite, load_failure
from minigan.training.run import DECAYS, RunConfig, parse_config
from minigan.training.summary import table
from minigan.training.tally import short

PASSES = 6  # through whole networks, before the end, that are shown


def add_arguments(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument("file", type=place, metavar="FILE", help="failure.npz, or the folder of the run")
    shown = f"show the step from its beginning (default: the last {PASSES} passes through a network)"
    parser.add_argument("--all", action="store_true", help=shown)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")


def main(args: argparse.Namespace) -> int:
    """Make the step again, and print what was seen in it, in order of time."""
    path = _failure(args.file)
    checkpoint, batches = load_failure(path)
    config = _config(checkpoint, path)
    gan = config.build_gan(get_device(args.device))
    checkpoint.restore(gan)
    step, factor = checkpoint.state["step"], checkpoint.state.get("lr_factor", 1.0)
    if type(factor) is not float or not 0 < factor <= 1:
        raise CheckpointError(f"{path} is damaged: its factor on the learning rate is {factor!r}")
    for optimizer in gan.optimizers.values():
        optimizer.lr *= DECAYS[config.lr_decay](config.n_steps)(step) * factor
    handed = iter(batches)

    def next_batch() -> Any:
        x, labels = next(handed, (None, None))
        if not _fits(x, labels, config, gan.n_classes):
            raise CheckpointError(f"{path} is damaged: its batches aren't those of one step of {config.model}")
        x = gan.device.array(x)
        return x if labels is None else (x, gan.device.array(labels))

    seen: list[Seen] = []
    finding = first_not_finite(gan, next_batch, load_rng(checkpoint.state["rng"], gan.device), seen.append)
    print(f"step {step + 1} of {config.model} on {config.data}, from the state before it: the largest magnitude in")
    print("everything that is made, in order of time\n")
    print(timetable(seen, None if args.all else PASSES))
    end = "every number in this step is finite" if finding is None else finding.sentence
    print(f"\n{end[0].upper()}{end[1:]}.")
    return 0


def _failure(file: Path) -> Path:
    """The file that is meant. Raises CheckpointError if it isn't there."""
    path = file / "failure.npz" if file.is_dir() else file
    if not path.exists():
        why = "no step of this run has failed" if file.is_dir() else "give failure.npz, or the folder of a run"
        raise CheckpointError(f"there is no file {path}: {why}")
    return path


def _config(checkpoint: Checkpoint, path: Path) -> RunConfig:
    """The configuration in a failure.npz. Raises CheckpointError if there is none."""
    try:
        config = parse_config(checkpoint.state["config"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged: it has no configuration of a run") from error
    if config.model != checkpoint.state["model"]:
        raise CheckpointError(f"{path} is damaged: its state is of another model than its configuration")
    check_arguments(config, path)
    return config


def _fits(x: Any, labels: Any, config: RunConfig, n_classes: int) -> bool:
    """Whether a batch is one of this run: x (N, *shape) and, for a model with classes, labels (N,)."""
    if x is None or (labels is None) != (n_classes == 0) or x.dtype.kind != "f" or x.shape[1:] != config.shape:
        return False
    return len(x) > 0 and (labels is None or (labels.dtype.kind in "iu" and labels.shape == x.shape[:1]))


def timetable(seen: list[Seen], passes: int | None) -> str:
    """One line for everything that was seen, under a line for every pass through a network; only the last of these."""
    begins = [i for i, one in enumerate(seen) if one.begins]
    first = 0 if passes is None or len(begins) <= passes else begins[-passes]
    rows = []
    for one in seen[first:]:
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
