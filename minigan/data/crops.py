"""Random crops of pictures at their own scale, instead of pictures that are resized."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from minigan.data.dataset import Dataset
from minigan.data.pictures import Size, as_size, size_words
from minigan.errors import DataError


class Whole(Protocol):
    """A data set whose pictures can be read at their own size."""

    name: str
    shape: tuple[int, ...]
    labels: np.ndarray | None
    classes: list[str] | None
    notes: tuple[str, ...]

    def __len__(self) -> int: ...

    def wholes(self, indices: np.ndarray) -> list[np.ndarray]:
        """Return pictures as bytes (H, W, C), each at its own size."""
        ...

    def values(self, stored: np.ndarray) -> np.ndarray:
        """Convert bytes (n, H, W, C) to samples (n, H, W, channels of `shape`)."""
        ...

    def select(self, indices: np.ndarray) -> Whole:
        """Return a data set of only these pictures."""
        ...


class Crops(Dataset):
    """Crops of `size` (height, width) of the pictures of another data set. An item is a whole picture."""

    def __init__(self, pictures: Whole, size: tuple[int, int]) -> None:
        self.pictures, self.size = pictures, size
        self.name, self.notes = pictures.name, pictures.notes
        self.labels, self.classes = pictures.labels, pictures.classes
        self.shape = (*size, pictures.shape[2])

    def __len__(self) -> int:
        return len(self.pictures)

    def batch(self, indices: np.ndarray) -> np.ndarray:
        """Return the crops (n, *shape) at the centers."""
        return self.crop(indices, np.full((len(indices), 2), 0.5))

    def crop(self, indices: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Return the crops (n, *shape) at places (n, 2) in [0, 1): 0 is at the top or left edge.

        Every position is equally likely if places are uniform. Raises DataError for a picture smaller than the crop.
        """
        wholes = self.pictures.wholes(np.asarray(indices))
        cuts = [_cut(x, place, self.size, self.name) for x, place in zip(wholes, places, strict=True)]
        return self.pictures.values(np.stack(cuts))

    def item(self, i: int) -> np.ndarray:
        """Return one whole picture (1, H, W, C)."""
        return self.pictures.values(self.pictures.wholes(np.array([i]))[0][None])

    def select(self, indices: np.ndarray) -> Crops:
        """Return a data set of crops of only these pictures."""
        return Crops(self.pictures.select(indices), self.size)


def cropped(pictures: Whole, img_size: Size | None) -> Crops:
    """Return crops of a size, by default that of the data set's samples. Raises DataError if these are smaller."""
    height, width = pictures.shape[:2]
    size = (height, width) if img_size is None else as_size(img_size)
    if size[0] > height or size[1] > width:
        what = f"{pictures.name} has pictures of {size_words(height, width)}, and no crops of {size_words(*size)}"
        raise DataError(f"{what}: use a smaller `img_size`, or resize them, without `crops`")
    return Crops(pictures, size)


def _cut(x: np.ndarray, place: Sequence[float], size: tuple[int, int], name: str) -> np.ndarray:
    """Return the crop (*size, C) of x (H, W, C) at a place in [0, 1)²."""
    free = x.shape[0] - size[0], x.shape[1] - size[1]
    if min(free) < 0:
        what = f"{name}: a picture of {size_words(*x.shape[:2])} has no crop of {size_words(*size)}"
        raise DataError(f"{what}: use a smaller `img_size`")
    top, left = (int(p * (pixels + 1)) for p, pixels in zip(place, free, strict=True))
    return x[top : top + size[0], left : left + size[1]]
