"""Opening one picture that nobody vouches for: its header, the kinds that are refused, and how large it may become.

Pillow decodes a picture whole, in memory: 1 byte for a pixel of 1-bit or 8-bit grey, 4 for any other. A flat colour of
100 kB could fill gigabytes, in every thread. A picture may take, decoded,

    max(64 MiB, 900 × the size of its file)

* 64 MiB are 67 megapixels of grey and 17 of colour: a page of A4 at 600 dpi has 35.
* Line drawings compress best of all honest pictures. One of 20 megapixels, saved in colour, became 420 times smaller as
  a PNG and 770 times as a WebP. Deflate makes one flat colour 1030 times smaller, WebP several thousand times.
* Above that stands Pillow's own limit, 89 megapixels, and no two pictures of more than 8 are decoded at a time.
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
from minigan.data.pictures import GREY_MODES, to_pixels, to_size, upright_size
from minigan.errors import DataError

FREE_BYTES, RATIO = 64 << 20, 900
Decoded = TypeVar("Decoded")
ONE_BYTE_MODES = ("1", "L")
LARGE = 8 << 20  # pixels; no two pictures with more are decoded at the same time
one_large = threading.Lock()
# Of a damaged file Pillow and libtiff would print on stderr what is wrong, besides raising an error.
logging.getLogger("PIL").addHandler(logging.NullHandler())
with suppress(AttributeError, OSError):  # libtiff is not everywhere a library of its own
    ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)
JPEG = ("JPEG", "MPO")  # a JPEG with further pictures behind it is called MPO


@dataclass(frozen=True)
class Header:
    """What the first bytes of a picture say: its format, as Pillow calls it, (height, width), whether it is grey."""

    format: str
    size: tuple[int, int]
    grey: bool


def read_header(path: Path | Member) -> Header:
    """Read the header of a picture. Raises DataError, naming the file, if it can't be decoded or is too large."""
    with open_picture(path) as image:
        form = "JPEG" if image.format in JPEG else str(image.format)
        return Header(form, upright_size(image), image.mode in GREY_MODES)


def decode(path: Path | Member, size: tuple[int, int], channels: int) -> np.ndarray:
    """Decode a picture to uint8 (*size, channels), size (height, width). Raises DataError, naming a damaged file."""
    return decode_by(path, lambda image: to_size(image, size, channels))


def decode_whole(path: Path | Member, channels: int | None = None) -> np.ndarray:
    """Decode a picture at its own size to uint8 (H, W, channels): 1 if it is grey, else 3, unless one is given.

    Raises DataError as `decode` does.
    """
    return decode_by(path, lambda image: to_pixels(image, channels))


def decode_by(path: Path | Member, read: Callable[[Image.Image], Decoded]) -> Decoded:
    """What `read` makes of a picture. Raises DataError, naming the file, if anything fails in it."""
    with open_picture(path) as image:
        large = image.width * image.height > LARGE and image.format not in JPEG  # that is reduced as it is decoded
        try:
            with one_large if large else nullcontext():
                return read(image)
        except (DataError, MemoryError):
            raise
        except Exception as error:  # on a damaged file Pillow's decoders raise whatever comes
            raise _damaged(path, error) from error


def open_picture(path: Path | Member) -> Image.Image:
    """Open a picture and read its header. Raises DataError, naming the file."""
    if isinstance(path, Path) and not path.is_file():  # opening a pipe would wait for somebody to write into it
        raise DataError(f"{path} is no file, but a pipe, a device or a link to nothing: take it away")
    try:
        size = path.size if isinstance(path, Member) else path.stat().st_size
        image = Image.open(io.BytesIO(path.read()) if isinstance(path, Member) else path, formats=FORMATS)
    except DataError:  # of an archive
        raise
    except Image.UnidentifiedImageError as error:
        raise DataError(f"{path} {_what_it_is(path)}") from error
    except Image.DecompressionBombError as error:
        raise _too_large(path) from error
    except PermissionError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except Exception as error:  # see `decode`
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
    """What is wrong with a file that Pillow doesn't know, as the end of a sentence."""
    if isinstance(path, Member):
        kind = kind_of(path.read()[:16])
    else:
        with path.open("rb") as file:
            kind = kind_of(file.read(16))
    if kind is None:
        return "is not a picture, whatever its name says: remove it or rename it"
    return f"is a {kind} file by its content, of a kind that can't be read: convert it to PNG or JPEG"


def _too_large(path: Path | Member) -> DataError:
    return DataError(f"{path} has too many pixels to be decoded safely: shrink it or take it away")


def _damaged(path: Path | Member, error: Exception) -> DataError:
    return DataError(f"{path} is damaged or cut off ({error}): replace it or take it away")


@contextmanager
def no_warnings() -> Iterator[None]:
    """Pillow warns of what is odd in a file, such as its EXIF data; for what is wrong with pictures it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
