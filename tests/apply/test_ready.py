"""The network that ships for `minigan apply enlarge`: its file, its photographers, and how good it is."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from appliers import photo, save
from PIL import Image

from minigan.apply import Applier, ready
from minigan.commands.cli import main
from minigan.errors import CheckpointError

SETS = Path(os.environ.get("MINIGAN_TEST_SETS", "none")) / "super-resolution"


def test_it_enlarges_every_kind_of_picture_and_names_the_result(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "in.png", photo(10, 14, 4))
    assert main(["apply", "enlarge", "in.png"]) == 0
    assert capsys.readouterr().out == "in-enlarge.png\n"
    with Image.open("in-enlarge.png") as image:
        assert (image.size, image.mode) == ((28, 20), "RGBA")
    for channels in (1, 3):
        assert Applier(ready.enlarger())(photo(9, 8, channels)).shape == (18, 16, channels)


def test_a_folder_of_its_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert ready.is_ready(Path("enlarge")) and not ready.is_ready(Path("runs/enlarge"))
    Path("enlarge").mkdir()
    assert not ready.is_ready(Path("enlarge"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("apply enlarge in.png --checkpoint a.npz", "--checkpoint is for the folder of a run"),
        ("apply enlarge in.png --model a.py:A", "--model is for the folder of a run"),
        ("apply enlarge in.png --strength 0.5", "one stage of training"),
        ("apply enlarge in.png in.png", "add -o FOLDER"),
        ("evaluate enlarge --protocol sr", "give a folder of originals as a second word"),
        ("evaluate enlarge .", "is the network that ships: add --protocol sr, and a folder of originals"),
        ("evaluate enlarge nowhere --protocol sr", "nowhere is not a folder of pictures"),
        ("evaluate enlarge . --protocol sr --scale 3", "enlarges by 2, not by 3"),
    ],
)
def test_what_is_refused_is_a_sentence(tmp_path, monkeypatch, capsys, line, said):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "in.png", photo(10, 14, 3))
    assert main(line.split()) != 0
    assert said in capsys.readouterr().err


def test_a_file_of_another_network_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", W=np.zeros(3))
    with pytest.raises(CheckpointError, match=r"other.npz can't be used"):
        ready.enlarger(weights=tmp_path / "other.npz")
    with pytest.raises(CheckpointError, match="there is no file"):
        ready.enlarger(weights=tmp_path / "none.npz")


def test_the_file_is_small_and_names_the_photographers():
    folder = Path(ready.__file__).parent
    assert (folder / "enlarge.npz").stat().st_size < 60_000
    head, _, photos = (folder / "enlarge_attribution.txt").read_text(encoding="utf-8").partition("\n\n")
    assert "https://creativecommons.org/licenses/by/2.0/" in head
    assert len(photos.splitlines()) == 125
    assert all(" - https://www.flickr.com/photos/" in line for line in photos.splitlines())


@pytest.mark.slow
@pytest.mark.skipif(not SETS.is_dir(), reason="needs published sets of pictures in MINIGAN_TEST_SETS")
def test_it_is_better_than_bicubic_by_two_decibels(capsys):
    assert main(["evaluate", "enlarge", str(SETS / "Set5" / "image_SRF_2"), "--protocol", "sr", "--json"]) == 0
    mean = json.loads(capsys.readouterr().out)["mean"]
    assert mean["result"]["psnr"] > mean["bicubic"]["psnr"] + 2
