"""`minigan selftest`: checks and measures minigan on a new GPU, in eight minutes, without network access."""

from __future__ import annotations

import argparse
from pathlib import Path

from minigan.bench.machine import machine
from minigan.commands.cli import Parser, UsageError
from minigan.commands.options import positive
from minigan.common.words import nearest
from minigan.selftest.part import device_called
from minigan.selftest.report import PARTS, run_all


def add_arguments(parser: Parser) -> None:
    """Add the options."""
    what = "; ".join(f"{name}: {about}" for name, (_, about) in PARTS.items())
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{what} (default: all, in this order)")
    where = "cuda, cuda:N or cpu; or strict, a stand-in for a GPU, to rehearse (default: cuda)"
    parser.add_argument("--device", default="cuda", help=where)
    parser.add_argument("--minutes", type=positive, default=8.0, metavar="N", help="stop after so long (default: 8)")
    files = "for selftest.txt and dcgan.png (default: selftest)"
    parser.add_argument("--out", type=Path, default=Path("selftest"), metavar="DIR", help=files)


def main(args: argparse.Namespace) -> int:
    """Run the parts. Returns 1 if one of them failed."""
    for name in args.parts:
        if name not in PARTS:
            raise UsageError(f"there is no part {name!r}: {nearest(name, PARTS)}")
    device = device_called(args.device)
    args.out.mkdir(parents=True, exist_ok=True)
    names = [name for name in PARTS if name in (args.parts or PARTS)]
    return 1 if run_all(args.device, 60 * args.minutes, args.out, names, machine(device)) else 0
