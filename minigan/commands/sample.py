"""`minigan sample`: pictures from the generator of a run."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from minigan.backend import get_device, to_numpy
from minigan.cli import INTERRUPTED, Parser, UsageError
from minigan.commands.options import check_writable, count, open_checkpoint, place, read_config, whole_number
from minigan.data import PointDataset
from minigan.errors import MiniganError
from minigan.metrics import modes_and_quality
from minigan.terminal import bar
from minigan.training import pictures
from minigan.training.run import RunConfig, RunFolder
from minigan.training.trainer import PICTURES, POINTS, class_columns, modes_found
from minigan.training.trainer import ROWS as CLASS_ROWS

ROWS, STEPS = 8, 10  # of a walk through the latent space
AT_ONCE = 256  # samples generated together
GRID_LIMIT = 4096  # pictures that one grid may have
SHOWN = 12  # class names in a sentence
LONGEST = 60  # characters of a class in a file name


def add_arguments(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument("run", type=place, metavar="RUN", help="the folder of a run")
    parser.add_argument(
        "--n",
        type=count,
        metavar="N",
        help=f"samples (default: {PICTURES}, {CLASS_ROWS} of each class; {POINTS} points)",
    )
    which = "one class only: its name, or its number from 0 on (default: all classes in turn)"
    parser.add_argument("--class", dest="label", metavar="CLASS", help=which)
    parser.add_argument("--seed", type=whole_number, default=0, metavar="N", help="seed of the latents (default: 0)")
    where = "a .png file, or a folder (default: RUN/generated.png, RUN/interpolation.png or RUN/generated/)"
    parser.add_argument("--out", type=place, help=where)
    parser.add_argument("--separate", action="store_true", help="write every picture as a file (default: one grid)")
    walk = (
        f"{ROWS} ways between two latents each, in {STEPS} steps, along a great circle; if there are classes, one way "
    )
    walk += "in each (default: separate latents)"
    parser.add_argument("--interpolate", action="store_true", help=walk)
    whose = "whose weights draw, such as RUN/best.npz (default: the newest in RUN/checkpoints)"
    parser.add_argument("--checkpoint", type=place, metavar="FILE", help=whose)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")


def main(args: argparse.Namespace) -> int:
    """Draw, and say where."""
    config = read_config(RunFolder(args.run))
    points = len(config.shape) == 1
    _check(args, points)
    folder = args.out or args.run / "generated"
    path = _file(args.out or args.run, "interpolation.png" if args.interpolate else "generated.png")
    check_writable(folder if args.separate else path.parent)
    gan = config.build_gan(get_device(args.device))
    label = None if args.label is None else find_class(args.label, gan.n_classes, config.classes)
    columns = None if label is not None or points else class_columns(gan)
    n = args.n or (POINTS if points else CLASS_ROWS * columns if columns else PICTURES)
    open_checkpoint(RunFolder(args.run), config.model, args.checkpoint).restore(gan)
    rng = gan.device.rng(args.seed)
    if args.interpolate:
        image = _walk(gan, config, label, rng)
    elif args.separate:
        return _write_each(gan, n, _labels(gan, n, label), rng, config, folder)
    else:
        samples = generate(gan, gan.latent(n, rng), _labels(gan, n, label))
        image = pictures.grid(samples, columns) if not points else _draw(config, samples, label, count_modes=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures.save_image(image, path)
    print(path)
    return 0


def find_class(text: str, n_classes: int, names: tuple[str, ...]) -> int:
    """Return the label that a user's word means: a class's name, or else its number. Raises UsageError if it is none.

    Folders may be called 1, 2, 3: there the name 1 is class 0, and a name comes first.
    """
    if not n_classes:
        raise UsageError("this run knows no classes, because its model was trained without labels: leave out --class")
    if text in names:
        return names.index(text)
    if text.isascii() and text.isdecimal() and len(text) < 10 and int(text) < n_classes:
        return int(text)
    there = f"0 to {n_classes - 1}"
    if set(names) - set(map(str, range(n_classes))):
        shown = names if len(names) <= SHOWN else (*names[: SHOWN - 1], "...")
        there += f", or a name: {', '.join(shown)}"
    raise UsageError(f"there is no class {text!r} in this run: use {there}")


def generate(gan: Any, z: Any, labels: Any = None) -> np.ndarray:
    """Generate samples on the host, some at a time. Raises MiniganError if a number in them isn't finite."""
    return np.concatenate(
        [
            _generate_some(gan, z[i : i + AT_ONCE], None if labels is None else labels[i : i + AT_ONCE])
            for i in range(0, len(z), AT_ONCE)
        ]
    )


def _generate_some(gan: Any, z: Any, labels: Any) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        samples = to_numpy(gan.generate(z, labels))
    if not np.isfinite(samples).all():
        raise MiniganError("the generator draws numbers that aren't finite: its weights are too large, use older ones")
    return samples


def _labels(gan: Any, n: int, label: int | None) -> Any:
    """Labels (n,) of a conditional model: one class, or all in turn."""
    if not gan.n_classes:
        return None
    return gan.labels(n) if label is None else gan.device.array(np.full(n, label))


def _write_each(gan: Any, n: int, labels: Any, rng: Any, config: RunConfig, folder: Path) -> int:
    """Draw n pictures and write each as a file, some at a time; return the exit status. The names tell the classes.

    Latents are drawn some at a time, too: the same numbers as all at once. After Ctrl-C what is written stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = dict(enumerate(config.classes))
    digits = max(5, len(str(n - 1)))
    written = 0
    try:
        with bar(total=n, desc="drawing", unit=" pictures") as shown:
            while written < n:
                some = slice(written, min(written + AT_ONCE, n))
                of = None if labels is None else labels[some]
                samples = _generate_some(gan, gan.latent(some.stop - some.start, rng), of)
                endings = (
                    [""] * len(samples) if of is None else [_ending(names, label) for label in to_numpy(of).tolist()]
                )
                for picture, ending in zip(pictures.to_bytes(samples), endings, strict=True):
                    pictures.save_image(pictures.to_image(picture), folder / f"{written:0{digits}d}{ending}.png")
                    written += 1
                shown.update(len(samples))
    except KeyboardInterrupt:
        print(f"interrupted: {written:,} of {n:,} pictures are in {folder}", file=sys.stderr)
        return INTERRUPTED
    print(f"{n} pictures in {folder}")
    return 0


def _ending(names: dict[int, str], label: int) -> str:
    return "-" + re.sub(r"[^\w.-]+", "-", names.get(label, str(label)))[:LONGEST]


def _check(args: argparse.Namespace, points: bool) -> None:
    if args.separate and (points or args.interpolate):
        raise UsageError("--separate writes pictures one by one: it goes with neither points nor --interpolate")
    if args.interpolate and args.n:
        raise UsageError(f"--interpolate always draws {ROWS} rows of {STEPS}: leave out --n")
    if (args.n or 0) > GRID_LIMIT and not args.separate and not points:
        raise UsageError(f"a grid of {args.n} pictures is too large: use --separate, or --n {GRID_LIMIT} at most")
    if args.checkpoint and not args.checkpoint.is_file():
        raise UsageError(f"there is no file {args.checkpoint}: give a checkpoint to --checkpoint, such as RUN/best.npz")
    if (
        args.separate
        and args.out
        and not args.out.is_dir()
        and args.out.suffix.lower() in Image.registered_extensions()
    ):
        raise UsageError(f"--separate writes many files: give a folder to --out, not {args.out}")


def _file(out: Path, name: str) -> Path:
    """The file to write: `out` itself if it is called .png, otherwise `name` in the folder `out`."""
    if out.is_dir():
        return out / name
    if out.suffix.lower() == ".png":
        return out
    if out.suffix.lower() in Image.registered_extensions():
        raise UsageError(f"pictures are written as PNG: call the file {out.with_suffix('.png')}")
    return out / name


def _walk(gan: Any, config: RunConfig, label: int | None, rng: Any) -> Image.Image:
    """Draw rows of samples on the way from one latent to another; each of one class, if there are classes."""
    rows = (label is None and class_columns(gan)) or ROWS
    starts, ends = (to_numpy(gan.latent(rows, rng)) for _ in range(2))
    z = pictures.walk(starts, ends, STEPS if len(config.shape) == 3 else 10 * STEPS)  # (rows, steps, latent_dim)
    labels = _labels(gan, rows, label)
    if labels is not None:
        labels = labels.repeat(z.shape[1])
    samples = generate(gan, gan.device.array(z.reshape(-1, z.shape[-1])), labels)
    if samples.ndim == 4:
        return pictures.grid(samples, columns=STEPS)
    return _draw(config, samples.reshape(*z.shape[:2], 2), label)


def _draw(config: RunConfig, samples: np.ndarray, label: int | None, count_modes: bool = False) -> Image.Image:
    """Draw points over real ones as far as they can be had; (paths, steps, 2) are joined. Also count modes, and print.

    Points of one class are to hit one mode only.
    """
    real = centers = None
    try:
        dataset = config.open_data()
        real = dataset.batch(np.arange(min(POINTS, len(dataset))))
        if isinstance(dataset, PointDataset):
            centers = dataset.centers
            named = {} if label is None else {config.classes[label] if label < len(config.classes) else ""}
            wanted = centers[[label is None or name in named for name in dataset.modes]]
            if count_modes and len(wanted):
                modes, quality = modes_and_quality(samples, wanted, dataset.std)
                print(modes_found({"modes": modes, "quality": quality}, len(wanted)))
    except MiniganError:
        pass
    return pictures.scatter(samples, real, centers, lines=samples.ndim == 3)
