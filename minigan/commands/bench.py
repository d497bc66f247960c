"""`minigan bench`: measures speed and memory, also of PyTorch if it is installed."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from minigan.backend import get_device
from minigan.bench.machine import kernels, machine, warning
from minigan.bench.measure import measure
from minigan.bench.plot import draw
from minigan.bench.profile import profile
from minigan.bench.tables import summary, table
from minigan.bench.workloads import GROUPS, WORKLOADS, find
from minigan.commands.cli import Parser, UsageError
from minigan.commands.options import warn
from minigan.training.files import write_text
from minigan.training.pictures import save_image


def add_arguments(parser: Parser) -> None:
    """Add the options."""
    what = f"any of {', '.join(WORKLOADS)}; or {', '.join(GROUPS)}, which is all single ones (default: dcgan-64)"
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", default=["dcgan-64"], help=what)
    sizes = "samples a batch; several: each (default: 64; restore 16, pix2pix 4, cyclegan 1, as in training)"
    parser.add_argument("--batch-size", type=int, nargs="+", metavar="N", default=[], help=sizes)
    turns = "turns of every contender, after one to warm up; with --profile, steps (default: 7)"
    parser.add_argument("--rounds", type=int, metavar="N", default=7, help=turns)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    tf32 = "round the factors of products to 10 bits, on every side; newer NVIDIA GPUs only (default: on no side)"
    parser.add_argument("--tf32", action="store_true", help=tf32)
    parser.add_argument("--json", metavar="FILE", help="also write the figures to FILE (default: don't)")
    plot = "draw how time and memory grow with the batch, and with the pictures, to FILE (default: don't)"
    parser.add_argument("--plot", metavar="FILE", help=plot)
    alone = "minigan alone: the time of a step by kind of layer"
    parser.add_argument("--profile", action="store_true", help=alone)


def main(args: argparse.Namespace) -> int:
    """Measure each workload at each batch size, and print the results."""
    names, sizes = find(args.workloads), list(dict.fromkeys(args.batch_size))
    _check(args, names, sizes)
    device = get_device(args.device)
    device.allow_tf32(args.tf32)
    print(machine(device), flush=True)
    if warning():
        warn(warning())
    if args.profile:
        for name in names:
            for size in sizes or [WORKLOADS[name].batch_size]:
                print(profile(name, size, args.rounds, args.device, args.tf32), flush=True)
        return 0
    results = []
    for name in names:
        for size in sizes or [WORKLOADS[name].batch_size]:
            results.append(measure(name, size, args.rounds, args.device, args.tf32))
            print(table(results[-1]), flush=True)
            figures = {"machine": machine(device), **kernels(), "results": results}
            if args.json:  # after each workload, so that an interrupted run keeps its results
                write_text(args.json, json.dumps(figures, indent=1) + "\n")
    if len(results) > 1:
        print(summary(results))
    if args.plot:
        save_image(draw(results), args.plot)
    return 0


def _check(args: argparse.Namespace, names: list[str], sizes: list[int]) -> None:
    """Raise UsageError for invalid options, before anything is measured."""
    if min(sizes, default=1) < 1 or args.rounds < 1:
        raise UsageError("a benchmark needs batches of at least 1 (--batch-size) and at least 1 round (--rounds)")
    if args.profile and (args.json or args.plot):
        raise UsageError("--profile compares nothing, so there is nothing to write: leave out --json and --plot")
    for path in filter(None, (args.json, args.plot)):
        if not Path(path).absolute().parent.is_dir():
            raise UsageError(f"there is no folder {Path(path).parent} for {Path(path).name}: make it first")
    if args.plot and Path(args.plot).suffix.lower() != ".png":
        raise UsageError(f"--plot draws a PNG, not {Path(args.plot).name}: call it {Path(args.plot).stem}.png")
    families = Counter(name.rpartition("-")[0] for name in names if WORKLOADS[name].size)
    if args.plot and len(sizes) < 2 and max(families.values(), default=0) < 2:
        raise UsageError("--plot draws growth: give several batch sizes, or several picture sizes (dcgan-32 dcgan-64)")
