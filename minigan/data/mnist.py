"""The MNIST family: 28x28 gray pictures in IDX files, from a folder or downloaded.

* Y. LeCun, C. Cortes, C. Burges, "The MNIST Database of Handwritten Digits", 1998.
* H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms",
  2017. Other sets with the same four file names, such as Kuzushiji-MNIST, can be opened as well.
* G. Cohen, S. Afshar, J. Tapson, A. van Schaik, "EMNIST: an Extension of MNIST to Handwritten Letters", 2017: six sets,
  named emnist-SET-train-images-idx3-ubyte and so on. Their files hold transposed pictures, which are transposed back.
"""

from __future__ import annotations

import re
import string
from pathlib import Path

import numpy as np

from minigan.data.dataset import ArrayDataset
from minigan.data.download import cache_folder, fetch
from minigan.data.idx import read_idx
from minigan.data.listing import NoSplitError, listed
from minigan.errors import DataError

PREFIX = {"train": "train", "test": "t10k"}
FOLDERS = ("", "raw", "gzip")  # subfolders in which other programs keep the files
EMNIST = re.compile(r"emnist-([a-z]+)-(train|test)-(images-idx3|labels-idx1)-ubyte(\.gz)?")
MERGED = string.digits + string.ascii_uppercase + "abdefghnqrt"  # other lowercase letters are merged with capitals
EMNIST_CLASSES = {
    "byclass": string.digits + string.ascii_uppercase + string.ascii_lowercase,
    "bymerge": MERGED,
    "balanced": MERGED,
    "letters": string.ascii_uppercase,  # counted from 1
    "digits": string.digits,
    "mnist": string.digits,
}
FASHION_CLASSES = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]
MIRRORS = {
    "mnist": ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
    "fashion-mnist": (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
}
CHECKSUMS = {
    "mnist": {
        "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    },
}


def download_mnist(name: str, split: str = "train") -> ArrayDataset:
    """Open `"mnist"` or `"fashion-mnist"` from the cache, downloading missing files.

    Raises DataError if no mirror provides a file, or if a file is damaged.
    """
    folder = cache_folder() / name
    for file, checksum in CHECKSUMS[name].items():
        if file.startswith(PREFIX[split]):
            fetch(folder / file, [mirror + file for mirror in MIRRORS[name]], checksum)
    dataset = read_mnist(folder, split)
    dataset.name = name
    if name == "fashion-mnist":
        dataset.classes = FASHION_CLASSES
    return dataset


def is_cached(name: str) -> bool:
    """Whether all four files are in the cache."""
    return all((cache_folder() / name / file).exists() for file in CHECKSUMS[name])


def holds_mnist(path: Path) -> bool:
    """Whether a folder has IDX pictures with the file names of the MNIST family, or a file is one of them."""
    if path.is_file():
        return any(_split_and_set(path))
    return any(_find(path, split, "images") for split in PREFIX)


def read_mnist(path: Path, split: str = "train") -> ArrayDataset:
    """Open the IDX files in a folder, or the set and split that the file `path` belongs to.

    The files are named `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-...` for test, or like those of
    EMNIST, and may end in `.gz`. Labels may be missing. Raises DataError if the split has no file, if there are several
    sets, if a file is damaged, or if the numbers of labels and pictures differ.
    """
    folder, only = path, None
    if path.is_file():
        folder, (split, only) = path.parent, _split_and_set(path)
    images = _find(folder, split, "images", only)
    if images is None:
        raise NoSplitError(f"{folder} has no {PREFIX[split]}-images-idx3-ubyte or .gz for the {split} split")
    labels = _find(folder, split, "labels", _split_and_set(images)[1])
    emnist = EMNIST.fullmatch(images.name)
    pictures = read_idx(images, axes=3)[..., None]
    if emnist:
        pictures = np.ascontiguousarray(pictures.swapaxes(1, 2))
    name = f"emnist-{emnist[1]}" if emnist else folder.resolve().name
    if labels is None:
        return ArrayDataset(name, pictures)
    values = read_idx(labels, axes=1).astype(np.int64)
    if len(values) != len(pictures):
        raise DataError(f"{images} has {len(pictures):,} pictures but {labels} has {len(values):,} labels")
    classes = [str(k) for k in range(int(values.max()) + 1)]
    if emnist and emnist[1] in EMNIST_CLASSES:
        classes = list(EMNIST_CLASSES[emnist[1]])
        values -= emnist[1] == "letters"
        if not 0 <= values.min() <= values.max() < len(classes):
            raise DataError(f"{labels} has other labels than those of the {len(classes)} classes of {name}")
    return ArrayDataset(name, pictures, values, classes)


def _split_and_set(file: Path) -> tuple[str, str]:
    """Return the split of a file, "" for other files, and the prefix that all file names of its set share."""
    if emnist := EMNIST.fullmatch(file.name):
        return emnist[2], f"emnist-{emnist[1]}-"
    plain = re.fullmatch(r"(train|t10k)-(images|labels)[-.]idx[13]-ubyte(\.gz)?", file.name)
    return ("train" if plain[1] == "train" else "test") if plain else "", ""


def _find(folder: Path, split: str, what: str, only: str | None = None) -> Path | None:
    """Return the file of pictures or labels, or None. `only` is the prefix of the file names of one set."""
    axes = {"images": 3, "labels": 1}[what]
    found: dict[str, Path] = {}  # by set
    for inner in FOLDERS:
        # some copies are named train-images.idx3-ubyte; an unpacked file takes precedence over its .gz
        for name in (f"{PREFIX[split]}-{what}-", f"{PREFIX[split]}-{what}.", f"emnist-*-{split}-{what}-"):
            for path in sorted((folder / inner).glob(f"{name}idx{axes}-ubyte*"), key=lambda path: len(path.name)):
                named, begins = _split_and_set(path)
                if named and not path.is_dir():  # pipes and broken links are refused when they are read
                    found.setdefault(begins, path)
    if only is None and len(found) > 1:
        several = listed(sorted(path.name for path in found.values()))
        raise DataError(f"{folder} holds several data sets: give the path of one file, such as {several}")
    return found.get(only) if only is not None else next(iter(found.values()), None)
