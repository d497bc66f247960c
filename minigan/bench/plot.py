"""Plot time and memory per sample, against the batch size and against the picture size.

A cost proportional to the batch size is a horizontal line. Four times the pixels should cost four times as much.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from minigan.bench.tables import MIB, memory
from minigan.training.curves import INK, PANEL, SHARP, WIDTH, Panel

TITLE = 30  # pixels above a row of panels
HALF = WIDTH // 2 + 30  # width of a panel in pixels; a row has two, for time and memory


def draw(results: list[dict[str, Any]]) -> Image.Image:
    """Draw a row for every workload measured at several batch sizes, and for every model at several picture sizes.

    Raises ValueError if there is none.
    """
    rows = list(_rows(results))
    if not rows:
        raise ValueError("there is nothing to plot: results need several batch sizes or picture sizes")
    height = TITLE + PANEL
    canvas = Image.new("RGB", (2 * HALF * SHARP, len(rows) * height * SHARP), (255, 255, 255))
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(15 * SHARP)
    for i, (title, across, points) in enumerate(rows):
        pen.text((HALF * SHARP, (i * height + TITLE / 2) * SHARP), title, INK, font, "mm")
        for j, (label, measured) in enumerate((("ms a sample", _ms), ("MiB a sample", _mib))):
            curves = _curves(list(points.values()), measured)
            if curves:
                at = np.array(list(points), float)
                placed = {name: (at, values) for name, values in curves.items()}
                Panel(canvas, i * height + TITLE, placed, True, j * HALF, HALF, across, log=True).draw(label)
    return canvas.reduce(SHARP)


def _rows(results: list[dict[str, Any]]) -> Iterator[tuple[str, str, dict[int, dict[str, Any]]]]:
    """Yield (title, x-axis label, {batch size or picture size: result}), sizes in ascending order."""
    by_batch: dict[str, dict[int, dict]] = {}
    by_size: dict[tuple[str, int], dict[int, dict]] = {}
    for result in results:
        name, batch = result["workload"], result["batch_size"]
        by_batch.setdefault(name, {})[batch] = result
        if result["size"] is not None:  # dcgan-32 and dcgan-64 are one family
            by_size.setdefault((name.rpartition("-")[0], batch), {})[result["size"]] = result
    for name, points in by_batch.items():
        if len(points) > 1:
            step = next(iter(points.values()))["step"]
            yield f"{name}: a {step} on batches of several sizes", "samples in a batch", dict(sorted(points.items()))
    for (family, batch), points in by_size.items():
        if len(points) > 1:
            step = next(iter(points.values()))["step"]
            yield f"{family}: a {step} on batches of {batch}", "width of the pictures", dict(sorted(points.items()))


def _curves(points: list[dict[str, Any]], measured: Any) -> dict[str, np.ndarray]:
    """Return one curve for each contender that is in all points with all of its numbers known."""
    curves = {}
    for contender in points[0]["seconds"]:
        values = [measured(result, contender) if contender in result["seconds"] else None for result in points]
        if None not in values:
            curves[contender] = np.array(values)
    return curves


def _ms(result: dict[str, Any], contender: str) -> float:
    return 1e3 * median(result["seconds"][contender]) / result["batch_size"]


def _mib(result: dict[str, Any], contender: str) -> float | None:
    sample = memory(result, contender)[2]
    return None if sample is None else sample / MIB
