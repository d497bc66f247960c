"""Codes: what a generator computes samples of. A code is w if the model has styles, else z.

z has one vector for each sample, drawn with a seed. w has one for each layer of the generator, which is why it can be
moved towards its mean, mixed of two samples, and found for a picture (`minigan project`).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from minigan.backend import to_numpy
from minigan.commands import options
from minigan.commands.cli import UsageError
from minigan.common.untrusted import open_file, read_npz
from minigan.errors import UNREADABLE_NPZ, DataError, MiniganError
from minigan.model import can
from minigan.training.pictures import slerp

AT_ONCE = 256  # samples in a batch
MOST_SEEDS = 4096
SUFFIX = ".npz"
WEIGHTS = "its weights are too large, use an older checkpoint"

Item = int | Path  # a seed, or a file that `minigan project` wrote


def seeds(text: str) -> int | tuple[Item, ...]:
    """Parse `3`, one seed for all latents, or `3,17,20-25,me.npz`, a latent for each. Raises ArgumentTypeError."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) == 1 and "-" not in text.strip()[1:] and not text.endswith(SUFFIX):
        return options.whole_number(text)
    items: list[Item] = []
    for part in parts:
        first, dash, last = part.partition("-")
        if part.lower().endswith(SUFFIX):
            items.append(Path(part))
        elif not first.isdecimal() or dash and not last.isdecimal() or max(len(first), len(last)) > 18:
            example = "write numbers, ranges and files of minigan project, such as 3,17,20-25,me.npz"
            raise argparse.ArgumentTypeError(f"{part!r} in {text!r} is no seed: {example}")
        elif dash and int(last) < int(first):
            raise argparse.ArgumentTypeError(f"the range {part} is empty: write {last}-{first}")
        elif len(items) + int(last or first) - int(first) + 1 > MOST_SEEDS:
            raise argparse.ArgumentTypeError(f"{text} has more than {MOST_SEEDS:,} seeds: write fewer")
        else:
            items.extend(range(int(first), int(last or first) + 1))
    return tuple(items)


def as_list(seed: int | tuple[Item, ...]) -> tuple[Item, ...]:
    """Return the seeds of a list; one seed is a list of one."""
    return (seed,) if isinstance(seed, int) else seed


class Codes:
    """Maps seeds to codes and codes to samples.

    model, name: the model of a run, and its name for messages
    truncation:  ψ, which replaces w by w̄ + ψ (w − w̄), or is what `generate` makes of it. None if it isn't given
    space:       "w" or "z": codes to work with. Default: w if the model has styles

    Raises UsageError if the model has no styles and they are needed, or doesn't truncate.
    """

    def __init__(self, model: Any, name: str, truncation: float | None = None, space: str = "") -> None:
        self.model, self.name, self.styled = model, name, can(model, "styles") and can(model, "synthesize")
        self.in_w = self.styled and space != "z"
        if space == "w":
            self.need_styles("--space w")
        if truncation is not None and not (self.styled or _truncates(model)):
            which = "models that compute styles w of z, such as stylegan2, or truncate z, such as biggan"
            raise UsageError(f"--truncation is of {which}, and {name} does neither: leave it out")
        self.truncation = {} if truncation is None else {"truncation": truncation}

    def need_styles(self, option: str) -> None:
        """Raise UsageError if the model has no styles; `option` is what needs them."""
        if not self.styled:
            what = f"{option} is of models that compute styles w of z, such as stylegan2, and {self.name} has none"
            raise UsageError(f"{what}: leave it out")

    @np.errstate(over="ignore", invalid="ignore")  # `collected` looks for what isn't finite
    def of_z(self, z: Any, labels: Any = None) -> Any:
        """Map z (n, latent_dim) to codes: w (n, L, D), or z itself."""
        return self.model.styles(z, labels, **self.truncation) if self.in_w else z

    def of(self, items: tuple[Item, ...], labels: Any = None) -> Any:
        """Return the code of each item (n, …). `labels` (n,) are those of a conditional model.

        Raises DataError for a file that has no code of this model.
        """
        codes = []
        for i, item in enumerate(items):
            label = None if labels is None else labels[i : i + 1]
            if isinstance(item, Path):
                codes.append(self._read(item, label))
            else:
                codes.append(self.of_z(self.model.latent(1, self.model.device.rng(item)), label))
        return self.model.device.xp.concatenate(codes)

    def _read(self, path: Path, labels: Any) -> Any:
        """Read the code (1, …) in a file of `minigan project`."""
        mean, kind = self.mean(labels), "w" if self.in_w else "z"
        try:
            with open_file(path) as file:
                arrays = read_npz(file)
        except FileNotFoundError:
            raise DataError(f"there is no file {path}: give one that minigan project wrote") from None
        except UNREADABLE_NPZ as error:
            raise DataError(f"{path} is damaged, or no file that minigan project wrote: give another") from error
        if kind in arrays and not np.isfinite(arrays[kind]).all():
            raise DataError(f"{path} holds numbers that aren't finite: project the picture again")
        if kind not in arrays or arrays[kind].shape != mean.shape[1:]:
            has = ", ".join(f"{name} {array.shape}" for name, array in sorted(arrays.items())) or "nothing"
            takes = f"takes {kind} {tuple(mean.shape[1:])}: project the picture with this run"
            raise DataError(f"{path} has {has}, and this run {takes}")
        code = self.model.device.array(arrays[kind].astype(np.float32))[None]
        return mean + self.truncation.get("truncation", 1.0) * (code - mean) if self.in_w else code

    def mean(self, labels: Any = None) -> Any:
        """Return w̄ (1, L, D), or z = 0 (1, latent_dim)."""
        z = self.model.latent(1, self.model.device.rng(0))
        return self.model.styles(z, labels, truncation=0.0) if self.in_w else 0 * z

    def labels(self, n: int, label: int | None, first: int = 0) -> Any:
        """Return n labels of a conditional model: `label`, or all classes in turn from `first` on; else None."""
        if not self.model.n_classes:
            return None
        labels = (first + np.arange(n)) % self.model.n_classes if label is None else np.full(n, label)
        return self.model.device.array(labels)

    def batches(
        self, seed: int | tuple[Item, ...], n: int, label: int | None, at_once: int
    ) -> Iterator[tuple[Any, Any, list[str]]]:
        """Yield codes, labels and names of samples: `n` of one seed, or one of each seed of a list in each class.

        Drawing latents in batches gives the same numbers as drawing them at once.
        """
        if isinstance(seed, int):
            rng, digits = self.model.device.rng(seed), max(5, len(str(n - 1)))
            for first in range(0, n, at_once):
                labels = self.labels(min(at_once, n - first), label, first)
                codes = self.of_z(self.model.latent(min(at_once, n - first), rng), labels)
                yield codes, labels, [f"{first + i:0{digits}d}" for i in range(len(codes))]
            return
        each = self.model.n_classes if label is None and self.model.n_classes else 1
        items = [item for item in seed for _ in range(each)]
        for first in range(0, len(items), at_once):
            some = items[first : first + at_once]
            labels = self.labels(len(some), label, first)
            names = [f"seed-{item}" if isinstance(item, int) else item.stem for item in some]
            yield self.of(tuple(some), labels), labels, names

    def between(self, a: Any, b: Any, t: float) -> Any:
        """Interpolate between codes, at t in [0, 1]: on a straight line in w, along a great circle in z."""
        return (1 - t) * a + t * b if self.in_w else self.model.device.array(slerp(to_numpy(a), to_numpy(b), t))

    def samples(self, codes: Any, labels: Any = None) -> np.ndarray:
        """Compute the samples (n, …) of codes, in batches; return them on the host. Raises MiniganError for NaN."""
        n, why, more = len(codes), WEIGHTS, self.truncation
        if more.get("truncation", 0) > 1:
            why = "--truncation is too large, or the weights are: use a smaller one, or an older checkpoint"
        if self.in_w:
            return collected(lambda some: self.model.synthesize(codes[some]), n, why)
        if labels is None:
            return collected(lambda some: self.model.generate(codes[some], **more), n, why)
        return collected(lambda some: self.model.generate(codes[some], labels[some], **more), n, why)


def _truncates(model: Any) -> bool:
    return can(model, "generate") and "truncation" in signature(model.generate).parameters


def collected(make: Callable[[slice], Any], n: int, why: str = WEIGHTS) -> np.ndarray:
    """Return `make(slice)` of all n samples, batch by batch, on the host. Raises MiniganError if one isn't finite.

    why: the end of the message
    """
    parts = []
    for i in range(0, n, AT_ONCE):
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            parts.append(to_numpy(make(slice(i, i + AT_ONCE))))
    samples = np.concatenate(parts)
    if not np.isfinite(samples).all():
        raise MiniganError(f"the generator draws numbers that aren't finite: {why}")
    return samples
