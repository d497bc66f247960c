"""Lossless 16-bit PNG: Pillow reduces 16-bit color to 8 bits.

    file      8 bytes, then chunks: length (4), kind (4), data, CRC-32 of kind and data (4)
    IHDR      width, height (4 each), bits, color type, compression, filter, interlace (1 each)
    tRNS      the transparent color, if there is no alpha channel
    IDAT      concatenated: a zlib stream of rows, each a filter byte and the row's bytes

A filter predicts a byte x from the bytes of the pixel to the left a, above b and above left c, and stores x minus

    0: nothing    1: a    2: b    3: ⌊(a + b)/2⌋    4: of a, b and c the one that is nearest to a + b − c

modulo 256 (PNG Specification, third edition, §9). Every pixel depends on its left neighbor, so a row can't be decoded
in one vectorized operation. But the pixels of an antidiagonal, y + x = t, depend only on those of t − 1 and t − 2:
each antidiagonal is decoded in one operation, across all rows.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # by color type: gray, color, gray with alpha, color with alpha
COLOR_TYPE = {channels: kind for kind, channels in CHANNELS.items()}
# The seven passes of an interlaced picture: first row and column, row and column steps
PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def read_png(data: bytes) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the pixels uint16 (H, W, 1 or 3) of a 16-bit PNG, and its alpha (H, W, 1) or None.

    Raises ValueError if it is damaged. Memory is limited to three times the pixels, even if the stream unpacks to more.
    """
    header, key, packed = b"", None, []
    for kind, content in _chunks(data):
        if kind == b"IHDR":
            header = content
        elif kind == b"tRNS":
            key = np.frombuffer(content, ">u2")
        elif kind == b"IDAT":
            packed.append(content)
    width, height, bits, color_type, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    channels = CHANNELS[color_type]
    if bits != 16:
        raise ValueError(f"it has {bits} bits")
    parts = PASSES if interlaced else ((0, 0, 1, 1),)
    sizes = [(len(range(y, height, dy)), len(range(x, width, dx))) for y, x, dy, dx in parts]
    expected = sum(h * (1 + 2 * channels * w) for h, w in sizes if h and w)
    rows = np.frombuffer(zlib.decompressobj().decompress(b"".join(packed), expected), np.uint8)
    if len(rows) < expected:
        raise ValueError("pixels are missing")
    pixels = np.empty((height, width, channels), np.uint16)
    at = 0
    for (y, x, dy, dx), (h, w) in zip(parts, sizes, strict=True):
        if h and w:
            length = h * (1 + 2 * channels * w)
            part = _unfilter(rows[at : at + length].reshape(h, -1), 2 * channels)
            pixels[y::dy, x::dx] = part.view(">u2").reshape(h, w, channels)
            at += length
    if channels in (2, 4):
        return pixels[..., :-1], pixels[..., -1:]
    if key is None:
        return pixels, None
    return pixels, np.where((pixels == key[:channels]).all(axis=-1, keepdims=True), 0, 65535).astype(np.uint16)


def write_png(pixels: np.ndarray, profile: bytes = b"") -> bytes:
    """Encode pixels uint16 (H, W, C): gray or color, optionally with alpha as the last channel."""
    height, width, channels = pixels.shape
    rows = pixels.astype(">u2").view(np.uint8).reshape(height, width * channels * 2)
    filtered = np.ones((height, 1 + rows.shape[1]), np.uint8)  # filter 1
    filtered[:, 1:] = rows
    filtered[:, 1 + 2 * channels :] -= rows[:, : -2 * channels]
    header = struct.pack(">IIBBBBB", width, height, 16, COLOR_TYPE[channels], 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes(), 6)), (b"IEND", b"")]
    if profile:
        chunks.insert(1, (b"iCCP", b"profile\0\0" + zlib.compress(profile)))
    return SIGNATURE + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        content, end = data[at + 8 : at + 8 + length], at + 12 + length
        if kind == b"IEND":
            return
        if end > len(data) or zlib.crc32(kind + content) != int.from_bytes(data[end - 4 : end], "big"):
            raise ValueError("a checksum is wrong")
        yield kind, content
        at = end
    raise ValueError("it is cut off")


def _unfilter(rows: np.ndarray, pixel: int) -> np.ndarray:
    """Decode rows (H, 1 + W·pixel), each with its filter number first, to bytes (H, W·pixel). `pixel` is in bytes."""
    filters, coded = rows[:, 0], rows[:, 1:]
    height, width = len(rows), coded.shape[1] // pixel
    if filters.max() > 4:
        raise ValueError("there is no such filter")
    coded = coded.reshape(height, width, pixel)
    if (filters < 3).all():
        return _unfilter_sums(filters, coded).reshape(height, -1)
    done = np.zeros((height + 1, width + 1, pixel), np.uint8)  # with a row of zeros above and a column on the left
    for t in range(height + width - 1):
        y = np.arange(max(0, t - width + 1), min(height, t + 1))
        x, filter_ = t - y, filters[y][:, None]
        a, b, c = (done[y + dy, x + dx].astype(np.int16) for dy, dx in ((1, 0), (0, 1), (0, 0)))
        pa, pb, pc = abs(b - c), abs(a - c), abs(a + b - 2 * c)
        nearest = np.where((pa <= pb) & (pa <= pc), a, np.where(pb <= pc, b, c))
        predicted = np.choose(filter_, (np.zeros_like(a), a, b, (a + b) >> 1, nearest))
        done[y + 1, x + 1] = coded[y, x] + predicted.astype(np.uint8)
    return np.ascontiguousarray(done[1:, 1:]).reshape(height, -1)


def _unfilter_sums(filters: np.ndarray, coded: np.ndarray) -> np.ndarray:
    """Decode rows that only use filters 0 to 2: cumulative sums along a row, or sums with the row above."""
    done = coded.copy()
    for y, filter_ in enumerate(filters.tolist()):
        if filter_ == 1:
            np.cumsum(coded[y], axis=0, dtype=np.uint8, out=done[y])
        elif filter_ == 2 and y:
            done[y] += done[y - 1]
    return done
