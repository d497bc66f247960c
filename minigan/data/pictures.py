"""Convert one picture, of any kind and size, to bytes of a given size with 1 or 3 channels, using Pillow.

* The center is cropped to the requested aspect ratio, as large as possible, and resized.
* Transparent pictures are composited on white, as on a page.
* EXIF orientation is applied; 16-bit gray is scaled to 8 bits; of an animation, the first frame is used.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from minigan.common.arguments import whole
from minigan.errors import DataError

ARRAY_BUDGET = 4 << 30  # bytes that a data set in memory may take after resizing
SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I")  # before version 11, Pillow reads 16-bit gray PNG as I
ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
ORIENTATION, TIFF_WIDTH, TIFF_HEIGHT = 274, 256, 257  # tags; an orientation of 5 or more swaps the sides
SMALLEST, LARGEST = 4, 4096  # pixels of a side
GRAY_MODES = ("1", "L", "LA", *SIXTEEN_BIT_MODES)
SIZE = re.compile(r"([0-9]{1,9})(?:[x×]([0-9]{1,9}))?", re.IGNORECASE)

Size = int | tuple[int, int]  # the side of a square, or (height, width)


def parse_size(text: str) -> tuple[int, int]:
    """Parse `64`, or `96x64` for height and width, as (height, width). Raises DataError for anything else."""
    found = SIZE.fullmatch(text.strip())
    if found is None:
        raise DataError(f"a size is a number, or HEIGHTxWIDTH such as 96x64, not {text!r}")
    return as_size((int(found[1]), int(found[2] or found[1])))


def as_size(img_size: Any) -> tuple[int, int]:
    """Return (height, width) of a size given as a number or a pair. Raises DataError for anything else."""
    pair = tuple(img_size) if isinstance(img_size, (tuple, list)) else (img_size, img_size)
    if len(pair) != 2:
        raise DataError(f"a size is a number, or a pair (height, width), not {img_size!r}")
    height, width = (whole(side, "pictures", "their size", DataError) for side in pair)
    if min(height, width) < SMALLEST or max(height, width) > LARGEST:
        made = f"an image size of {size_words(height, width)} cannot be made"
        raise DataError(f"{made}: use `img_size` {SMALLEST} to {LARGEST}")
    return height, width


def size_words(height: int, width: int) -> str:
    """Format a size as `parse_size` reads it: `64x64`, `96x64`."""
    return f"{height}x{width}"


def to_size(image: Image.Image, size: tuple[int, int], channels: int, half: int | None = None) -> np.ndarray:
    """Decode a picture, or its left (0) or right (1) `half`, to uint8 (*size, channels), size (height, width)."""
    read_key(image)
    if half is None:
        least = 2 * max(size)  # in both directions, because EXIF data may rotate the picture
        image.draft(None, (least, least))  # decodes a large JPEG at 1/2, 1/4 or 1/8 of its size, which is faster
    image = _upright(image, half)
    image = image.convert("L" if channels == 1 or image.mode in ("1", "L") else "RGB")
    pixels = _resize(image, size)  # (*size, 1 or 3)
    return np.broadcast_to(pixels, (*size, channels))


def to_pixels(image: Image.Image, channels: int | None = None, half: int | None = None) -> np.ndarray:
    """Decode a picture, or its left (0) or right (1) `half`, at its own size to uint8 (H, W, channels).

    `channels` are by default 1 if the picture is gray, else 3.
    """
    read_key(image)
    image = _upright(image, half)
    gray = channels == 1 or image.mode in ("1", "L")
    pixels = np.asarray(image.convert("L" if gray else "RGB")).reshape(image.height, image.width, -1)
    return np.broadcast_to(pixels, (*pixels.shape[:2], channels or pixels.shape[2]))


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return (height, width) after the rotation that the EXIF data requests, of a picture whose header was read."""
    width, height = image.size
    try:
        turned = Image.Image.getexif(image).get(ORIENTATION, 1) > 4  # a PNG's own method would decode it
        tags = getattr(image, "tag_v2", {})  # of a TIFF: some versions of Pillow have rotated image.size already
        width, height = tags.get(TIFF_WIDTH, width), tags.get(TIFF_HEIGHT, height)
    except Exception:  # damaged EXIF data: decoding will show whether it matters
        turned = False
    return (width, height) if turned else (height, width)


def _upright(image: Image.Image, half: int | None = None) -> Image.Image:
    """Rotate a photo as its EXIF data says, and composite it on white: mode 1, L, RGB or another without alpha."""
    ImageOps.exif_transpose(image, in_place=True)
    image, middle = on_white(image), image.width // 2
    return image if half is None else image.crop((middle * half, 0, middle * (half + 1), image.height))


def read_key(image: Image.Image) -> None:
    """Scale the transparent color of a PNG, if it has one, to the 8 bits that its samples will have.

    The chunk tRNS holds the color in the bit depth of the file (2 to 16), and Pillow passes it on unchanged. Of 16-bit
    color, Pillow keeps the upper 8 bits; pixels that agree with the key in these are transparent. `image.tile` gives
    the depth of the samples.
    """
    key = image.info.get("transparency")
    if image.format != "PNG" or key is None or not image.tile:
        return
    kept = image.tile[0][3]
    if kept == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in key)
    elif kept in ("L;2", "L;4"):
        most = 2 ** int(kept[-1]) - 1
        image.info["transparency"] = (key & most) * 255 // most


def on_white(image: Image.Image) -> Image.Image:
    """Return the picture with 8 bits per channel, composited on white if parts of it are transparent."""
    key = image.info.get("transparency")  # the transparent color, of pictures without an alpha channel
    if image.mode in SIXTEEN_BIT_MODES:
        levels = np.clip(np.asarray(image), 0, 65535).astype(np.int32)
        if key is not None:
            levels[levels == key] = 65535
        levels *= 255  # at most 255 × 65535 < 2^31
        levels += 32767
        levels //= 65535
        return Image.fromarray(levels.astype(np.uint8))
    if image.mode in ("1", "L") and key is not None:
        return image.convert("L").point([255 if level == key else level for level in range(256)])
    if image.mode not in ALPHA_MODES and key is None:
        return image
    image = image.convert("RGBA")
    page = Image.new("RGB", image.size, "white")
    page.paste(image, mask=image.getchannel("A"))
    return page


def _resize(image: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """Crop the center to the aspect ratio of `size` (height, width) and resize it; return uint8 (*size, C)."""
    height, width = size
    if image.size != (width, height):
        enlarge = image.width < width or image.height < height
        method = Image.Resampling.BICUBIC if enlarge else Image.Resampling.LANCZOS  # Lanczos would ring
        image = ImageOps.fit(image, (width, height), method)
    return np.asarray(image).reshape(height, width, -1)


def check_size(img_size: Size | None, channels: int | None) -> None:
    """Raise DataError for a size or a number of channels that pictures can't have; None is allowed."""
    if img_size is not None:
        as_size(img_size)
    if channels not in (None, 1, 3):
        raise DataError(f"pictures have 1 channel (gray) or 3 (color), not {channels!r}")


def fit_array(pictures: np.ndarray, img_size: Size | None, channels: int | None, name: str) -> np.ndarray:
    """Convert uint8 pictures (N, H, W, C) to `img_size` and 1 or 3 `channels`; None keeps what they have.

    Returns `pictures` itself if they fit already. Raises DataError, naming the data set, if the result would take more
    than `ARRAY_BUDGET` bytes.
    """
    c = pictures.shape[3]
    if channels == 1 and c == 3:
        pictures = np.stack([np.asarray(Image.fromarray(p).convert("L")) for p in pictures])[..., None]
    if img_size is not None and pictures.shape[1:3] != as_size(img_size):
        pictures = _resize_array(pictures, as_size(img_size), name)
    if channels == 3 and c == 1:
        pictures = np.broadcast_to(pictures, (*pictures.shape[:3], 3))  # a view, without a copy
    return pictures


def _resize_array(pictures: np.ndarray, size: tuple[int, int], name: str) -> np.ndarray:
    n, c = len(pictures), pictures.shape[-1]
    if (needed := n * size[0] * size[1] * c) > ARRAY_BUDGET:
        needs = f"{name} at {size_words(*size)} takes {needed / 2**30:.1f} GiB of memory"
        raise DataError(f"{needs}: use a smaller `img_size`, or fewer pictures with `limit`")
    out = np.empty((n, *size, c), np.uint8)
    for row, picture in zip(out, pictures, strict=True):
        row[...] = _resize(Image.fromarray(picture[..., 0] if c == 1 else picture), size)
    return out
