"""The minute of DCGAN, shortened, and the comparison of its bits."""

import itertools

import numpy as np
import pytest
from parts import a_part
from PIL import Image

from minigan.selftest import training
from minigan.training.stepper import Stepper


def test_a_seed_gives_the_same_bits_and_a_resume_too(capsys):
    part = a_part()
    training.repeats(part)
    assert part.failures == 0
    assert capsys.readouterr().out.count("the same bits") == 2


@pytest.mark.slow
def test_other_noise_after_a_resume_is_found(monkeypatch, capsys):
    count = itertools.cycle(range(10))  # the resumed run begins with the noise of step 0
    begin_step = Stepper.begin_step
    other = lambda self: (self.model.device.rng(next(count)), begin_step(self)[1])  # noqa: E731
    monkeypatch.setattr(Stepper, "begin_step", other)
    part = a_part()
    training.repeats(part)
    assert part.failures == 1
    assert "FAILED: five of ten steps after a resume give other weights" in capsys.readouterr().out


def test_a_short_training_leaves_a_picture(tmp_path, capsys):
    part = a_part(tmp_path)
    training.train(part, 0.5)
    shown = capsys.readouterr().out
    assert part.failures == 0
    assert "ms a step" in shown
    assert "d_loss" in shown
    with Image.open(tmp_path / "dcgan.png") as picture:
        assert picture.size[0] > 8 * 28


def test_a_loss_that_is_not_finite_ends_it(tmp_path, monkeypatch, capsys):
    def step(self, next_batch, rng, now):
        return {"d_loss": np.float32(np.nan)}

    monkeypatch.setattr("minigan.gans.DCGAN.step", step)
    part = a_part(tmp_path)
    training.train(part, 0.5)
    assert part.failures == 1
    assert "a loss isn't finite after 10 steps" in capsys.readouterr().out
