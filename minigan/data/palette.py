"""The classes of class maps: which value of a pixel is which class.

    index     gray, palette or 16-bit files, whose pixels are numbers
    color     color files without loss: each color that occurs is a class
    nearest   JPEG files, whose colors are blurred: the class is that of the nearest of the colors that fill areas

Values are numbers, or colors as 0xRRGGBB.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.errors import DataError

UNKNOWN = 255  # stands for no class
MOST = 254  # classes
FORMS = ("index", "color", "nearest")
FLAT = 6  # levels between the darkest and brightest of 3×3 pixels inside an area
APART = 16  # levels between the colors of two classes
RARE = 0.0005  # of the pixels inside areas: a color of fewer pixels is no class
FILLED = 0.1  # of all pixels at least are inside areas, and ALIKE of those have nearly the color of their class:
ALIKE, NEARLY = 0.85, 6  # CamVid and CMP Facades as JPEG of quality 30 to 90: 0.95 to 0.997; photos: at most 0.65
PHOTOS = "if these are photos, and the other side has the maps, `swap` exchanges the sides of pairs"


@dataclass(frozen=True)
class Palette:
    """K classes: their values (K,) ascending, and colors (K, 3) to draw them; `unknown` are values without a class."""

    form: str
    values: tuple[int, ...]
    colors: tuple[tuple[int, ...], ...]
    unknown: tuple[int, ...] = ()

    def classes(self, values: np.ndarray) -> np.ndarray:
        """Return the class of each pixel (H, W) as bytes, UNKNOWN where a value is no class."""
        found, inverse = np.unique(values, return_inverse=True)
        known = np.array((*self.values, *self.unknown))
        number = np.array([*range(len(self.values)), *[UNKNOWN] * len(self.unknown)], np.uint8)
        if self.form == "nearest":
            distance = ((to_rgb(found)[:, None] - to_rgb(known)) ** 2).sum(axis=2)  # (M, K)
            which = number[distance.argmin(axis=1)]
        else:
            same = found[:, None] == known  # (M, K)
            which = np.where(same.any(axis=1), number[same.argmax(axis=1)], np.uint8(UNKNOWN))
        return which[inverse].reshape(values.shape)

    @classmethod
    def parse(cls, found: Any) -> Palette:
        """Return the palette of a dict read from JSON. Raises TypeError, KeyError or ValueError if it is none."""
        form, values, unknown = found["form"], tuple(found["values"]), tuple(found["unknown"])
        colors = tuple(tuple(color) for color in found["colors"])
        levels = [level for color in colors for level in color]
        whole = all(type(n) is int and 0 <= n < 1 << 24 for n in (*values, *unknown))
        bytes_ = all(len(color) == 3 for color in colors) and all(type(n) is int and 0 <= n < 256 for n in levels)
        if form not in FORMS or not (whole and bytes_ and 2 <= len(values) == len(colors) <= MOST):
            raise ValueError(f"{form} classes of values {values} are no palette")
        return cls(form, values, colors, unknown)

    def describe(self) -> list[str]:
        """Return the name of each class, by its value: "11", or "#0000aa"."""
        return [f"#{value:06x}" if self.form != "index" else str(value) for value in self.values]


def make_palette(form: str, values: Iterable[int], ignore: Sequence[str], drawn: np.ndarray | None = None) -> Palette:
    """Return the palette of the values that occur. `ignore` are values without a class; drawn: colors by number.

    Raises DataError if an ignored value doesn't occur, or if there are fewer than two classes, or too many.
    """
    there = sorted(values)
    wanted = [_value(text, form) for text in ignore]
    if form == "nearest":
        wanted = [_nearest(value, there) for value in wanted]
    for text, value in zip(ignore, wanted, strict=True):
        if value not in there:
            shown = ", ".join(Palette(form, tuple(there[:MOST]), ()).describe()[:32])
            raise DataError(f"`ignore` {text} doesn't occur in the class maps, which have {shown}: leave it out")
    kept = tuple(value for value in there if value not in wanted)
    if not 2 <= len(kept) <= MOST:
        few = "a single value" if len(kept) == 1 else f"{len(kept):,} values" if kept else "no value"
        raise DataError(f"the class maps have {few}, and there are 2 to {MOST} classes: are these the right files?")
    numbers = np.array(kept)
    colors = to_rgb(numbers) if form != "index" else (distinct_colors() if drawn is None else drawn)[numbers % 256]
    return Palette(form, kept, tuple(tuple(color) for color in colors.tolist()), tuple(wanted))


def _value(text: str, form: str) -> int:
    """Parse a value to ignore. Raises DataError."""
    if form == "index" and text.isdecimal():
        return int(text)
    if form != "index" and len(text) == 7 and text[0] == "#" and set(text[1:].lower()) <= set("0123456789abcdef"):
        return int(text[1:], 16)
    what = "numbers, such as 11" if form == "index" else "colors, such as #000000"
    raise DataError(f"`ignore` {text} is no value of these class maps: their pixels are {what}")


def _nearest(color: int, there: Sequence[int]) -> int:
    """Return the color of the set that a color stands for; the color itself if none is near."""
    distance = abs(to_rgb(np.array(there)) - to_rgb(np.array([color]))).max(axis=1)
    return there[int(distance.argmin())] if distance.min() <= 2 * APART else color


def to_rgb(values: np.ndarray) -> np.ndarray:
    """Return colors (N, 3) of values (N,), 0xRRGGBB."""
    return np.stack([values >> 16, values >> 8 & 255, values & 255], axis=-1).astype(np.int64)


def distinct_colors() -> np.ndarray:
    """Return 256 distinct colors (256, 3), as the Pascal VOC challenge draws its classes.

    Bits 0, 3 and 6 of the number are the highest bits of red, bits 1, 4 and 7 those of green, bits 2 and 5 of blue.
    """
    numbers = np.arange(256)
    bit = [numbers >> k & 1 for k in range(9)]
    return np.stack([bit[c] << 7 | bit[c + 3] << 6 | bit[c + 6] << 5 for c in range(3)], axis=-1)


def inside_areas(pixels: np.ndarray) -> np.ndarray:
    """Return the values (N,) of those pixels (H, W, 3) that have nearly the color of all their neighbors."""
    x = pixels.astype(np.int16)
    height, width = x.shape[0] - 2, x.shape[1] - 2
    shifted = [x[i : i + height, j : j + width] for i in range(3) for j in range(3)]
    range_ = np.maximum.reduce(shifted) - np.minimum.reduce(shifted)  # (H − 2, W − 2, 3)
    inner = x[1:-1, 1:-1][range_.max(axis=2) <= FLAT].astype(np.int64)  # (N, 3)
    return inner[:, 0] << 16 | inner[:, 1] << 8 | inner[:, 2]


def colors_of_areas(found: Iterable[np.ndarray], n_pixels: int) -> list[int]:
    """Return the colors that fill areas, from the values of pixels inside them; n_pixels: of all pixels there are.

    The most frequent color and all that are near it become one class, then the most frequent one of the rest, until
    what is left is rare. Raises DataError if there are too few areas, or too many colors.
    """
    values, counts = np.unique(np.concatenate(list(found)), return_counts=True)
    total = counts.sum()
    if total < FILLED * n_pixels:
        share = f"only {total / n_pixels:.0%} of the pixels are inside areas of one color"
        raise DataError(f"the class maps have no areas, {share}: {PHOTOS}")
    rgb, left, classes = to_rgb(values), counts.astype(float), []
    alike = 0
    while len(classes) <= MOST:
        near = np.linalg.norm(rgb - rgb[left.argmax()], axis=1) <= APART
        weights = left * near
        if weights.sum() < RARE * total:
            break
        color = np.rint(weights @ rgb / weights.sum()).astype(int)
        alike += weights[np.linalg.norm(rgb - color, axis=1) <= NEARLY].sum()
        classes.append(int(color[0] << 16 | color[1] << 8 | color[2]))
        left[near] = 0
    if alike < ALIKE * total:
        raise DataError(f"the class maps have areas of all colors: {PHOTOS}")
    return classes
