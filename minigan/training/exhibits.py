"""Drawing an exhibit: pictures in a grid, with captions above its columns, or points over real ones."""

from __future__ import annotations

from textwrap import wrap
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from minigan.errors import ShapeError
from minigan.model import Exhibit
from minigan.training.pictures import BACKGROUND, GUTTER, MOST_PIXELS, grid, scatter

INK, FONT, SIDE = (60, 60, 60), 12, 640  # letters are so high, and higher in a grid that is wider than so many pixels
MOST_LINES = 4


def draw_exhibit(exhibit: Exhibit, real: np.ndarray | None = None, centers: np.ndarray | None = None) -> Image.Image:
    """Draw pictures (N, H, W, C), C = 1 or 3, or points (N, F), the first two coordinates of each.

    Points are drawn over the `real` ones, which decide the frame, and `centers` are marked. Raises ShapeError for
    samples of another kind.
    """
    samples = np.asarray(exhibit.samples)
    if samples.ndim == 2 and len(samples):
        return scatter(*map(_plane, (samples, real, centers)))
    if samples.ndim != 4 or samples.shape[3] not in (1, 3) or not samples.size:
        shape = "×".join(map(str, samples.shape))
        raise ShapeError(f"an exhibit has samples of shape {shape}: show pictures (N, H, W, 1 or 3) or points (N, 2)")
    image = grid(samples, exhibit.columns)
    while image.width * image.height > MOST_PIXELS:
        image = image.reduce(2)
    return _captioned(image, exhibit.captions) if exhibit.captions else image


def _plane(points: Any) -> Any:
    """Points (N, F) on a plane (N, 2); those with one coordinate lie on its axis."""
    if points is None:
        return None
    return points[:, :2] if points.shape[1] > 1 else np.pad(points, ((0, 0), (0, 1)))


def _captioned(image: Image.Image, captions: tuple[str, ...]) -> Image.Image:
    """A grid with a caption above each of its columns, broken into lines where it is wider than the column."""
    size, width = max(FONT, FONT * image.width // SIDE), (image.width - GUTTER) // len(captions)
    letters = max(2, 3 * width // (2 * size))  # nearly all are narrower than two thirds of their height
    lines = [wrap(caption, letters, max_lines=MOST_LINES, placeholder="…") for caption in captions]
    line, font = size * 4 // 3, ImageFont.load_default(size)
    head = line * max(map(len, lines)) + GUTTER
    canvas = Image.new("RGB", (image.width, image.height + head), BACKGROUND)
    canvas.paste(image, (0, head))
    pen = ImageDraw.Draw(canvas)
    for i, some in enumerate(lines):
        for j, text in enumerate(reversed(some)):  # the last one stands on the picture
            pen.text((GUTTER + (i + 0.5) * width, head - j * line - GUTTER), text, INK, font, "md")
    return canvas
