"""Read pictures from a .npy file, or from a .npz file with labels and splits.

`as_bytes` lists the shapes and ranges of pictures; labels are whole numbers (N,) or (N, 1). In an archive, the array
with the pictures is found by its shape. The words train, val and test in array names mark splits: x_train, y_train,
test_images, ... Nothing in a file is executed: see `minigan.common.untrusted`.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np

from minigan.common.untrusted import MAGIC, Unreadable, open_file, read_npy, read_npz
from minigan.data.as_bytes import as_pictures, to_bytes
from minigan.data.dataset import ArrayDataset
from minigan.data.listing import SPLIT_OF, NoSplitError, listed
from minigan.errors import DataError

LABEL_NAMES = {"y", "label", "labels", "target", "targets", "class", "classes"}
RATIO = 100  # how much a .npz may be compressed: line drawings reach this


def holds_arrays(path: Path) -> bool:
    """Whether a file is a .npy file, or an archive of .npy files, by its content rather than its name."""
    with open_file(path) as file:
        if file.read(len(MAGIC)) == MAGIC:
            return True
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # a damaged archive may fail in any step, with any exception
        return path.suffix.lower() == ".npz"
    return bool(names) and all(name.endswith(".npy") for name in names)


def read_arrays(path: Path, split: str = "train") -> ArrayDataset:
    """Open the pictures in a .npy or .npz file. Raises DataError, naming the file, if it has no usable pictures."""
    try:
        with open_file(path) as file:
            single = file.read(len(MAGIC)) == MAGIC
            file.seek(0)
            arrays = {path.stem: read_npy(file)} if single else read_npz(file, RATIO)
        pictures, labels, notes = _choose(arrays, split)
        samples, more = to_bytes(pictures)
        classes = None
        if labels is not None:
            values, labels = np.unique(labels, return_inverse=True)
            classes = [f"{value:g}" for value in values]
        dataset = ArrayDataset(path.stem, samples, labels, classes)
    except NoSplitError as error:
        raise NoSplitError(f"{path} can't be used as pictures: {error}") from error
    except Unreadable as error:
        raise DataError(f"{path} can't be used as pictures: {error}") from error
    except MemoryError as error:
        raise DataError(f"{path} has more pictures than fit into memory: give fewer of them") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    dataset.notes = (*notes, *more)
    return dataset


def _choose(arrays: dict[str, np.ndarray], split: str) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """Return the pictures of a split, their labels (N,) or None, and notes. Raises Unreadable if ambiguous."""
    splits = {name: _words(name) & SPLIT_OF.keys() for name in arrays}
    there = {SPLIT_OF[word] for words in splits.values() for word in words}
    if split not in there and (there or split != "train"):
        raise NoSplitError(f"it has no {split} split" + (f", only {listed(sorted(there))}" if there else ""))
    of_split = {name: a for name, a in arrays.items() if not there or split in {SPLIT_OF[w] for w in splits[name]}}
    found = {name: pictures for name, a in of_split.items() if (pictures := as_pictures(a)) is not None}
    if len(found) != 1:
        shapes = listed(f"{name} {array.shape}" for name, array in of_split.items())
        which = f"{listed(found)} could all be the pictures" if found else f"none of its arrays is pictures: {shapes}"
        raise Unreadable(f"{which}; give (N, H, W) or (N, H, W, C)")
    name, pictures = found.popitem()
    n = len(pictures)
    labels = {k: a.reshape(n) for k, a in of_split.items() if k != name and a.shape in ((n,), (n, 1)) and _whole(a)}
    named = {k: a for k, a in labels.items() if _words(k) & LABEL_NAMES} or labels
    unused = sorted(of_split.keys() - {name} - (named.keys() if len(named) == 1 else set()))
    notes = (f"{name} are the pictures; not used: {listed(unused)}",) if unused else ()
    return pictures, next(iter(named.values())) if len(named) == 1 else None, notes


def _words(name: str) -> set[str]:
    return set(re.split(r"[^a-z0-9]+|(?<=[a-z])(?=[0-9])", name.lower()))


def _whole(array: np.ndarray) -> bool:
    return array.dtype.kind in "bui" or bool((np.isfinite(array) & (array == np.round(array))).all())
