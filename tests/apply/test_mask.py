"""Masks in files: white is a hole."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minigan.apply.mask import mask_of, read_mask
from minigan.errors import DataError

HOLE = np.zeros((20, 30), bool)
HOLE[5:9, 7:20] = True


def saved(array, name="mask.png", mode=None):
    Image.fromarray(array, mode).save(name)
    return Path(name)


@pytest.mark.parametrize("kind", ["gray", "color", "1 bit", "16 bits", "jpeg", "alpha", "floats"])
def test_white_is_a_hole_in_files_of_every_kind(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bytes_ = (255 * HOLE).astype(np.uint8)
    if kind == "alpha":  # white everywhere, painted on a transparent layer
        path = saved(np.dstack([np.full((20, 30, 3), 255, np.uint8), bytes_]))
    elif kind == "floats":
        path = Path("mask.npy")
        np.save(path, np.where(HOLE, 1, -1).astype(np.float32))
    else:
        pixels = {"color": np.repeat(bytes_[..., None], 3, 2), "1 bit": HOLE, "16 bits": bytes_.astype(np.uint16) * 257}
        path = saved(pixels.get(kind, bytes_), "mask.jpg" if kind == "jpeg" else "mask.png")
    known = read_mask(path, (20, 30))
    assert known.dtype == np.uint8 and known.shape == (20, 30, 1)
    np.testing.assert_array_equal(known[..., 0], ~HOLE)


def test_a_mask_that_can_not_be_meant_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="mask.png is 20x30, and the picture 21x30 in height x width"):
        read_mask(saved((255 * HOLE).astype(np.uint8)), (21, 30))
    with pytest.raises(DataError, match="has no white pixel: paint the holes white"):
        read_mask(saved(np.zeros((20, 30), np.uint8)), (20, 30))
    with pytest.raises(DataError, match="is white everywhere"):
        read_mask(saved(np.full((20, 30), 255, np.uint8)), (20, 30))


def test_the_mask_of_a_picture_has_its_name(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("a.png", "sub/a.gif"):
        (tmp_path / name).touch()
    assert mask_of(tmp_path, Path("a.jpg")) == tmp_path / "a.png"
    assert mask_of(tmp_path, Path("sub/a.jpg")) == tmp_path / "sub" / "a.gif"
    assert mask_of(tmp_path / "a.png", Path("b.jpg")) == tmp_path / "a.png"
    with pytest.raises(DataError, match=r"has no mask called b.png"):
        mask_of(tmp_path, Path("b.jpg"))
