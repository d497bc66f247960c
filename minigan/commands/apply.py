"""`minigan apply`: applies a trained network to pictures of any size and kind."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from minigan.apply import Applier, Job, Outcome, apply_all, jobs
from minigan.apply.picture import FLOATS
from minigan.apply.ready import is_ready
from minigan.backend import keep_freed_memory
from minigan.commands.cli import INTERRUPTED, Parser, UsageError
from minigan.commands.options import (
    add_run_options,
    check_writable,
    open_ready,
    open_run,
    place,
    print_notes,
    read_run,
    typed,
    warn,
)
from minigan.data.decode import no_warnings, read_header
from minigan.errors import DataError
from minigan.options import NotNegative
from minigan.training.progress import duration

LEAST_PIXELS = 2**17  # of which the time is predicted
SHOWN = 20  # error messages of failed files, at most


def add_arguments(parser: Parser) -> None:
    """Add the options."""
    what = "the folder of a run whose model can be applied; or enlarge, a network that ships: photos twice as large"
    parser.add_argument("run", type=place, metavar="RUN", help=what)
    what = "files or folders: pictures, or .npy files with floats in [-1, 1]"
    parser.add_argument("inputs", type=place, nargs="+", metavar="IN", help=what)
    where = (
        "a folder, or for one file a .png, .tif, .webp, .jpg or .npy file (default: of photo.jpg, photo-RUN.png here)"
    )
    parser.add_argument("-o", "--out", type=place, metavar="OUT", help=where)
    to = "of a model that translates in several directions, such as cyclegan: the target, a or b (default: b)"
    parser.add_argument("--to", metavar="TARGET", default="", help=to)
    holes = "for a model that fills holes: a picture as large as IN in which the holes are white; or a folder of those"
    parser.add_argument("--mask", type=place, metavar="FILE", help=holes)
    blend = "of a model with two stages, such as srgan: from 0, smooth, to 1, textured (default: 1)"
    parser.add_argument("--strength", type=typed(float, NotNegative()), metavar="X", help=blend)
    gray = "keep the colors that a network makes of gray pictures (default: what was gray becomes gray again, but not "
    gray += "if the model colors pictures or translates them)"
    parser.add_argument("--keep-color", action="store_true", help=gray)
    add_run_options(parser, "work")


def main(args: argparse.Namespace) -> int:
    """Apply the model, and print where the results are. Returns 0, or 2 if a file failed."""
    keep_freed_memory()
    args.out = args.out or _named(args.inputs, args.run)
    work, notes = jobs(args.inputs, args.out, args.mask)
    check_writable(work[0].target.parent)
    model = _opened(args)
    applier, outcome = Applier(model, to=args.to, strength=args.strength), Outcome()
    _check_mask(applier, args.run, args.mask)
    print_notes((*notes, *_forecast(applier, work)), sys.stderr)
    try:
        apply_all(applier, work, args.keep_color or model.recolors, outcome)
    except KeyboardInterrupt:
        print(f"interrupted: {outcome.done:,} of {len(work):,} files are in {args.out}", file=sys.stderr)
        return INTERRUPTED
    print_notes(tuple(outcome.notes), sys.stderr)
    if len(work) == 1 and outcome.failed:
        raise DataError(outcome.failed[0])
    print(work[0].target if len(work) == 1 else f"{outcome.done:,} of {len(work):,} files are in {args.out}")
    for sentence in outcome.failed[:SHOWN]:
        warn(sentence)
    if len(outcome.failed) > SHOWN:
        warn(f"and {len(outcome.failed) - SHOWN:,} other files failed")
    return 2 if outcome.failed else 0


def _opened(args: argparse.Namespace) -> Any:
    """Return the model of a run, or the one that ships."""
    if is_ready(args.run):
        return open_ready(args.run, args)
    run, config, cls = read_run("apply", args.run, args.model)
    return open_run(run, config, cls, args.checkpoint, args.device)[0]


def _named(inputs: list[Path], run: Path) -> Path:
    """Return the name of the result of one file: that of the file with that of the run."""
    if len(inputs) > 1 or inputs[0].is_dir():
        raise UsageError("the results of several files need a folder: add -o FOLDER")
    kept = inputs[0].suffix.lower() == FLOATS
    return Path(f"{inputs[0].stem}-{run.resolve().name}{FLOATS if kept else '.png'}")


def _forecast(applier: Applier, work: list[Job]) -> list[str]:
    """Return a note about the time that the pictures will take, if it is worth one."""
    sizes = []
    for job in work:
        with suppress(DataError), no_warnings():  # a .npy file, or one that fails when its turn comes
            sizes.append(read_header(job.source).size)
    pixels = sum(height * width for height, width in sizes)
    if pixels < LEAST_PIXELS or applier.channels is None:
        return []
    seconds, pictures = applier.seconds(sizes), "1 picture" if len(sizes) == 1 else f"{len(sizes):,} pictures"
    return [f"{pictures} of {pixels / 1e6:.1f} megapixels will take about {duration(seconds)}"] if seconds >= 5 else []


def _check_mask(applier: Applier, run: Path, mask: Path | None) -> None:
    """Raise UsageError if the model needs a mask and there is none, or the other way round."""
    if applier.fills and mask is None:
        raise UsageError(f"the model in {run} fills holes: add --mask FILE, a picture in which the holes are white")
    if mask is not None and not applier.fills:
        raise UsageError(
            f"the model in {run} doesn't fill holes: leave out --mask, or train restore --damage hole:blobs"
        )
