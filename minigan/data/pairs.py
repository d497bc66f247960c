"""Pairs of pictures from two folders or archives, each pair at its own size.

Two files are a pair if their paths below the root agree up to the suffix: a/001.png and b/001.jpg, or a/cats/001.png
and b/cats/001.png.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from minigan.data.archive import Member
from minigan.data.decode import decode_whole, no_warnings
from minigan.data.folder import list_pictures
from minigan.data.pictures import size_words
from minigan.errors import DataError

Pair = tuple[Path | Member, Path | Member]


class Pairs:
    """The pairs of two folders or archives, sorted by name.

    Iterating decodes them as uint8 (H, W, C) and (H, W, C), C = 1 if both are gray, else 3. Raises DataError, naming
    the files, for a picture without a partner, two pictures of one name, a pair that differs in size, or a damaged
    file.
    """

    def __init__(self, a: Path, b: Path, split_a: str = "train", split_b: str = "train") -> None:
        first, second = _by_name(a, split_a), _by_name(b, split_b)
        for here, there, root in ((first, second, b), (second, first, a)):
            alone = [path for name, path in here.items() if name not in there]
            if alone:
                more = f", and so have {len(alone) - 1:,} others" if len(alone) > 1 else ""
                raise DataError(f"{alone[0]} has no picture of its name in {root}{more}: add it, or remove this one")
        self.files: list[Pair] = [(path, second[name]) for name, path in first.items()]

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


def _by_name(root: Path, split: str) -> dict[tuple[str, ...], Path | Member]:
    """Return the pictures of a folder or an archive, keyed by their folders and name without suffix."""
    found: dict[tuple[str, ...], Path | Member] = {}
    for parts, path in list_pictures(root, split):
        name = (*parts[:-1], path.stem)
        if name in found:
            raise DataError(f"{found[name]} and {path} have one name, so a pair isn't certain: rename one of them")
        found[name] = path
    return found
