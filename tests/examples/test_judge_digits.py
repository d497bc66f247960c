"""The judge of examples/judge_digits.py, before generators of which one knows what they draw."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from minigan.data import open_digits
from minigan.training.checkpoint import save_checkpoint
from minigan.training.run import RunConfig, RunFolder

PATH = Path(__file__).resolve().parents[2] / "examples" / "judge_digits.py"
SPEC = spec_from_file_location("judge_digits", PATH)
judge = module_from_spec(SPEC)
SPEC.loader.exec_module(judge)
DIGITS = open_digits(16)


class Planted:
    """A "generator" that draws real digits: of the classes that `choose` makes of those it is asked for."""

    def __init__(self, n_classes=0, choose=lambda labels: labels):
        self.n_classes, self.choose = n_classes, choose

    def latent(self, n, rng):
        return rng.random(n)

    def generate(self, z, labels=None):
        labels = (np.arange(len(z)) if labels is None else labels) % 10
        of_class = [np.flatnonzero(DIGITS.labels == k) for k in range(10)]
        chosen = [of_class[k][int(u * len(of_class[k]))] for k, u in zip(self.choose(labels), z, strict=True)]
        return DIGITS.batch(np.array(chosen))


@pytest.fixture(scope="module")
def opinion():
    """What a classifier that has learnt for a short time says of a generator's 500 samples."""
    classifier = judge.build_classifier(DIGITS.shape, 10, np.random.default_rng(0))
    judge.train(classifier, DIGITS, 150, seed=0)

    def of(gan):
        x, asked = judge.draw(gan, 500, np.random.default_rng(1))
        return judge.verdict(judge.probabilities(classifier, x), asked)

    return of


def test_real_digits_are_digits_of_all_ten_classes(opinion):
    found = opinion(Planted())
    assert found["sure"] > 0.5 and found["present"] == 10 and "right" not in found
    np.testing.assert_allclose(found["shares"], [0.1] * 10 + [0], atol=0.03)


def test_a_generator_that_does_what_it_is_asked_is_right(opinion, monkeypatch):
    monkeypatch.setattr(judge, "AT_ONCE", 33)  # so that parts don't begin with class 0
    found = opinion(Planted(n_classes=10))
    assert found["all right"] > 0.95 and found["right"].min() > 0.8


def test_a_generator_that_always_draws_the_next_digit_is_always_wrong(opinion):
    found = opinion(Planted(n_classes=10, choose=lambda labels: (labels + 1) % 10))
    assert found["all right"] < 0.05 and found["right"].max() < 0.2 and found["present"] == 10


def test_a_generator_of_sixes_has_one_class(opinion):
    found = opinion(Planted(choose=lambda labels: np.full_like(labels, 6)))
    assert found["present"] == 1 and found["shares"].argmax() == 6 and found["shares"][6] > 0.95


def test_noise_and_digits_in_pieces_are_no_digits(opinion):
    pictures = {"noise": lambda x, z: np.random.default_rng(2).uniform(-1, 1, x.shape).astype(np.float32)}
    pictures["pieces"] = lambda x, z: np.roll(x, (8, 8), axis=(1, 2))
    for name, spoil in pictures.items():
        gan = Planted()
        draw = gan.generate
        gan.generate = lambda z, labels, draw=draw, spoil=spoil: spoil(draw(z, labels), z)
        found = opinion(gan)
        assert found["sure"] < 0.02 and found["shares"][10] > 0.9, (name, found)


def test_the_numbers_are_those_of_the_definition():
    """200 samples of 2 classes and "none": a class is there from 1 % on, and only sure samples count for it."""
    rows = 150 * [[0.97, 0.02, 0.01]] + 40 * [[0.10, 0.90, 0.00]] + 1 * [[0.02, 0.98, 0]] + 9 * [[0.01, 0, 0.99]]
    asked = np.arange(200) % 2
    found = judge.verdict(np.array(rows), asked)
    assert (found["sure"], found["present"]) == (151 / 200, 1)
    np.testing.assert_allclose(found["shares"], [0.75, 0.205, 0.045])
    np.testing.assert_allclose(found["right"], [75 / 100, 20 / 100])  # of rows 150 to 190, the 20 with odd numbers
    assert found["all right"] == 95 / 200
    rows[189] = rows[190]
    assert judge.verdict(np.array(rows))["present"] == 2


def test_a_picture_has_a_column_for_each_class_with_the_surest_on_top():
    """Grey levels tell the samples apart. 4 are called 0, of which the surest and the least sure fit; 1 is "none"."""
    level = np.array([-1, -0.5, 0, 0.5, 0.8], np.float32)
    x = np.broadcast_to(level[:, None, None, None], (5, 4, 4, 1))
    p = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.9, 0, 0.1], [0.5, 0.4, 0.1], [0, 0.2, 0.8]])
    pixels = np.asarray(judge.in_columns(x, p, rows=2))[..., 0]
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 3
    seen = pixels[height // 2 :: height, width // 2 :: width]
    np.testing.assert_array_equal(seen, [[128, 255, 230], [191, 255, 255]])


def test_a_seed_gives_one_classifier_which_is_kept(tmp_path, capsys):
    def state(folder, seed):
        folder.mkdir(exist_ok=True)
        return judge.get_classifier("digits", (16, 16, 1), 2, seed, folder).state_dict()

    first, again, other = state(tmp_path / "a", 0), state(tmp_path / "b", 0), state(tmp_path / "b", 1)
    assert all((first[name] == again[name]).all() for name in first)
    assert any((first[name] != other[name]).any() for name in first)
    capsys.readouterr()
    kept = state(tmp_path / "a", 0)
    assert all((first[name] == kept[name]).all() for name in first)
    assert "training" not in capsys.readouterr().out


def test_what_is_held_out_is_not_trained_on():
    data, held_out = judge.open_halves("digits", (16, 16, 1), seed=0)
    assert (len(data), len(held_out)) == (1438, 359)
    together = np.concatenate([data.samples, held_out.samples]).reshape(1797, -1)
    np.testing.assert_array_equal(np.sort(together.sum(axis=1)), np.sort(DIGITS.samples.reshape(1797, -1).sum(axis=1)))


def test_judges_runs_and_says_what_is_wrong_with_one(tmp_path, monkeypatch, capsys):
    def begin(name, model, **model_args):
        config = RunConfig(model, model_args, "digits", DIGITS.shape, len(DIGITS), 8, 1)
        run = RunFolder(tmp_path / name)
        run.create(config)
        state = {"model": model, "step": 0, "position": 0, "seconds": 0, "rng": {}}
        save_checkpoint(run.checkpoint, config.build_gan(), state)
        return str(run.path)

    def main(*arguments):
        small = ["--steps", "2", "--samples", "30", "--out", str(tmp_path / "out")]
        monkeypatch.setattr(sys, "argv", ["judge_digits.py", *arguments, *small])
        judge.main()

    plain, told = begin("plain", "dcgan", features=2), begin("told", "cgan", n_classes=10)
    main(plain, told)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-4:-1]] == ["plain", "told", "as"]
    assert {"plain.png", "told.png"} <= {path.name for path in (tmp_path / "out").iterdir()}
    for arguments, message in {
        (str(tmp_path),): "config.json",
        (plain, plain): "same name",
        (begin("three", "cgan", n_classes=3),): "3 classes",
    }.items():
        with pytest.raises(SystemExit, match="2"):
            main(*arguments)
        assert message in capsys.readouterr().err
