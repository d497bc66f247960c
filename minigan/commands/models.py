"""`minigan models`: what can be trained."""

from __future__ import annotations

import argparse
import inspect
import sys

from minigan.cli import Parser
from minigan.commands.options import model_options, takes_points
from minigan.gans import MODELS


def add_arguments(parser: Parser) -> None:
    """There are no options."""


def main(args: argparse.Namespace) -> int:
    """Print each model's paper, the sizes it takes, and its defaults."""
    for name, model in MODELS.items():
        module = sys.modules[model.__module__]
        paper = (inspect.getdoc(module) or "").partition("\n\n")[0].replace("\n", " ")
        options = model_options(model).values()
        defaults = "  ".join(f"{o.flag} {o.shown if o.default is not None else f'({o.shown})'}" for o in options)
        print(f"{name:8} {paper}")
        print(f"{'':8} draws {_takes(model, getattr(module, 'SIZES', None))}")
        print(f"{'':8} --batch-size {model.batch_size}  {defaults}\n")
    return 0


def _takes(model: type, sizes: tuple[int, ...] | None) -> str:
    pictures = f"pictures of {', '.join(map(str, sizes))} pixels" if sizes else "pictures of any size"
    return f"{pictures}, and points on the plane" if takes_points(model) else pictures
