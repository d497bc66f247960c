"""`minigan score`: how unlike the training pictures are these, and which of them are abnormal?"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from minigan.backend import keep_freed_memory
from minigan.commands import options
from minigan.commands.cli import Parser, UsageError
from minigan.commands.options import place
from minigan.commands.scored import Inputs, abnormal_of, as_csv, open_inputs
from minigan.commands.scored_page import write_page
from minigan.common.user_code import is_own
from minigan.data import SPLITS
from minigan.errors import CheckpointError
from minigan.metrics.detection import (
    auroc,
    average_precision,
    confusion_at,
    false_alarm_range,
    p_values,
    rank_of_threshold,
    threshold_of,
)
from minigan.metrics.normality import NearestNormal, PrincipalComponents
from minigan.model import can
from minigan.training.files import write_text
from minigan.training.normal import Normal, held_out_normal, in_batches, measure_normal, score_batches
from minigan.training.sources import IN_MEMORY
from minigan.training.summary import table

ALPHA = 0.05  # default
SHOWN = 20  # lines of the table
MOST_TRAINING = 10_000  # pictures that the simple scores are made of, at most


def add_arguments(parser: Parser) -> None:
    """Add the options."""
    parser.add_argument("run", type=place, metavar="RUN", help="the folder of a run whose model gives scores: ganomaly")
    what = "pictures, folders of them, or data sets, of which the test part is taken"
    parser.add_argument("inputs", type=place, nargs="+", metavar="IN", help=what)
    rate = f"share of normal pictures that may be called abnormal (default: that of the last call, else {ALPHA})"
    parser.add_argument("--alpha", type=options.fraction, metavar="X", help=rate)
    other = "normal pictures for the threshold, not used in training (default: those that the run held out)"
    parser.add_argument("--normal", type=place, metavar="DATA", help=other)
    good = "classes, or folders, of IN that are normal; the others are abnormal (default: good, normal, ok)"
    parser.add_argument("--good", type=_classes, metavar="A,B", help=good)
    beside = "also score by the nearest training picture and by principal components (default: don't)"
    parser.add_argument("--baselines", action="store_true", help=beside)
    parser.add_argument("--split", choices=SPLITS, help="of data sets (default: test, if there is one)")
    out = "folder for scores.csv, scores.json and scores.html (default: RUN/scored)"
    parser.add_argument("-o", "--out", type=place, metavar="FOLDER", help=out)
    parser.add_argument("--json", action="store_true", help="print JSON (default: a table)")
    options.add_skip_bad(parser)
    options.add_run_options(parser)
    whose = "whose weights give the scores (default: RUN/best.npz, else the newest in RUN/checkpoints)"
    parser.add_argument("--checkpoint", type=place, metavar="FILE", help=whose)


def _classes(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def main(args: argparse.Namespace) -> int:
    """Score all pictures, print the highest scores, and write a table and a page."""
    keep_freed_memory()
    run, config, cls = options.read_run("score", args.run, args.model)
    out = args.out or args.run / "scored"
    options.check_writable(out)
    best = run.best if run.best.is_file() else None
    model, checkpoint = options.open_run(run, config, cls, args.checkpoint or best, args.device)
    if not can(model, "score"):
        raise UsageError(f"{config.model} gives no scores of pictures: give a run of ganomaly")
    shape = next((tuple(shape) for shape in config.shapes.values() if len(shape) == 3), None)
    if shape is None:
        raise UsageError(f"{config.model} scores no pictures: give a run of ganomaly")
    inputs = open_inputs(args.inputs, shape, args.split, bool(args.skip_bad))
    abnormal = abnormal_of(inputs.classes, args.good)
    opened = None
    if args.baselines or args.normal is None:
        opened = _Lazily(lambda: _held_out(args, config, cls))
    step = int(checkpoint.state["step"])
    normal, read, which = _normal(args, run.path / "normal.json", model, shape, step, opened)
    options.print_notes(tuple(inputs.notes), sys.stderr)
    methods = {config.model: _scored(lambda x: score_batches(model, x, len(inputs.names), "scoring"), inputs, normal)}
    if args.baselines:
        methods |= _baselines(opened, inputs, read, which, normal.alpha)
    found = _answer(args, inputs, abnormal, methods, normal, step)
    normal.write(run.path / "normal.json")
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "scores.csv", as_csv(_columns(inputs, methods, normal)))
    write_text(out / "scores.json", json.dumps(found, indent=1) + "\n")
    first = next(iter(methods.values()))
    write_page(out / "scores.html", model, inputs, first["scores"], first["p"], normal, abnormal, found)
    if args.json:
        print(json.dumps(found, indent=1))
    else:
        _print(found, out)
    return 0


class _Lazily:
    """The training and held-out pictures of a run, opened at the first call: a stored threshold needs none."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make, self._made = make, None

    def __call__(self) -> Any:
        """Return (training source, read, numbers, words)."""
        if self._made is None:
            self._made = self._make()
        return self._made


def _held_out(args: argparse.Namespace, config: Any, cls: Any) -> Any:
    if is_own(config.data) or config.data == IN_MEMORY:
        where = "was in memory" if config.data == IN_MEMORY else f"is of a file of your own, {config.data}"
        why = "the simple scores need it" if args.baselines else "give normal pictures with --normal DATA"
        raise UsageError(f"the data of {args.run} {where}: {why}")
    return held_out_normal(config, cls)


def _normal(
    args: argparse.Namespace, path: Path, model: Any, shape: tuple[int, ...], step: int, opened: Any
) -> tuple[Normal, Callable[[np.ndarray], np.ndarray] | None, list[int]]:
    """Return the scores of normal pictures, stored or new, and how to read which of them (None if they are stored)."""
    stored = None
    try:
        stored = Normal.read(path)
    except FileNotFoundError:
        pass
    except CheckpointError as error:
        options.warn(f"{error}")
    alpha = args.alpha if args.alpha is not None else stored.alpha if stored else ALPHA
    if args.normal is not None:
        given = open_inputs([args.normal], shape, args.split, bool(args.skip_bad))
        read, which, source = given.read, list(range(len(given.names))), str(args.normal)
    elif stored and stored.step == step and not args.baselines:
        rank_of_threshold(len(stored.scores), alpha)  # enough of them?
        return replace(stored, alpha=alpha), None, []
    else:
        _, read, which, source = opened()
    rank_of_threshold(len(which), alpha)
    return measure_normal(model, read, which, step, source, alpha), read, which


def _scored(score: Callable[[Any], np.ndarray], inputs: Inputs, normal: Normal) -> dict[str, Any]:
    """Return "scores" (N,), "p" (N,) and "threshold" by the model."""
    scores = score(in_batches(inputs.read, range(len(inputs.names))))
    return {"scores": scores, "p": p_values(scores, normal.scores), "threshold": normal.threshold}


def _baselines(opened: Any, inputs: Inputs, read: Any, which: list[int], alpha: float) -> dict[str, Any]:
    """Return the same of the simple scores, made of the training pictures."""
    training = opened()[0]
    n = min(len(training), MOST_TRAINING)
    some = np.sort(np.random.default_rng(0).permutation(len(training))[:n])
    array = next(name for name, kind in training.kinds.items() if kind.what == "picture")
    pictures = training.read(some)[array]
    found = {}
    for simple in (NearestNormal(pictures), PrincipalComponents(pictures)):
        normal = np.concatenate([simple.score(x) for x in in_batches(read, which)])
        scores = np.concatenate([simple.score(x) for x in in_batches(inputs.read, range(len(inputs.names)))])
        threshold = threshold_of(normal, alpha)
        found[simple.title] = {"scores": scores, "p": p_values(scores, normal), "threshold": threshold}
    return found


def _columns(inputs: Inputs, methods: dict[str, Any], normal: Normal) -> dict[str, Any]:
    """Return the columns of scores.csv, the largest score of the model first."""
    first = next(iter(methods.values()))
    order = np.argsort(-first["scores"], kind="stable")
    columns: dict[str, Any] = {"picture": [inputs.names[i] for i in order], "class": [inputs.classes[i] for i in order]}
    columns |= {"score": first["scores"][order].tolist(), "p": first["p"][order].tolist()}
    columns["abnormal"] = [int(s > normal.threshold) for s in first["scores"][order]]
    for title, one in list(methods.items())[1:]:
        columns[title] = one["scores"][order].tolist()
    return columns


def _answer(
    args: argparse.Namespace, inputs: Inputs, abnormal: Any, methods: dict[str, Any], normal: Normal, step: int
) -> dict[str, Any]:
    """Return all that is known, for scores.json."""
    columns = _columns(inputs, methods, normal)
    n = len(normal.scores)
    found: dict[str, Any] = {
        "run": str(args.run),
        "step": step,
        "alpha": normal.alpha,
        "threshold": normal.threshold,
        "normal": {"source": normal.source, "n": n, "rank": rank_of_threshold(n, normal.alpha)},
        "abnormal": int(sum(columns["abnormal"])),
        "pictures": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)],
    }
    if abnormal is not None:
        kinds = {"abnormal": int(abnormal.sum()), "normal": int((~abnormal).sum())}
        found["labels"] = kinds | {"false_alarms": false_alarm_range(n, normal.alpha, kinds["normal"])}
        found["methods"] = {title: _measured(one, abnormal) for title, one in methods.items()}
    return found


def _measured(one: dict[str, Any], abnormal: np.ndarray) -> dict[str, Any]:
    both = abnormal.any() and not abnormal.all()
    areas = {
        "auroc": auroc(one["scores"], abnormal) if both else None,
        "average_precision": average_precision(one["scores"], abnormal) if both else None,
    }
    return areas | {"threshold": one["threshold"]} | confusion_at(one["threshold"], one["scores"], abnormal)


def _print(found: dict[str, Any], out: Path) -> None:
    """Print the pictures with the largest scores, the threshold, and how well the labels are found."""
    rows = [("score", "p", "", "picture")]
    for one in found["pictures"][:SHOWN]:
        rows.append((f"{one['score']:.4g}", f"{one['p']:.3f}", "abnormal" if one["abnormal"] else "", one["picture"]))
    print(table(rows, ">><<"))
    n, normal = len(found["pictures"]), found["normal"]
    if n > SHOWN:
        print(f"  and {n - SHOWN:,} more")
    print(f"\n{found['abnormal']:,} of {n:,} are abnormal: their score is above {found['threshold']:.4g}")
    print(
        f"threshold  {100 * found['alpha']:g} % of normal pictures may have a larger score; from {normal['n']:,} ",
        end="",
    )
    print(f"pictures, {normal['source']}")
    if "methods" in found:
        _print_methods(found)
    print(f"see scores.html, scores.csv and scores.json in {out}")


def _print_methods(found: dict[str, Any]) -> None:
    kinds = found["labels"]
    rows = [("", "AUROC", "average precision", "found", "missed", "false alarms")]
    for title, one in found["methods"].items():
        areas = [f"{one[name]:.3f}" if one[name] is not None else "–" for name in ("auroc", "average_precision")]
        rows.append((title, *areas, *(f"{one[name]:,}" for name in ("found", "missed", "false_alarms"))))
    low, high = kinds["false_alarms"]
    print(f"\nby their classes {kinds['abnormal']:,} are abnormal and {kinds['normal']:,} normal; ", end="")
    print(f"{low:,} to {high:,} false alarms are expected\n")
    print(table(rows, "<>>>>>") + "\n")
