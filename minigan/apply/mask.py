"""Masks for models that fill holes: pictures in which the holes are white."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from minigan.apply.picture import FLOATS, read_picture, to_floats, to_gray
from minigan.data.kinds import SUFFIXES
from minigan.data.pictures import size_words
from minigan.errors import DataError


def read_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Read the mask of a picture of `size` (H, W). Returns (H, W, 1) uint8: 1 where pixels are known, 0 in holes.

    A pixel that is brighter than medium gray, and not transparent, is in a hole. Raises DataError for another size, and
    for a mask without a hole or with nothing else.
    """
    mask = read_picture(path)
    if mask.pixels.shape[:2] != size:
        sizes = f"{size_words(*mask.pixels.shape[:2])}, and the picture {size_words(*size)} in height x width"
        raise DataError(f"the mask {path} is {sizes}: they must be the same")
    floats = to_floats(mask.pixels)
    holes = (to_gray(floats) if floats.shape[2] == 3 else floats[..., :1]) > 0  # (H, W, 1)
    if mask.alpha is not None:
        holes &= to_floats(mask.alpha) > 0
    if holes.all() or not holes.any():
        what = "is white everywhere, and leaves nothing to fill the hole with" if holes.all() else "has no white pixel"
        raise DataError(f"the mask {path} {what}: paint the holes white and the rest black")
    return (~holes).astype(np.uint8)


def mask_of(masks: Path, name: Path) -> Path:
    """Return the mask of a picture: `masks` itself, or the file in this folder that is called as the picture.

    name: of the picture, from the folder that was given. Suffixes may differ. Raises DataError if there is none.
    """
    if not masks.is_dir():
        return masks
    for suffix in (*SUFFIXES, FLOATS):
        if (path := masks / name.with_suffix(suffix)).exists():
            return path
    raise DataError(f"{masks} has no mask called {name.stem}.png: draw one, with white holes")
