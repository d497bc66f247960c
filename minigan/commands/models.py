"""`minigan models`: lists the models, their inputs and outputs, and when to use them."""

from __future__ import annotations

import argparse
import inspect
import textwrap

from minigan.commands.cli import Parser, UsageError
from minigan.common.user_code import is_own, own_model
from minigan.common.words import nearest
from minigan.model import Kind, Model, can
from minigan.models import MODELS

WIDTH = 110
KINDS = {"samples": "pictures or points", "picture": "pictures", "label": "labels", "mask": "masks"}
# Methods of a model, and the commands that use them
VERBS = {"generate": "sample", "apply": "apply", "encode": "encode", "reconstruct": "reconstruct", "score": "score"}


def add_arguments(parser: Parser) -> None:
    """Add the options."""
    what = f"any of {', '.join(MODELS)}, or your own as my_gan.py:MyGAN (default: all built-in ones)"
    parser.add_argument("names", nargs="*", metavar="MODEL", help=what)


def main(args: argparse.Namespace) -> int:
    """Print when to use each model; of those named, also the paper, the inputs and the outputs."""
    for name in args.names:
        if name not in MODELS and not is_own(name):
            raise UsageError(f"there is no model called {name!r}: {nearest(name, MODELS)}")
    models = {name: own_model(name)[0] if is_own(name) else MODELS[name] for name in args.names}
    if models:
        print("\n\n".join(described(name, cls) for name, cls in models.items()))
    else:
        print(f"Which model suits:\n\n{overview()}\n\nmore of one, its paper, data and sizes: minigan models MODEL")
    print(f"{chr(10) * bool(models)}options of a model, and their defaults: minigan train MODEL --help")
    return 0


def overview() -> str:
    """Return a line for each built-in model: its name, and when it suits; grouped by what they need."""
    groups: dict[str, list[str]] = {}
    for name, cls in MODELS.items():
        groups.setdefault(_needs(cls.arrays), []).append(_line(name, cls.suits))
    return "\n\n".join("\n".join([f"needs {needs}:", *lines]) for needs, lines in groups.items())


def described(name: str, cls: type[Model]) -> str:
    """Return the description of one model."""
    verbs = [f"minigan {command}" for verb, command in VERBS.items() if can(cls, verb)]
    lines = {
        "paper": cls.paper,
        "needs": _needs(cls.arrays),
        "makes": cls.makes,
        "suits": cls.suits,
        "used by": ", ".join(["minigan train", *verbs]),
    }
    if not (cls.paper or cls.makes or cls.suits):  # a user's own model is described by its docstring
        lines["about"] = (inspect.cleandoc(vars(cls).get("__doc__") or "")).partition("\n\n")[0].replace("\n", " ")
    return "\n".join([name, *(_line(title, text) for title, text in lines.items() if text)])


def _line(title: str, text: str) -> str:
    return textwrap.fill(f"{title:9} {text}", WIDTH, initial_indent="  ", subsequent_indent=" " * 12)


def _needs(arrays: dict[str, Kind]) -> str:
    """List the arrays of a batch, grouped by feed."""
    feeds: dict[str, list[str]] = {}
    for name, kind in arrays.items():
        feeds.setdefault(kind.feed, []).append(f"{name} ({KINDS.get(kind.what, kind.what)})")
    return "; apart from them ".join(" with ".join(names) for names in feeds.values())
