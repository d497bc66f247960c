"""Two folders compared picture by picture, by SSIM and PSNR: a part of `minigan evaluate`."""

from __future__ import annotations

import argparse
import json
from math import isfinite
from pathlib import Path

from minigan.cli import UsageError
from minigan.commands.figures import NAMES
from minigan.data import Pairs
from minigan.training.evaluation import compare_pairs
from minigan.words import flag

PAIRED = ("ssim", "psnr")


def compare(args: argparse.Namespace) -> int:
    """Compare two sets picture by picture."""
    others = sorted(set(args.metrics) - set(PAIRED))
    if others:
        raise UsageError(f"ssim and psnr compare picture by picture, {', '.join(others)} whole sets: run it twice")
    sets = [*args.what, *([args.against] if args.against else [])]
    if len(sets) != 2 or any((Path(spec) / "config.json").is_file() for spec in sets):
        raise UsageError("ssim and psnr compare picture by picture: give two folders, in which the names agree")
    for name in ("n", "n_against", "out", "save_stats", "features", "weights", "checkpoint", "img_size", "skip_bad"):
        if getattr(args, name) is not None:
            raise UsageError(f"ssim and psnr compare all pictures whole, at their own size: leave out {flag(name)}")
    pairs = Pairs(Path(sets[0]), Path(sets[1]), split_b=args.split or "train")
    values = compare_pairs(pairs, args.metrics)
    about = {"pictures": sets[0], "reference": sets[1], "n": len(pairs), "data_range": 255}
    if args.json:
        finite = {name: value if isfinite(value) else None for name, value in values.items()}  # JSON knows no ∞
        print(json.dumps({"values": finite} | about, indent=2))
    else:
        print(
            f"pictures   {sets[0]}\nreference  {sets[1]}\n{len(pairs):,} pairs of one name, each whole, at its size\n"
        )
        for name, value in values.items():
            print(f"{NAMES[name]:20} {value:9.4f}" if name == "ssim" else f"{NAMES[name]:20} {value:9.2f} dB")
    return 0
