"""CIFAR-10: 32x32 colour pictures in ten classes, from the binary or the python files, or from their archive.

A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, https://www.cs.toronto.edu/~kriz/cifar.html

A row has 3,072 bytes: 1,024 red, 1,024 green, 1,024 blue. In the binary files the label comes before each row; the
python files are pickled dictionaries with `data` (n, 3072) and `labels`. Archives are read as a stream, and nothing is
unpacked to disk: of a member only the last part of its name, its kind and its size are looked at. `tarfile` would also
follow headers of other forms, which may be as large as they say.
"""

from __future__ import annotations

import gzip
import pickle
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from minigan.data.dataset import ArrayDataset
from minigan.data.download import cache_folder, fetch
from minigan.data.unpickle import load_plain
from minigan.errors import DataError
from minigan.untrusted import open_file

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
MIRRORS = ("https://www.cs.toronto.edu/~kriz/",)
ARCHIVE = "cifar-10-binary.tar.gz"
ARCHIVE_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
FOLDERS = ("", "cifar-10-batches-bin", "cifar-10-batches-py")
BATCH = {"train": re.compile(r"data_batch_[1-5](\.bin)?"), "test": re.compile(r"test_batch(\.bin)?")}
MAX_BATCH = 32 << 20  # bytes of one batch file; the original ones have 31 MB
MAX_ARCHIVE = 256 << 20  # bytes of the unpacked archive; the original ones have 186 MB
BLOCK = tarfile.BLOCKSIZE  # 512 bytes: a header, or a part of a file, of which the last is filled up


def download_cifar10(split: str = "train") -> ArrayDataset:
    """Open CIFAR-10 from the cache, downloading it (170 MB) if it is not there."""
    path = cache_folder() / "cifar10" / ARCHIVE
    dataset = read_cifar10(fetch(path, [mirror + ARCHIVE for mirror in MIRRORS], ARCHIVE_MD5), split)
    dataset.name = "cifar10"
    return dataset


def is_cached() -> bool:
    """Whether the archive is in the cache."""
    return (cache_folder() / "cifar10" / ARCHIVE).exists()


def holds_cifar10(folder: Path) -> bool:
    """Whether the folder, or the folder that the archive unpacks to in it, has batch files."""
    return any(_batch_files(folder, split) for split in BATCH)


def read_cifar10(path: Path, split: str = "train") -> ArrayDataset:
    """Open the batch files in a folder or in a `.tar.gz`; they may have any number of rows.

    Raises DataError if there are none for the split, if one is damaged or something else, or if it is far larger than
    the original.
    """
    batches = _from_folder(path, split) if path.is_dir() else _from_archive(path, split)
    rows, labels = [], []
    for where, data in batches:
        batch_rows, batch_labels = _parse(data, where, binary=where.endswith(".bin"))
        rows.append(batch_rows)
        labels.append(batch_labels)
    if not rows:
        wanted = "data_batch_1" if split == "train" else "test_batch"
        raise DataError(f"{path} has no CIFAR-10 files for the {split} split ({wanted} or {wanted}.bin)")
    pictures = np.concatenate(rows).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)  # (N, 3, 32, 32) -> (N, 32, 32, 3)
    return ArrayDataset(path.resolve().name, np.ascontiguousarray(pictures), np.concatenate(labels), CLASSES)


def _batch_files(folder: Path, split: str) -> list[Path]:
    for name in FOLDERS:
        inner = folder / name
        files = sorted(inner.iterdir()) if inner.is_dir() else []
        found = [file for file in files if BATCH[split].fullmatch(file.name) and file.is_file()]
        if found:
            return [file for file in found if file.suffix == ".bin"] or found  # both forms hold the same pictures
    return []


def _from_folder(folder: Path, split: str) -> Iterator[tuple[str, bytes]]:
    for path in _batch_files(folder, split):
        try:
            with open_file(path) as file:
                data = file.read(MAX_BATCH + 1)
            if len(data) > MAX_BATCH:
                raise DataError(f"{path} is too large for a batch of CIFAR-10")
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}") from error
        yield str(path), data


def _from_archive(path: Path, split: str) -> Iterator[tuple[str, bytes]]:
    try:
        with open_file(path) as raw, gzip.open(raw) as file:
            for name, data in _members(file, BATCH[split]):
                yield f"{path}/{name}", data
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is not a usable CIFAR-10 archive (.tar.gz): {error}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def _members(file: BinaryIO, wanted: re.Pattern) -> Iterator[tuple[str, bytes]]:
    """The names and contents of the files in a tar archive that are `wanted`, up to its end."""
    given, found = 0, set()

    def read(size: int) -> bytes:
        nonlocal given
        data = file.read(size)
        given += len(data)
        if given > MAX_ARCHIVE:  # a small archive may unpack to a very large one
            raise tarfile.ReadError("it unpacks to far more than CIFAR-10")
        return data

    while any(header := read(BLOCK)):
        member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        name, size = member.name.rpartition("/")[2], member.size
        if member.isdir() or member.issym() or member.islnk() or member.isdev():
            continue  # of these only the header is there
        if size < 0:
            raise tarfile.ReadError("a file in it has a negative size")
        left = -(-size // BLOCK) * BLOCK
        if member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and wanted.fullmatch(name):
            if size > MAX_BATCH:
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
        pass  # on to the end, where gzip verifies its checksum


def _parse(data: bytes, where: str, binary: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows (n, 3072) and labels (n,) of one batch file."""
    rows, labels = _parse_binary(data, where) if binary else _parse_pickle(data, where)
    if len(labels) and labels.max() > 9:
        raise DataError(f"{where} is not a batch of CIFAR-10: it has a label of {labels.max()}, above 9")
    return rows, labels


def _parse_binary(data: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
    if not data or len(data) % 3073:
        raise DataError(f"{where} is not a batch of CIFAR-10: {len(data):,} bytes are not records of 3,073")
    records = np.frombuffer(data, np.uint8).reshape(-1, 3073)
    return records[:, 1:], records[:, 0]


def _parse_pickle(data: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        batch = load_plain(data)
    except pickle.UnpicklingError as error:
        raise DataError(f"{where} is not a batch of CIFAR-10: {error}") from error
    batch = batch if isinstance(batch, dict) else {}
    rows, labels = (batch.get(key.encode(), batch.get(key)) for key in ("data", "labels"))
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.shape[1] != 3072 or not len(rows):
        raise DataError(f"{where} is not a batch of CIFAR-10: it has no rows of 3,072 bytes under 'data'")
    if not isinstance(labels, list) or not all(type(label) is int and 0 <= label <= 255 for label in labels):
        raise DataError(f"{where} is not a batch of CIFAR-10: it has no list of numbers under 'labels'")
    if len(labels) != len(rows):
        raise DataError(f"{where} has {len(rows):,} rows but {len(labels):,} labels")
    return rows, np.array(labels, np.uint8)
