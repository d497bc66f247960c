"""Pairs in files: every layout gives the same pairs, cut and scaled alike; what is no pair is named."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minigan.data import Feeds, HeldOut, hold_out, open_feeds, open_own_parts
from minigan.errors import DataError
from minigan.model import LABEL, PICTURE, Kind

PAIR = {"input": PICTURE, "target": PICTURE}
UNPAIRED = {"a": Kind("picture", "a"), "b": Kind("picture", "b")}
SETS = Path(os.environ.get("MINIGAN_TEST_SETS", "none"))  # a folder of published sets of pictures


def photo(k, height=40, width=40):
    """A picture that tells its number and differs at every edge."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 4, columns * 4, np.full_like(rows, 20 * k)], axis=-1).astype(np.uint8)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def lay(root, layout, n=4, size=(40, 40)):
    """Write n pairs, of which the second picture is the first one, inverted."""
    for k in range(n):
        one = photo(k, *size)
        if layout == "side by side":
            save(root / f"{k}.png", np.concatenate([one, 255 - one], axis=1))
        elif layout == "endings":
            save(root / f"{k}_input.png", one)
            save(root / f"{k}_target.bmp", 255 - one)
        else:
            first, second = layout.split()
            save(root / first / f"{k}.png", one)
            save(root / second / f"{k}.bmp", 255 - one)
    return root


LAYOUTS = (
    "side by side",
    "endings",
    "A B",
    "trainA trainB",
    "A/train B/train",
    "train/A train/B",
    "images labels",
    "train trainannot",
    "train_images train_labels",
    "input target",
    "Wrapped/trainA Wrapped/trainB",
    "x/cats y/cats",
)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("swap", [False, True])
def test_every_layout_gives_the_same_pairs(tmp_path, layout, swap):
    source = open_feeds(lay(tmp_path, layout), PAIR, 32, swap=swap)["data"]
    assert source.shapes == {"input": (32, 32, 3), "target": (32, 32, 3)}
    batch = source.read(np.arange(4))
    np.testing.assert_allclose(batch["input"], -batch["target"], atol=0.03)
    shade = np.rint((batch["target" if swap else "input"][:, 0, 0, 2] + 1) * 127.5)
    assert shade.tolist() == [0, 20, 40, 60]
    assert any("`swap` exchanges them" in note for note in source.notes)


def test_two_folders_two_archives_and_arrays_by_name(tmp_path):
    expected = open_feeds(lay(tmp_path / "pairs", "input target"), PAIR, 32)["data"].read(np.arange(4))
    for name in ("input", "target"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            for path in (tmp_path / "pairs" / name).iterdir():
                archive.write(path, path.name)
    folders = {name: tmp_path / "pairs" / name for name in PAIR}
    for data in (folders, {name: str(tmp_path / f"{name}.zip") for name in PAIR}):
        batch = open_feeds(data, PAIR, 32)["data"].read(np.arange(4))
        for array in PAIR:
            np.testing.assert_array_equal(batch[array], expected[array])
        with pytest.raises(DataError, match="`swap` exchanges the two sides of one folder: leave it out, or exchange"):
            open_feeds(data, PAIR, 32, swap=True)


@pytest.mark.parametrize("layout", ["side by side", "A B", "trainA trainB"])
@pytest.mark.parametrize("crops", [False, True])
def test_training_and_held_out_pairs_are_aligned(tmp_path, layout, crops):
    """Training sees the same window of both; held-out pairs are whole with crops, else resized as in training."""
    sources = open_feeds(lay(tmp_path, layout, size=(40, 36)), PAIR, 24, crops=crops)
    training, kept = hold_out(sources, 0)
    with Feeds(training, PAIR, 30) as feeds:
        batch = feeds.next()
    (item,) = HeldOut(kept, PAIR)
    np.testing.assert_allclose(batch["input"], -batch["target"], atol=0.03)
    np.testing.assert_allclose(item["input"], -item["target"], atol=0.03)
    assert item["input"].shape == ((1, 40, 36, 3) if crops else (1, 24, 24, 3))
    assert len(np.unique(batch["input"][:, 0, 0], axis=0)) > (10 if crops else 2)


@pytest.mark.parametrize("layout", ["train/ val/", "trainA valA", "train/A val/A"])
def test_own_parts_of_pairs(tmp_path, layout):
    for name in layout.split():
        kind = "side by side" if name.endswith("/") else f"{name} {name[:-1]}B"
        lay(tmp_path / (name if name.endswith("/") else ""), kind, 3 if "train" in name else 2)
    assert len(open_feeds(tmp_path, PAIR, 32)["data"]) == 3
    kept = open_own_parts(tmp_path, PAIR, img_size=32)
    batch = kept["data"].read(np.arange(2))
    assert len(kept["data"]) == 2
    np.testing.assert_allclose(batch["input"], -batch["target"], atol=0.03)
    swapped = open_own_parts(tmp_path, PAIR, img_size=32, swap=True)["data"].read(np.arange(2))
    np.testing.assert_array_equal(swapped["input"], batch["target"])


@pytest.mark.parametrize("layout", ["trainA trainB", "A/train B/train", "horses zebras"])
@pytest.mark.parametrize("crops", [False, True])
def test_one_folder_has_two_sets(tmp_path, layout, crops):
    lay(tmp_path, layout)
    (tmp_path / layout.split()[1] / "3.bmp").unlink()
    if "train" in layout:
        lay(tmp_path, layout.replace("train", "test"), 2)
        (tmp_path / layout.split()[1].replace("train", "test") / "1.bmp").unlink()
    sources = open_feeds(tmp_path, UNPAIRED, 32, crops=crops)
    assert {feed: (len(source), source.shapes) for feed, source in sources.items()} == {
        "a": (4, {"a": (32, 32, 3)}),
        "b": (3, {"b": (32, 32, 3)}),
    }
    first = [source.read(np.array([0]))[feed] for feed, source in sources.items()]
    np.testing.assert_allclose(first[0], -first[1], atol=0.03)  # sorted by name, so that the first ones are a pair
    swapped = open_feeds(tmp_path, UNPAIRED, 32, crops=crops, swap=True)
    assert [len(source) for source in swapped.values()] == [3, 4]
    kept = open_own_parts(tmp_path, UNPAIRED, img_size=32, swap=True)
    assert [len(source) for source in kept.values()] == ([1, 2] if "train" in layout else [])


def test_gray_and_color_have_channels_of_their_own(tmp_path):
    for k in range(3):
        save(tmp_path / "trainA" / f"{k}.png", photo(k)[..., 0])
        save(tmp_path / "trainB" / f"{k}.jpg", photo(k))
    assert open_feeds(tmp_path, PAIR, 32)["data"].shapes == {"input": (32, 32, 1), "target": (32, 32, 3)}
    assert open_feeds(tmp_path, PAIR, 32, 1)["data"].shapes == {"input": (32, 32, 1), "target": (32, 32, 1)}
    assert {feed: s.shapes[feed] for feed, s in open_feeds(tmp_path, UNPAIRED, 32).items()} == {
        "a": (32, 32, 1),
        "b": (32, 32, 3),
    }
    for kinds, wanted in ((PAIR, {"input": 3, "target": 1}), (UNPAIRED, {"a": 3, "b": 1}), (UNPAIRED, {"a": 3})):
        sources = open_feeds(tmp_path, kinds, 32, wanted).values()
        found = {array: shape[2] for source in sources for array, shape in source.shapes.items()}
        assert found == ({"b": 3} if "a" in wanted else {}) | wanted
    arrays = {"input": np.stack([photo(0), photo(1)]), "target": np.stack([photo(2), photo(3)])}
    assert open_feeds(arrays, PAIR, channels={"input": 1})["data"].read(np.array([0]))["input"].shape[3] == 1


def test_pairs_of_one_aspect_ratio_may_differ_in_size_if_they_are_resized(tmp_path):
    save(tmp_path / "A" / "1.png", photo(1, 60, 40))
    save(tmp_path / "B" / "1.png", photo(1, 120, 81))
    assert open_feeds(tmp_path, PAIR, 32)["data"].shapes["target"] == (32, 32, 3)
    with pytest.raises(
        DataError, match="1.png is 60x40, but .*1.png 120x81 in height x width: crops of a pair need one"
    ):
        open_feeds(tmp_path, PAIR, 32, crops=True)


@pytest.mark.parametrize("bad", ["no picture", "cut off", "no partner"])
def test_bad_pairs_are_left_out_if_wanted(tmp_path, bad):
    lay(tmp_path, "A B")
    path = tmp_path / "B" / "2.bmp"
    if bad == "no partner":
        path.unlink()
    else:
        path.write_bytes(b"text" if bad == "no picture" else path.read_bytes()[:2000])
    batch = open_feeds(tmp_path, PAIR, 32, skip_bad=True)["data"].read(np.arange(3))
    np.testing.assert_allclose(batch["input"], -batch["target"], atol=0.03)
    assert np.rint((batch["input"][:, 0, 0, 2] + 1) * 127.5).tolist() == [0, 20, 60]
    with pytest.raises(DataError, match="2.bmp is|2.png has no picture of its name"):
        open_feeds(tmp_path, PAIR, 32)["data"].read(np.arange(4))


def test_halves_of_any_shape_are_taken_where_an_edge_shows(tmp_path):
    lay(tmp_path, "side by side", size=(50, 34))
    source = open_feeds(tmp_path, PAIR, (32, 24))["data"]
    assert "files such as 0.png aren't twice as wide as high: their halves are no squares" in source.notes
    batch = source.read(np.arange(4))
    np.testing.assert_allclose(batch["input"], -batch["target"], atol=0.03)


def test_turned_files_are_cut_after_they_are_turned(tmp_path):
    turned = Image.fromarray(np.concatenate([photo(1), 255 - photo(1)], axis=1)).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees clockwise
    turned.save(tmp_path / "1.png", exif=exif)
    batch = open_feeds(tmp_path, PAIR, 32)["data"].read(np.array([0]))
    np.testing.assert_allclose(batch["input"], -batch["target"], atol=0.03)
    assert round(127.5 * (batch["input"][0, 0, 0, 2] + 1)) == 20


def test_halves_are_cut_before_they_are_shrunk(tmp_path):
    """A JPEG of 1032 pixels, decoded at an eighth of its size, would have a column of both halves in its middle."""
    wide = np.zeros((516, 1032, 3), np.uint8)
    wide[:, 516:] = 255
    Image.fromarray(wide).save(tmp_path / "1.jpg", quality=100)
    batch = open_feeds(tmp_path, PAIR, 16)["data"].read(np.array([0]))
    assert batch["input"].max() < -0.97 and batch["target"].min() > 0.97


def test_class_maps_taken_for_pictures_are_noted(tmp_path):
    for k in range(2):
        save(tmp_path / "A" / f"{k}.png", photo(k))
        save(tmp_path / "B" / f"{k}.png", np.arange(1600, dtype=np.uint8).reshape(40, 40) % 12)
    notes = open_feeds(tmp_path, PAIR, 32)["data"].notes
    assert [note for note in notes if "almost black" in note and note.startswith("target: ") and "`labels`" in note]


def test_a_limit_keeps_pairs_together(tmp_path):
    batch = open_feeds(lay(tmp_path, "A B", 8), PAIR, 32, limit=3, seed=1)["data"].read(np.arange(3))
    np.testing.assert_allclose(batch["input"], -batch["target"], atol=0.03)


def spoil(root, what):
    """Make a folder of pairs wrong in one way."""
    if what == "single pictures":
        for k in range(3):
            save(root / f"{k}.png", photo(k, 40, 60))
    elif what == "odd width":
        save(root / "1.png", photo(1, 40, 81))
    elif what == "three folders":
        lay(lay(root, "A B"), "C D")
    elif what == "ending":
        (lay(root, "endings") / "2_target.bmp").unlink()
    elif what == "text":
        root.joinpath("a.txt").write_text("a")
    elif what == "one side":
        lay(root, "A B")
        lay(root, "C C", 2)
    else:
        lay(root, "trainA trainB")
    if what == "no partner":
        (root / "trainB" / "1.bmp").unlink()
        (root / "trainB" / "2.bmp").unlink()
    if what == "sizes":
        save(root / "trainB" / "2.bmp", photo(2, 40, 50))
    if what == "twice":
        save(root / "trainB" / "2.jpg", photo(2))
    if what == "too small":
        save(root / "trainB" / "2.bmp", photo(2, 20, 20))
        save(root / "trainA" / "2.png", photo(2, 20, 20))
    return root


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        (
            "single pictures",
            r"0\.png isn't twice as wide as high, and has no edge in the middle, so that it isn't taken",
        ),
        ("odd width", r"1\.png is 81 pixels wide, so that it has no two halves of one size: crop it"),
        (
            "three folders",
            "has pictures in 4 folders, A, B, C, D: give one folder for each, as input=FOLDER,target=FOLDER",
        ),
        ("text", r"has no pictures in it .*; 1 file is passed over: 1 \.txt"),
        (
            "no partner",
            r"1\.png has no picture of its name in the folder trainB, and so have 1 others: add it, or remove",
        ),
        ("ending", r"2_input\.png has no picture of its name in the files called \.\.\._target: add it, or remove"),
        (
            "sizes",
            r"2\.png is 40x40, but .*2\.bmp 40x50 in height x width: a pair shows the same thing in the same place",
        ),
        ("twice", r"2\.bmp and .*2\.jpg have one name, so a pair isn't certain: rename one of them"),
        ("too small", r"2\.png is 20x20, smaller than 32x32: .*; this is one of 2 bad files"),
    ],
)
def test_folders_that_hold_no_pairs(tmp_path, what, sentence):
    with pytest.raises(DataError, match=sentence) as caught:
        open_feeds(spoil(tmp_path, what), PAIR, 32)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kinds", "options", "sentence"),
    [
        (
            PAIR | {"third": PICTURE},
            {},
            "input, target and third are not in one folder: give one folder for each, as input=",
        ),
        (PAIR | {"label": LABEL}, {}, 'has no array "label": give it by a function'),
        (UNPAIRED | {"c": Kind("picture", "c")}, {}, "the model takes 3 sets of data, a, b and c: give one for each"),
        (PAIR, {"split": "val"}, "has no val split, only train"),
    ],
)
def test_what_one_folder_cannot_hold(tmp_path, kinds, options, sentence):
    with pytest.raises(DataError, match=sentence):
        open_feeds(lay(tmp_path, "trainA trainB"), kinds, 32, **options)


def test_other_wrong_words(tmp_path):
    lay(tmp_path, "trainA trainB")
    with pytest.raises(DataError, match='the data has no array "target", which the model takes, only input: add it'):
        open_feeds({"input": tmp_path / "trainA"}, PAIR, 32)
    with pytest.raises(DataError, match="`swap` exchanges the two sides of one folder: leave it out"):
        open_feeds((np.zeros((2, 8, 8), np.uint8),) * 2, PAIR, swap=True)
    with pytest.raises(
        DataError, match="has one set of pictures, and two sets of them are needed: name them trainA and"
    ):
        open_feeds(tmp_path / "trainA", UNPAIRED, 32)


@pytest.mark.slow
@pytest.mark.skipif(not SETS.is_dir(), reason="needs published sets of pictures in MINIGAN_TEST_SETS")
@pytest.mark.parametrize(
    ("name", "kinds", "counts", "held_out"),
    [
        ("facades", PAIR, [80], [10]),
        ("camvid", PAIR, [367], []),
        ("horse2zebra", UNPAIRED, [160, 162], [20, 20]),
        ("monet2photo", UNPAIRED, [270, 270], [30, 30]),
        ("polyu-noisy", PAIR, [55], []),
    ],
)
def test_published_sets(name, kinds, counts, held_out):
    assert [len(source) for source in open_feeds(SETS / name, kinds, 64).values()] == counts
    assert [len(source) for source in open_own_parts(SETS / name, kinds, img_size=64).values()] == held_out
