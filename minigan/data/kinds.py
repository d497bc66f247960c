"""The kind of a file: by its suffix, which decides whether it is read, and by its first bytes, which are reliable.

Pillow reads AVIF and WebP only if it was built with them; the tables follow the installed Pillow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import PurePath

from PIL import features

SUFFIXES_OF = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "WEBP": (".webp",),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif",),
}
OPTIONAL = {"webp", "avif"}
FORMATS = tuple(form for form in SUFFIXES_OF if form.lower() not in OPTIONAL - set(features.get_supported_modules()))
FORMAT_OF = {suffix: form for form in FORMATS for suffix in SUFFIXES_OF[form]}
SUFFIXES = tuple(FORMAT_OF)

# Kinds of files that may be mistaken for pictures but that Pillow can't open: (offset, bytes, name)
SIGNATURES = (
    *((4, b"ftyp" + brand, "HEIC") for brand in (b"heic", b"heix", b"hevc", b"heim", b"mif1", b"msf1")),
    *((4, b"ftyp" + brand, "AVIF") for brand in (b"avif", b"avis")),
    (4, b"ftypcrx", "raw"),
    (4, b"ftyp", "MP4"),
    (0, b"RIFF", "WebP or RIFF"),
    *((0, magic, "TIFF or raw") for magic in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"IIU\0", b"IIRO")),
    (0, b"FUJIFILMCCD-RAW", "raw"),
    (0, b"\x1aE\xdf\xa3", "WebM"),
    (0, b"8BPS", "Photoshop"),
    (0, b"%PDF", "PDF"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
)
RAW = {".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf"}
CONVERTIBLE = {".heic", ".heif", ".avif", ".webp", ".jxl", ".jp2", ".psd"} | RAW
MOST_KINDS = 6  # in a sentence


def kind_of(head: bytes) -> str | None:
    """Return the kind of a file from its first 16 bytes, or None if it is not one that Pillow can't open."""
    return next((name for at, magic, name in SIGNATURES if head[at:].startswith(magic)), None)


def count_kinds(names: Iterable[str]) -> str:
    """Describe ignored files in one line, `3 files are passed over: 2 .heic, 1 .txt`; "" for none.

    If some of them can be converted to pictures, the line says so.
    """
    suffixes = Counter(PurePath(name).suffix.lower() for name in names)
    if not suffixes:
        return ""
    ordered = sorted(suffixes.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{n:,} {suffix or 'without a suffix'}" for suffix, n in ordered[:MOST_KINDS]]
    if rest := sum(n for _, n in ordered[MOST_KINDS:]):
        parts.append(f"{rest:,} others")
    total = suffixes.total()
    advice = "; convert pictures among them to PNG or JPEG" if suffixes.keys() & CONVERTIBLE else ""
    return f"{total:,} file{' is' if total == 1 else 's are'} passed over: {', '.join(parts)}{advice}"
