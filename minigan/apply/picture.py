"""Reads pictures of any kind without loss (pixels, alpha, color profile), and writes them atomically.

* Gray has 1 channel and color 3; palettes and CMYK are converted to RGB. The depth of 8 or 16 bits is kept.
* EXIF orientation is applied. Of an animation, the first frame is used.
* A .npy file contains floats in [−1, 1], (H, W) or (H, W, C), the range of networks; they are not rounded or clipped.

Formats for writing:

.png                8 or 16 bits, gray or color, with alpha or without; the default
.tif .tiff          8 bits, or 16 of gray without alpha
.webp               8 bits, without loss
.jpg .jpeg          8 bits without alpha, quality 95, with loss
.npy                float32 in [−1, 1]
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from minigan.apply.png import read_png, write_png
from minigan.common.untrusted import Unreadable, open_file, read_npy
from minigan.data.decode import decode_by, no_warnings
from minigan.data.pictures import ALPHA_MODES, SIXTEEN_BIT_MODES, read_key
from minigan.errors import DataError
from minigan.training.files import replacing

FLOATS = ".npy"
ORIENTATION = 0x0112  # the number of an EXIF tag
LUMINANCE = (19595, 38470, 7471)  # of 65536: ITU-R BT.601, as in Pillow, which is used for training


@dataclass(frozen=True)
class Picture:
    """pixels (H, W, C): uint8 or uint16 with C 1 or 3, or float32. alpha (H, W, 1) of the same dtype, or None.

    profile: the ICC color profile. flat: the file had the shape (H, W), without a channel axis.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    profile: bytes = b""
    flat: bool = False

    @property
    def gray(self) -> bool:
        """Whether there is one channel."""
        return self.pixels.shape[2] == 1

    def with_channels(self, channels: int | None) -> Picture:
        """Convert between gray and color if necessary. Raises DataError for other numbers of channels."""
        there = self.pixels.shape[2]
        if channels in (None, there):
            return self
        if {channels, there} != {1, 3}:
            raise DataError(f"the network takes {channels} channels, and this has {there}")
        if channels == 3:  # a view: all three channels share the memory of one
            return replace(self, pixels=np.broadcast_to(self.pixels, (*self.pixels.shape[:2], 3)), profile=b"")
        return replace(self, pixels=to_gray(self.pixels), profile=b"")


def to_gray(pixels: np.ndarray) -> np.ndarray:
    """Return the luminance (…, 1) of (…, 3), of the same dtype."""
    if pixels.dtype.kind == "f":
        return pixels @ (np.array(LUMINANCE, np.float32)[:, None] / 65536)
    total = np.full(pixels.shape[:-1], 1 << 15, np.uint32)  # at most 65535 · 65536 + 32768 < 2^32
    for channel, weight in enumerate(LUMINANCE):
        total += pixels[..., channel] * np.uint32(weight)
    return (total >> 16).astype(pixels.dtype)[..., None]


def to_floats(pixels: np.ndarray) -> np.ndarray:
    """Convert pixels of an integer dtype to float32 in [−1, 1]; floats are returned unchanged."""
    if pixels.dtype.kind == "f":
        return pixels
    floats = pixels.astype(np.float32)
    floats /= np.float32(np.iinfo(pixels.dtype).max / 2)
    floats -= 1
    return floats


def from_floats(floats: np.ndarray, dtype: Any) -> np.ndarray:
    """Clip numbers to [−1, 1] and round them to the levels of an integer dtype; with a float dtype, change nothing."""
    if np.dtype(dtype).kind == "f":
        return floats
    most = np.iinfo(dtype).max
    return np.clip(np.rint((floats + 1) * np.float32(most / 2)), 0, most).astype(dtype)


def resized(alpha: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize alpha (H, W, 1) to (h, w), by bicubic interpolation."""
    if alpha.shape[:2] == size:
        return alpha
    image = Image.fromarray(alpha[..., 0].astype(np.float32)).resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return np.clip(np.rint(np.asarray(image)), 0, np.iinfo(alpha.dtype).max).astype(alpha.dtype)[..., None]


def read_picture(path: Path) -> Picture:
    """Read a picture or a .npy file. Raises DataError, with its name, if it can't be read without loss."""
    if path.suffix.lower() == FLOATS:
        return _read_floats(path)
    with no_warnings():
        return decode_by(path, lambda image: _read(image, path))


def _read_floats(path: Path) -> Picture:
    try:
        with open_file(path) as file:
            array = read_npy(file)
    except Unreadable as error:
        raise DataError(f"{path} can't be read: {error}") from error
    except MemoryError as error:
        raise DataError(f"{path} doesn't fit into memory: cut it up") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    if array.dtype.kind != "f" or array.ndim not in (2, 3) or not array.size:
        raise DataError(
            f"{path} is {array.dtype} {array.shape}, and must have floats in [-1, 1] of the shape (H, W) or (H, W, C)"
        )
    if not np.isfinite(array).all():
        raise DataError(f"{path} has numbers that aren't finite: replace them")
    pixels = array.astype(np.float32, copy=False).reshape(*array.shape[:2], -1)
    return Picture(pixels, flat=array.ndim == 2)


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation, 1 to 8: transpose from 5 on, then reverse the rows, the columns, or both."""
    pixels = pixels.swapaxes(0, 1) if 5 <= orientation <= 8 else pixels
    return pixels[:: -1 if orientation in (3, 4, 7, 8) else 1, :: -1 if orientation in (2, 3, 6, 7) else 1]


def _read(image: Image.Image, path: Path) -> Picture:
    profile = image.info.get("icc_profile") or b""
    kept = str(getattr(image, "tile", ""))  # the sample format in the file
    if image.format == "PNG" and "16B" in kept:
        orientation = image.getexif().get(ORIENTATION, 1)
        pixels, alpha = (a if a is None else _turned(a, orientation) for a in read_png(path.read_bytes()))
        return Picture(pixels, alpha, profile)
    if image.format == "TIFF" and ";16" in kept and image.mode not in SIXTEEN_BIT_MODES:
        raise DataError(f"{path} is a TIFF in color with 16 bits, which can't be read without loss: convert it to PNG")
    read_key(image)
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode in SIXTEEN_BIT_MODES:
        return Picture(np.clip(np.asarray(image), 0, 65535).astype(np.uint16)[..., None], None, profile)
    gray = image.mode in ("1", "L", "LA", "La")
    if image.mode in ("CMYK", "LAB", "YCbCr", "HSV"):
        profile = b""  # it applies to the original color space only
    key = image.info.get("transparency")
    if image.mode == "1" and key is not None:
        image = image.convert("L")
        image.info["transparency"] = 255 if key else 0
    if image.mode not in ALPHA_MODES and key is None:
        pixels = np.asarray(image.convert("L" if gray else "RGB"))
        return Picture(pixels.reshape(image.height, image.width, -1), None, profile)
    both = np.asarray(image.convert("LA" if gray else "RGBA"))
    return Picture(both[..., :-1], both[..., -1:], profile)


OPTIONS: dict[str, dict[str, Any]] = {
    ".png": {"format": "PNG"},
    ".tif": {"format": "TIFF", "compression": "tiff_adobe_deflate"},
    ".tiff": {"format": "TIFF", "compression": "tiff_adobe_deflate"},
    ".webp": {"format": "WEBP", "lossless": True, "exact": True},
    ".jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
}
SUFFIXES = (*OPTIONS, FLOATS)


def write_picture(path: Path, picture: Picture) -> None:
    """Write a file in the format of its suffix. Raises DataError if the format can't store the picture, and OSError."""
    data = encode(path, picture)
    with replacing(path) as file:
        file.write(data)


def encode(path: Path, picture: Picture) -> bytes:
    """Return the bytes of the file. Raises DataError, with its name, if the format can't store the picture."""
    suffix, pixels, file = path.suffix.lower(), picture.pixels, io.BytesIO()
    if suffix == FLOATS:
        np.save(file, pixels[..., 0] if picture.flat and picture.gray else pixels, allow_pickle=False)
        return file.getvalue()
    if pixels.shape[2] not in (1, 3):
        raise DataError(f"{path}: a picture has 1 or 3 channels, and the network makes {pixels.shape[2]}: use .npy")
    if suffix in (".jpg", ".jpeg") and picture.alpha is not None:
        raise DataError(f"{path}: JPEG has no transparency: use .png")
    whole = pixels if picture.alpha is None else np.concatenate([pixels, picture.alpha], axis=-1)
    if suffix == ".png" and whole.dtype == np.uint16:
        return write_png(whole, picture.profile)
    if whole.dtype == np.uint16 and not (suffix in (".tif", ".tiff") and whole.shape[2] == 1):
        raise DataError(f"{path}: this picture has 16 bits, which {suffix} can't hold: use .png")
    image = Image.fromarray(np.ascontiguousarray(whole[..., 0] if whole.shape[2] == 1 else whole))
    try:
        image.save(file, **OPTIONS[suffix], icc_profile=picture.profile or None)
    except (OSError, ValueError) as error:  # such as a width above the limit of the format
        raise DataError(f"{path} can't be written ({error}): use .png") from error
    return file.getvalue()
