"""1,797 handwritten digits that ship with the package, so nothing needs to be downloaded.

E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998,
https://doi.org/10.24432/C50P49, CC BY 4.0: its test set, 8x8 pictures with 17 levels of gray. Here the levels are
scaled to bytes and the pictures are enlarged.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import numpy as np

from minigan.data.dataset import ArrayDataset
from minigan.data.pictures import Size, fit_array


def open_digits(img_size: Size = 16) -> ArrayDataset:
    """Open the digits: white on black, at (16, 16, 1) or another `img_size`, in ten classes."""
    pictures, labels = _read(img_size)
    return ArrayDataset("digits", pictures, labels, [str(k) for k in range(10)])


@lru_cache(maxsize=4)
def _read(img_size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures (1797, H, W, 1) of bytes and labels (1797,), read-only because the cache shares them."""
    with files("minigan.data").joinpath("digits.npz").open("rb") as file, np.load(file, allow_pickle=False) as data:
        levels, labels = data["images"], data["labels"]  # (1797, 8, 8) in 0..16, (1797,)
    # The digits fill all 8 rows. A margin of one pixel keeps interpolation from cutting strokes off at the border.
    levels = np.pad(levels, ((0, 0), (1, 1), (1, 1)))
    pictures = (levels * (255 / 16)).round().astype(np.uint8)[..., None]
    pictures = fit_array(pictures, img_size, None, "digits")
    labels = labels.astype(np.int64)
    pictures.flags.writeable = labels.flags.writeable = False
    return pictures, labels
