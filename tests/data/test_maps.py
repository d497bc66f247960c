"""Class maps: which values are classes in every kind of file, that they are scaled with the picture and never mixed."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minigan.data import AUGMENTATIONS, Feeds, HeldOut, hold_out, open_feeds
from minigan.data.maps import resize, sharpened
from minigan.data.palette import distinct_colors
from minigan.errors import DataError
from minigan.model import LABEL, MAP, PICTURE

TO_MAP = {"input": PICTURE, "target": MAP}
FROM_MAP = {"input": MAP, "target": PICTURE}
SETS = Path(os.environ.get("MINIGAN_TEST_SETS", "none"))  # a folder of published sets of pictures
COLORS = np.array([(0, 0, 170), (0, 85, 255), (255, 170, 0), (170, 0, 0), (128, 64, 128)], np.uint8)
RNG = np.random.default_rng(0)


def areas(k, size=(48, 40), n_classes=5):
    """Rectangles of classes 0 … n_classes − 1, others in each picture."""
    rng = np.random.default_rng(k)
    classes = np.zeros(size, np.uint8)
    for c in range(1, n_classes):
        top, left = rng.integers(size[0] - 16), rng.integers(size[1] - 16)
        classes[top : top + 16, left : left + 16] = c
    classes[:8, :8] = (np.arange(64) * n_classes // 64).reshape(8, 8)  # every class occurs
    return classes


def save(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


FORMS = {
    "gray": lambda c: Image.fromarray(c),
    "16 bits": lambda c: Image.fromarray(c.astype(np.uint16) * 300),
    "palette": lambda c: paletted(c),
    "few bits": lambda c: paletted(c),
    "color": lambda c: Image.fromarray(COLORS[c]),
    "alpha": lambda c: Image.fromarray(np.concatenate([COLORS[c], np.full((*c.shape, 1), 99, np.uint8)], axis=2)),
    "jpeg": lambda c: Image.fromarray(COLORS[c].repeat(4, axis=0).repeat(4, axis=1)),
}


def paletted(classes):
    image = Image.fromarray(classes, "P")
    image.putpalette(COLORS.tobytes())
    return image


def lay(root, form, n=6, **options):
    """Write n photos, whose red tells the class, and their maps."""
    for k in range(n):
        classes = areas(k, **options)
        photo = Image.fromarray(np.stack([classes * 50] * 3, axis=-1))
        if form == "jpeg":
            photo = photo.resize((photo.width * 4, photo.height * 4), Image.Resampling.NEAREST)
        save(root / "A" / f"{k}.png", photo)
        form_options = {"quality": 90} if form == "jpeg" else {"bits": 4} if form == "few bits" else {}
        save(root / "B" / f"{k}.{'jpg' if form == 'jpeg' else 'png'}", FORMS[form](classes), **form_options)
    return root


def classes_of(batch, array):
    """Return the class of each pixel, −1 if it is unknown."""
    x = batch[array]
    return np.where(x.any(axis=-1), x.argmax(axis=-1), -1)


def shades(batch, array):
    return np.rint((batch[array][..., 0] + 1) * 127.5 / 50).astype(int)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_file_gives_the_same_classes(tmp_path, form):
    source = open_feeds(lay(tmp_path, form), TO_MAP, (48, 40))["data"]
    assert source.shapes == {"input": (48, 40, 3), "target": (48, 40, 5)}
    batch = source.read(np.arange(6))
    assert batch["target"].dtype == np.float32 and set(np.unique(batch["target"])) == {0, 1}
    values = source.palettes["target"].values
    if form in ("color", "alpha", "jpeg"):  # the classes are in the order of their colors
        packed = [r << 16 | g << 8 | b for r, g, b in COLORS.tolist()]
        order = np.argsort(np.argsort(packed))
        near = 6 if form == "jpeg" else 0
        assert (
            abs(np.array(source.palettes["target"].colors) - np.sort(COLORS.view("u1,u1,u1"), axis=0).view("u1"))
            <= near
        ).all()
    else:
        order = np.arange(5)
        assert values == tuple(order * (300 if form == "16 bits" else 1))
    same = classes_of(batch, "target") == order[shades(batch, "input")]
    assert same.mean() == 1 if form != "jpeg" else same[:, 8:].mean() > 0.97
    drawn = {"gray": distinct_colors()[:5], "palette": COLORS, "few bits": COLORS}
    if form in drawn:
        np.testing.assert_array_equal(source.palettes["target"].colors, drawn[form])


@pytest.mark.parametrize("kinds", [TO_MAP, FROM_MAP])
@pytest.mark.parametrize("options", [{"img_size": 24}, {"img_size": (32, 20), "crops": True}])
def test_maps_are_cut_and_scaled_with_the_pictures(tmp_path, kinds, options):
    """The map has the class of the nearest pixel of the picture. Classes are never mixed."""
    for k in range(5):
        classes = areas(k, (96, 120)) // 2 * 2
        save(tmp_path / "A" / f"{k}.png", Image.fromarray(np.stack([classes * 50] * 3, axis=-1)))
        save(tmp_path / "B" / f"{k}.png", Image.fromarray(classes))
    swap = kinds is FROM_MAP
    picture, labels = ("target", "input") if swap else ("input", "target")
    sources = open_feeds(tmp_path, kinds, swap=swap, **options)
    training, kept = hold_out(sources, 0)
    with Feeds(training, kinds, 20) as feeds:
        batch = feeds.next()
    for found in (batch, *HeldOut(kept, kinds)):
        assert set(np.unique(classes_of(found, labels))) <= {0, 1, 2}
        agree = 2 * classes_of(found, labels) == shades(found, picture)
        assert agree.mean() == 1 if "crops" in options else agree.mean() > 0.9  # but for pixels at edges
    assert HeldOut(kept, kinds)[0][labels].shape[1:3] == ((96, 120) if "crops" in options else (24, 24))


def test_small_maps_are_enlarged_by_nearest_pixels(tmp_path):
    save(tmp_path / "A" / "1.png", Image.fromarray(np.zeros((64, 64, 3), np.uint8)))
    save(tmp_path / "B" / "1.png", Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)))
    batch = open_feeds(tmp_path, TO_MAP, 64)["data"].read(np.array([0]))
    np.testing.assert_array_equal(classes_of(batch, "target")[0], np.arange(64).reshape(8, 8).repeat(8, 0).repeat(8, 1))
    np.testing.assert_array_equal(resize(np.arange(8).reshape(2, 4) << 20, (1, 1)), [[6 << 20]])


@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_augmentation_changes_picture_and_map_alike(tmp_path, augment):
    source = open_feeds(lay(tmp_path, "gray"), TO_MAP, (40, 40) if augment == "turn" else (48, 40))
    with Feeds(source, TO_MAP, 60, augment=[AUGMENTATIONS[augment]]) as feeds:
        batch = feeds.next()
    assert set(np.unique(batch["target"])) == {0, 1}
    agree = classes_of(batch, "target") == shades(batch, "input")
    assert agree.mean() > (0.8 if augment in ("rotate", "jitter") else 0.9999)  # at edges, colors are mixed
    assert len(np.unique(batch["target"], axis=0)) > 6


def test_a_pixel_of_two_classes_gets_the_larger_one_and_a_pixel_of_none_stays_unknown():
    x = np.array([[0.2, 0.7], [0.5, 0.5], [0.3, 0.3], [0.0, 0.0], [0.4, 0.1]], np.float32)[None, None]
    assert sharpened(x)[0, 0].tolist() == [[0, 1], [1, 0], [0, 0], [0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("form", "ignore", "n"),
    [("gray", "3", 4), ("16 bits", "900", 4), ("color", "#ffaa00", 4), ("jpeg", "#FFAA00", 4), ("palette", "0", 4)],
)
def test_ignored_values_and_255_are_unknown(tmp_path, form, ignore, n):
    source = open_feeds(lay(tmp_path, form), TO_MAP, (48, 40), ignore=(ignore,))["data"]
    assert source.shapes["target"] == (48, 40, n)
    batch = source.read(np.arange(6))
    unknown = {"3": 3, "900": 3, "0": 0}.get(ignore, 2)
    wrong = (classes_of(batch, "target") == -1) != (shades(batch, "input") == unknown)
    assert wrong.mean() == 0 if form != "jpeg" else wrong[:, 8:].mean() < 0.03
    assert any("; ignored: " in note for note in source.notes)


@pytest.mark.parametrize("wide", [False, True])
def test_the_largest_number_is_unknown_unless_it_is_one_of_two(tmp_path, wide):
    kind, most = (np.uint16, 65535) if wide else (np.uint8, 255)
    for k in range(3):
        classes = areas(k, n_classes=3).astype(kind)
        save(tmp_path / "A" / f"{k}.png", Image.fromarray(np.stack([classes.astype(np.uint8) * 50] * 3, axis=-1)))
        save(tmp_path / "B" / f"{k}.png", Image.fromarray(np.where(classes == 1, kind(most), classes).astype(kind)))
    batch = open_feeds(tmp_path, TO_MAP, (48, 40))["data"].read(np.arange(3))
    np.testing.assert_array_equal(classes_of(batch, "target"), np.array([0, -1, 1])[shades(batch, "input")])
    for path in (tmp_path / "B").iterdir():
        save(
            path,
            Image.fromarray(np.where(np.asarray(Image.open(path)) == 2, 0, np.asarray(Image.open(path))).astype(kind)),
        )
    source = open_feeds(tmp_path, TO_MAP, (48, 40))["data"]
    assert source.palettes["target"].values == (0, most)


def test_held_out_maps_have_the_classes_of_training(tmp_path):
    lay(tmp_path / "one", "gray", 3)
    lay(tmp_path / "other", "gray", 3, n_classes=3)
    palettes = open_feeds(tmp_path / "one", TO_MAP, 32)["data"].palettes
    other = open_feeds(tmp_path / "other", TO_MAP, 32, palettes=palettes)["data"]
    assert other.shapes["target"] == (32, 32, 5)
    assert other.palettes == palettes
    less = open_feeds(tmp_path / "other", TO_MAP, 32)["data"].palettes
    batch = open_feeds(tmp_path / "one", TO_MAP, 32, palettes=less)["data"].read(np.arange(3))
    assert -1 in classes_of(batch, "target")


def test_maps_of_arrays(tmp_path):
    classes = RNG.integers(0, 4, (5, 8, 9)).astype(np.int64)
    one_hot = np.eye(4, dtype=np.float32)[classes]
    one_hot[0, 0, 0] = 0
    for given in (classes, classes[..., None], COLORS[:4][classes].astype(np.uint8), one_hot, classes.tolist()):
        source = open_feeds((np.zeros((5, 8, 9, 3), np.uint8), given), TO_MAP)["data"]
        found = classes_of(source.read(np.arange(5)), "target")
        expected = (
            np.argsort(np.argsort([170, 0x55FF, 0xFFAA00, 0xAA0000]))[classes]
            if np.ndim(given) == 4 and np.shape(given)[3] == 3
            else classes
        )
        assert (found == expected).mean() == (1 if given is not one_hot else 359 / 360)
        assert source.describe() == "arrays: 5 samples of input 8x9x3 and target 8x9 in 4 classes"
    np.save(tmp_path / "maps.npy", classes.astype(np.uint8))
    source = open_feeds({"input": np.zeros((5, 8, 9, 3), np.uint8), "target": tmp_path / "maps.npy"}, TO_MAP)["data"]
    np.testing.assert_array_equal(classes_of(source.read(np.arange(5)), "target"), classes)
    assert open_feeds(tmp_path / "maps.npy", {"m": MAP})["data"].shapes == {"m": (8, 9, 4)}
    cut = open_feeds((np.zeros((5, 8, 9, 3), np.uint8), classes), TO_MAP, 4, crops=True)["data"]
    assert cut.shapes["target"] == (4, 4, 4) and cut.item(2)["target"].shape == (1, 8, 9, 4)
    assert len(cut.select(np.array([1, 2]))) == 2


def test_a_folder_of_maps_alone(tmp_path):
    source = open_feeds(lay(tmp_path, "gray") / "B", {"m": MAP}, 32)["data"]
    assert (source.shapes, len(source)) == ({"m": (32, 32, 5)}, 6)
    assert source.describe() == "B: 6 samples of m 32x32 in 5 classes"


def test_bad_maps_are_left_out_if_wanted(tmp_path):
    lay(tmp_path, "gray")
    path = tmp_path / "B" / "2.png"
    path.write_bytes(path.read_bytes()[:80])
    source = open_feeds(tmp_path, TO_MAP, (48, 40), skip_bad=True)["data"]
    batch = source.read(np.arange(5))
    np.testing.assert_array_equal(classes_of(batch, "target"), shades(batch, "input"))
    assert source.names == ["0", "1", "3", "4", "5"]
    with pytest.raises(DataError, match=r"2\.png is damaged or cut off"):
        open_feeds(tmp_path, TO_MAP, (48, 40))


def sky():
    """Colors that change slowly everywhere."""
    rows, columns = np.mgrid[:48, :40]
    return np.stack([2 * rows, 2 * columns, 0 * rows], axis=-1).astype(np.uint8)


def noise(k):
    return np.random.default_rng(k).integers(0, 256, (48, 40, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("maps", "options", "sentence"),
    [
        (
            lambda k: Image.fromarray(noise(k)),
            {},
            "the class maps have no areas, only 0% of the pixels are inside areas of",
        ),
        (
            lambda k: Image.fromarray(sky()),
            {},
            "the class maps have areas of all colors: if these are photos, and the other",
        ),
        (
            lambda k: Image.new("L", (40, 48), 7),
            {},
            "the class maps have a single value, and there are 2 to 254 classes",
        ),
        (
            lambda k: Image.fromarray(np.arange(1920, dtype=np.uint16).reshape(48, 40)),
            {},
            "the class maps have 1,920 values, and there are 2 to 254 classes: are these the right files?",
        ),
        (
            lambda k: Image.fromarray(areas(k)),
            {"ignore": ("9",)},
            "`ignore` 9 doesn't occur in the class maps, which have 0, 1,",
        ),
        (
            lambda k: Image.fromarray(areas(k)),
            {"ignore": ("#000000",)},
            "`ignore` #000000 is no value of .*: their pixels are num",
        ),
        (
            lambda k: FORMS["color"](areas(k)),
            {"ignore": ("3",)},
            "`ignore` 3 is no value of these class maps: their pixels are col",
        ),
        (
            lambda k: FORMS["color"](areas(k)),
            {"ignore": ("#123456",)},
            "`ignore` #123456 doesn't occur in the class maps",
        ),
    ],
)
def test_files_that_are_no_maps(tmp_path, maps, options, sentence):
    for k in range(3):
        save(tmp_path / "A" / f"{k}.png", Image.fromarray(noise(k)))
        save(tmp_path / "B" / f"{k}.png", maps(k))
    with pytest.raises(DataError, match=sentence) as caught:
        open_feeds(tmp_path, TO_MAP, 32, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (np.full((2, 8, 8), 0.5), "class maps with values that aren't whole numbers from 0 on: round them"),
        (np.full((2, 8, 8), -1), "class maps with values that aren't whole numbers from 0 on"),
        (np.ones((2, 8, 8, 4)), "is one-hot, of 2 to 254 classes, and some of its pixels are of two classes"),
        (
            np.zeros((2, 8, 8, 3)) + 7,
            r"has class maps: \(N, H, W\) whole numbers, \(N, H, W, 3\) bytes, not shape \(2, 8, 8, 3\)",
        ),
        (np.zeros((2, 8, 8), int), "the class maps have a single value"),
        (np.arange(128).reshape(2, 8, 8) * 3, None),
    ],
)
def test_arrays_that_are_no_maps(given, sentence):
    data = {"input": np.zeros((2, 8, 8, 3), np.uint8), "target": given}
    if sentence is None:
        assert open_feeds(data, TO_MAP)["data"].shapes["target"] == (8, 8, 127)  # without 255
        return
    with pytest.raises(DataError, match=sentence):
        open_feeds(data, TO_MAP)


def test_ignore_is_for_maps():
    with pytest.raises(DataError, match="`ignore` is for class maps, and the model takes none with these options"):
        open_feeds("digits", {"real": PICTURE, "label": LABEL}, ignore=("1",))


@pytest.mark.slow
@pytest.mark.skipif(not SETS.is_dir(), reason="needs published sets of pictures in MINIGAN_TEST_SETS")
def test_published_maps():
    camvid = open_feeds(SETS / "camvid", TO_MAP, (96, 128), ignore=("11",))["data"]
    assert (len(camvid), camvid.palettes["target"].values) == (367, tuple(range(11)))
    facades = open_feeds(SETS / "facades", TO_MAP, 64)["data"]
    assert facades.shapes["target"] == (64, 64, 12)
    with pytest.raises(DataError, match="the class maps have areas of all colors: if these are photos, .* `swap`"):
        open_feeds(SETS / "facades", TO_MAP, 64, swap=True)
