"""A model's translations of held-out items, and their scores.

A result is the output of the networks in inference mode: dropout off, batch norm with running statistics. It is made by
`Model.translate` for the pictures and the judgements of a run and for `minigan evaluate`, and by `Model.apply` for
`minigan apply`.

Pictures of a pair are compared in [-1, 1], so the range of PSNR and SSIM is 2. The result is clipped to [-1, 1], as in
a file, but not rounded to bytes; the source is neither clipped nor rounded. For KID, which compares sets, pictures are
clipped and rounded to 256 levels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np

from minigan.backend import array_module, to_numpy
from minigan.data import HeldOut
from minigan.errors import described
from minigan.metrics import confusion, mean_iou, pixel_accuracy, psnr, ssim
from minigan.model import Translation, can
from minigan.training.evaluation import in_levels
from minigan.training.settings import TrainingError

ERRORS = ("l1", "l2", "cross_entropy")  # names of measures of training that are computed of held-out pictures as well
SMALLEST = 1e-30  # of the probabilities in the cross-entropy
SSIM_WINDOW = 11  # pixels: smaller pictures have no SSIM
PIXELS_AT_ONCE = 2**20  # of a batch of results


def result_of(model: Any, translation: Translation, item: dict[str, Any]) -> Any:
    """Return the result (1, H, W, C) for a held-out item; pictures are clipped to [-1, 1].

    The sources of other translations are left out of the item. Raises TrainingError for a result of another shape than
    the wanted one, or of another size than the source if the translation isn't paired.
    """
    others = {one.source for one in model.translations} - {translation.source}
    found = model.translate({name: x for name, x in item.items() if name not in others})
    who, target = f"{type(model).__name__}.translate", translation.target
    if not isinstance(found, dict) or target not in found:
        returned = ", ".join(map(repr, found)) or "nothing" if isinstance(found, dict) else described(found)
        raise TrainingError(
            f"{who} returned {returned}: return {{{target!r}: y}} for an item with {translation.source!r}"
        )
    y, x = found[target], item[target if translation.paired else translation.source]
    axes = slice(None) if translation.paired else slice(3)  # an unpaired translation may change the channels
    if tuple(y.shape[axes]) != tuple(x.shape[axes]):
        raise TrainingError(f"{who} returned {target} of shape {tuple(y.shape)}, and {tuple(x.shape)} was expected")
    return y if is_map(model, target) else y.clip(-1, 1)


def is_map(model: Any, array: str) -> bool:
    """Whether an array is a class map. Arrays that `damage` makes aren't declared, and are pictures."""
    return array in model.arrays and model.arrays[array].what == "map"


def distinct(held_out: Sequence[dict[str, Any]], array: str) -> int:
    """Return the number of held-out samples of an array; later items repeat them."""
    return held_out.distinct(array) if isinstance(held_out, HeldOut) else len(held_out)


def cut(item: dict[str, Any], array: str, height: int, width: int) -> dict[str, Any]:
    """Return an item with only the center of its pictures, at most height × width of `array`.

    Of pictures that are s times as large or as small, the same part is kept; others are returned whole.
    """
    H, W = item[array].shape[1:3]
    scales = {name: _scale(x, H, W) for name, x in item.items()}
    step = lcm(*(scale.denominator for scale in scales.values() if scale))
    first = [max(0, n - most) // 2 // step * step for n, most in ((H, height), (W, width))]
    last = [begin + min(n, most // step * step) for begin, n, most in zip(first, (H, W), (height, width), strict=True)]

    def center(x: Any, scale: Fraction | None) -> Any:
        if scale is None:
            return x
        top, left, bottom, right = (int(n * scale) for n in (*first, *last))
        return x[:, top:bottom, left:right]

    return {name: center(x, scales[name]) for name, x in item.items()}


def _scale(x: Any, H: int, W: int) -> Fraction | None:
    """Return the size of pictures x in that of pictures H × W: s or 1/s with a whole s, else None."""
    if x.ndim != 4:
        return None
    down, across = Fraction(x.shape[1], H), Fraction(x.shape[2], W)
    return down if down == across and 1 in (down.numerator, down.denominator) else None


@dataclass
class Scores:
    """Scores of paired results, one row for each picture. `maps`: whether the results are class maps.

    errors: "l1", "l2" and "cross_entropy", as far as they are computed, besides PSNR and SSIM of pictures and accuracy
            and mean IoU of maps. L1 and cross-entropy of maps are those of probabilities, over pixels of known class
    rows:   {score: value}; "hole_psnr" is the PSNR inside holes; with "source_psnr" and so on if the source is
            comparable; NaN if it can't be computed
    counts: confusion matrices (K, K) of maps
    """

    maps: bool
    errors: tuple[str, ...] = ()
    rows: list[dict[str, float]] = field(default_factory=list)
    counts: list[np.ndarray] = field(default_factory=list)

    @classmethod
    def of(cls, model: Any, translation: Translation) -> Scores:
        """Return empty scores of the results of a translation: with the errors that are measured in training."""
        maps = is_map(model, translation.target)
        measured = [name for name in ERRORS if name in model.measures]
        errors = [name for name in measured if name != "l2"] if maps else dict.fromkeys(["l1", *measured])
        return cls(maps, tuple(name for name in errors if maps or name != "cross_entropy"))

    def add(self, y: Any, wanted: Any, source: Any = None, mask: Any = None) -> None:
        """Add a result (1, H, W, C), with the wanted picture or map, the source if it is comparable, and the mask."""
        if self.maps:
            self.counts.append(confusion(y, wanted))
            self.rows.append(_classified(self.counts[-1]) | _map_errors(y, wanted, self.errors))
            return
        self.rows.append(picture_scores(y, wanted, self.errors, mask))
        if source is not None:
            of_source = picture_scores(source, wanted, self.errors, mask)
            self.rows[-1] |= {f"source_{name}": value for name, value in of_source.items()}

    def values(self, chosen: Any = slice(None)) -> dict[str, float]:
        """Return the scores of all or the chosen pictures: means; mean IoU and accuracy are those of all pixels."""
        means = {name: float(self.column(name)[chosen].mean()) for name in self.rows[0]}
        return means | (_classified(np.stack(self.counts)[chosen].sum(axis=0)) if self.maps else {})

    def column(self, name: str) -> np.ndarray:
        """Return one score of all pictures (n,)."""
        return np.array([row[name] for row in self.rows])


def compare(model: Any, translation: Translation, items: Iterable[dict[str, Any]]) -> Scores:
    """Return the scores of the results for these held-out items."""
    scores = Scores.of(model, translation)
    for item in items:
        y = result_of(model, translation, item)
        scores.add(y, item[translation.target], comparable_source(model, translation, item), item.get("mask"))
    return scores


def comparable_source(model: Any, translation: Translation, item: dict[str, Any]) -> Any:
    """Return the source if it is comparable with the target: pictures of one size, the source gray or as the target.

    Of a model that has `baseline`, its simple answer takes the place of the source.
    """
    target = item[translation.target]
    source = baseline_of(model, translation, item) if can(model, "baseline") else item[translation.source]
    if is_map(model, translation.source) or is_map(model, translation.target):
        return None
    fits = source.shape[:3] == target.shape[:3] and source.shape[3] in (1, target.shape[3])
    return source if fits else None


def baseline_of(model: Any, translation: Translation, item: dict[str, Any]) -> Any:
    """Return the simple answer (1, H, W, C) that results are compared with, such as a bicubic enlargement, clipped."""
    return model.baseline(item)[translation.target].clip(-1, 1)


def source_words(model: Any, translation: Translation) -> str:
    """Return the name of what results are compared with: the source, or the model's baseline."""
    return getattr(model, "baseline_words", "baseline") if can(model, "baseline") else translation.source


def picture_scores(y: Any, wanted: Any, errors: Sequence[str] = ("l1",), mask: Any = None) -> dict[str, float]:
    """Return PSNR, SSIM and errors of pictures (1, H, W, C), the range of which is 2; NaN if y isn't finite.

    With a mask (1, H, W, 1), 0 in holes, also the PSNR of the pixels in holes; NaN if there are none.
    """
    names = ("psnr", *([] if mask is None else ["hole_psnr"]), "ssim", *errors)
    if not is_finite(y):
        return dict.fromkeys(names, np.nan)
    y = array_module(y).broadcast_to(y, wanted.shape)  # a gray source of a color picture
    gap = y - wanted
    found = {
        "psnr": _number(psnr(y, wanted, 2.0)[0]),
        "ssim": _number(ssim(y, wanted, 2.0)[0]) if min(y.shape[1:3]) >= SSIM_WINDOW else np.nan,
        "l1": _number(abs(gap).mean()),
        "l2": _number((gap * gap).mean()),
    }
    if mask is not None:
        hole = (mask == 0).astype(y.dtype)  # (1, H, W, 1)
        pixels, total = _number(hole.sum()), _number((hole * gap * gap).sum())
        with np.errstate(divide="ignore", invalid="ignore"):  # without an error, and without a hole
            found["hole_psnr"] = float(10 * np.log10(4 * np.float64(pixels * y.shape[3]) / total))
    return {name: found[name] for name in names}


def _classified(counts: np.ndarray) -> dict[str, float]:
    return {"miou": float(mean_iou(counts)), "accuracy": float(pixel_accuracy(counts))}


def _map_errors(p: Any, wanted: Any, errors: Sequence[str]) -> dict[str, float]:
    """Return errors of probabilities p (1, H, W, K). L1 is the mean over all pixels, with 0 where no class is known."""
    known = wanted.sum(axis=3, keepdims=True)  # (1, H, W, 1)
    pixels = max(_number(known.sum()), 1.0)
    found = {"l1": _number(abs(known * p - wanted).mean())}
    if "cross_entropy" in errors:
        found["cross_entropy"] = -_number((wanted * array_module(p).log(p.clip(SMALLEST, None))).sum()) / pixels
    return {name: value for name, value in found.items() if name in errors}


def _number(x: Any) -> float:
    """Fetch a 0-d array from the device."""
    return float(to_numpy(x))


def is_finite(x: Any) -> bool:
    """Whether all elements of an array are finite; waits for the device."""
    return bool(to_numpy(array_module(x).isfinite(x).all()))


class BadPictureError(Exception):
    """A result isn't finite, so a set of results can't be judged."""


def in_batches(pictures: Iterator[Any]) -> Iterator[tuple[Any, None]]:
    """Yield pictures (1, H, W, C), in 256 levels, as batches of one size. Raises BadPictureError."""
    waiting: list[Any] = []
    for x in pictures:
        xp = array_module(x)
        if not is_finite(x):
            raise BadPictureError
        pixels = x.shape[1] * x.shape[2]
        if waiting and (x.shape != waiting[0].shape or len(waiting) * pixels >= PIXELS_AT_ONCE):
            yield xp.concatenate(waiting), None
            waiting = []
        waiting.append(in_levels(x))
    if waiting:
        yield array_module(waiting[0]).concatenate(waiting), None
