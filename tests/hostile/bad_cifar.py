"""CIFAR-10: python batches that are programs, binary ones that don't fit, archives that climb, lie and swell."""

from __future__ import annotations

import bz2
import functools
import gzip
import lzma
import pickle
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hostile_case import Case
from payloads import exhausting, gadgets, zeros

ROWS = np.arange(4 * 3072, dtype=np.uint32).astype(np.uint8).reshape(4, 3072)
BINARY = np.insert(ROWS, 0, [3, 1, 4, 9], axis=1).tobytes()
FOLDER, ARCHIVE = "data set", "data cifar.tar.gz"
NO_BATCH = "is not a batch of CIFAR-10"
NO_BYTES, NO_ROWS = "an array of another type than unsigned bytes", "it has no rows of 3,072 bytes"
UNUSABLE = "cifar.tar.gz is not a usable CIFAR archive"
NO_ARCHIVE, NO_FILES = "cifar.tar.gz is a file, and not a CIFAR archive", "has no CIFAR files"
CUT, TOO_MUCH = f"{UNUSABLE} (.tar.gz): it is cut off", "it unpacks to far more than CIFAR"


def batch(data: bytes, name: str = "data_batch_1") -> Callable[[Path], None]:
    """A folder with one batch file, and a payload that some gadgets would run."""

    def make(folder: Path) -> None:
        (folder / "set").mkdir()
        (folder / "set" / name).write_bytes(data)
        (folder / "payload.py").write_text("open('executed', 'w')")

    return make


def pickled(rows: object = ROWS, labels: object = (3, 1, 4, 9), protocol: int = 2, **more: object) -> bytes:
    """What Python writes of such a dictionary."""
    labels = list(labels) if isinstance(labels, tuple) else labels
    return pickle.dumps({"data": rows, "labels": labels, **more}, protocol)


def member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    """One member of an archive; `fields` of its header may lie."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


GOOD = member("cifar-10-batches-bin/data_batch_1.bin", BINARY)


def tar(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.GNU_FORMAT, end: bytes = bytes(1024)) -> bytes:
    """A tar archive; contents are written whatever the headers say of their size."""
    parts = []
    for info, data in members:
        parts += [info.tobuf(form, "utf-8", "surrogateescape"), data, bytes(-len(data) % 512)]
    return b"".join(parts) + end


def archive(data: bytes | Callable[[], bytes], pack: Callable[[bytes], bytes] = gzip.compress) -> Callable:
    """cifar.tar.gz with these contents."""

    def make(folder: Path) -> None:
        (folder / "cifar.tar.gz").write_bytes(pack(data() if callable(data) else data))

    return make


def as_it_is(data: bytes) -> bytes:
    return data


def swollen(mib: int, *, name: str = "junk", kind: bytes = tarfile.REGTYPE) -> Callable[[], bytes]:
    """A packed archive whose one member has `mib` MiB of zeros."""

    def make() -> bytes:
        info, _ = member(name, size=mib << 20, type=kind)
        header = info.tobuf(tarfile.GNU_FORMAT)
        return gzip.compress(header) + zeros(mib << 20) + gzip.compress(tar(GOOD))

    return make


def lists_in_a_batch() -> bytes:
    """A batch of 30 MB, packed to 30 kB, of which each byte makes a list."""
    return tar(member("data_batch_1", b"\x80\x02(" + b"]" * (30 << 20) + b"l."))


def wrong_checksum() -> bytes:
    data = bytearray(tar(GOOD))
    data[150:156] = b"000000"
    return bytes(data)


def huge_number(kind: bytes) -> bytes:
    """A size in base 256, negative or enormous."""
    info, data = GOOD
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = kind
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header) + data + bytes(1024)


def links(kind: bytes) -> bytes:
    """A link called like a batch, to a file of the system, and the batch itself."""
    return tar(member("data_batch_2.bin", type=kind, linkname="/etc/passwd"), GOOD)


def unpickled(name: str, says: str | None, data: bytes) -> Case:
    """A case of one batch in a folder."""
    return Case(f"pickle: {name}", batch(data), FOLDER, says)


def unpacked(name: str, says: str | None, *data: Any) -> Case:
    """A case of an archive; `data` is what it holds, and how that is packed."""
    return Case(f"archive: {name}", archive(*data), ARCHIVE, says)


PACKED = gzip.compress(tar(GOOD))
TWICE = functools.partial(tar, GOOD, GOOD)

CASES = [
    *(unpickled(name, f"set/data_batch_1 {NO_BATCH}", data) for name, data in (gadgets() | exhausting()).items()),
    unpickled(
        "a gadget under a good key", NO_BATCH, b"\x80\x02}" + b"X\x04\0\0\0data" + gadgets()["os.system"][2:-1] + b"s."
    ),
    unpickled("no bytes", NO_BATCH, b""),
    unpickled("text", NO_BATCH, b"hello"),
    *(unpickled(f"cut after {n} bytes", NO_BATCH, pickled()[:n]) for n in (2, 30, 200, 5000, -1)),
    unpickled("an array of objects", NO_BYTES, pickled(np.array([[{}]] * 4, object))),
    unpickled("an array of floats", NO_BYTES, pickled(ROWS.astype(np.float32))),
    unpickled("an array of text", NO_BYTES, pickled(np.array(["a"] * 4))),
    unpickled("rows of 3,071", NO_ROWS, pickled(ROWS[:, 1:])),
    unpickled("pictures with three axes", NO_ROWS, pickled(ROWS.reshape(4, 3, 1024))),
    unpickled("no rows", NO_BATCH, pickled(ROWS[:0], ())),
    unpickled("a list for rows", NO_ROWS, pickled([[0] * 3072])),
    unpickled("a label of 10", "it has a label of 10, above 9", pickled(labels=(0, 1, 2, 10))),
    unpickled("a label of -1", "it has no list of numbers under 'labels'", pickled(labels=(0, 1, 2, -1))),
    unpickled("a label of 2^64", NO_BATCH, pickled(labels=(0, 1, 2, 1 << 64))),
    unpickled("labels that are text", "it has no list of numbers", pickled(labels="abcd")),
    unpickled("a label too few", "4 rows but 3 labels", pickled(labels=(0, 1, 2))),
    unpickled("labels that hold themselves", NO_BATCH, b"\x80\x02}X\x06\0\0\0labels]q\x00h\x00as."),
    unpickled(
        "a shape of 2^62 rows",
        NO_BATCH,
        pickled().replace(b"K\x04M\x00\x0c\x86", b"\x8a\x08" + struct.pack("<q", 1 << 62) + b"M\x00\x0c\x86"),
    ),
    Case("binary: no bytes", batch(b"", "data_batch_1.bin"), FOLDER, "0 bytes are not records of 3,073"),
    Case(
        "binary: a byte too few",
        batch(BINARY[:-1], "data_batch_1.bin"),
        FOLDER,
        "12,291 bytes are not records of 3,073",
    ),
    Case(
        "binary: a label of 255",
        batch(b"\xff" + BINARY[1:], "data_batch_1.bin"),
        FOLDER,
        "it has a label of 255, above 9",
    ),
    Case("binary: a pickle", batch(pickled(), "data_batch_1.bin"), FOLDER, "are not records of 3,073"),
    unpacked("no bytes", NO_ARCHIVE, b"", as_it_is),
    unpacked("nothing, packed", CUT, b""),
    unpacked("text, packed", UNUSABLE, b"hello" * 200),
    unpacked("not packed", NO_ARCHIVE, tar(GOOD), as_it_is),
    unpacked("bzip2", NO_ARCHIVE, tar(GOOD), bz2.compress),
    unpacked("xz", NO_ARCHIVE, tar(GOOD), lzma.compress),
    unpacked("packed twice", UNUSABLE, PACKED),
    *(
        unpacked(f"gzip cut after {share:.0%}", UNUSABLE, PACKED[: int(share * len(PACKED))], as_it_is)
        for share in (0.05, 0.5, 0.99)
    ),
    *(unpacked(f"tar cut after {n} bytes", UNUSABLE, tar(GOOD)[:n]) for n in (100, 512, 1000, 12_000)),
    unpacked("without its end", CUT, tar(GOOD, end=b"")),
    unpacked("a wrong checksum of gzip", UNUSABLE, PACKED[:-8] + bytes(8), as_it_is),
    unpacked("a wrong checksum of tar", f"{UNUSABLE} (.tar.gz): bad checksum", wrong_checksum),
    unpacked("no batches", NO_FILES, tar(member("readme.html", b"hello"))),
    unpacked("a name that climbs out", None, tar(member("../../data_batch_1.bin", BINARY))),
    unpacked("an absolute name", None, tar(member("/tmp/data_batch_1.bin", BINARY))),
    unpacked("other names that climb out", None, tar(member("../executed", b"x"), member("/executed", b"x"), GOOD)),
    unpacked("a symbolic link to /etc/passwd", None, links(tarfile.SYMTYPE)),
    unpacked("a hard link to /etc/passwd", None, links(tarfile.LNKTYPE)),
    unpacked("only a link", NO_FILES, tar(member("data_batch_1.bin", type=tarfile.SYMTYPE, linkname="/etc/passwd"))),
    unpacked("a device", NO_FILES, tar(member("data_batch_1.bin", type=tarfile.CHRTYPE, devmajor=1, devminor=5))),
    unpacked("a pipe", NO_FILES, tar(member("data_batch_1.bin", type=tarfile.FIFOTYPE))),
    unpacked("a folder", None, tar(member("data_batch_1.bin", type=tarfile.DIRTYPE), GOOD)),
    unpacked("a sparse file", NO_FILES, tar(member("data_batch_1.bin", BINARY, type=tarfile.GNUTYPE_SPARSE))),
    unpacked("a type that nobody knows", NO_FILES, tar(member("data_batch_1.bin", BINARY, type=b"Z"))),
    unpacked("a batch twice", f"{UNUSABLE} (.tar.gz): data_batch_1.bin is in it twice", TWICE),
    unpacked(
        "a size of 8 GB",
        "data_batch_1.bin is too large for a batch",
        tar(member("data_batch_1.bin", BINARY, size=8**11 - 1)),
    ),
    unpacked("a size of 2^88", "data_batch_1.bin is too large for a batch", huge_number(b"\x80" + b"\x7f" * 11)),
    unpacked("a negative size", "a file in it has a negative size", huge_number(b"\xff" * 12)),
    unpacked("a size that isn't there", CUT, tar(member("data_batch_1.bin", BINARY, size=20 << 20))),
    unpacked(
        "a long name of 8 GB", CUT, tar(member("././@LongLink", b"x", type=tarfile.GNUTYPE_LONGNAME, size=8**11 - 1))
    ),
    unpacked("a pax header of 240 MB", None, swollen(240, kind=tarfile.XHDTYPE), as_it_is),
    unpacked("a global pax header of 800 MB", TOO_MUCH, swollen(800, kind=tarfile.XGLTYPE), as_it_is),
    unpacked("800 MB of something else", TOO_MUCH, swollen(800), as_it_is),
    unpacked("800 MB in a batch", "data_batch_1 is too large for a batch", swollen(800, name="data_batch_1"), as_it_is),
    unpacked("800 MB behind the end", TOO_MUCH, lambda: gzip.compress(tar(GOOD)) + zeros(800 << 20), as_it_is),
    unpacked(
        "a batch of 30 million lists", f"cifar.tar.gz/data_batch_1 {NO_BATCH}: it is not plain data", lists_in_a_batch
    ),
    unpacked(
        "a pickle that calls os.system",
        f"cifar.tar.gz/data_batch_1 {NO_BATCH}",
        tar(member("data_batch_1", gadgets()["os.system"])),
    ),
]
