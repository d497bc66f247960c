"""CIFAR-10 and CIFAR-100: 32x32 color pictures in 10 or 100 classes, from binary files, pickles or a .tar.gz.

A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009,
https://www.cs.toronto.edu/~kriz/cifar.html

A row has 3,072 bytes: 1,024 red, 1,024 green, 1,024 blue. In the binary files the label precedes each row; CIFAR-100
has two labels, one of twenty coarse classes and one of a hundred fine classes, of which the fine one is used here. The
Python files are pickled dictionaries with `data` (n, 3072) and `labels` or `fine_labels`.

Archives are read as a stream, and nothing is unpacked to disk. Of each member's header only the last part of the name,
the type and the size are used. `tarfile` would also process extended headers, whose size is not limited.
"""

from __future__ import annotations

import gzip
import pickle
import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from minigan.common.untrusted import open_file
from minigan.data.dataset import ArrayDataset
from minigan.data.download import cache_folder, fetch
from minigan.data.listing import NoSplitError
from minigan.data.unpickle import load_plain
from minigan.errors import DataError

MIRRORS = ("https://www.cs.toronto.edu/~kriz/",)
ARCHIVE = "cifar-10-binary.tar.gz"
ARCHIVE_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
MAX_ARCHIVE = 256 << 20  # bytes of the unpacked archive; the originals have 186 MB
BLOCK = tarfile.BLOCKSIZE  # 512 bytes: headers and files are padded to a multiple of it
PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class Form:
    """The file format of one of the two data sets.

    `batch` matches file names by split, and `key` is the dictionary key of the labels. `labels` is the number of label
    bytes before a row, of which the last is used. `most` is the largest file size allowed, in bytes; the original files
    have 31 and 155 MB.
    """

    name: str
    classes: list[str]
    folders: tuple[str, ...]
    batch: dict[str, re.Pattern]
    labels: int
    key: str
    most: int


FINE_CLASSES = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm
"""
CIFAR10 = Form(
    name="CIFAR-10",
    classes=["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
    folders=("", "cifar-10-batches-bin", "cifar-10-batches-py"),
    batch={"train": re.compile(r"data_batch_[1-5](\.bin)?"), "test": re.compile(r"test_batch(\.bin)?")},
    labels=1,
    key="labels",
    most=32 << 20,
)
CIFAR100 = Form(
    name="CIFAR-100",
    classes=FINE_CLASSES.split(),
    folders=("", "cifar-100-binary", "cifar-100-python"),
    batch={"train": re.compile(r"train(\.bin)?"), "test": re.compile(r"test(\.bin)?")},
    labels=2,
    key="fine_labels",
    most=160 << 20,
)
FORMS = (CIFAR10, CIFAR100)


def download_cifar10(split: str = "train") -> ArrayDataset:
    """Open CIFAR-10 from the cache, downloading it first (170 MB) if it is missing."""
    path = cache_folder() / "cifar10" / ARCHIVE
    dataset = read_cifar(fetch(path, [mirror + ARCHIVE for mirror in MIRRORS], ARCHIVE_MD5), split)
    dataset.name = "cifar10"
    return dataset


def is_cached() -> bool:
    """Whether the archive is in the cache."""
    return (cache_folder() / "cifar10" / ARCHIVE).exists()


def holds_cifar(folder: Path) -> bool:
    """Whether a folder, or its subfolder from the official archive, has files of CIFAR-10 or CIFAR-100."""
    return any(_batch_files(folder, split, form) for form in FORMS for split in form.batch)


def read_cifar(path: Path, split: str = "train") -> ArrayDataset:
    """Open the files in a folder or in a `.tar.gz`; they may have any number of rows.

    Raises DataError if the split has no files, or if a file is damaged, of another kind, or far larger than the
    original.
    """
    for form in FORMS:
        rows, labels = [], []
        for where, data in _from_folder(path, split, form) if path.is_dir() else _from_archive(path, split, form):
            batch_rows, batch_labels = _parse(data, where, form, binary=where.endswith(".bin"))
            rows.append(batch_rows)
            labels.append(batch_labels)
        if rows:
            break
    else:
        wanted = "data_batch_1 or train" if split == "train" else "test_batch or test"
        raise NoSplitError(f"{path} has no CIFAR files for the {split} split ({wanted}, with or without .bin)")
    pictures = np.concatenate(rows).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)  # (N, 3, 32, 32) -> (N, 32, 32, 3)
    return ArrayDataset(path.resolve().name, np.ascontiguousarray(pictures), np.concatenate(labels), form.classes)


def _batch_files(folder: Path, split: str, form: Form) -> list[Path]:
    for name in form.folders:
        inner = folder / name
        files = sorted(inner.iterdir()) if inner.is_dir() else []
        found = [file for file in files if form.batch[split].fullmatch(file.name) and file.is_file()]
        if found:
            return [file for file in found if file.suffix == ".bin"] or found  # both forms hold the same pictures
    return []


def _from_folder(folder: Path, split: str, form: Form) -> Iterator[tuple[str, bytes]]:
    for path in _batch_files(folder, split, form):
        try:
            with open_file(path) as file:
                data = file.read(form.most + 1)
            if len(data) > form.most:
                raise DataError(f"{path} is too large for a batch of {form.name}")
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}") from error
        yield str(path), data


def _from_archive(path: Path, split: str, form: Form) -> Iterator[tuple[str, bytes]]:
    try:
        with open_file(path) as raw, gzip.open(raw) as file:
            for name, data in _members(file, form.batch[split], form.most):
                yield f"{path}/{name}", data
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is not a usable CIFAR archive (.tar.gz): {error}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def _members(file: BinaryIO, wanted: re.Pattern, most: int) -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of a tar archive's files whose names match `wanted`. Raises tarfile.ReadError."""
    total, found = 0, set()

    def read(size: int) -> bytes:
        nonlocal total
        data = file.read(size)
        total += len(data)
        if total > MAX_ARCHIVE:  # a small archive may unpack to gigabytes
            raise tarfile.ReadError("it unpacks to far more than CIFAR")
        return data

    while any(header := read(BLOCK)):
        member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        name, size = member.name.rpartition("/")[2], member.size
        if member.isdir() or member.issym() or member.islnk() or member.isdev():
            continue  # these consist of a header only
        if size < 0:
            raise tarfile.ReadError("a file in it has a negative size")
        left = -(-size // BLOCK) * BLOCK
        if member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and wanted.fullmatch(name):
            if size > most:
                raise tarfile.ReadError(f"{name} is too large for a batch")
            if name in found:
                raise tarfile.ReadError(f"{name} is in it twice")
            found.add(name)
            data = read(size)
            if len(data) < size:
                raise tarfile.ReadError("it is cut off")
            yield name, data
            left -= size
        while left > 0 and (skipped := read(min(left, 1 << 20))):
            left -= len(skipped)
        if left:
            raise tarfile.ReadError("it is cut off")
    if len(header) < BLOCK:
        raise tarfile.ReadError("it is cut off")
    while read(1 << 20):
        pass  # gzip verifies its checksum at the end


def _parse(data: bytes, where: str, form: Form, binary: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows (n, 3072) and labels (n,) of one batch file."""
    try:
        rows, labels = _parse_binary(data, form) if binary else _parse_pickle(data, form)
        if len(labels) and labels.max() >= len(form.classes):
            raise ValueError(f"it has a label of {labels.max()}, above {len(form.classes) - 1}")
    except (ValueError, pickle.UnpicklingError) as error:
        raise DataError(f"{where} is not a batch of {form.name}: {error}") from error
    return rows, labels


def _parse_binary(data: bytes, form: Form) -> tuple[np.ndarray, np.ndarray]:
    size = form.labels + PIXELS
    if not data or len(data) % size:
        raise ValueError(f"{len(data):,} bytes are not records of {size:,}")
    records = np.frombuffer(data, np.uint8).reshape(-1, size)
    return records[:, form.labels :], records[:, form.labels - 1]


def _parse_pickle(data: bytes, form: Form) -> tuple[np.ndarray, np.ndarray]:
    batch = load_plain(data)
    batch = batch if isinstance(batch, dict) else {}
    rows, labels = (batch.get(key.encode(), batch.get(key)) for key in ("data", form.key))
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.shape[1] != PIXELS or not len(rows):
        raise ValueError("it has no rows of 3,072 bytes under 'data'")
    if not isinstance(labels, list) or not all(type(label) is int and 0 <= label <= 255 for label in labels):
        raise ValueError(f"it has no list of numbers under '{form.key}'")
    if len(labels) != len(rows):
        raise ValueError(f"it has {len(rows):,} rows but {len(labels):,} labels")
    return rows, np.array(labels, np.uint8)
