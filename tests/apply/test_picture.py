"""Pictures of every kind are read as what they show, and written as what they were."""

import io
import struct
import zlib

import numpy as np
import pytest
from appliers import Changes, identity, photo, save, smoother, twice
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from minigan.apply import Applier, Job, Picture, apply_one, read_picture, write_picture
from minigan.apply.picture import ORIENTATION, resized, to_gray
from minigan.errors import DataError

SAME = {channels: Applier(Changes(identity(channels))) for channels in (1, 3)}
RNG = np.random.default_rng(5)


def through(tmp_path, source, channels=3, target="out.png", **options):
    """A file through a network that changes nothing, as Pillow shows the result."""
    apply_one(SAME[channels], Job(source, tmp_path / target), **options)
    return Image.open(tmp_path / target)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_bytes_are_kept(tmp_path, suffix, channels):
    x = photo(channels=channels)
    source = save(tmp_path / f"in{suffix}", x, **({"lossless": True} if suffix == ".webp" else {}))
    shown = through(tmp_path, source, channels)
    assert shown.mode == ("L" if channels == 1 else "RGB")
    np.testing.assert_array_equal(np.asarray(shown).reshape(x.shape), x)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_are_kept(tmp_path, channels):
    x = RNG.integers(0, 65536, (9, 11, channels)).astype(np.uint16)
    picture = Picture(x[..., : 1 if channels < 3 else 3], x[..., -1:] if channels in (2, 4) else None)
    write_picture(tmp_path / "in.png", picture)
    apply_one(SAME[1 if channels < 3 else 3], Job(tmp_path / "in.png", tmp_path / "out.png"))
    again = read_picture(tmp_path / "out.png")
    assert again.pixels.dtype == np.uint16
    np.testing.assert_array_equal(again.pixels, picture.pixels)
    assert (again.alpha is None) == (picture.alpha is None)
    if picture.alpha is not None:
        np.testing.assert_array_equal(again.alpha, picture.alpha)


def test_sixteen_bit_gray_tiffs_are_read_and_those_in_color_refused(tmp_path):
    x = RNG.integers(0, 65536, (9, 11)).astype(np.uint16)
    Image.fromarray(x).save(tmp_path / "gray.tif")
    np.testing.assert_array_equal(np.asarray(through(tmp_path, tmp_path / "gray.tif", 1, "out.tif")), x)
    # Pillow writes no color of 16 bits: 1x1 pixels, by hand
    tags = [(256, 3, 1, 1), (257, 3, 1, 1), (258, 3, 3, 134), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 140)]
    tags += [(277, 3, 1, 3), (278, 3, 1, 1), (279, 4, 1, 6)]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    (tmp_path / "color.tif").write_bytes(head.ljust(134, b"\0") + struct.pack("<6H", 16, 16, 16, 1, 2, 3))
    with pytest.raises(DataError, match="can't be read without loss: convert it to PNG"):
        read_picture(tmp_path / "color.tif")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA", "1", "L", "RGB"])
def test_transparency_is_carried_over(tmp_path, mode):
    colors, alpha = photo(channels=3), photo(channels=1, seed=1)
    image = Image.fromarray(np.concatenate([colors, alpha], axis=-1))
    options = {}
    if mode in ("P", "1", "L", "RGB"):
        image = image.convert("RGB").convert(mode)
        key = image.getpixel((3, 4))
        options = {"transparency": key if mode != "1" else int(key > 0)}
    else:
        image = image.convert(mode)
    image.save(tmp_path / "in.png" if mode != "PA" else tmp_path / "in.tif", **options)
    source = tmp_path / ("in.png" if mode != "PA" else "in.tif")
    wanted = np.asarray(Image.open(source).convert("RGBA"))
    if mode == "1":  # older versions of Pillow take no notice of it
        seen_through = np.asarray(image) == bool(key)
        wanted = np.concatenate([wanted[..., :3], np.where(seen_through, 0, 255)[..., None]], axis=-1)
    picture = read_picture(source)
    np.testing.assert_array_equal(picture.alpha[..., 0], wanted[..., 3])
    shown = through(tmp_path, source, 1 if picture.gray else 3)
    seen = wanted[..., 3] > 0
    np.testing.assert_array_equal(np.asarray(shown.convert("RGBA"))[seen], wanted[seen])
    np.testing.assert_array_equal(np.asarray(shown.convert("RGBA"))[..., 3], wanted[..., 3])


def test_transparency_grows_with_the_picture(tmp_path):
    alpha = np.zeros((75, 101, 1), np.uint8)
    alpha[:, 50:] = 255
    save(tmp_path / "in.png", np.concatenate([photo(), alpha], axis=-1))
    apply_one(Applier(Changes(twice())), Job(tmp_path / "in.png", tmp_path / "out.png"))
    grown = np.asarray(Image.open(tmp_path / "out.png"))
    assert grown.shape == (150, 202, 4)
    assert set(grown[:, :96, 3].ravel()) == {0} and set(grown[:, 104:, 3].ravel()) == {255}
    deep = resized(np.full((3, 4, 1), 65535, np.uint16), (6, 8))
    assert deep.dtype == np.uint16 and (deep == 65535).all()


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "P", "1"])
def test_other_modes_become_color_or_gray(tmp_path, mode):
    image = Image.fromarray(photo()).convert(mode)
    source = tmp_path / ("in.tif" if mode in ("CMYK", "YCbCr") else "in.png")
    image.save(source)
    try:
        wanted = np.asarray(Image.open(source).convert("L" if mode == "1" else "RGB"))
    except OSError:
        pytest.skip("this Pillow can't read the TIFF that it has written")
    np.testing.assert_array_equal(np.asarray(through(tmp_path, source, 1 if mode == "1" else 3)), wanted)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("bits", [8, 16])
def test_pictures_stand_upright(tmp_path, orientation, bits):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    x = photo(20, 30, bits=8)
    save(tmp_path / "in.png", x, exif=exif)
    wanted = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "in.png")))
    if bits == 16:
        write_picture(tmp_path / "deep.png", Picture(x.astype(np.uint16) * 257))
        data, chunk = (tmp_path / "deep.png").read_bytes(), exif.tobytes().removeprefix(b"Exif\0\0")
        eXIf = struct.pack(">I", len(chunk)) + b"eXIf" + chunk + struct.pack(">I", zlib.crc32(b"eXIf" + chunk))
        (tmp_path / "in.png").write_bytes(data[:33] + eXIf + data[33:])
        wanted = wanted.astype(np.uint16) * 257
    np.testing.assert_array_equal(read_picture(tmp_path / "in.png").pixels, wanted)


def test_gray_and_color_are_what_the_network_was_trained_on(tmp_path):
    """Gray stays gray with a network for colors; color becomes gray with one for gray."""
    gray, color = save(tmp_path / "gray.png", photo(channels=1)), save(tmp_path / "color.png", photo())
    shown = through(tmp_path, gray, 3)
    assert shown.mode == "L"
    np.testing.assert_array_equal(np.asarray(shown), photo(channels=1)[..., 0])
    assert through(tmp_path, gray, 3, color=True).mode == "RGB"
    shown = through(tmp_path, color, 1)
    np.testing.assert_array_equal(np.asarray(shown), np.asarray(Image.open(color).convert("L")))


def test_gray_of_sixteen_bits_is_that_of_eight():
    x = photo()
    np.testing.assert_array_equal(to_gray(x), np.asarray(Image.fromarray(x).convert("L"))[..., None])
    np.testing.assert_array_equal(to_gray(np.full((1, 1, 3), 65535, np.uint16)), [[[65535]]])
    np.testing.assert_allclose(to_gray((x / 255).astype("f")) * 255, to_gray(x), atol=0.51)


def test_a_color_profile_goes_with_the_colors(tmp_path):
    source = save(tmp_path / "in.png", photo(), icc_profile=b"some profile", pnginfo=PngInfo())
    assert through(tmp_path, source).info["icc_profile"] == b"some profile"
    assert "icc_profile" not in through(tmp_path, source, 1).info


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 1), (20, 30, 3), (20, 30, 5)])
def test_floats_are_not_rounded(tmp_path, shape):
    x = RNG.uniform(-1, 1, shape)  # float64, becomes float32
    np.save(tmp_path / "in.npy", x)
    channels = shape[2] if len(shape) == 3 else 1
    apply_one(Applier(Changes(identity(channels))), Job(tmp_path / "in.npy", tmp_path / "out.npy"))
    y = np.load(tmp_path / "out.npy")
    assert y.dtype == np.float32 and y.shape == shape
    np.testing.assert_array_equal(y, x.astype("f"))


def test_pictures_and_floats_meet(tmp_path):
    x = photo()
    save(tmp_path / "in.png", np.concatenate([x, x[..., :1]], axis=-1))
    notes = apply_one(SAME[3], Job(tmp_path / "in.png", tmp_path / "out.npy"))
    assert "transparency" in notes[0]
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), x / 127.5 - 1, atol=1e-6)
    assert np.asarray(through(tmp_path, tmp_path / "out.npy", target="again.png")).tolist() == x.tolist()
    np.save(tmp_path / "large.npy", np.float32(x))
    (note,) = apply_one(SAME[3], Job(tmp_path / "large.npy", tmp_path / "out.npy"))
    assert "values from" in note


@pytest.mark.parametrize(
    "array, why",
    [
        (np.zeros((4, 4, 3), np.uint8), "must have floats"),
        (np.zeros((2, 4, 4, 3), np.float32), "must have floats"),
        (np.full((4, 4), np.nan, np.float32), "aren't finite"),
        (np.zeros((4, 4, 2), np.float32), "takes 3 channels, and this has 2"),
    ],
)
def test_arrays_that_are_refused(tmp_path, array, why):
    np.save(tmp_path / "in.npy", array)
    with pytest.raises(DataError, match=why) as refusal:
        apply_one(SAME[3], Job(tmp_path / "in.npy", tmp_path / "out.npy"))
    assert "in.npy" in str(refusal.value)
    assert not (tmp_path / "out.npy").exists()


@pytest.mark.parametrize(
    "pixels, alpha, target, why",
    [
        (photo(bits=16), None, "out.jpg", "16 bits"),
        (photo(bits=16), None, "out.tif", "16 bits"),
        (photo(), photo(channels=1), "out.jpg", "transparency"),
        (np.zeros((1, 16384, 3), np.uint8), None, "out.webp", "can't be written"),
        (photo(channels=5), None, "out.png", "makes 5: use .npy"),
    ],
)
def test_formats_that_can_not_hold_a_picture_are_refused(tmp_path, pixels, alpha, target, why):
    with pytest.raises(DataError, match=why):
        write_picture(tmp_path / target, Picture(pixels, alpha))
    assert not list(tmp_path.iterdir())


def test_a_jpeg_may_be_written(tmp_path):
    shown = through(tmp_path, save(tmp_path / "in.png", photo()), target="out.jpg")
    assert shown.format == "JPEG" and np.abs(np.asarray(shown).astype(int) - photo()).mean() < 6


def test_the_first_frame_of_an_animation_is_used(tmp_path):
    first, second = (Image.fromarray(photo(seed=s)).quantize(16) for s in (0, 1))
    first.save(tmp_path / "in.gif", save_all=True, append_images=[second])
    np.testing.assert_array_equal(np.asarray(through(tmp_path, tmp_path / "in.gif")), np.asarray(first.convert("RGB")))


def test_files_are_the_same_every_time(tmp_path):
    apply, files = Applier(Changes(smoother())), []
    save(tmp_path / "in.png", photo(300, 280))
    for name in ("a.png", "b.png"):
        apply_one(apply, Job(tmp_path / "in.png", tmp_path / name))
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]
    assert io.BytesIO(files[0]).read(4) == b"\x89PNG"
