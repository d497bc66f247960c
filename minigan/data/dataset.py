"""The `Dataset` protocol, and data sets in memory.

Pictures are stored as bytes, in a quarter of the memory of float32, and converted to [-1, 1] when a batch is requested.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from minigan.backend import to_numpy
from minigan.common.arguments import labels_of, numbers
from minigan.common.untrusted import Unreadable
from minigan.data.as_bytes import as_pictures, to_bytes
from minigan.data.pictures import Size, check_size, fit_array
from minigan.errors import DataError

CHECKED, ALMOST_BLACK = 16, 16  # pictures; level of 255: 12 bits stored in 16 reach 4095 · 255/65535 = 15.9


class Dataset(Protocol):
    """Samples of one shape, with or without class labels.

    `shape` is the shape of one sample: (H, W, C) for pictures, (2,) for points on the plane. `labels` is an integer
    array (N,) or None, and `classes` names the label values. `notes` are sentences for the user about what was left out
    or changed.
    """

    name: str
    shape: tuple[int, ...]
    labels: np.ndarray | None
    classes: list[str] | None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int: ...

    def batch(self, indices: np.ndarray) -> np.ndarray:
        """Return samples (n, *shape) as a new float32 array; pictures are in [-1, 1]."""
        ...

    def item(self, i: int) -> np.ndarray:
        """Return one sample (1, …) that is held out: as in `batch`, except that `Crops` return the whole picture."""
        return self.batch(np.array([i]))

    def select(self, indices: np.ndarray) -> Dataset:
        """Return a data set of only these samples."""
        ...

    def describe(self) -> str:
        """Return one line for the user, such as `mnist: 60,000 pictures of 28x28x1, 10 classes`."""
        classes = f", {len(self.classes)} classes" if self.classes else ""
        return f"{self.name}: {counted(len(self), self.shape)}{classes}"


def counted(n: int, shape: tuple[int, ...]) -> str:
    """Describe n samples of a shape, such as `60,000 pictures of 28x28x1`."""
    if len(shape) == 3:
        return f"{n:,} pictures of {'x'.join(map(str, shape))}"
    return f"{n:,} points of {shape[0]} coordinates"


def about_darkness(dataset: Dataset) -> tuple[str, ...]:
    """Return a note if pictures are almost black, as when 12 bits, or numbers of classes, are stored in more bits."""
    some = np.linspace(0, len(dataset) - 1, min(CHECKED, len(dataset))).astype(int)
    brightest = round((float(dataset.batch(some).max()) + 1) * 127.5)
    if brightest > ALMOST_BLACK:
        return ()
    return (
        f"the pictures are almost black: the brightest value in {len(some):,} of them is {brightest} of 255; if the "
        "files hold 12 bits in 16, or 0 and 1, multiply their values first; pix2pix takes class maps by `labels`",
    )


def number_classes(dataset: Dataset, classes: Sequence[str]) -> None:
    """Renumber the labels by the order of `classes`. Raises DataError if a class of the data is missing there."""
    number = {name: k for k, name in enumerate(classes)}
    unknown = [name for name in dataset.classes or () if name not in number]
    if unknown or not dataset.classes or dataset.labels is None:
        raise DataError(f"{dataset.name} has other classes, such as {unknown[0] if unknown else 'none at all'}")
    dataset.labels = np.array([number[name] for name in dataset.classes])[dataset.labels]
    dataset.classes = list(classes)


def to_unit_range(pictures: np.ndarray) -> np.ndarray:
    """Convert bytes to float32 in [-1, 1]: 0 becomes -1 and 255 becomes 1."""
    x = pictures.astype(np.float32)
    x /= 127.5
    x -= 1
    return x


def _samples(name: str, samples: Any) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return pictures as bytes (N, H, W, 1 or 3) or points (N, F) as float32, and notes about changes."""
    samples = to_numpy(numbers(samples, name, "samples", DataError))
    if samples.ndim and samples.size == 0:
        raise DataError(f"{name}: there are no samples in it")
    pictures = as_pictures(samples)
    if pictures is None and samples.ndim == 2 and samples.dtype not in (bool, np.uint8):
        if not np.isfinite(samples).all():
            raise DataError(f"{name}: some of the points are NaN or infinite: take those out")
        return samples.astype(np.float32, copy=False), ()
    if pictures is None:
        wanted = "pictures (N, H, W, 1 or 3), or points (N, 2) in floats"
        raise DataError(f"{name}: expected {wanted}, got {samples.dtype} {samples.shape}")
    if pictures.dtype == np.uint8 and pictures.shape[3] in (1, 3):
        return pictures, ()
    try:
        return to_bytes(pictures)
    except Unreadable as error:
        raise DataError(f"{name} can't be used as pictures: {error}") from error


class ArrayDataset(Dataset):
    """A data set in memory: pictures (N, H, W, 1 or 3), kept as uint8, or points (N, 2), kept as float32.

    Pictures (N, H, W, 1 or 3) of bytes are taken as they are. All others, including (N, H, W), (N, C, H, W) and alpha
    channels, are converted by `as_bytes`, and `notes` states the range that was assumed. Labels are whole numbers (N,)
    or (N, 1) from 0 on, below the number of `classes` if these are given.

    Raises DataError for an empty array, one that is neither pictures nor points, or labels that don't fit the samples.
    """

    def __init__(self, name: str, samples: Any, labels: Any = None, classes: Sequence[str] | None = None):
        self.name = name
        self.samples, self.notes = _samples(name, samples)
        self.shape = self.samples.shape[1:]
        if isinstance(classes, str) or not isinstance(classes, (Sequence, np.ndarray, type(None))):
            raise DataError(f"{name}: classes are names in a list, got {classes!r}")
        self.classes = None if classes is None else list(classes)
        if self.classes and len(set(self.classes)) < len(self.classes):
            raise DataError(f"{name}: two classes have one name: give each a name of its own")
        count = len(self.classes) if self.classes else None
        self.labels = None if labels is None else labels_of(labels, len(self.samples), count, name, DataError)

    def __len__(self) -> int:
        return len(self.samples)

    def batch(self, indices: np.ndarray) -> np.ndarray:
        """Return samples (n, *shape) as a new float32 array; pictures are in [-1, 1]."""
        return self.values(self._chosen(indices))

    def wholes(self, indices: np.ndarray) -> list[np.ndarray]:
        """Return pictures as bytes (H, W, C)."""
        return list(self._chosen(indices))

    def values(self, stored: np.ndarray) -> np.ndarray:
        """Convert bytes to float32 in [-1, 1]; points are returned unchanged."""
        return to_unit_range(stored) if stored.dtype == np.uint8 else stored

    def select(self, indices: np.ndarray) -> ArrayDataset:
        """Return a data set of only these samples."""
        samples = self._chosen(indices)
        labels = None if self.labels is None else self.labels[indices]
        some = ArrayDataset(self.name, samples, labels, self.classes)
        some.notes = self.notes
        return some

    def _chosen(self, indices: Any) -> np.ndarray:
        """Return the samples (n, *shape) at a list of indices. Raises DataError for invalid ones or a single number."""
        try:
            samples = self.samples[indices]
        except IndexError:
            samples = None
        if samples is None or samples.ndim != self.samples.ndim:
            raise DataError(f"{self.name}: samples are chosen by a list of numbers from 0 to {len(self) - 1}")
        return samples

    def fit(self, img_size: Size | None = None, channels: int | None = None) -> ArrayDataset:
        """Return the pictures at `img_size` pixels and with 1 or 3 `channels`; None keeps what they have.

        A size is the side of a square or (height, width): the center is cropped to its aspect ratio and resized. Raises
        DataError if the result would not fit into memory.
        """
        check_size(img_size, channels)
        samples = fit_array(self.samples, img_size, channels, self.name)
        if samples is self.samples:
            return self
        fitted = ArrayDataset(self.name, samples, self.labels, self.classes)
        fitted.notes = self.notes
        return fitted
