"""IDX files, plain and packed, that are cut off, lie, or don't belong together."""

from __future__ import annotations

import gzip
import io
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hostile_case import Case
from payloads import zeros

DESCRIBE = "data set"
PICTURES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def idx(shape: tuple[int, ...], data: bytes | None = None, kind: int = 8, axes: int | None = None) -> bytes:
    """An IDX file with any header."""
    data = bytes(int(np.prod(shape))) if data is None else data
    return bytes([0, 0, kind, len(shape) if axes is None else axes]) + struct.pack(f">{len(shape)}I", *shape) + data


GOOD, GOOD_LABELS = idx((5, 8, 8)), idx((5,))


def files(pictures: bytes | Callable[[], bytes], labels: bytes | Callable[[], bytes] = GOOD_LABELS) -> Callable:
    """A folder with pictures and labels; names end in .gz if the files begin so."""

    def make(folder: Path) -> None:
        (folder / "set").mkdir()
        for name, data in ((PICTURES, pictures), (LABELS, labels)):
            data = data() if callable(data) else data
            ending = ".gz" if data.startswith(b"\x1f\x8b") else ""
            (folder / "set" / (name + ending)).write_bytes(data)

    return make


def both(name: str, data: bytes, says: str) -> list[Case]:
    """The same fault plain and packed."""
    return [
        Case(name, files(data), DESCRIBE, says),
        bad(f"{name}, packed", says, gzip.compress(data)),
    ]


def bad(name: str, says: str | None, *data: bytes | Callable[[], bytes]) -> Case:
    """A case of pictures, and perhaps labels, that are described."""
    return Case(name, files(*data), DESCRIBE, says)


def pipe(folder: Path) -> None:
    """The labels are a pipe: opened, they would never come."""
    files(GOOD)(folder)
    (folder / "set" / LABELS).unlink()
    os.mkfifo(folder / "set" / LABELS)


def bomb(count: int, behind: bytes = b"") -> Callable[[], bytes]:
    """Packed zeros behind a header that promises `count` pictures of 1,000 x 1,000."""

    def make() -> bytes:
        return gzip.compress(idx((count, 1000, 1000), b"")) + zeros(count * 1_000_000) + behind

    return make


def named(data: bytes, size: int) -> bytes:
    """The same gzip file with a very long name of the original in it."""
    file = io.BytesIO()
    with gzip.GzipFile("x" * size, "wb", fileobj=file) as packed:
        packed.write(data)
    return file.getvalue()


UNUSABLE = "is not a usable IDX file"
PACKED = gzip.compress(GOOD)

CASES = [
    *both("nothing", b"", f"{PICTURES}"),
    *both("text", b"hello, world", f"{UNUSABLE}: it begins with 68656c6c"),
    *both("cut in the magic number", GOOD[:3], f"{UNUSABLE}: it begins with 000008"),
    *both("cut in the header", GOOD[:9], f"{UNUSABLE}: it is cut off within the header"),
    *both("cut after the header", GOOD[:16], f"{UNUSABLE}: it is cut off: 0 of 5x8x8 values are there"),
    *both("cut in the last picture", GOOD[:-1], f"{UNUSABLE}: it is cut off: 319 of 5x8x8"),
    *both("one byte too many", GOOD + b"x", f"{UNUSABLE}: something follows"),
    *both("no pictures", idx((0, 8, 8)), f"{UNUSABLE}: its header promises 0x8x8"),
    *both("pictures of no width", idx((5, 8, 0)), f"{UNUSABLE}: its header promises 5x8x0"),
    *both(
        "four billion pictures", idx((2**32 - 1, 8, 8), bytes(99)), f"{UNUSABLE}: its header promises 4294967295x8x8"
    ),
    *both("an overflow to nothing", idx((2**31, 2**31, 4), b""), f"{UNUSABLE}: its header promises"),
    *both("a gigabyte that isn't there", idx((1 << 20, 32, 32), bytes(99)), UNUSABLE),
    *both("floating-point numbers", idx((5, 8, 8), kind=0x0D), f"{UNUSABLE}: it begins with 00000d03"),
    *both("an unknown type", idx((5, 8, 8), kind=0xFF), f"{UNUSABLE}: it begins with 0000ff03"),
    *both("one axis", idx((320,)), f"{UNUSABLE}: it begins with 00000801"),
    *both("four axes", idx((5, 8, 8, 1)), f"{UNUSABLE}: it begins with 00000804"),
    *both("255 axes", idx((1,) * 255), f"{UNUSABLE}: it begins with 000008ff"),
    *both(
        "the other byte order", GOOD[:4] + struct.pack("<3I", 5, 8, 8) + GOOD[16:], f"{UNUSABLE}: its header promises"
    ),
    *(
        bad(f"gzip cut after {n} bytes", f"{PICTURES}.gz", PACKED[:n])
        for n in (2, 10, 15, len(PACKED) - 9, len(PACKED) - 4)
    ),
    bad("gzip of gzip", f"{UNUSABLE}: it begins with 1f8b", gzip.compress(PACKED)),
    bad("gzip with a wrong checksum", "gzip cannot unpack it", PACKED[:-8] + bytes(4) + PACKED[-4:]),
    bad("gzip with a wrong length", "gzip cannot unpack it", PACKED[:-1] + b"\xff"),
    bad("gzip of an unknown method", "gzip cannot unpack it", PACKED[:2] + b"\xff" + PACKED[3:]),
    bad("gzip with a broken body", f"{PICTURES}.gz", PACKED[:12] + b"\xff" * 8 + PACKED[20:]),
    bad("gzip with text behind it", "gzip cannot unpack it", PACKED + b"hello"),
    bad("gzip in two parts", None, gzip.compress(GOOD[:99]) + gzip.compress(GOOD[99:])),
    bad("gzip with a name of a megabyte", None, lambda: named(GOOD, 1 << 20)),
    bad("gzip that unpacks to 950 MB, as promised", f"{UNUSABLE}: it unpacks to far more", bomb(950)),
    bad(
        "gzip that unpacks to far more than promised",
        "something follows",
        lambda: gzip.compress(GOOD) + zeros(500 << 20),
    ),
    bad("labels for other pictures", "has 5 pictures but set/train-labels-idx1-ubyte has 4 labels", GOOD, idx((4,))),
    bad("labels with three axes", f"{LABELS} {UNUSABLE}", GOOD, GOOD),
    bad("labels cut off", f"{LABELS} {UNUSABLE}", GOOD, GOOD_LABELS[:-1]),
    bad("labels of a gigabyte", f"{LABELS} {UNUSABLE}", GOOD, idx((1 << 30,), b"abc")),
    Case("labels that are a pipe", pipe, DESCRIBE, f"{LABELS}: it is a pipe"),
    bad("labels up to 255", None, GOOD, idx((5,), bytes([0, 255, 3, 9, 200]))),
    Case(
        "labels out of range",
        files(GOOD, idx((5,), bytes([0, 255, 3, 9, 200]))),
        "train cgan --data set --n-classes 10",
        "has only 5 samples",
    ),
    Case(
        "pictures of 1 x 4 million",
        files(idx((1, 1, 4_000_000)), idx((1,))),
        "train dcgan --data set --n-steps 1",
        "1×4000000",
    ),
]
