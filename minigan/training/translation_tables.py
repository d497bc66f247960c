"""Tables of a model's translations of held-out items, as exhibits: a row for each item.

The columns are source, result and target of a paired translation. Those of an unpaired one are source and result, and
the result translated back if the model has the reverse translation. A model's `baseline` stands beside its results; a
model with `stages` has several results. A source that is smaller than the target is enlarged by repeating pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.model import Exhibit, Translation, can
from minigan.training.translation import baseline_of, cut, distinct, is_map, result_of, source_words

ROWS = 6
MOST_SIDE = 256  # pixels: of a larger picture, the center is shown
UNKNOWN = 0.0  # gray, of pixels whose class isn't known
GOLDEN = 0.618034  # turns of the color wheel between two classes without given colors


def translation_tables(model: Any, held_out: Sequence[dict[str, Any]]) -> dict[str, Exhibit]:
    """Return a table for each translation, by name such as "a-to-b"; nothing if nothing is held out."""
    found = {}
    for one in model.translations if len(held_out) else ():
        n = distinct(held_out, one.source)
        items = [held_out[int(i)] for i in np.linspace(0, n - 1, min(n, ROWS)).round()]
        found[f"{one.source}-to-{one.target}"] = table_of(model, one, items)
    return found


def table_of(model: Any, translation: Translation, items: Sequence[dict[str, Any]]) -> Exhibit:
    """Return the table of some held-out items, cut to a common size."""
    source, target = translation.source, translation.target
    sized = target if translation.paired else source  # the array that has the size of the table's pictures
    height, width = (min(MOST_SIDE, *(item[sized].shape[axis] for item in items)) for axis in (1, 2))
    back = next((one for one in model.translations if (one.source, one.target) == (target, source)), None)
    rows, captions = [], tuple[str, ...]()
    for item in items:
        item = cut(item, sized, height, width)
        results = results_of(model, translation, item)
        row = [(source, _enlarged(item[source], item[sized])), *((target, y) for y in results.values())]
        captions = (source, *results)
        if translation.paired:
            row.append((target, item[target]))
            captions += (target,)
        elif back:
            row.append((source, result_of(model, back, {target: next(iter(results.values()))})))
            captions += ("and back",)
        rows += [in_color(model, name, x) for name, x in row]
    return Exhibit(array_module(rows[0]).concatenate(rows), len(captions), captions=captions)


def results_of(model: Any, translation: Translation, item: dict[str, Any]) -> dict[str, Any]:
    """Return the answers to an item by caption: the model's baseline if it has one, and the result, or its stages."""
    baseline = (
        {source_words(model, translation): baseline_of(model, translation, item)} if can(model, "baseline") else {}
    )
    if can(model, "stages"):
        return baseline | {words: y.clip(-1, 1) for words, y in model.stages(item).items()}
    words = "result" if translation.paired else f"as {translation.target}"
    return baseline | {words: result_of(model, translation, item)}


def _enlarged(x: Any, like: Any) -> Any:
    """Return pictures x (1, h, w, C) with pixels repeated up to the size of others, if that is a multiple of theirs."""
    (h, w), (H, W) = x.shape[1:3], like.shape[1:3]
    if (H % h, W % w) != (0, 0):
        return x
    return x.repeat(H // h, axis=1).repeat(W // w, axis=2)


def in_color(model: Any, array: str, x: Any) -> Any:
    """Return a picture (1, H, W, C) or a map of K classes (1, H, W, K) as (1, H, W, 3) in [-1, 1]."""
    xp = array_module(x)
    if not is_map(model, array):
        return xp.broadcast_to(x.clip(-1, 1), (*x.shape[:3], 3)).astype(xp.float32)
    colors = xp.asarray(colors_of(model, array, x.shape[3]), xp.float32) / 127.5 - 1  # (K, 3)
    known = x.any(axis=3)[..., None]  # (1, H, W, 1)
    return xp.where(known, colors[x.argmax(axis=3)], xp.float32(UNKNOWN))


def colors_of(model: Any, array: str, K: int) -> np.ndarray:
    """Return the model's colors of the classes of a map, (K, 3) bytes; if it has none, hues that differ."""
    given = getattr(model, f"{array}_colors", None)
    if given is not None:
        return np.asarray(given)
    hues = 2 * np.pi * (GOLDEN * np.arange(K)[:, None] + np.array([0, 1 / 3, 2 / 3]))  # (K, 3)
    return np.rint(127.5 * (1 + 0.9 * np.cos(hues))).astype(np.uint8)
