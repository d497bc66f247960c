"""Writes pictures atomically, in formats that store them without loss where possible.

.png                8 or 16 bits, grey or color, with alpha or without; the default
.tif .tiff          8 bits, or 16 of grey without alpha
.webp               8 bits, without loss
.jpg .jpeg          8 bits without alpha, quality 95, with loss
.npy                float32 in [−1, 1]
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from minigan.apply.picture import FLOATS, Picture
from minigan.apply.png import write_png
from minigan.errors import DataError
from minigan.training.files import replacing

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
        np.save(file, pixels[..., 0] if picture.flat and picture.grey else pixels, allow_pickle=False)
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
