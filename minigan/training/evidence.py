"""Pictures that complement the metrics of an evaluation: nearest real neighbors, and the classes of the samples."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from minigan.backend import to_numpy
from minigan.metrics import ClassCounts, FeatureNetwork, nearest
from minigan.training.curves import FAINT, INK, SHARP, WIDTH, ticks
from minigan.training.evaluation import Pictures
from minigan.training.pictures import grid

SHOWN, NEIGHBORS = 8, 7  # samples, and real pictures beside each of them
DRAWN, REAL = (31, 104, 180), (190, 190, 190)
HEIGHT = 320  # pixels of the histogram


class Evidence:
    """Collects, in the same pass over the reference as the metrics, the neighbors of a few samples and real classes."""

    def __init__(self, network: FeatureNetwork, pictures: Pictures, real: Any) -> None:
        self.real = real if isinstance(real, Pictures) else None
        first, _ = next(iter(pictures))
        self.samples = to_numpy(first[:SHOWN])
        self.near = NearestReal(to_numpy(network(first[:SHOWN])[0]))
        self.counts = ClassCounts(network.classes) if network.knows_none else None

    def watch(self, features: Any, probabilities: Any, labels: Any) -> None:
        """Add a batch of the reference."""
        self.near.update(features)
        if self.counts:
            self.counts.update(probabilities)

    def draw(self, values: dict[str, Any]) -> dict[str, Image.Image]:
        """Return the available pictures by file name."""
        drawn = {}
        if self.real is not None:
            drawn["neighbors.png"] = draw_neighbors(self.samples, self.near, self.real)
        if "shares" in values:
            real = self.counts.result()["shares"] if self.counts and self.real else None
            drawn["classes.png"] = draw_histogram(values["shares"], real, "share of each class")
        return drawn


class NearestReal:
    """Finds the real pictures with the features nearest to those of some samples, in one pass over batches.

    The distance is between features: in pixels, a copy that is shifted by one pixel would be far away.
    """

    def __init__(self, queries: np.ndarray, k: int = NEIGHBORS) -> None:
        self.queries, self.seen = queries, 0  # (Q, F)
        self.distances = np.full((len(queries), k), np.inf)  # ascending in each row
        self.indices = np.full((len(queries), k), -1)

    def update(self, features: Any) -> None:
        """Add the features (N, F) of the next N real pictures."""
        real, k = to_numpy(features), self.indices.shape[1]
        new_indices, new = nearest(self.queries, real, min(k, len(real)))  # (Q, ≤ k) each
        indices = np.hstack([self.indices, self.seen + new_indices])
        distances = np.hstack([self.distances, new])
        order = np.argsort(distances, axis=1, kind="stable")[:, :k]  # (Q, k)
        self.distances = np.take_along_axis(distances, order, axis=1)
        self.indices = np.take_along_axis(indices, order, axis=1)
        self.seen += len(real)


def draw_neighbors(samples: np.ndarray, found: NearestReal, real: Pictures) -> Image.Image:
    """Draw a row for each sample (Q, H, W, C): the sample, a white gap, and its nearest real pictures, nearest first.

    `real` must be the set that `found` was computed from. Its pictures are converted to the shape of the samples.
    """
    rows = []
    for sample, indices in zip(samples, found.indices, strict=True):
        near = real.dataset.batch(real.indices[indices[indices >= 0]])
        gap = np.ones((1, *sample.shape), sample.dtype)
        rows += [sample[None], gap, *(fitted(picture, sample.shape)[None] for picture in near)]
    return grid(np.concatenate(rows), columns=len(rows) // len(samples))


def fitted(picture: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Convert a picture (h, w, c) to (H, W, C): nearest-neighbor resizing, and the mean over channels if c ≠ C."""
    (h, w, c), (H, W, C) = picture.shape, shape
    if c != C:
        picture = np.broadcast_to(picture.mean(axis=2, keepdims=True), (h, w, C))
    rows, columns = (np.arange(H) * h // H, np.arange(W) * w // W)
    return picture[rows][:, columns]


def draw_histogram(shares: dict[str, float], real: dict[str, float] | None = None, title: str = "") -> Image.Image:
    """Draw the share of each class among samples as bars, beside gray bars for real pictures."""
    canvas = Image.new("RGB", (WIDTH * SHARP, HEIGHT * SHARP), (255, 255, 255))
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(13 * SHARP)
    left, right, top, bottom = 64 * SHARP, (WIDTH - 20) * SHARP, 40 * SHARP, (HEIGHT - 34) * SHARP
    sets = [("real", real, REAL)] if real else []
    sets.append(("drawn", shares, DRAWN))
    highest = max(1e-9, *(share for _, some, _ in sets for share in some.values()))
    scale, slot = (bottom - top) / (1.02 * highest), (right - left) / len(shares)
    for share in ticks(0, highest, 5):
        pen.line([(left, bottom - share * scale), (right, bottom - share * scale)], FAINT, SHARP)
        pen.text((left - 8 * SHARP, bottom - share * scale), f"{100 * share:.4g} %", INK, font, "rm")
    width = 0.72 * slot / len(sets)
    for i, name in enumerate(shares):
        pen.text((left + (i + 0.5) * slot, bottom + 8 * SHARP), name, INK, font, "ma")
        for j, (_, some, color) in enumerate(sets):
            start = left + (i + 0.14) * slot + j * width
            pen.rectangle([start, bottom - some[name] * scale, start + width - SHARP, bottom], color)
    pen.line([(left, bottom), (right, bottom)], INK, SHARP)
    pen.text((left, top - 10 * SHARP), title, INK, font, "lb")
    x = right
    for label, _, color in reversed(sets) if real else ():
        pen.text((x, top - 10 * SHARP), label, INK, font, "rb")
        x -= int(font.getlength(label)) + 20 * SHARP
        pen.rectangle([x, top - 24 * SHARP, x + 12 * SHARP, top - 12 * SHARP], color)
        x -= 16 * SHARP
    return canvas.reduce(SHARP)
