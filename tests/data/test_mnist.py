import gzip
import hashlib

import numpy as np
import pytest
from test_idx import idx_bytes

from minigan.data import mnist, open_dataset
from minigan.data.mnist import download_mnist, holds_mnist, read_mnist
from minigan.errors import DataError

PICTURES = np.random.default_rng(0).integers(0, 256, (6, 28, 28), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 9, 4, 5], np.uint8)


def write(folder, pictures=PICTURES, labels=LABELS, prefix="train", joint="-"):
    folder.mkdir(exist_ok=True)
    (folder / f"{prefix}-images{joint}idx3-ubyte").write_bytes(idx_bytes(pictures))
    if labels is not None:
        (folder / f"{prefix}-labels{joint}idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(labels)))


@pytest.mark.parametrize("joint", ["-", "."])
def test_reads_both_splits_compressed_or_not(tmp_path, joint):
    write(tmp_path, joint=joint)
    write(tmp_path, PICTURES[:2], LABELS[:2], "t10k", joint)
    train, test = read_mnist(tmp_path), read_mnist(tmp_path, "test")
    np.testing.assert_array_equal(train.samples[..., 0], PICTURES)
    assert train.labels.tolist() == LABELS.tolist()
    assert train.classes == list("0123456789")
    assert (len(test), test.name) == (2, tmp_path.name)


@pytest.mark.parametrize("inner", ["", "raw", "gzip"])
@pytest.mark.parametrize("compressed", [False, True])
def test_emnist_by_the_names_of_its_files(tmp_path, inner, compressed):
    """Its pictures are stored with rows and columns exchanged, and shown upright."""
    write_emnist(
        tmp_path / inner, "letters", PICTURES.swapaxes(1, 2), np.array([1, 2, 3, 26, 5, 6], np.uint8), compressed
    )
    train, test = read_mnist(tmp_path), read_mnist(tmp_path, "test")
    np.testing.assert_array_equal(train.samples[..., 0], PICTURES)
    assert [train.classes[k] for k in train.labels] == list("ABCZEF")
    assert (train.name, len(test)) == ("emnist-letters", 6)


@pytest.mark.parametrize(("which", "last", "name"), [("byclass", 61, "z"), ("balanced", 46, "t"), ("digits", 9, "9")])
def test_the_classes_of_emnist_have_names(tmp_path, which, last, name):
    write_emnist(tmp_path, which, PICTURES, np.array([0, 1, 2, 3, 4, last], np.uint8))
    dataset = read_mnist(tmp_path)
    assert [dataset.classes[k] for k in (0, last)] == ["0", name]
    write_emnist(tmp_path, which, PICTURES, np.array([0, 1, 2, 3, 4, last + 1], np.uint8))
    with pytest.raises(DataError, match=f"other labels than those of the {last + 1} classes of emnist-{which}"):
        read_mnist(tmp_path)


def test_of_several_sets_in_a_folder_one_is_named_by_a_file(tmp_path):
    write(tmp_path)
    for which in ("digits", "letters"):
        write_emnist(tmp_path, which, PICTURES, LABELS // 9 + 1)
    with pytest.raises(DataError, match="several data sets: .* such as emnist-digits-train-images"):
        read_mnist(tmp_path)
    letters = read_mnist(tmp_path / "emnist-letters-test-images-idx3-ubyte")
    assert (letters.name, [letters.classes[k] for k in letters.labels]) == ("emnist-letters", list("AAABAA"))
    plain = open_dataset(tmp_path / "train-images-idx3-ubyte")
    np.testing.assert_array_equal(plain.samples[..., 0], PICTURES)


def write_emnist(folder, which, pictures, labels, compressed=False):
    folder.mkdir(exist_ok=True)
    for split in ("train", "test"):
        for what, values in (("images-idx3", pictures), ("labels-idx1", labels)):
            data = idx_bytes(values)
            path = folder / f"emnist-{which}-{split}-{what}-ubyte{'.gz' if compressed else ''}"
            path.write_bytes(gzip.compress(data) if compressed else data)


def test_labels_may_be_missing_but_not_wrong(tmp_path):
    write(tmp_path, labels=None)
    assert read_mnist(tmp_path).labels is None
    write(tmp_path, labels=LABELS[:4])
    with pytest.raises(DataError, match="6 pictures but .* has 4 labels"):
        read_mnist(tmp_path)


def test_a_missing_split_is_named(tmp_path):
    assert not holds_mnist(tmp_path)
    write(tmp_path)
    assert holds_mnist(tmp_path)
    with pytest.raises(DataError, match="no t10k-images-idx3-ubyte or .gz for the test split"):
        read_mnist(tmp_path, "test")


def test_what_is_in_the_cache_is_not_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path))
    monkeypatch.setattr(mnist, "MIRRORS", {"fashion-mnist": ("http://127.0.0.1:9/",)})
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    for name, values in (("train-images-idx3", PICTURES), ("train-labels-idx1", LABELS)):
        data = gzip.compress(idx_bytes(values))
        (folder / f"{name}-ubyte.gz").write_bytes(data)
        monkeypatch.setitem(mnist.CHECKSUMS["fashion-mnist"], f"{name}-ubyte.gz", hashlib.sha256(data).hexdigest())
    dataset = download_mnist("fashion-mnist")
    assert (dataset.name, dataset.classes[9]) == ("fashion-mnist", "ankle boot")
    with pytest.raises(DataError, match="could not download t10k-images-idx3-ubyte.gz"):
        download_mnist("fashion-mnist", "test")
