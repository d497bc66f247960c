"""Pictures in .npy and .npz files."""

import pickle
import zipfile

import numpy as np
import pytest

from minigan.data import open_dataset
from minigan.data.arrays import read_arrays
from minigan.errors import DataError

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (6, 8, 8), dtype=np.uint8)
COLOR = RNG.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
LABELS = np.array([7, 3, 7, 9, 3, 3])


@pytest.mark.parametrize(
    ("array", "bytes_"),
    [
        (GRAY, GRAY[..., None]),
        (GRAY[..., None], GRAY[..., None]),
        (COLOR, COLOR),
        (np.asfortranarray(COLOR), COLOR),
        (COLOR.transpose(0, 3, 1, 2), COLOR),
        (GRAY.reshape(6, 64), GRAY[..., None]),
        (COLOR.astype(int), COLOR),
        (COLOR / 255, COLOR),
        ((COLOR / 127.5 - 1).astype(np.float32), COLOR),
        (COLOR.astype(np.float16), COLOR),
        (COLOR * np.uint16(257), COLOR),
        (GRAY > 127, (GRAY > 127)[..., None] * 255),
    ],
)
def test_shapes_and_ranges(tmp_path, array, bytes_):
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "b.npz", array, labels=LABELS[:, None])
    for name, labels in (("a.npy", None), ("b.npz", [1, 0, 1, 2, 0, 0])):
        dataset = open_dataset(tmp_path / name)
        np.testing.assert_array_equal(dataset.samples, bytes_)
        assert (None if dataset.labels is None else dataset.labels.tolist()) == labels
        assert dataset.classes == (labels and ["3", "7", "9"])
        assert dataset.describe().startswith(f"{name[0]}: 6 pictures of 8x8x{bytes_.shape[-1]}")


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_is_shown_on_white(tmp_path, channels, kind):
    array = np.zeros((3, 8, 8, channels), kind)
    array[1, ..., -1], array[2, ..., -1] = 51, 255
    np.save(tmp_path / "a.npy", array if kind == np.uint8 else array / 255)
    samples = read_arrays(tmp_path / "a.npy").samples
    assert samples.shape == (3, 8, 8, channels - 1)
    assert samples[:, 0, 0, 0].tolist() == [255, 204, 0]


def test_splits_and_labels_are_found_by_name(tmp_path):
    arrays = {
        "x_train": COLOR,
        "y_train": LABELS,
        "x_test": COLOR[:2],
        "y_test": LABELS[:2],
        "val_images": COLOR[2:],
    }
    np.savez(tmp_path / "a.npz", **arrays)
    train, test, val = (open_dataset(tmp_path / "a.npz", split=split) for split in ("train", "test", "val"))
    assert [len(data) for data in (train, test, val)] == [6, 2, 4]
    assert (train.classes, test.classes, val.classes) == (["3", "7", "9"], ["3", "7"], None)


def test_what_is_not_used_is_noted(tmp_path):
    np.savez(tmp_path / "a.npz", images=COLOR, ids=np.arange(6), target=LABELS, boxes=np.zeros((6, 4)))
    dataset = open_dataset(tmp_path / "a.npz")
    assert len(dataset.classes) == 3
    assert dataset.notes[0] == "images are the pictures; not used: boxes, ids"
    np.savez(tmp_path / "a.npz", images=COLOR / 255)
    assert "from 0 to 1, are taken for 0 to 1" in open_dataset(tmp_path / "a.npz").notes[0]


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ({"a": COLOR, "b": COLOR}, "a, b could all be the pictures"),
        ({"a": LABELS}, r"none of its arrays is pictures: a \(6,\)"),
        ({"a": COLOR[0]}, r"none of its arrays is pictures: a \(8, 8, 3\)"),
        ({"a": COLOR[:0]}, "none of its arrays is pictures"),
        ({"a": np.full((2, 8, 8), np.nan)}, "some of its values are NaN or infinity"),
        ({"a": COLOR * 3.0}, "are none of 0 to 255, 0 to 1 and -1 to 1"),
        ({"a": COLOR - 300.0}, "are none of"),
        ({"x_test": COLOR}, "has no train split, only test"),
        ({"a": COLOR.astype(complex)}, "something other than arrays of numbers"),
        ({"a": np.array([{}], object)}, "something other than arrays of numbers"),
    ],
)
def test_each_fault_has_its_sentence(tmp_path, arrays, what):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=f"a.npz can't be used as pictures: .*{what}"):
        open_dataset(tmp_path / "a.npz")


def test_no_pickle_is_read(tmp_path):
    np.save(tmp_path / "a.npy", np.array([print], object), allow_pickle=True)
    (tmp_path / "b.npy").write_bytes(pickle.dumps(COLOR))
    for name in ("a.npy", "b.npy"):
        with pytest.raises(DataError, match=f"{name} "):
            open_dataset(tmp_path / name)


def test_files_that_unpack_to_far_more_than_their_size_are_refused(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", np.zeros((100_000, 32, 32), np.uint8))
    with pytest.raises(DataError, match="unpacks to far more than a file of its size should"):
        open_dataset(tmp_path / "a.npz")
    np.save(tmp_path / "b.npy", COLOR)
    whole = (tmp_path / "b.npy").read_bytes()
    for data in (whole[:-1], whole[:50], whole.replace(b"(6, 8", b"(9, 8")):
        (tmp_path / "b.npy").write_bytes(data)
        with pytest.raises(DataError, match="b.npy can't be used as pictures"):
            open_dataset(tmp_path / "b.npy")


def test_an_archive_of_arrays_is_known_by_what_is_in_it(tmp_path):
    np.savez(tmp_path / "a.npz", COLOR)
    (tmp_path / "a.npz").rename(tmp_path / "a.zip")
    assert len(open_dataset(tmp_path / "a.zip")) == 6
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("a.txt", "x")
    with pytest.raises(DataError, match="b.npz"):
        open_dataset(tmp_path / "b.npz")
