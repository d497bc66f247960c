"""`minigan project`: finds the code of a picture, w or z, with which the generator of a run draws it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from minigan.commands import options
from minigan.commands.cli import Parser, UsageError
from minigan.commands.codes import Codes
from minigan.commands.options import place
from minigan.commands.projection import DRAWS, Projection, draw, project
from minigan.commands.sample import find_class
from minigan.common.words import flag
from minigan.data.decode import decode, no_warnings, read_header
from minigan.data.kinds import SUFFIXES
from minigan.data.pictures import size_words
from minigan.errors import DataError
from minigan.metrics import FEATURE_NETWORKS, open_features
from minigan.model import Exhibit, can
from minigan.training import pictures
from minigan.training.evaluation import DIGIT_SETS
from minigan.training.files import replacing, write_text
from minigan.training.settings import RunConfig
from minigan.training.summary import table

STEPS, STARTS, RATE = 400, 4, 0.1  # defaults
MOST_PICTURES = 1000
FILM_SIDE, FRAME_MS = 192, 80  # of a film: pixels of each of its two pictures at least, time of a frame


def add_arguments(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument("run", type=place, metavar="RUN", help="the folder of a run whose model draws pictures")
    parser.add_argument("pictures", type=place, nargs="+", metavar="PICTURE", help="pictures, or folders of them")
    parser.add_argument("-o", "--out", type=place, metavar="FOLDER", help="for the results (default: RUN/projected)")
    parser.add_argument("--resize", action="store_true", help="cut and resize pictures of another size, as in training")
    parser.add_argument("--class", dest="label", metavar="CLASS", help="for a model with classes: that of the pictures")
    number = f"steps of each search (default: {STEPS})"
    parser.add_argument("--steps", type=options.count, default=STEPS, metavar="N", help=number)
    number = f"searches for each picture, from the mean and from the nearest of {DRAWS:,} samples (default: {STARTS})"
    parser.add_argument("--starts", type=options.count, default=STARTS, metavar="N", help=number)
    rate = f"learning rate at the first step, in standard deviations of w or z (default: {RATE})"
    parser.add_argument("--lr", type=options.positive, default=RATE, metavar="X", help=rate)
    each = "of models with styles: a w for each layer, which comes nearer to the picture (default: one for all)"
    parser.add_argument("--per-layer", action="store_true", help=each)
    judge = "network whose features tell how alike the results look (default: digits for digits, else photos)"
    parser.add_argument("--features", choices=FEATURE_NETWORKS, help=judge)
    options.add_seed(parser, "seed of the random samples")
    options.add_run_options(parser, "draw")


def main(args: argparse.Namespace) -> int:
    """Project all pictures, write a table, a film and a code of each, and print their measures."""
    run, config, cls = options.read_run("project", args.run, args.model)
    shape = next(iter(config.shapes.values()), ())
    if len(shape) != 3:
        raise UsageError(f"{args.run} draws points, which have no pictures to project: give a run of pictures")
    files = picture_files(args.pictures)
    targets = [read_picture(path, shape, args.resize) for path in files]
    out = args.out or args.run / "projected"
    options.check_writable(out)
    model, _ = options.open_run(run, config, cls, args.checkpoint, args.device)
    codes, label = _check(args, model, config)
    name = args.features or ("digits" if config.eval_features == "digits" or config.data in DIGIT_SETS else "photos")
    network = open_features(name, model.device)
    draws, found = draw(codes, label, args.seed, network), dict[str, Any]()
    out.mkdir(parents=True, exist_ok=True)
    for path, target in zip(files, targets, strict=True):
        result = project(codes, target, draws, network, label, args.steps, args.lr, args.starts, args.per_layer)
        stem = unused(path.stem, found)
        _write(out / stem, target, result, "w" if codes.in_w else "z")
        found[stem] = {"picture": str(path)} | result.measures
    about = {"run": str(args.run), "steps": args.steps, "starts": args.starts, "per_layer": args.per_layer}
    write_text(out / "projection.json", json.dumps(about | {"features": name, "pictures": found}, indent=1) + "\n")
    print(_table(found, "w̄" if codes.in_w else "z = 0", name))
    print(out)
    return 0


def _check(args: argparse.Namespace, model: Any, config: RunConfig) -> tuple[Codes, int | None]:
    """Return the codes of the model, and the label of --class. Raises UsageError where they aren't."""
    if not all(can(model, verb) for verb in ("trace", "generate", "latent")):
        raise UsageError(f"{config.model} has no gradient by its latents (trace), which a projection follows")
    codes = Codes(model, config.model)
    if args.per_layer:
        codes.need_styles("--per-layer")
    if args.starts > DRAWS + 1:
        raise UsageError(f"--starts {args.starts} are too many: there are the mean and {DRAWS:,} samples to start from")
    if model.n_classes and args.label is None:
        raise UsageError("this run has classes: say with --class which one the pictures are of")
    label = None if args.label is None else find_class(args.label, model.n_classes, config.classes)
    return codes, label


def picture_files(given: list[Path]) -> list[Path]:
    """Return the files, and those in folders. Raises DataError if a folder has no pictures, UsageError for too many."""
    files = []
    for path in given:
        inside = (
            [file for file in sorted(path.iterdir()) if file.suffix.lower() in SUFFIXES] if path.is_dir() else [path]
        )
        if not inside:
            raise DataError(f"{path} has no pictures in it: give a picture, or a folder of them")
        files += inside
    for path in files:
        if not path.exists():
            raise DataError(f"there is no file {path}: give a picture")
    if len(files) > MOST_PICTURES:
        raise UsageError(f"{len(files):,} pictures are too many for one call: give {MOST_PICTURES:,} at most")
    return files


def read_picture(path: Path, shape: tuple[int, ...], resize: bool) -> np.ndarray:
    """Read a picture as (H, W, C) in [−1, 1]. Raises DataError for another size, unless `resize`."""
    height, width, channels = shape
    with no_warnings():
        size = read_header(path).size
        if size != (height, width) and not resize:
            wrong = f"{path} has {size_words(*size)} pixels, and the run draws {size_words(height, width)}"
            raise DataError(f"{wrong}: add {flag('resize')} to cut and resize it as in training")
        return decode(path, (height, width), channels).astype(np.float32) / 127.5 - 1


def unused(stem: str, taken: dict[str, Any]) -> str:
    """Return a name for the files of a picture: its own, or with a number if another picture has it."""
    names = (stem if i == 1 else f"{stem}-{i}" for i in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def _write(stem: Path, target: np.ndarray, found: Projection, kind: str) -> None:
    """Write STEM.npz, the code; STEM.png, picture, mean, nearest random sample and result; STEM.gif, the search."""
    with replacing(stem.with_name(stem.name + ".npz")) as file:
        np.savez(file, **{kind: found.code})
    four = np.stack([target, found.mean, found.nearest, found.found])
    captions = ("picture", "w̄" if kind == "w" else "z = 0", f"nearest of {DRAWS:,}", "found")
    pictures.save_image(pictures.draw_exhibit(Exhibit(four, 4, captions=captions)), stem.with_name(stem.name + ".png"))
    frames = [_side_by_side(target, sample) for sample in found.film]
    pictures.save_frames(frames, stem.with_name(stem.name + ".gif"), FRAME_MS)


def _side_by_side(target: np.ndarray, sample: np.ndarray) -> Image.Image:
    return pictures.enlarged(np.concatenate([target, sample], axis=1), 2 * FILM_SIDE)


def _table(found: dict[str, Any], mean: str, network: str) -> str:
    """Format the measures of all pictures."""
    head = ("picture", f"error of {mean}", f"nearest of {DRAWS:,}", "found", "PSNR", f"in {network}: {mean}", "nearest")
    rows = [(*head, "found")]
    for stem, one in found.items():
        errors = [f"{one[name]:.4f}" for name in ("mean", "nearest", "found")]
        distances = [f"{one[f'features_{name}']:.3g}" for name in ("mean", "nearest", "found")]
        rows.append((stem, *errors, f"{one['psnr']:.1f}", *distances))
    return table(rows, "<>>>>>>>")
