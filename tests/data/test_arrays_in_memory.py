"""What callers make an `ArrayDataset` of: done right, or refused in one sentence."""

import warnings

import numpy as np
import pytest

from minigan.data import ArrayDataset, ShapesDataset, grid, open_dataset, random_flip, ring
from minigan.data.augment import random_rotation
from minigan.errors import DataError, ShapeError
from minigan.testing.strict import STRICT

RNG = np.random.default_rng(0)
COLOR = RNG.integers(0, 256, (6, 8, 7, 3), dtype=np.uint8)
GRAY = COLOR[..., :1]
OPAQUE = np.concatenate([COLOR, np.full((6, 8, 7, 1), 255, np.uint8)], axis=3)
POINTS = RNG.standard_normal((6, 2)).astype(np.float32)
Tensor = type("Tensor", (), {"__module__": "torch"})


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (COLOR, COLOR),
        (GRAY, GRAY),
        (GRAY[..., 0], GRAY),
        (COLOR.tolist(), COLOR),
        (COLOR.transpose(0, 3, 1, 2), COLOR),
        (GRAY.transpose(0, 3, 1, 2), GRAY),
        (OPAQUE, COLOR),
        (OPAQUE.transpose(0, 3, 1, 2), COLOR),
        (COLOR.astype(int), COLOR),
        (COLOR / 255, COLOR),
        ((COLOR / 127.5 - 1).astype(np.float32), COLOR),
        (COLOR.astype(">f8"), COLOR),
        (STRICT.array(COLOR), COLOR),
    ],
)
def test_pictures_of_every_layout_and_range(array, expected):
    dataset = ArrayDataset("mine", array)
    assert dataset.shape == expected.shape[1:]
    np.testing.assert_array_equal(dataset.samples, expected)
    np.testing.assert_allclose(dataset.batch(np.arange(6)), expected / 127.5 - 1, atol=1e-6)


def test_transparent_pictures_are_shown_on_white():
    dataset = ArrayDataset("mine", OPAQUE * np.array([1, 1, 1, 0], np.uint8))
    assert (dataset.samples == 255).all()


def test_bytes_are_not_copied_and_have_no_notes():
    dataset = ArrayDataset("mine", COLOR)
    assert np.shares_memory(dataset.samples, COLOR)
    assert dataset.notes == ()
    assert "taken for 0 to 1" in ArrayDataset("mine", COLOR / 255).notes[0]
    assert "taken for -1 to 1" in ArrayDataset("mine", COLOR / 500 - 0.2).notes[0]
    assert ArrayDataset("mine", COLOR / 127.5 - 1).notes == ()


@pytest.mark.parametrize("array", [POINTS, POINTS.astype(float), POINTS.tolist(), [(1, 2)] * 6])
def test_points_become_float32(array):
    dataset = ArrayDataset("mine", array)
    assert dataset.samples.dtype == np.float32
    np.testing.assert_allclose(dataset.batch([0, 3]), np.asarray(array, np.float32)[[0, 3]])


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [
        (COLOR + 0j, "mine: samples must be real numbers, got complex128"),
        (COLOR.astype(str), "real numbers, got <U"),
        (COLOR.astype(object), "real numbers, got object"),
        (np.ma.masked_array(COLOR, COLOR > 9), "a masked array"),
        (Tensor(), "got a torch Tensor: pass"),
        (None, "must be an array of numbers, got None"),
        ("photos", "must be an array of numbers, got a str"),
        ([[1.0], [1.0, 2.0]], "can't be made one array of numbers"),
        (3.0, r"expected pictures .* got float64 \(\)"),
        (POINTS[0], r"got float32 \(2,\)"),
        (np.zeros((6, 8, 7, 5), np.uint8), r"got uint8 \(6, 8, 7, 5\)"),
        (np.zeros((2, 3, 8, 8, 3), np.uint8), "expected pictures"),
        (np.zeros((6, 5), bool), "got bool"),
        ([], "no samples"),
        (COLOR[:0], "no samples"),
        (np.where(COLOR > 250, np.nan, COLOR / 255), "mine can't be used as pictures: some of its values are NaN"),
        (COLOR * 2.0, r"its values, from .* are none of 0 to 255, 0 to 1 and -1 to 1"),
        (np.where(POINTS > 1, np.nan, POINTS), "some of the points are NaN or infinite"),
        (np.where(POINTS > 1, np.inf, POINTS), "some of the points are NaN or infinite"),
    ],
)
def test_what_is_neither_pictures_nor_points(samples, sentence):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match=sentence) as caught:
            ArrayDataset("mine", samples)
    assert "\n" not in str(caught.value)


RIGHT = [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize(
    "labels", [RIGHT, np.array(RIGHT)[:, None], np.array(RIGHT, float), np.array(RIGHT, np.uint64), STRICT.array(RIGHT)]
)
def test_labels_that_will_do(labels):
    dataset = ArrayDataset("mine", COLOR, labels, ("a", "b", "c"))
    assert dataset.labels.dtype == np.int64
    assert dataset.labels.tolist() == RIGHT
    assert dataset.classes == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([0, 1, 2.7, 0, 1, 2], "labels are whole numbers from 0 to 2, and that of sample 2 is 2.7"),
        ([0, 1, np.nan, 0, 1, 2], "that of sample 2 is nan"),
        ([0, 1, np.inf, 0, 1, 2], "that of sample 2 is inf"),
        ([0, 1, -1, 0, 1, 2], "that of sample 2 is -1"),
        ([0, 1, 3, 0, 1, 2], "that of sample 2 is 3"),
        (RIGHT[:5], r"6 samples want as many labels, got shape \(5,\)"),
        (np.eye(6), r"labels\.argmax\(axis=1\)"),
        (list("abcabc"), "labels must be real numbers, got <U1"),
        (np.array(RIGHT) + 0j, "labels must be real numbers, got complex128"),
        (Tensor(), "torch Tensor"),
        (3, r"got shape \(\)"),
    ],
)
def test_labels_that_will_not(labels, sentence):
    with pytest.raises(DataError, match=f"mine: .*{sentence}"):
        ArrayDataset("mine", COLOR, labels, ["a", "b", "c"])


def test_labels_without_names_begin_at_0_too():
    assert ArrayDataset("mine", COLOR, [5] * 6).labels.tolist() == [5] * 6
    with pytest.raises(DataError, match="whole numbers from 0 on, and that of sample 0 is -1"):
        ArrayDataset("mine", COLOR, [-1] * 6)


@pytest.mark.parametrize(
    ("classes", "sentence"), [("abc", "names in a list"), (3, "names in a list"), (["a", "a", "b"], "one name")]
)
def test_classes_are_names(classes, sentence):
    with pytest.raises(DataError, match=sentence):
        ArrayDataset("mine", COLOR, RIGHT, classes)


@pytest.mark.parametrize("choose", ["batch", "select"])
@pytest.mark.parametrize("indices", [[6], [0.5], "x", None, 3, np.float64(1)])
@pytest.mark.parametrize("data", [ArrayDataset("mine", COLOR, RIGHT), ring(6)], ids=["pictures", "points"])
def test_samples_are_chosen_by_numbers_in_a_list(data, choose, indices):
    with pytest.raises(DataError, match="samples are chosen by a list of numbers from 0 to 5"):
        getattr(data, choose)(indices)


@pytest.mark.parametrize("n", [0, -1, 2.5, "5", None])
@pytest.mark.parametrize("draw", [ring, grid, ShapesDataset])
def test_one_sample_or_more_can_be_drawn(draw, n):
    with pytest.raises(DataError, match=r"draw one|must be a whole number"):
        draw(n)


@pytest.mark.parametrize("size", [0, -3, 3, 4.5, "8", 5000])
def test_sizes_that_pictures_cannot_have(size):
    for fit in (ArrayDataset("mine", COLOR).fit, lambda s: ShapesDataset(4, s), lambda s: open_dataset("digits", s)):
        with pytest.raises(DataError, match=r"an image size of|must be a whole number"):
            fit(size)


@pytest.mark.parametrize("channels", [0, 2, "3", 1.5])
def test_channels_that_pictures_cannot_have(channels):
    with pytest.raises(DataError, match="1 channel .* or 3"):
        ArrayDataset("mine", COLOR).fit(channels=channels)


@pytest.mark.parametrize("option", ["seed", "limit"])
@pytest.mark.parametrize("value", [1.5, "3", -1])
def test_options_that_are_no_counts(option, value):
    with pytest.raises(DataError):
        open_dataset("digits", **{option: value})


@pytest.mark.parametrize(
    "spec", [None, COLOR, ["a", "b"], 3, ArrayDataset("mine", COLOR)], ids=lambda s: type(s).__name__
)
def test_what_is_no_name_or_path(spec):
    with pytest.raises(DataError, match=r"by a name or a path, got .*: ArrayDataset\(name, array\) takes an array"):
        open_dataset(spec)


def test_augmentations_take_arrays():
    with pytest.raises(ShapeError, match="augmentation needs pictures .*, got a list"):
        random_flip(COLOR.tolist(), [RNG] * 6)
    with pytest.raises(ShapeError, match="must be floats, got uint8"):
        random_rotation(COLOR, [RNG] * 6, 10)
