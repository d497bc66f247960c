"""A folder or a .zip archive of pictures as a data set: any format and size, in nested folders.

All headers are read when the folder is opened, so that a bad file is reported at once and not after an hour of
training. The pictures are decoded on demand, and cached if all of them fit into memory.
"""

from __future__ import annotations

import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import copy
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np

from minigan.common.terminal import bar
from minigan.data.dataset import Dataset, to_unit_range
from minigan.data.decode import File, decode, decode_whole, no_warnings, read_header
from minigan.data.headers import cropped, misnamed, read_headers, resized, without_crops
from minigan.data.kinds import count_kinds
from minigan.data.listing import Listing, choose_split, find_classes, list_archive, list_files, list_folder
from minigan.data.pictures import Size, as_size
from minigan.errors import DataError

CACHE_BUDGET = 1 << 30  # bytes; a data set is cached if its decoded pictures take no more
DEFAULT_SIZE = 64
THREADS = min(8, os.cpu_count() or 1)  # Pillow releases the GIL while it decodes
AT_ONCE = 256  # pictures between two updates of the progress bar


class BadFilesError(DataError):
    """Some pictures of a folder can't be used; `problems` has one sentence for each."""

    def __init__(self, root: Path, problems: list[str], some_are_good: bool) -> None:
        self.problems = problems
        n = len(problems)
        more = f"; this is one of {n:,} bad files: minigan data {root} lists them all" if n > 1 else ""
        skip = f", or go on without {'it' if n == 1 else 'them'} by `skip_bad`" if some_are_good else ""
        super().__init__(problems[0] + more + skip)


class FolderDataset(Dataset):
    """Pictures (*img_size, channels) from files, with class labels if the files are sorted into folders.

    `altered` counts the pictures of another size, and `bad` has a sentence for each file that was left out. `batch`
    raises DataError if a file turns out to be damaged.
    """

    def __init__(
        self,
        name: str,
        paths: list[File],
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
        self._wholes: dict[int, np.ndarray] = {}  # a cache, of at most CACHE_BUDGET bytes
        self._stored = self.shape  # of a sample in bytes
        self._make_cache()

    def _make_cache(self) -> None:
        """Make an empty cache of samples, if all of them fit into CACHE_BUDGET."""
        self._cache: np.ndarray | None = None
        if len(self.paths) * prod(self._stored) <= CACHE_BUDGET:
            self._cache = np.empty((len(self.paths), *self._stored), np.uint8)  # pages are allocated on first write
            self._cached = np.zeros(len(self.paths), bool)

    def __len__(self) -> int:
        return len(self.paths)

    def batch(self, indices: np.ndarray) -> np.ndarray:
        """Return pictures (n, *self.shape), float32 in [-1, 1], decoding those that are not cached."""
        indices = np.asarray(indices)
        if self._cache is None:
            return self.values(self._decode(indices))
        missing = np.unique(indices[~self._cached[indices]])
        if len(missing):
            self._cache[missing] = self._decode(missing)
            self._cached[missing] = True
        return self.values(self._cache[indices])

    def wholes(self, indices: np.ndarray) -> list[np.ndarray]:
        """Return pictures as bytes (H, W, channels), each at its own size, decoding those that are not cached."""
        missing = [i for i in set(indices.tolist()) if i not in self._wholes]
        with ThreadPoolExecutor(THREADS) as pool, no_warnings():
            decoded = pool.map(lambda i: self._read_whole(self.paths[i]), missing)
            found = dict(zip(missing, decoded, strict=True))
        free = CACHE_BUDGET - sum(x.nbytes for x in self._wholes.values())
        pictures = [found[i] if i in found else self._wholes[i] for i in indices.tolist()]
        for i, x in found.items():
            if (free := free - x.nbytes) >= 0:
                self._wholes[i] = x
        return pictures

    def values(self, stored: np.ndarray) -> np.ndarray:
        """Convert bytes to float32 in [-1, 1]."""
        return to_unit_range(stored)

    def select(self, indices: np.ndarray) -> FolderDataset:
        """Return a data set of only these files."""
        some = copy(self)
        some.labels = None if self.labels is None else self.labels[indices]
        some.paths, some.altered = [self.paths[i] for i in indices], 0
        if self._cache is not None and self._cached[indices].any():
            some._cache, some._cached = self._cache[indices], self._cached[indices]
        else:
            some._make_cache()
        some._wholes = {k: self._wholes[i] for k, i in enumerate(np.asarray(indices).tolist()) if i in self._wholes}
        return some

    def find_bad(self) -> dict[int, str]:
        """Decode all files, and return {index: problem} for those that can't be decoded."""
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
        """Return the decoded picture, or the error message if it can't be decoded."""
        try:
            return self._read(self.paths[i])
        except DataError as error:
            return str(error)

    def _decode(self, indices: np.ndarray) -> np.ndarray:
        """Decode files in parallel to uint8 (n, *self.shape)."""
        with ThreadPoolExecutor(THREADS) as pool, no_warnings():
            return np.stack(list(pool.map(lambda i: self._read(self.paths[i]), indices)))

    def _read(self, path: File) -> np.ndarray:
        """Decode a file at the size of a sample."""
        return decode(path, self.shape[:2], self.shape[2])

    def _read_whole(self, path: File) -> np.ndarray:
        """Decode a file at its own size."""
        return decode_whole(path, self.shape[2])


def open_folder(
    root: Path,
    img_size: Size | None = None,
    channels: int | None = None,
    split: str = "train",
    skip_bad: bool = False,
    crops: bool = False,
) -> FolderDataset:
    """Open all pictures in a folder or a .zip archive, with its subfolders, sorted by name.

    Hidden files and files of other kinds are ignored. `img_size` is the side of a square or (height, width), 64 by
    default. `channels` defaults to 1 if every picture is gray, else to 3. `listing` describes which folders are splits
    and classes. `notes` reports what was ignored, cropped and shrunk. `crops` says that pictures are neither, and that
    those that are smaller than `img_size` are passed over.

    Raises DataError if there are no pictures, and, naming the file, if one can't be read, or without `crops` is smaller
    than `img_size`.
    With `skip_bad`, all pictures are decoded once, and bad ones are left out.
    """
    everything = list_files(root)
    listing = choose_split(everything, split, root)
    return open_listing(replace(listing, passed_over=everything.passed_over), root, img_size, channels, skip_bad, crops)


def open_listing(
    listing: Listing,
    root: Path,
    img_size: Size | None = None,
    channels: int | None = None,
    skip_bad: bool = False,
    crops: bool = False,
) -> FolderDataset:
    """Open the pictures of a listing below `root`, as `open_folder` does."""
    size = as_size(img_size or DEFAULT_SIZE)
    passed_over = count_kinds(listing.passed_over)
    small: list[str] = []
    headers, bad = read_headers(listing, size, small if crops else None)
    if not headers:
        bad, small = [*bad, *small], []
    if bad and not (skip_bad and headers):
        raise BadFilesError(root, bad, bool(headers))
    channels = channels or (1 if all(header.gray for header in headers.values()) else 3)
    dataset = FolderDataset(name_of(root), list(headers), size, channels)
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
    default = img_size is None
    fitted = cropped(sizes, size, default, CACHE_BUDGET) if crops else resized(sizes, size, default)
    left_out = without_crops(len(small), len(sizes) + len(small), size)
    about_files = (passed_over, skipped if bad else "", left_out, misnamed(headers), fitted)
    dataset.notes = (*listing.notes, *filter(None, about_files), *about_classes)
    return dataset


def name_of(root: Path) -> str:
    """Return the name of the data in a folder or an archive."""
    return root.resolve().stem if root.is_file() else root.resolve().name


def natural_size(root: Path) -> int | None:
    """Return the shorter side of the first readable picture in a folder or an archive, or None."""
    if root.is_dir() or (root.is_file() and zipfile.is_zipfile(root)):
        with no_warnings():
            for _, path in (list_folder if root.is_dir() else list_archive)(root).pictures:
                with suppress(DataError):
                    return min(read_header(path).size)
    return None
