"""Evaluates a model's translations of pictures that it wasn't trained on, for `minigan evaluate`.

Scores of pairs are means over pictures; mean IoU and pixel accuracy are those of all pixels. The interval of a score is
a percentile bootstrap over pictures (Efron 1979): pictures are drawn from the judged ones, with replacement and as many
as there are, and the score of each draw is computed. It says how much the score depends on which pictures are judged.
It says nothing about how much another training run would differ.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import numpy as np

from minigan.backend import Device
from minigan.data import HeldOut, Source, open_feeds, open_own_parts
from minigan.errors import DataError
from minigan.metrics import FeatureNetwork, class_iou, evaluate, mean_iou, observe, pixel_accuracy
from minigan.model import Model, Translation
from minigan.training.settings import RunConfig
from minigan.training.sources import (
    Sources,
    by_feed,
    open_data,
    open_sources,
    options_of,
    trained_channels,
    with_channels,
)
from minigan.training.translation import Scores, comparable_source, distinct, in_batches, result_of

DRAWS, LEVEL = 1000, 0.95  # of the bootstrap
AVERAGED = 2000  # training samples, at most, from which a constant answer is computed
AT_ONCE = 50  # samples
FEWEST_FOR_HALVES = 8  # pictures of a set whose halves are compared


def open_judged(
    config: RunConfig, cls: type[Model] | None, data: Any = None, other: bool = False, split: str = ""
) -> tuple[Sources, Sources]:
    """Return the training data of a run, empty if other data is judged, and the data to judge.

    data:  as `open_feeds` takes it; None for that of the settings
    other: whether it isn't the data that the run was trained on
    split: the part to judge. By default, of the run's own data what is held out; of other data the val or test part if
           it has one, else everything
    """
    if not other and split in ("", "train"):
        training, held_out = open_sources(config, cls, data)
        return training, training if split else held_out
    data = by_feed(config.data) if data is None else by_feed(data) if isinstance(data, str) else data
    config = replace(config, limit=None, swap=config.swap and isinstance(data, str | os.PathLike))
    channels = trained_channels(config, cls)
    options = options_of(config, cls) | {"channels": channels}
    if split:
        return {}, with_channels(open_feeds(data, **options, split=split), config)
    return {}, with_channels(open_data(config, cls, data, channels) | open_own_parts(data, **options), config)


@dataclass(frozen=True)
class PairAnswer:
    """What was found about a paired translation.

    scores:   of the results, and of the source if it is comparable
    constant: of one answer to everything, the mean training picture or the most frequent class; None without training
              data of the same size
    """

    translation: Translation
    scores: Scores
    constant: Scores | None

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return {score: {"value", "interval", "source", "constant"}}, without what isn't known or finite."""
        values, intervals = self.scores.values(), bootstrap(self.scores)
        constant = self.constant.values() if self.constant else {}
        found: dict[str, dict[str, Any]] = {}
        for name in (name for name in values if not name.startswith("source_")):
            row = {"value": values[name], "interval": intervals.get(name)}
            row |= {"source": values.get(f"source_{name}"), "constant": constant.get(name)}
            found[name] = {key: value for key, value in row.items() if _is_finite(value)}
        return {name: row for name, row in found.items() if "value" in row}

    def classes(self) -> list[float | None]:
        """Return the IoU of each class of a map; None for a class that doesn't occur."""
        if not self.scores.counts:
            return []
        counts = np.stack(self.scores.counts).sum(axis=0)
        return [None if np.isnan(one) else float(one) for one in class_iou(counts)]


def _is_finite(value: Any) -> bool:
    return value is not None and (isinstance(value, tuple) or isfinite(value))


def evaluate_pairs(
    model: Any, translation: Translation, items: Iterable[dict[str, Any]], training: Mapping[str, Source]
) -> PairAnswer:
    """Return the scores of the results for these items, beside those of a constant answer."""
    scores, plain = (Scores.of(model, translation) for _ in range(2))
    constant = constant_answer(training, translation.target, scores.maps, model.device)
    for item in items:
        wanted = item[translation.target]
        y = result_of(model, translation, item)
        scores.add(y, wanted, comparable_source(model, translation, item), item.get("mask"))
        if constant is not None and constant.shape == wanted.shape:
            plain.add(constant, wanted)
    return PairAnswer(translation, scores, plain if len(plain.rows) == len(scores.rows) else None)


def constant_answer(training: Mapping[str, Source], target: str, maps: bool, device: Device) -> Any:
    """Return the mean picture (1, H, W, C) of training samples, or a map (1, H, W, K) with the shares of the classes.

    The class of such a map is the most frequent one everywhere. None without training data, or if training sees crops:
    their mean is no picture.
    """
    source = next((source for source in training.values() if target in source.kinds), None)
    if source is None or source.crops:
        return None
    chosen = np.linspace(0, len(source) - 1, min(len(source), AVERAGED)).round().astype(int)
    total: Any = 0.0
    for start in range(0, len(chosen), AT_ONCE):
        total = total + source.read(chosen[start : start + AT_ONCE])[target].sum(axis=0, dtype=np.float64)
    mean = total / len(chosen)  # (H, W, C)
    if maps:
        pixels = mean.sum(axis=(0, 1))  # (K,)
        mean = np.broadcast_to(pixels / max(pixels.sum(), 1e-9), mean.shape)
    return device.array(mean[None].astype(np.float32))


def bootstrap(scores: Scores, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Return the interval of each score that contains LEVEL of DRAWS draws of the pictures; none of fewer than two."""
    n = len(scores.rows)
    if n < 2:
        return {}
    drawn = np.random.default_rng(seed).integers(n, size=(DRAWS, n))
    found = {name: scores.column(name)[drawn].mean(axis=1) for name in scores.rows[0]}
    if scores.maps:
        times = np.stack([np.bincount(row, minlength=n) for row in drawn])  # (DRAWS, n)
        counts = np.stack(scores.counts)  # (n, K, K)
        sums = (times @ counts.reshape(n, -1)).reshape(DRAWS, *counts.shape[1:])  # (DRAWS, n) @ (n, K·K)
        found |= {"miou": mean_iou(sums), "accuracy": pixel_accuracy(sums)}
    edges = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
    ends = {name: np.quantile(values, edges) for name, values in found.items() if np.isfinite(values).all()}
    return {name: (float(low), float(high)) for name, (low, high) in ends.items()}


def evaluate_sets(
    model: Any,
    translation: Translation,
    held_out: HeldOut,
    network: FeatureNetwork,
    metrics: Sequence[str] = ("kid",),
    most: int | None = None,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Compare the results of an unpaired translation with pictures of the target; return {row: values}.

    "result"    the results
    "source"    the untranslated sources: a translation that does nothing
    "halves"    one half of the target's pictures compared with the other: a translation that can't be told from them;
                left out if there are few of them

    `most` limits the pictures of each set. Raises DataError for fewer than two pictures.
    """
    rng = np.random.default_rng(seed)
    names = (translation.source, translation.target)
    chosen = {name: rng.permutation(distinct(held_out, name))[:most] for name in names}
    for name, indices in chosen.items():
        if len(indices) < 2:
            raise DataError(f"sets of pictures are compared, and of {name} there is only one: give more of them")

    def pictures(array: str, indices: Iterable[int]) -> Iterator[tuple[Any, None]]:
        return in_batches(held_out[int(i)][array] for i in indices)

    (a, sources), (b, targets) = chosen.items()
    results = in_batches(result_of(model, translation, held_out[int(i)]) for i in sources)
    reference = observe(pictures(b, targets), network, b, keep=True)
    found = {
        "result": _measure(results, len(sources), network, reference, metrics),
        "source": _measure(pictures(a, sources), len(sources), network, reference, metrics),
    }
    if len(targets) >= FEWEST_FOR_HALVES:
        one, other = np.array_split(targets, 2)
        half = observe(pictures(b, other), network, b, keep=True)
        found["halves"] = _measure(pictures(b, one), len(one), network, half, metrics)
    return found


def _measure(batches: Any, n: int, network: FeatureNetwork, reference: Any, metrics: Sequence[str]) -> dict[str, Any]:
    answer, _ = evaluate(batches, n, "results", network, reference, metrics)
    return answer.values | {"n": answer.n, "reference_n": answer.reference_n}


def picture_name(held_out: HeldOut, translation: Translation, i: int) -> str:
    """Return the name of item i, that of its file without suffix; its number if it isn't from a file."""
    sources = held_out.sources.values()
    source = next((one for one in sources if {translation.source, translation.target} & one.kinds.keys()), None)
    names = source.names if source else None
    return names[i % len(names)] if names else str(i)
