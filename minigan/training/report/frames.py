"""The pictures of a run as `data:` URIs, small enough for a page that holds them all."""

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
FEW_BYTES = 16 * 1024  # a file that isn't worth the time to make it smaller
QUALITIES = (80, 50)


def read(paths: Sequence[Path], most: int = MOST) -> list[tuple[int, str]]:
    """(step, data URI) of pictures called step-000100.png, in the order of `paths`: `most` of them, evenly spread.

    Damaged and missing files are left out.
    """
    found = []
    for path in (paths[i] for i in spread(len(paths), most)):
        try:
            status = path.stat()
            source = encoded(path, status.st_mtime_ns, status.st_size)
        except OSError:  # gone, or not ours to look at
            continue
        if source:
            found.append((int(path.stem.removeprefix("step-")), source))
    return found


@lru_cache(2 * MOST)  # the next page wants nearly all of them again
def encoded(path: Path, changed: int, size: int) -> str:
    """As `encode`; the time of change and the size tell whether the file is still the same."""
    return encode(path)


def spread(n: int, most: int) -> list[int]:
    """Indices of at most `most` of n things, evenly spread, the first and the last among them.

    They are 2^k apart, but for the last one: as n grows, those that were chosen before are chosen again, or every
    second of them. Choosing at equal distances would choose others every time, to be encoded anew.
    """
    stride = 1
    while len(range(0, n - 1, stride)) + 1 > most:
        stride *= 2
    return [*range(0, n - 1, stride), n - 1] if n else []


def encode(path: Path) -> str:
    """The picture as a data URI, or "" if the file is none: the file as it is if it is small, or encoded anew.

    Grids of small pictures are smallest without loss, which WebP does better than PNG. Photographs are not, and get as
    many pixels and as much quality as MOST_BYTES hold.
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
    """Picture, format and options to try one after the other, each smaller than the one before."""
    form, quick = ("webp", {"method": 2}) if features.check("webp") else ("jpeg", {})
    if lossless and form == "webp":
        yield image, form, {"lossless": True, "quality": 20, "method": 1}
    for quality in QUALITIES:
        yield image, form, {"quality": quality, **quick}
    while max(image.size) > 1:
        image = image.resize([max(1, side // 2) for side in image.size], Image.Resampling.BOX)
        yield image, form, {"quality": QUALITIES[-1], **quick}
