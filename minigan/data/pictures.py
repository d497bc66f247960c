"""Pillow at work: one picture, of any kind and size, becomes a square of bytes with 1 or 3 channels.

* The shorter side is resized to the size asked for, and the centre is cut out.
* What is transparent is shown on white, as a page would show it.
* EXIF orientation is applied; 16-bit grey is scaled to 8 bits; of an animation, the first frame is used.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

from minigan.errors import DataError
from minigan.given import whole

ARRAY_BUDGET = 4 << 30  # bytes that a data set in memory may take after resizing
SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I")  # Pillow reads 16-bit grey PNG as I before version 11
ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
GREY_MODES = ("1", "L", "LA", *SIXTEEN_BIT_MODES)


def to_square(image: Image.Image, img_size: int, channels: int) -> np.ndarray:
    """Decode a picture to uint8 (img_size, img_size, channels)."""
    _read_key(image)
    image.draft(None, (2 * img_size, 2 * img_size))  # a large JPEG is decoded at 1/2, 1/4 or 1/8: a free shrink
    image = _upright(image)
    image = image.convert("L" if channels == 1 or image.mode in ("1", "L") else "RGB")
    pixels = _resize(image, img_size)  # (img_size, img_size, 1 or 3)
    return np.broadcast_to(pixels, (img_size, img_size, channels))


def to_pixels(image: Image.Image) -> np.ndarray:
    """Decode a picture at its own size to uint8, (H, W, 1) if it is grey, else (H, W, 3)."""
    _read_key(image)
    image = _upright(image)
    pixels = np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    return pixels.reshape(image.height, image.width, -1)


def _upright(image: Image.Image) -> Image.Image:
    """Turn a photo as its EXIF data says, and put it on white: → mode 1, L, RGB or another without transparency."""
    ImageOps.exif_transpose(image, in_place=True)
    return on_white(image)


def _read_key(image: Image.Image) -> None:
    """Bring the transparent colour of a PNG, if it has one, to the 8 bits that its samples will have.

    The chunk tRNS holds it with the bits of the file (2 to 16), and Pillow hands it on like that. Of colour with
    16 bits Pillow keeps the upper 8: what agrees in these is transparent. `image.tile` says how the samples are kept.
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
    """Return the picture with 8 bits per channel, and on a white page if some of it is transparent."""
    key = image.info.get("transparency")  # the colour that is transparent, for pictures without an alpha channel
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


def _resize(image: Image.Image, img_size: int) -> np.ndarray:
    """Resize the shorter side to `img_size`, cut out the centre; return uint8 (img_size, img_size, C)."""
    if image.size != (img_size, img_size):
        enlarge = min(image.size) < img_size
        method = Image.Resampling.BICUBIC if enlarge else Image.Resampling.LANCZOS  # Lanczos rings when it enlarges
        image = ImageOps.fit(image, (img_size, img_size), method)
    pixels = np.asarray(image)
    return pixels.reshape(img_size, img_size, -1)


def check_size(img_size: int | None, channels: int | None) -> None:
    """Raise DataError for a size or a number of channels that pictures can't be given; None leaves it as it is."""
    if img_size is not None and not 4 <= whole(img_size, "pictures", "their size", DataError) <= 4096:
        raise DataError(f"an image size of {img_size} cannot be made: use --img-size 4 to 4096")
    if channels not in (None, 1, 3):
        raise DataError(f"pictures have 1 channel (grey) or 3 (colour), not {channels!r}")


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
