"""16-bit PNG, read and written by minigan itself: against Pillow's bytes, and against a plain loop."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from minigan.apply.png import PASSES, SIGNATURE, read_png, write_png

RNG = np.random.default_rng(1)


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def filtered(pixels, choose):
    """Rows of a PNG, byte by byte as the specification says it."""
    rows, bpp = pixels.astype(">u2").view(np.uint8).reshape(len(pixels), -1).astype(int), 2 * pixels.shape[2]
    out, above = b"", np.zeros(rows.shape[1], int)
    for row in rows:
        kind, coded = choose(), []
        for i, x in enumerate(row):
            a, c = (row[i - bpp], above[i - bpp]) if i >= bpp else (0, 0)
            b = above[i]
            paeth = min((a, b, c), key=lambda value: abs(a + b - c - value))
            coded.append((x - (0, a, b, (a + b) // 2, paeth)[kind]) % 256)
        out, above = out + bytes([kind, *coded]), row
    return out


def png(pixels, choose, interlaced=False, extra=b""):
    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, interlaced)
    parts = [pixels[y::dy, x::dx] for y, x, dy, dx in (PASSES if interlaced else ((0, 0, 1, 1),))]
    data = zlib.compress(b"".join(filtered(part, choose) for part in parts if part.size))
    idat = chunk(b"IDAT", data[:20]) + chunk(b"IDAT", data[20:])
    return SIGNATURE + chunk(b"IHDR", header) + extra + idat + chunk(b"IEND", b"")


@settings(deadline=None, max_examples=80)
@given(
    st.integers(1, 12), st.integers(1, 12), st.integers(1, 4), st.booleans(), st.integers(0, 2**32), st.integers(0, 4)
)
def test_every_filter_and_interlacing_is_undone(height, width, channels, interlaced, seed, most):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 65536, (height, width, channels)).astype(np.uint16)
    pixels[rng.random(pixels.shape) < 0.3] = 0x0101  # so that predictions tie
    colors, alpha = read_png(png(pixels, lambda: int(rng.integers(0, most + 1)), interlaced))
    whole = colors if alpha is None else np.concatenate([colors, alpha], axis=-1)
    np.testing.assert_array_equal(whole, pixels)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_what_is_written_is_read_again_and_by_pillow(channels):
    pixels = RNG.integers(0, 65536, (9, 7, channels)).astype(np.uint16)
    data = write_png(pixels, b"a profile")
    colors, alpha = read_png(data)
    np.testing.assert_array_equal(pixels, colors if alpha is None else np.concatenate([colors, alpha], axis=-1))
    image = Image.open(io.BytesIO(data))
    shown = np.asarray(image if channels != 2 else image.convert("LA")).reshape(pixels.shape)
    np.testing.assert_array_equal(shown, pixels if channels == 1 else pixels >> 8)
    assert image.info["icc_profile"] == b"a profile"


def test_one_color_may_be_transparent():
    pixels = np.array([[[1, 2, 3], [1, 2, 4]]], np.uint16)
    _, alpha = read_png(png(pixels, lambda: 0, extra=chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3))))
    assert alpha.tolist() == [[[0], [65535]]]


@pytest.mark.parametrize("spoil", [lambda d: d[:60], lambda d: d[:50] + b"\xff" + d[51:], lambda d: SIGNATURE])
def test_a_damaged_file_is_a_value_error(spoil):
    with pytest.raises((ValueError, struct.error, zlib.error)):
        read_png(spoil(write_png(RNG.integers(0, 65536, (9, 7, 3)).astype(np.uint16))))


def test_a_file_of_more_than_it_says_is_not_unpacked():
    header = struct.pack(">IIBBBBB", 1, 1, 16, 0, 0, 0, 0)
    bomb = chunk(b"IDAT", zlib.compress(b"\0" * (1 << 26)))
    pixels, _ = read_png(SIGNATURE + chunk(b"IHDR", header) + bomb + chunk(b"IEND", b""))
    assert pixels.shape == (1, 1, 1)
