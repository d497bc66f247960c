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
from minigan.commands.cli import INTERRUPTED, Parser, UsageError
from minigan.commands.options import place
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
ROWS, STEPS = 8, 10  # of an interpolation
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
    options.add_seed(parser, "seed of the latents")
    where = "a .png file, or a folder (default: RUN/generated.png, RUN/interpolation.png or RUN/generated/)"
    parser.add_argument("--out", type=place, help=where)
    parser.add_argument("--separate", action="store_true", help="write every picture as a file (default: one grid)")
    walk = f"{ROWS} interpolations between two latents each, in {STEPS} steps, along a great circle; if there are "
    walk += "classes, one for each (default: independent latents)"
    parser.add_argument("--interpolate", action="store_true", help=walk)
    options.add_run_options(parser, "draw")


def main(args: argparse.Namespace) -> int:
    """Draw samples, and print the path of the file."""
    _check(args)
    folder = args.out or args.run / "generated"
    path = _file(args.out or args.run, "interpolation.png" if args.interpolate else "generated.png")
    run, config, cls = options.read_run("sample", args.run, args.model)
    points = all(len(shape) == 1 for shape in config.shapes.values())
    _check_points(args, points)
    options.check_writable(folder if args.separate else path.parent)
    model, _ = options.open_run(run, config, cls, args.checkpoint, args.device)
    check_generates(model, config)
    label = None if args.label is None else find_class(args.label, model.n_classes, config.classes)
    columns = None if label is not None or points else class_columns(model)
    n = args.n or (POINTS if points else CLASS_ROWS * columns if columns else PICTURES)
    rng = model.device.rng(args.seed)
    if args.interpolate:
        image = _walk(model, config, cls, label, rng, points)
    elif args.separate:
        return _write_each(model, n, _labels(model, n, label), rng, config, folder)
    else:
        samples = generate(model, model.latent(n, rng), _labels(model, n, label))
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


def generate(model: Any, z: Any, labels: Any = None) -> np.ndarray:
    """Generate samples in batches; return them on the host. Raises MiniganError if one isn't finite."""
    parts = []
    for i in range(0, len(z), AT_ONCE):
        some = slice(i, i + AT_ONCE)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            parts.append(to_numpy(model.generate(z[some]) if labels is None else model.generate(z[some], labels[some])))
    samples = np.concatenate(parts)
    if not np.isfinite(samples).all():
        raise MiniganError("the generator draws numbers that aren't finite: its weights are too large, use older ones")
    return samples


def _labels(model: Any, n: int, label: int | None) -> Any:
    """Return n labels for a conditional model: the given one, or all classes in turn; None without classes."""
    if not model.n_classes:
        return None
    return model.device.array(np.arange(n) % model.n_classes if label is None else np.full(n, label))


def _write_each(gan: Any, n: int, labels: Any, rng: Any, config: RunConfig, folder: Path) -> int:
    """Draw n pictures in batches, and write each to a file named by number and class; return the exit status.

    Drawing the latents in batches gives the same numbers as drawing them at once. Finished files are kept after Ctrl-C.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = dict(enumerate(config.classes))
    endings = ["-" + re.sub(r"[^\w.-]+", "-", names.get(i, str(i)))[:LONGEST] for i in range(gan.n_classes)]
    digits, written = max(5, len(str(n - 1))), 0
    try:
        with bar(total=n, desc="drawing", unit=" pictures") as shown:
            while written < n:
                some = slice(written, min(written + AT_ONCE, n))
                of = None if labels is None else labels[some]
                samples = generate(gan, gan.latent(some.stop - some.start, rng), of)
                asked = [""] * len(samples) if of is None else [endings[label] for label in to_numpy(of)]
                for picture, ending in zip(pictures.to_bytes(samples), asked, strict=True):
                    pictures.save_image(pictures.to_image(picture), folder / f"{written:0{digits}d}{ending}.png")
                    written += 1
                shown.update(len(samples))
    except KeyboardInterrupt:
        print(f"interrupted: {written:,} of {n:,} pictures are in {folder}", file=sys.stderr)
        return INTERRUPTED
    print(f"{n} pictures in {folder}")
    return 0


def _check(args: argparse.Namespace) -> None:
    if args.separate and args.interpolate:
        raise UsageError("--separate writes pictures one by one: it doesn't go with --interpolate")
    if args.interpolate and args.n:
        raise UsageError(f"--interpolate always draws {ROWS} rows of {STEPS}: leave out --n")
    if args.separate and args.out and _is_picture(args.out):
        raise UsageError(f"--separate writes many files: give a folder to --out, not {args.out}")


def _check_points(args: argparse.Namespace, points: bool) -> None:
    if args.separate and points:
        raise UsageError("--separate writes pictures one by one, and this run draws points: leave it out")
    if (args.n or 0) > GRID_LIMIT and not args.separate and not points:
        raise UsageError(f"a grid of {args.n} pictures is too large: use --separate, or --n {GRID_LIMIT} at most")


def _file(out: Path, name: str) -> Path:
    """Return the path to write: `out` if it ends in .png, otherwise `name` in the folder `out`."""
    if not _is_picture(out):
        return out / name
    options.check_png(out)
    return out


def _is_picture(out: Path) -> bool:
    """Whether a path has the suffix of a picture format and isn't a folder."""
    return not out.is_dir() and out.suffix.lower() in Image.registered_extensions()


def _walk(model: Any, config: RunConfig, cls: Any, label: int | None, rng: Any, points: bool) -> Image.Image:
    """Draw rows of interpolations between two latents; with classes, one class in each row."""
    rows = (label is None and class_columns(model)) or ROWS
    starts, ends = (to_numpy(model.latent(rows, rng)) for _ in range(2))
    z = pictures.walk(starts, ends, 10 * STEPS if points else STEPS)  # (rows, steps, latent_dim)
    labels = _labels(model, rows, label)
    if labels is not None:
        labels = labels.repeat(z.shape[1])
    samples = generate(model, model.device.array(z.reshape(-1, z.shape[-1])), labels)
    if not points:
        return pictures.grid(samples, columns=STEPS)
    return _draw(config, cls, samples.reshape(*z.shape[:2], 2), label)


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
