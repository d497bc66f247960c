"""`minigan evaluate`: how good are the pictures of a run, or of a folder."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
import zipfile
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from minigan.backend import Device, get_device, keep_freed_memory
from minigan.cli import Parser, UsageError, nearest
from minigan.commands.options import (
    add_skip_bad,
    check_writable,
    count,
    flag,
    open_checkpoint,
    place,
    print_notes,
    read_config,
    whole_number,
)
from minigan.data import SPLITS, Dataset, FolderDataset, Pairs, PointDataset, natural_size, open_dataset
from minigan.errors import MiniganError
from minigan.metrics import (
    FEATURE_NETWORKS,
    METRICS,
    NEEDS_FEATURES,
    NEEDS_REFERENCE,
    Evaluation,
    FeatureNetwork,
    Statistics,
    check_metrics,
    evaluate,
    network_of,
    observe,
    open_features,
    read_statistics,
    write_statistics,
)
from minigan.terminal import bar
from minigan.training.evaluation import (
    Pictures,
    compare_pairs,
    generated_pictures,
    real_pictures,
    usual_features,
)
from minigan.training.evidence import Evidence
from minigan.training.files import replacing, write_text
from minigan.training.pictures import save_image
from minigan.training.run import EVALUATED_LATENTS, RunConfig, RunFolder

PAIRED = ("ssim", "psnr")
NAMES = {
    "fid": "FID",
    "is": "Inception Score",
    "kid": "KID",
    "precision": "precision",
    "recall": "recall",
    "ssim": "SSIM",
    "psnr": "PSNR",
}
SAMPLES = 10_000  # of a run


def add_arguments(parser: Parser) -> None:
    """Add the options."""
    parser.usage = "minigan evaluate RUN [options]\n       minigan evaluate PICTURES [REFERENCE] [options]"
    what = "the folder of a run; or a folder of pictures or a data set, and if need be a reference"
    parser.add_argument("what", nargs="+", metavar="WHAT", help=what)

    measured = parser.add_argument_group("what is measured")
    known = f"any of {','.join(METRICS)}, or of ssim,psnr for two folders picture by picture"
    usual = "fid,is with a reference, else is; with digits also classes"
    measured.add_argument("--metrics", type=_names, metavar="A,B", help=f"{known} (default: {usual})")
    n = f"samples of a run (default: {SAMPLES}), or of the pictures (default: all)"
    measured.add_argument("--n", type=count, metavar="N", help=n)
    seed = "seed of latents and of what is drawn from data (default: 0)"
    measured.add_argument("--seed", type=whole_number, default=0, metavar="N", help=seed)
    whose = "whose weights draw, such as RUN/best.npz (default: the newest in RUN/checkpoints)"
    measured.add_argument("--checkpoint", type=place, metavar="FILE", help=whose)

    real = parser.add_argument_group("reference")
    against = "pictures as --data of train takes them, or a .npz file of statistics (default: the data of the run)"
    real.add_argument("--against", metavar="DATA", help=against)
    real.add_argument("--split", choices=SPLITS, help="of the reference (default: train)")
    some = "use only N of its pictures, drawn by the seed (default: all)"
    real.add_argument("--n-against", type=count, metavar="N", help=some)
    keep = "keep the statistics of the reference, or if there is none of the pictures, in a .npz file (default: don't)"
    real.add_argument("--save-stats", type=place, metavar="FILE", help=keep)

    how = parser.add_argument_group("how it is measured")
    features = "whose features (default: digits for digits and mnist, else inception)"
    how.add_argument("--features", choices=FEATURE_NETWORKS, help=features)
    weights = "its weights (default: those of digits come with the package; for inception, known folders are searched)"
    how.add_argument("--weights", type=place, metavar="FILE", help=weights)
    size = "bring the pictures of folders to squares of N pixels first (default: as the first one, of a run as its own)"
    how.add_argument("--img-size", type=count, metavar="N", help=size)
    how.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    add_skip_bad(how)

    output = parser.add_argument_group("output")
    out = "folder for evaluation.json, neighbours.png and classes.png (default: RUN/evaluation; none for pictures)"
    output.add_argument("--out", type=place, metavar="FOLDER", help=out)
    output.add_argument("--json", action="store_true", help="print JSON (default: a table)")


def main(args: argparse.Namespace) -> int:
    """Measure, and print."""
    keep_freed_memory()
    _check(args)
    if set(args.metrics or ()) & set(PAIRED):
        return _pairs(args)
    device = get_device(args.device)
    pictures, config = _open_pictures(args, device)
    out = args.out or (Path(args.what[0]) / "evaluation" if config else None)
    for folder in (out, args.save_stats and args.save_stats.parent):
        if folder is not None:
            check_writable(folder)
    real = _open_reference(args, pictures, config, device)
    network = open_features(args.features or _usual_features(pictures, real), device, args.weights)
    metrics = args.metrics or _usual(network, real)
    check_metrics(metrics, pictures.n, network, real is not None)

    evidence = Evidence(network, pictures, real) if out else None
    reference = _look_at(real, network, metrics, evidence)
    asked = _numbers(config, network)
    batches = _bar(pictures, "pictures", asked)
    answer, own = evaluate(batches, pictures.n, pictures.source, network, reference, metrics, args.seed)
    _print(answer, args.json)
    if args.save_stats:
        args.save_stats.parent.mkdir(parents=True, exist_ok=True)
        with replacing(args.save_stats) as file:
            write_statistics(file, reference or own)
    if evidence:
        _write(out, answer, evidence.draw(answer.values), args.json)
    return 0


def _check(args: argparse.Namespace) -> None:
    if len(args.what) > 2 or (len(args.what) == 2 and args.against is not None):
        raise UsageError("give one set to measure, and one reference: as a second word or with --against")
    if _is_statistics(args.what[0]):
        raise UsageError(f"{args.what[0]} holds statistics: they can be a reference, not what is measured")
    for spec in args.what[1:] if args.against is None else [args.against]:
        if (Path(spec) / "config.json").is_file():
            raise UsageError(f"{spec} is a run, and no reference: draw pictures with minigan sample --separate first")
    if args.save_stats and (args.save_stats.suffix != ".npz" or args.save_stats.is_dir()):
        raise UsageError(f"statistics are kept in a .npz file: call it {args.save_stats.with_suffix('.npz')}")
    if args.checkpoint and not args.checkpoint.is_file():
        raise UsageError(f"there is no file {args.checkpoint}: give a checkpoint to --checkpoint, such as RUN/best.npz")
    for name in args.metrics or ():
        if name not in METRICS + PAIRED:
            raise UsageError(f"there is no metric {name!r}: {nearest(name, METRICS + PAIRED)}")


def _look_at(
    real: Pictures | Path | None, network: FeatureNetwork, metrics: tuple[str, ...], evidence: Evidence | None
) -> Statistics | None:
    """The statistics of the reference."""
    if not isinstance(real, Pictures):
        return None if real is None else read_statistics(real, network)
    keep = any(name in metrics for name in NEEDS_FEATURES)
    return observe(_bar(real, "reference"), network, real.source, keep, [evidence.watch] if evidence else [])


def _open_pictures(args: argparse.Namespace, device: Device) -> tuple[Pictures, RunConfig | None]:
    """Open what is to be measured: a run, if its folder holds one, or else a folder or a data set."""
    what = args.what[0]
    if not (Path(what) / "config.json").is_file():
        runs = sorted(path.parent for path in Path(what).glob("*/config.json"))
        if runs:
            raise UsageError(f"{what} holds runs, and pictures about them: give one of them, such as {runs[0]}")
        if args.checkpoint:
            raise UsageError(f"--checkpoint is for a run, and {what} is none: leave it out")
        data = _open_data(what, args.img_size, skip_bad=args.skip_bad)
        return real_pictures(data, args.n, args.seed, device), None
    if args.img_size:
        raise UsageError("--img-size is for folders of pictures, and a run has its own size: leave it out")
    run = RunFolder(what)
    config = read_config(run)
    if len(config.shape) != 3:
        raise UsageError(f"{what} draws points: minigan sample {what} counts the modes that it has found")
    checkpoint = open_checkpoint(run, config.model, args.checkpoint)
    gan = config.build_gan(device)
    checkpoint.restore(gan)
    n = args.n or SAMPLES
    source = f"{n:,} of {what} at step {checkpoint.state['step']:,}, drawn with seed {args.seed}"
    return generated_pictures(gan, n, [args.seed, EVALUATED_LATENTS], source), config


def _open_reference(
    args: argparse.Namespace, pictures: Pictures, config: RunConfig | None, device: Device
) -> Pictures | Path | None:
    """Open what to compare with: a file of statistics, pictures, or nothing. A run's own data if nothing is given."""
    spec = args.what[1] if len(args.what) > 1 else args.against
    if spec is None and config is None:
        if args.split or args.n_against:
            raise UsageError("--split and --n-against are of a reference: give one with --against")
        return None
    if spec is not None and _is_statistics(spec):
        if args.split or args.n_against or args.save_stats:
            raise UsageError(f"{spec} holds statistics as they are: leave out --split, --n-against and --save-stats")
        return Path(spec)
    split = args.split or "train"
    if spec is None and split == "train":
        try:
            data = config.open_data()
        except MiniganError:
            if args.metrics is None or set(args.metrics) & set(NEEDS_REFERENCE):
                raise
            return None
    elif config is not None:  # at the size that the generator draws
        data = _open_data(spec or config.data, config.shape[0], config.shape[2], split, args.skip_bad)
    else:
        data = _open_data(spec, args.img_size, None, split, args.skip_bad)
    shown = split if args.split or not isinstance(data, FolderDataset) else ""  # a folder need not have splits
    return real_pictures(data, args.n_against, args.seed + 1, device, shown)  # other pictures than those measured


def _open_data(
    spec: str, img_size: int | None, channels: int | None = None, split: str = "train", skip_bad: bool | None = False
) -> Dataset:
    """Open pictures, those in a folder as large as its first one if nothing else is said."""
    if img_size is None and Path(spec).exists():
        img_size = natural_size(Path(spec))
    data = open_dataset(spec, img_size, channels, split=split, skip_bad=bool(skip_bad))
    if isinstance(data, PointDataset):
        raise UsageError(f"{spec} is a set of points: give pictures")
    print_notes(data, sys.stderr)  # what is on stdout may be JSON
    return data


def _is_statistics(path: str) -> bool:
    """Whether a path is that of statistics, and not of pictures: what can't be opened is taken for the former."""
    if not path.lower().endswith(".npz") or Path(path).is_dir():
        return False
    if not Path(path).is_file():  # reading a pipe or a device may never end
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # a damaged archive may fail in any step, with any exception
        return True
    return not names or "mu.npy" in names or "sigma.npy" in names


def _usual_features(pictures: Pictures, real: Pictures | Path | None) -> str:
    """The feature network if none is named: that of the statistics, or what suits the pictures."""
    if isinstance(real, Path):
        return network_of(real)
    return usual_features(pictures.dataset, real and real.dataset)


def _usual(network: FeatureNetwork, real: Pictures | Path | None) -> tuple[str, ...]:
    """The metrics if none are named."""
    return (("fid",) if real is not None else ()) + ("is",) + (("classes",) if network.knows_none else ())


def _numbers(config: RunConfig | None, network: FeatureNetwork) -> np.ndarray | None:
    """The network's number of each class of a run: (n_classes,); None if there is one that it doesn't know."""
    if config is None or not config.classes or not set(config.classes) <= set(network.classes):
        return None
    if len(config.classes) != config.model_args.get("n_classes"):  # some were asked for that have no name
        return None
    return np.array([network.classes.index(name) for name in config.classes])


def _bar(pictures: Pictures, what: str, numbers: np.ndarray | None = None) -> Iterator[tuple[Any, Any]]:
    """The batches, with a progress bar where there is a terminal, and `numbers` in the place of labels, or None."""
    with bar(total=pictures.n, desc=what, unit=" pictures") as shown:
        for batch, labels in pictures:
            yield batch, None if numbers is None or labels is None else numbers[labels]
            shown.update(len(batch))


def _pairs(args: argparse.Namespace) -> int:
    """Compare two sets picture by picture."""
    others = sorted(set(args.metrics) - set(PAIRED))
    if others:
        raise UsageError(f"ssim and psnr compare picture by picture, {', '.join(others)} whole sets: run it twice")
    sets = [*args.what, *([args.against] if args.against else [])]
    if len(sets) != 2 or any((Path(spec) / "config.json").is_file() for spec in sets):
        raise UsageError("ssim and psnr compare picture by picture: give two folders, in which the names agree")
    for name in ("n", "n_against", "out", "save_stats", "features", "weights", "checkpoint", "img_size", "skip_bad"):
        if getattr(args, name) is not None:
            raise UsageError(f"ssim and psnr compare all pictures whole, at their own size: leave out {flag(name)}")
    pairs = Pairs(Path(sets[0]), Path(sets[1]), split_b=args.split or "train")
    values = compare_pairs(pairs, args.metrics)
    about = {"pictures": sets[0], "reference": sets[1], "n": len(pairs), "data_range": 255}
    if args.json:
        finite = {name: value if isfinite(value) else None for name, value in values.items()}  # JSON knows no ∞
        print(json.dumps({"values": finite} | about, indent=2))
    else:
        print(
            f"pictures   {sets[0]}\nreference  {sets[1]}\n{len(pairs):,} pairs of one name, each whole, at its size\n"
        )
        for name, value in values.items():
            print(f"{NAMES[name]:20} {value:9.4f}" if name == "ssim" else f"{NAMES[name]:20} {value:9.2f} dB")
    return 0


def _print(answer: Evaluation, as_json: bool) -> None:
    if as_json:
        print(json.dumps(answer.as_dict(), indent=2))
        return
    print(f"pictures   {answer.source}")
    if answer.reference:
        print(f"reference  {answer.reference}")
    print(f"features   {answer.network}")
    print(f"resizer    {answer.resizer}\n")
    values = answer.values
    for name, shown in NAMES.items():
        if name in values:
            shown += f", {answer.features}" if name in ("fid", "kid") else ""
            spread = f" ± {values[name + '_std']:.4f}" if name + "_std" in values else ""
            print(f"{shown:20} {values[name]:9.4f}{spread}")
    if "shares" in values:
        print_classes(values)
    for caveat in answer.caveats:
        print(f"\n{textwrap.fill('note: ' + caveat, 100)}")


def print_classes(values: dict[str, Any]) -> None:
    """What a classifier says: how sure it is, of which classes the samples are, and whether that was asked for."""
    shares, right = values["shares"], values.get("right_of", {})
    print(f"{'sure of a class':20} {100 * values['sure']:7.1f} %")
    print(f"{'classes drawn':20} {values['classes_present']:4} of {len(right) or len(shares) - 1}")
    if right:
        print(f"{'as it was asked':20} {100 * values['right']:7.1f} %")
    print("\n" + " " * 15 + "".join(f"{name:>6}" for name in shares))
    print(f"{'% of samples':15}" + "".join(f"{100 * share:6.1f}" for share in shares.values()))
    if right:
        cells = (f"{100 * right[name]:6.1f}" if name in right else f"{'':6}" for name in shares)
        print(f"{'% as asked':15}" + "".join(cells).rstrip())


def _names(text: str) -> tuple[str, ...]:
    """Names with commas between them, each once."""
    names = (name.strip().lower() for name in text.split(","))
    return tuple(dict.fromkeys("pr" if name in ("precision", "recall") else name for name in names))


def _write(folder: Path, answer: Evaluation, drawn: dict[str, Image.Image], quiet: bool) -> None:
    """Keep the answer and its pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in {"neighbours.png", "classes.png"} - drawn.keys():
        (folder / name).unlink(missing_ok=True)  # of an evaluation before this one
    write_text(folder / "evaluation.json", json.dumps(answer.as_dict(), indent=2) + "\n")
    for name, image in drawn.items():
        save_image(image, folder / name)
    if not quiet:
        print(f"\nsee {', '.join(['evaluation.json', *drawn])} in {folder}")
