"""Encodes the pictures of a run as `data:` URIs, small enough for one page with all of them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image, features

from minigan.training.pictures import DAMAGED, open_picture, shrink

MOST = 57  # frames: a run draws one at the beginning, up to 5 early ones, about 50 more, and one at its end
MOST_BYTES = 56 * 1024  # of a frame
FEW_BYTES = 16 * 1024  # smaller files are not recompressed
QUALITIES = (80, 50)


def read(paths: Sequence[Path], most: int = MOST) -> list[tuple[int, str]]:
    """Return (step, data URI) of at most `most` pictures, evenly spread over `paths`, without damaged files."""
    found = []
    for path in (paths[i] for i in spread(len(paths), most)):
        try:
            status = path.stat()
            source = encoded(path, status.st_mtime_ns, status.st_size)
        except OSError:  # deleted, or not readable
            continue
        if source:
            found.append((int(path.stem.removeprefix("step-")), source))
    return found


@lru_cache(2 * MOST)  # nearly all of them are needed again for the next page
def encoded(path: Path, changed: int, size: int) -> str:
    """Return `encode(path)`, cached by modification time and size."""
    return encode(path)


def spread(n: int, most: int) -> list[int]:
    """Return the indices of at most `most` of n items, evenly spread, including the first and the last.

    They are multiples of 2^k, except the last one. As n grows, the same items are selected again, or every second of
    them, so that their encodings can be cached. Equal distances would select different items every time.
    """
    stride = 1
    while len(range(0, n - 1, stride)) + 1 > most:
        stride *= 2
    return [*range(0, n - 1, stride), n - 1] if n else []


def encode(path: Path) -> str:
    """Return the picture as a data URI, recompressed unless its file is small; "" if the file is no picture.

    Lossless WebP is smallest for grids of small pictures. Photographs are compressed with loss, to fit MOST_BYTES.
    """
    try:
        image = open_picture(path)
        best = b"" if shrink(image) else path.read_bytes()
    except DAMAGED:
        return ""
    kind = "png"
    for smaller, form, options in () if 0 < len(best) <= FEW_BYTES else _ways(image, 0 < len(best) <= 2 * MOST_BYTES):
        buffer = io.BytesIO()
        smaller.save(buffer, form, **options)
        if not best or len(buffer.getvalue()) < len(best):
            best, kind = buffer.getvalue(), form
        if len(best) <= MOST_BYTES:
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
