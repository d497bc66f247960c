"""Converts the records of a run to curves, and draws them with Pillow."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, isfinite, log10
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from minigan.training.declared import Chart, Declared
from minigan.training.folder import RunFolder
from minigan.training.pictures import save_film, save_image
from minigan.training.records import TABLES

LATEST = 2**53  # step: larger integers aren't exact in JavaScript
BUCKETS = 300  # parts of a long curve, each of which keeps its extremes
WIDTH, PANEL = 900, 300  # pixels: width of the final picture, height of a panel with its margins
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 36, 46  # margins of a panel
MARGIN = 1.15  # the factor by which a logarithmic axis extends beyond the data
SHARP = 2  # supersampling factor
INK, FAINT = (60, 60, 60), (225, 225, 225)
COLORS = ((200, 80, 30), (31, 104, 180), (60, 140, 70), (140, 70, 160), (150, 120, 0), (0, 135, 140))
MOST_PANELS = 6
WINDOWS = 40  # the window of a running mean is the length of the curve divided by this


class RecordTable:
    """The records of a run as columns. If a step has several records, the last one counts.

    Numbers in tables have names such as "gradients.G.0".

    last_step: 0 if there are no records
    notes:     (step, check, sentence), in order
    phases:    (step, name) of each phase after `first_phase`; the step is that of the last record before the phase
    """

    def __init__(self, records: Sequence[dict[str, Any]]) -> None:
        by_step = {record["step"]: record for record in records if record["step"] < LATEST}
        self.last_step = max(by_step, default=0)
        self.notes: list[tuple[int, str, str]] = []
        self.phases: list[tuple[int, str]] = []
        self.first_phase, before, phase = "", 0, None
        columns: dict[str, tuple[list[int], list[float]]] = {}
        for step, record in sorted(by_step.items()):
            flat = {name: value for name, value in record.items() if isinstance(value, (int, float))}
            for table in TABLES:
                flat |= {f"{table}.{name}": value for name, value in record.get(table, {}).items()}
            for name, value in flat.items():
                steps, values = columns.setdefault(name, ([], []))
                steps.append(step)
                values.append(value)
            if phase not in (None, record.get("phase", phase)):
                self.phases.append((before, record["phase"]))
            before, phase = step, record.get("phase", phase)
            self.first_phase = self.first_phase or phase or ""
            self.notes += [(step, note["check"], note["sentence"]) for note in record.get("notes", ())]
        self._columns = {name: (np.array(s), np.array(v, float)) for name, (s, v) in columns.items()}

    @property
    def names(self) -> list[str]:
        """The names of all columns, in the order of their first appearance."""
        return list(self._columns)

    def series(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the steps (n,) at which this number was recorded, and its values (n,)."""
        return self._columns.get(name, (np.zeros(0, int), np.zeros(0)))

    def last(self, name: str) -> float | None:
        """Return the last value of this number; None if it was never recorded."""
        return float(self._columns[name][1][-1]) if name in self._columns else None


def thin(y: np.ndarray, buckets: int = BUCKETS) -> np.ndarray:
    """Return the ascending indices of the points of a curve (n,) that are sufficient to draw it.

    The curve is divided into `buckets` parts, each of which keeps its minimum and its maximum, so that no peak is lost.
    The first and the last point are kept. A curve of at most 2 · `buckets` points is not thinned out.
    """
    n = len(y)
    if n <= 2 * buckets:
        return np.arange(n)
    edges = np.linspace(0, n, buckets + 1).astype(int)
    kept = {0, n - 1}
    for start, end in zip(edges[:-1], edges[1:], strict=True):
        part = y[start:end]
        kept |= {start + int(part.argmin()), start + int(part.argmax())}
    return np.array(sorted(kept))


def draw_run(folder: RunFolder, declared: Declared, title: str, judged_by: str) -> None:
    """Draw losses.png, evaluations.png and the film of each exhibit from the records and pictures of a run."""
    records, judged = folder.records.read(), f"{title}: {judged_by}" if judged_by else title
    drawn = {
        folder.losses: draw_charts(records, declared.charts[:2], title),
        folder.evaluations: draw_charts(records, declared.judged, judged, dots=True),
    }
    for path, image in drawn.items():
        if image is not None:
            save_image(image, path)
    for exhibit in folder.exhibits():
        save_film(folder.pictures(exhibit), folder.film(exhibit))


def draw_charts(records: list[dict], charts: list[Chart], title: str, dots: bool = False) -> Image.Image | None:
    """Draw each chart as a panel over the steps; return None if the records have no value of any chart."""
    found, panels = RecordTable(records), []
    for chart in charts:
        curves = {words: found.series(name) for name, words in chart.curves.items() if name in found.names}
        if curves:
            panels.append((f"{chart.title} ({chart.note})" if chart.note else chart.title, curves))
    if not panels:
        return None
    canvas = Image.new("RGB", (WIDTH * SHARP, len(panels[:MOST_PANELS]) * PANEL * SHARP), (255, 255, 255))
    for i, (label, curves) in enumerate(panels[:MOST_PANELS]):
        Panel(canvas, i * PANEL, curves, dots).draw(f"{title}: {label}" if title and i == 0 else label)
    return canvas.reduce(SHARP)


def running_mean(y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the mean of y (n,) over a window around each of the indices `at`; windows are truncated at the ends.

    Each window is summed separately. Differences of one cumulative sum would be faster, but after a loss of 1e30 all
    digits of later values would be lost.
    """
    n = len(y)
    reach = n // WINDOWS
    starts, ends = np.maximum(at - reach, 0), np.minimum(at + reach + 1, n)
    # reduceat sums y[i : j] for adjacent indices i < j: every second sum is a window
    sums = np.add.reduceat(np.append(y, 0.0), np.stack([starts, ends], axis=1).ravel())[::2]
    return sums / (ends - starts)


def ticks(low: float, high: float, about: int) -> list[float]:
    """Return about `about` round numbers in [low, high], whose spacing is 1, 2 or 5 times a power of ten."""
    rough = (high - low) / about
    power = 10.0 ** floor(log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= 0.75 * rough)
    first = int(np.ceil(low / step - 1e-9))
    return [k * step for k in range(first, int(np.floor(high / step + 1e-9)) + 1)]


class Panel:
    """A pair of axes at (x, y) on the canvas. Positions are in pixels of the final picture.

    curves: by name, the ascending steps (n,) and the values (n,)
    dots:   draw each value as a dot, without smoothing, for curves with few values
    across: the label of the horizontal axis
    log:    use a logarithmic horizontal axis, with a tick at each step
    """

    def __init__(
        self,
        canvas: Image.Image,
        y: int,
        curves: dict[str, tuple[np.ndarray, np.ndarray]],
        dots: bool,
        x: int = 0,
        width: int = WIDTH,
        across: str = "step",
        log: bool = False,
    ) -> None:
        self.pen = ImageDraw.Draw(canvas)
        self.font = ImageFont.load_default(13 * SHARP)
        self.left, self.right = x + LEFT, x + width - RIGHT
        self.top, self.bottom = y + TOP, y + PANEL - BOTTOM
        self.curves, self.dotted, self.across, self.log = curves, dots, across, log
        self.steps, values = (np.concatenate(some) for some in zip(*curves.values(), strict=True))
        first, last = float(self.steps.min()), float(self.steps.max())
        self.x_range = (first / MARGIN, last * MARGIN) if log else (0.0, max(last, 1.0))
        self.y_range = value_range(values, "positive" if dots else "opinion")

    def draw(self, heading: str) -> None:
        """Draw the heading, the axes, and each curve in a light color with its running mean, or its values as dots."""
        self._axes()
        self._text((self.left, self.top - 22), heading, "la")
        shown = [(name, COLORS[i % len(COLORS)], *curve) for i, (name, curve) in enumerate(self.curves.items())]
        for _, color, steps, y in shown:
            self._line(steps, y, tuple((c + 3 * 255) // 4 for c in color), 1)
        place, start = (float(self.right), self.top - 15.0), self.left + self.font.getlength(heading) / SHARP + 30
        for name, color, steps, y in reversed(shown):
            self._line(steps, y if self.dotted else running_mean(y, np.arange(len(y))), color, 2)
            if self.dotted:
                self._dots(steps, y, color)
            place = self._legend(place, name, color, start)

    def _axes(self) -> None:
        for value in ticks(*self.y_range, 5):
            y = self._y(value)
            self._stroke([(self.left, y), (self.right, y)], FAINT, 1)
            self._text((self.left - 8, y), f"{value:.6g}", "rm")
        for value in np.unique(self.steps) if self.log else ticks(*self.x_range, 8):
            x = self._x(value)
            self._stroke([(x, self.bottom), (x, self.bottom + 4)], INK, 1)
            self._text((x, self.bottom + 7), f"{value:,.6g}", "ma")
        self._stroke([(self.left, self.top), (self.left, self.bottom), (self.right, self.bottom)], INK, 1)
        self._text(((self.left + self.right) / 2, self.bottom + 24), self.across, "ma")

    def _legend(self, at: tuple[float, float], name: str, color: tuple[int, ...], start: float) -> tuple[float, float]:
        """Draw an entry with its right end `at`, in the next row if it would overlap `start`; return the next `at`."""
        (x, y), width = at, self.font.getlength(name) / SHARP + 8
        if x - width - 20 < start and x < self.right:
            x, y = self.right, y + 18
        self._text((x, y), name, "rm")
        self._stroke([(x - width - 20, y), (x - width, y)], color, 3)
        return x - width - 38, y

    def _line(self, steps: np.ndarray, y: np.ndarray, color: tuple[int, ...], width: int) -> None:
        heights = map(self._y, np.clip(y, *self.y_range))
        self._stroke(list(zip(map(self._x, steps), heights, strict=True)), color, width)

    def _dots(self, steps: np.ndarray, y: np.ndarray, color: tuple[int, ...]) -> None:
        for a, b in zip(steps, y, strict=True):
            at, radius = (self._x(a) * SHARP, self._y(b) * SHARP), 4 * SHARP
            self.pen.ellipse((at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius), color)

    def _stroke(self, points: list[tuple[float, float]], color: tuple[int, ...], width: int) -> None:
        self.pen.line([(x * SHARP, y * SHARP) for x, y in points], color, width * SHARP, "curve")

    def _text(self, at: tuple[float, float], text: str, anchor: str) -> None:
        self.pen.text((at[0] * SHARP, at[1] * SHARP), text, INK, self.font, anchor)

    def _x(self, step: float) -> float:
        low, high, step = np.log([*self.x_range, step]) if self.log else (*self.x_range, step)
        return self.left + (step - low) / (high - low) * (self.right - self.left)

    def _y(self, value: float) -> float:
        low, high = self.y_range
        return self.bottom - (value - low) / (high - low) * (self.bottom - self.top)


def value_range(values: np.ndarray, scale: str) -> tuple[float, float]:
    """Return the range of an axis for values (n,). The scales "any" and "opinion" exclude the most extreme 1 %."""
    least, top = float(values.min()), float(values.max())
    if scale == "share":
        return min(0.0, least), max(1.0, 1.05 * top)
    if scale == "opinion" and least >= 0 and top <= 1:  # probabilities
        return 0.0, 1.0
    low, high = min(least, 0.0), max(top, 0.0)
    if scale != "positive":
        low, high = (float(v) for v in np.quantile(values, (0.005, 0.995)))
    if not isfinite(high - low):
        return 0.0, 1.0
    low = min(low, 0.0)
    margin = 0.05 * (high - low) or 1.0
    low, high = (low - margin if low < 0 else low), high + margin
    narrow = max(1e-9 * max(abs(low), abs(high)), 1e-30)
    return (low, high) if high - low >= narrow else (low - narrow, high + narrow)
