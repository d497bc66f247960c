import hashlib
import io
import pickle
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from minigan.data import cifar
from minigan.data.cifar import download_cifar10, holds_cifar, read_cifar
from minigan.data.unpickle import load_plain
from minigan.errors import DataError

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
LABELS = np.array([6, 9, 9, 4, 1, 1, 0], np.uint8)
ROWS = PICTURES.transpose(0, 3, 1, 2).reshape(7, 3072)
BINARY = np.concatenate([LABELS[:, None], ROWS], axis=1).tobytes()


def pickled(rows=ROWS, labels=LABELS, key=str.encode):
    return pickle.dumps({key("data"): np.array(rows), key("labels"): [int(k) for k in labels]}, 2)


def archive(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            if data is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            info.size = len(data or b"")
            tar.addfile(info, io.BytesIO(data or b""))
    return path


def check(dataset, pictures=PICTURES, labels=LABELS):
    np.testing.assert_array_equal(dataset.samples, pictures)
    assert dataset.labels.tolist() == labels.tolist()
    assert dataset.classes[0] == "airplane"


@pytest.mark.parametrize(
    ("name", "data"),
    [("data_batch_1.bin", BINARY), ("data_batch_1", pickled()), ("data_batch_1", pickled(key=str))],
    ids=["binary", "python 2 keys", "python 3 keys"],
)
@pytest.mark.parametrize("inner", ["", "cifar-10-batches-bin"])
def test_a_folder(tmp_path, name, data, inner):
    (tmp_path / inner).mkdir(exist_ok=True)
    (tmp_path / inner / name).write_bytes(data)
    assert holds_cifar(tmp_path)
    check(read_cifar(tmp_path))


def test_batches_are_joined_in_order_and_the_splits_kept_apart(tmp_path):
    for name, part in (("data_batch_2", slice(3, 7)), ("data_batch_1", slice(0, 3)), ("test_batch", slice(2, 4))):
        (tmp_path / name).write_bytes(pickled(ROWS[part], LABELS[part]))
    check(read_cifar(tmp_path))
    check(read_cifar(tmp_path, "test"), PICTURES[2:4], LABELS[2:4])


def test_the_same_batch_in_both_forms_counts_once(tmp_path):
    (tmp_path / "data_batch_1").write_bytes(pickled())
    (tmp_path / "data_batch_1.bin").write_bytes(BINARY)
    check(read_cifar(tmp_path))


@pytest.mark.parametrize(("name", "data"), [("data_batch_1.bin", BINARY), ("data_batch_1", pickled())])
def test_an_archive_gives_only_regular_files_of_the_right_names(tmp_path, name, data):
    members = {"c/readme.html": b"x", "c/data_batch_2": None, f"c/{name}": data, "c/test_batch.bin": BINARY[:3073]}
    path = archive(tmp_path / "c.tar.gz", members)
    check(read_cifar(path))
    check(read_cifar(path, "test"), PICTURES[:1], LABELS[:1])
    assert list(tmp_path.iterdir()) == [path]


def test_the_archive_in_the_cache_is_opened(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path))
    assert not cifar.is_cached()
    (tmp_path / "cifar10").mkdir()
    path = tmp_path / "cifar10" / "cifar-10-binary.tar.gz"
    archive(path, {"data_batch_1.bin": BINARY})
    assert cifar.is_cached()
    with pytest.raises(DataError, match="damaged, its checksum is wrong: delete it"):
        download_cifar10()
    monkeypatch.setattr(cifar, "ARCHIVE_MD5", hashlib.md5(path.read_bytes()).hexdigest())
    assert download_cifar10().describe() == "cifar10: 7 pictures of 32x32x3, 10 classes"


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("data_batch_1.bin", BINARY[:-1], "21,510 bytes are not records of 3,073"),
        ("data_batch_1.bin", b"\x0a" + BINARY[1:], "a label of 10, above 9"),
        ("data_batch_1", pickled()[:-30], "damaged or cut off"),
        ("data_batch_1", pickled(ROWS[:, :99]), "no rows of 3,072 bytes"),
        ("data_batch_1", pickled(labels=LABELS[:2]), "7 rows but 2 labels"),
        ("data_batch_1", pickle.dumps([1, 2]), "no rows of 3,072 bytes"),
        ("data_batch_1", pickle.dumps({b"data": ROWS, b"labels": "x"}, 2), "no list of numbers"),
        ("data_batch_1", pickle.dumps(print), "it calls builtins.print"),
        ("test_batch", BINARY, "no CIFAR files for the train split"),
    ],
)
def test_each_fault_has_its_sentence(tmp_path, name, data, what):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=what):
        read_cifar(tmp_path)


FINE = np.array([99, 0, 42, 42, 7, 19, 1], np.uint8)
BINARY_100 = np.concatenate([LABELS[:, None], FINE[:, None], ROWS], axis=1).tobytes()
PYTHON_100 = {b"data": ROWS, b"fine_labels": FINE.tolist(), b"coarse_labels": LABELS.tolist(), b"filenames": [b"a.png"]}


@pytest.mark.parametrize(("name", "data"), [("train.bin", BINARY_100), ("train", pickle.dumps(PYTHON_100, 2))])
@pytest.mark.parametrize("inner", ["", "cifar-100-python", "cifar-100-binary"])
def test_the_fine_labels_of_cifar_100(tmp_path, name, data, inner):
    (tmp_path / inner).mkdir(exist_ok=True)
    (tmp_path / inner / name).write_bytes(data)
    path = archive(tmp_path / "c.tar.gz", {f"cifar-100-python/{name}": data, "cifar-100-python/meta": b"x"})
    assert holds_cifar(tmp_path)
    for dataset in (read_cifar(tmp_path), read_cifar(path)):
        np.testing.assert_array_equal(dataset.samples, PICTURES)
        assert dataset.labels.tolist() == FINE.tolist()
        assert [dataset.classes[k] for k in (99, 0, 42, 7)] == ["worm", "apple", "leopard", "beetle"]
        assert len(set(dataset.classes)) == 100
        assert dataset.classes == sorted(dataset.classes)


def test_a_pickle_as_large_as_that_of_cifar_100_is_read():
    many = {b"fine_labels": [7] * 50_000, b"coarse_labels": [3] * 50_000}
    names = b"](" + b"".join(b"U\x05%05dr" % k + (k + 9).to_bytes(4, "little") for k in range(50_000)) + b"e"
    data = pickle.dumps(many, 2)[:-2] + b"U\x09filenames" + names + b"u."  # as Python 2 writes a list of texts
    assert load_plain(data)[b"filenames"][-1] == b"49999"


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("train.bin", BINARY_100[:-1], "21,517 bytes are not records of 3,074"),
        ("train.bin", b"\0\x64" + BINARY_100[2:], "a label of 100, above 99"),
        ("train", pickled(), "not a batch of CIFAR-100: it has no list of numbers under 'fine_labels'"),
    ],
)
def test_faults_of_cifar_100_have_a_sentence(tmp_path, name, data, what):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=what):
        read_cifar(tmp_path)


def test_damaged_archives(tmp_path):
    path = archive(tmp_path / "c.tar.gz", {"data_batch_1.bin": BINARY})
    whole = path.read_bytes()
    for cut in (0, 5, 200, len(whole) // 2, len(whole) - 4):
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError, match="not a usable CIFAR archive"):
            read_cifar(path)


def test_archive_bombs(tmp_path, monkeypatch):
    path = archive(tmp_path / "c.tar.gz", {"junk": bytes(3 << 20), "data_batch_1.bin": BINARY})
    monkeypatch.setattr(cifar, "MAX_ARCHIVE", 1 << 20)
    with pytest.raises(DataError, match="far more than CIFAR"):
        read_cifar(path)
    monkeypatch.setattr(cifar, "FORMS", (replace(cifar.CIFAR10, most=10_000),))
    with pytest.raises(DataError, match="too large for a batch"):
        read_cifar(archive(path, {"data_batch_1.bin": BINARY}))
    (tmp_path / "data_batch_1.bin").write_bytes(BINARY)
    with pytest.raises(DataError, match="too large for a batch"):
        read_cifar(tmp_path)
