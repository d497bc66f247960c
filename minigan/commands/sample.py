"""`minigan sample`: draws samples with the generator of a run."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from minigan.backend import to_numpy
from minigan.commands import options
from minigan.commands.balanced import check_balanced, class_folders, number_of_each, trained_filter, write_balanced
from minigan.commands.cli import INTERRUPTED, Parser, UsageError
from minigan.commands.codes import Codes, as_list, seeds
from minigan.commands.options import place
from minigan.commands.walks import ROWS, STEPS, film, interpolation, mixing
from minigan.common.terminal import bar
from minigan.errors import MiniganError
from minigan.metrics import modes_and_quality
from minigan.model import VERBS, can
from minigan.training import pictures
from minigan.training.judges import describe_modes
from minigan.training.settings import RunConfig
from minigan.training.sources import open_data

PICTURES, POINTS = 64, 1000  # default numbers of samples
CLASS_ROWS, MOST_COLUMNS = 8, 16  # a grid with a column for each class: default rows, and columns at most
AT_ONCE = 256  # samples in a batch
GRID_LIMIT = 4096  # pictures in a grid, at most
SHOWN = 12  # class names in an error message, at most
LONGEST = 60  # characters of a class in a file name, at most


def add_arguments(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument("run", type=place, metavar="RUN", help="the folder of a run")
    n = f"samples (default: {PICTURES}, {CLASS_ROWS} of each class; {POINTS} points)"
    parser.add_argument("--n", type=options.count, metavar="N", help=n)
    which = "one class only: its name, or its number from 0 on (default: all classes in turn)"
    parser.add_argument("--class", dest="label", metavar="CLASS", help=which)
    which = "seed of all latents; or a list such as 3,17,20-25, one for each sample, which may contain .npz files of "
    which += "minigan project (default: 0)"
    parser.add_argument("--seed", type=seeds, default=0, metavar="N", help=which)
    where = "a .png file, or a folder (default: RUN/generated.png, interpolation.png, mixing.png or RUN/generated/)"
    parser.add_argument("--out", type=place, help=where)
    parser.add_argument("--separate", action="store_true", help="write every picture as a file (default: one grid)")
    what = "with --separate: equally many samples of each class, in a folder for each"
    parser.add_argument("--balanced", action="store_true", help=f"{what} (default: one folder)")
    what = "with --balanced: write only samples that a classifier, which is trained first on the run's data, finds to "
    what += "be of their class, with a probability of P at least (default: write all; P: 0)"
    parser.add_argument("--filter", type=options.fraction, nargs="?", const=0.0, metavar="P", help=what)
    walk = f"interpolate in {STEPS} steps from each seed of a list to the next, in a grid and a film; for one seed, "
    walk += f"between two latents, {ROWS} times or once for each class (default: independent latents)"
    parser.add_argument("--interpolate", action="store_true", help=walk)
    what = "better and less varied samples: with styles, use w̄ + X (w - w̄), where w̄ is the mean of w (default: 1); "
    what += "of biggan, X times a z truncated to -2 ... 2 (default: z as it is)"
    parser.add_argument("--truncation", type=options.number, metavar="X", help=what)
    what = "of models with styles: a table: coarse styles of --seed, one row each, fine ones of SEEDS, the columns"
    parser.add_argument("--mix", type=seeds, metavar="SEEDS", help=what)
    what = "of --mix: the first N layers take the coarse styles (default: half of them)"
    parser.add_argument("--coarse", type=options.count, metavar="N", help=what)
    what = "interpolate in z, along a great circle, or in w, on a line (default: w if the model has styles)"
    parser.add_argument("--space", choices=("z", "w"), default="", help=what)
    options.add_run_options(parser, "draw")


def main(args: argparse.Namespace) -> int:
    """Draw samples, and print the path of the file."""
    _check(args)
    folder = args.out or args.run / "generated"
    name = "mixing" if args.mix is not None else "interpolation" if args.interpolate else "generated"
    path = _file(args.out or args.run, f"{name}.png")
    run, config, cls = options.read_run("sample", args.run, args.model)
    points = all(len(shape) == 1 for shape in config.shapes.values())
    _check_points(args, points)
    options.check_writable(folder if args.separate else path.parent)
    model, _ = options.open_run(run, config, cls, args.checkpoint, args.device)
    check_generates(model, config)
    made = Codes(model, config.model, args.truncation, args.space)
    label = None if args.label is None else find_class(args.label, model.n_classes, config.classes)
    _check_classes(args, model, label)
    columns = None if label is not None or points else class_columns(model)
    n = args.n or (POINTS if points else CLASS_ROWS * columns if columns else PICTURES)
    if args.mix is not None:
        image = mixing(made, as_list(args.seed), as_list(args.mix), args.coarse, label)
    elif args.interpolate:
        rows = (label is None and class_columns(model)) or ROWS
        samples = interpolation(made, args.seed, rows, 10 * STEPS if points else STEPS, label)
        if not (points or isinstance(args.seed, int)):
            print(film(made, args.seed, label, path.with_suffix(".gif")))
        grid = samples.reshape(-1, *samples.shape[2:])
        image = _draw(config, cls, samples, label) if points else pictures.grid(grid, columns=STEPS)
    elif args.balanced:
        each = number_of_each(model, config.model, args.n)
        folders = class_folders(folder, model.n_classes, config.classes)
        keep = None if args.filter is None else trained_filter(config, cls, model, args.filter, args.seed)
        return write_balanced(made, args.seed, each, folders, keep)
    elif args.separate:
        return _write_each(made, config, args.seed, n, label, folder)
    else:
        samples = np.concatenate([made.samples(*some) for *some, _ in made.batches(args.seed, n, label, AT_ONCE)])
        image = _draw(config, cls, samples, label, count_modes=True) if points else pictures.grid(samples, columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures.save_image(image, path)
    print(path)
    return 0


def check_generates(model: Any, config: RunConfig) -> None:
    """Raise UsageError, with alternatives, for a model that doesn't generate samples from latents."""
    if not can(model, "generate") or not can(model, "latent"):
        instead = ", ".join(f"minigan {verb}" if verb == "apply" else verb for verb in VERBS if can(model, verb))
        has = f"what it has is {instead}" if instead else "it only trains"
        raise UsageError(f"{config.model} draws no samples from latents: {has}")


def class_columns(model: Any) -> int | None:
    """Return the number of columns of a grid with one column per class; None for an approximately square grid."""
    return model.n_classes if 0 < model.n_classes <= MOST_COLUMNS else None


def find_class(text: str, n_classes: int, names: tuple[str, ...]) -> int:
    """Return the label of a class, given by its name or its number. Raises UsageError if there is no such class.

    Names take precedence over numbers: if classes are called 1, 2, 3, the text 1 is the first class, with label 0.
    """
    if not n_classes:
        raise UsageError("this run has no classes, because its model was trained without labels: leave out --class")
    if text in names:
        return names.index(text)
    if text.isascii() and text.isdecimal() and len(text) < 10 and int(text) < n_classes:
        return int(text)
    there = f"0 to {n_classes - 1}"
    if set(names) - set(map(str, range(n_classes))):
        shown = names if len(names) <= SHOWN else (*names[: SHOWN - 1], "...")
        there += f", or a name: {', '.join(shown)}"
    raise UsageError(f"there is no class {text!r} in this run: use {there}")


def _write_each(made: Codes, config: RunConfig, seed: Any, n: int, label: int | None, folder: Path) -> int:
    """Draw pictures in batches, and write each to a file named by number or seed, and class; return the exit status.

    Finished files are kept after Ctrl-C.
    """
    folder.mkdir(parents=True, exist_ok=True)
    classes = dict(enumerate(config.classes))
    endings = ["-" + re.sub(r"[^\w.-]+", "-", classes.get(i, str(i)))[:LONGEST] for i in range(made.model.n_classes)]
    n, written = n if isinstance(seed, int) else len(seed) * (len(endings) if endings and label is None else 1), 0
    try:
        with bar(total=n, desc="drawing", unit=" pictures") as shown:
            for code, labels, names in made.batches(seed, n, label, AT_ONCE):
                samples = made.samples(code, labels)
                asked = [""] * len(names) if labels is None else [endings[k] for k in to_numpy(labels)]
                for picture, name, ending in zip(pictures.to_bytes(samples), names, asked, strict=True):
                    pictures.save_image(pictures.to_image(picture), folder / f"{name}{ending}.png")
                    written += 1
                shown.update(len(names))
    except KeyboardInterrupt:
        print(f"interrupted: {written:,} of {n:,} pictures are in {folder}", file=sys.stderr)
        return INTERRUPTED
    print(f"{n} pictures in {folder}")
    return 0


def _check(args: argparse.Namespace) -> None:
    check_balanced(args)
    if args.separate and (args.interpolate or args.mix is not None):
        other = "--interpolate" if args.interpolate else "--mix"
        raise UsageError(f"--separate writes pictures one by one: it doesn't go with {other}")
    if args.interpolate and args.mix is not None:
        raise UsageError("--interpolate and --mix draw two different grids: leave out one of them")
    if args.coarse and args.mix is None:
        raise UsageError("--coarse says which layers --mix takes: add --mix, or leave it out")
    if args.space and not args.interpolate:
        raise UsageError("--space says where --interpolate walks: add --interpolate, or leave it out")
    if args.n and args.mix is not None:
        raise UsageError("--mix draws a picture for each pair of seeds: leave out --n")
    if args.n and not isinstance(args.seed, int):
        raise UsageError("a list of seeds says how many samples there are: leave out --n")
    if args.interpolate and not isinstance(args.seed, int) and len(args.seed) < 2:
        raise UsageError("--interpolate goes from seed to seed: give two or more to --seed, such as 3,17")
    if args.interpolate and args.n:
        raise UsageError(f"--interpolate always draws {ROWS} rows of {STEPS}: leave out --n")
    if args.separate and args.out and _is_picture(args.out):
        raise UsageError(f"--separate writes many files: give a folder to --out, not {args.out}")


def _check_points(args: argparse.Namespace, points: bool) -> None:
    if args.separate and points:
        raise UsageError("--separate writes pictures one by one, and this run draws points: leave it out")
    if (args.n or 0) > GRID_LIMIT and not args.separate and not points:
        raise UsageError(f"a grid of {args.n} pictures is too large: use --separate, or --n {GRID_LIMIT} at most")


def _check_classes(args: argparse.Namespace, model: Any, label: int | None) -> None:
    """Raise UsageError if there are classes, and a list of seeds needs one of them."""
    if not model.n_classes or label is not None:
        return
    if args.mix is not None or args.interpolate and not isinstance(args.seed, int):
        raise UsageError("this run has classes, and these samples are all of one: choose it with --class")
    if not isinstance(args.seed, int) and not args.separate and class_columns(model) is None:
        raise UsageError(f"each seed is drawn in all {model.n_classes} classes: choose one with --class")


def _file(out: Path, name: str) -> Path:
    """Return the path to write: `out` if it ends in .png, otherwise `name` in the folder `out`."""
    if not _is_picture(out):
        return out / name
    options.check_png(out)
    return out


def _is_picture(out: Path) -> bool:
    """Whether a path has the suffix of a picture format and isn't a folder."""
    return not out.is_dir() and out.suffix.lower() in Image.registered_extensions()


def _draw(
    config: RunConfig, cls: Any, samples: np.ndarray, label: int | None, count_modes: bool = False
) -> Image.Image:
    """Draw points over real ones, if the data can be opened. Paths (paths, steps, 2) are drawn as lines.

    With `count_modes`, also print the number of modes found; with a label, only the modes of that class count.
    """
    real = centers = None
    dataset: Any
    try:
        sources = open_data(config, cls)
        source, dataset = next((s, p) for s in sources.values() for p in s.parts.values() if hasattr(p, "batch"))
        real, centers = dataset.batch(np.arange(min(POINTS, len(source)))), source.centers
        if centers is not None:
            named = {} if label is None else {config.classes[label] if label < len(config.classes) else ""}
            wanted = centers[[label is None or name in named for name in dataset.modes]]
            if count_modes and len(wanted):
                modes, quality = modes_and_quality(samples, wanted, source.std or 1.0)
                print(describe_modes({"modes": modes, "quality": quality}, len(wanted)))
    except (MiniganError, StopIteration):
        pass
    return pictures.scatter(samples, real, centers, lines=samples.ndim == 3)
