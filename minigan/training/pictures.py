"""Drawing samples: exhibits, a grid of pictures, points on the plane, a walk through the latent space, a film."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from math import ceil, sqrt
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from minigan.errors import ShapeError
from minigan.model import Exhibit
from minigan.training.files import replacing

GUTTER = 2  # pixels between the pictures of a grid, before it is enlarged
BACKGROUND = (255, 255, 255)
CELL = 64  # small pictures are enlarged by a whole factor, up to this size
MOST_PIXELS = 2**24  # of a picture of a run; a larger file isn't one
PLOT = 480  # width and height of a picture of points
FRAMES, FRAME_MS, LAST_FRAME_MS = 60, 120, 2000  # of a film
SIDE = 640  # pixels of a frame, at most; in a wider grid, captions are larger
INK, FONT, MOST_LINES = (60, 60, 60), 12, 4  # of captions
# What Pillow raises for a damaged file
BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
DAMAGED = (OSError, ValueError, SyntaxError, OverflowError, MemoryError, *BOMBS)


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


def to_bytes(pictures: np.ndarray) -> np.ndarray:
    """Turn pictures in [-1, 1] into bytes; what lies outside is clipped."""
    return np.clip(np.rint((np.asarray(pictures, np.float32) + 1) * 127.5), 0, 255).astype(np.uint8)


def to_image(picture: np.ndarray) -> Image.Image:
    """Turn one picture (H, W, C) of bytes, C = 1 or 3, into an image in colour."""
    return Image.fromarray(np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3))))


def grid(pictures: np.ndarray, columns: int | None = None) -> Image.Image:
    """Lay out pictures (N, H, W, C) in [-1, 1], row by row, on a canvas about as wide as high."""
    n, h, w, _ = pictures.shape
    columns = min(n, columns or ceil(sqrt(n * h / w)))
    scale = max(1, CELL // max(h, w))
    step_y, step_x = h * scale + GUTTER, w * scale + GUTTER
    canvas = Image.new("RGB", (columns * step_x + GUTTER, ceil(n / columns) * step_y + GUTTER), BACKGROUND)
    for i, picture in enumerate(to_bytes(pictures)):
        image = to_image(picture).resize((w * scale, h * scale), Image.Resampling.NEAREST)
        canvas.paste(image, (GUTTER + i % columns * step_x, GUTTER + i // columns * step_y))
    return canvas


def scatter(
    points: np.ndarray, real: np.ndarray | None = None, centers: np.ndarray | None = None, lines: bool = False
) -> Image.Image:
    """Draw generated points (N, 2) in blue over real ones in grey; `centers` (K, 2) are marked by crosses.

    The frame depends on the real points alone, so that the pictures of a run can be compared. `lines` takes `points`
    as (paths, steps, 2) and joins the steps of each path.
    """
    reach = 1.25 * float(np.abs(points if real is None else real).max() or 1)
    scale = PLOT  # drawn at twice the size, then reduced: Pillow's lines and dots have no smooth edges of their own
    canvas = Image.new("RGB", (2 * PLOT, 2 * PLOT), BACKGROUND)
    draw = ImageDraw.Draw(canvas)

    def pixels(xy: np.ndarray) -> list[tuple[float, float]]:
        return [(scale + x / reach * scale, scale - y / reach * scale) for x, y in xy.reshape(-1, 2).tolist()]

    def dots(xy: np.ndarray, radius: float, colour: tuple[int, int, int]) -> None:
        for x, y in pixels(xy):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), colour)

    if real is not None:
        dots(real, 4, (190, 190, 190))
    for path in points if lines else ():
        draw.line(pixels(path), (160, 190, 225), 3)
    dots(points, 4, (31, 104, 180))
    for x, y in pixels(centers) if centers is not None else ():
        draw.line((x - 12, y, x + 12, y), (200, 40, 40), 3)
        draw.line((x, y - 12, x, y + 12), (200, 40, 40), 3)
    draw.rectangle((0, 0, 2 * PLOT - 1, 2 * PLOT - 1), outline=(200, 200, 200), width=2)
    return canvas.reduce(2)


def slerp(a: Any, b: Any, t: float) -> Any:
    """The point at t in [0, 1] on the great circle from a (n, dim) to b (n, dim), with length between theirs.

    Nearly all of a Gaussian in many dimensions lies at a distance of √dim from the origin. The straight line between
    two draws leaves that shell and passes through latents that the generator never saw (White 2016).
    """
    length_a, length_b = (np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    angle = np.arccos(np.clip((a * b).sum(axis=1, keepdims=True) / (length_a * length_b), -1, 1))
    angle = np.maximum(angle, 1e-6)  # as a and b come together, the weights below become 1 − t and t
    along = (np.sin((1 - t) * angle) * a / length_a + np.sin(t * angle) * b / length_b) / np.sin(angle)
    return (along * ((1 - t) * length_a + t * length_b)).astype(a.dtype)


def walk(starts: np.ndarray, ends: np.ndarray, steps: int) -> np.ndarray:
    """Latents (rows, steps, dim) on the way from each of `starts` (rows, dim) to the same row of `ends`."""
    return np.stack([slerp(starts, ends, t) for t in np.linspace(0, 1, steps)], axis=1)


def save_image(image: Image.Image, path: str | os.PathLike) -> None:
    """Write a PNG, whole or not at all."""
    with replacing(path) as file:
        image.save(file, "PNG")


def open_picture(path: Path) -> Image.Image:
    """A picture of a run, in colour. Raises one of DAMAGED for a file that isn't one."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=["PNG"]) as file:
            if file.width * file.height > MOST_PIXELS:
                raise ValueError(f"{path} is larger than any picture of a run")
            return file.convert("RGB")


def shrink(image: Image.Image) -> bool:
    """Reduce a picture to SIDE pixels each way; whether it was larger."""
    larger = max(image.size) > SIDE
    if larger:
        image.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    return larger


def save_film(pictures: Sequence[Path], path: str | os.PathLike) -> None:
    """Make an animated GIF from picture files, of at most 60 frames of at most 640 pixels; the last one stays.

    Damaged ones are left out; if all are, nothing is written.
    """
    chosen = np.linspace(0, len(pictures) - 1, min(FRAMES, len(pictures))).round().astype(int)
    frames = []
    for i in chosen:
        try:
            frame = open_picture(pictures[i])
        except DAMAGED:
            continue
        shrink(frame)
        frames.append(frame.quantize(128, dither=Image.Dither.NONE))
    if not frames:
        return
    durations = [FRAME_MS] * (len(frames) - 1) + [LAST_FRAME_MS]
    with replacing(path) as file:
        frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
