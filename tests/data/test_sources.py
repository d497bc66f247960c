"""How names, paths, data sets and arrays become the sources of a model's feeds; what can't is refused in a sentence."""

import warnings

import numpy as np
import pytest
from PIL import Image

from minigan.data import ArrayDataset, number_classes, open_dataset, open_feeds, ring, source_of
from minigan.errors import DataError
from minigan.model import LABEL, MASK, PICTURE, POINTS, SAMPLES, Kind

RNG = np.random.default_rng(0)
COLOR = RNG.integers(0, 256, (6, 8, 7, 3), dtype=np.uint8)
NUMBERS = Kind("numbers")
REAL, LABELED = {"real": SAMPLES}, {"real": SAMPLES, "label": LABEL}
PAIR = {"input": PICTURE, "target": PICTURE}
UNPAIRED = {"a": Kind("picture", "a"), "b": Kind("picture", "b")}
Tensor = type("Tensor", (), {"__module__": "torch"})


def everything(source):
    return source.read(np.arange(len(source)))


@pytest.fixture
def folder(tmp_path):
    for i in range(6):
        path = tmp_path / "pictures" / "xyz"[i % 3] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40 + i, 50), (40 * i, 0, 0)).save(path)
    return tmp_path / "pictures"


def test_a_data_set_fills_the_arrays_of_one_feed():
    source = open_feeds("digits", LABELED, limit=50, seed=3)["data"]
    digits = open_dataset("digits", limit=50, seed=3)
    assert (source.name, source.shapes, len(source)) == ("digits", {"real": (16, 16, 1), "label": ()}, 50)
    assert source.describe() == digits.describe()
    assert source.classes == digits.classes
    batch = source.read(np.array([4, 2]))
    np.testing.assert_array_equal(batch["real"], digits.batch([4, 2]))
    np.testing.assert_array_equal(batch["label"], digits.labels[[4, 2]])
    assert open_feeds("digits", REAL)["data"].labels is None


def test_samples_are_pictures_or_points():
    source = open_feeds("ring", LABELED)["data"]
    assert (source.shapes["real"], source.centers.shape, source.std) == ((2,), (8, 2), ring(1).std)
    some = source.select(np.array([5, 7]))
    assert (len(some), some.centers.shape) == (2, (8, 2))
    assert open_feeds("digits", REAL)["data"].centers is None


@pytest.mark.parametrize("crops", [False, True])
def test_an_item_is_resized_as_in_training_and_whole_only_where_training_sees_crops(folder, crops):
    source = open_feeds(folder, LABELED, img_size=(32, 24), crops=crops)["data"]
    assert source.shapes["real"] == (32, 24, 3)
    size = (50, 42) if crops else (32, 24)
    assert {array: x.shape for array, x in source.item(4).items()} == {"real": (1, *size, 3), "label": (1,)}
    assert source.read(np.array([4]))["real"].shape == (1, 32, 24, 3)


def test_classes_are_numbered_as_another_set_s(folder):
    source = open_feeds(folder, LABELED, 32)["data"]
    number_classes(source, ["w", "z", "y", "x"])
    assert everything(source)["label"].tolist() == source.labels.tolist() == [3, 3, 2, 2, 1, 1]


def test_several_feeds_have_a_set_each(folder):
    data = {"a": "digits", "b": ArrayDataset("mine", COLOR)}
    sources = open_feeds(data, UNPAIRED)
    assert {feed: (source.name, source.shapes) for feed, source in sources.items()} == {
        "a": ("digits", {"a": (16, 16, 1)}),
        "b": ("mine", {"b": (8, 7, 3)}),
    }


TWO = COLOR, COLOR[::-1]


@pytest.mark.parametrize("data", [dict(zip(PAIR, TWO, strict=True)), TWO, list(TWO)])
def test_arrays_by_name_or_in_order(data):
    source = open_feeds(data, PAIR, name="my_data.py")["data"]
    batch = everything(source)
    np.testing.assert_allclose(batch["input"], COLOR / 127.5 - 1, atol=1e-6)
    np.testing.assert_array_equal(batch["target"], batch["input"][::-1])
    assert source.describe() == "my_data.py: 6 samples of input 8x7x3 and target 8x7x3"


def test_two_folders_make_pairs_by_their_names(folder, tmp_path):
    for path in folder.rglob("*.png"):
        partner = tmp_path / "targets" / path.relative_to(folder).with_suffix(".bmp")
        partner.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", Image.open(path).size, 40 * int(path.stem)).save(partner)
    data = {"input": folder, "target": tmp_path / "targets"}
    source = open_feeds(data, PAIR, 32)["data"]
    assert source.shapes == {"input": (32, 32, 3), "target": (32, 32, 1)}
    batch = source.read(np.array([4, 1]))
    np.testing.assert_array_equal(batch["input"][..., :1], batch["target"])
    assert len(open_feeds(data, PAIR, 32, limit=4, seed=2)["data"]) == 4
    last = tmp_path / "targets" / "z" / "5.bmp"
    last.rename(last.with_stem("7"))
    with pytest.raises(
        DataError, match=r"z/5\.png has no picture of its name in .*targets: add it, or remove this one"
    ):
        open_feeds(data, PAIR, 32)


def test_data_sets_and_arrays_may_stand_side_by_side(folder):
    pictures = open_dataset(folder, 32)
    source = open_feeds({"real": pictures, "label": [5, 5, 5, 9, 9, 9]}, LABELED)["data"]
    assert (source.labels.tolist(), source.classes, pictures.classes) == (
        [0, 0, 0, 1, 1, 1],
        ["5", "9"],
        ["x", "y", "z"],
    )
    assert open_feeds({"real": pictures}, LABELED)["data"].classes == ["x", "y", "z"]
    assert len(open_feeds({"real": pictures}, LABELED, limit=2)["data"]) == 2


def test_one_array_is_enough_where_one_is_needed():
    assert everything(open_feeds(COLOR, REAL)["data"]).keys() == {"real"}
    assert open_feeds(COLOR.tolist(), REAL)["data"].describe() == "arrays: 6 pictures of 8x7x3"


def test_feeds_of_arrays_may_differ_in_length():
    sources = open_feeds((COLOR, COLOR[:4]), UNPAIRED)
    assert {feed: len(source) for feed, source in sources.items()} == {"a": 6, "b": 4}


def test_every_kind_of_array():
    kinds = {"x": PICTURE, "p": POINTS, "y": LABEL, "m": MASK, "n": NUMBERS}
    data = {"x": COLOR[..., 0], "p": [[1, 2]] * 6, "y": [3, 7, 3, 3, 9, 9], "m": COLOR[..., 0] > 99, "n": np.eye(6)}
    source = open_feeds(data, kinds)["data"]
    batch = everything(source)
    assert {array: (x.dtype.name, x.shape[1:]) for array, x in batch.items()} == {
        "x": ("float32", (8, 7, 1)),
        "p": ("float32", (2,)),
        "y": ("int64", ()),
        "m": ("uint8", (8, 7, 1)),
        "n": ("float32", (6,)),
    }
    assert (batch["y"].tolist(), source.classes) == ([0, 1, 0, 0, 2, 2], ["3", "7", "9"])
    np.testing.assert_array_equal(batch["m"][..., 0], COLOR[..., 0] > 99)
    assert source.describe() == "arrays: 6 samples of x 8x7x1, p 2, m 8x7x1 and n 6, 3 classes"


@pytest.mark.parametrize("mask", [COLOR[..., :1] > 9, (COLOR[..., 0] > 9) * 255, (COLOR[..., 0] > 9) * 1.0])
def test_masks_of_every_form(mask):
    batch = everything(open_feeds(mask, {"m": MASK})["data"])
    np.testing.assert_array_equal(batch["m"], COLOR[..., :1] > 9)


def test_pictures_and_masks_are_given_the_size_and_stay_aligned():
    tall = np.zeros((2, 40, 30, 1), np.uint8)
    tall[:, 10:30, 15:] = 255
    sources = open_feeds({"x": tall, "m": tall}, {"x": PICTURE, "m": MASK}, img_size=(16, 24))
    batch = everything(sources["data"])
    assert batch["x"].shape == (2, 16, 24, 1)
    np.testing.assert_array_equal(batch["m"], batch["x"] >= 0)
    assert 0.3 < batch["m"].mean() < 0.7


def test_a_limit_keeps_rows_together():
    data = {"n": np.arange(100), "m": np.arange(100), "o": np.arange(9)}
    sources = open_feeds(data, {"n": NUMBERS, "m": NUMBERS, "o": Kind("numbers", "other")}, limit=10, seed=1)
    batch = everything(sources["data"])
    assert batch["n"].tolist() == batch["m"].tolist() == sorted(set(batch["n"]))
    assert (len(sources["data"]), len(sources["other"])) == (10, 9)


def test_what_was_taken_for_what_is_noted():
    source = open_feeds({"real": COLOR / 255, "extra": COLOR, "more": COLOR}, REAL)["data"]
    first, second = source.notes
    assert first == "real: its values, from 0 to 1, are taken for 0 to 1"
    assert second == 'the model doesn\'t take "extra" and "more" of the data'


NAN = np.where(np.arange(6) == 4, np.nan, 0.0)


@pytest.mark.parametrize(
    ("data", "kinds", "sentence"),
    [
        ({"a": COLOR}, UNPAIRED, 'the data has no array "b", which the model takes, only "a": add it'),
        ({"input": COLOR}, PAIR, 'has no array "target", which the model takes, only "input": add it'),
        (COLOR, PAIR, 'the data is 1 array, and the model takes "input" and "target": give all of them'),
        (None, PAIR, 'the data is None, and the model takes "input" and "target"'),
        ({}, PAIR, 'the data is a dict, and the model takes "input" and "target"'),
        ([COLOR] * 3, PAIR, 'the data is 3 arrays, and the model takes "input" and "target"'),
        ((COLOR,) * 3, PAIR, 'the data is 3 arrays, and the model takes "input" and "target"'),
        ((COLOR, COLOR[1:]), PAIR, 'array "input" has 6 samples and "target" 5, but they belong together'),
        ((COLOR, [0] * 5), LABELED, 'array "real" has 6 samples and "label" 5'),
        ((COLOR, NAN), LABELED, 'array "label": labels are whole numbers from 0 on, and that of sample 4 is nan'),
        ((COLOR, 3), LABELED, r'array "label": 0 samples want as many labels, got shape \(\)'),
        (COLOR * 2.0, REAL, 'array "real" can\'t be used as pictures: its values, from .* are none of 0 to 255'),
        (COLOR[0, 0, 0], REAL, r'array "real": expected pictures .* got uint8 \(3,\)'),
        (Tensor(), REAL, 'array "real": samples must be an array of numbers, got a torch Tensor'),
        (None, REAL, 'array "real": samples must be an array of numbers, got None'),
        (np.zeros((3, 2)), {"x": PICTURE}, 'array "x" holds points, but the model takes pictures'),
        (COLOR, {"x": POINTS}, 'array "x" holds pictures, but the model takes points'),
        (NAN, {"n": NUMBERS}, 'array "n" has NaN or infinity in sample 4'),
        ([1e300], {"n": NUMBERS}, 'array "n" has NaN or infinity in sample 0'),
        ([], {"n": NUMBERS}, r'array "n" has no samples, its shape is \(0,\)'),
        (1.5, {"n": NUMBERS}, r'array "n" has no samples, its shape is \(\)'),
        (list("abc"), {"n": NUMBERS}, 'array "n": values must be real numbers, got <U1'),
        (COLOR[..., 0], {"m": MASK}, "is a mask, of 0 and 1 or of 0 and 255, and holds other values: 0 to 25"),
        (COLOR, {"m": MASK}, r'array "m" is a mask, \(N, H, W\) or \(N, H, W, 1\), and not of shape \(6, 8, 7, 3\)'),
        ("digits", UNPAIRED, "the model takes 2 sets of data, a and b: give one for each of them"),
        ({"a": "digits"}, UNPAIRED, 'the data has no array "b", which the model takes, only "a": add it'),
        ({"input": "digits"}, PAIR, 'digits has one array of samples, but "input" and "target" belong together'),
        ({"input": "ring", "target": "digits"}, PAIR, 'the data\'s array "input" holds points, but the model takes'),
        ("digits", PAIR, 'digits has one array of samples, but "input" and "target" belong together: give both'),
        ("digits", {"x": PICTURE, "m": MASK}, 'digits has no array "m": give it by a function that returns arrays'),
        ("digits", {"x": POINTS}, 'digits as "x" holds pictures, but the model takes points'),
        ("ring", {"x": PICTURE}, 'ring as "x" holds points, but the model takes pictures'),
        (ArrayDataset("mine", COLOR), LABELED, 'mine has no labels, which the model learns as "label": put'),
        ("nothing", REAL, "there is no data set or folder called 'nothing'"),
    ],
)
def test_what_does_not_fill_the_feeds(data, kinds, sentence):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match=sentence) as caught:
            open_feeds(data, kinds)
    assert "\n" not in str(caught.value)


def test_a_batch_is_a_copy():
    source = source_of(ArrayDataset("mine", COLOR, [1] * 6), LABELED)
    for x in everything(source).values():
        x[:] = 0
    assert everything(source)["label"].tolist() == [1] * 6
    np.testing.assert_array_equal(everything(source)["real"], ArrayDataset("mine", COLOR).batch(np.arange(6)))
