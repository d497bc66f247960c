"""Pairs of pictures are whole, and each has its own size; what is no pair is named."""

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minigan.data import Pairs
from minigan.errors import DataError
from minigan.metrics import psnr, ssim
from minigan.training.evaluation import compare_pairs


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()


def noise(height, width, *channels, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, *channels), dtype=np.uint8)


def save(path, pixels):
    Image.fromarray(pixels).save(path)
    return pixels


def pairs(a="a", b="b"):
    return Pairs(Path(a), Path(b))


def refused(*folders, metrics=("psnr",)):
    with pytest.raises(DataError) as error:
        compare_pairs(pairs(*folders), metrics)
    return str(error.value)


def test_a_fault_at_the_edge_counts():
    picture = save("a/1.png", noise(20, 60, 3))
    spoiled = picture.copy()
    spoiled[:, :10] = 0  # outside the square at the center
    save("b/1.png", spoiled)
    found = compare_pairs(pairs(), ("psnr", "ssim"))
    assert found["psnr"] == pytest.approx(float(psnr(picture, spoiled, 255)))
    assert found["ssim"] == pytest.approx(float(ssim(picture, spoiled, 255)), rel=1e-12)
    assert found["psnr"] < 20 and found["ssim"] < 0.9


def test_pairs_may_differ_in_size_from_each_other():
    each = []
    for name, shape in (("1", (20, 30)), ("2", (30, 13)), ("3", (11, 40))):
        x, y = save(f"a/{name}.png", noise(*shape)), save(f"b/{name}.png", noise(*shape, seed=1))
        each.append((float(psnr(x[..., None], y[..., None], 255)), float(ssim(x[..., None], y[..., None], 255))))
    found = compare_pairs(pairs(), ("psnr", "ssim"))
    assert [found["psnr"], found["ssim"]] == pytest.approx(np.mean(each, axis=0))


def test_the_two_of_a_pair_have_one_size():
    save("a/1.png", noise(20, 30))
    save("b/1.png", noise(20, 31))
    sentence = refused()
    assert re.search(r"1\.png is 20x30, but .*1\.png 20x31 in height x width", sentence)
    assert "img_size" not in sentence  # shrinking both would give another number


def test_names_make_a_pair_and_kinds_do_not():
    picture, other = save("a/1.png", noise(20, 30)), save("a/2.png", noise(12, 12))
    save("b/2.bmp", other)
    save("b/1.tif", picture)
    assert [(one.name, two.name) for one, two in pairs().files] == [("1.png", "1.tif"), ("2.png", "2.bmp")]
    assert compare_pairs(pairs(), ("psnr",)) == {"psnr": np.inf}


@pytest.mark.parametrize("folder", ["a", "b"])
def test_a_picture_without_a_partner_is_named(folder):
    save("a/1.png", noise(12, 12))
    save("b/1.png", noise(12, 12))
    save(f"{folder}/2.png", noise(12, 12))
    assert f"{folder}/2.png has no picture of its name" in refused()


def test_two_pictures_of_one_name_are_no_pair():
    save("a/1.png", noise(12, 12))
    save("a/1.bmp", noise(12, 12))
    save("b/1.png", noise(12, 12))
    assert "have one name" in refused()


def test_gray_and_color_meet_as_color_and_transparency_is_on_white():
    gray = save("a/1.png", noise(12, 12))
    save("b/1.png", np.stack([gray] * 3, axis=-1))
    clear = noise(12, 12, 4)
    clear[..., 3] = 0
    save("a/2.png", clear)
    save("b/2.png", np.full((12, 12), 255, np.uint8))
    assert compare_pairs(pairs(), ("psnr", "ssim")) == {"psnr": np.inf, "ssim": pytest.approx(1)}


def test_a_picture_smaller_than_the_window_is_named():
    save("a/1.png", noise(10, 30))
    save("b/1.png", noise(10, 30))
    assert re.search(r"a/1\.png can't be compared: .*window of 11 pixels", refused(metrics=("ssim",)))


def test_bytes_of_folders_and_archives_agree():
    save("a/1.png", noise(12, 14))
    save("b/1.png", noise(12, 14, seed=1))
    with zipfile.ZipFile("b.zip", "w") as archive:
        archive.write("b/1.png", "1.png")
    assert compare_pairs(pairs("a", "b.zip"), ("psnr",)) == compare_pairs(pairs(), ("psnr",))
