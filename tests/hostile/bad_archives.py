"""Archives of pictures and files of arrays that climb, swell, lie about their sizes, or hold programs."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from bad_pictures import flat, picture
from hostile_case import Case
from payloads import bad_npz, flagged, gadgets, npy, npz, npz_member, png, zipped
from PIL import Image

ZIP, NPY, NPZ = (f"data x.{suffix} --img-size 8 --out sheet.png" for suffix in ("zip", "npy", "npz"))
PICTURES = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
ONE = zipped({"a.png": picture("PNG")})
GOOD_ZIP = zipped({"a.png": picture("PNG"), "b.jpg": picture("JPEG")}, zipfile.ZIP_DEFLATED)


def alone(name: str, data: bytes | Callable[[], bytes]) -> Callable[[Path], None]:
    """A folder with one file."""
    return lambda folder: (folder / name).write_bytes(data() if callable(data) else data)


def packed(what: str, members: dict[str, bytes] | list[tuple[str, bytes]], says: str | None, **options: int) -> Case:
    """An archive of these files."""
    how = {"compression": zipfile.ZIP_DEFLATED} | options
    return Case(f"zip: {what}", alone("x.zip", lambda: zipped(members, **how)), ZIP, says)


def swollen(kind: str, side: int) -> bytes:
    """A zip archive with a picture of one color that isn't packed by itself."""
    file = io.BytesIO()
    Image.new("RGB", (side, side)).save(file, kind)
    return zipped({f"a.{kind.lower()}": file.getvalue()}, zipfile.ZIP_DEFLATED)


def nameless() -> bytes:
    """A zip archive of a picture without a name, and of a good one."""
    data = bytearray(zipped({"?": picture("PNG"), "a.png": picture("PNG")}))
    entry = data.index(b"PK\x01\x02")
    for at in (26, entry + 28):  # the lengths of the name and of what comes after it
        data[at], data[at + 2] = 0, 1
    return bytes(data)


def sized(size: int) -> bytes:
    """A zip archive whose directory says that the first file unpacks to `size` bytes."""
    data = bytearray(GOOD_ZIP)
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = size.to_bytes(4, "little")
    return bytes(data)


def overlapping() -> bytes:
    """A zip archive of two names for the same place."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.png", picture("PNG"))
        twin, info = zipfile.ZipInfo("b.png"), archive.filelist[0]
        for name in ("header_offset", "CRC", "file_size", "compress_size"):
            setattr(twin, name, getattr(info, name))
        archive.filelist.append(twin)
    return file.getvalue()


CLIMBING = ("../../a.png", "/etc/a.png", "..\\..\\a.png", "C:\\a.png", "a/../../b.png", "./a.png", "\x1b[31ma.png")

CASES = [
    *(packed(f"a picture called {name!r}", {name: picture("PNG")}, None) for name in CLIMBING),
    packed("a file that is no picture", {"a.png": b"hello"}, "x.zip/a.png is not a picture"),
    packed("a program for a picture", {"a.png": gadgets()["os.system"]}, "x.zip/a.png is not a picture"),
    packed("a bomb", {"a.png": png(20_000, 20_000, pixels=b"")}, "x.zip/a.png has too many pixels"),
    packed("nothing in it", {}, "x.zip has no pictures"),
    packed("a zip in a zip", {"a.zip": GOOD_ZIP}, "x.zip has no pictures"),
    packed("a name twice", [("a.png", picture("PNG")), ("a.png", picture("JPEG"))], None),
    packed("bzip2", {"a.png": picture("PNG")}, "not packed by deflate", compression=zipfile.ZIP_BZIP2),
    packed("LZMA", {"a.png": picture("PNG")}, "not packed by deflate", compression=zipfile.ZIP_LZMA),
    Case(
        "zip: locked", alone("x.zip", flagged(zipped({"a.png": picture("PNG")}), 0, 1)), ZIP, "locked with a password"
    ),
    Case("zip: a flat color of 240 MB", alone("x.zip", lambda: swollen("BMP", 9000)), ZIP, "far more than its size"),
    Case(
        "zip: a packed bomb of 81 megapixels",
        alone("x.zip", lambda: zipped({"a.png": flat("PNG", 9_000, "1")()}, zipfile.ZIP_DEFLATED)),
        ZIP,
        "x.zip/a.png has too many pixels",
    ),
    Case("zip: a file of 4 GB that isn't there", alone("x.zip", lambda: sized(2**32 - 2)), ZIP, "x.zip/a.png "),
    Case("zip: a file larger than it says", alone("x.zip", lambda: sized(10)), ZIP, "x.zip/a.png is"),
    Case("zip: a picture without a name", alone("x.zip", nameless), ZIP, None),
    Case("zip: two names for one place", alone("x.zip", overlapping), ZIP, "x.zip/b.png is damaged"),
    *(
        Case(f"zip: cut after {share:.0%}", alone("x.zip", GOOD_ZIP[: int(share * len(GOOD_ZIP))]), ZIP, "x.zip is")
        for share in (0.02, 0.5, 0.99)
    ),
    *(
        Case(f"npz: {what}", alone("x.npz", make), NPZ, "x.npz")
        for what, make in bad_npz({"images": PICTURES, "labels": np.arange(3)}, "images").items()
        if what not in ("one array in the place of an archive", "an unknown way to pack")
    ),
    Case("npz: labels that are a program", alone("x.npz", npz(x=PICTURES, y=np.array([print], object))), NPZ, "x.npz"),
    Case(
        "npz: labels as large as can be", alone("x.npz", npz(x=PICTURES, y=np.array([2**62, 0, -(2**62)]))), NPZ, None
    ),
    Case("npy: pictures", alone("x.npy", npz_member(PICTURES)), NPY, None),
    Case("npy: objects", alone("x.npy", npy("|O", "(1,)", gadgets()["os.system"])), NPY, "x.npy can't be used"),
    Case("npy: 40 GB that aren't there", alone("x.npy", npy("|u1", "(100000, 200, 200)")), NPY, "x.npy can't be used"),
    Case(
        "npy: NaN",
        alone("x.npy", npz_member(np.full((2, 8, 8), np.nan))),
        NPY,
        "some of its values are NaN or infinity",
    ),
    Case("npy: nothing", alone("x.npy", b""), NPY, "x.npy"),
    Case("npy: a pickle", alone("x.npy", gadgets()["os.system"]), NPY, "x.npy"),
]
