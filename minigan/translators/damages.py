"""Damages: functions that make a damaged picture of a clean one, for models that learn to undo it.

A damage is written as its name and a number, and several in a row are separated by commas: `blur:2,noise:10`. For a
range such as `noise:5-50`, a number is drawn for each picture. Pictures are (H, W, C) floats in [−1, 1].

    noise:25      Gaussian noise with σ = 25 on the scale of bytes, 0…255
    salt:0.05     5 % of the pixels become black or white
    blur:2        a Gaussian blur with σ = 2 pixels
    jpeg:20       JPEG compression with quality 20, by Pillow
    gray          no colors: every channel becomes the luminance of ITU-R BT.601
    fade:0.5      an old print: less color, less contrast, a tint of yellow; 0 would be no change. Default: 0.2-0.7
    hole:center   no pixels in a rectangle in the middle, half as wide and half as high as the picture
    hole:blobs    no pixels in blobs about 10 to 20 pixels across, which cover 20 to 30 % of the picture

A hole is a damage of its own: its pixels are 0, middle gray, and the mask is 0 there. All others are known, and a model
that fills holes leaves them as they are, so it could undo no other damage.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from math import ceil

import numpy as np

BYTE = 1 / 127.5  # one step of a byte, on the scale of [−1, 1]
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue, ITU-R BT.601
PAPER = np.array([0.8, 0.65, 0.35], np.float32)  # the color that an old print fades to
BLOB, COVERED = 4.0, (0.2, 0.3)  # σ of the blur that makes blobs of white noise; the share of pixels that they cover
NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?)(?:-([0-9]+(?:\.[0-9]+)?))?")

Rng = np.random.Generator


def noise(x: np.ndarray, sigma: float, rng: Rng) -> np.ndarray:
    """Add Gaussian noise. The result isn't clipped: its noise has mean 0 in black and white regions, too."""
    return x + np.float32(sigma * BYTE) * rng.standard_normal(x.shape, dtype=np.float32)


def salt(x: np.ndarray, share: float, rng: Rng) -> np.ndarray:
    """Replace a share of the pixels, half of them by black and half by white."""
    drawn = rng.random((*x.shape[:2], 1), dtype=np.float32)
    return np.where(drawn < share, np.where(drawn < share / 2, np.float32(-1), np.float32(1)), x)


def blur(x: np.ndarray, sigma: float, rng: Rng) -> np.ndarray:
    """Average with Gaussian weights, along columns, then along rows. The picture is extended by reflection."""
    radius = ceil(3 * sigma)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    for axis in (0, 1):
        size = x.shape[axis]
        padded = np.pad(x, [(radius, radius) if i == axis else (0, 0) for i in range(x.ndim)], mode="symmetric")
        padded = np.moveaxis(padded, axis, 0)  # (size + 2·radius, …)
        x = np.zeros_like(padded[:size])
        for first, weight in enumerate(weights):
            x += weight * padded[first : first + size]
        x = np.moveaxis(x, 0, axis)
    return np.ascontiguousarray(x)


def jpeg(x: np.ndarray, quality: float, rng: Rng) -> np.ndarray:
    """Compress and decompress. Values are rounded to bytes, so those outside of [−1, 1] are clipped."""
    from PIL import Image  # not an import of the module: the engine runs without Pillow

    levels = np.clip(np.rint((x + 1) / BYTE), 0, 255).astype(np.uint8)
    file = BytesIO()
    Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels).save(file, "JPEG", quality=round(quality))
    return (np.asarray(Image.open(file), np.float32) * np.float32(BYTE) - 1).reshape(x.shape)


def gray(x: np.ndarray, amount: float, rng: Rng) -> np.ndarray:
    """Replace every channel by the luminance."""
    return np.repeat(_luminance(x), x.shape[2], axis=2)


def fade(x: np.ndarray, amount: float, rng: Rng) -> np.ndarray:
    """Move colors toward the luminance by `amount`, and the result toward the color of paper by half of it."""
    paper = PAPER if x.shape[2] == 3 else PAPER @ LUMINANCE
    pale = x + np.float32(amount) * (_luminance(x) - x)
    return pale + np.float32(amount / 2) * (paper - pale)


def center(height: int, width: int, rng: Rng) -> np.ndarray:
    """Return a mask (H, W, 1) without the middle half of the rows and columns."""
    mask = np.ones((height, width, 1), np.uint8)
    top, left = height // 4, width // 4
    mask[top : top + height // 2, left : left + width // 2] = 0
    return mask


def blobs(height: int, width: int, rng: Rng) -> np.ndarray:
    """Return a mask (H, W, 1) without the pixels at which blurred white noise is smallest.

    The context encoder (Pathak et al. 2016) cuts its masks out of one large enlarged noise; this noise is new each
    time, and its threshold gives exactly the drawn share.
    """
    field_ = blur(rng.standard_normal((height, width, 1), dtype=np.float32), BLOB, rng)
    covered = round(rng.uniform(*COVERED) * field_.size)
    mask = np.ones(field_.size, np.uint8)
    mask[np.argsort(field_, axis=None)[:covered]] = 0
    return mask.reshape(field_.shape)


HOLES: dict[str, Callable[[int, int, Rng], np.ndarray]] = {"center": center, "blobs": blobs}


@dataclass(frozen=True)
class Sort:
    """A sort of damage: `change` (x, number, rng) → x, and the numbers that it takes.

    least, most: the limits of the number
    usual:       the range if no number is given; None if a number is required
    numbers:     what the number means, for messages; empty if there is none
    """

    change: Callable[[np.ndarray, float, Rng], np.ndarray]
    least: float = 0.0
    most: float = 0.0
    usual: tuple[float, float] | None = None
    numbers: str = ""


SORTS = {
    "noise": Sort(noise, 0, 255, None, "σ from 0 to 255, on the scale of bytes, such as noise:25 or noise:5-50"),
    "salt": Sort(salt, 0, 1, None, "a share of the pixels from 0 to 1, such as salt:0.05"),
    "blur": Sort(blur, 0.1, 50, None, "σ in pixels from 0.1 to 50, such as blur:2"),
    "jpeg": Sort(jpeg, 1, 95, None, "a quality from 1 to 95, such as jpeg:20"),
    "gray": Sort(gray),
    "fade": Sort(fade, 0, 0.95, (0.2, 0.7), "an amount from 0 to 0.95, such as fade:0.5"),
}


@dataclass(frozen=True)
class Damages:
    """Several damages in a row, from their text. Raises ValueError, which says what is wrong with the text.

    clip:    clip the damaged picture to [−1, 1], as a file of bytes would be
    masked:  True if it is a hole
    """

    text: str
    clip: bool = False
    parts: tuple[tuple[str, float, float], ...] = field(init=False)  # name, least and most number
    hole: str = field(init=False, default="")

    def __post_init__(self) -> None:
        words = [word.strip() for word in re.sub("gr[ea]y", "gray", self.text.lower()).split(",")]
        if "" in words:
            raise ValueError(f"`damage` {self.text!r} lacks a damage: {_known()}")
        holes = [word for word in words if word.partition(":")[0] == "hole"]
        if holes and len(words) > 1:
            why = "a hole is a damage of its own, since no other pixel changes when it is filled"
            raise ValueError(f"`damage` {self.text}: {why}: train a model for each")
        if holes:
            object.__setattr__(self, "hole", _hole(words.pop()))
        object.__setattr__(self, "parts", tuple(_part(word) for word in words))

    @property
    def masked(self) -> bool:
        """True if the damage is a hole."""
        return bool(self.hole)

    @property
    def takes_color(self) -> bool:
        """True if colors are lost or faded, so that the restored picture has more of them."""
        return any(name in ("gray", "fade") for name, *_ in self.parts)

    def check_channels(self, channels: int) -> None:
        """Raise ValueError if pictures with this number of channels can't be damaged in this way."""
        if channels == 1 and any(name == "gray" for name, *_ in self.parts):
            raise ValueError("`damage` gray takes colors away, and the pictures have none: use pictures in color")

    def __call__(self, clean: np.ndarray, rng: Rng) -> dict[str, np.ndarray]:
        """Return {"damaged": (H, W, C) float32}, for a hole also {"mask": (H, W, 1) uint8}, 1 where pixels are known.

        clean: (H, W, C) float32 in [−1, 1]
        """
        x = np.asarray(clean, np.float32)
        for name, least, most in self.parts:
            x = SORTS[name].change(x, rng.uniform(least, most), rng)
        if self.clip:
            x = np.clip(x, -1, 1)
        if not self.hole:
            return {"damaged": x}
        mask = HOLES[self.hole](x.shape[0], x.shape[1], rng)
        return {"damaged": x * mask, "mask": mask}


def _part(word: str) -> tuple[str, float, float]:
    """Parse `noise:25` or `noise:5-50`. Raises ValueError."""
    name, colon, text = word.partition(":")
    if name not in SORTS:
        raise ValueError(f"`damage` {word!r} is unknown: {_known()}")
    sort = SORTS[name]
    if not sort.numbers:
        if colon:
            raise ValueError(f"`damage` {word}: {name} takes no number")
        return name, 0.0, 0.0
    if not colon and sort.usual:
        return name, *sort.usual
    found = NUMBER.fullmatch(text)
    if found is None:
        commas = ", and several damages are separated by commas" if re.search(r"[\s;+]", word) else ""
        raise ValueError(f"`damage` {word}: {name} takes {sort.numbers}{commas}")
    least, most = float(found[1]), float(found[2] or found[1])
    if least > most:
        raise ValueError(f"`damage` {word}: a range begins with its smaller number, as {name}:{found[2]}-{found[1]}")
    if not sort.least <= least <= most <= sort.most:
        raise ValueError(f"`damage` {word}: {name} takes {sort.numbers}")
    return name, least, most


def _known() -> str:
    """Say which damages there are."""
    return f"choose from {', '.join([*SORTS, *(f'hole:{hole}' for hole in HOLES)])}, several with commas"


def _hole(word: str) -> str:
    """Parse `hole:center`. Raises ValueError."""
    name = word.partition(":")[2]
    if name not in HOLES:
        raise ValueError(f"`damage` {word}: choose from {', '.join(f'hole:{hole}' for hole in HOLES)}")
    return name


def _luminance(x: np.ndarray) -> np.ndarray:
    """Return the luminance (H, W, 1) of a picture in color, or a gray picture itself."""
    return (x @ LUMINANCE)[..., None] if x.shape[2] == 3 else x
