import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageDraw

from minigan.data import BadFilesError, folder, open_folder
from minigan.data.kinds import FORMAT_OF, SUFFIXES, count_kinds
from minigan.errors import DataError

RED, GREEN = (200, 30, 40), (20, 180, 60)


def save(path, size=(40, 40), mode="RGB", color=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    color = (RED if mode == "RGB" else 200) if color is None else color
    Image.new(mode, size, color).save(path, **options)
    return path


def pixels(root, img_size=32, channels=3):
    """The first picture in bytes again."""
    x = open_folder(root, img_size, channels).batch(np.array([0]))[0]
    return ((x + 1) * 127.5).round().astype(int)


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".JPEG", ".Tif"])
def test_all_formats(tmp_path, suffix):
    save(tmp_path / f"a{suffix}", format=FORMAT_OF[suffix.lower()])
    np.testing.assert_allclose(pixels(tmp_path), np.broadcast_to(RED, (32, 32, 3)), atol=3)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("mode", "color", "gray"),
    [
        ("1", 1, 255),
        ("L", 200, 200),
        ("P", 0, 0),
        ("LA", (80, 255), 80),
        ("LA", (80, 0), 255),
        ("RGBA", (0, 0, 0, 0), 255),
        ("RGBA", (0, 0, 0, 51), 204),
        ("I;16", 51400, 200),
        ("I;16", 255, 1),
    ],
)
def test_every_mode_becomes_plain_bytes_on_white(tmp_path, mode, color, gray, channels):
    save(tmp_path / "a.png", mode=mode, color=color)
    picture = pixels(tmp_path, channels=channels)
    assert picture.shape == (32, 32, channels)
    assert (picture == gray).all()


def test_a_transparent_palette_color_is_white(tmp_path):
    save(tmp_path / "a.png", mode="P", color=0, transparency=0)
    assert (pixels(tmp_path) == 255).all()


def test_a_cmyk_jpeg(tmp_path):
    save(tmp_path / "a.jpg", mode="CMYK", color=(0, 255, 255, 0))
    assert np.abs(pixels(tmp_path) - [254, 0, 0]).max() < 5


def test_exif_orientation_is_applied(tmp_path):
    image = Image.new("RGB", (40, 40), RED)
    image.paste(GREEN, (0, 0, 40, 20))  # the upper half
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown after a quarter turn clockwise: the upper half comes to the right
    image.save(tmp_path / "a.png", exif=exif)
    picture = pixels(tmp_path)
    np.testing.assert_allclose(picture[:, 24:], np.broadcast_to(GREEN, (32, 8, 3)), atol=3)
    np.testing.assert_allclose(picture[:, :8], np.broadcast_to(RED, (32, 8, 3)), atol=3)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_size_has_height_and_width(tmp_path, suffix):
    """Of a wide picture, tall ones are cut out of the middle third, which is green."""
    image = Image.new("RGB", (900, 300), RED)
    image.paste(GREEN, (300, 0, 600, 300))
    image.save(tmp_path / f"a.{suffix}")
    picture = pixels(tmp_path, (40, 36))
    assert picture.shape == (40, 36, 3)
    np.testing.assert_allclose(picture, np.broadcast_to(GREEN, picture.shape), atol=6)
    sides = pixels(tmp_path, (32, 64))[:, [0, -1]]
    np.testing.assert_allclose(sides, np.broadcast_to(RED, sides.shape), atol=6)


def test_height_and_width_are_those_of_the_upright_picture(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown after a quarter turn
    for suffix in ("jpg", "png", "tif", "webp"):
        Image.new("RGB", (80, 40), RED).save(tmp_path / f"a.{suffix}", exif=exif)
    assert open_folder(tmp_path, (80, 40)).notes == ()
    with pytest.raises(DataError, match="80x40 in height x width, smaller than 40x80"):
        open_folder(tmp_path, (40, 80))


def test_whole_pictures_have_their_own_sizes_and_the_channels_of_a_batch(tmp_path):
    save(tmp_path / "a.png", (48, 36))
    save(tmp_path / "b.png", (40, 44), "L")
    for channels in (1, 3):
        dataset = open_folder(tmp_path, 32, channels)
        wholes = dataset.wholes(np.array([0, 1, 0]))
        assert [x.shape for x in wholes] == [(36, 48, channels), (44, 40, channels), (36, 48, channels)]
        np.testing.assert_array_equal(dataset.values(wholes[1][None])[0, 0, 0], dataset.batch([1])[0, 0, 0])


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_the_center_of_a_long_picture_is_kept(tmp_path, suffix):
    image = Image.new("RGB", (900, 300), RED)
    image.paste(GREEN, (300, 0, 600, 300))
    image.save(tmp_path / f"a.{suffix}")
    picture = pixels(tmp_path)[:, 2:-2]
    np.testing.assert_allclose(picture, np.broadcast_to(GREEN, picture.shape), atol=6)


def test_shrinking_averages(tmp_path):
    board = np.indices((64, 64)).sum(0) % 2 * 255
    Image.fromarray(board.astype(np.uint8)).save(tmp_path / "a.png")
    np.testing.assert_allclose(pixels(tmp_path, 16, 1), 127.5, atol=8)


def test_a_large_jpeg_keeps_its_detail(tmp_path):
    waves = 127 + 100 * np.sin(np.arange(512) * 2 * np.pi / 32)
    image = Image.fromarray(np.tile(waves.astype(np.uint8), (512, 1)))
    for name in ("jpeg/a.jpg", "png/a.png"):
        (tmp_path / name).parent.mkdir()
        image.save(tmp_path / name)
    np.testing.assert_allclose(pixels(tmp_path / "jpeg", 64, 1), pixels(tmp_path / "png", 64, 1), atol=4)


def test_channels_follow_the_pictures(tmp_path):
    save(tmp_path / "a.png", mode="L")
    assert open_folder(tmp_path, 32).shape == (32, 32, 1)
    save(tmp_path / "b.png")
    assert open_folder(tmp_path, 32).shape == (32, 32, 3)


def test_folders_are_classes(tmp_path):
    for name in ("dog/a.png", "cat/b.png", "cat/deep/c.png", ".hidden/d.png", "dog/.e.png", "dog/f.txt"):
        save(tmp_path / name, format="PNG")
    dataset = open_folder(tmp_path, 32)
    assert [path.name for path in dataset.paths] == ["b.png", "c.png", "a.png"]
    assert dataset.classes == ["cat", "dog"]
    assert dataset.labels.tolist() == [0, 0, 1]
    assert dataset.select(np.array([2, 0])).labels.tolist() == [1, 0]


@pytest.mark.parametrize("names", [("one/a.png", "one/b.png"), ("a.png", "x/b.png", "y/c.png")])
def test_folders_that_tell_nothing_are_no_classes(tmp_path, names):
    for name in names:
        save(tmp_path / name)
    dataset = open_folder(tmp_path, 32)
    assert len(dataset) == len(names)
    assert dataset.labels is dataset.classes is None


def test_links_are_followed_but_not_in_circles(tmp_path):
    save(tmp_path / "elsewhere" / "a.png")
    root = tmp_path / "root"
    root.mkdir()
    try:
        os.symlink(tmp_path / "elsewhere", root / "linked")
        os.symlink(root, root / "again")
    except OSError:
        pytest.skip("no symbolic links here")
    assert [path.relative_to(root).as_posix() for path in open_folder(root, 32).paths] == ["linked/a.png"]


@pytest.mark.parametrize("budget", [1 << 30, 0])
def test_pictures_are_decoded_once_if_they_fit_into_memory(tmp_path, monkeypatch, budget):
    monkeypatch.setattr(folder, "CACHE_BUDGET", budget)
    for shade in range(5):
        save(tmp_path / f"{shade}.png", mode="L", color=shade * 10)
    dataset = open_folder(tmp_path, 32)
    first = dataset.batch(np.array([3, 1, 3]))
    assert ((first[:, 0, 0, 0] + 1) * 127.5).round().tolist() == [30, 10, 30]
    for path in dataset.paths:
        path.unlink()
    if budget:
        np.testing.assert_array_equal(dataset.batch(np.array([3, 1, 3])), first)
    else:
        with pytest.raises(DataError, match=r"\.png"):
            dataset.batch(np.array([3]))


def bomb(path):
    """A PNG of 57 bytes whose header says 20,000 x 20,000."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)), (b"IDAT", b""), (b"IEND", b"")]
    data = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda path: path.write_text("hello"), "a.png is not a picture"),
        (lambda path: path.write_bytes(b""), "a.png is not a picture"),
        (
            lambda path: save(path, (40, 20)),
            "20x40 in height x width, smaller than 32x32: use `img_size` 20 or less",
        ),
        (bomb, "a.png has too many pixels"),
        (lambda path: None, "no pictures in it"),
    ],
)
def test_bad_files_are_named_when_the_folder_is_opened(tmp_path, make, what):
    make(tmp_path / "a.png")
    with pytest.raises(DataError, match=what):
        open_folder(tmp_path, 32)


def test_the_largest_size_of_an_aspect_is_named(tmp_path):
    save(tmp_path / "a.png", (40, 30))
    with pytest.raises(DataError, match="is 30x40 in height x width, smaller than 64x32: use `img_size` 30x15 or"):
        open_folder(tmp_path, (64, 32))
    assert open_folder(tmp_path, (30, 15)).shape == (30, 15, 3)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("limit", [1000, 500])
def test_the_warning_for_a_bomb_is_an_error_too(tmp_path, monkeypatch, limit):
    save(tmp_path / "a.png")  # 1,600 pixels: Pillow warns above its limit, and raises above twice as many
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(DataError, match="too many pixels"):
        open_folder(tmp_path, 32)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp"])
def test_a_damaged_body_is_named_when_it_is_decoded(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match=f"a.{suffix} is damaged or cut off"):
        open_folder(tmp_path, 32).batch(np.array([0]))


@pytest.mark.parametrize(("name", "form"), [("a.png", "GIF"), ("a.jpg", "TIFF"), ("a.gif", "PNG")])
def test_a_picture_is_what_its_bytes_say_and_a_note_names_it(tmp_path, name, form):
    save(tmp_path / name, format=form)
    dataset = open_folder(tmp_path, 40)
    np.testing.assert_allclose(pixels(tmp_path), np.broadcast_to(RED, (32, 32, 3)), atol=4)
    assert dataset.notes == (f"{name} is {form} by its content",)


def test_of_an_animation_the_first_frame_is_read(tmp_path):
    frames = [Image.new("RGB", (32, 32), color) for color in (RED, GREEN)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(pixels(tmp_path), np.broadcast_to(RED, (32, 32, 3)), atol=4)


def test_files_that_are_passed_over_are_counted_by_kind(tmp_path):
    save(tmp_path / "a.png", (32, 32))
    for name in ("b.HEIC", "c.heic", "d.mp4", "LICENSE", "x/e.txt", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    one_line = "5 files are passed over: 2 .heic, 1 without a suffix, 1 .mp4, 1 .txt; convert pictures among them"
    assert open_folder(tmp_path, 32).notes == (f"{one_line} to PNG or JPEG",)
    assert count_kinds(f"a.{k}" for k in range(9)).endswith("1 .4, 1 .5, 3 others")
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match="has no pictures in it .*; 5 files are passed over: 2 .heic"):
        open_folder(tmp_path)


def test_a_file_of_another_kind_is_named_as_what_it_is(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"\0\0\0\x18ftypheic" + bytes(50))
    with pytest.raises(DataError, match="a.jpg is a HEIC file by its content, .* convert it to PNG or JPEG"):
        open_folder(tmp_path)


@pytest.mark.parametrize("budget", [1 << 30, 0])
def test_bad_files_are_skipped_if_that_is_asked_for(tmp_path, monkeypatch, budget):
    monkeypatch.setattr(folder, "CACHE_BUDGET", budget)
    for shade, name in enumerate(("a/0.png", "a/1.png", "b/2.png", "c/3.png")):
        save(tmp_path / name, mode="L", color=10 * shade)
    (tmp_path / "a" / "0.png").write_text("no picture")
    whole = (tmp_path / "c" / "3.png").read_bytes()
    (tmp_path / "c" / "3.png").write_bytes(whole[:50])
    with pytest.raises(BadFilesError, match="a/0.png is not a picture.*, or go on without it by `skip_bad`"):
        open_folder(tmp_path, 32)
    dataset = open_folder(tmp_path, 32, skip_bad=True)
    assert [path.name for path in dataset.paths] == ["1.png", "2.png"]
    assert ((dataset.batch(np.array([0, 1]))[:, 0, 0, 0] + 1) * 127.5).round().tolist() == [10, 20]
    assert (dataset.labels.tolist(), dataset.classes) == ([0, 1], ["a", "b"])
    assert [problem.split(": ")[0].split("/")[-1].split()[0] for problem in dataset.bad] == ["0.png", "3.png"]
    assert f"2 bad files are left out: minigan data {tmp_path} lists them" in dataset.notes
    assert "1 class has no pictures and is left out: c" in dataset.notes


def test_a_folder_of_bad_files_is_refused_even_so(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_text("no picture")
    with pytest.raises(BadFilesError, match="a.png .*; this is one of 2 bad files: .* lists them all$") as caught:
        open_folder(tmp_path, skip_bad=True)
    assert len(caught.value.problems) == 2


def test_cutting_and_shrinking_are_said_in_one_line(tmp_path):
    save(tmp_path / "a.png", (64, 64))
    assert open_folder(tmp_path).notes == ()
    save(tmp_path / "b.png", (96, 80))
    shrunk = "cut to the square at their center and shrunk to 64x64, the default: `img_size` gives another size"
    assert open_folder(tmp_path).notes == (f"1 of 2 pictures (80x96 in height x width) are {shrunk}",)
    assert open_folder(tmp_path, 32).notes[0].startswith("all 2 pictures (64x64 to 80x96 in height x width) are cut")
    cut = "are cut to the aspect of 40x64 at their center and shrunk to 40x64: `img_size` gives another size"
    assert open_folder(tmp_path, (40, 64)).notes[0].endswith(cut)


@pytest.mark.parametrize(("mode", "form"), [("1", "png"), ("L", "png"), ("1", "tif"), ("P", "png"), ("RGB", "png")])
def test_line_drawings_of_20_megapixels_are_read(tmp_path, mode, form):
    drawing = Image.new("1", (4000, 5000), 1)
    lines = ImageDraw.Draw(drawing)
    for k in range(150):  # as dense as the strokes of a drawing: its file has 1 byte for a few hundred pixels
        lines.line([(13 * k, 0), (4000 - 11 * k, 5000)], fill=0, width=5)
    path = tmp_path / f"a.{form}"
    drawing.convert(mode).save(path, **({"compression": "group4"} if form == "tif" else {}))
    assert path.stat().st_size < 200_000 * len(Image.open(path).getbands())
    picture = pixels(tmp_path, 64, 1)
    assert picture.min() < 128
    assert picture.max() > 200


def test_an_empty_page_at_600_dpi_is_read(tmp_path):
    save(tmp_path / "a.png", (4961, 7016), "1", 1)
    assert (pixels(tmp_path) == 255).all()


@pytest.mark.parametrize(("mode", "side"), [("1", 9000), ("L", 9000), ("RGBA", 5000)])
def test_large_flat_colors_are_not(tmp_path, mode, side):
    save(tmp_path / "a.png", (side, side), mode, 0)
    with pytest.raises(DataError, match="a.png has too many pixels"):
        open_folder(tmp_path)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_a_tiff_of_unknown_range_is_refused(tmp_path, mode):
    save(tmp_path / "a.tif", mode=mode, color=1)
    with pytest.raises(DataError, match="a.tif has signed or 32-bit pixels, whose range isn't known"):
        open_folder(tmp_path, 32)


def test_what_is_selected_is_not_decoded_again(tmp_path):
    for shade in range(3):
        save(tmp_path / f"{shade}.png", mode="L", color=shade * 10)
    dataset = open_folder(tmp_path, 32)
    dataset.batch(np.arange(3))
    for path in dataset.paths:
        path.unlink()
    some = dataset.select(np.array([2, 0]))
    assert ((some.batch(np.arange(2))[:, 0, 0, 0] + 1) * 127.5).round().tolist() == [20, 0]


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg", "tiff_adobe_deflate"])
def test_nothing_but_the_sentence_is_said_of_a_damaged_tiff(tmp_path, capfd, compression):
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.tif", compression=compression)
    data = bytearray((tmp_path / "a.tif").read_bytes())
    data[20 : len(data) // 2 : 97] = bytes(len(data[20 : len(data) // 2 : 97]))
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(DataError, match="a.tif is damaged"):
        open_folder(tmp_path).batch(np.array([0]))
    assert capfd.readouterr().err == ""


def test_a_missing_folder(tmp_path):
    with pytest.raises(DataError, match="nowhere is not a folder"):
        open_folder(tmp_path / "nowhere")
