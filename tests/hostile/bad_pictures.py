"""Folders of pictures in which something is wrong."""

from __future__ import annotations

import functools
import gzip
import io
import os
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hostile_case import Case
from payloads import chunk, png
from PIL import Image

from minigan.data import open_folder

DRAW = "data set --img-size 8 --out sheet.png"  # opens the folder `set` and decodes all of it
NOISE = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
NO_PICTURE = "is not a picture, whatever its name says"
DAMAGED = "is damaged or cut off"
NO_FILE = "is not a file but a pipe, a device or a broken link"
LARGE = "has too many pixels to be decoded safely"


@functools.cache
def picture(form: str, **options) -> bytes:
    """A picture of noise, encoded."""
    file = io.BytesIO()
    mode = options.pop("mode", "RGB")
    image = Image.fromarray(257 * NOISE[..., 0].astype(np.uint16)) if mode == "I;16" else Image.fromarray(NOISE)
    image.convert(mode).save(file, form, **options)
    return file.getvalue()


def called(name: str, data: bytes | Callable[[], bytes]) -> Callable[[Path], None]:
    """A folder with this file, and a good picture beside it."""

    def make(folder: Path) -> None:
        (folder / "set").mkdir(exist_ok=True)
        (folder / "set" / "good.png").write_bytes(picture("PNG"))
        (folder / "set" / name).write_bytes(data() if callable(data) else data)

    return make


def special(kind: str) -> Callable[[Path], None]:
    """x.png is no file."""

    def make(folder: Path) -> None:
        called("good.png", picture("PNG"))(folder)
        path = folder / "set" / "x.png"
        if kind == "a pipe":
            os.mkfifo(path)
        elif kind == "a socket":
            with socket.socket(socket.AF_UNIX) as server:
                here = os.getcwd()
                os.chdir(path.parent)  # the path of a socket has about a hundred characters
                server.bind(path.name)
                os.chdir(here)
        elif kind == "a folder":
            path.mkdir()
        else:
            path.symlink_to(
                {"a device": "/dev/zero", "a link to nothing": "nowhere", "a link to itself": "x.png"}[kind]
            )

    return make


def classes(folder: Path) -> None:
    """Folders are classes, and their names are printed."""
    for name in ("cat\x1b[31m", "dog\nminigan: done"):
        (folder / "set" / name).mkdir(parents=True)
        (folder / "set" / name / "x.png").write_bytes(picture("PNG"))


def circle(folder: Path) -> None:
    """Folders that hold each other by links, with a good picture among them."""
    called("good.png", picture("PNG"))(folder)
    for name, target in (("up", ".."), ("here", "."), ("again", "up/set")):
        (folder / "set" / name).symlink_to(target)


def replaced(by: bytes | None) -> Callable[[Path], None]:
    """Open the folder, and only then change the file: the header was good, what is decoded is another."""

    def read(folder: Path) -> None:
        data, path = open_folder(folder / "set", 8), folder / "set" / "x.png"
        was, times = path.read_bytes(), path.stat()
        try:
            path.unlink() if by is None else path.write_bytes(by)
            data.batch(np.arange(len(data)))
        finally:
            path.write_bytes(was)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    return read


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]


def cut(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


def flat(form: str, side: int, mode: str = "RGB", **options) -> Callable[[], bytes]:
    """A picture of one color: small, until it is decoded."""

    def make() -> bytes:
        file = io.BytesIO()
        Image.new(mode, (side, side)).save(file, form, **options)
        return file.getvalue()

    return make


def jpeg_of(width: int, height: int) -> bytes:
    """A JPEG that says that it has another size."""
    data = picture("JPEG")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def webp_of(width: int, height: int) -> bytes:
    """A WebP file of the extended form, whose canvas is of another size than its picture."""
    inner = picture("WEBP", lossless=True)[12:]
    extended = (
        b"VP8X" + struct.pack("<II", 10, 0) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    )
    return b"RIFF" + struct.pack("<I", 4 + len(extended) + len(inner)) + b"WEBP" + extended + inner


def gif_of(width: int, height: int) -> bytes:
    data = picture("GIF")
    return data[:6] + struct.pack("<HH", width, height) + data[10:]


def tiff_of(width: int, height: int) -> bytes:
    """A TIFF of gray bytes with almost no pixels, whose next page is the same one."""
    numbers = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 200, 277: 1, 278: height, 279: width * height}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value % 2**32) for tag, value in numbers.items())
    return b"II*\0" + struct.pack("<IH", 8, len(numbers)) + entries + struct.pack("<I", 8) + bytes(100)


def bmp_of(width: int, height: int) -> bytes:
    data = picture("BMP")
    return data[:18] + struct.pack("<ii", width, height) + data[26:]


def animated(form: str) -> bytes:
    file = io.BytesIO()
    frames = [Image.new("RGB", (24, 24), (80 * k, 0, 0)) for k in range(3)]
    frames[0].save(file, form, save_all=True, append_images=frames[1:])
    return file.getvalue()


def with_chunk(kind: bytes, body: bytes) -> bytes:
    """A good PNG with one more chunk."""
    data = picture("PNG")
    return data[:33] + chunk(kind, body) + data[33:]


def zip_file() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.png", picture("PNG"))
    return file.getvalue()


@functools.cache
def packed(size: int) -> bytes:
    return zlib.compress(bytes(size), 1)


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><image href="file:///etc/passwd"/></svg>'
ELF = b"\x7fELF\x02\x01\x01" + bytes(200)
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 24 24\n(%pipe%touch executed) (w) file\nshowpage\n"
ONE_ROW = png(24, 24, pixels=zlib.compress(bytes(73)))

NAMES = {
    "a line break": ("x\nminigan: error: all is lost.png", r"x\nminigan: error: all is lost.png"),
    "colors": ("x\x1b[31mred\x1b[0m.png", r"x\x1b[31mred\x1b[0m.png"),
    "a title for the window": ("x\x1b]0;owned\x07.png", r"x\x1b]0;owned\x07.png"),
    "a carriage return": ("x\rminigan: done.png", r"x\rminigan: done.png"),
    "bytes that are no text": (os.fsdecode(b"x\xff\xfe.png"), r"x\udcff\udcfe.png"),
    "writing from the right": ("x\u202egpj.png", r"x\u202egpj.png"),
    "C1 control characters": ("x\x9b31m.png", r"x\x9b31m.png"),
    "a hundred characters beyond": ("x" * 240 + ".png", "x" * 200),
    "braces and percents": ("x{0}{path!r}%s%n.png", "x{0}{path!r}%s%n.png"),
}

CUTS = [
    *((form, share) for form in ("PNG", "JPEG", "WEBP", "BMP") for share in (0.02, 0.3, 0.9)),
]


def bad(name: str, file: str, data: bytes | Callable[[], bytes], says: str) -> Case:
    """A case whose sentence begins with the name of the file."""
    return Case(name, called(file, data), DRAW, f"{file} {says}".strip())


def fine(name: str, file: str, data: bytes | Callable[[], bytes]) -> Case:
    """What looks odd, and must work."""
    return Case(name, called(file, data), DRAW, None)


CASES = [
    bad("no bytes", "x.png", b"", NO_PICTURE),
    bad("one byte", "x.png", b"\x89", NO_PICTURE),
    bad("text", "x.png", b"hello", NO_PICTURE),
    bad("a page", "x.png", b"<!doctype html><script>1</script>", NO_PICTURE),
    bad("SVG", "x.png", SVG, NO_PICTURE),
    bad("PostScript", "x.png", POSTSCRIPT, NO_PICTURE),
    bad("a program", "x.png", ELF, NO_PICTURE),
    bad("a zip archive", "x.png", zip_file, NO_PICTURE),
    bad("gzip", "x.png", gzip.compress(picture("PNG")), NO_PICTURE),
    fine("a GIF called .png", "x.png", lambda: animated("GIF")),
    fine("a TIFF called .png", "x.png", picture("TIFF")),
    fine("a TIFF packed with LZW", "x.tif", picture("TIFF", compression="tiff_lzw")),
    bad("a HEIC file", "x.png", b"\0\0\0\x18ftypheic" + bytes(50), "is a HEIC file by its content"),
    bad("a GIF cut", "x.gif", lambda: cut(animated("GIF"), 0.2), DAMAGED),
    bad("a TIFF cut", "x.tif", cut(picture("TIFF"), 0.5), "is"),
    bad("a GIF that says 65,535 x 65,535", "x.gif", lambda: gif_of(65_535, 65_535), LARGE),
    bad("a TIFF that says 65,535 x 65,535", "x.tif", lambda: tiff_of(65_535, 65_535), LARGE),
    bad("a TIFF whose directory follows itself", "x.tif", lambda: tiff_of(24, 24), ""),
    bad("a megabyte of zeros", "x.png", bytes(1 << 20), NO_PICTURE),
    fine("a PNG called .jpg", "x.jpg", picture("PNG")),
    fine("a JPEG called .bmp", "x.bmp", picture("JPEG")),
    fine("a WebP called .PNG", "x.PNG", picture("WEBP")),
    fine("gray and alpha in one folder", "x.png", picture("PNG", mode="LA")),
    fine("CMYK", "x.jpg", picture("JPEG", mode="CMYK")),
    fine("16 bits", "x.png", png(24, 24, 16, 0)),
    fine("16 bits in color", "x.png", png(24, 24, 16, 2)),
    fine("one bit", "x.png", png(24, 24, 1, 0)),
    fine("an animated PNG", "x.png", lambda: animated("PNG")),
    fine("an animated WebP", "x.webp", lambda: animated("WEBP")),
    fine("bytes after the end", "x.png", picture("PNG") + ELF),
    *(
        Case(
            f"{form} cut after {share:.0%}",
            called(f"x.{form.lower()}", cut(picture(form), share)),
            DRAW,
            f"x.{form.lower()} is",
        )
        for form, share in CUTS
    ),
    bad("a progressive JPEG cut", "x.jpg", cut(picture("JPEG", progressive=True), 0.6), DAMAGED),
    bad("an animated PNG cut", "x.png", cut(animated("PNG"), 0.3), "is"),
    bad("PNG without pixels", "x.png", png(24, 24, 8, 2, b""), DAMAGED),
    fine("PNG with one row of pixels, which Pillow fills up", "x.png", ONE_ROW),
    bad("PNG with pixels that don't unpack", "x.png", png(24, 24, 8, 2, b"\x78\x9c" + b"\xff" * 50), DAMAGED),
    bad("PNG 0 pixels wide", "x.png", png(0, 24), "is"),
    bad("PNG 0 x 0", "x.png", png(0, 0), "is"),
    bad("PNG of an unknown color type", "x.png", png(24, 24, 8, 5), NO_PICTURE),
    bad("PNG of 3 bits", "x.png", png(24, 24, 3, 2), NO_PICTURE),
    bad("PNG with a wrong checksum in its header", "x.png", flipped(picture("PNG"), 29), NO_PICTURE),
    bad("PNG with a flipped bit in its pixels", "x.png", flipped(picture("PNG"), 300), DAMAGED),
    bad("PNG with a chunk of 2 GB", "x.png", picture("PNG")[:33] + chunk(b"tEXt", b"a", length=2**31 - 1), "is"),
    bad("PNG with a chunk of no name", "x.png", with_chunk(b"\0\0\0\0", b""), NO_PICTURE),
    bad("PNG without a header", "x.png", picture("PNG")[:8] + picture("PNG")[33:], "is"),
    bad(
        "PNG with two headers",
        "x.png",
        lambda: with_chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 6, 0, 0, 0)),
        "",
    ),
    bad("zTXt that unpacks to 100 MB", "x.png", lambda: with_chunk(b"zTXt", b"k\0\0" + packed(100 << 20)), DAMAGED),
    bad(
        "iTXt that unpacks to 100 MB", "x.png", lambda: with_chunk(b"iTXt", b"k\0\1\0\0\0" + packed(100 << 20)), DAMAGED
    ),
    bad("iCCP that unpacks to 100 MB", "x.png", lambda: with_chunk(b"iCCP", b"k\0\0" + packed(100 << 20)), DAMAGED),
    bad(
        "a hundred zTXt chunks",
        "x.png",
        lambda: png(24, 24, 8, 2, None, *[chunk(b"zTXt", b"k%d\0\0" % i + packed(1 << 20)) for i in range(100)]),
        DAMAGED,
    ),
    fine("palette without colors", "x.png", png(24, 24, 8, 3)),
    fine("palette of 3 bytes and a half", "x.png", png(24, 24, 8, 3, None, chunk(b"PLTE", b"abcdefg"))),
    bad(
        "transparency longer than the palette",
        "x.png",
        png(24, 24, 8, 3, None, chunk(b"PLTE", bytes(6)), chunk(b"tRNS", bytes(300))),
        "",
    ),
    bad("EXIF that is none", "x.png", with_chunk(b"eXIf", b"hello, this is no EXIF"), ""),
    fine(
        "EXIF that points in circles",
        "x.jpg",
        lambda: picture("JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0"),
    ),
    fine("APNG with 2^31 frames", "x.png", with_chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))),
    fine("APNG with no frames", "x.png", with_chunk(b"acTL", struct.pack(">II", 0, 0))),
    bad(
        "APNG with a frame outside",
        "x.png",
        lambda: png(
            24,
            24,
            8,
            2,
            None,
            chunk(b"acTL", struct.pack(">II", 2, 0)),
            chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 24, 24, 2**31 - 1, 0, 1, 1, 0, 0)),
        ),
        "",
    ),
    bad("JPEG without its end", "x.jpg", picture("JPEG")[:-2], DAMAGED),
    bad("JPEG with a broken marker", "x.jpg", picture("JPEG").replace(b"\xff\xda", b"\xff\x01"), NO_PICTURE),
    bad("JPEG with a broken table", "x.jpg", flipped(picture("JPEG"), picture("JPEG").index(b"\xff\xc4") + 5), DAMAGED),
    bad("JPEG without a table", "x.jpg", picture("JPEG").replace(b"\xff\xdb", b"\xff\xe5"), DAMAGED),
    bad("JPEG with a component too many", "x.jpg", picture("JPEG").replace(b"\x03\x01\x22", b"\x07\x01\x22"), "is"),
    bad("JPEG that says 0 x 0", "x.jpg", lambda: jpeg_of(0, 0), "is"),
    bad("JPEG that says 65,500 x 65,500", "x.jpg", lambda: jpeg_of(65_500, 65_500), LARGE),
    bad("JPEG that says 9,000 x 9,000", "x.jpg", lambda: jpeg_of(9_000, 9_000), LARGE),
    fine("JPEG that says 4,000 x 4,000, which libjpeg fills up", "x.jpg", lambda: jpeg_of(4_000, 4_000)),
    bad("PNG that says 2^31 x 2^31", "x.png", png(2**31 - 1, 2**31 - 1, pixels=b""), LARGE),
    bad("PNG that says 20,000 x 20,000", "x.png", png(20_000, 20_000, pixels=b""), LARGE),
    bad("PNG that says 10,000 x 10,000", "x.png", png(10_000, 10_000, pixels=b""), LARGE),
    bad("WebP that says 16,384 x 16,384", "x.webp", lambda: webp_of(16_384, 16_384), ""),
    bad("WebP that says 9,000 x 9,000", "x.webp", lambda: webp_of(9_000, 9_000), ""),
    bad("WebP of another length", "x.webp", picture("WEBP")[:4] + b"\xff\xff\xff\x7f" + picture("WEBP")[8:], ""),
    bad("BMP that says 2^31 x 2^31", "x.bmp", lambda: bmp_of(2**31 - 1, 2**31 - 1), LARGE),
    bad("BMP that says 20,000 x 20,000", "x.bmp", lambda: bmp_of(20_000, 20_000), LARGE),
    bad("BMP of a negative width", "x.bmp", lambda: bmp_of(-24, 24), LARGE),
    bad("BMP of the least height", "x.bmp", lambda: bmp_of(24, -(2**31)), ""),
    bad("BMP of 7 bits", "x.bmp", lambda: picture("BMP")[:28] + b"\7\0" + picture("BMP")[30:], "is"),
    bad(
        "BMP whose pixels lie beyond the end",
        "x.bmp",
        lambda: picture("BMP")[:10] + b"\xff\xff\xff\x7f" + picture("BMP")[14:],
        DAMAGED,
    ),
    bad("80 million pixels in 100 kB", "x.png", flat("PNG", 9_000, "1"), LARGE),
    bad("25 million pixels in 25 kB", "x.webp", flat("WEBP", 5_000, lossless=True, quality=0, method=0), LARGE),
    fine("16 million pixels with alpha", "x.png", flat("PNG", 4_096, "RGBA", compress_level=1)),
    bad("smaller than asked for", "x.png", png(7, 24), "is 24x7 in height x width, smaller than 8x8"),
    *(
        Case(kind, special(kind), DRAW, f"x.png {NO_FILE}")
        for kind in ("a pipe", "a socket", "a device", "a link to nothing", "a link to itself")
    ),
    *(
        Case(f"{kind}, to be measured", special(kind), "evaluate set --features digits", f"x.png {NO_FILE}")
        for kind in ("a pipe", "a link to nothing")
    ),
    Case("a folder", special("a folder"), DRAW, None),
    Case("colors in the names of classes", classes, DRAW, None),
    Case("folders in circles", circle, DRAW, None),
    *(Case(f"in its name {what}", called(name, b"hello"), DRAW, shown) for what, (name, shown) in NAMES.items()),
    *(
        Case(f"a good picture, in its name {what}", called(name, picture("PNG")), DRAW, None)
        for what, (name, _) in NAMES.items()
    ),
    Case(
        "a file that shrinks", called("x.png", picture("PNG")), replaced(cut(picture("PNG"), 0.5)), f"x.png {DAMAGED}"
    ),
    Case("a file that is emptied", called("x.png", picture("PNG")), replaced(b""), f"x.png {NO_PICTURE}"),
    Case("a file that grows", called("x.png", picture("PNG")), replaced(picture("PNG") + bytes(5000)), None),
    Case("a file that goes", called("x.png", picture("PNG")), replaced(None), f"x.png {NO_FILE}"),
    Case(
        "a file that becomes a bomb",
        called("x.png", picture("PNG")),
        replaced(png(20_000, 20_000, pixels=b"")),
        f"x.png {LARGE}",
    ),
    Case("a file that becomes smaller than asked for", called("x.png", picture("PNG")), replaced(png(3, 3)), None),
]
