"""The output of `minigan evaluate`, and its comparison of two folders picture by picture."""

from __future__ import annotations

import argparse
import json
import textwrap
from math import isfinite
from pathlib import Path
from typing import Any

from minigan.commands.cli import UsageError
from minigan.common.words import flag
from minigan.data import Pairs
from minigan.metrics import Evaluation
from minigan.model import Judgement
from minigan.training.evaluation import compare_pairs

PAIRED = ("ssim", "psnr")
PROTOCOL = "all channels of whole pictures, from 0 to 255; of enlarged pictures, tables use --protocol sr"
NAMES = {"fid": "FID", "is": "Inception Score", "kid": "KID", "precision": "precision", "recall": "recall"}


def print_judgements(found: dict[str, float], judgements: dict[str, Judgement], source: str) -> None:
    """Print a model's own judgements, on `source`."""
    print(f"judged on  {source}\n")
    for name, value in found.items():
        one = judgements[name]
        notes = [note for note in (one.better and f"{one.better} is better", one.note) if note]
        print(f"{one.words:20} {value:9.4f}" + (f"   ({', '.join(notes)})" if notes else ""))


def print_answer(answer: Evaluation) -> None:
    """Print the results of an evaluation, what was measured, and the caveats."""
    print(f"pictures   {answer.source}")
    if answer.reference:
        print(f"reference  {answer.reference}")
    print(f"features   {answer.network}")
    print(f"resizer    {answer.resizer}\n")
    values = answer.values
    for name, shown in NAMES.items():
        if name in values:
            shown += f", {answer.features}" if name in ("fid", "kid") else ""
            spread = f" ± {values[name + '_std']:.4f}" if name + "_std" in values else ""
            error = f"   standard error {values[name + '_error']:.4f}" if name + "_error" in values else ""
            print(f"{shown:20} {values[name]:9.4f}{spread}{error}")
    if "shares" in values:
        print_classes(values)
    for caveat in answer.caveats:
        print(f"\n{textwrap.fill('note: ' + caveat, 100)}")


def print_classes(values: dict[str, Any]) -> None:
    """Print the results of a classifier: confidence, shares of classes, and agreement with the requested classes."""
    shares, right = values["shares"], values.get("right_of", {})
    print(f"{'sure of a class':20} {100 * values['sure']:7.1f} %")
    print(f"{'classes drawn':20} {values['classes_present']:4} of {len(right) or len(shares) - 1}")
    if right:
        print(f"{'as it was asked':20} {100 * values['right']:7.1f} %")
    print("\n" + " " * 15 + "".join(f"{name:>6}" for name in shares))
    print(f"{'% of samples':15}" + "".join(f"{100 * share:6.1f}" for share in shares.values()))
    if right:
        cells = (f"{100 * right[name]:6.1f}" if name in right else f"{'':6}" for name in shares)
        print(f"{'% as asked':15}" + "".join(cells).rstrip())


def compare(args: argparse.Namespace) -> int:
    """Compare two folders picture by picture, by SSIM and PSNR."""
    others = sorted(set(args.metrics) - set(PAIRED))
    if others:
        raise UsageError(f"ssim and psnr compare picture by picture, {', '.join(others)} whole sets: run it twice")
    sets = [args.what[0], args.against]
    if args.against is None or any((Path(spec) / "config.json").is_file() for spec in sets):
        raise UsageError("ssim and psnr compare picture by picture: give two folders, in which the names agree")
    for name in ("n", "n_against", "out", "save_stats", "features", "weights", "checkpoint", "img_size", "skip_bad"):
        if getattr(args, name) is not None:
            raise UsageError(f"ssim and psnr compare all pictures whole, at their own size: leave out {flag(name)}")
    pairs = Pairs(Path(sets[0]), Path(sets[1]), split_b=args.split or "train")
    values = compare_pairs(pairs, args.metrics)
    about = {"protocol": PROTOCOL, "pictures": sets[0], "reference": sets[1], "n": len(pairs), "data_range": 255}
    if args.json:
        finite = {name: value if isfinite(value) else None for name, value in values.items()}  # JSON knows no ∞
        print(json.dumps({"values": finite} | about, indent=2))
    else:
        print(f"pictures   {sets[0]}\nreference  {sets[1]}")
        print(f"protocol   {PROTOCOL}")
        print(f"{len(pairs):,} pairs of one name, each whole, at its size\n")
        for name, value in values.items():
            shown = f"{value:9.4f}" if name == "ssim" else f"{value:9.2f} dB"
            print(f"{name.upper():20} {shown}")
    return 0
