"""`minigan data DATA --for MODEL`: data as a model gets it, with pairs, class maps, crops, damage and held-out data."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from PIL import Image

from minigan.backend import to_numpy
from minigan.common.user_code import is_own, locate_data_errors, own_data, own_model
from minigan.data import Palette, Source
from minigan.errors import printable
from minigan.model import Exhibit
from minigan.training import pictures
from minigan.training.build import build_model
from minigan.training.plan import Plan, new_plan
from minigan.training.session import feeds_of
from minigan.training.summary import table
from minigan.training.translation_tables import in_color

ROWS = 8  # samples in a picture
COUNTED = 256  # maps whose pixels are counted
OF_COMMAND = ("spec", "out", "n", "split", "for_model")


def describe(args: argparse.Namespace) -> tuple[list[str], tuple[str, ...], Image.Image | None]:
    """Return lines about the data, notes, and a picture of samples if one is asked for.

    Raises MiniganError as training would, for options that don't fit and data that can't be opened.
    """
    word = args.for_model
    cls = own_model(word)[0] if is_own(word) else None
    data = own_data(args.spec)[0] if is_own(args.spec) else None
    given = {name: value for name, value in vars(args).items() if value is not None and name not in OF_COMMAND}
    with locate_data_errors(args.spec):
        plan = new_plan(given | {"model": word, "data": args.spec}, cls, data)
    lines = []
    for feed, source in plan.sources.items():
        kept = plan.held_out.get(feed)
        lines.append(source.describe() + (f"; {len(kept):,} more are held out" if kept else ""))
        lines += [line for array, palette in source.palettes.items() for line in _classes(source, array, palette)]
    notes = tuple(note for source in plan.sources.values() for note in source.notes)
    return [printable(line) for line in lines], notes, _sheet(plan, args.n or ROWS) if args.out else None


def _classes(source: Source, array: str, palette: Palette) -> list[str]:
    """Return a table of the classes of an array, with the share of their pixels."""
    some = np.unique(np.linspace(0, len(source) - 1, COUNTED).astype(int))
    shares = sum(source.read(some[i : i + 16])[array].mean(axis=(1, 2)).sum(axis=0) for i in range(0, len(some), 16))
    shares = np.append(shares / len(some), 0.0)  # (K + 1,)
    shares[-1] = 1 - shares.sum()
    rows = [("class", "value", "share of pixels")]
    names = enumerate(palette.describe())
    rows += [(str(k), name, f"{share:.2%}") for (k, name), share in zip(names, shares, strict=False)]
    rows += [("unknown", "", f"{shares[-1]:.2%}")] if shares[-1] > 1e-6 else []
    return [f"classes of {array}:", *table(rows, "<<>").split("\n")]


def _sheet(plan: Plan, n: int) -> Image.Image:
    """Draw the first n samples of training, a row for each: its pictures and maps, with crops, changes and damage."""
    model: Any = build_model(plan.config, plan.cls)
    with feeds_of(plan.config, plan.sources, model) as feeds:
        batch = {name: to_numpy(x) for name, x in feeds.next(n).items()}
    drawn = {name: x for name, x in batch.items() if x.ndim == 4}
    size = next(iter(drawn.values())).shape[1:3]
    names = [name for name, x in drawn.items() if x.shape[1:3] == size]
    columns = []
    for name in names:
        x = drawn[name].astype(np.float32)
        columns.append(in_color(model, name, 2 * x - 1 if drawn[name].dtype == np.uint8 else x))
    samples = np.stack(columns, axis=1).reshape(-1, *size, 3)  # (n, columns, H, W, 3) -> rows of columns
    return pictures.draw_exhibit(Exhibit(samples, len(names), captions=tuple(names)))
