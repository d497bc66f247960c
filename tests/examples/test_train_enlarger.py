"""examples/train_enlarger.py, small, with noise as photos."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minigan.apply import ready

PATH = Path(__file__).resolve().parents[2] / "examples" / "train_enlarger.py"
SPEC = spec_from_file_location("train_enlarger", PATH)
example = module_from_spec(SPEC)
SPEC.loader.exec_module(example)


@pytest.fixture
def folder(tmp_path):
    """Four photos for training and two for testing, and their photographers."""
    rng, lines = np.random.default_rng(0), ["the license"]
    for split, n in (("train", 4), ("test", 2)):
        (tmp_path / "photos" / split).mkdir(parents=True)
        for i in range(n):
            levels = rng.integers(256, size=(13, 14, 3), dtype=np.uint8)
            Image.fromarray(levels).resize((56, 52)).save(tmp_path / "photos" / split / f"{i}.jpg")
            lines.append(f"{split}/{i}.jpg\tCC-BY by Ann {i} - https://www.flickr.com/photos/ann/{i}/")
    (tmp_path / "photos" / "ATTRIBUTION.txt").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path / "photos"


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["train_enlarger.py", *map(str, arguments)])
    example.main()


@pytest.mark.slow
def test_a_seed_gives_one_file_which_enlarges_and_is_measured(folder, tmp_path, monkeypatch, capsys):
    def written(out, *more):
        run(monkeypatch, "--data", folder, "--steps", 2, "--out", tmp_path / out, *more)
        return (tmp_path / out / "enlarge.npz").read_bytes()

    first = written("a", "--test", folder / "test")
    assert "PSNR of" in capsys.readouterr().out
    assert first == written("b") != written("c", "--seed", 1)
    names = ready.enlarger().networks["G"].state_dict().keys()
    assert ready.enlarger(weights=tmp_path / "a" / "enlarge.npz").networks["G"].state_dict().keys() == names
    people = (tmp_path / "a" / "enlarge_attribution.txt").read_text(encoding="utf-8").partition("\n\n")[2]
    assert people == "".join(f"Ann {i} - https://www.flickr.com/photos/ann/{i}/\n" for i in range(4))


@pytest.mark.slow
def test_a_photo_without_a_photographer_is_refused(folder, tmp_path, monkeypatch, capsys):
    lines = (folder / "ATTRIBUTION.txt").read_text(encoding="utf-8").splitlines()
    (folder / "ATTRIBUTION.txt").write_text("\n".join(lines[:-4]), encoding="utf-8")
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, "--data", folder, "--out", tmp_path / "out")
    assert "has no line for train/2.jpg (2 in all)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
