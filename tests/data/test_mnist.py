import gzip
import hashlib

import numpy as np
import pytest
from test_idx import idx_bytes

from minigan.data import mnist
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
