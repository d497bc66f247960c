"""`minigan reconstruct`: pictures through the encoder and the decoder of a run, with changes to their codes between."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from minigan.commands import options
from minigan.commands.cli import Parser, UsageError
from minigan.commands.encoded import Encoded, add_pictures, encode, in_batches, open_encoder
from minigan.commands.options import word
from minigan.commands.sample import find_class
from minigan.commands.walks import FILM_SIDE, FILM_STEPS, FRAME_MS, STEPS
from minigan.data import open_dataset
from minigan.errors import DataError
from minigan.metrics import psnr
from minigan.model import Exhibit
from minigan.training import pictures
from minigan.training.files import write_text
from minigan.training.sources import open_data
from minigan.training.summary import table

CLASS_PICTURES = 1000  # of a class, at most, whose mean code is computed
CHANGES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the way from one class to the other
MOST_SHOWN = 500  # pictures in a table


def add_arguments(parser: Parser) -> None:
    """Add the options."""
    add_pictures(parser, "reconstructed")
    walk = "interpolate between the codes of the pictures, from each to the next: a grid and a film"
    parser.add_argument("--interpolate", action="store_true", help=walk)
    change = "change the pictures from this class to that of --to: the difference of the classes' mean codes is added"
    parser.add_argument("--from", dest="source", type=word, metavar="CLASS", help=change)
    parser.add_argument("--to", type=word, metavar="CLASS", help="a class, by its name or its number from 0 on")
    what = "how much of that difference to add (default: 1)"
    parser.add_argument("--strength", type=options.number, metavar="X", help=what)
    labeled = "data with classes, for the mean codes, such as a folder with a folder for each (default: the run's data)"
    parser.add_argument("--labels", type=word, metavar="DATA", help=labeled)
    options.add_run_options(parser, "work")


def main(args: argparse.Namespace) -> int:
    """Write every reconstruction, tables of pictures, and the errors; print the errors."""
    _check(args)
    out = args.out or args.run / "reconstructed"
    decodes = ("generate",) if args.interpolate or args.source else ()  # decodes codes that were changed
    opened = open_encoder("reconstruct", args, out, ("reconstruct", *decodes))
    if args.interpolate and len(opened.pictures) < 2:
        raise UsageError("--interpolate goes from picture to picture: give two or more")
    z = encode(opened.model, opened.pictures)  # (n, D)
    change = _change(args, opened) if args.source else None
    found = in_batches(opened.model.reconstruct, opened.model, opened.pictures)  # (n, H, W, C)
    out.mkdir(parents=True, exist_ok=True)
    for name, picture in zip(opened.names, found, strict=True):
        pictures.save_image(pictures.to_image(pictures.to_bytes(picture)), out / f"{name}.png")
    pairs = np.stack([opened.pictures, found], axis=1)[:MOST_SHOWN]  # a row for each picture
    _save(pairs, ("picture", "reconstruction"), out / "table" / "reconstructions.png")
    if args.interpolate:
        _interpolate(opened.model, z, out / "table" / "interpolation")
    if change is not None:
        changed = [_decoded(opened.model, z[:MOST_SHOWN] + t * change) for t in CHANGES]
        captions = ("picture", *(f"{t:g}" for t in CHANGES))
        rows = np.stack([opened.pictures[:MOST_SHOWN], *changed], axis=1)
        _save(rows, captions, out / "table" / "changed.png")
    _report(opened, found, out)
    print(out)
    return 0


def _check(args: argparse.Namespace) -> None:
    """Raise UsageError for options that lack others."""
    if (args.source is None) != (args.to is None):
        raise UsageError("--from and --to are two classes, and only one is given: give both")
    for option in ("strength", "labels"):
        if getattr(args, option) is not None and args.source is None:
            raise UsageError(f"--{option} is of a change of class: add --from and --to, or leave it out")


def _change(args: argparse.Namespace, opened: Encoded) -> np.ndarray:
    """Return `strength` times the difference of the mean codes of two classes (D,). Raises UsageError or DataError."""
    data = _labeled(args, opened)
    names = tuple(data.classes or map(str, range(int(data.labels.max()) + 1)))
    means = []
    for text in (args.source, args.to):
        members = np.flatnonzero(data.labels == find_class(text, len(names), names))[:CLASS_PICTURES]
        if not len(members):
            raise DataError(f"{data.name} has no pictures of the class {text}: give other data with --labels")
        means.append(encode(opened.model, data.batch(members)).mean(axis=0))
    return (1.0 if args.strength is None else args.strength) * (means[1] - means[0])


def _labeled(args: argparse.Namespace, opened: Encoded) -> Any:
    """Return a data set with labels. Raises DataError for one without."""
    shape = next(iter(opened.config.shapes.values()))
    if args.labels is not None:
        data: Any = open_dataset(args.labels, shape[:2], shape[2])
    else:
        sources = open_data(opened.config, opened.cls)
        data = next(part for source in sources.values() for part in source.parts.values() if hasattr(part, "batch"))
    if getattr(data, "labels", None) is None:
        raise DataError(f"{data.name} has no classes: give data that has, such as a folder for each, with --labels")
    return data


def _decoded(model: Any, z: np.ndarray) -> np.ndarray:
    """Decode codes (…, D) on the host to pictures (…, H, W, C)."""
    made = in_batches(model.generate, model, z.reshape(-1, z.shape[-1]).astype(np.float32))
    return made.reshape(*z.shape[:-1], *made.shape[1:])


def _interpolate(model: Any, z: np.ndarray, stem: Path) -> None:
    """Write STEM.png, a row from each code (n, D) to the next, and STEM.gif, a film of it."""

    def between(steps: int) -> np.ndarray:
        """Return pictures (n − 1, steps, H, W, C) on the straight lines between codes."""
        t = np.linspace(0, 1, steps)[:, None]
        return _decoded(model, (1 - t) * z[:-1, None] + t * z[1:, None])

    grid = between(STEPS)
    _save(grid, (), stem.with_suffix(".png"))
    film = between(FILM_STEPS + 1)
    each = [*film[:, :-1].reshape(-1, *film.shape[2:]), film[-1, -1]]  # a row begins where the one before it ends
    frames = [pictures.enlarged(picture, FILM_SIDE) for picture in each]
    pictures.save_frames(frames, stem.with_suffix(".gif"), FRAME_MS)


def _save(rows: np.ndarray, captions: tuple[str, ...], path: Path) -> None:
    """Draw pictures (rows, columns, H, W, C) with a caption for each column."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exhibit = Exhibit(rows.reshape(-1, *rows.shape[2:]), rows.shape[1], captions=captions)
    pictures.save_image(pictures.draw_exhibit(exhibit), path)


def _report(opened: Encoded, found: np.ndarray, out: Path) -> None:
    """Write the errors of all reconstructions, and print those of the first ones and their means."""
    errors = np.square(found.astype(np.float64) - opened.pictures).mean(axis=(1, 2, 3))
    decibels = psnr(found, opened.pictures, 2)
    each = {
        name: {"picture": str(path), "error": float(f"{error:.6g}"), "psnr": float(f"{decibel:.6g}")}
        for name, path, error, decibel in zip(opened.names, opened.files, errors, decibels, strict=True)
    }
    write_text(out / "reconstruction.json", json.dumps(each, indent=1) + "\n")
    rows = [("picture", "mean (x̃ − x)²", "PSNR")]
    rows += [(name, f"{one['error']:.4f}", f"{one['psnr']:.1f}") for name, one in list(each.items())[:20]]
    rows.append((f"mean of {len(each):,}", f"{errors.mean():.4f}", f"{decibels.mean():.1f}"))
    print(table(rows, "<>>"))
