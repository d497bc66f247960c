"""The table of named data sets, and `open_dataset`, which opens a name or a path."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from minigan.common.arguments import whole
from minigan.common.untrusted import MAGIC, open_file
from minigan.data import cifar, mnist
from minigan.data.arrays import holds_arrays, read_arrays
from minigan.data.crops import cropped
from minigan.data.dataset import ArrayDataset, Dataset, about_darkness
from minigan.data.digits import open_digits
from minigan.data.folder import open_folder
from minigan.data.idx import GZIP_MAGIC
from minigan.data.listing import SPLITS, NoSplitError, without_pictures
from minigan.data.pictures import Size, check_size
from minigan.data.points import PointDataset, grid, ring
from minigan.data.shapes import ShapesDataset
from minigan.errors import DataError

DRAWN = ("train", "test", "val")  # splits of the synthetic sets: the index is part of the seed
ARRAYS, ZIP_MAGIC = (".npy", ".npz"), b"PK"


@dataclass(frozen=True)
class DatasetInfo:
    """One row of the table that `minigan data` prints."""

    what: str
    size: str
    classes: int
    origin: str
    cached: bool | None = None  # for downloads: whether the files are in the cache


DATASETS = {
    "digits": DatasetInfo("handwritten digits, UCI 1998", "1,797 of 16x16x1", 10, "in the package"),
    "ring": DatasetInfo("8 Gaussians on a circle", "100,000 points", 8, "drawn from the seed"),
    "grid": DatasetInfo("25 Gaussians on a grid", "100,000 points", 25, "drawn from the seed"),
    "shapes": DatasetInfo("circles, squares, triangles, ...", "10,000 of 32x32x3", 5, "drawn from the seed"),
    "mnist": DatasetInfo("handwritten digits", "60,000 of 28x28x1", 10, "download, 12 MB"),
    "fashion-mnist": DatasetInfo("pieces of clothing", "60,000 of 28x28x1", 10, "download, 31 MB"),
    "cifar10": DatasetInfo("photographs of animals and vehicles", "50,000 of 32x32x3", 10, "download, 170 MB"),
}


def list_datasets() -> dict[str, DatasetInfo]:
    """Return `DATASETS` with `cached` filled in for downloads."""
    cached = {name: mnist.is_cached(name) for name in mnist.MIRRORS} | {"cifar10": cifar.is_cached()}
    return {name: replace(info, cached=cached.get(name)) for name, info in DATASETS.items()}


def open_dataset(
    spec: str | os.PathLike,
    img_size: Size | None = None,
    channels: int | None = None,
    seed: int = 0,
    split: str = "train",
    limit: int | None = None,
    skip_bad: bool = False,
    crops: bool = False,
) -> Dataset:
    """Open a data set by name (see `DATASETS`) or from a path.

    A path may lead to a folder or a .zip archive of pictures, IDX files of the MNIST family, CIFAR-10 or CIFAR-100 as a
    folder or .tar.gz, or arrays in a .npy or .npz file. `split` is train, val or test, if the data has it. `img_size`
    is the side of a square or (height, width), and `channels` is 1 or 3; None keeps the data set's own. `limit` keeps
    that many samples, chosen by `seed`, which also seeds the synthetic sets. `skip_bad` leaves out pictures that can't
    be read. With `crops`, samples are crops of `img_size` of pictures at their own scale (`Crops`); else pictures are
    resized. Classes without samples are dropped, and the labels renumbered.

    Raises DataError, in one sentence, for anything that can't be opened as requested.
    """
    if not isinstance(spec, (str, os.PathLike)):
        got = f"got {type(spec).__name__}: ArrayDataset(name, array) takes an array"
        raise DataError(f"a data set is opened by a name or a path, {got}")
    spec = os.fspath(spec)
    _check_arguments(img_size, channels, seed, split, limit)
    if "/" in spec or os.sep in spec or os.path.exists(spec):
        dataset = _open_path(Path(spec).expanduser(), img_size, channels, split, skip_bad, crops)
    else:
        dataset = _open_name(spec, img_size, channels, seed, split, crops)
    if isinstance(dataset, PointDataset) and (img_size or channels):
        raise DataError(
            f"{spec} is a set of points, which have no `img_size` and no `channels`: leave them out, or give pictures"
        )
    if limit and limit < len(dataset):
        chosen = np.random.default_rng(seed).permutation(len(dataset))[:limit]
        dataset = dataset.select(np.sort(chosen))
    if isinstance(dataset, ArrayDataset) and not isinstance(dataset, PointDataset):
        dataset = dataset.fit(None if crops else img_size, channels)
    if crops and not isinstance(dataset, (PointDataset, ShapesDataset)):  # shapes are drawn at any size
        dataset = cropped(dataset, img_size)
    if not isinstance(dataset, PointDataset):
        dataset.notes += about_darkness(dataset)
    return _drop_empty_classes(dataset)


def _drop_empty_classes(dataset: Dataset) -> Dataset:
    """Drop classes without samples, renumber the labels, and add a note about it."""
    if dataset.labels is None or not dataset.classes:
        return dataset
    present, labels = np.unique(dataset.labels, return_inverse=True)
    missing = [name for k, name in enumerate(dataset.classes) if k not in set(present.tolist())]
    if missing:
        dataset.labels, dataset.classes = labels, [dataset.classes[k] for k in present]
        dataset.notes += without_pictures(missing)
    return dataset


def _check_arguments(img_size: Size | None, channels: int | None, seed: int, split: str, limit: int | None) -> None:
    check_size(img_size, channels)
    if split not in SPLITS:
        raise DataError(f"there is no split {split!r}: use train, val or test")
    if whole(seed, "a data set", "the seed", DataError) < 0:
        raise DataError(f"a seed is a number from 0 on, got {seed}")
    if limit is not None and whole(limit, "a data set", "the limit", DataError) < 1:
        raise DataError(f"`limit` must be at least 1, got {limit}")


def _open_name(name: str, img_size: Size | None, channels: int | None, seed: int, split: str, crops: bool) -> Dataset:
    if name not in DATASETS:
        near = difflib.get_close_matches(name.lower(), DATASETS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"use {', '.join(DATASETS)}, or the path of a folder or file"
        raise DataError(f"there is no data set or folder called {name!r}: {hint}")
    draw = [seed, DRAWN.index(split)]  # synthetic sets draw other samples for each split
    if name == "digits":
        _check_split(name, split, ("train",))
        return open_digits(16 if crops else img_size or 16)
    if name == "shapes":
        return ShapesDataset(img_size=img_size or 32, channels=channels or 3, seed=draw)
    if name == "cifar10" or name in mnist.MIRRORS:
        _check_split(name, split)
    if name == "cifar10":
        return cifar.download_cifar10(split)
    if name in mnist.MIRRORS:
        return mnist.download_mnist(name, split)
    return {"ring": ring, "grid": grid}[name](seed=draw)


def _check_split(name: str | Path, split: str, there: tuple[str, ...] = ("train", "test")) -> None:
    if split not in there:
        only = " and ".join(there)
        raise NoSplitError(f"{name} has no {split} split, only {only}: use `split` {there[0]}, or other data")


def _open_path(
    path: Path, img_size: Size | None, channels: int | None, split: str, skip_bad: bool, crops: bool
) -> Dataset:
    if not os.path.exists(path):
        raise DataError(f"{path} does not exist: check the path")
    try:
        if mnist.holds_mnist(path):
            _check_split(path, split)
            return mnist.read_mnist(path, split)
        if path.is_dir():
            if cifar.holds_cifar(path):
                _check_split(path, split)
                return cifar.read_cifar(path, split)
            return open_folder(path, img_size, channels, split, skip_bad, crops)
        with open_file(path) as file:
            magic = file.read(len(MAGIC))
        if magic.startswith(GZIP_MAGIC) and path.name.endswith((".tar.gz", ".tgz")):
            _check_split(path, split)
            return cifar.read_cifar(path, split)
        if magic == MAGIC or path.suffix.lower() in ARRAYS or (magic.startswith(ZIP_MAGIC) and holds_arrays(path)):
            return read_arrays(path, split)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    if magic.startswith(ZIP_MAGIC) or path.suffix.lower() == ".zip":
        return open_folder(path, img_size, channels, split, skip_bad, crops)
    kinds = "a CIFAR archive (.tar.gz), a .zip of pictures, a .npy or .npz of arrays, or an IDX file like MNIST's"
    raise DataError(f"{path} is a file, and not {kinds}: give the folder that holds it")
