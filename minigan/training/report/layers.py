"""Heat maps of the gradient norms: a row for each layer, a column for each interval of steps, a logarithmic color."""

from __future__ import annotations

import base64
import io
from math import ceil, floor
from typing import Any

import numpy as np
from PIL import Image

from minigan.training.curves import RecordTable
from minigan.training.declared import Declared
from minigan.training.report.charts import x_axis
from minigan.training.report.markup import Html, number, table, tag

COLUMNS = 120  # at most, in a row
MOST_NETWORKS, MOST_LAYERS = 8, 64  # of each
TABLE = "gradients."
# Viridis (Smith and van der Walt 2015, matplotlib): perceptually uniform, also for color-blind readers
COLORS = ("440154", "472d7b", "3b528b", "2c728e", "21918c", "28ae80", "5ec962", "addc30", "fde725")
ANCHORS = np.array([[int(color[i : i + 2], 16) for i in (0, 2, 4)] for color in COLORS], float)


def draw(records: RecordTable, last: int, declared: Declared) -> tuple[list[Html], Html, list[Any]] | None:
    """Return a map for each network, the color key, and the data for page.js; None if there are no gradients.

    The data for each network: "key", "steps" at which columns end, "rows" of norms.
    """
    networks: dict[str, list[str]] = {}
    for name in (name.removeprefix(TABLE) for name in records.names if name.startswith(TABLE)):
        networks.setdefault(name.partition(".")[0], []).append(name)
    networks = {network: networks[network][:MOST_LAYERS] for network in list(networks)[:MOST_NETWORKS]}
    if not networks:
        return None
    series = {name: records.series(TABLE + name) for rows in networks.values() for name in rows}
    n = min(COLUMNS, max(len(steps) for steps, _ in series.values()))
    ends = np.linspace(0, last, n + 1)[1:]  # the steps at which columns end
    norms = {name: _row(*curve, ends) for name, curve in series.items()}
    decades = _decades(np.concatenate(list(norms.values())))
    maps, data = [], []
    for network, rows in networks.items():
        maps.append(_map(network, {name: norms[name] for name in rows}, decades, last, declared))
        shown = [[float(f"{v:.4g}") if np.isfinite(v) else None for v in norms[name]] for name in rows]
        data.append({"key": network, "steps": ends.round().astype(int).tolist(), "rows": shown})
    return maps, _key(*decades), data


def _row(steps: np.ndarray, norms: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the maximum of norms (n,) in each column; a column without records repeats the one before, or is NaN."""
    largest = np.full(len(ends), np.nan)
    np.fmax.at(largest, np.minimum(np.searchsorted(ends, steps), len(ends) - 1), np.abs(norms))
    filled = np.maximum.accumulate(np.where(np.isnan(largest), 0, np.arange(len(ends))))
    return largest[filled]


def _decades(norms: np.ndarray) -> tuple[int, int]:
    """Return the powers of ten at the ends of the color scale, which covers all norms except the smallest 1 %."""
    positive = norms[norms > 0]
    if not len(positive):
        return -1, 0
    low, high = floor(np.log10(np.quantile(positive, 0.01)) + 1e-9), ceil(np.log10(positive.max()) - 1e-9)
    return min(low, high - 1), high


def _map(network: str, rows: dict[str, np.ndarray], decades: tuple[int, int], last: int, declared: Declared) -> Html:
    """Return a table of layers with rows of the heat map and last norms, or the norms at the cursor (page.js)."""
    lines = []
    for name, norm in rows.items():
        what = declared.layers.get(name, "")
        label = tag("b", name[:40]), " ", tag("span", what.partition("(")[0][:40])
        seen = norm[np.isfinite(norm)]
        first, end = (number(seen[0]), number(seen[-1])) if len(seen) else ("—", "—")
        strip = tag("img", src=_strip(norm, *decades), alt=f"from {first} to {end}", width="120", height="18")
        head = tag("th", *label, scope="row", title=what[:200] or None)
        lines.append(tag("tr", head, tag("td", strip, class_="strip"), tag("td", end, class_="value")))
    foot = tag("tfoot", tag("tr", tag("td"), tag("td", x_axis(last)), tag("td")))
    title = tag("figcaption", tag("h3", declared.networks.get(network, network)[:40]))
    return tag("figure", title, table(("layer", "over time", "last"), lines, foot), class_="heat")


def _strip(norm: np.ndarray, low: int, high: int) -> str:
    """Return a row of pixels as a data URI, transparent where the norm is 0 or unknown."""
    known = norm > 0
    place = np.clip((np.log10(np.where(known, norm, 1.0)) - low) / (high - low), 0, 1) * (len(ANCHORS) - 1)
    color = np.stack([np.interp(place, np.arange(len(ANCHORS)), channel) for channel in ANCHORS.T], axis=1)
    pixels = np.concatenate([color.round(), 255.0 * known[:, None]], axis=1).astype(np.uint8)  # (columns, 4)
    buffer = io.BytesIO()
    Image.fromarray(pixels[None]).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _key(low: int, high: int) -> Html:
    """Return the color key, labeled with powers of ten."""
    marks = []
    for k in range(low, high + 1, max(1, ceil((high - low) / 6))):
        power, place = tag("sup", str(k).replace("-", "−")), 100 * (k - low) / (high - low)
        marks.append(tag("span", "10", power, style=f"left:{place:.2f}%"))
    bar = tag("div", class_="bar", style=f"background:linear-gradient(to right,{','.join('#' + c for c in COLORS)})")
    axis = tag("div", *marks, class_="x", aria_hidden="true")
    words = f"Colors from 10 to the power of {low}, dark, to 10 to the power of {high}, light"
    return tag("div", bar, axis, class_="key", role="img", aria_label=words)
