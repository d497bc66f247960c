"""A folder of pictures as a data set: PNG, JPEG, WebP and BMP, of any kind and size, in nested folders.

Every header is read when the folder is opened, so that a bad file is named at once and not after an hour of training.
The pictures themselves are decoded when they are asked for, and kept if all of them fit into memory.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from minigan.data.dataset import Dataset, to_unit_range
from minigan.data.pictures import GREY_MODES, to_square
from minigan.errors import DataError

# Pillow decodes a picture whole. One that has more pixels than these may have 100 for each byte of its file: a flat
# colour of 100 kB could otherwise fill gigabytes, in every thread.
FREE_PIXELS, PIXELS_PER_BYTE = 16 << 20, 100
LARGE = 8 << 20  # pixels; no two pictures with more are decoded at the same time
one_large = threading.Lock()
FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
CACHE_BUDGET = 1 << 30  # bytes of decoded pictures that are kept
DEFAULT_SIZE = 64
THREADS = min(8, os.cpu_count() or 1)  # Pillow decodes without holding the interpreter's lock


class FolderDataset(Dataset):
    """Pictures from files, (img_size, img_size, channels), and the class of each if they are sorted into folders.

    Raises DataError from `batch` if a file turns out to be damaged.
    """

    def __init__(
        self,
        name: str,
        paths: list[Path],
        img_size: int,
        channels: int,
        labels: np.ndarray | None = None,
        classes: list[str] | None = None,
        altered: int = 0,
    ):
        self.name = name
        self.paths = paths
        self.altered = altered  # files whose pictures are of another size
        self.shape = (img_size, img_size, channels)
        self.labels = labels
        self.classes = classes
        self._cache: np.ndarray | None = None
        if len(paths) * img_size * img_size * channels <= CACHE_BUDGET:
            self._cache = np.empty((len(paths), *self.shape), np.uint8)  # takes memory only as it is written
            self._cached = np.zeros(len(paths), bool)

    def __len__(self) -> int:
        return len(self.paths)

    def batch(self, indices: np.ndarray) -> np.ndarray:
        """Return pictures (n, img_size, img_size, channels), float32 in [-1, 1], decoding those not seen before."""
        indices = np.asarray(indices)
        if self._cache is None:
            return to_unit_range(self._decode(indices))
        missing = np.unique(indices[~self._cached[indices]])
        if len(missing):
            self._cache[missing] = self._decode(missing)
            self._cached[missing] = True
        return to_unit_range(self._cache[indices])

    def select(self, indices: np.ndarray) -> FolderDataset:
        """Return a data set of these files only."""
        size, _, channels = self.shape
        labels = None if self.labels is None else self.labels[indices]
        return FolderDataset(self.name, [self.paths[i] for i in indices], size, channels, labels, self.classes)

    def _decode(self, indices: np.ndarray) -> np.ndarray:
        """Decode files in parallel to uint8 (n, img_size, img_size, channels)."""
        pictures = np.empty((len(indices), *self.shape), np.uint8)
        with ThreadPoolExecutor(THREADS) as pool, _no_warnings():
            decoded = pool.map(lambda i: _decode(self.paths[i], *self.shape[1:]), indices)
            for slot, picture in zip(pictures, decoded, strict=True):
                slot[...] = picture
        return pictures


def open_folder(root: Path, img_size: int | None = None, channels: int | None = None) -> FolderDataset:
    """Open all pictures in `root` and its folders, by name in order; hidden and other files are passed over.

    `img_size` is 64 by default. `channels` is 3, or 1 if every picture is grey. If all pictures lie in folders of
    `root`, and there are at least two such folders, these are the classes. Raises DataError, naming the file, if one
    cannot be read or is smaller than `img_size`, and if there is none.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder: give the folder that holds the pictures")
    paths = sorted(_pictures(root))
    if not paths:
        raise DataError(f"{root} has no pictures in it ({', '.join(SUFFIXES)})")
    size = img_size or DEFAULT_SIZE
    with _no_warnings():
        headers = [_check_header(path, size) for path in tqdm(paths, "reading headers", leave=False, disable=None)]
    grey, altered = all(grey for grey, _ in headers), sum(altered for _, altered in headers)
    labels, classes = _classes(root, paths)
    return FolderDataset(root.resolve().name, paths, size, channels or (1 if grey else 3), labels, classes, altered)


def natural_size(root: Path) -> int | None:
    """The shorter side of the first picture in a folder; None if it holds none."""
    path = min(_pictures(root), default=None)
    if path is None:
        return None
    with _no_warnings(), _open(path) as image:
        return min(image.size)


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Pillow warns of what is odd in a file, such as its EXIF data; for what is wrong with pictures it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _refuse_folder(error: OSError) -> None:
    raise DataError(f"cannot read {error.filename}: {error.strerror}") from error


def _pictures(root: Path) -> Iterator[Path]:
    """Walk through `root`, following links, into each folder once: a link to a folder above it is no endless loop."""
    visited = set()
    for folder, subfolders, files in os.walk(root, onerror=_refuse_folder, followlinks=True):
        status = os.stat(folder)
        here = (status.st_dev, status.st_ino)
        if here in visited:
            subfolders.clear()
            continue
        visited.add(here)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in files:
            path = Path(folder, name)
            if path.suffix.lower() in SUFFIXES and not name.startswith("."):
                yield path


def _classes(root: Path, paths: Iterable[Path]) -> tuple[np.ndarray | None, list[str] | None]:
    """Return the labels and the class names, or (None, None) where folders tell nothing."""
    parts = [path.relative_to(root).parts for path in paths]
    names = sorted({part[0] for part in parts})
    if len(names) < 2 or any(len(part) < 2 for part in parts):
        return None, None
    number = {name: k for k, name in enumerate(names)}
    return np.array([number[part[0]] for part in parts]), names


def _check_header(path: Path, img_size: int) -> tuple[bool, bool]:
    """Return whether the picture is grey, and whether it is of another size.

    Raises DataError if it is no picture, too small or too large.
    """
    with _open(path) as image:
        width, height = image.size
        if min(width, height) < img_size:
            raise DataError(
                f"{path} is {width}x{height}, smaller than {img_size}x{img_size}: "
                f"use --img-size {min(width, height)} or less, or take it out of the folder"
            )
        return image.mode in GREY_MODES, image.size != (img_size, img_size)


def _decode(path: Path, img_size: int, channels: int) -> np.ndarray:
    with _open(path) as image:
        large = image.width * image.height > LARGE and image.format != "JPEG"  # that is reduced as it is decoded
        try:
            with one_large if large else nullcontext():
                return to_square(image, img_size, channels)
        except Exception as error:  # on a damaged file Pillow's decoders raise whatever comes
            raise DataError(f"{path} is damaged or cut off ({error}): replace it or take it away") from error


def _open(path: Path) -> Image.Image:
    """Read the header of a picture."""
    if not path.is_file():  # opening a pipe would wait for somebody to write into it
        raise DataError(f"{path} is no file, but a pipe, a device or a link to nothing: take it away")
    try:
        image = Image.open(path, formats=FORMATS)
    except Image.UnidentifiedImageError as error:
        raise DataError(f"{path} is not a picture, whatever its name says: remove it or rename it") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{path} has too many pixels to be decoded safely: shrink it or take it away") from error
    except PermissionError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except Exception as error:  # see `_decode`
        raise DataError(f"{path} is damaged or cut off ({error}): replace it or take it away") from error
    most = max(FREE_PIXELS, PIXELS_PER_BYTE * path.stat().st_size)
    if image.width * image.height > min(most, Image.MAX_IMAGE_PIXELS or most):
        image.close()
        raise DataError(f"{path} has too many pixels to be decoded safely: shrink it or take it away")
    return image
