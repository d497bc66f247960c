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

import numpy as np
from hostile_case import Case
from payloads import exhausting, gadgets, zeros

ROWS = np.arange(4 * 3072, dtype=np.uint32).astype(np.uint8).reshape(4, 3072)
BINARY = np.insert(ROWS, 0, [3, 1, 4, 9], axis=1).tobytes()
FOLDER, ARCHIVE = "data set", "data cifar.tar.gz"
NO_BATCH = "is not a batch of CIFAR-10"
UNUSABLE = "cifar.tar.gz is not a usable CIFAR-10 archive"


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


def archive(data: bytes | Callable[[], bytes], pack: Callable[[bytes], bytes] = gzip.compress) -> Callable[[Path], None]:
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


PACKED = gzip.compress(tar(GOOD))
TWICE = functools.partial(tar, GOOD, GOOD)

CASES = [
    *(Case(f"pickle: {name}", batch(data), FOLDER, f"set/data_batch_1 {NO_BATCH}") for name, data in gadgets().items()),
    *(Case(f"pickle: {name}", batch(data), FOLDER, f"set/data_batch_1 {NO_BATCH}") for name, data in exhausting().items()),
    Case("pickle: a gadget under a good key", batch(b"\x80\x02}" + b"X\x04\0\0\0data" + gadgets()["os.system"][2:-1] + b"s."), FOLDER, NO_BATCH),
    Case("pickle: no bytes", batch(b""), FOLDER, NO_BATCH),
    Case("pickle: text", batch(b"hello"), FOLDER, NO_BATCH),
    *(Case(f"pickle: cut after {n} bytes", batch(pickled()[:n]), FOLDER, NO_BATCH) for n in (2, 30, 200, 5000, -1)),
    Case("pickle: an array of objects", batch(pickled(np.array([[{}]] * 4, object))), FOLDER, "an array of another type than unsigned bytes"),
    Case("pickle: an array of floats", batch(pickled(ROWS.astype(np.float32))), FOLDER, "an array of another type than unsigned bytes"),
    Case("pickle: an array of text", batch(pickled(np.array(["a"] * 4))), FOLDER, "an array of another type than unsigned bytes"),
    Case("pickle: rows of 3,071", batch(pickled(ROWS[:, 1:])), FOLDER, "it has no rows of 3,072 bytes"),
    Case("pickle: pictures with three axes", batch(pickled(ROWS.reshape(4, 3, 1024))), FOLDER, "it has no rows of 3,072 bytes"),
    Case("pickle: no rows", batch(pickled(ROWS[:0], ())), FOLDER, NO_BATCH),
    Case("pickle: a list for rows", batch(pickled([[0] * 3072])), FOLDER, "it has no rows of 3,072 bytes"),
    Case("pickle: a label of 10", batch(pickled(labels=(0, 1, 2, 10))), FOLDER, "it has a label of 10, above 9"),
    Case("pickle: a label of -1", batch(pickled(labels=(0, 1, 2, -1))), FOLDER, "it has no list of numbers under 'labels'"),
    Case("pickle: a label of 2^64", batch(pickled(labels=(0, 1, 2, 1 << 64))), FOLDER, NO_BATCH),
    Case("pickle: labels that are text", batch(pickled(labels="abcd")), FOLDER, "it has no list of numbers"),
    Case("pickle: a label too few", batch(pickled(labels=(0, 1, 2))), FOLDER, "4 rows but 3 labels"),
    Case("pickle: labels that hold themselves", batch(b"\x80\x02}X\x06\0\0\0labels]q\x00h\x00as."), FOLDER, NO_BATCH),
    Case("pickle: a shape of 2^62 rows", batch(pickled().replace(b"K\x04M\x00\x0c\x86", b"\x8a\x08" + struct.pack("<q", 1 << 62) + b"M\x00\x0c\x86")), FOLDER, NO_BATCH),
    Case("binary: no bytes", batch(b"", "data_batch_1.bin"), FOLDER, "0 bytes are not records of 3,073"),
    Case("binary: a byte too few", batch(BINARY[:-1], "data_batch_1.bin"), FOLDER, "12,291 bytes are not records of 3,073"),
    Case("binary: a label of 255", batch(b"\xff" + BINARY[1:], "data_batch_1.bin"), FOLDER, "it has a label of 255, above 9"),
    Case("binary: a pickle", batch(pickled(), "data_batch_1.bin"), FOLDER, "are not records of 3,073"),
    Case("archive: no bytes", archive(b"", as_it_is), ARCHIVE, "cifar.tar.gz is a file, and not the CIFAR-10 archive"),
    Case("archive: nothing, packed", archive(b""), ARCHIVE, f"{UNUSABLE} (.tar.gz): it is cut off"),
    Case("archive: text, packed", archive(b"hello" * 200), ARCHIVE, UNUSABLE),
    Case("archive: not packed", archive(tar(GOOD), as_it_is), ARCHIVE, "cifar.tar.gz is a file, and not the CIFAR-10 archive"),
    Case("archive: bzip2", archive(tar(GOOD), bz2.compress), ARCHIVE, "cifar.tar.gz is a file, and not the CIFAR-10 archive"),
    Case("archive: xz", archive(tar(GOOD), lzma.compress), ARCHIVE, "cifar.tar.gz is a file, and not the CIFAR-10 archive"),
    Case("archive: packed twice", archive(PACKED), ARCHIVE, UNUSABLE),
    *(Case(f"archive: gzip cut after {share:.0%}", archive(PACKED[: int(share * len(PACKED))], as_it_is), ARCHIVE, UNUSABLE) for share in (0.05, 0.5, 0.99)),
    *(Case(f"archive: tar cut after {n} bytes", archive(tar(GOOD)[:n]), ARCHIVE, UNUSABLE) for n in (100, 512, 1000, 12_000)),
    Case("archive: without its end", archive(tar(GOOD, end=b"")), ARCHIVE, f"{UNUSABLE} (.tar.gz): it is cut off"),
    Case("archive: a wrong checksum of gzip", archive(PACKED[:-8] + bytes(8), as_it_is), ARCHIVE, UNUSABLE),
    Case("archive: a wrong checksum of tar", archive(wrong_checksum), ARCHIVE, f"{UNUSABLE} (.tar.gz): bad checksum"),
    Case("archive: no batches", archive(tar(member("readme.html", b"hello"))), ARCHIVE, "has no CIFAR-10 files"),
    Case("archive: a name that climbs out", archive(tar(member("../../data_batch_1.bin", BINARY))), ARCHIVE, None),
    Case("archive: an absolute name", archive(tar(member("/tmp/data_batch_1.bin", BINARY))), ARCHIVE, None),
    Case("archive: other names that climb out", archive(tar(member("../executed", b"x"), member("/executed", b"x"), GOOD)), ARCHIVE, None),
    Case("archive: a symbolic link to /etc/passwd", archive(links(tarfile.SYMTYPE)), ARCHIVE, None),
    Case("archive: a hard link to /etc/passwd", archive(links(tarfile.LNKTYPE)), ARCHIVE, None),
    Case("archive: only a link", archive(tar(member("data_batch_1.bin", type=tarfile.SYMTYPE, linkname="/etc/passwd"))), ARCHIVE, "has no CIFAR-10 files"),
    Case("archive: a device", archive(tar(member("data_batch_1.bin", type=tarfile.CHRTYPE, devmajor=1, devminor=5))), ARCHIVE, "has no CIFAR-10 files"),
    Case("archive: a pipe", archive(tar(member("data_batch_1.bin", type=tarfile.FIFOTYPE))), ARCHIVE, "has no CIFAR-10 files"),
    Case("archive: a folder", archive(tar(member("data_batch_1.bin", type=tarfile.DIRTYPE), GOOD)), ARCHIVE, None),
    Case("archive: a sparse file", archive(tar(member("data_batch_1.bin", BINARY, type=tarfile.GNUTYPE_SPARSE))), ARCHIVE, "has no CIFAR-10 files"),
    Case("archive: a type that nobody knows", archive(tar(member("data_batch_1.bin", BINARY, type=b"Z"))), ARCHIVE, "has no CIFAR-10 files"),
    Case("archive: a batch twice", archive(TWICE), ARCHIVE, f"{UNUSABLE} (.tar.gz): data_batch_1.bin is in it twice"),
    Case("archive: a size of 8 GB", archive(tar(member("data_batch_1.bin", BINARY, size=8**11 - 1))), ARCHIVE, "data_batch_1.bin is too large for a batch"),
    Case("archive: a size of 2^88", archive(huge_number(b"\x80" + b"\x7f" * 11)), ARCHIVE, "data_batch_1.bin is too large for a batch"),
    Case("archive: a negative size", archive(huge_number(b"\xff" * 12)), ARCHIVE, "a file in it has a negative size"),
    Case("archive: a size that isn't there", archive(tar(member("data_batch_1.bin", BINARY, size=20 << 20))), ARCHIVE, f"{UNUSABLE} (.tar.gz): it is cut off"),
    Case("archive: a long name of 8 GB", archive(tar(member("././@LongLink", b"x", type=tarfile.GNUTYPE_LONGNAME, size=8**11 - 1))), ARCHIVE, f"{UNUSABLE} (.tar.gz): it is cut off"),
    Case("archive: a pax header of 240 MB", archive(swollen(240, kind=tarfile.XHDTYPE), as_it_is), ARCHIVE, None),
    Case("archive: a global pax header of 800 MB", archive(swollen(800, kind=tarfile.XGLTYPE), as_it_is), ARCHIVE, "it unpacks to far more than CIFAR-10"),
    Case("archive: a long name of 800 MB", archive(swollen(800, kind=tarfile.GNUTYPE_LONGNAME), as_it_is), ARCHIVE, "it unpacks to far more than CIFAR-10"),
    Case("archive: 800 MB of something else", archive(swollen(800), as_it_is), ARCHIVE, "it unpacks to far more than CIFAR-10"),
    Case("archive: 800 MB in a batch", archive(swollen(800, name="data_batch_1"), as_it_is), ARCHIVE, "data_batch_1 is too large for a batch"),
    Case("archive: 800 MB behind the end", archive(lambda: gzip.compress(tar(GOOD)) + zeros(800 << 20), as_it_is), ARCHIVE, "it unpacks to far more than CIFAR-10"),
    Case("archive: a batch of 30 million lists", archive(lists_in_a_batch), ARCHIVE, f"cifar.tar.gz/data_batch_1 {NO_BATCH}: it is no plain data"),
    Case("archive: a pickle that calls os.system", archive(tar(member("data_batch_1", gadgets()["os.system"]))), ARCHIVE, f"cifar.tar.gz/data_batch_1 {NO_BATCH}"),
]  # fmt: skip

