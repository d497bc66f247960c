"""The page of `minigan score`: pictures by their score, with reconstructions and heat maps, in one HTML file."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from minigan.backend import to_numpy
from minigan.commands.scored import Inputs
from minigan.model import can
from minigan.training.files import write_text
from minigan.training.normal import Normal
from minigan.training.pictures import to_bytes, to_image
from minigan.training.report.markup import Html, join, number, table, tag

HIGHEST, LOWEST = 150, 30  # pictures that are shown
RED = np.array([220, 20, 20], np.float32)
STYLE = """
:root { color-scheme: light dark; --paper: light-dark(#f6f5f2, #14171b); --card: light-dark(#ffffff, #1c2026);
  --ink: light-dark(#1e2328, #e8eaed); --quiet: light-dark(#5a626c, #a4adb8); --line: light-dark(#dedbd5, #343a43);
  --alarm: light-dark(#b3261e, #ff8a80);
  font: 16px/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1200px; padding: 20px; background: var(--paper); color: var(--ink); }
h1 { font-size: 1.6rem; margin: 0; overflow-wrap: anywhere; }
p { margin: 8px 0; max-width: 75ch; }
table { border-collapse: collapse; margin: 12px 0; }
th, td { text-align: right; padding: 2px 12px; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
.scroll { overflow-x: auto; }
.cards { display: grid; gap: 12px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 270px), 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 10px; margin: 0; }
.alarm { border-color: var(--alarm); border-width: 2px; }
.three { display: grid; gap: 4px; grid-template-columns: repeat(3, 1fr); }
.three img { width: 100%; display: block; }
.small img { image-rendering: pixelated; }
figcaption { font-size: .85rem; overflow-wrap: anywhere; }
.verdict { font-weight: 600; }
.alarm .verdict { color: var(--alarm); }
.quiet, h2 small { color: var(--quiet); font-weight: normal; }
"""
SMOOTH = 128  # pixels: smaller pictures are shown unsmoothed


def heat_map(x: np.ndarray, y: np.ndarray, full: float) -> np.ndarray:
    """Return a picture (H, W, C) in gray, reddened where its reconstruction y differs: bytes (H, W, 3).

    full: the mean |x − y| over the channels of a pixel that is drawn in full red
    """
    gray = to_bytes(x).mean(axis=2, keepdims=True)  # (H, W, 1)
    share = np.clip(abs(x - y).mean(axis=2, keepdims=True) / max(full, 1e-6), 0, 1)
    return np.rint((1 - share) * gray + share * RED).astype(np.uint8)


def write_page(
    path: Path,
    model: Any,
    inputs: Inputs,
    scores: np.ndarray,
    p: np.ndarray,
    normal: Normal,
    abnormal: np.ndarray | None,
    found: dict[str, Any],
) -> None:
    """Write the page: the highest scores first, then the lowest."""
    order = np.argsort(-scores, kind="stable")
    shown = order if len(order) <= HIGHEST + LOWEST else np.concatenate([order[:HIGHEST], order[-LOWEST:]])
    cards = []
    for some in (shown[start : start + 64] for start in range(0, len(shown), 64)):
        x = inputs.read(some)
        y = to_numpy(model.reconstruct(model.device.array(x))) if can(model, "reconstruct") else None
        for k, i in enumerate(some):
            pictures = [to_image(to_bytes(x[k]))]
            if y is not None:
                pictures += [to_image(to_bytes(y[k])), Image.fromarray(heat_map(x[k], y[k], normal.heat))]
            known = "" if abnormal is None else f", {inputs.classes[i]}"
            cards.append(_card(pictures, inputs.names[i] + known, scores[i], p[i], scores[i] > normal.threshold))
    left = len(order) - len(shown)
    title = f"{found['run']}: {found['abnormal']:,} of {len(order):,} pictures are abnormal"
    between = [tag("p", f"{left:,} pictures with scores in between are in scores.csv.", class_="quiet")] if left else []
    top = tag("div", *cards[:HIGHEST] if left else cards, class_="cards")
    rest = [*between, tag("div", *cards[HIGHEST:], class_="cards")] if left else []
    write_text(path, _page(title, join([_about(found, normal), top, *rest])))


def _card(pictures: list[Image.Image], name: str, score: float, p: float, alarm: bool) -> Html:
    size = "three small" if max(pictures[0].size) < SMOOTH else "three"
    words = ("picture", "reconstruction", "heat map")
    images = [
        tag("img", src=_encoded(one), alt=f"{word} of {name}") for one, word in zip(pictures, words, strict=False)
    ]
    verdict = tag("span", "abnormal" if alarm else "normal", class_="verdict")
    line = f" score {number(float(score))}, p {p:.3f}"
    caption = tag("figcaption", verdict, line, tag("div", name, class_="quiet"))
    return tag("figure", tag("div", *images, class_=size), caption, class_="card alarm" if alarm else "card")


def _encoded(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _about(found: dict[str, Any], normal: Normal) -> Html:
    """Return the sentences above the pictures, and the table of methods if there are labels."""
    lines = [
        f"A picture is abnormal if its score is above {number(normal.threshold)}. Of normal pictures, "
        f"{100 * normal.alpha:g} % or less are expected to be. The threshold is the score at place "
        f"{found['normal']['rank']:,} of {len(normal.scores):,} normal pictures, {normal.source}, in ascending order.",
        "Each card: picture, reconstruction, and in red where they differ, in full red where only one in a thousand "
        "pixels of normal pictures differs as much. p: the share of normal pictures with such a score or a larger one.",
    ]
    parts = [tag("p", line) for line in lines]
    if "methods" in found:
        names = ("auroc", "average_precision", "found", "missed", "false_alarms", "passed")
        rows = []
        for title, one in found["methods"].items():
            cells = [
                f"{one[n]:.3f}" if isinstance(one[n], float) else "–" if one[n] is None else f"{one[n]:,}"
                for n in names
            ]
            rows.append(tag("tr", tag("td", title), *(tag("td", cell) for cell in cells)))
        head = ("by", "AUROC", "average precision", "found", "missed", "false alarms", "passed")
        parts.append(tag("div", table(head, rows), class_="scroll"))
    return join(parts)


def _page(title: str, body: Html) -> str:
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("title", title),
        tag("style", Html(STYLE)),
    ]
    return f"<!doctype html>\n{tag('html', tag('head', *head), tag('body', tag('h1', title), body), lang='en')}\n"
