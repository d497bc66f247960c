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
LONGEST_NOTE = 160
# How to read a chart, by its title, if the model has no note of its own
NOTES = {
    "Losses": "networks with opposite aims: none falls for good, and samples are judged by pictures and scores instead",
    "Output of D": "far apart: D tells real from generated; close together: it can't",
    "Output of the critics": "far apart: a critic tells real from generated; close together: it can't",
    "Gradient penalty": "near 0 where D's slope is near the one that the penalty asks for",
    "Identity error": "mean |difference|, of a range of 2: small if a picture of the target's kind is left as it is",
    "Cross-entropy": "−mean log of the probability of each pixel's class; lower is better",
    "L1": "mean |difference|, of a range of 2; lower is better",
}
NO_NOTE = "a mean over ten steps, as the model returns it"


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
        Chart(
            "Weights",
            {name: name.partition(".")[2] for name in weights},
            "positive",
            "root mean square of each network; it should level off",
        ),
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
    below_plot = tag("p", _how_to_read(chart, curves, (low, high)), class_="how")
    figure = tag("figure", _caption(chart, curves), plot, below_plot, class_=kind)
    return figure, {"title": chart.title[:LONGEST], "range": [low, high], "curves": drawn}


def _in_words(chart: Chart, curves: list[tuple[str, np.ndarray, np.ndarray]]) -> str:
    """Return a text alternative for screen readers."""
    parts = []
    for words, _, y in curves:
        ends = f"{words} from {number(y[0])} to {number(y[-1])}"
        parts.append(f"{ends}, lowest {number(y.min())}, highest {number(y.max())}")
    first, last = min(steps[0] for _, steps, _ in curves), max(steps[-1] for _, steps, _ in curves)
    return f"{chart.title[:LONGEST]}, steps {first:,.0f} to {last:,.0f}. {'; '.join(parts)}."


def _how_to_read(chart: Chart, curves: list[tuple[str, np.ndarray, np.ndarray]], shown: tuple[float, float]) -> str:
    """Return the line below a chart: the note of its measures, else by its title; and how many points it leaves out."""
    note = chart.note[:LONGEST_NOTE] or NOTES.get(chart.title.partition(" at ")[0], NO_NOTE)
    values = np.concatenate([y for *_, y in curves])
    cut = int(((values < shown[0]) | (values > shown[1])).sum())
    return note + (f"; {cut:,} of {len(values):,} points lie beyond the axis" if cut else "")


def _caption(chart: Chart, curves: list[tuple[str, np.ndarray, np.ndarray]]) -> Html:
    """Return the title and a legend with the last values, which page.js replaces by the values at the cursor."""
    entries = []
    for i, (words, _, y) in enumerate(curves):
        color = tag("i", class_=f"c{i % COLORS}")
        entries.append(tag("li", color, words, " ", tag("b", number(y[-1])), class_="curve"))
    last = max(steps[-1] for _, steps, _ in curves)
    entries.append(tag("li", "step ", tag("b", f"{last:,.0f}"), class_="at"))
    return tag("figcaption", tag("h3", chart.title[:LONGEST]), tag("ul", *entries, class_="legend"))


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
