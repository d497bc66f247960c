"""What a data set is: samples by index, as float32 arrays that a network can take.

Pictures are kept as bytes, which takes a quarter of the memory of float32, and become numbers in [-1, 1] when a batch
is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from minigan.data.pictures import fit_array
from minigan.errors import DataError


class Dataset(Protocol):
    """Samples of one shape, with or without classes.

    `shape` is the shape of one sample: (H, W, C) for pictures, (2,) for points on the plane. `labels` is an integer
    array (N,) or None, and `classes` names the values that labels may take. `notes` are sentences for the user about
    what was left out or changed.
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

    def select(self, indices: np.ndarray) -> Dataset:
        """Return a data set of these samples only."""
        ...

    def describe(self) -> str:
        """Return one line for people, such as `mnist: 60,000 pictures of 28x28x1, 10 classes`."""
        kind = "pictures" if len(self.shape) == 3 else "points"
        size = "x".join(map(str, self.shape)) if len(self.shape) == 3 else f"{self.shape[0]} coordinates"
        classes = f", {len(self.classes)} classes" if self.classes else ""
        return f"{self.name}: {len(self):,} {kind} of {size}{classes}"


def number_classes(dataset: Dataset, classes: Sequence[str]) -> None:
    """Give labels the numbers that they have in `classes`. Raises DataError if a class of the data isn't among them."""
    number = {name: k for k, name in enumerate(classes)}
    unknown = [name for name in dataset.classes or () if name not in number]
    if unknown or not dataset.classes or dataset.labels is None:
        raise DataError(f"{dataset.name} has other classes, such as {unknown[0] if unknown else 'none at all'}")
    dataset.labels = np.array([number[name] for name in dataset.classes])[dataset.labels]
    dataset.classes = list(classes)


def to_unit_range(pictures: np.ndarray) -> np.ndarray:
    """Turn bytes into float32: 0 becomes -1 and 255 becomes 1."""
    x = pictures.astype(np.float32)
    x /= 127.5
    x -= 1
    return x


class ArrayDataset(Dataset):
    """A data set in memory: pictures (N, H, W, C) of uint8, or points (N, 2) of float32.

    Raises DataError if it is empty or if the labels do not fit the samples.
    """

    def __init__(
        self, name: str, samples: np.ndarray, labels: np.ndarray | None = None, classes: list[str] | None = None
    ):
        if (samples.ndim, samples.dtype) not in ((4, np.uint8), (2, np.float32)):
            raise DataError(
                f"{name}: expected uint8 pictures (N, H, W, C) or float32 points (N, 2), "
                f"got {samples.dtype} {samples.shape}"
            )
        if samples.size == 0:
            raise DataError(f"{name}: there are no samples in it")
        if labels is not None and len(labels) != len(samples):
            raise DataError(f"{name}: {len(samples):,} samples but {len(labels):,} labels")
        self.name = name
        self.samples = samples
        self.shape = samples.shape[1:]
        self.labels = None if labels is None else np.asarray(labels, dtype=np.int64)
        self.classes = classes

    def __len__(self) -> int:
        return len(self.samples)

    def batch(self, indices: np.ndarray) -> np.ndarray:
        """Return samples (n, *shape) as a new float32 array; pictures are in [-1, 1]."""
        samples = self.samples[indices]
        return to_unit_range(samples) if samples.dtype == np.uint8 else samples

    def select(self, indices: np.ndarray) -> ArrayDataset:
        """Return a data set of these samples only."""
        labels = None if self.labels is None else self.labels[indices]
        some = ArrayDataset(self.name, self.samples[indices], labels, self.classes)
        some.notes = self.notes
        return some

    def fit(self, img_size: int | None = None, channels: int | None = None) -> ArrayDataset:
        """Return the pictures as squares of `img_size` pixels with 1 or 3 `channels`; None leaves them as they are.

        Raises DataError if the result would not fit into memory.
        """
        samples = fit_array(self.samples, img_size, channels, self.name)
        if samples is self.samples:
            return self
        fitted = ArrayDataset(self.name, samples, self.labels, self.classes)
        fitted.notes = self.notes
        return fitted
