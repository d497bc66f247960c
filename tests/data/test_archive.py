"""Pictures in a .zip archive."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from minigan.data import archive, natural_size, open_dataset
from minigan.data.decode import RATIO
from minigan.errors import DataError


def png(shade, size=(8, 8), form="PNG", **options):
    file = io.BytesIO()
    Image.new("L", size, shade).save(file, form, **options)
    return file.getvalue()


def pack(path, files, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return path


def shades(dataset):
    return ((dataset.batch(np.arange(len(dataset)))[:, 0, 0, 0] + 1) * 127.5).round().astype(int).tolist()


@pytest.mark.parametrize("top", ["", "photos/"])
def test_folders_in_an_archive_are_classes(tmp_path, top):
    files = {f"{top}dogs/b.png": png(30), f"{top}cats/deep/a.png": png(20), f"{top}cats/x.txt": b"x"}
    files |= {"__MACOSX/cats/a.png": b"x", f"{top}.hidden/c.png": b"x", f"{top}cats/.d.png": b"x"}
    dataset = open_dataset(pack(tmp_path / "a.zip", files), 8)
    assert shades(dataset) == [20, 30]
    assert (dataset.classes, dataset.labels.tolist()) == (["cats", "dogs"], [0, 1])
    assert dataset.describe() == "a: 2 pictures of 8x8x1, 2 classes"
    assert dataset.notes == ("1 file is passed over: 1 .txt",)
    dataset = open_dataset(pack(tmp_path / "b.zip", files | {f"{top}birds/": b"", f"{top}bees/a.heic": b"x"}), 8)
    assert dataset.notes[1:] == ("2 classes have no pictures and are left out: bees, birds",)
    assert natural_size(tmp_path / "a.zip") == 8


def test_splits_in_an_archive(tmp_path):
    path = pack(tmp_path / "a.zip", {"Train/a.png": png(20), "TEST/b.png": png(30)})
    assert shades(open_dataset(path, 8)) == [20]
    assert shades(open_dataset(path, 8, split="test")) == [30]


@pytest.mark.parametrize("name", ["../../a.png", "/etc/a.png", "C:\\a.png", "..\\a.png", "a/../../b.png"])
def test_names_that_lead_elsewhere_lead_nowhere(tmp_path, name):
    folder = tmp_path / "inner"
    folder.mkdir()
    path = pack(folder / "a.zip", {name: png(20)})
    assert shades(open_dataset(path, 8)) == [20]
    assert list(tmp_path.rglob("*.png")) == []


def test_bad_files_in_an_archive_are_named_or_skipped(tmp_path):
    path = pack(tmp_path / "a.zip", {"a.png": b"no picture", "b.png": png(30), "c.png": png(40)[:50]})
    with pytest.raises(DataError, match="a.zip/a.png is not a picture"):
        open_dataset(path, 8)
    dataset = open_dataset(path, 8, skip_bad=True)
    assert shades(dataset) == [30]
    assert len(dataset.bad) == 2


def test_members_that_unpack_to_far_more_than_their_size_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "FREE", 1 << 16)
    path = pack(tmp_path / "a.zip", {"a.bmp": png(0, (900, 900), "BMP")})
    with pytest.raises(DataError, match="a.zip/a.bmp unpacks to far more than its size"):
        open_dataset(path, 8)


def test_a_bomb_in_a_bomb_counts_by_its_size_in_the_archive(tmp_path):
    loosely = png(0, (9000, 9000), compress_level=1)
    assert RATIO * len(loosely) > 9000**2
    path = pack(tmp_path / "a.zip", {"a.png": loosely})
    with pytest.raises(DataError, match="a.zip/a.png has too many pixels"):
        open_dataset(path, 8)


def test_archives_that_cannot_be_read(tmp_path):
    path = pack(tmp_path / "a.zip", {"a.png": png(20)}, zipfile.ZIP_LZMA)
    with pytest.raises(DataError, match="a.zip/a.png is not packed by deflate"):
        open_dataset(path, 8)
    whole = bytearray(pack(path, {"a.png": png(20)}).read_bytes())
    locked = bytearray(whole)
    locked[whole.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(locked)
    with pytest.raises(DataError, match="a.zip/a.png is locked with a password"):
        open_dataset(path, 8)
    spoiled = bytearray(whole)
    spoiled[60] ^= 0x55
    for data in (whole[:-30], whole[:4], spoiled):
        path.write_bytes(data)
        with pytest.raises(DataError, match="a.zip.* is damaged or cut off"):
            open_dataset(path, 8)
    with pytest.raises(DataError, match="a.zip has no pictures in it"):
        open_dataset(pack(path, {"a.txt": b"x"}))
