"""MNIST and Fashion-MNIST: 28x28 grey pictures in IDX files, from a folder or downloaded.

Y. LeCun, C. Cortes, C. Burges, "The MNIST Database of Handwritten Digits", 1998.
H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms",
2017. Other sets in the same four files (Kuzushiji-MNIST, EMNIST) open just as well.
"""

from __future__ import annotations

import os
from pathlib import Path

from minigan.data.dataset import ArrayDataset
from minigan.data.download import cache_folder, fetch
from minigan.data.idx import read_idx
from minigan.errors import DataError

PREFIX = {"train": "train", "test": "t10k"}
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
    """Open `"mnist"` or `"fashion-mnist"` from the cache, downloading what is missing.

    Raises DataError if no mirror gives the files, or if they are damaged.
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


def holds_mnist(folder: Path) -> bool:
    """Whether the folder has IDX pictures under the names of the MNIST family."""
    return any(_find(folder, split, "images") for split in PREFIX)


def read_mnist(folder: Path, split: str = "train") -> ArrayDataset:
    """Open the IDX files in a folder: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, and `t10k-...` for test.

    They may end in `.gz`. Pictures without labels are fine. Raises DataError if there is no file for the split, if one
    is damaged, or if the number of labels is another one than that of pictures.
    """
    images, labels = _find(folder, split, "images"), _find(folder, split, "labels")
    if images is None:
        raise DataError(f"{folder} has no {PREFIX[split]}-images-idx3-ubyte or .gz for the {split} split")
    pictures = read_idx(images, axes=3)[..., None]
    if labels is None:
        return ArrayDataset(folder.resolve().name, pictures)
    values = read_idx(labels, axes=1)
    if len(values) != len(pictures):
        raise DataError(f"{images} has {len(pictures):,} pictures but {labels} has {len(values):,} labels")
    classes = [str(k) for k in range(int(values.max()) + 1)]
    return ArrayDataset(folder.resolve().name, pictures, values, classes)


def _find(folder: Path, split: str, what: str) -> Path | None:
    axes = {"images": 3, "labels": 1}[what]
    for joint in ("-", "."):  # some copies are called train-images.idx3-ubyte
        for ending in ("", ".gz"):
            path = folder / f"{PREFIX[split]}-{what}{joint}idx{axes}-ubyte{ending}"
            if os.path.lexists(path) and not path.is_dir():  # a pipe or a link to nothing is refused where it is read
                return path
    return None
