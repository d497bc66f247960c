import numpy as np
import pytest
from PIL import Image
from test_cifar import BINARY, archive
from test_mnist import write

from minigan.data import DATASETS, list_datasets, number_classes, open_dataset
from minigan.errors import DataError


def pictures(folder, count=3, size=40):
    folder.mkdir(parents=True)
    for k in range(count):
        Image.new("RGB", (size, size), (k, 0, 0)).save(folder / f"{k}.png")


@pytest.mark.parametrize(
    ("name", "shape"), [("digits", (16, 16, 1)), ("shapes", (32, 32, 3)), ("ring", (2,)), ("grid", (2,))]
)
def test_names_that_need_no_files(name, shape):
    dataset = open_dataset(name)
    assert (dataset.name, dataset.shape) == (name, shape)
    assert len(dataset.classes) == DATASETS[name].classes
    assert f"{len(dataset):,} " in DATASETS[name].size + " "


@pytest.mark.parametrize("name", ["digits", "shapes"])
def test_size_and_channels_are_as_asked(name):
    for size, channels in ((20, 3), (24, 1)):
        dataset = open_dataset(name, size, channels, limit=9)
        assert dataset.batch(np.arange(9)).shape == (9, size, size, channels)


def test_a_path_is_recognized_by_what_it_holds(tmp_path):
    write(tmp_path / "idx")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "data_batch_1.bin").write_bytes(BINARY)
    archive(tmp_path / "c.tar.gz", {"data_batch_1.bin": BINARY})
    pictures(tmp_path / "png")
    shapes = {"idx": (28, 28, 1), "bin": (32, 32, 3), "c.tar.gz": (32, 32, 3)}
    for name, shape in shapes.items():
        assert open_dataset(tmp_path / name).shape == shape
        assert open_dataset(str(tmp_path / name), 24, 1).shape == (24, 24, 1)
    assert open_dataset(tmp_path / "png", 24, 1).shape == (24, 24, 1)


def test_a_folder_wins_over_a_name(tmp_path, monkeypatch):
    pictures(tmp_path / "digits")
    monkeypatch.chdir(tmp_path)
    assert len(open_dataset("digits", 32)) == 3


def test_splits(tmp_path):
    assert (open_dataset("ring").samples != open_dataset("ring", split="test").samples).all()
    pictures(tmp_path / "a" / "train")
    with pytest.raises(DataError, match="a has no test split"):
        open_dataset(tmp_path / "a", 32, split="test")
    pictures(tmp_path / "a" / "test", 2)
    assert open_dataset(tmp_path / "a", 32).describe() == "a: 3 pictures of 32x32x3"
    assert len(open_dataset(tmp_path / "a", 32, split="test")) == 2


def test_limit_draws_from_everywhere_and_seed_decides():
    full, some = open_dataset("digits"), open_dataset("digits", limit=500, seed=1)
    assert len(some) == 500
    assert len(set(some.labels)) == 10
    assert (open_dataset("digits", limit=500, seed=2).samples != some.samples).any()
    np.testing.assert_array_equal(open_dataset("digits", limit=500, seed=1).samples, some.samples)
    assert len(open_dataset("digits", limit=9999)) == len(full)


def test_only_classes_that_occur_count(tmp_path):
    write(tmp_path / "idx", labels=np.array([2, 4, 6, 2, 4, 6], np.uint8))
    dataset = open_dataset(tmp_path / "idx")
    assert (dataset.classes, dataset.labels.tolist()) == (["2", "4", "6"], [0, 1, 2, 0, 1, 2])
    assert "4 classes have no pictures and are left out: 0, 1, 3, 5" in dataset.notes
    few = open_dataset("digits", limit=3)
    assert len(few.classes) == len(set(few.labels)) == few.labels.max() + 1
    names = [few.classes[k] for k in few.labels]
    number_classes(few, list("9876543210"))
    assert [few.classes[k] for k in few.labels] == names
    with pytest.raises(DataError, match="digits has other classes, such as"):
        number_classes(few, ["cat", "dog"])


@pytest.mark.parametrize("top", [15, 16, 17])
def test_pictures_that_are_almost_black_are_noted(tmp_path, top):
    tmp_path.joinpath("a").mkdir()
    Image.fromarray(np.full((8, 8), top, np.uint8)).save(tmp_path / "a" / "0.png")
    write(tmp_path / "idx", np.full((6, 28, 28), top, np.uint8), None)
    for name in ("a", "idx"):
        dark = [note for note in open_dataset(tmp_path / name, 8).notes if "almost black" in note]
        assert len(dark) == (top <= 16)


def test_twelve_bits_in_sixteen_are_almost_black(tmp_path):
    Image.fromarray(np.full((8, 8), 4095, np.uint16)).save(tmp_path / "0.png")
    assert "brightest value in 1 of them is 16 of 255" in open_dataset(tmp_path, 8).notes[0]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"spec": "digts"}, "no data set or folder called 'digts': did you mean digits\\?"),
        ({"spec": "Fashion_MNIST"}, "did you mean fashion-mnist"),
        ({"spec": "qqq"}, "use digits, ring, .*, or the path of a folder"),
        ({"spec": "no/where"}, "no/where does not exist: check the path"),
        ({"spec": "x" * 5000}, "no data set or folder called"),
        ({"spec": "./" + "x" * 5000}, "does not exist"),
        ({"spec": "ring", "img_size": 32}, "ring is a set of points"),
        ({"spec": "digits", "split": "test"}, "digits has no test split"),
        ({"spec": "digits", "split": "vla"}, "no split 'vla': use train, val or test"),
        ({"spec": "digits", "split": "val"}, "digits has no val split, only train"),
        ({"spec": "digits", "img_size": 0}, "image size of 0"),
        ({"spec": "digits", "channels": 2}, "not 2"),
        ({"spec": "digits", "limit": 0}, "at least 1"),
        ({"spec": "ring", "seed": -1}, "from 0 on"),
        ({"spec": __file__}, "is a file, and not a CIFAR archive"),
    ],
)
def test_each_fault_has_its_sentence(arguments, what):
    with pytest.raises(DataError, match=what):
        open_dataset(**arguments)


def test_the_table_says_what_is_cached(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path))
    assert list_datasets()["digits"].cached is None
    assert list_datasets()["cifar10"].cached is False
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / "cifar-10-binary.tar.gz").write_bytes(b"")
    assert list_datasets()["cifar10"].cached is True
