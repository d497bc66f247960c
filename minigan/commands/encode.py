"""`minigan encode`: writes the codes that the encoder of a run gives to pictures."""

from __future__ import annotations

import argparse

import numpy as np

from minigan.commands import options
from minigan.commands.cli import Parser
from minigan.commands.encoded import add_pictures, encode, open_encoder
from minigan.training.files import replacing, write_text


def add_arguments(parser: Parser) -> None:
    """Add the options."""
    add_pictures(parser, "codes")
    options.add_run_options(parser, "encode")


def main(args: argparse.Namespace) -> int:
    """Write a file for each picture, which `minigan sample --seed` takes, and a table of all codes."""
    out = args.out or args.run / "codes"
    opened = open_encoder("encode", args, out)
    z = encode(opened.model, opened.pictures)  # (n, D)
    out.mkdir(parents=True, exist_ok=True)
    for name, code in zip(opened.names, z, strict=True):
        with replacing(out / f"{name}.npz") as file:
            np.savez(file, z=code)
    head = ",".join(["picture", *(f"z{i}" for i in range(z.shape[1]))])
    rows = [",".join([f'"{name}"', *(f"{x:.6g}" for x in code)]) for name, code in zip(opened.names, z, strict=True)]
    write_text(out / "codes.csv", "\n".join([head, *rows]) + "\n")
    print(f"{len(z):,} codes of {z.shape[1]} numbers are in {out}")
    return 0
