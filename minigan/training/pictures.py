"""Draws samples: exhibits, grids of pictures, scatter plots of points, latent interpolations, films."""

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

from minigan.backend import to_numpy
from minigan.errors import ShapeError
from minigan.model import Exhibit
from minigan.training.files import replacing

GUTTER = 2  # pixels between the pictures of a grid
BACKGROUND = (255, 255, 255)
CELL = 64  # small pictures are enlarged by an integer factor, up to this size
MOST_PIXELS = 2**24  # of a picture of a run; larger files are rejected
PLOT = 480  # width and height of a picture of points
FRAMES, FRAME_MS, LAST_FRAME_MS = 60, 120, 2000  # of a film
SIDE = 640  # pixels of a frame, at most; captions are enlarged in wider grids
INK, FONT, MOST_LINES = (60, 60, 60), 12, 4  # of captions
# Exceptions of Pillow for damaged files
BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
DAMAGED = (OSError, ValueError, SyntaxError, OverflowError, MemoryError, *BOMBS)


def draw_exhibit(exhibit: Exhibit, real: np.ndarray | None = None, centers: np.ndarray | None = None) -> Image.Image:
    """Draw pictures (N, H, W, C), C = 1 or 3, or points (N, F), by their first two coordinates.

    Points are drawn over the `real` ones, which determine the range of the axes; `centers` are marked. Raises
    ShapeError for samples of any other shape.
    """
    samples = to_numpy(exhibit.samples)
    if samples.ndim == 2 and len(samples):
        return scatter(*map(_in_plane, (samples, real, centers)))
    if samples.ndim != 4 or samples.shape[3] not in (1, 3) or not samples.size:
        shape = "×".join(map(str, samples.shape))
        raise ShapeError(f"an exhibit has samples of shape {shape}: show pictures (N, H, W, 1 or 3) or points (N, 2)")
    image = grid(samples, exhibit.columns)
    while image.width * image.height > MOST_PIXELS:
        image = image.reduce(2)
    return _captioned(image, exhibit.captions) if exhibit.captions else image


def _in_plane(points: Any) -> Any:
    """Reduce points (N, F) to (N, 2): the first two coordinates, with zeros for the second if F = 1."""
    if points is None:
        return None
    return points[:, :2] if points.shape[1] > 1 else np.pad(points, ((0, 0), (0, 1)))


def _captioned(image: Image.Image, captions: tuple[str, ...]) -> Image.Image:
    """Add a caption above each column of a grid, wrapped to the width of the column."""
    width, head, size, lines = _layout(image.width, captions)
    line, font = size * 4 // 3, ImageFont.load_default(size)
    canvas = Image.new("RGB", (image.width, image.height + head), BACKGROUND)
    canvas.paste(image, (0, head))
    pen = ImageDraw.Draw(canvas)
    for i, some in enumerate(lines):
        for j, text in enumerate(reversed(some)):  # upward from the picture
            pen.text((GUTTER + (i + 0.5) * width, head - j * line - GUTTER), text, INK, font, "md")
    return canvas


def _layout(width: int, captions: tuple[str, ...]) -> tuple[int, int, int, list[list[str]]]:
    """Return the width of a column of a grid, the height of the captions, their font size, and their lines."""
    size, column = max(FONT, FONT * width // SIDE), (width - GUTTER) // len(captions)
    letters = max(2, 3 * column // (2 * size))  # assumes letters two thirds as wide as the font size
    lines = [wrap(caption, letters, max_lines=MOST_LINES, placeholder="…") for caption in captions]
    return column, size * 4 // 3 * max(map(len, lines)) + GUTTER, size, lines


def table_layout(size: tuple[int, int], captions: tuple[str, ...], rows: int) -> dict[str, float]:
    """Return where the pictures of a drawn table are, as shares of its width and height.

    size: (width, height) of the whole drawing, in pixels
    {"left", "top"} of the first picture; {"right", "down"} to the next column and row; {"width", "height"} of each
    """
    (W, H), gutter = size, GUTTER
    column, head, *_ = _layout(W, captions)
    row = (H - head - gutter) / rows
    shares = {"left": gutter / W, "right": column / W, "width": (column - gutter) / W}
    return shares | {"top": (head + gutter) / H, "down": row / H, "height": (row - gutter) / H}


def to_bytes(pictures: np.ndarray) -> np.ndarray:
    """Convert pictures in [-1, 1] to bytes; values outside are clipped."""
    return np.clip(np.rint((np.asarray(pictures, np.float32) + 1) * 127.5), 0, 255).astype(np.uint8)


def to_image(picture: np.ndarray) -> Image.Image:
    """Convert one picture (H, W, C) of bytes, C = 1 or 3, to an RGB image."""
    return Image.fromarray(np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3))))


def grid(pictures: np.ndarray, columns: int | None = None) -> Image.Image:
    """Arrange pictures (N, H, W, C) in [-1, 1] row by row, in an approximately square grid if `columns` is None."""
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
    """Draw generated points (N, 2) in blue over real ones in gray; `centers` (K, 2) are marked by crosses.

    The range of the axes depends on the real points only, so that the pictures of a run are comparable. With `lines`,
    `points` is (paths, steps, 2), and the points of each path are connected.
    """
    reach = 1.25 * float(np.abs(points if real is None else real).max() or 1)
    scale = PLOT  # drawn at twice the size, then reduced: Pillow has no antialiasing
    canvas = Image.new("RGB", (2 * PLOT, 2 * PLOT), BACKGROUND)
    draw = ImageDraw.Draw(canvas)

    def pixels(xy: np.ndarray) -> list[tuple[float, float]]:
        return [(scale + x / reach * scale, scale - y / reach * scale) for x, y in xy.reshape(-1, 2).tolist()]

    def dots(xy: np.ndarray, radius: float, color: tuple[int, int, int]) -> None:
        for x, y in pixels(xy):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), color)

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
    """Interpolate spherically from a (n, dim) to b (n, dim), at t in [0, 1], with linearly interpolated length.

    In many dimensions, nearly all Gaussian latents have a length of about √dim. The straight line between two of them
    passes through much shorter latents, which the generator was never trained on (White 2016).
    """
    length_a, length_b = (np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    angle = np.arccos(np.clip((a * b).sum(axis=1, keepdims=True) / (length_a * length_b), -1, 1))
    angle = np.maximum(angle, 1e-6)  # as the angle goes to 0, the weights below approach 1 − t and t
    along = (np.sin((1 - t) * angle) * a / length_a + np.sin(t * angle) * b / length_b) / np.sin(angle)
    return (along * ((1 - t) * length_a + t * length_b)).astype(a.dtype)


def walk(starts: np.ndarray, ends: np.ndarray, steps: int) -> np.ndarray:
    """Interpolate from each row of `starts` (rows, dim) to the same row of `ends`: latents (rows, steps, dim)."""
    return np.stack([slerp(starts, ends, t) for t in np.linspace(0, 1, steps)], axis=1)


def enlarged(picture: np.ndarray, side: int) -> Image.Image:
    """Enlarge one picture (H, W, C) in [-1, 1] by a whole factor, so that it has at least `side` pixels."""
    image = to_image(to_bytes(picture))
    times = max(1, ceil(side / max(image.size)))
    return image.resize((times * image.width, times * image.height), Image.Resampling.NEAREST)


def save_image(image: Image.Image, path: str | os.PathLike) -> None:
    """Write a PNG atomically."""
    with replacing(path) as file:
        image.save(file, "PNG")


def open_picture(path: Path) -> Image.Image:
    """Read a picture of a run as RGB. Raises one of DAMAGED if the file is invalid."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=["PNG"]) as file:
            if file.width * file.height > MOST_PIXELS:
                raise ValueError(f"{path} is too large for a picture of a run")
            return file.convert("RGB")


def shrink(image: Image.Image, side: int = SIDE) -> bool:
    """Reduce a picture in place to at most `side` pixels each way; return whether it was larger."""
    larger = max(image.size) > side
    if larger:
        image.thumbnail((side, side), Image.Resampling.BOX)
    return larger


def save_film(pictures: Sequence[Path], path: str | os.PathLike) -> None:
    """Write an animated GIF of at most 60 frames of at most 640 pixels each way. Damaged pictures are skipped."""
    chosen = np.linspace(0, len(pictures) - 1, min(FRAMES, len(pictures))).round().astype(int)
    frames = []
    for i in chosen:
        try:
            frame = open_picture(pictures[i])
        except DAMAGED:
            continue
        shrink(frame)
        frames.append(frame.quantize(128, dither=Image.Dither.NONE))
    if frames:
        save_frames(frames, path)


def save_frames(frames: Sequence[Image.Image], path: str | os.PathLike, frame_ms: int = FRAME_MS) -> None:
    """Write frames of one size as an animated GIF, atomically. The last one is shown for two seconds."""
    durations = [frame_ms] * (len(frames) - 1) + [LAST_FRAME_MS]
    with replacing(path) as file:
        frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
