"""A folder or a .zip archive of pictures as a data set: of any kind and size, in nested folders.

Every header is read when the folder is opened, so that a bad file is named at once and not after an hour of training.
The pictures themselves are decoded when they are asked for, and kept if all of them fit into memory.
"""

from __future__ import annotations

import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np

from minigan.common.terminal import bar
from minigan.data.archive import Member
from minigan.data.dataset import Dataset, to_unit_range
from minigan.data.decode import decode, decode_whole, no_warnings, read_header
from minigan.data.headers import misnamed, read_headers, resized
from minigan.data.kinds import SUFFIXES, count_kinds
from minigan.data.listing import Listing, Parts, choose_split, find_classes, list_archive, list_folder
from minigan.data.pictures import Size, as_size
from minigan.errors import DataError

CACHE_BUDGET = 1 << 30  # bytes of decoded pictures that are kept
DEFAULT_SIZE = 64
THREADS = min(8, os.cpu_count() or 1)  # Pillow decodes without holding the interpreter's lock
AT_ONCE = 256  # pictures


class BadFilesError(DataError):
    """A folder has pictures that can't be used; `problems` has a sentence for each of them."""

    def __init__(self, root: Path, problems: list[str], some_are_good: bool) -> None:
        self.problems = problems
        n = len(problems)
        more = f"; this is one of {n:,} bad files: minigan data {root} lists them all" if n > 1 else ""
        skip = f", or go on without {'it' if n == 1 else 'them'} by `skip_bad`" if some_are_good else ""
        super().__init__(problems[0] + more + skip)


class FolderDataset(Dataset):
    """Pictures from files, (*img_size, channels), and the class of each if they are sorted into folders.

    `altered` counts those of another size, `bad` has a sentence for each file that was left out. Raises DataError from
    `batch` if a file turns out to be damaged.
    """

    def __init__(
        self,
        name: str,
        paths: list[Path | Member],
        img_size: Size,
        channels: int,
        labels: np.ndarray | None = None,
        classes: list[str] | None = None,
        altered: int = 0,
        bad: tuple[str, ...] = (),
        notes: tuple[str, ...] = (),
    ):
        self.name = name
        self.paths = paths
        self.altered = altered
        self.shape = (*as_size(img_size), channels)
        self.labels = labels
        self.classes = classes
        self.bad = bad
        self.notes = notes
        self._cache: np.ndarray | None = None
        if len(paths) * prod(self.shape) <= CACHE_BUDGET:
            self._cache = np.empty((len(paths), *self.shape), np.uint8)  # takes memory only as it is written
            self._cached = np.zeros(len(paths), bool)

    def __len__(self) -> int:
        return len(self.paths)

    def batch(self, indices: np.ndarray) -> np.ndarray:
        """Return pictures (n, *self.shape), float32 in [-1, 1], decoding those not seen before."""
        indices = np.asarray(indices)
        if self._cache is None:
            return to_unit_range(self._decode(indices))
        missing = np.unique(indices[~self._cached[indices]])
        if len(missing):
            self._cache[missing] = self._decode(missing)
            self._cached[missing] = True
        return to_unit_range(self._cache[indices])

    def item(self, i: int) -> np.ndarray:
        """Return one picture whole, at its own size, (1, H, W, channels), float32 in [-1, 1]."""
        with no_warnings():
            return to_unit_range(decode_whole(self.paths[i], self.shape[2]))[None]

    def select(self, indices: np.ndarray) -> FolderDataset:
        """Return a data set of these files only."""
        height, width, channels = self.shape
        labels = None if self.labels is None else self.labels[indices]
        paths = [self.paths[i] for i in indices]
        about = (labels, self.classes, 0, self.bad, self.notes)
        some = FolderDataset(self.name, paths, (height, width), channels, *about)
        if self._cache is not None and self._cached[indices].any():
            some._cache, some._cached = self._cache[indices], self._cached[indices]
        return some

    def find_bad(self) -> dict[int, str]:
        """Decode everything, and return what is wrong with those files that can't be decoded, by index."""
        bad = {}
        with ThreadPoolExecutor(THREADS) as pool, no_warnings(), bar(total=len(self), desc="decoding") as shown:
            for start in range(0, len(self), AT_ONCE):
                some = range(start, min(start + AT_ONCE, len(self)))
                for i, picture in zip(some, pool.map(self._try, some), strict=True):
                    if isinstance(picture, str):
                        bad[i] = picture
                    elif self._cache is not None:
                        self._cache[i], self._cached[i] = picture, True
                shown.update(len(some))
        return bad

    def _try(self, i: int) -> np.ndarray | str:
        """A picture, or what is wrong with it."""
        try:
            return decode(self.paths[i], self.shape[:2], self.shape[2])
        except DataError as error:
            return str(error)

    def _decode(self, indices: np.ndarray) -> np.ndarray:
        """Decode files in parallel to uint8 (n, *self.shape)."""
        pictures = np.empty((len(indices), *self.shape), np.uint8)
        with ThreadPoolExecutor(THREADS) as pool, no_warnings():
            decoded = pool.map(lambda i: decode(self.paths[i], self.shape[:2], self.shape[2]), indices)
            for slot, picture in zip(pictures, decoded, strict=True):
                slot[...] = picture
        return pictures


def open_folder(
    root: Path, img_size: Size | None = None, channels: int | None = None, split: str = "train", skip_bad: bool = False
) -> FolderDataset:
    """Open all pictures in a folder or a .zip archive, and in the folders in it, by name in order.

    Hidden and other files are passed over. `img_size`, of a square or (height, width), is 64 by default. `channels` is
    3, or 1 if every picture is grey. `listing` says which folders are splits and classes. What was passed over, cut and
    shrunk is in `notes`. Raises DataError, naming the file, if one cannot be read or is smaller than `img_size`, and if
    there is none. With `skip_bad` all pictures are decoded once, and those that can't be are left out.
    """
    size = as_size(img_size or DEFAULT_SIZE)
    everything = _list(root)
    passed_over = count_kinds(everything.passed_over)
    listing = _of_split(everything, split, root)
    headers, bad = read_headers(listing, size)
    if bad and not (skip_bad and headers):
        raise BadFilesError(root, bad, bool(headers))
    channels = channels or (1 if all(header.grey for header in headers.values()) else 3)
    dataset = FolderDataset(
        root.resolve().stem if root.is_file() else root.resolve().name, list(headers), size, channels
    )
    if skip_bad:
        damaged = dataset.find_bad()
        bad += damaged.values()
        if len(damaged) == len(dataset):
            raise BadFilesError(root, bad, False)
        if damaged:
            dataset = dataset.select(np.array([i for i in range(len(dataset)) if i not in damaged]))
        dataset.bad = tuple(bad)
    good = set(dataset.paths)
    listing = replace(listing, pictures=[(parts, path) for parts, path in listing.pictures if path in good])
    dataset.labels, dataset.classes, about_classes = find_classes(listing)
    sizes = [headers[path].size for path in dataset.paths]
    dataset.altered = sum(other != size for other in sizes)
    skipped = f"{len(bad):,} bad file{' is' if len(bad) == 1 else 's are'} left out: minigan data {root} lists them"
    about_files = (passed_over, skipped if bad else "", misnamed(headers), resized(sizes, size, img_size is None))
    dataset.notes = (*listing.notes, *filter(None, about_files), *about_classes)
    return dataset


def list_pictures(root: Path, split: str = "train") -> list[tuple[Parts, Path | Member]]:
    """The pictures of a split, each with its path below the root, by name in order. Raises DataError without any."""
    return _of_split(_list(root), split, root).pictures


def _of_split(everything: Listing, split: str, root: Path) -> Listing:
    if not everything.pictures:
        passed_over = count_kinds(everything.passed_over)
        raise DataError(f"{root} has no pictures in it ({', '.join(SUFFIXES)})" + (passed_over and f"; {passed_over}"))
    return choose_split(everything, split, root)


def _list(root: Path) -> Listing:
    if root.is_dir():
        return list_folder(root)
    if root.is_file():
        return list_archive(root)
    raise DataError(f"{root} is not a folder: give the folder, or the .zip archive, that holds the pictures")


def natural_size(root: Path) -> int | None:
    """The shorter side of the first picture that can be opened in a folder or an archive; None if there is none."""
    if root.is_dir() or (root.is_file() and zipfile.is_zipfile(root)):
        with no_warnings():
            for _, path in _list(root).pictures:
                with suppress(DataError):
                    return min(read_header(path).size)
    return None
