"""Read weights that PyTorch has saved, without PyTorch and without trusting the file.

`torch.save(network.state_dict(), path)` writes one of two formats.

Since version 1.6, a zip archive of uncompressed files in one folder:

    data.pkl        a pickle: the dictionary, in which a tensor is (storage key, offset, shape, strides)
    data/0, data/1  the storages, as bytes
    byteorder       "little" or "big"; missing in older archives, which are little-endian

Before that, a stream of four pickles and then the storages; the weights of the FID have this format:

    a magic number; a version; {"little_endian": True, …}; the dictionary; [key, …]
    for each key: the count of the storage's numbers in 8 bytes, and the numbers

`torch_pickle` interprets the pickles without executing anything. Its result is checked here against the bytes that are
present.
"""

from __future__ import annotations

import os
import zipfile
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from minigan.common.untrusted import Unreadable, open_file
from minigan.errors import MiniganError
from minigan.metrics.safetensors import MAX_AXES, decode, itemsize
from minigan.metrics.torch_pickle import Storage, Tensor, load

ZIP = b"PK\x03\x04"
LEGACY = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."  # the pickle of 0x1950a86a20f9469cfc6c
LEGACY_VERSION = 1001


def read_torch_file(path: Path | str) -> dict[str, np.ndarray]:
    """Read a dictionary of tensors, by name. The arrays are read-only and may share memory, as the tensors did.

    Supports float16, 32 and 64, and integers; bfloat16 becomes float32, booleans become bytes. Raises MiniganError if
    the file can't be read, is damaged, or contains anything but a dictionary of tensors. Nothing in it is executed.
    """
    try:
        with open_file(path) as file:
            return _read(file)
    except Unreadable as error:
        raise MiniganError(f"{path} is not a usable file of PyTorch weights: {error}") from error
    except OSError as error:
        raise MiniganError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # a damaged file may fail in any step, with any exception
        raise MiniganError(f"{path} is not a usable file of PyTorch weights: it is damaged or cut off") from error


def _read(file: BinaryIO) -> dict[str, np.ndarray]:
    start = file.read(len(LEGACY))
    size = os.fstat(file.fileno()).st_size
    if start.startswith(ZIP):
        with zipfile.ZipFile(file) as archive:
            return _from_archive(archive, size)
    if start == LEGACY:
        return _from_stream(file, size)
    raise Unreadable("it doesn't begin as what torch.save writes; save network.state_dict() with torch.save(…)")


def _from_archive(archive: zipfile.ZipFile, size: int) -> dict[str, np.ndarray]:
    members = {info.filename: info for info in archive.infolist()}
    if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
        raise Unreadable("its archive is compressed, as PyTorch's never are")
    if sum(info.file_size for info in members.values()) > size:
        raise Unreadable("the parts of its archive overlap")
    folders = [name.removesuffix("data.pkl") for name in members if name.endswith("/data.pkl")]
    if len(folders) != 1:
        raise Unreadable("its archive has no data.pkl, or several")
    order = archive.read(folders[0] + "byteorder") if folders[0] + "byteorder" in members else b"little"
    if order not in (b"little", b"big"):
        raise Unreadable("its byte order is unknown")
    with archive.open(folders[0] + "data.pkl") as file:
        tensors = _dictionary(load(file))

    def read(storage: Storage) -> np.ndarray:
        info = members.get(f"{folders[0]}data/{storage.key}")
        if info is None or info.file_size != storage.numel * itemsize(storage.code):
            raise Unreadable(f"the numbers of storage {storage.key[:80]!r} are not there")
        return decode(archive.read(info), storage.code, "<" if order == b"little" else ">")

    return _arrays(tensors, {key: read(storage) for key, storage in _storages(tensors).items()})


def _from_stream(file: BinaryIO, size: int) -> dict[str, np.ndarray]:
    version, system = load(file), load(file)
    if version != LEGACY_VERSION or type(system) is not dict or type(system.get("little_endian")) is not bool:
        raise Unreadable("its version is unknown")
    order = "<" if system["little_endian"] else ">"
    tensors, keys = _dictionary(load(file)), load(file)
    storages, found = _storages(tensors), {}
    if type(keys) is not list or not all(type(key) is str for key in keys) or set(keys) != storages.keys():
        raise Unreadable("its storages are not those of its tensors")
    for key in keys:
        storage, numel = storages[key], int(decode(file.read(8), "i8", order)[0])
        nbytes = numel * itemsize(storage.code)
        if numel != storage.numel or not 0 <= nbytes <= size - file.tell():
            raise Unreadable(f"the numbers of storage {key[:80]!r} are not there")
        found[key] = decode(file.read(nbytes), storage.code, order)
    return _arrays(tensors, found)


def _dictionary(value: Any) -> dict[str, Tensor]:
    if type(value) is not dict or not all(isinstance(entry, Tensor) for entry in value.values()):
        raise Unreadable("it holds something other than a dictionary of tensors; save network.state_dict()")
    return value


def _storages(tensors: dict[str, Tensor]) -> dict[str, Storage]:
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    if any(tensor.storage != storages[tensor.storage.key] for tensor in tensors.values()):
        raise Unreadable("two of its tensors disagree about a storage")
    return storages


def _arrays(tensors: dict[str, Tensor], storages: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: _view(name, tensor, storages[tensor.storage.key]) for name, tensor in tensors.items()}


def _view(name: str, tensor: Tensor, numbers: np.ndarray) -> np.ndarray:
    """Return the tensor's view of its storage, after checking that it is inside and no larger: no number may repeat."""
    _, offset, shape, strides = tensor
    whole = all(type(number) is int and number >= 0 for number in (offset, *shape, *strides))
    if not whole or len(shape) != len(strides) or len(shape) > MAX_AXES:
        raise Unreadable(f"{name[:80]!r} has no shape that an array can have")
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))  # index of the last number
    if prod(shape) > len(numbers) or (prod(shape) and last >= len(numbers)):
        raise Unreadable(f"{name[:80]!r} reaches beyond the end of its storage")
    if not prod(shape):
        return numbers[:0].reshape(shape)
    steps = tuple(stride * numbers.itemsize for stride in strides)
    return np.lib.stride_tricks.as_strided(numbers[offset:], shape, steps, writeable=False)
