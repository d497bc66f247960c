"""Transparency in every kind and depth of PNG, and in other formats, is shown on white."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from minigan.data.pictures import to_size

GRAY, COLOR, PALETTE, GRAY_ALPHA, COLOR_ALPHA = 0, 2, 3, 4, 6


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(left, right, depth, kind, *chunks):
    """A PNG of 8x8 pixels: the sample values `left`, and `right` in the right half."""
    samples = np.array([[left] * 4 + [right] * 4] * 8).reshape(8, -1)  # (8, 8·channels)
    if depth < 8:
        bits = (samples[..., None] >> np.arange(depth - 1, -1, -1)) & 1
        rows = np.packbits(bits.reshape(8, -1), axis=1)
    else:
        rows = samples.astype(f">u{depth // 8}").view(np.uint8).reshape(8, -1)
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = struct.pack(">IIBBBBB", 8, 8, depth, kind, 0, 0, 0)
    body = b"".join(chunk(*c) for c in [(b"IHDR", header), *chunks, (b"IDAT", packed), (b"IEND", b"")])
    return b"\x89PNG\r\n\x1a\n" + body


def halves(data, channels=3):
    """The colors of the left and the right half."""
    picture = to_size(Image.open(io.BytesIO(data)), (8, 8), channels)
    for half in (picture[:, :4], picture[:, 4:]):
        assert (half == half[0, 0]).all()
    return picture[0, 0].tolist(), picture[0, 7].tolist()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("key", [0, 1])
@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_gray_with_a_transparent_level(depth, key, channels):
    other = 2**depth - 1 - key
    left, right = halves(png([key], [other], depth, GRAY, (b"tRNS", struct.pack(">H", key))), channels)
    assert left == [255] * channels
    assert right == [round(other * 255 / (2**depth - 1))] * channels


def test_gray_of_16_bits_is_compared_with_all_of_them():
    left, right = halves(png([258], [259], 16, GRAY, (b"tRNS", struct.pack(">H", 258))))
    assert (left[0], right[0]) == (255, 1)


@pytest.mark.parametrize("depth", [8, 16])
def test_color_with_a_transparent_color(depth):
    key, other = ([3, 0x5A01, 0xFF02] if depth == 16 else [0, 90, 255]), [0, 0, 0]
    left, right = halves(png(key, other, depth, COLOR, (b"tRNS", struct.pack(">3H", *key))))
    assert (left, right) == ([255] * 3, [0] * 3)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize(("alpha", "seen"), [(0, 255), (51, 204), (255, 0)])
def test_a_palette_with_alpha(depth, alpha, seen):
    chunks = (b"PLTE", bytes([0, 0, 0, 200, 30, 40])), (b"tRNS", bytes([alpha]))
    assert halves(png([0], [1], depth, PALETTE, *chunks)) == ([seen] * 3, [200, 30, 40])


@pytest.mark.parametrize("kind", [GRAY_ALPHA, COLOR_ALPHA])
@pytest.mark.parametrize("depth", [8, 16])
def test_an_alpha_channel(depth, kind):
    unit, color = (257 if depth == 16 else 1), [0] * (3 if kind == COLOR_ALPHA else 1)
    assert halves(png([*color, 0], [*color, 51 * unit], depth, kind)) == ([255] * 3, [204] * 3)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "TIFF", "AVIF"])
def test_transparency_of_other_formats(form):
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 4, 8))
    file = io.BytesIO()
    try:
        image.save(file, form, **({"lossless": True} if form == "WEBP" else {}))
    except (KeyError, OSError):
        pytest.skip(f"this Pillow has no {form}")
    left, right = halves(file.getvalue())
    assert (min(left), max(right)) == (255, 0)
