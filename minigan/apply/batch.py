"""Applies a network to many files: finds the output file for each input, and rejects conflicts before any is written.

    apply RUN photo.jpg -o clean.png            one file to one file, in the format that its name says
    apply RUN a.jpg b.tif -o clean              to clean/a.png, clean/b.png
    apply RUN photos -o clean                   photos/cats/a.jpg to clean/cats/a.png, and so on

A .npy file becomes a .npy file. An input is never overwritten: files are compared by inode, so links and other
spellings of a name are recognized. Two inputs with the same output, such as a.jpg and a.png, are an error. Results of
an earlier call are overwritten. If OUT is inside IN, the files in OUT are not inputs. An error in one file doesn't
affect the others.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from minigan.apply.applier import Applier
from minigan.apply.mask import mask_of, read_mask
from minigan.apply.picture import FLOATS, Picture, from_floats, read_picture, resized, to_floats, write_picture
from minigan.apply.picture import SUFFIXES as WRITTEN
from minigan.common.terminal import bar
from minigan.data.kinds import SUFFIXES, count_kinds
from minigan.data.listing import walk
from minigan.errors import DataError, MiniganError, printable


@dataclass(frozen=True)
class Job:
    """An input file, its output file, and its mask if there are masks."""

    source: Path
    target: Path
    mask: Path | None = None


def jobs(inputs: Sequence[Path], out: Path, masks: Path | None = None) -> tuple[list[Job], tuple[str, ...]]:
    """Return the jobs, and notes on skipped files.

    masks: the mask of all pictures, or a folder with a mask for each, which has the name of the picture

    Raises DataError for missing inputs and masks, and conflicting outputs.
    """
    single = len(inputs) == 1 and not inputs[0].is_dir() and not out.is_dir()
    if single and out.suffix.lower() in WRITTEN:
        found, passed_over = [(inputs[0], out)], list[str]()
    elif single and out.suffix and out.suffix.lower() in SUFFIXES:
        raise DataError(f"{out} can't be written: call it .png, or one of {', '.join(WRITTEN)}")
    elif out.suffix.lower() in WRITTEN and not out.exists():
        raise DataError(f"{out} is the name of a file, for the results of several: give a folder")
    else:
        found, passed_over = _below(inputs, out)
    for source, _ in found:
        if not os.path.exists(source):
            raise DataError(f"there is no file {source}")
    if not found:
        raise DataError(f"there are no pictures in {', '.join(map(str, inputs))}")
    _check(found, out)
    if masks is not None and not masks.exists():
        raise DataError(f"there is no mask {masks}")
    note = count_kinds(passed_over)
    made = [Job(source, target, masks and mask_of(masks, _below_inputs(source, inputs))) for source, target in found]
    return made, (note,) if note else ()


def _below_inputs(source: Path, inputs: Sequence[Path]) -> Path:
    """Return the path of a file from the folder among the inputs in which it was found, or its name."""
    folder = next((place for place in inputs if place.is_dir() and source.is_relative_to(place)), source.parent)
    return source.relative_to(folder)


def _below(inputs: Sequence[Path], out: Path) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Return each input with its output below the folder `out`, and the names of files that aren't pictures."""
    found, passed_over = [], []
    for place in inputs:
        if not place.is_dir():
            found.append((place, out / _named(place.name)))
            continue
        if out.is_dir() and os.path.samefile(place, out):
            raise DataError(f"{out} is where the pictures are: give another folder for the results")
        for folder, names in walk(place):
            parts = folder.relative_to(place).parts
            if out.is_dir() and any(os.path.samefile(out, place.joinpath(*parts[: i + 1])) for i in range(len(parts))):
                continue  # output of an earlier call
            for name in sorted(name for name in names if not name.startswith(".")):
                if name.lower().endswith((*SUFFIXES, FLOATS)):
                    found.append((folder / name, out.joinpath(*parts, _named(name))))
                else:
                    passed_over.append(name)
    return found, passed_over


def _named(name: str) -> str:
    stem, suffix = os.path.splitext(name)
    return stem + (FLOATS if suffix.lower() == FLOATS else ".png")


def _check(found: list[tuple[Path, Path]], out: Path) -> None:
    if out.exists() and not out.is_dir() and (len(found) > 1 or found[0][1] != out):
        raise DataError(f"{out} is a file: give a folder for the results")
    inputs = {_identity(source): source for source, _ in found}
    names: dict[str, Path] = {}
    for source, target in found:
        if target.is_dir():
            raise DataError(f"{target} is a folder: give another name, or a folder for the results")
        if target.exists() and (same := inputs.get(_identity(target))):
            raise DataError(f"{target} is the input {same}, which is never overwritten: give another place")
        name = unicodedata.normalize("NFC", str(target)).casefold()  # macOS and Windows ignore case
        if name in names:
            raise DataError(f"{names[name]} and {source} would both become {target}: rename one, or apply one by one")
        names[name] = source


def _identity(path: Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


@dataclass
class Outcome:
    """The number of files written, the error messages of failed files, and notes on others."""

    done: int = 0
    failed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def apply_all(applier: Applier, jobs: Sequence[Job], color: bool = False, outcome: Outcome | None = None) -> Outcome:
    """Run all jobs. Files are written atomically, and finished files are kept after Ctrl-C.

    color:   keep a result in color if the input is gray
    outcome: updated after each job, so that it is complete after an interruption
    """
    outcome = outcome or Outcome()
    with bar(total=len(jobs), desc="applying", unit=" files", **({"disable": True} if len(jobs) == 1 else {})) as shown:
        for job in jobs:
            try:
                outcome.notes += [f"{job.source}: {note}" for note in apply_one(applier, job, color)]
                outcome.done += 1
            except (DataError, OSError) as error:  # the message has the file
                outcome.failed.append(str(error))
            except MiniganError as error:
                outcome.failed.append(f"{job.source}: {error}")
            except MemoryError:
                outcome.failed.append(f"{job.source}: there is not enough memory: make it smaller")
            shown.update()
    return outcome


def apply_one(applier: Applier, job: Job, color: bool = False) -> list[str]:
    """Run one job and return notes. Raises DataError, ShapeError and OSError."""
    picture, notes = read_picture(job.source), []
    floats = job.target.suffix.lower() == FLOATS
    if floats and picture.alpha is not None:
        notes.append(f"its transparency isn't in {job.target}, which only has the colors")
    progress: Callable[..., Any] = partial(bar, desc=printable(job.source.name), unit=" parts")
    try:
        pixels = picture.with_channels(applier.channels).pixels
        mask = None if job.mask is None else read_mask(job.mask, pixels.shape[:2])
        y = applier(to_floats(pixels) if floats else pixels, picture.gray and not color, progress, mask)
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
