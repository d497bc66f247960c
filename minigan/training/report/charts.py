"""The curves of a run, as HTML that can be read without JavaScript.

A drawing is stretched to the room that there is (`preserveAspectRatio="none"`), and its lines keep their width.
Numbers and names stand beside it as ordinary text, placed in per cent: they are as large on a phone as anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.training.curves import ticks, value_range
from minigan.training.report.markup import Html, join, number, tag, tick
from minigan.training.report.series import Records, running_mean, thin

WIDTH, HEIGHT = 2000, 1000  # units of a drawing
FEW = 60  # values that are shown as dots, as they are; more are smoothed
MOST_OTHERS = 8  # charts of measures that this file knows nothing of


@dataclass(frozen=True)
class Chart:
    """What a chart shows. `curves`: names in the records, and what people call them. `kind` decides the axis:

    "any"       from 0 on, or from the lowest value, to the highest; the wildest hundredth is cut off
    "opinion"   the same, or 0 to 1 if all values are there, as probabilities are
    "positive"  from 0 to the highest value
    "share"     from 0 to 1 at least
    """

    key: str
    title: str
    curves: dict[str, str]
    kind: str = "any"
    note: str = ""


LARGE = (
    Chart("losses", "Losses", {"d_loss": "D", "g_loss": "G"}),
    Chart("opinions", "What D thinks", {"d_real": "D(x), real", "d_fake": "D(G(z)), generated"}, "opinion"),
)
SMALL = (
    Chart("fid", "FID", {"fid": "FID"}, "positive", "lower is better"),
    Chart("is", "Inception Score", {"is": "Inception Score"}, "positive", "higher is better"),
    Chart("inception_score", "Inception Score", {"inception_score": "Inception Score"}, "positive", "higher is better"),
    Chart("modes", "Modes found", {"modes": "modes"}, "positive", "of the data, by the generator"),
    Chart("quality", "Quality", {"quality": "good samples"}, "share", "share of samples near a mode"),
    Chart("diversity", "Diversity", {"diversity": "diversity"}, "share", "1: as real data; 0: all alike"),
    Chart("penalty", "Gradient penalty", {"penalty": "penalty"}, "positive"),
    Chart("weights", "Weights", {"weights.D": "D", "weights.G": "G"}, "positive", "root mean square"),
    Chart("speed", "Samples per second", {"pictures_per_second": "samples/s"}, "positive", "while training"),
)
KNOWN = {name for chart in LARGE + SMALL for name in chart.curves} | {"step", "epoch", "seconds"}


def others(records: Records) -> list[Chart]:
    """A chart for each further number in the records, such as a model's own measures."""
    names = [name for name in records.names if name not in KNOWN and not name.startswith(("gradients.", "weights."))]
    return [
        Chart(f"other-{name}", name[:40].replace("_", " "), {name: name[:40].replace("_", " ")})
        for name in names[:MOST_OTHERS]
    ]


def draw(chart: Chart, records: Records, last: int) -> tuple[Html, dict[str, Any]] | None:
    """The chart over the steps 0 to `last`, and what page.js needs to read it off. None if there is nothing to show.

    The data: "key", "steps" of the points that are drawn, "curves" their values, "range" of the axis.
    """
    steps, values = records.series(*chart.curves)
    if not len(steps):
        return None
    low, high = axis(values, chart.kind)
    kept = thin(values)
    x = np.rint(steps[kept] / max(last, 1) * WIDTH)
    few = len(steps) <= FEW
    below, above = [tag("path", class_="grid", d=_grid(low, high))], []
    for i, y in enumerate(values):
        raw, mean = (_heights(heights, low, high) for heights in (y[kept], running_mean(y, kept)))
        below.append(tag("path", class_=f"{'mean' if few else 'raw'} c{i}", d=_line(x, raw)))
        above.append(
            tag("path", class_=f"{'dots' if few else 'mean'} c{i}", d=_dots(x, raw) if few else _line(x, mean))
        )
    whole = {"viewBox": f"0 0 {WIDTH} {HEIGHT}", "preserveAspectRatio": "none"}
    words = in_words(chart, steps, values)
    picture = tag("svg", *below, *above, **whole, role="img", aria_label=words)
    plot = tag("div", picture, _y_axis(low, high), x_axis(last), class_="plot")
    cut = int(((values < low) | (values > high)).any(axis=0).sum())
    kind = "chart" if len(values) > 1 else "chart alone"
    figure = tag("figure", _caption(chart, steps, values, cut), plot, class_=kind)
    data = {
        "key": chart.key,
        "steps": steps[kept].tolist(),
        "curves": [[float(f"{v:.6g}") for v in y[kept]] for y in values],
        "range": [low, high],
    }
    return figure, data


def axis(values: np.ndarray, kind: str) -> tuple[float, float]:
    """The range of the axis for values (curves, n); never so narrow that rounding leaves nothing of it."""
    low, high = _range(values, kind)
    least = max(1e-9 * max(abs(low), abs(high)), 1e-30)
    return (low, high) if high - low >= least else (low - least, high + least)


def _range(values: np.ndarray, kind: str) -> tuple[float, float]:
    least, top = float(values.min()), float(values.max())
    if kind == "share":
        return min(0.0, least), max(1.0, 1.05 * top)
    if kind == "positive" and least >= 0:
        return 0.0, 1.05 * top or 1.0
    if kind == "any" and least >= 0 and top <= 1:  # value_range would take them for probabilities
        return 0.0, 1.05 * float(np.quantile(values, 0.995)) or 1.0
    return value_range(values)


def in_words(chart: Chart, steps: np.ndarray, values: np.ndarray) -> str:
    """The chart for those who can't see it."""
    curves = [
        f"{name} from {number(y[0])} to {number(y[-1])}, lowest {number(y.min())}, highest {number(y.max())}"
        for name, y in zip(chart.curves.values(), values, strict=True)
    ]
    return f"{chart.title}, steps {steps[0]:,.0f} to {steps[-1]:,.0f}. {'; '.join(curves)}."


def _caption(chart: Chart, steps: np.ndarray, values: np.ndarray, cut: int) -> Html:
    """Title, and a legend with the last values; page.js puts those at the cursor in their place."""
    entries = []
    for i, (name, y) in enumerate(zip(chart.curves.values(), values, strict=True)):
        entries.append(tag("li", tag("i", class_=f"c{i}"), name, " ", tag("b", number(y[-1])), class_="curve"))
    entries.append(tag("li", "step ", tag("b", f"{steps[-1]:,.0f}"), class_="at"))
    note = chart.note
    if cut:
        note = f"{note}; " * bool(note) + f"{cut:,} of {len(steps):,} points lie beyond the axis"
    title = tag("h3", chart.title, *([" ", tag("small", note)] if note else []))
    return tag("figcaption", title, tag("ul", *entries, class_="legend"))


def _heights(y: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.rint((high - np.clip(y, low, high)) / (high - low) * HEIGHT)


def _line(x: np.ndarray, y: np.ndarray) -> str:
    return "M" + "L".join(f"{a:.0f} {b:.0f}" for a, b in zip(x, y, strict=True))


def _dots(x: np.ndarray, y: np.ndarray) -> str:
    """Lines of no length: their round ends stay round however the drawing is stretched."""
    return "".join(f"M{a:.0f} {b:.0f}h0" for a, b in zip(x, y, strict=True))


def _grid(low: float, high: float) -> str:
    return "".join(f"M0 {y:.0f}H{WIDTH}" for y in _heights(np.array(ticks(low, high, 4)), low, high))


def _y_axis(low: float, high: float) -> Html:
    labels = [
        tag("span", tick(value), style=f"top:{100 * (high - value) / (high - low):.2f}%")
        for value in ticks(low, high, 4)
    ]
    return tag("div", *labels, class_="y", aria_hidden="true")


def x_axis(last: int) -> Html:
    """The numbers below a drawing over the steps 0 to `last`."""
    labels = [
        tag("span", tick(value), style=f"left:{100 * value / max(last, 1):.2f}%") for value in ticks(0, max(last, 1), 4)
    ]
    return tag("div", tag("em", "step"), join(labels), class_="x", aria_hidden="true")
