"""Applies a network to many files. An error in one file doesn't affect the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from minigan.apply.applier import Applier
from minigan.apply.output import write_picture
from minigan.apply.picture import FLOATS, Picture, from_floats, read_picture, resized, to_floats
from minigan.apply.targets import Job
from minigan.common.terminal import bar
from minigan.errors import DataError, MiniganError, printable


@dataclass
class Outcome:
    """The number of files written, the error messages of failed files, and notes on others."""

    done: int = 0
    failed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def apply_all(applier: Applier, jobs: Sequence[Job], colour: bool = False, outcome: Outcome | None = None) -> Outcome:
    """Run all jobs. Files are written atomically, and finished files are kept after Ctrl-C.

    colour:  keep a result in color if the input is grey
    outcome: updated after each job, so that it is complete after an interruption
    """
    outcome = outcome or Outcome()
    with bar(total=len(jobs), desc="applying", unit=" files", **({"disable": True} if len(jobs) == 1 else {})) as shown:
        for job in jobs:
            try:
                outcome.notes += [f"{job.source}: {note}" for note in apply_one(applier, job, colour)]
                outcome.done += 1
            except (DataError, OSError) as error:  # the message has the file
                outcome.failed.append(str(error))
            except MiniganError as error:
                outcome.failed.append(f"{job.source}: {error}")
            except MemoryError:
                outcome.failed.append(f"{job.source}: there is not enough memory: make it smaller")
            shown.update()
    return outcome


def apply_one(applier: Applier, job: Job, colour: bool = False) -> list[str]:
    """Run one job and return notes. Raises DataError, ShapeError and OSError."""
    picture, notes = read_picture(job.source), []
    floats = job.target.suffix.lower() == FLOATS
    if floats and picture.alpha is not None:
        notes.append(f"its transparency isn't in {job.target}, which only has the colors")
    progress: Callable[..., Any] = partial(bar, desc=printable(job.source.name), unit=" parts")
    try:
        pixels = picture.with_channels(applier.channels).pixels
        y = applier(to_floats(pixels) if floats else pixels, picture.grey and not colour, progress)
    except DataError as error:
        raise DataError(f"{job.source}: {error}") from error
    if pixels.dtype.kind == "f" and np.abs(pixels).max() > 1:
        notes.append(f"it has values from {pixels.min():g} to {pixels.max():g}, and networks are trained on -1 to 1")
    if not floats:
        y = from_floats(y, np.uint8) if y.dtype.kind == "f" else y
    alpha = None if floats or picture.alpha is None else resized(picture.alpha, (y.shape[0], y.shape[1]))
    profile = picture.profile if y.shape[2] == picture.pixels.shape[2] else b""
    job.target.parent.mkdir(parents=True, exist_ok=True)
    write_picture(job.target, Picture(y, alpha, profile, picture.flat))
    return notes
