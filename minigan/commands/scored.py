"""The pictures that `minigan score` gets, their classes, and the files that it writes about them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minigan.commands.cli import UsageError
from minigan.common.words import nearest
from minigan.data import Dataset, FolderDataset, open_dataset
from minigan.data.decode import no_warnings, read_header
from minigan.data.kinds import SUFFIXES
from minigan.data.listing import NoSplitError
from minigan.errors import DataError

GOOD = ("good", "normal", "ok")  # names of classes that are normal


@dataclass
class Inputs:
    """Pictures from several places: their names, and their classes, "" where there is none."""

    parts: list[Dataset] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, part: Dataset, names: Sequence[str], classes: Sequence[str]) -> None:
        """Add all pictures of a data set."""
        self.parts.append(part)
        self.names += names
        self.classes += classes
        self.notes += part.notes

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """Return pictures (n, H, W, C) in [−1, 1]."""
        starts = np.cumsum([0, *(len(part) for part in self.parts)])
        which = np.searchsorted(starts, numbers, "right") - 1  # in which part each of them is
        found = np.empty((len(numbers), *self.parts[0].shape), np.float32)
        for k in np.unique(which):
            found[which == k] = self.parts[k].batch(numbers[which == k] - starts[k])
        return found


def open_inputs(given: Sequence[Path], shape: tuple[int, ...], split: str | None, skip_bad: bool) -> Inputs:
    """Open files, folders and data sets at the size and with the channels of `shape`, cut and resized as in training.

    The class of a picture is its class in a data set, or the name of the folder that it is in. Raises DataError.
    """
    inputs, (height, width, channels) = Inputs(), shape
    for path in given:
        if path.suffix.lower() in SUFFIXES and not path.is_dir():
            if not path.is_file():
                raise DataError(f"there is no file {path}: give a picture, a folder of pictures, or a data set")
            with no_warnings():
                read_header(path)  # raises DataError for a file that isn't a picture
            one = FolderDataset(str(path), [path], (height, width), channels)
            inputs.add(one, [str(path)], [path.resolve().parent.name])
            continue
        data = _open(str(path), (height, width), channels, split, skip_bad)
        if len(data.shape) != 3:
            raise UsageError(f"{path} is a set of points: give pictures")
        inputs.add(data, _names(path, data), _classes(path, data))
    return inputs


def _open(spec: str, size: tuple[int, int], channels: int, split: str | None, skip_bad: bool) -> Dataset:
    """Open a data set: the split that was asked for, else its test part if it has one."""
    try:
        return open_dataset(spec, size, channels, split=split or "test", skip_bad=skip_bad)
    except NoSplitError:
        if split:
            raise
        return open_dataset(spec, size, channels, skip_bad=skip_bad)


def _names(path: Path, data: Dataset) -> list[str]:
    if isinstance(data, FolderDataset):
        return [str(file) for file in data.paths]
    return [f"{path.name} {i}" for i in range(len(data))]


def _classes(path: Path, data: Dataset) -> list[str]:
    if data.labels is not None and data.classes:
        return [data.classes[k] for k in data.labels]
    return [path.resolve().name if path.is_dir() else ""] * len(data)


def abnormal_of(classes: Sequence[str], good: tuple[str, ...] | None) -> np.ndarray | None:
    """Return which pictures are abnormal (N,), those whose class isn't one of `good`; None if it isn't known.

    Without `good`, classes called good, normal or ok are normal. Raises UsageError for a class that doesn't exist.
    """
    known = sorted(set(classes) - {""})
    for name in good or ():
        if name not in known:
            raise UsageError(f"there is no class {name!r} among the pictures: {nearest(name, known or ['none'])}")
    normal = good or tuple(name for name in known if name.lower() in GOOD)
    return np.array([name not in normal for name in classes]) if normal else None


def as_csv(columns: dict[str, Sequence[Any]]) -> str:
    """Return a table as comma-separated values, numbers with six digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row])
    return text.getvalue()
