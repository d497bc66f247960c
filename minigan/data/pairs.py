"""Pairs of pictures from two folders or archives, each pair at its own size.

Two files are a pair if their paths below the root agree up to the suffix: a/001.png and b/001.jpg, or a/cats/001.png
and b/cats/001.png.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minigan.data.decode import decode_whole, no_warnings
from minigan.data.listing import choose_split, list_files
from minigan.data.pictures import size_words
from minigan.data.sides import by_name, partners
from minigan.errors import DataError


class Pairs:
    """The pairs of two folders or archives, sorted by name.

    Iterating decodes them as uint8 (H, W, C) and (H, W, C), C = 1 if both are gray, else 3. Raises DataError, naming
    the files, for a picture without a partner, two pictures of one name, a pair that differs in size, or a damaged
    file.
    """

    def __init__(self, a: Path, b: Path, split_a: str = "train", split_b: str = "train") -> None:
        chosen = [choose_split(list_files(root), split, root) for root, split in ((a, split_a), (b, split_b))]
        first, second = (by_name(listing.pictures) for listing in chosen)
        self.files: list[Any] = partners([first, second], [a, b])  # of two files each

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for one, other in self.files:
            with no_warnings():
                x, y = decode_whole(one), decode_whole(other)
            if x.shape[:2] != y.shape[:2]:
                raise DataError(
                    f"{one} is {size_words(*x.shape[:2])}, but {other} {size_words(*y.shape[:2])} in height x width: "
                    "pairs are compared pixel by pixel, so create both again in one size, without resizing"
                )
            channels = max(x.shape[2], y.shape[2])
            yield tuple(np.broadcast_to(picture, (*picture.shape[:2], channels)) for picture in (x, y))
