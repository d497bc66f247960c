"""Splits and classes from the names of folders."""

import pytest
from PIL import Image

from minigan.data import open_dataset, open_folder
from minigan.errors import DataError


@pytest.fixture
def make(tmp_path):
    def save(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), "white").save(path)
        return tmp_path

    return save


def found(root, split="train"):
    return [path.relative_to(root).as_posix() for path in open_folder(root, 8, split=split).paths]


@pytest.mark.parametrize("train", ["train", "Train", "TRAINING"])
@pytest.mark.parametrize("val", ["val", "Valid", "validation", "DEV"])
@pytest.mark.parametrize("test", ["test", "Testing", "eval"])
def test_splits_in_any_spelling_are_no_classes(make, train, val, test):
    root = make(f"{train}/0.png", f"{val}/1.png", f"{test}/2.png")
    for split, name in (("train", train), ("val", val), ("test", test)):
        assert [path.parent.name for path in open_folder(root, 8, split=split).paths] == [name]
    dataset = open_dataset(root, 8)
    assert dataset.classes is None
    assert dataset.name == root.name
    assert dataset.notes == ("train has 1 of 3 pictures; left out are 1 of test, 1 of val",)


@pytest.mark.parametrize(
    ("names", "train", "test"),
    [
        (("Train/a/0.png", "Train/b/1.png", "Test/b/2.png"), "Train/a/0.png Train/b/1.png", "Test/b/2.png"),
        (("a/train/0.png", "b/train/1.png", "b/test/2.png"), "a/train/0.png b/train/1.png", "b/test/2.png"),
        (("trainA/0.png", "trainb/1.png", "testB/2.png"), "trainA/0.png trainb/1.png", "testB/2.png"),
        (("a/0.png", "b/1.png", "test/2.png"), "a/0.png b/1.png", "test/2.png"),
        (("x/train/a/0.png", "x/train/b/1.png", "x/test/2.png"), "x/train/a/0.png x/train/b/1.png", "x/test/2.png"),
        (("x/y/a/0.png", "x/y/b/1.png", "x/y/eval/2.png"), "x/y/a/0.png x/y/b/1.png", "x/y/eval/2.png"),
    ],
)
def test_splits_and_classes_lie_above_each_other_in_any_order(make, names, train, test):
    root = make(*names)
    assert found(root) == train.split()
    assert found(root, "test") == test.split()
    dataset = open_folder(root, 8)
    assert ([name.lower() for name in dataset.classes], dataset.labels.tolist()) == (["a", "b"], [0, 1])


@pytest.mark.parametrize(
    ("names", "split", "what"),
    [
        (("val/0.png", "test/1.png"), "train", "has no train split, only test, val: give the path"),
        (("train/0.png",), "val", "has no val split, only train"),
        (("a/0.png", "b/1.png"), "test", "has no test split: it needs a folder called test"),
        (("train/0.png", "val/1.png", "Validation/2.png"), "val", "Validation, val are folders of one split, val"),
    ],
)
def test_a_split_that_is_not_there_or_twice(make, names, split, what):
    with pytest.raises(DataError, match=what):
        open_folder(make(*names), 8, split=split)


def test_folders_without_pictures_are_no_classes(make):
    root = make("a/0.png", "b/1.png")
    (root / "c" / "deeper").mkdir(parents=True)
    dataset = open_folder(root, 8)
    assert (dataset.classes, dataset.notes) == (["a", "b"], ("1 class has no pictures and is left out: c",))


def test_pictures_beside_folders_are_noted(make):
    dataset = open_folder(make("a/0.png", "b/1.png", "2.png"), 8)
    assert dataset.classes is None
    assert dataset.notes == ("1 picture is outside the folders a, b, so that these are not classes",)
