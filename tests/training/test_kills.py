"""Runs that are killed and go on end as if nothing had happened. More of it: python tests/training/kills.py."""

import pytest
from kills import TRANSLATORS, of_a_gan, of_a_translator, try_training


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", ["dcgan", "wgan-gp", "sngan", "attention", "biggan", "lapgan", "progan", "stylegan", "ganomaly", "vaegan"]
)
def test_a_run_that_is_killed_again_and_again_ends_like_an_unbroken_one(model):
    tally = try_training(of_a_gan(model), kills=6)
    assert tally.problems == []
    assert tally.kills == 6


@pytest.mark.slow
def test_so_does_one_with_penalties_in_every_4th_and_16th_step():
    """It goes on from checkpoints of every 7th step, so most of the kills are made good between two penalties."""
    tally = try_training(of_a_gan("stylegan2"), kills=20)
    assert tally.problems == []
    assert tally.kills == 20


@pytest.mark.slow
@pytest.mark.parametrize("model", TRANSLATORS)
def test_so_does_a_translator(model, tmp_path):
    tally = try_training(of_a_translator(model, tmp_path), kills=6)
    assert tally.problems == []
    assert tally.kills == 6
