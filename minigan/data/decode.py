"""Decode one untrusted picture: read its header, refuse unsupported kinds, and limit its decoded size.

Pillow decodes whole pictures in memory: 1 byte per pixel for 1-bit and 8-bit gray, 4 for all other modes. A flat color
in a file of 100 kB could fill gigabytes, in every thread. A decoded picture may therefore take at most

    max(64 MiB, 900 × the size of its file)

* 64 MiB hold 67 megapixels of gray or 17 of color; a page of A4 at 600 dpi has 35.
* Of all legitimate pictures, line drawings compress best. One of 20 megapixels, saved in color, became 420 times
  smaller as a PNG and 770 times as a WebP. Deflate makes one flat color 1030 times smaller, WebP several thousand
  times.
* Pillow's own limit of 89 megapixels also applies, and only one picture of more than 8 megapixels is decoded at a time.
"""

from __future__ import annotations

import ctypes
import io
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from minigan.data.archive import Member
from minigan.data.kinds import FORMATS, kind_of
from minigan.data.pictures import GRAY_MODES, to_pixels, to_size, upright_size
from minigan.errors import DataError

FREE_BYTES, RATIO = 64 << 20, 900
Decoded = TypeVar("Decoded")
ONE_BYTE_MODES = ("1", "L")
LARGE = 8 << 20  # pixels; `one_large` is held while a picture with more is decoded
one_large = threading.Lock()
# For damaged files, Pillow and libtiff print messages on stderr besides raising an error. Silence them.
logging.getLogger("PIL").addHandler(logging.NullHandler())
with suppress(AttributeError, OSError):  # not every build of Pillow exports libtiff's functions
    ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)
JPEG = ("JPEG", "MPO")  # MPO is a JPEG with further pictures appended


@dataclass(frozen=True)
class Header:
    """The header of a picture: its format in Pillow's terms, (height, width), and whether it is gray."""

    format: str
    size: tuple[int, int]
    gray: bool


@dataclass(frozen=True)
class Half:
    """The left (0) or right (1) half of a file that holds a pair of pictures side by side."""

    file: Path | Member
    side: int

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.file.name

    @property
    def stem(self) -> str:
        """The name of the file without its suffix."""
        return self.file.stem

    @property
    def suffix(self) -> str:
        """The suffix of the file."""
        return self.file.suffix

    def __str__(self) -> str:
        return f"the {('left', 'right')[self.side]} half of {self.file}"


File = Path | Member | Half


def read_header(path: File) -> Header:
    """Read the header of a picture. Raises DataError, naming the file, if it can't be decoded or is too large."""
    with open_picture(path) as image:
        form = "JPEG" if image.format in JPEG else str(image.format)
        height, width = upright_size(image)
        if isinstance(path, Half) and width % 2:
            raise DataError(f"{path.file} is {width} pixels wide, so that it has no two halves of one size: crop it")
        return Header(form, (height, width // 2 if isinstance(path, Half) else width), image.mode in GRAY_MODES)


def decode(path: File, size: tuple[int, int], channels: int) -> np.ndarray:
    """Decode a picture to uint8 (*size, channels), size (height, width). Raises DataError, naming a damaged file."""
    half = path.side if isinstance(path, Half) else None
    return decode_by(path, lambda image: to_size(image, size, channels, half))


def decode_whole(path: File, channels: int | None = None) -> np.ndarray:
    """Decode a picture at its own size to uint8 (H, W, channels), by default with 1 channel if it is gray, else 3.

    Raises DataError, as `decode` does.
    """
    half = path.side if isinstance(path, Half) else None
    return decode_by(path, lambda image: to_pixels(image, channels, half))


def decode_by(path: File, read: Callable[[Image.Image], Decoded]) -> Decoded:
    """Return `read(image)`; of a half, `image` is the whole. Raises DataError, naming the file, if decoding fails."""
    path = path.file if isinstance(path, Half) else path
    with open_picture(path) as image:
        large = image.width * image.height > LARGE and image.format not in JPEG  # JPEGs are reduced while decoding
        try:
            with one_large if large else nullcontext():
                return read(image)
        except (DataError, MemoryError):
            raise
        except Exception as error:  # Pillow's decoders may raise anything on a damaged file
            raise _damaged(path, error) from error


def open_picture(path: File) -> Image.Image:
    """Open a picture and read its header; of a half, that of the whole. Raises DataError, naming the file."""
    path = path.file if isinstance(path, Half) else path
    if isinstance(path, Path) and not path.is_file():  # opening a pipe would block until something writes to it
        raise DataError(f"{path} is not a file but a pipe, a device or a broken link: remove it")
    try:
        size = path.size if isinstance(path, Member) else path.stat().st_size
        image = Image.open(io.BytesIO(path.read()) if isinstance(path, Member) else path, formats=FORMATS)
    except DataError:  # from `Member.read`
        raise
    except Image.UnidentifiedImageError as error:
        raise DataError(f"{path} {_what_it_is(path)}") from error
    except Image.DecompressionBombError as error:
        raise _too_large(path) from error
    except PermissionError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except Exception as error:  # see `decode_by`
        raise _damaged(path, error) from error
    try:
        _check_cost(image, path, size)
    except DataError:
        image.close()
        raise
    return image


def _check_cost(image: Image.Image, path: Path | Member, size: int) -> None:
    if image.format == "TIFF" and image.mode in ("I", "F"):
        raise DataError(f"{path} has signed or 32-bit pixels, whose range isn't known: convert it to 8 or 16 bits")
    plain = image.mode in ONE_BYTE_MODES and "transparency" not in image.info
    pixels = image.width * image.height
    if pixels * (1 if plain else 4) > max(FREE_BYTES, RATIO * size) or pixels > (Image.MAX_IMAGE_PIXELS or pixels):
        raise _too_large(path)


def _what_it_is(path: Path | Member) -> str:
    """Describe a file that Pillow can't identify, as the end of a sentence."""
    if isinstance(path, Member):
        kind = kind_of(path.read()[:16])
    else:
        with path.open("rb") as file:
            kind = kind_of(file.read(16))
    if kind is None:
        return "is not a picture, whatever its name says: remove it or rename it"
    return f"is a {kind} file by its content, of a kind that can't be read: convert it to PNG or JPEG"


def _too_large(path: Path | Member) -> DataError:
    return DataError(f"{path} has too many pixels to be decoded safely: shrink it or remove it")


def _damaged(path: Path | Member, error: Exception) -> DataError:
    return DataError(f"{path} is damaged or cut off ({error}): replace it or remove it")


@contextmanager
def no_warnings() -> Iterator[None]:
    """Silence Pillow's warnings about oddities such as bad EXIF data. Real errors are raised all the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
