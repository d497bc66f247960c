"""`minigan sample --balanced --separate`: equally many samples of each class, in a folder for each class.

With --filter, a classifier that is trained on the run's own data decides which samples are written: those that it finds
to be of the class they were drawn for (GaFi, Lampis et al. 2023).
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minigan.commands.cli import INTERRUPTED, UsageError
from minigan.commands.codes import AT_ONCE, Codes
from minigan.common.terminal import bar
from minigan.errors import MiniganError
from minigan.metrics.picture_classifier import PictureClassifier, recognized
from minigan.model import Model
from minigan.training import pictures
from minigan.training.evaluation import in_levels
from minigan.training.session import feeds_of
from minigan.training.settings import RunConfig
from minigan.training.sources import check_sources, open_data

OF_EACH = 8  # default number of samples of each class
STEPS, BATCH = 500, 64  # of the classifier's training
HELD_OUT = 10  # one in so many pictures is held out, to measure the classifier
TRIES = 50  # times the samples wanted, drawn of each class at most
LONGEST = 60  # characters of a folder's name

Filter = Callable[[np.ndarray, int], np.ndarray]  # samples (N, H, W, C) drawn for a class → which to write (N,)


def check_balanced(args: argparse.Namespace) -> None:
    """Raise UsageError for options that don't go with --balanced."""
    if args.filter is not None and not args.balanced:
        raise UsageError("--filter chooses what --balanced writes: add --balanced --separate, or leave it out")
    if not args.balanced:
        return
    if not args.separate:
        raise UsageError("--balanced makes a folder for each class: add --separate")
    if args.label is not None:
        raise UsageError("--balanced draws all classes: leave out --class, or leave out --balanced")
    if not isinstance(args.seed, int):
        raise UsageError("--balanced draws as many latents as it needs from one seed: give one number to --seed")


def number_of_each(model: Any, name: str, n: int | None) -> int:
    """Return how many samples of each class make `n`. Raises UsageError without classes, or if n isn't divisible."""
    K = model.n_classes
    if not K:
        raise UsageError(f"{name} was trained without labels, so no class can be asked for: leave out --balanced")
    n = OF_EACH * K if n is None else n
    if n % K:
        raise UsageError(f"{n:,} samples can't be divided equally among {K} classes: give {n // K * K + K} to --n")
    return n // K


def class_folders(folder: Path, n_classes: int, names: tuple[str, ...]) -> list[Path]:
    """Return a folder for each class, named after it. Raises UsageError if one of them has files already."""
    words = [names[k] if k < len(names) else str(k) for k in range(n_classes)]
    words = [re.sub(r"[^\w.-]+", "-", word)[:LONGEST].strip(".") for word in words]
    if len({word.lower() for word in words} - {""}) < n_classes:  # different names became the same
        words = [f"{k}-{word}" for k, word in enumerate(words)]
    folders = [folder / word for word in words]
    for one in folders:
        if one.is_dir() and any(one.iterdir()):
            raise UsageError(f"{one} has files already, which would be mixed with new ones: give another --out")
    return folders


def write_balanced(made: Codes, seed: int, each: int, folders: list[Path], keep: Filter | None) -> int:
    """Draw `each` samples of each class and write them as they come; return the exit status.

    Finished files are kept after Ctrl-C. Raises MiniganError if too few samples of a class pass the filter.
    """
    rng, written = made.model.device.rng(seed), 0
    try:
        with bar(total=len(folders) * each, desc="drawing", unit=" pictures") as shown:
            for k, folder in enumerate(folders):
                folder.mkdir(parents=True, exist_ok=True)
                found = drawn = 0
                while found < each:
                    if drawn >= TRIES * each:
                        what = f"of {drawn:,} samples drawn for class {folder.name}, the classifier accepts only"
                        raise MiniganError(f"{what} {found:,}: train the GAN longer, or filter with less or not at all")
                    n = AT_ONCE if keep else min(AT_ONCE, each - found)
                    labels = made.labels(n, k)
                    samples = made.samples(made.of_z(made.model.latent(n, rng), labels), labels)
                    chosen = np.flatnonzero(keep(samples, k))[: each - found] if keep else np.arange(n)
                    for i, picture in enumerate(pictures.to_bytes(samples[chosen]), start=found):
                        pictures.save_image(pictures.to_image(picture), folder / f"{i:05d}.png")
                        written += 1
                        shown.update(1)
                    found, drawn = found + len(chosen), drawn + n
    except KeyboardInterrupt:
        where = folders[0].parent
        print(f"interrupted: {written:,} of {len(folders) * each:,} pictures are in {where}", file=sys.stderr)
        return INTERRUPTED
    print(f"{each:,} pictures of each of {len(folders)} classes in {folders[0].parent}")
    return 0


def trained_filter(config: RunConfig, cls: type[Model] | None, model: Any, least: float, seed: int) -> Filter:
    """Train a classifier on the run's data, print how good it is, and return the filter.

    least: probability of the class asked for that a sample needs, besides being the largest

    Raises MiniganError if the data can't be opened or has changed.
    """
    sources = open_data(config, cls)
    check_sources(config, sources)
    picture = next(name for name, kind in model.arrays.items() if kind.what in ("picture", "samples"))
    label = next(name for name, kind in model.arrays.items() if kind.what == "label")
    feed = model.arrays[label].feed
    order = np.random.default_rng([seed, 0]).permutation(len(sources[feed]))
    few = len(order) // HELD_OUT
    held_out, training = sources[feed].select(order[:few]), sources | {feed: sources[feed].select(order[few:])}
    rng = np.random.default_rng([seed, 1])
    classifier = PictureClassifier(config.shapes[picture], model.n_classes, rng=rng, device=model.device)
    with feeds_of(config, training, model) as feeds, bar(total=STEPS, desc="training a classifier") as shown:

        def next_batch() -> tuple[Any, Any]:
            shown.update(1)
            batch = feeds.next(BATCH)
            return batch[picture], batch[label]

        classifier.train(next_batch, STEPS, seed)
    if few:
        rows = held_out.read(np.arange(few))
        right = classifier.accuracy(rows[picture], rows[label])
        print(f"the classifier recognizes {right:.1%} of {few:,} pictures that it wasn't trained on")

    def keep(samples: np.ndarray, label: int) -> np.ndarray:
        p = classifier.probabilities(in_levels(samples))
        return recognized(p, np.full(len(p), label), least)

    return keep
