"""examples/train_classifier.py in parts: what is trained with, what is held out, what is no digit, what is written."""

import struct
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from minigan.data import open_digits
from minigan.metrics.classifier import DigitClassifier

PATH = Path(__file__).resolve().parents[2] / "examples" / "train_classifier.py"
SPEC = spec_from_file_location("train_classifier", PATH)
example = module_from_spec(SPEC)
SPEC.loader.exec_module(example)
DIGITS = open_digits(28)


def write_idx(folder, n, classes=10):
    """A folder with the files of an MNIST of n pictures for training and 10 for testing: white squares."""
    folder.mkdir()
    for prefix, count in (("train", n), ("t10k", 10)):
        pictures = np.zeros((count, 28, 28), np.uint8)
        pictures[:, 8:20, 8:20] = 255
        header = struct.pack(">IIII", 0x803, *pictures.shape)
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(header + pictures.tobytes())
        labels = (np.arange(count) % classes).astype(np.uint8)
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, count) + labels.tobytes())
    return str(folder)


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["train_classifier.py", *arguments])
    example.main()


def test_what_is_held_out_is_not_trained_on():
    train, held_out = example.open_sets("digits")["digits"]
    assert (len(train), len(held_out)) == (1438, 359)
    np.testing.assert_array_equal(np.concatenate([train.samples, held_out.samples]), DIGITS.samples)
    np.testing.assert_array_equal(np.concatenate([train.labels, held_out.labels]), DIGITS.labels)


def test_the_small_set_is_repeated_to_an_eighth_of_the_large_one(tmp_path):
    sets = example.open_sets(write_idx(tmp_path / "many", 30_000))
    assert [len(held_out) for _, held_out in sets.values()] == [359, 10]
    data = example.mixed(sets)
    assert len(data) == 30_000 + 2 * 1438
    twice = data.select(np.arange(2 * 1438))
    np.testing.assert_array_equal(twice.samples[1438:], DIGITS.samples[:1438])
    np.testing.assert_array_equal(twice.labels, np.tile(DIGITS.labels[:1438], 2))


def test_half_of_the_pictures_lose_detail_and_stay_what_they_are():
    x = DIGITS.batch(np.arange(100))
    y = example.lose_detail(x, np.random.default_rng(0))
    assert y.dtype == np.float32 and np.array_equal(y[50:], x[50:])
    error = np.abs(y - x)[:50].mean(axis=(1, 2, 3))
    assert np.all(error > 0) and error.max() < 0.1  # of a range of 2


def test_half_of_the_pictures_get_a_little_noise():
    y = example.speckle(np.zeros((400, 28, 28, 1), np.float32), np.random.default_rng(0))
    deviation = y.std(axis=(1, 2, 3))
    assert abs((deviation == 0).mean() - 0.5) < 0.1 and 0.18 < deviation.max() < 0.22
    y = example.speckle(DIGITS.batch(np.arange(100)), np.random.default_rng(0))
    assert y.dtype == np.float32 and np.abs(y).max() <= 1


def test_no_digits_are_noise_pieces_and_two_on_top_of_each_other():
    x, labels = DIGITS.batch(np.arange(90)), DIGITS.labels[:90]
    nothing = example.no_digits(x, labels, np.random.default_rng(0))
    assert 60 < len(nothing) <= 90 and nothing.dtype == np.float32 and np.abs(nothing).max() <= 1
    noise, pieces, pairs = nothing[:30], nothing[30:60], nothing[60:]
    assert len(np.unique(noise.mean(axis=(1, 2, 3)).round(3))) > 20  # dark, light, and in between
    contrast = noise.std(axis=(1, 2, 3))
    assert contrast.min() < 0.1 < 0.5 < contrast.max()
    np.testing.assert_array_equal(pieces[:, :14, :14], x[30:60, 14:, 14:])
    np.testing.assert_array_equal(pieces[:, 14:, :14], x[30:60, :14, 14:])
    for pair in pairs:  # each is at least as light everywhere as two digits of different classes
        below = labels[np.flatnonzero((pair >= x).all(axis=(1, 2, 3)))]
        assert len(np.unique(below)) >= 2


def test_a_pair_of_the_same_class_may_be_a_digit_and_is_left_out():
    x, labels = DIGITS.batch(np.arange(90)), np.zeros(90, int)
    assert len(example.no_digits(x, labels, np.random.default_rng(0))) == 60


def test_a_seed_gives_one_file_and_that_is_what_ships(tmp_path, monkeypatch, capsys):
    few = {"digits": (DIGITS.select(np.arange(100)), DIGITS.select(np.arange(100, 120)))}
    monkeypatch.setattr(example, "open_sets", lambda spec: few)

    def written(folder, seed):
        small = ["--data", "digits", "--steps", "3", "--batch-size", "16"]
        run(monkeypatch, *small, "--seed", str(seed), "--out", str(tmp_path / folder))
        return (tmp_path / folder / "digit_classifier.npz").read_bytes()

    first = written("a", 0)
    assert first == written("b", 0) != written("c", 1)
    shown = capsys.readouterr().out
    for size in ("16x16", "28x28"):
        assert f"digits at {size}: " in shown
    mine = DigitClassifier(weights=tmp_path / "a" / "digit_classifier.npz")
    assert mine.network.state_dict().keys() == DigitClassifier().network.state_dict().keys()
    assert len(first) < 300_000


@pytest.mark.slow
def test_learns_digits_within_150_steps():
    """From one guess in ten right to nearly all."""
    network = example.build_classifier(np.random.default_rng(0))
    train, held_out = example.open_sets("digits")["digits"]
    example.train(network, train, 150, seed=0, batch_size=32)
    logits, _ = network.forward(held_out.batch(np.arange(len(held_out))), train=False)
    assert (logits[:, :10].argmax(axis=1) == held_out.labels).mean() > 0.9
    noise, _ = network.forward(example.new_noise(200, np.random.default_rng(1)), train=False)
    assert (noise.argmax(axis=1) == example.NONE).mean() > 0.9


@pytest.mark.parametrize("classes", [9, 11])
def test_other_sets_are_refused(classes, tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, "--data", write_idx(tmp_path / "other", 20, classes), "--out", str(tmp_path / "out"))
    assert "no labels of ten digits" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
