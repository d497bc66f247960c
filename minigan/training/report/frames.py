"""Encodes the pictures of a run as `data:` URIs, small enough for one page with all of them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image, features

from minigan.training.pictures import DAMAGED, SIDE, open_picture, shrink

MOST = 57  # frames: a run draws one at the beginning, up to 5 early ones, about 50 more, and one at its end
MOST_BYTES = 56 * 1024  # of a frame
TABLE_FRAMES, TABLE_SIDE, TABLE_BYTES = 15, 1600, 160 * 1024  # of a table: fewer frames, of larger pictures
FEW_BYTES = 16 * 1024  # smaller files are not recompressed
QUALITIES = (80, 50)


def read(
    paths: Sequence[Path], most: int = MOST, side: int = SIDE, most_bytes: int = MOST_BYTES
) -> list[tuple[int, str]]:
    """Return (step, data URI) of at most `most` pictures, evenly spread over `paths`, without damaged files.

    Pictures are reduced to at most `side` pixels each way, and to about `most_bytes`.
    """
    found = []
    for path in (paths[i] for i in spread(len(paths), most)):
        try:
            status = path.stat()
            source = encoded(path, status.st_mtime_ns, status.st_size, side, most_bytes)
        except OSError:  # deleted, or not readable
            continue
        if source:
            found.append((int(path.stem.removeprefix("step-")), source))
    return found


def size_of(path: Path) -> tuple[int, int] | None:
    """Return (width, height) of a picture in pixels; None if the file is damaged."""
    try:
        return open_picture(path).size
    except DAMAGED:
        return None


@lru_cache(2 * MOST)  # nearly all of them are needed again for the next page
def encoded(path: Path, changed: int, size: int, side: int = SIDE, most_bytes: int = MOST_BYTES) -> str:
    """Return `encode(path, side, most_bytes)`, cached by modification time and size."""
    return encode(path, side, most_bytes)


def spread(n: int, most: int) -> list[int]:
    """Return the indices of at most `most` of n items, evenly spread, including the first and the last.

    They are multiples of 2^k, except the last one. As n grows, the same items are selected again, or every second of
    them, so that their encodings can be cached. Equal distances would select different items every time.
    """
    stride = 1
    while len(range(0, n - 1, stride)) + 1 > most:
        stride *= 2
    return [*range(0, n - 1, stride), n - 1] if n else []


def encode(path: Path, side: int = SIDE, most_bytes: int = MOST_BYTES) -> str:
    """Return the picture as a data URI, recompressed unless its file is small; "" if the file is no picture.

    Lossless WebP is smallest for grids of small pictures. Photographs are compressed with loss, to fit `most_bytes`.
    """
    try:
        image = open_picture(path)
        best = b"" if shrink(image, side) else path.read_bytes()
    except DAMAGED:
        return ""
    kind = "png"
    for smaller, form, options in () if 0 < len(best) <= FEW_BYTES else _ways(image, 0 < len(best) <= 2 * most_bytes):
        buffer = io.BytesIO()
        smaller.save(buffer, form, **options)
        if not best or len(buffer.getvalue()) < len(best):
            best, kind = buffer.getvalue(), form
        if len(best) <= most_bytes:
            break
    return f"data:image/{kind};base64,{base64.b64encode(best).decode()}"


def _ways(image: Image.Image, lossless: bool) -> Iterator[tuple[Image.Image, str, dict[str, Any]]]:
    """Yield pictures with formats and options, in the order of decreasing file size."""
    form, quick = ("webp", {"method": 2}) if features.check("webp") else ("jpeg", {})
    if lossless and form == "webp":
        yield image, form, {"lossless": True, "quality": 20, "method": 1}
    for quality in QUALITIES:
        yield image, form, {"quality": quality, **quick}
    while max(image.size) > 1:
        image = image.resize([max(1, side // 2) for side in image.size], Image.Resampling.BOX)
        yield image, form, {"quality": QUALITIES[-1], **quick}
