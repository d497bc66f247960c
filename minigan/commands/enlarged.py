"""`minigan evaluate … --protocol sr`: enlarged pictures, scored as in published tables of super-resolution.

    minigan evaluate RUN --protocol sr [--against ORIGINALS]
    minigan evaluate RESULTS ORIGINALS --protocol sr --scale 4

Low pictures are made of the originals by the antialiased bicubic scaler, as bytes, and a run enlarges them as `minigan
apply` does. Bicubic enlargement of the same low pictures stands beside every score (`metrics/super_resolution.py`).
"""

from __future__ import annotations

import argparse
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from minigan.apply import Applier, Picture
from minigan.apply.picture import from_floats
from minigan.commands.cli import UsageError
from minigan.commands.enlarged_table import Table, print_table, with_channels, write_table
from minigan.commands.options import check_writable, open_ready, warn
from minigan.commands.subjects import Subject
from minigan.commands.translated import open_judged_data
from minigan.common.terminal import bar
from minigan.common.words import flag
from minigan.data import FolderDataset
from minigan.data.crops import Crops
from minigan.data.decode import decode_whole, no_warnings
from minigan.data.listing import NoSplitError, choose_split, list_files
from minigan.data.pictures import size_words
from minigan.errors import DataError
from minigan.layers.bicubic import enlarged, shrunk
from minigan.metrics import cut_to_multiple

ENDING = re.compile(r"(.+?)[ _.-]?(HR|LR)", re.IGNORECASE)  # of the names of published high and low pictures
WINDOW = 11  # pixels of SSIM, which have to be left inside the border
Original = tuple[str, np.ndarray]  # name, bytes (H, W, 1 or 3)


def evaluate_ready(args: argparse.Namespace) -> int:
    """Do what `evaluate_run` does with the network that ships, which has neither data nor a folder of its own."""
    name = args.what[0]
    if args.against is None:
        raise UsageError(
            f"{name}, the network that ships, has no pictures: give a folder of originals as a second word"
        )
    if not _is_folder(Path(args.against)):
        raise UsageError(f"{args.against} is not a folder of pictures, or a .zip of one: give the originals")
    return evaluate_run(args, Subject(None, model=open_ready(name, args), source=f"{name}, which ships"))


def evaluate_run(args: argparse.Namespace, subject: Subject) -> int:
    """Enlarge low pictures by the model of a run, print the scores beside bicubic, and write them into --out."""
    model, scale = subject.model, getattr(subject.model, "scale", 1)
    if scale == 1:
        what = f"{args.what[0]} doesn't enlarge: leave it out, or train srresnet or srgan"
        raise UsageError(f"--protocol sr is about enlarged pictures, and {what}")
    if args.scale not in (None, scale):
        raise UsageError(f"{args.what[0]} enlarges by {scale}, not by {args.scale}: leave out --scale")
    _refuse(args, "n_against", "save_stats", "features", "weights", "metrics", "img_size")
    out = args.out or (Path(args.what[0]) / "evaluation" if subject.config else None)
    if out:
        check_writable(out)
    described, originals = _originals(args, subject)
    applier, table = Applier(model, strength=args.strength), Table(scale)
    for name, pixels in originals:
        _check_size(name, pixels, scale)
        high = cut_to_multiple(pixels, scale)
        high = Picture(high).with_channels(1).pixels if applier.channels == 1 else high
        low = shrunk(high, scale)
        y = applier(Picture(low).with_channels(applier.channels).pixels, gray=high.shape[2] == 1)
        if y.shape != high.shape:
            what = f"made {size_words(*y.shape[:2])} of {size_words(*low.shape[:2])}"
            raise DataError(f"{name}: the model {what} pixels, and {size_words(*high.shape[:2])} was expected")
        table.add(name, y, high, low, enlarged(low, scale))
    if not table.names:
        raise DataError(f"none of the pictures in {described} can be read")
    strength = "" if args.strength is None else f", strength {args.strength:g}"
    found = table.found(subject.source + strength, described)
    print_table(found, table, "enlarged", args.json)
    if out:
        write_table(out, found, table, args.json)
    return 0


def compare(args: argparse.Namespace) -> int:
    """Score the pictures of one folder against the originals in another, which have the same names."""
    if args.against is None:
        raise UsageError("--protocol sr compares with originals: give their folder as a second word")
    if args.scale is None:
        raise UsageError("--protocol sr cuts a border as wide as the scale, so it has to know it: add --scale 4")
    others = ("n", "n_against", "save_stats", "features", "weights", "metrics", "img_size")
    _refuse(args, *others, "checkpoint", "strength", "skip_bad")
    if args.out:
        check_writable(args.out)
    results, originals = dict(_files(Path(args.what[0]), "")), _files(Path(args.against), args.split or "")
    paired = _by_name(results, "results"), _by_name(dict(originals), "originals")
    if alone := sorted(paired[1].keys() - paired[0].keys()) or sorted(paired[0].keys() - paired[1].keys()):
        where = args.what[0] if alone[0] in paired[1] else args.against
        raise DataError(f"{where} has no picture called {alone[0]}: results and originals have the same names")
    table = Table(args.scale)
    for name, file in bar(list(paired[1].items()), desc="comparing", unit=" pairs"):
        with no_warnings():
            y, pixels = decode_whole(paired[0][name]), decode_whole(file)
        _check_size(str(file), pixels, args.scale)
        high = cut_to_multiple(pixels, args.scale)
        if y.shape[:2] not in (high.shape[:2], pixels.shape[:2]):
            sizes = f"{size_words(*y.shape[:2])}, but {file} {size_words(*pixels.shape[:2])} in height x width"
            raise DataError(f"{paired[0][name]} is {sizes}: enlarge pictures that were shrunk by {args.scale}")
        y = with_channels(cut_to_multiple(y, args.scale), high.shape[2])
        low = shrunk(high, args.scale)
        table.add(name, y, high, low, enlarged(low, args.scale))
    found = table.found(args.what[0], args.against)
    print_table(found, table, "pictures", args.json)
    if args.out:
        write_table(args.out, found, table, args.json)
    return 0


def _refuse(args: argparse.Namespace, *names: str) -> None:
    """Raise UsageError for options that the protocol fixes."""
    for name in names:
        if getattr(args, name) is not None:
            raise UsageError(f"--protocol sr says what is measured, and how: leave out {flag(name)}")


def _originals(args: argparse.Namespace, subject: Subject) -> tuple[str, Iterator[Original]]:
    """Return a description of the originals, and the chosen ones: those of --against, or what the run held out."""
    spec, target = args.against, next((one.target for one in subject.model.translations), "")
    if spec is not None and _is_folder(Path(spec)):
        files, found = _files(Path(spec), args.split or ""), None
        n = len(files)
        described = f"{spec}: {n:,} pictures" + f", {args.split}" * bool(args.split)
    else:
        judged = open_judged_data(args, subject, subject.config)  # type: ignore[arg-type]
        source = next(one for one in judged.held_out.sources.values() if target in one.parts)
        part = source.parts[target]
        whole = part.pictures if isinstance(part, Crops) else part
        files = [(path.stem, path) for path in whole.paths] if isinstance(whole, FolderDataset) else []
        found, n, described = source, len(source), judged.source
    chosen = sorted(np.random.default_rng(args.seed).permutation(n)[: args.n].tolist())

    def read() -> Iterator[Original]:
        for i in bar(chosen, desc="enlarging", unit=" pictures"):
            if not files:
                yield str(i), from_floats(found.item(i)[target][0], np.uint8)  # type: ignore[union-attr]
                continue
            try:
                with no_warnings():
                    pixels = decode_whole(files[i][1])
            except DataError as error:
                if not args.skip_bad:
                    raise
                warn(f"left out: {error}")
            else:
                yield files[i][0], pixels

    return described, read()


def _is_folder(path: Path) -> bool:
    path = path.expanduser()
    return path.is_dir() or (path.suffix.lower() == ".zip" and zipfile.is_zipfile(path))


def _files(root: Path, split: str) -> list[tuple[str, Any]]:
    """Return the pictures of a folder or an archive as (name, file), sorted; of published pairs, the high pictures.

    split: "" is the test part or the val part if there is one, else everything
    """
    root = root.expanduser()
    if root.is_file() and not _is_folder(root):
        raise DataError(
            f"{root} is a file, and no .zip archive that can be read: give the folder that holds the pictures"
        )
    everything = list_files(root)
    for part in [split] if split else ["test", "val", "train"]:
        try:
            listing = choose_split(everything, part, root)
            break
        except NoSplitError:
            if part in (split, "train"):
                raise
    found = [("/".join([*parts[:-1], PurePath(parts[-1]).stem]), file) for parts, file in listing.pictures]
    endings = {name: match[2].upper() for name, _ in found if (match := ENDING.fullmatch(name))}
    if len(endings) == len(found) and set(endings.values()) == {"HR", "LR"}:
        found = [(name, file) for name, file in found if endings[name] == "HR"]
    return found


def _by_name(files: dict[str, Any], what: str) -> dict[str, Any]:
    """Return files by name without the ending HR or LR. Raises DataError if two have one name."""
    found: dict[str, Any] = {}
    for name, file in files.items():
        match = ENDING.fullmatch(name)
        key = match[1] if match else name
        if key in found:
            raise DataError(f"{found[key]} and {file} have one name among the {what}: rename one")
        found[key] = file
    return found


def _check_size(name: str, pixels: np.ndarray, scale: int) -> None:
    least = WINDOW + 2 * scale
    if min(cut_to_multiple(pixels, scale).shape[:2]) < least:
        what = f"{name} is {size_words(*pixels.shape[:2])} in height x width, and the protocol at scale {scale}"
        raise DataError(f"{what} takes {size_words(least, least)} or more: take it out")
