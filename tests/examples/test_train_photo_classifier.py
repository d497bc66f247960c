"""examples/train_photo_classifier.py in parts, and small as a whole, with a folder of noise as photos."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minigan.metrics.photo_classifier import DAMAGES, FLOWERS, PhotoClassifier

PATH = Path(__file__).resolve().parents[2] / "examples" / "train_photo_classifier.py"
SPEC = spec_from_file_location("train_photo_classifier", PATH)
example = module_from_spec(SPEC)
SPEC.loader.exec_module(example)


@pytest.fixture
def folder(tmp_path):
    """A folder with two photos of each flower for training and one for testing, and their photographers."""
    rng, lines = np.random.default_rng(0), ["the license"]
    for split, numbers in (("train", (1, 2)), ("test", (3,))):
        for k, flower in enumerate(FLOWERS):
            (tmp_path / "photos" / split / flower).mkdir(parents=True)
            for number in numbers:
                name = f"{split}/{flower}/{k}{number}_a.jpg"
                levels = rng.integers(256, size=(16, 16, 3), dtype=np.uint8)
                Image.fromarray(levels).resize((128, 128)).save(tmp_path / "photos" / name)
                lines.append(f"{name} CC-BY by Ann - B - https://www.flickr.com/photos/ann{number % 2}/{k}{number}/")
    (tmp_path / "photos" / "ATTRIBUTION.txt").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path / "photos"


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["train_photo_classifier.py", *map(str, arguments)])
    example.main()


def test_every_damage_changes_a_photo_and_stays_in_range():
    rng, seen = np.random.default_rng(0), {}
    x = rng.uniform(-1, 1, (64, 64, 3)).astype(np.float32)
    for _ in range(300):
        y, way = example.damage(x, rng)
        assert y.shape == x.shape and np.abs(y).max() <= 1
        seen.setdefault(way, []).append(np.abs(y - x).mean())
    assert seen.keys() == set(range(len(DAMAGES)))
    assert max(seen.pop(0)) == 0 and min(map(min, seen.values())) > 0
    for first in (1, 4, 7, 10):  # the three levels of each sort
        assert np.mean(seen[first]) < np.mean(seen[first + 1]) < np.mean(seen[first + 2])


def test_a_photo_is_turned_by_as_many_quarters_as_it_says():
    x = np.zeros((40, 64, 64, 3), np.float32)
    x[:, 0, 0] = 1  # a light corner
    y, turns, ways = example.spoil(x, np.random.default_rng(0))
    corners = y.mean(axis=3)[:, [0, -1, -1, 0], [0, 0, -1, -1]]  # in the order of quarter turns against the clock
    for turn, corner in zip(turns[ways == 0], corners[ways == 0], strict=True):
        assert corner.argmax() == turn
    assert set(turns) == {0, 1, 2, 3}


def test_a_seed_gives_one_file_and_left_out_photos_are_not_used(folder, tmp_path, monkeypatch, capsys):
    def written(out, seed, *more):
        small = ("--data", folder, "--steps", 2, "--batch-size", 4)
        run(monkeypatch, *small, "--seed", seed, "--out", tmp_path / out, *more)
        return (tmp_path / out / "photo_classifier.npz").read_bytes()

    first = written("a", 0)
    assert first == written("b", 0) != written("c", 1)
    assert "training with photos: 10 pictures" in capsys.readouterr().out
    mine = PhotoClassifier(weights=tmp_path / "a" / "photo_classifier.npz")
    assert mine.network.state_dict().keys() == PhotoClassifier().network.state_dict().keys()
    text = (tmp_path / "a" / "photo_classifier_attribution.txt").read_text(encoding="utf-8")
    assert text.endswith("\nAnn - B (ann0): 02 12 22 32 42\nAnn - B (ann1): 01 11 21 31 41\n")

    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "01_a.jpg").touch()
    written("d", 0, "--without", tmp_path / "kept")
    assert "training with photos: 9 pictures" in capsys.readouterr().out
    assert " 01 " not in (tmp_path / "d" / "photo_classifier_attribution.txt").read_text(encoding="utf-8")


def test_other_folders_are_refused(folder, tmp_path, monkeypatch, capsys):
    lines = (folder / "ATTRIBUTION.txt").read_text(encoding="utf-8").splitlines()
    (folder / "ATTRIBUTION.txt").write_text("\n".join(lines[:-6]), encoding="utf-8")
    (tmp_path / "no").mkdir()
    for wrong, sentence in ((folder, "has no line for"), (tmp_path / "no", "has no pictures in it")):
        with pytest.raises(SystemExit, match="2"):
            run(monkeypatch, "--data", wrong, "--out", tmp_path / "out")
        assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
