"""Shared by `minigan encode` and `reconstruct`: a run with an encoder, the user's pictures, and their codes."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigan.backend import to_numpy
from minigan.commands import options
from minigan.commands.cli import Parser, UsageError
from minigan.commands.codes import AT_ONCE, collected
from minigan.commands.options import place
from minigan.commands.project import picture_files, read_picture, unused
from minigan.errors import MiniganError
from minigan.model import Model, can
from minigan.training.settings import RunConfig


class Encoded(NamedTuple):
    """A model, its settings and class, pictures (n, H, W, C) in [−1, 1], and names for their files, each once."""

    model: Any
    config: RunConfig
    cls: type[Model] | None
    pictures: np.ndarray
    names: list[str]
    files: list[Path]


def add_pictures(parser: Parser, out: str) -> None:
    """Add the arguments that both commands have. `out` is the default of --out."""
    parser.add_argument("run", type=place, metavar="RUN", help="the folder of a run whose model has an encoder: vae …")
    parser.add_argument("pictures", type=place, nargs="+", metavar="PICTURE", help="pictures, or folders of them")
    parser.add_argument("-o", "--out", type=place, metavar="FOLDER", help=f"for the results (default: RUN/{out})")
    parser.add_argument("--resize", action="store_true", help="cut and resize pictures of another size, as in training")


def open_encoder(command: str, args: argparse.Namespace, out: Path, verbs: Sequence[str] = ()) -> Encoded:
    """Open the run and read the pictures. Raises UsageError if the model has no encoder, or lacks one of the verbs."""
    folder, config, cls = options.read_run(command, args.run, args.model)
    shape = next(iter(config.shapes.values()), ())
    if len(shape) != 3:
        raise UsageError(f"{args.run} is a run of points, and {command} takes pictures: give a run of pictures")
    files = picture_files(args.pictures)
    pictures = np.stack([read_picture(path, shape, args.resize) for path in files])
    options.check_writable(out)
    model, _ = options.open_run(folder, config, cls, args.checkpoint, args.device)
    if not can(model, "encode"):
        instead = f": minigan project {args.run} finds codes by a search" if can(model, "trace") else ""
        raise UsageError(f"{config.model} has no encoder, as vae and vaegan do{instead}")
    for verb in verbs:
        if not can(model, verb):
            raise UsageError(f"{config.model} encodes pictures, but has no {verb}(…): give a run of another model")
    names = dict[str, Any]()
    for path in files:
        names[unused(path.stem, names)] = path
    return Encoded(model, config, cls, pictures, list(names), files)


def in_batches(f: Callable[[Any], Any], model: Any, pictures: np.ndarray) -> np.ndarray:
    """Return f of pictures (n, H, W, C), batch by batch, on the host. Raises MiniganError for numbers not finite."""
    return collected(lambda some: f(model.device.array(pictures[some])), len(pictures))


def encode(model: Any, pictures: np.ndarray) -> np.ndarray:
    """Return the codes (n, D) of pictures (n, H, W, C). Raises MiniganError if one isn't finite."""
    parts = []
    for i in range(0, len(pictures), AT_ONCE):
        parts.append(to_numpy(model.encode(model.device.array(pictures[i : i + AT_ONCE]))))
    codes = np.concatenate(parts)
    if not np.isfinite(codes).all():
        raise MiniganError("the encoder's codes aren't finite: its weights are too large, use an older checkpoint")
    return codes
