"""`minigan evaluate`: measures the quality of the samples of a run, or of the pictures in a folder."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from minigan import metrics
from minigan.apply.ready import is_ready
from minigan.backend import Device, get_device, keep_freed_memory
from minigan.commands import enlarged, options
from minigan.commands.cli import Parser, UsageError
from minigan.commands.figures import PAIRED, compare, print_answer, print_judgements
from minigan.commands.options import count, place
from minigan.commands.subjects import SAMPLES, Subject, is_statistics, open_reference, open_subject, size_of_run
from minigan.commands.translated import evaluate_run
from minigan.common.terminal import bar
from minigan.common.user_code import is_own, locate_data_errors, own_data
from minigan.common.words import flag, nearest
from minigan.data import SPLITS, Dataset, HeldOut
from minigan.options import NotNegative
from minigan.training.evaluation import Pictures, usual_features
from minigan.training.evidence import Evidence
from minigan.training.files import replacing, write_text
from minigan.training.judges import OwnJudge
from minigan.training.pictures import save_image
from minigan.training.settings import RunConfig
from minigan.training.sources import open_sources

PR = {"precision": "pr", "recall": "pr"}  # aliases for the metric with both


def add_arguments(parser: Parser) -> None:
    """Add the options."""
    parser.usage = "minigan evaluate RUN [options]\n       minigan evaluate PICTURES [REFERENCE] [options]"
    what = "the folder of a run; or a folder of pictures or a data set, and if need be a reference"
    parser.add_argument("what", nargs="+", metavar="WHAT", help=what)

    measured = parser.add_argument_group("what is measured")
    known = f"any of {','.join(metrics.METRICS)}, or of ssim,psnr for two folders picture by picture"
    usual = "fid,is with a reference, else is; with photos kid,pr; with digits also classes; of translated sets kid"
    measured.add_argument("--metrics", type=options.names, metavar="A,B", help=f"{known} (default: {usual})")
    n = f"samples of a run (default: {SAMPLES}), or of the pictures, also of those to translate (default: all)"
    measured.add_argument("--n", type=count, metavar="N", help=n)
    options.add_seed(measured, "seed of latents and of what is drawn from data")
    what = "of its samples, as in minigan sample: of a run with styles, or of biggan (default: none)"
    measured.add_argument("--truncation", type=options.number, metavar="X", help=what)

    real = parser.add_argument_group("reference")
    usual = "the data of the run; to be translated, what it held out"
    against = f"pictures as --data of train takes them, or a .npz file of statistics (default: {usual})"
    real.add_argument("--against", metavar="DATA", help=against)
    real.add_argument("--split", choices=SPLITS, help="of the reference (default: train; held out, to be translated)")
    some = "use only N of its pictures, drawn by the seed (default: all)"
    real.add_argument("--n-against", type=count, metavar="N", help=some)
    keep = "keep the statistics of the reference, or if there is none of the pictures, in a .npz file (default: don't)"
    real.add_argument("--save-stats", type=place, metavar="FILE", help=keep)

    how = parser.add_argument_group("how it is measured")
    protocol = "sr: as in tables of super-resolution, luminance without a border, beside bicubic enlargement"
    how.add_argument("--protocol", choices=("sr",), help=f"{protocol} (default: all channels of whole pictures)")
    how.add_argument("--scale", type=count, metavar="N", help="of two folders with --protocol sr: how much larger")
    blend = "of a run with two stages and --protocol sr: from 0, smooth, to 1, textured (default: 1)"
    how.add_argument("--strength", type=options.typed(float, NotNegative()), metavar="X", help=blend)
    features = (
        "whose features (default: digits for digits and mnist, else inception if its weights are here, else photos)"
    )
    how.add_argument("--features", choices=metrics.FEATURE_NETWORKS, help=features)
    weights = "its weights (default: photos and digits come with the package; of inception, known folders are searched)"
    how.add_argument("--weights", type=place, metavar="FILE", help=weights)
    sides = "bring pictures of folders to N pixels, or HEIGHTxWIDTH (default: as the first one, of a run as its own)"
    how.add_argument("--img-size", type=options.size, metavar="N", help=sides)
    options.add_run_options(how, "draw")
    options.add_skip_bad(how)

    output = parser.add_argument_group("output")
    out = "folder for evaluation.json, pictures and tables (default: RUN/evaluation; none for pictures)"
    output.add_argument("--out", type=place, metavar="FOLDER", help=out)
    output.add_argument("--json", action="store_true", help="print JSON (default: a table)")


def main(args: argparse.Namespace) -> int:
    """Evaluate, and print the results."""
    keep_freed_memory()
    if args.metrics is not None:
        args.metrics = tuple(dict.fromkeys(PR.get(name, name) for name in args.metrics))
    _check(args)
    is_run = (Path(args.what[0]) / "config.json").is_file()
    if args.protocol and not is_run:
        return enlarged.evaluate_ready(args) if is_ready(Path(args.what[0])) else enlarged.compare(args)
    if is_ready(Path(args.what[0])):
        raise UsageError(f"{args.what[0]} is the network that ships: add --protocol sr, and a folder of originals")
    if set(args.metrics or ()) & set(PAIRED) and not args.protocol:
        return compare(args)
    device = get_device(args.device)
    subject = open_subject(args, device)
    if args.protocol:
        return enlarged.evaluate_run(args, subject)
    if subject.config and subject.model.translations:
        return evaluate_run(args, subject, subject.config, device)
    out = args.out or (Path(args.what[0]) / "evaluation" if subject.config else None)
    for folder in (out, args.save_stats and args.save_stats.parent):
        if folder is not None:
            options.check_writable(folder)
    judged = _judge(args, subject, subject.config) if subject.config and not args.metrics else {}
    answer: metrics.Evaluation | None = None
    drawn: dict[str, Image.Image] = {}
    if subject.pictures is not None:
        answer, statistics, drawn = _measure(args, subject, subject.pictures, out is not None, device)
    found = (answer.as_dict() if answer else {"source": subject.source}) | ({"judgements": judged} if judged else {})
    if args.json:
        print(json.dumps(found, indent=2))
    else:
        if answer:
            print_answer(answer)
        if judged:
            print("\n" if answer else "", end="")
            print_judgements(judged, subject.model.judgements, subject.source)
    if answer and args.save_stats:
        args.save_stats.parent.mkdir(parents=True, exist_ok=True)
        with replacing(args.save_stats) as file:
            metrics.write_statistics(file, statistics)
    if out is not None:
        _write(out, found, drawn, args.json)
    return 0


def _measure(
    args: argparse.Namespace, subject: Subject, pictures: Pictures, draws: bool, device: Device
) -> tuple[metrics.Evaluation, metrics.Statistics, dict[str, Image.Image]]:
    """Evaluate pictures, against a reference if there is one; return the results, statistics to save, and images."""
    real = open_reference(args, subject, device)
    if args.features:
        features = args.features
    elif isinstance(real, Path):
        features = metrics.network_of(real)
    else:
        features = usual_features(pictures.dataset, real.dataset if real else None)
    network = metrics.open_features(features, device, args.weights)
    usual = tuple(name for name in network.usual if real is not None or name not in metrics.NEEDS_REFERENCE)
    wanted = args.metrics or usual + (("classes",) if network.knows_none else ())
    if not wanted:
        raise UsageError(f"the features of {features} only compare pictures with others: give these with --against")
    metrics.check_metrics(wanted, pictures.n, network, real is not None)
    if network.own_size and isinstance(real, Pictures):
        _check_sizes(pictures.dataset, real.dataset)

    evidence = Evidence(network, pictures, real) if draws else None
    reference = _reference_statistics(real, network, wanted, evidence)
    batches = _bar(pictures, "pictures", _numbers(subject.config, network))
    answer, own = metrics.evaluate(batches, pictures.n, pictures.source, network, reference, wanted, args.seed)
    return answer, reference or own, evidence.draw(answer.values) if evidence else {}


def _check_sizes(subject: Dataset | None, reference: Dataset | None) -> None:
    """Raise UsageError for two data sets of pictures of different sizes."""
    if subject is not None and reference is not None and subject.shape[:2] != reference.shape[:2]:
        sizes = " and ".join("{}x{}".format(*data.shape[:2]) for data in (subject, reference))
        raise UsageError(f"these features depend on the size of pictures, and the sets have {sizes}: give --img-size")


def _judge(args: argparse.Namespace, subject: Subject, config: RunConfig) -> dict[str, float]:
    """Return a model's own judgements on the held-out data of its run, or on that of the data set in --against."""
    model, spec = subject.model, args.against
    if not model.judgements:
        return {}
    own = spec is not None and is_own(spec)
    if is_own(config.data) and not own:
        raise UsageError(f"the data is of a file of your own, {config.data}: name it, --against {config.data}")
    with locate_data_errors(spec), size_of_run():
        config = config if spec is None else replace(config, data=spec, held_out="")
        _, kept = open_sources(config, subject.cls, own_data(spec)[0] if own else None)
    held_out = HeldOut(kept, model.arrays, model.device, config.seed, getattr(model, "damage", None)) if kept else ()
    return OwnJudge(model, held_out, config.seed)(model)


def _check(args: argparse.Namespace) -> None:
    """Raise UsageError for invalid arguments. A second positional argument is moved to `against`."""
    if len(args.what) > 2 or (len(args.what) == 2 and args.against is not None):
        raise UsageError("give one set to measure, and one reference: as a second word or with --against")
    if is_statistics(args.what[0]):
        raise UsageError(f"{args.what[0]} holds statistics: they can be a reference, not what is measured")
    if len(args.what) == 2:
        args.against = args.what.pop()
    if args.against and (Path(args.against) / "config.json").is_file():
        what = "is a run, and no reference: draw pictures with minigan sample --separate first"
        raise UsageError(f"{args.against} {what}")
    if args.save_stats and (args.save_stats.suffix != ".npz" or args.save_stats.is_dir()):
        raise UsageError(f"statistics are kept in a .npz file: call it {args.save_stats.with_suffix('.npz')}")
    for name in ("scale", "strength"):
        if getattr(args, name) is not None and not args.protocol:
            raise UsageError(f"{flag(name)} is for --protocol sr: add that, or leave it out")
    for name in args.metrics or ():
        if name not in metrics.METRICS + PAIRED:
            raise UsageError(f"there is no metric {name!r}: {nearest(name, metrics.METRICS + PAIRED)}")


def _reference_statistics(
    real: Pictures | Path | None, network: metrics.FeatureNetwork, wanted: tuple[str, ...], evidence: Evidence | None
) -> metrics.Statistics | None:
    """Return the statistics of the reference, or None without a reference."""
    if not isinstance(real, Pictures):
        return None if real is None else metrics.read_statistics(real, network)
    keep = any(name in wanted for name in metrics.NEEDS_FEATURES)
    return metrics.observe(_bar(real, "reference"), network, real.source, keep, [evidence.watch] if evidence else [])


def _numbers(config: RunConfig | None, network: metrics.FeatureNetwork) -> np.ndarray | None:
    """Return the network's index of each class of a run: (n_classes,); None if the network lacks one of them."""
    if config is None or not config.classes or not set(config.classes) <= set(network.classes):
        return None
    if len(config.classes) != config.model_args.get("n_classes"):  # a larger --n-classes: classes without names
        return None
    return np.array([network.classes.index(name) for name in config.classes])


def _bar(pictures: Pictures, what: str, numbers: np.ndarray | None = None) -> Iterator[tuple[Any, Any]]:
    """Yield the batches with a progress bar, and with labels converted by `numbers`, or None without `numbers`."""
    with bar(total=pictures.n, desc=what, unit=" pictures") as shown:
        for batch, labels in pictures:
            yield batch, None if numbers is None or labels is None else numbers[labels]
            shown.update(len(batch))


def _write(folder: Path, found: dict[str, Any], drawn: dict[str, Image.Image], quiet: bool) -> None:
    """Write the results and the images."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in {"neighbors.png", "classes.png"} - drawn.keys():
        (folder / name).unlink(missing_ok=True)  # from an earlier evaluation
    write_text(folder / "evaluation.json", json.dumps(found, indent=2) + "\n")
    for name, image in drawn.items():
        save_image(image, folder / name)
    if not quiet:
        print(f"\nsee {', '.join(['evaluation.json', *drawn])} in {folder}")
