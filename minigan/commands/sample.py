"""`minigan sample`: pictures from the generator of a run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from minigan.backend import get_device, to_numpy
from minigan.cli import Parser, UsageError
from minigan.commands.options import check_writable, count, place, read_config, whole_number
from minigan.errors import DataError
from minigan.training import pictures
from minigan.training.checkpoint import load_checkpoint
from minigan.training.run import RunConfig, RunFolder
from minigan.training.trainer import POINTS

ROWS, STEPS = 8, 10  # of a walk through the latent space
AT_ONCE = 256  # samples generated together
GRID_LIMIT = 4096  # pictures that one grid may have


def add_arguments(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument("run", type=place, metavar="RUN", help="the folder of a run")
    parser.add_argument("--n", type=count, metavar="N", help=f"samples (default: 64; {POINTS} points)")
    parser.add_argument("--seed", type=whole_number, default=0, metavar="N", help="seed of the latents (default: 0)")
    where = "a .png file, or a folder (default: RUN/generated.png, RUN/interpolation.png or RUN/generated/)"
    parser.add_argument("--out", type=place, help=where)
    parser.add_argument("--separate", action="store_true", help="write every picture as a file (default: one grid)")
    walk = f"{ROWS} ways between two latents each, in {STEPS} steps, along a great circle (default: separate latents)"
    parser.add_argument("--interpolate", action="store_true", help=walk)
    parser.add_argument(
        "--checkpoint", type=place, metavar="FILE", help="whose weights draw (default: RUN/checkpoint.npz)"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")


def main(args: argparse.Namespace) -> int:
    """Draw, and say where."""
    config = read_config(RunFolder(args.run))
    points = len(config.shape) == 1
    n = args.n or (POINTS if points else 64)
    _check(args, n, points)
    folder = args.out or args.run / "generated"
    path = _file(args.out or args.run, "interpolation.png" if args.interpolate else "generated.png")
    check_writable(folder if args.separate else path.parent)
    gan = config.build_gan(get_device(args.device))
    load_checkpoint(args.checkpoint or args.run / "checkpoint.npz", config.model).restore(gan)
    rng = gan.device.rng(args.seed)
    if args.separate:
        folder.mkdir(parents=True, exist_ok=True)
        for i, picture in enumerate(pictures.to_bytes(generate(gan, gan.latent(n, rng)))):
            pictures.save_image(pictures.to_image(picture), folder / f"{i:05d}.png")
        print(f"{n} pictures in {folder}")
        return 0
    image = _walk(gan, config, rng) if args.interpolate else _draw(config, generate(gan, gan.latent(n, rng)))
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures.save_image(image, path)
    print(path)
    return 0


def generate(gan: Any, z: Any) -> np.ndarray:
    """Generate samples on the host, some at a time."""
    return np.concatenate([to_numpy(gan.generate(z[i : i + AT_ONCE])) for i in range(0, len(z), AT_ONCE)])


def _check(args: argparse.Namespace, n: int, points: bool) -> None:
    if args.separate and (points or args.interpolate):
        raise UsageError("--separate writes pictures one by one: it goes with neither points nor --interpolate")
    if args.interpolate and args.n:
        raise UsageError(f"--interpolate always draws {ROWS} rows of {STEPS}: leave out --n")
    if n > GRID_LIMIT and not args.separate and not points:
        raise UsageError(f"a grid of {n} pictures is too large: use --separate, or --n {GRID_LIMIT} at most")
    if args.checkpoint and not args.checkpoint.is_file():
        raise UsageError(f"there is no file {args.checkpoint}: give a checkpoint.npz to --checkpoint")
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


def _walk(gan: Any, config: RunConfig, rng: Any) -> Image.Image:
    """Draw rows of samples on the way from one latent to another."""
    starts, ends = (to_numpy(gan.latent(ROWS, rng)) for _ in range(2))
    z = pictures.walk(starts, ends, STEPS if len(config.shape) == 3 else 10 * STEPS)  # (rows, steps, latent_dim)
    samples = generate(gan, gan.device.array(z.reshape(-1, z.shape[-1])))
    if samples.ndim == 4:
        return pictures.grid(samples, columns=STEPS)
    return _draw(config, samples.reshape(*z.shape[:2], 2))


def _draw(config: RunConfig, samples: np.ndarray) -> Image.Image:
    """Draw a grid of pictures, or points over real ones as far as they can be had; (paths, steps, 2) are joined."""
    if samples.ndim == 4:
        return pictures.grid(samples)
    real = centers = None
    try:
        dataset = config.open_data()
        real, centers = dataset.batch(np.arange(min(POINTS, len(dataset)))), getattr(dataset, "centers", None)
    except DataError:
        pass
    return pictures.scatter(samples, real, centers, lines=samples.ndim == 3)
