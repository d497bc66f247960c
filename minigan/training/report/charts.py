"""The curves of a run, as HTML that is readable without JavaScript.

An SVG is stretched to the available space (`preserveAspectRatio="none"`) with constant line widths. Numbers and names
are ordinary HTML text at positions in percent, so that their size doesn't depend on the size of the chart.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from minigan.model import Judgement
from minigan.training.curves import RecordTable, running_mean, thin, ticks, value_range
from minigan.training.declared import Chart, Declared, judgement_chart
from minigan.training.report.markup import Html, join, number, tag, tick

WIDTH, HEIGHT = 2000, 1000  # of a chart, in SVG units
FEW = 60  # curves with at most this many values are drawn as dots, longer ones are smoothed
MOST_CHARTS, MOST_CURVES, COLORS = 30, 12, 6  # page.css has six colors, which are reused cyclically
LONGEST = 40  # characters of a name


def diversities(records: RecordTable) -> dict[str, Judgement]:
    """Return the diversities of the exhibits, which the doctor measures, as judgements."""
    names = [name for name in records.names if name.partition(".")[0] == "diversity"]
    note = "1: as real data; 0: all alike"
    return {name: Judgement(name.replace(".", " of "), "higher", note, "share") for name in names}


def charts_of(declared: Declared, records: RecordTable) -> tuple[list[Chart], list[Chart]]:
    """Return the large charts, which are the first two of the measures, and the small ones."""
    place = {f"weights.{network}": i for i, network in enumerate(declared.networks)}
    weights = sorted((n for n in records.names if n.startswith("weights.")), key=lambda n: place.get(n, len(place)))
    small = [
        *declared.judged,
        *(judgement_chart(name, judgement) for name, judgement in diversities(records).items()),
        *declared.charts[2:],
        Chart("Weights", {name: name.partition(".")[2] for name in weights}, "positive", "root mean square"),
        Chart("Samples per second", {"pictures_per_second": "samples/s"}, "positive", "while training"),
    ]
    large = declared.charts[:2]
    known = {name for chart in large + small for name in chart.curves} | {"step", "epoch", "seconds"}
    others = [name for name in records.names if name not in known and not name.startswith("gradients.")]
    small += [Chart(name.replace("_", " "), {name: name.replace("_", " ")}) for name in others]
    return large, small[:MOST_CHARTS]


def draw(chart: Chart, records: RecordTable, last: int) -> tuple[Html, dict[str, Any]] | None:
    """Return the chart over the steps 0 to `last`, and its data for page.js. None if there is no data.

    The data: "title", "range" of the axis, and "curves", each with the "steps" and "values" of the drawn points.
    """
    curves = [(words[:LONGEST], *records.series(name)) for name, words in chart.curves.items() if name in records.names]
    curves = curves[:MOST_CURVES]
    if not curves:
        return None
    low, high = value_range(np.concatenate([y for *_, y in curves]), chart.scale)
    grid = "".join(f"M0 {y:.0f}H{WIDTH}" for y in _heights(np.array(ticks(low, high, 4)), low, high))
    below, above, drawn = [tag("path", class_="grid", d=grid)], [], []
    for i, (_, steps, y) in enumerate(curves):
        kept, few, color = thin(y), len(y) <= FEW, f"c{i % COLORS}"
        x = np.rint(steps[kept] / max(last, 1) * WIDTH)
        raw, mean = (_heights(some, low, high) for some in (y[kept], running_mean(y, kept)))
        below.append(tag("path", class_=f"{'mean' if few else 'raw'} {color}", d=_line(x, raw)))
        kind, drawing = ("dots", _dots(x, raw)) if few else ("mean", _line(x, mean))
        above.append(tag("path", class_=f"{kind} {color}", d=drawing))
        drawn.append({"steps": steps[kept].tolist(), "values": [float(f"{v:.6g}") for v in y[kept]]})
    whole = {"viewBox": f"0 0 {WIDTH} {HEIGHT}", "preserveAspectRatio": "none"}
    picture = tag("svg", *below, *above, **whole, role="img", aria_label=_in_words(chart, curves))
    heights = tag("div", *_labels(low, high, "top"), class_="y", aria_hidden="true")
    plot = tag("div", picture, heights, x_axis(last), _phases(records, last), class_="plot")
    kind = "chart" if len(curves) > 1 else "chart alone"
    figure = tag("figure", _caption(chart, curves, (low, high)), plot, class_=kind)
    return figure, {"title": chart.title[:LONGEST], "range": [low, high], "curves": drawn}


def _in_words(chart: Chart, curves: list[tuple[str, np.ndarray, np.ndarray]]) -> str:
    """Return a text alternative for screen readers."""
    parts = []
    for words, _, y in curves:
        ends = f"{words} from {number(y[0])} to {number(y[-1])}"
        parts.append(f"{ends}, lowest {number(y.min())}, highest {number(y.max())}")
    first, last = min(steps[0] for _, steps, _ in curves), max(steps[-1] for _, steps, _ in curves)
    return f"{chart.title[:LONGEST]}, steps {first:,.0f} to {last:,.0f}. {'; '.join(parts)}."


def _caption(chart: Chart, curves: list[tuple[str, np.ndarray, np.ndarray]], shown: tuple[float, float]) -> Html:
    """Return the title and a legend with the last values, which page.js replaces by the values at the cursor."""
    entries = []
    for i, (words, _, y) in enumerate(curves):
        color = tag("i", class_=f"c{i % COLORS}")
        entries.append(tag("li", color, words, " ", tag("b", number(y[-1])), class_="curve"))
    last = max(steps[-1] for _, steps, _ in curves)
    entries.append(tag("li", "step ", tag("b", f"{last:,.0f}"), class_="at"))
    values, note = np.concatenate([y for *_, y in curves]), chart.note[: 2 * LONGEST]
    if cut := int(((values < shown[0]) | (values > shown[1])).sum()):
        note = f"{note}; " * bool(note) + f"{cut:,} of {len(values):,} points lie beyond the axis"
    title = tag("h3", chart.title[:LONGEST], *([" ", tag("small", note)] if note else []))
    return tag("figcaption", title, tag("ul", *entries, class_="legend"))


def _heights(y: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.rint((high - np.clip(y, low, high)) / (high - low) * HEIGHT)


def _line(x: np.ndarray, y: np.ndarray) -> str:
    return "M" + "L".join(f"{a:.0f} {b:.0f}" for a, b in zip(x, y, strict=True))


def _dots(x: np.ndarray, y: np.ndarray) -> str:
    """Draw dots as lines of zero length, whose round caps aren't distorted when the SVG is stretched."""
    return "".join(f"M{a:.0f} {b:.0f}h0" for a, b in zip(x, y, strict=True))


def _labels(low: float, high: float, side: str) -> list[Html]:
    """Return the numbers at an axis, positioned by their distance from a side, "left" or "top"."""
    labels = []
    for value in ticks(low, high, 4):
        share = (value - low if side == "left" else high - value) / (high - low)
        labels.append(tag("span", tick(value), style=f"{side}:{100 * share:.2f}%"))
    return labels


def x_axis(last: int) -> Html:
    """Return the axis of the steps 0 to `last`, below a chart."""
    return tag("div", tag("em", "step"), *_labels(0, max(last, 1), "left"), class_="x", aria_hidden="true")


def _phases(records: RecordTable, last: int) -> Html:
    """Mark the beginning of each phase by a line and its name, which may extend to the next mark."""
    ends = [100 * step / max(last, 1) for step, _ in records.phases] + [100.0]
    marks = [
        tag("span", name[:LONGEST], style=f"left:{start:.2f}%;width:{end - start:.2f}%")
        for (start, end), (_, name) in zip(pairwise(ends), records.phases, strict=True)
    ]
    return join(tag("div", *marks[:MOST_CURVES], class_="phases") for _ in marks[:1])
