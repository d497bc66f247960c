"""Drawing an exhibit: pictures in a grid, with captions above its columns, or points over real ones."""

from __future__ import annotations

from textwrap import wrap

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from minigan.errors import ShapeError
from minigan.model import Exhibit
from minigan.training.pictures import BACKGROUND, GUTTER, grid, scatter

INK, LINE, FONT = (60, 60, 60), 16, 12  # pixels of a line of text, and its size
WIDEST, MOST_LINES = 8, 4  # pixels of nearly all letters


def draw_exhibit(exhibit: Exhibit, real: np.ndarray | None = None, centers: np.ndarray | None = None) -> Image.Image:
    """Draw pictures (N, H, W, C), C = 1 or 3, or points (N, F), the first two coordinates of each.

    Points are drawn over the `real` ones, which decide the frame, and `centers` are marked. Raises ShapeError for
    samples of another kind.
    """
    samples = np.asarray(exhibit.samples)
    if samples.ndim == 2 and len(samples):
        return scatter(
            _plane(samples), None if real is None else _plane(real), None if centers is None else _plane(centers)
        )
    if samples.ndim != 4 or samples.shape[3] not in (1, 3) or not samples.size:
        shape = "×".join(map(str, samples.shape))
        raise ShapeError(f"an exhibit has samples of shape {shape}: show pictures (N, H, W, 1 or 3) or points (N, 2)")
    image = grid(samples, exhibit.columns)
    return _captioned(image, exhibit.captions) if exhibit.captions else image


def _plane(points: np.ndarray) -> np.ndarray:
    """Points (N, F) on a plane (N, 2); those with one coordinate lie on its axis."""
    return points[:, :2] if points.shape[1] > 1 else np.pad(points, ((0, 0), (0, 1)))


def _captioned(image: Image.Image, captions: tuple[str, ...]) -> Image.Image:
    """A grid with a caption above each of its columns, broken into lines where it is wider than the column."""
    font, width = ImageFont.load_default(FONT), (image.width - GUTTER) // len(captions)
    lines = [wrap(caption, max(2, width // WIDEST), max_lines=MOST_LINES, placeholder="…") for caption in captions]
    head = LINE * max(map(len, lines)) + GUTTER
    canvas = Image.new("RGB", (image.width, image.height + head), BACKGROUND)
    canvas.paste(image, (0, head))
    pen = ImageDraw.Draw(canvas)
    for i, some in enumerate(lines):
        for j, line in enumerate(reversed(some)):  # the last one stands on the picture
            pen.text((GUTTER + (i + 0.5) * width, head - j * LINE - GUTTER), line, INK, font, "md")
    return canvas
