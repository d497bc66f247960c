"""Pillow at work: one picture, of any kind and size, becomes a square of bytes with 1 or 3 channels.

* The shorter side is resized to the size asked for, and the centre is cut out.
* What is transparent is shown on white, as a page would show it.
* EXIF orientation is applied; 16-bit grey is scaled to 8 bits; of an animation, the first frame is used.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

from minigan.errors import DataError

ARRAY_BUDGET = 4 << 30  # bytes that a data set in memory may take after resizing
SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I")  # Pillow reads 16-bit grey PNG as I before version 11
GREY_MODES = ("1", "L", "LA", *SIXTEEN_BIT_MODES)


def to_square(image: Image.Image, img_size: int, channels: int) -> np.ndarray:
    """Decode a picture to uint8 (img_size, img_size, channels)."""
    image.draft(None, (2 * img_size, 2 * img_size))  # a large JPEG is decoded at 1/2, 1/4 or 1/8: a free shrink
    ImageOps.exif_transpose(image, in_place=True)
    image = _plain(image).convert("L" if channels == 1 else "RGB")
    return _resize(image, img_size)


def _plain(image: Image.Image) -> Image.Image:
    """Return the picture with 8 bits per channel and without transparency."""
    if image.mode in SIXTEEN_BIT_MODES:
        levels = np.clip(np.asarray(image, dtype=np.int32), 0, 65535)
        return Image.fromarray(((levels * 255 + 32767) // 65535).astype(np.uint8))  # at most 255 × 65535 < 2^31
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        page = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(page, image)
    return image


def _resize(image: Image.Image, img_size: int) -> np.ndarray:
    """Resize the shorter side to `img_size`, cut out the centre; return uint8 (img_size, img_size, C)."""
    if image.size != (img_size, img_size):
        enlarge = min(image.size) < img_size
        method = Image.Resampling.BICUBIC if enlarge else Image.Resampling.LANCZOS  # Lanczos rings when it enlarges
        image = ImageOps.fit(image, (img_size, img_size), method)
    pixels = np.asarray(image)
    return pixels.reshape(img_size, img_size, -1)


def fit_array(pictures: np.ndarray, img_size: int | None, channels: int | None, name: str) -> np.ndarray:
    """Make uint8 pictures (N, H, W, C) square with side `img_size` and 1 or 3 `channels`; None leaves them as they are.

    Returns `pictures` itself if nothing is to be done. Raises DataError, naming the data set, if the result would take
    more than `ARRAY_BUDGET` bytes.
    """
    n, *size, c = pictures.shape
    if channels == 1 and c == 3:
        pictures = np.stack([np.asarray(Image.fromarray(p).convert("L")) for p in pictures])[..., None]
    if img_size and size != [img_size, img_size]:
        pictures = _resize_array(pictures, img_size, name)
    if channels == 3 and c == 1:
        pictures = np.broadcast_to(pictures, (*pictures.shape[:3], 3))  # a view: three channels in the memory of one
    return pictures


def _resize_array(pictures: np.ndarray, img_size: int, name: str) -> np.ndarray:
    n, c = len(pictures), pictures.shape[-1]
    if (needed := n * img_size * img_size * c) > ARRAY_BUDGET:
        raise DataError(
            f"{name} at {img_size}x{img_size} takes {needed / 2**30:.1f} GiB of memory: "
            "use a smaller --img-size, or fewer pictures with --limit"
        )
    out = np.empty((n, img_size, img_size, c), np.uint8)
    for row, picture in zip(out, pictures, strict=True):
        row[...] = _resize(Image.fromarray(picture[..., 0] if c == 1 else picture), img_size)
    return out
