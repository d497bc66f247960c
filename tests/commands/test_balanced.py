"""`minigan sample --balanced --separate`: a folder for each class, which a classifier may filter."""

import os
from pathlib import Path

import numpy as np
import pytest
from command_line import in_an_empty_folder, refused, run  # noqa: F401

from minigan.commands import balanced, sample
from minigan.commands.balanced import class_folders
from minigan.data import open_dataset

TINY = "--features 2 --latent-dim 4 --batch-size 8 --limit 64 --n-steps 2 --quiet"


@pytest.fixture(scope="module", autouse=True)
def trained(tmp_path_factory):
    """The folders of a run with ten classes and of one without."""
    folder = tmp_path_factory.mktemp("balanced")
    for name in ("cdcgan", "dcgan"):
        assert run(f"train {name} {TINY} --out {folder / name}") == 0
    return folder


def test_the_folders_are_a_data_set_with_as_many_pictures_of_each_class(trained, capsys):
    assert run(f"sample {trained}/cdcgan --balanced --separate --n 30 --out out") == 0
    assert capsys.readouterr().out == "3 pictures of each of 10 classes in out\n"
    data = open_dataset("out", 16, channels=1)
    assert data.classes == list("0123456789") and np.bincount(data.labels).tolist() == [3] * 10


def test_each_folder_has_the_samples_of_its_class(trained, monkeypatch):
    """A generator that paints the label, in batches of 2."""
    monkeypatch.setattr(balanced, "AT_ONCE", 2)
    paint = lambda gan, z, labels: np.zeros((len(z), 16, 16, 1), np.float32) + labels[:, None, None, None] / 10  # noqa: E731
    monkeypatch.setattr("minigan.gans.CDCGAN.generate", paint)
    assert run(f"sample {trained}/cdcgan --balanced --separate --n 30 --out out") == 0
    data = open_dataset("out", 16, channels=1)
    np.testing.assert_allclose(data.batch(np.arange(30))[:, 0, 0, 0], data.labels / 10, atol=1.01 / 255)


def test_the_filter_writes_what_the_classifier_finds_to_be_of_the_class(trained, monkeypatch, capsys):
    """A generator that draws every other real digit of a wrong class: a classifier learns to tell these."""
    assert run(f"train cdcgan {TINY.replace('64', '600')} --out run") == 0
    digits = open_dataset("digits", 16)
    of = [np.flatnonzero(digits.labels == k) for k in range(10)]
    monkeypatch.setattr("minigan.gans.CDCGAN.latent", lambda gan, n, rng: rng.integers(0, 150, (n, 1)))

    def draw(gan, z, labels):
        wrong = z[:, 0] % 2
        return digits.batch(np.array([of[(k + w) % 10][i] for k, w, i in zip(labels, wrong, z[:, 0], strict=True)]))

    monkeypatch.setattr("minigan.gans.CDCGAN.generate", draw)
    monkeypatch.setattr(balanced, "STEPS", 30)
    monkeypatch.setattr(balanced, "AT_ONCE", 8)
    assert run("sample run --balanced --separate --filter --n 100 --out out") == 0
    assert "of 60 pictures that it wasn't trained on" in capsys.readouterr().out
    found, right = (
        open_dataset("out", 16, channels=1),
        {k: {digits.batch(of[k])[i].tobytes() for i in range(150)} for k in range(10)},
    )
    share = np.mean([x.tobytes() in right[k] for x, k in zip(found.batch(np.arange(100)), found.labels, strict=True)])
    assert share > 0.85, "without the filter it is about a half"


def test_a_class_that_is_never_recognized_ends_in_a_sentence(trained, monkeypatch, capsys):
    monkeypatch.setattr(sample, "trained_filter", lambda *_: lambda samples, k: np.full(len(samples), k < 1))
    assert run(f"sample {trained}/cdcgan --balanced --separate --filter --n 10 --out out") == 2
    assert "drawn for class 1, the classifier accepts only 0: train the GAN longer" in capsys.readouterr().err
    assert os.listdir("out/0") == ["00000.png"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("cdcgan --balanced", "makes a folder for each class: add --separate"),
        ("cdcgan --filter", "chooses what --balanced writes: add --balanced --separate"),
        ("cdcgan --balanced --separate --class 3", "draws all classes: leave out --class"),
        ("cdcgan --balanced --separate --seed 1,2", "give one number to --seed"),
        ("cdcgan --balanced --separate --n 15", "divided equally among 10 classes: give 20 to --n"),
        ("cdcgan --balanced --separate --filter 1.5", "1.5"),
        ("dcgan --balanced --separate", "dcgan was trained without labels"),
    ],
)
def test_what_can_not_be_balanced_is_a_sentence(line, why, trained, capsys):
    assert why in refused(capsys, f"sample {trained}/{line} --out out")


def test_pictures_that_are_there_already_are_not_mixed_with_new_ones(trained, capsys):
    os.makedirs("out/4")
    Path("out/4/old.png").touch()
    assert "out/4 has files already" in refused(capsys, f"sample {trained}/cdcgan --balanced --separate --out out")


def test_folders_are_named_after_the_classes_and_stay_in_their_place(tmp_path):
    assert [path.name for path in class_folders(tmp_path, 3, ("a cat", "dog"))] == ["a-cat", "dog", "2"]
    assert [path.name for path in class_folders(tmp_path, 2, ("a/b", "A b"))] == ["0-a-b", "1-A-b"]
    assert [path.name for path in class_folders(tmp_path, 2, ("..", "x"))] == ["0-", "1-x"]
