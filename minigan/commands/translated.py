"""`minigan evaluate RUN` for models that translate: scores of pairs, distances between sets, on held-out pictures."""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from minigan.backend import Device
from minigan.commands.cli import UsageError
from minigan.commands.figures import NAMES, print_judgements
from minigan.commands.options import check_writable
from minigan.commands.subjects import Subject, size_of_run
from minigan.common.terminal import bar
from minigan.common.user_code import is_own, locate_data_errors, own_data
from minigan.common.words import flag
from minigan.data import HeldOut
from minigan.metrics import METRICS, open_features
from minigan.model import Translation
from minigan.training.evaluation import usual_features
from minigan.training.files import write_text
from minigan.training.judges import OwnJudge
from minigan.training.pictures import draw_exhibit, save_image
from minigan.training.settings import RunConfig
from minigan.training.sources import IN_MEMORY
from minigan.training.translation import distinct, source_words
from minigan.training.translation_evaluation import PairAnswer, evaluate_pairs, evaluate_sets, open_judged, picture_name
from minigan.training.translation_tables import colors_of, table_of

SCORES = {
    "psnr": "PSNR, dB",
    "hole_psnr": "PSNR inside holes, dB",
    "ssim": "SSIM",
    "l1": "L1",
    "l2": "L2",
    "cross_entropy": "cross-entropy",
    "miou": "mean IoU",
    "accuracy": "pixel accuracy",
}
OF_SETS = ("fid", "kid", "pr")
SHOWN = 6  # rows of a table


@dataclass
class Judged:
    """The data that is judged."""

    held_out: HeldOut
    training: Any
    source: str


def evaluate_run(args: argparse.Namespace, subject: Subject, config: RunConfig, device: Device) -> int:
    """Evaluate the translations of a run, print the results, and write them into --out."""
    model, out = subject.model, args.out or Path(args.what[0]) / "evaluation"
    _check(args, model)
    check_writable(out)
    judged = open_judged_data(args, subject, config)
    found: dict[str, Any] = {"source": subject.source, "pictures": judged.source, "translations": {}}
    files: dict[str, Image.Image | str] = {}
    for one in model.translations:
        name = f"{one.source}-to-{one.target}"
        evaluated, some = (_pairs if one.paired else _sets)(args, subject, one, judged, device)
        found["translations"][name] = evaluated
        files |= {f"{name}{suffix}": file for suffix, file in some.items()}
    if model.judgements:
        found["judgements"] = OwnJudge(model, judged.held_out, config.seed)(model)
    if args.json:
        print(json.dumps(found, indent=2))
    else:
        _print(found, subject)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "evaluation.json", json.dumps(found, indent=2) + "\n")
    for file, content in files.items():
        if isinstance(content, str):
            write_text(out / file, content)
        else:
            save_image(content, out / file)
    if not args.json:
        print(f"\nsee {', '.join(['evaluation.json', *files])} in {out}")
    return 0


def _check(args: argparse.Namespace, model: Any) -> None:
    """Raise UsageError for options that don't apply to translations."""
    for name in ("n_against", "save_stats"):
        if getattr(args, name) is not None:
            raise UsageError(f"{flag(name)} is about generated samples, and {args.what[0]} translates: leave it out")
    sets = any(not one.paired for one in model.translations)
    for name in ("metrics", "features", "weights"):
        if getattr(args, name) is not None and not sets:
            what = "pairs of pictures are compared pixel by pixel, without features"
            raise UsageError(f"{flag(name)} is for sets, and {what}: leave it out")
    for name in args.metrics or ():
        if name not in OF_SETS:
            raise UsageError(f"translated sets are compared by {', '.join(OF_SETS)}, and not by {name}: leave it out")


def open_judged_data(args: argparse.Namespace, subject: Subject, config: RunConfig) -> Judged:
    """Open the pictures to judge: of --against, or those that the run held out."""
    spec, model = args.against, subject.model
    if spec is None and (is_own(config.data) or config.data == IN_MEMORY):
        what = f"is of a file of your own, {config.data}" if is_own(config.data) else "was in memory"
        name = config.data if is_own(config.data) else "DATA"
        raise UsageError(f"the data of {args.what[0]} {what}: name it, or other pictures, by --against {name}")
    other = spec is not None and spec != config.data
    config = replace(config, skip_bad=config.skip_bad or bool(args.skip_bad))
    with locate_data_errors(spec), size_of_run():
        data = own_data(spec)[0] if spec is not None and is_own(spec) else spec
        training, kept = open_judged(config, subject.cls, data, other, args.split or "")
    held_out = HeldOut(kept, model.arrays, model.device, config.seed, getattr(model, "damage", None))
    part = args.split or ("" if other else "held out")
    described = "; ".join(source.describe() for source in kept.values())
    return Judged(held_out, training, described + f", {part}" * bool(part))


def _pairs(
    args: argparse.Namespace, subject: Subject, translation: Translation, judged: Judged, _: Device
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the scores of a paired translation, and its files: a row for each picture, and a table of some."""
    held_out, model = judged.held_out, subject.model
    n = distinct(held_out, translation.target)
    chosen = sorted(np.random.default_rng(args.seed).permutation(n)[: args.n].tolist())
    answer = evaluate_pairs(model, translation, _items(held_out, chosen), judged.training)
    best = next(iter(answer.rows()), None)
    rows = _extremes(answer.scores.column(best)) if best else range(min(SHOWN, len(chosen)))
    table = table_of(model, translation, [held_out[chosen[i]] for i in rows])
    names = [picture_name(held_out, translation, i) for i in chosen]
    found: dict[str, Any] = {"n": len(chosen), "beside": source_words(model, translation), "scores": answer.rows()}
    if answer.scores.counts:
        colors = colors_of(model, translation.target, len(answer.classes())).tolist()
        palette = next((one.palettes.get(translation.target) for one in held_out.sources.values()), None)
        values = palette.describe() if palette else [str(k) for k in range(len(colors))]
        about = zip(values, colors, answer.classes(), strict=True)
        found["classes"] = [{"value": value, "color": color, "iou": iou} for value, color, iou in about]
    found["shown"] = [names[i] for i in rows]
    return found, {".csv": _csv(names, answer), ".png": draw_exhibit(table)}


def _items(held_out: HeldOut, chosen: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yield items with a progress bar."""
    for i in bar(chosen, desc="translating", unit=" pictures"):
        yield held_out[i]


def _extremes(scores: np.ndarray) -> list[int]:
    """Return the indices of the best two scores, the middle two and the worst two; all of six or fewer, best first."""
    order = np.argsort(-scores, kind="stable")
    if len(order) <= SHOWN:
        return order.tolist()
    middle = len(order) // 2
    return order[[0, 1, middle - 1, middle, -2, -1]].tolist()


def _csv(names: Sequence[str], answer: PairAnswer) -> str:
    """Return a row for each picture as comma-separated values; empty where a score can't be computed."""
    text, columns = io.StringIO(), list(answer.scores.rows[0])
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["picture", *columns])
    for name, row in zip(names, answer.scores.rows, strict=True):
        writer.writerow([name, *(f"{row[key]:.6g}" if np.isfinite(row[key]) else "" for key in columns)])
    return text.getvalue()


def _sets(
    args: argparse.Namespace, subject: Subject, translation: Translation, judged: Judged, device: Device
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the distances of an unpaired translation to its target, and a table of some results."""
    held_out, model, config = judged.held_out, subject.model, subject.config
    parts: list[Any] = [part for source in held_out.sources.values() for part in source.parts.values()]
    usual = config.eval_features if config and config.eval_features else usual_features(*parts)
    network = open_features(args.features or usual, device, args.weights)
    metrics = tuple(name for name in METRICS if name in (args.metrics or ("kid",)))
    rows = evaluate_sets(model, translation, held_out, network, metrics, args.n, args.seed)
    n = distinct(held_out, translation.source)
    some = np.linspace(0, n - 1, min(n, SHOWN)).round().astype(int)
    table = table_of(model, translation, [held_out[int(i)] for i in some])
    found = {"rows": rows, "features": network.name, "network": network.describe, "comparable": network.comparable}
    found["shown"] = [picture_name(held_out, translation, int(i)) for i in some]
    return found, {".png": draw_exhibit(table)}


def _print(found: dict[str, Any], subject: Subject) -> None:
    """Print everything that was found."""
    print(f"translated  {found['source']}\npictures    {found['pictures']}")
    for one in subject.model.translations:
        evaluated = found["translations"][f"{one.source}-to-{one.target}"]
        (_print_pairs if one.paired else _print_sets)(one, evaluated)
    if getattr(subject.model, "scale", 1) > 1:
        print("\nall channels of whole pictures; tables of super-resolution use --protocol sr")
    if "judgements" in found:
        print()
        print_judgements(found["judgements"], subject.model.judgements, found["source"])


def _print_pairs(translation: Translation, found: dict[str, Any]) -> None:
    """Print the scores of a paired translation as a table, and those of its classes."""
    rows, classes = found["scores"], found.get("classes", [])
    constant = "one class" if classes else "mean picture"
    source = found["beside"] + " itself" * (found["beside"] == translation.source)
    columns = {"interval": "95 % interval", "source": source, "constant": constant}
    columns = {key: words for key, words in columns.items() if any(key in row for row in rows.values())}
    print(f"\n{translation.source} to {translation.target}, {found['n']:,} pictures")
    print(f"{'':24}{'result':>9}" + "".join(f"{words:>20}" for words in columns.values()))
    for name, row in rows.items():
        print(f"  {SCORES[name]:22}{row['value']:9.4f}" + "".join(f"{_cell(row.get(key)):>20}" for key in columns))
    if classes:
        print("\n  IoU of each class, with its value and its color in pictures")
    for one in classes:
        iou = "does not occur" if one["iou"] is None else f"{one['iou']:.4f}"
        print(f"    {one['value']:8} {str(tuple(one['color'])):18} {iou}")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value[0]:.4f} to {value[1]:.4f}" if isinstance(value, tuple) else f"{value:.4f}"


def _print_sets(translation: Translation, found: dict[str, Any]) -> None:
    """Print the distances of an unpaired translation, beside two that bound it."""
    a, b = translation.source, translation.target
    titles = {"result": f"{a} translated", "source": f"{a} itself", "halves": f"half of {b}"}
    print(f"\n{a} to {b}, compared with {b} by the features of {found['network']}")
    for row, values in found["rows"].items():
        against = "the other" if row == "halves" else f"{b},"
        print(f"  {titles[row]:20} {values['n']:,} against {against} {values['reference_n']:,}")
        for name, words in NAMES.items():
            if name in values:
                spread = f" ± {values[name + '_std']:.5f}" if name + "_std" in values else ""
                error = f"   standard error {values[name + '_error']:.5f}" if name + "_error" in values else ""
                print(f"    {words:18} {values[name]:9.5f}{spread}{error}")
    if not found["comparable"]:
        print("  not comparable with published numbers")
