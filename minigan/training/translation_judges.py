"""Judges of a model's translations during training, on held-out items. They need nothing but `Model.translate`.

Paired translations are judged by PSNR, or by mean IoU if the target is a class map; unpaired ones by KID. These come
first among the judgements of a run, so they decide which checkpoint is the best one, unless the model declares that
they can't (`Translation.undecided`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from minigan.common.words import every
from minigan.metrics import FeatureNetwork, Statistics, evaluate, observe, open_features
from minigan.model import Judgement, Translation
from minigan.training.judges import OwnJudge
from minigan.training.settings import RunConfig
from minigan.training.translation import (
    ERRORS,
    BadPictureError,
    Scores,
    comparable_source,
    compare,
    cut,
    distinct,
    in_batches,
    result_of,
    source_words,
)

Items = Sequence[dict[str, Any]]

# During training, not all of the held-out data is judged; `minigan evaluate` judges all
MOST_ITEMS = 500
MOST_PIXELS = 2**22  # in all, about
MOST_SIDE = 512  # pixels: of a larger picture, the center is judged
FEWEST_FOR_KID = 4  # pictures of each set

# By score; the words for the source's are made of these. An error is drawn with the measure of training of that name
JUDGEMENTS = {
    "psnr": Judgement("PSNR", "higher", "dB, held out, all channels", chart="PSNR"),
    "hole_psnr": Judgement("PSNR inside holes", "higher", chart="PSNR"),
    "ssim": Judgement("SSIM", "higher", "held out, all channels", "share", chart="SSIM"),
    "miou": Judgement("mean IoU", "higher", "held out", "share", "Class maps"),
    "accuracy": Judgement("pixel accuracy", "higher", "", "share", "Class maps"),
    "l1": Judgement("L1, held out", chart="L1"),
    "l2": Judgement("L2, held out", chart="L2"),
    "cross_entropy": Judgement("cross-entropy, held out", chart="Cross-entropy"),
}


def held_out_judges(model: Any, held_out: Items, config: RunConfig) -> list[Any]:
    """Return the judges of a model's translations, then that of its own judgements."""
    own = [OwnJudge(model, held_out, config.seed)] if model.judgements else []
    return [*translation_judges(model, held_out, config), *own]


def translation_judges(model: Any, held_out: Items, config: RunConfig) -> list[Any]:
    """Return the judges of a model's translations; none if nothing is held out, or if the run isn't judged."""
    if not config.eval_interval or not len(held_out):
        return []
    judges: list[Any] = [PairJudge(model, one, held_out, config) for one in model.translations if one.paired]
    sets = unpaired(model, held_out)
    if sets:
        judges.append(SetJudge(sets, held_out, open_features(config.eval_features, model.device), config))
    return judges


def about_best(model: Any, held_out: Items) -> str:
    """Return why no checkpoint will be kept as the best one, if translations are the reason; "" if nothing is held out.

    Either their scores don't decide it, or there are too few held-out pictures of a set for KID.
    """
    reason = next((one.undecided for one in model.translations if one.undecided), "")
    if reason and len(held_out):
        return f"no checkpoint is kept as the best, because {reason}: the last one is the result"
    names = dict.fromkeys(name for one in model.translations if not one.paired for name in (one.source, one.target))
    few = {name: distinct(held_out, name) for name in names if distinct(held_out, name) < FEWEST_FOR_KID}
    if not few or not len(held_out):
        return ""
    found = every(f"{n} of {name}" for name, n in few.items())
    what = f"KID takes {FEWEST_FOR_KID} held-out pictures of each set, and there are {found}"
    return f"{what}, so no checkpoint is kept as the best: hold out more by `held_out`"


def unpaired(model: Any, held_out: Items) -> list[Translation]:
    """Return the unpaired translations with enough held-out pictures of both sets for KID."""
    sets = [one for one in model.translations if not one.paired]
    return [one for one in sets if min(distinct(held_out, name) for name in (one.source, one.target)) >= FEWEST_FOR_KID]


def spread(held_out: Items, array: str, config: RunConfig) -> list[int]:
    """Return the ascending indices of the judged items, drawn by the seed up to --eval-samples and the limits above."""
    chosen, pixels = [], 0
    most = min(MOST_ITEMS, config.eval_samples)
    for i in np.random.default_rng(config.seed).permutation(distinct(held_out, array))[:most]:
        chosen.append(int(i))
        H, W = held_out[int(i)][array].shape[1:3]
        pixels += min(H, MOST_SIDE) * min(W, MOST_SIDE)
        if pixels >= MOST_PIXELS:
            break
    return sorted(chosen)


class PairJudge:
    """Scores of a paired translation, beside those of its source."""

    def __init__(self, model: Any, translation: Translation, held_out: Items, config: RunConfig) -> None:
        self.translation, self.held_out, self.config = translation, held_out, config
        several = sum(one.paired for one in model.translations) > 1
        self.suffix = f"_{translation.target}" if several else ""
        scores = pair_judgements(model, translation, held_out[0])
        if translation.undecided:
            scores = {name: replace(one, better="") for name, one in scores.items()}
        words = f", {translation.target}" if several else ""
        self.judgements = {self.key(name): replace(one, words=one.words + words) for name, one in scores.items()}
        self.names = tuple(scores)
        self._indices: list[int] = []  # chosen at the first judgement

    def key(self, name: str) -> str:
        """Return the name of a score in the records, where "l1" is a measure of training."""
        return ("held_out_" if name in ERRORS else "") + name + self.suffix

    def __call__(self, model: Any) -> dict[str, float]:
        """Return the judgements, as far as they are finite."""
        target = self.translation.target
        self._indices = self._indices or spread(self.held_out, target, self.config)
        items = (cut(self.held_out[i], target, MOST_SIDE, MOST_SIDE) for i in self._indices)
        values = compare(model, self.translation, items).values()
        return {self.key(name): float(f"{values[name]:.6g}") for name in self.names if np.isfinite(values[name])}


def pair_judgements(model: Any, translation: Translation, item: dict[str, Any]) -> dict[str, Judgement]:
    """Return the judgements of a paired translation by score; `item` is any held-out one."""
    scores = Scores.of(model, translation)
    holes = ["hole_psnr"] if "mask" in item else []
    names = ["miou", "accuracy"] if scores.maps else ["psnr", *holes, "ssim"]
    found = {name: JUDGEMENTS[name] for name in (*names, *scores.errors)}
    for name in found.keys() & model.measures.keys():
        found[name] = replace(found[name], chart=model.measures[name].chart)
    if comparable_source(model, translation, item) is None:
        return found
    of = source_words(model, translation)
    words = {name: f"{one.words.split(',')[0]} of {of}" for name, one in found.items()}
    return found | {f"source_{name}": replace(one, words=words[name], better="") for name, one in found.items()}


class SetJudge:
    """KID of the results of unpaired translations to the held-out pictures of their target.

    "kid_NAME" is that of the results for target NAME, "source_kid_NAME" that of the untranslated sources, which doesn't
    change. With several translations, "kid" is the mean of their KIDs, and decides which checkpoint is best.
    """

    def __init__(
        self, translations: Sequence[Translation], held_out: Items, network: FeatureNetwork, config: RunConfig
    ) -> None:
        self.translations, self.held_out, self.network, self.config = translations, held_out, network, config
        note = f"features of {network.name}, held out"
        one = Judgement("KID, mean", note=note, scale="any", chart="KID")
        self.judgements = {"kid": one} if len(translations) > 1 else {}
        for translation in translations:
            a, b = translation.source, translation.target
            self.judgements[f"kid_{b}"] = replace(one, words=f"{a} translated, to {b}")
            self.judgements[f"source_kid_{b}"] = replace(one, words=f"{a} itself, to {b}", better="")
        self._indices: dict[str, list[int]] = {}
        self._targets: dict[str, Statistics] = {}
        self._constant: dict[str, float] = {}

    def __call__(self, model: Any) -> dict[str, float]:
        """Return the judgements; without those of results that aren't finite."""
        if not self._targets:
            self._prepare()
        found = {}
        for one in self.translations:
            indices = self._indices[one.source]
            results = (result_of(model, one, cut(self.held_out[i], one.source, MOST_SIDE, MOST_SIDE)) for i in indices)
            try:
                found[f"kid_{one.target}"] = self._kid(results, len(indices), self._targets[one.target])
            except BadPictureError:
                continue
        if len(found) == len(self.translations) > 1:
            found = {"kid": float(f"{np.mean(list(found.values())):.6g}"), **found}
        return found | self._constant

    def _prepare(self) -> None:
        """Compute the statistics of the targets, and the KID of the untranslated sources."""
        names = dict.fromkeys(name for one in self.translations for name in (one.source, one.target))
        self._indices = {name: spread(self.held_out, name, self.config) for name in names}
        for one in self.translations:
            self._targets[one.target] = observe(in_batches(self._pictures(one.target)), self.network, one.target, True)
            value = self._kid(self._pictures(one.source), len(self._indices[one.source]), self._targets[one.target])
            self._constant[f"source_kid_{one.target}"] = value

    def _pictures(self, array: str) -> Iterator[Any]:
        return (cut(self.held_out[i], array, MOST_SIDE, MOST_SIDE)[array] for i in self._indices[array])

    def _kid(self, pictures: Any, n: int, target: Statistics) -> float:
        answer, _ = evaluate(in_batches(pictures), n, "results", self.network, target, ("kid",), self.config.seed)
        return float(f"{answer.values['kid']:.6g}")
