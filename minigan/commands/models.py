"""`minigan models`: what can be trained."""

from __future__ import annotations

import argparse
import inspect
import sys

from minigan.cli import Parser
from minigan.commands.options import is_conditional, model_options, takes_points
from minigan.gans import MODELS


def add_arguments(parser: Parser) -> None:
    """There are no options."""


def main(args: argparse.Namespace) -> int:
    """Print each model's paper, the sizes it takes, and whether it learns classes."""
    width = max(map(len, MODELS)) + 2
    for name, model in MODELS.items():
        module = sys.modules[model.__module__]
        paper = (inspect.getdoc(module) or "").partition("\n\n")[0].replace("\n", " ")
        print(f"{name:{width}}{paper.partition(': ')[2]}")
        print(f"{'':{width}}{_draws(model, getattr(module, 'SIZES', None))}{_classes(model)}\n")
    print("options of a model, and their defaults: minigan train MODEL --help")
    return 0


def _draws(model: type, sizes: tuple[int, ...] | None) -> str:
    pictures = (
        f"pictures of {', '.join(map(str, sizes[:-1]))} or {sizes[-1]} pixels" if sizes else "pictures of any size"
    )
    return f"{pictures}, and points on the plane" if takes_points(model) else pictures


def _classes(model: type) -> str:
    if is_conditional(model, {}):
        return "; learns the data's classes"
    return "; with --labels, learns the data's classes" if "labels" in model_options(model) else ""
