"""`minigan data`: lists the data sets, or describes and draws one."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np

from minigan.commands import options
from minigan.commands.cli import Parser, UsageError
from minigan.commands.data_of_model import describe
from minigan.commands.options import PATHS, print_notes
from minigan.common.user_code import is_own, locate_data_errors, own_data, own_model, short_name
from minigan.common.words import either, with_flags
from minigan.data import SPLITS, ArrayDataset, BadFilesError, Dataset, list_datasets, open_dataset
from minigan.errors import DataError, printable
from minigan.models import MODELS
from minigan.training import pictures
from minigan.training.summary import table

PICTURES, POINTS = 64, 1000  # default numbers of samples in a picture


def add_arguments(parser: Parser) -> None:
    """Add the options."""
    which = f"a name, the path of {PATHS}, or your own as my_data.py:make_data (default: list all)"
    parser.add_argument("spec", nargs="?", metavar="DATA", help=which)
    out = "draw some of it (default: describe it only)"
    parser.add_argument("--out", type=options.place, metavar="FILE.png", help=out)
    n = f"samples to draw (default: {PICTURES}; {POINTS} points)"
    parser.add_argument("--n", type=options.count, metavar="N", help=n)
    parser.add_argument("--img-size", type=options.size, metavar="N", help=options.SIZE_HELP)
    parser.add_argument("--channels", type=options.count, choices=(1, 3), help="gray or color (default: as they are)")
    parser.add_argument("--split", default="train", help=f"{', '.join(SPLITS)} (default: train)")
    options.add_skip_bad(parser)
    options.add_seed(parser, "which are drawn")

    group = parser.add_argument_group("as a model gets it")
    what = f"show pairs, class maps, crops and damage as {either(MODELS)} or your own my_gan.py:MyGAN gets them"
    group.add_argument("--for", dest="for_model", metavar="MODEL", help=f"{what} (default: one set of pictures)")
    shown = next(
        (word for before, word in zip(["", *parser.words], parser.words, strict=False) if before == "--for"), ""
    )
    shown = next((word.removeprefix("--for=") for word in parser.words if word.startswith("--for=")), shown)
    own = own_model(shown)[0] if is_own(shown) else None
    if own or shown in MODELS:
        options.add_samples(group, {shown: own or MODELS[shown]})
        options.add_model_options(parser.add_argument_group(f"options of {shown}"), shown, own)


def main(args: argparse.Namespace) -> int:
    """Print the table of data sets, or describe one and draw it."""
    if args.spec is None:
        if args.out:
            raise UsageError("which data set is to be drawn? minigan data DATA --out FILE.png")
        rows = [("name", "what", "size", "from")]
        for name, info in list_datasets().items():
            cached = ", in the cache" if info.cached else ""
            rows.append((name, info.what, info.size, info.origin + cached))
        print(f"{table(rows, '<<<<')}\n\nor the path of {PATHS}")
        return 0
    if args.out:
        if args.out.is_dir():
            raise UsageError(f"{args.out} is a folder: give the name of a .png file to --out")
        options.check_png(args.out)
        options.check_writable(args.out.parent)
    if args.for_model and args.split != "train":
        raise UsageError("--split is of one set of pictures: leave it out, --for shows training and what is held out")
    sheet = _show_for_model(args) if args.for_model else _show(args)
    if sheet is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        pictures.save_image(sheet, args.out)
        print(args.out)
    return 0


def _show(args: argparse.Namespace) -> pictures.Image.Image | None:
    """Describe one set, and return a picture of some of it if one is asked for."""
    dataset = _open_own(args) if is_own(args.spec) else _open(args)
    sheet = _sheet(dataset, args.n, args.seed) if args.out else None  # before any output: a picture may be damaged
    print(printable(dataset.describe()))
    print_notes(dataset.notes)
    if dataset.labels is not None and dataset.classes:
        numbers = np.bincount(dataset.labels, minlength=len(dataset.classes))
        for name, n in zip(dataset.classes, numbers, strict=True):
            print(f"  {printable(name)}: {n:,}")
    return sheet


def _show_for_model(args: argparse.Namespace) -> pictures.Image.Image | None:
    """Describe the data of a model, and return a picture of some of it. Lists bad files before it raises DataError."""
    try:
        lines, notes, sheet = describe(args)
    except BadFilesError as error:
        raise DataError(error.problems[0] if len(error.problems) == 1 else _list(error.problems)) from error
    print(*lines, sep="\n")
    print_notes(notes)
    return sheet


def _open_own(args: argparse.Namespace) -> Dataset:
    """Open the data of a user's own function; of several arrays, the first one with pictures or points.

    Prints the shapes of the others. Raises DataError if there are no pictures and no points.
    """
    with locate_data_errors(args.spec):
        found = own_data(args.spec)[0]
        arrays = dict(found) if isinstance(found, Mapping) else {short_name(args.spec): found}
        can = [name for name, array in arrays.items() if hasattr(array, "batch") or np.ndim(array) in (2, 4)]
        if not can:
            raise DataError(f"it returns no pictures (N, H, W, C) and no points (N, F), but {', '.join(arrays)}")
        shown = arrays.pop(can[0])
        dataset: Any = shown if hasattr(shown, "batch") else ArrayDataset(can[0], shown)
        dataset = dataset.fit(args.img_size, args.channels) if args.img_size or args.channels else dataset
    for name, array in arrays.items():
        print(printable(f"{name}: {np.asarray(array).dtype} {np.shape(array)}"))
    return dataset


def _open(args: argparse.Namespace) -> Dataset:
    """Open a data set and check all pictures. Lists bad ones, and raises DataError for them without --skip-bad."""
    try:
        dataset = open_dataset(args.spec, args.img_size, args.channels, args.seed, args.split, skip_bad=True)
    except BadFilesError as error:
        raise DataError(error.problems[0] if len(error.problems) == 1 else _list(error.problems)) from error
    problems = list(getattr(dataset, "bad", ()))
    if problems and not args.skip_bad:
        message = problems[0] if len(problems) == 1 else _list(problems)
        raise DataError(f"{message}, or skip them with --skip-bad")
    _list(problems)
    return dataset


def _list(problems: list[str]) -> str:
    """Print the problem of each bad file, and return the message of an error about several."""
    for problem in problems:
        print(f"bad: {printable(with_flags(problem))}")
    return f"{problems[0]}; this is one of {len(problems):,} bad files, all listed above" if problems else ""


def _sheet(dataset: Dataset, n: int | None, seed: int) -> pictures.Image.Image:
    """Draw random samples."""
    points = len(dataset.shape) == 1
    chosen = np.random.default_rng(seed).permutation(len(dataset))[: n or (POINTS if points else PICTURES)]
    samples = dataset.batch(chosen)
    return pictures.scatter(samples, centers=getattr(dataset, "centers", None)) if points else pictures.grid(samples)
