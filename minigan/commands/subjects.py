"""Opens the subject and the reference of `minigan evaluate`."""

from __future__ import annotations

import argparse
import re
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minigan.backend import Device
from minigan.commands.cli import UsageError
from minigan.commands.codes import Codes
from minigan.commands.options import open_run, print_notes, read_run
from minigan.common.user_code import is_own, locate_data_errors, own_data
from minigan.data import ArrayDataset, Dataset, FolderDataset, PointDataset, Size, natural_size, open_dataset
from minigan.errors import DataError, MiniganError
from minigan.metrics import NEEDS_REFERENCE
from minigan.model import Model, can
from minigan.training.evaluation import Pictures, generated_pictures, real_pictures
from minigan.training.settings import EVALUATED_LATENTS, RunConfig
from minigan.training.sources import open_data

SAMPLES = 10_000  # of a run
# The advice to read pictures at a smaller size
SMALLER = re.compile("use [^:;]*`img_size`[^,:;]*(, or take it out of the folder|, or resize them, without `crops`)?")


@dataclass(frozen=True)
class Subject:
    """The subject of an evaluation: its pictures, and for a run its settings, its model, and a user's own class."""

    pictures: Pictures | None
    config: RunConfig | None = None
    model: Any = None
    cls: type[Model] | None = None
    source: str = ""


def open_subject(args: argparse.Namespace, device: Device) -> Subject:
    """Open the subject: a run, if the path is its folder, else a folder of pictures or a data set."""
    what = args.what[0]
    if (Path(what) / "config.json").is_file():
        return _open_run(args, what)
    runs = sorted(path.parent for path in Path(what).glob("*/config.json"))
    if runs:
        raise UsageError(f"{what} holds runs, and pictures about them: give one of them, such as {runs[0]}")
    for name in ("checkpoint", "model", "truncation"):
        if getattr(args, name) is not None:
            raise UsageError(f"--{name} is for a run, and {what} is none: leave it out")
    data = _open_data(what, args.img_size, skip_bad=args.skip_bad)
    return Subject(real_pictures(data, args.n, args.seed, device))


def _open_run(args: argparse.Namespace, what: str) -> Subject:
    """Open the model of a run, and the pictures that it generates, if it does."""
    if args.img_size:
        raise UsageError("--img-size is for folders of pictures, and a run has its own size: leave it out")
    folder, config, cls = read_run("evaluate", Path(what), args.model)
    shape = _picture_shape(config)
    if shape is None and not args.metrics and not (cls and (cls.judgements or cls.translations)):
        raise UsageError(f"{what} draws points: minigan sample {what} counts the modes that it has found")
    model, checkpoint = open_run(folder, config, cls, args.checkpoint, args.device)
    if args.truncation is not None:
        Codes(model, config.model, args.truncation)  # raises an error if the model doesn't truncate
    at, n = f"{what} at step {checkpoint.state['step']:,}", args.n or SAMPLES
    if shape is None or not can(model, "generate"):
        if model.translations:
            return Subject(None, config, model, cls, at)
        if not model.judgements or args.metrics:
            raise UsageError(f"{config.model} draws no pictures from latents, and only those have such metrics")
        return Subject(None, config, model, cls, at)
    source, more = f"{n:,} of {at}, drawn with seed {args.seed}", {}
    if args.truncation is not None:
        source, more = f"{source} and truncation {args.truncation:g}", {"truncation": args.truncation}
    pictures = generated_pictures(model, n, [args.seed, EVALUATED_LATENTS], source, **more)
    return Subject(pictures, config, model, cls, at)


def open_reference(args: argparse.Namespace, subject: Subject, device: Device) -> Pictures | Path | None:
    """Open the reference: a file of statistics, pictures, or None. The default for a run is its training data."""
    spec, config = args.against, subject.config
    if spec is None and config is None:
        if args.split or args.n_against:
            raise UsageError("--split and --n-against are of a reference: give one with --against")
        return None
    if spec is not None and is_statistics(spec):
        if args.split or args.n_against or args.save_stats:
            raise UsageError(f"{spec} holds statistics as they are: leave out --split, --n-against and --save-stats")
        return Path(spec)
    split = args.split or "train"
    if config is not None and (spec is None and split == "train" or spec is not None and is_own(spec)):
        try:
            data = _pictures_of(config, subject.cls, spec)
        except MiniganError:
            if args.metrics is None or set(args.metrics) & set(NEEDS_REFERENCE):
                raise
            return None
    elif config is not None:  # at the size of the generated pictures
        height, width, channels = _picture_shape(config) or (0, 0, 0)
        with size_of_run():
            data = _open_data(spec or config.data, (height, width), channels, split, args.skip_bad)
    else:
        data = _open_data(spec, args.img_size, None, split, args.skip_bad)
    shown = split if args.split or not isinstance(data, FolderDataset) else ""  # a folder need not have splits
    return real_pictures(data, args.n_against, args.seed + 1, device, shown)  # another seed than for the subject


@contextmanager
def size_of_run() -> Iterator[None]:
    """Context manager: in a DataError about small pictures, advise larger ones. `evaluate` can't resize a run."""
    try:
        yield
    except DataError as error:
        raise DataError(SMALLER.sub("give pictures as large as those of training, at least", str(error))) from error


def _picture_shape(config: RunConfig) -> tuple[int, ...] | None:
    """Return (H, W, C) of a run's first array of pictures; None if it has none."""
    return next((tuple(shape) for shape in config.shapes.values() if len(shape) == 3), None)


def _pictures_of(config: RunConfig, cls: type[Model] | None, spec: str | None) -> Dataset:
    """Open the training pictures of a run. `spec` is the name of a user's own function that returns them."""
    if is_own(config.data) and spec is None:
        raise UsageError(f"the data is of a file of your own, {config.data}: name it, --against {config.data}")
    with locate_data_errors(spec):
        sources = open_data(config, cls, own_data(spec)[0] if spec else None)
    parts: list[Any] = [part for source in sources.values() for part in source.parts.values() if hasattr(part, "batch")]
    return next(part for part in parts if len(part.shape) == 3)


def _open_data(
    spec: str, img_size: Size | None, channels: int | None = None, split: str = "train", skip_bad: bool | None = False
) -> Dataset:
    """Open pictures. By default, those in a folder are resized to the size of the first one."""
    if is_own(spec):
        with locate_data_errors(spec):
            return ArrayDataset(spec, own_data(spec)[0]).fit(img_size, channels)
    if img_size is None and Path(spec).exists():
        img_size = natural_size(Path(spec))
    data = open_dataset(spec, img_size, channels, split=split, skip_bad=bool(skip_bad))
    if isinstance(data, PointDataset):
        raise UsageError(f"{spec} is a set of points: give pictures")
    print_notes(data.notes, sys.stderr)  # stdout may contain JSON
    return data


def is_statistics(path: str) -> bool:
    """Whether a path is a .npz file of statistics, and not of pictures. Unreadable files count as statistics."""
    if not path.lower().endswith(".npz") or Path(path).is_dir():
        return False
    if not Path(path).is_file():  # reading a pipe or a device may block
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # zipfile may raise any exception for a damaged archive
        return True
    return not names or "mu.npy" in names or "sigma.npy" in names
