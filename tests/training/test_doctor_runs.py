"""The doctor in real runs: silent in those that go well, and not in those that don't."""

from dataclasses import replace

import numpy as np
import pytest
from tiny import CONFIG, make_run, newest, train

from minigan.training import RunFolder
from minigan.training.plan import new_plan
from minigan.training.session import train as train_model


def notes(folder):
    """What was said, but for that the run is short, which it is."""
    found = [note for record in RunFolder(folder).records.read() for note in record.get("notes", [])]
    return [note for note in found if note["check"] != "steps"]


def run(folder, plant=lambda model: None, config=CONFIG, **changes):
    one = make_run(folder, replace(config, **changes))
    plant(one.model)
    assert train(one) == 0
    return notes(folder)


def only(different):
    """A generator that is trained with, and draws from, so many latents and no others."""

    def plant(model):
        few = model.latent(different, np.random.default_rng(5))
        model.latent = lambda n, rng: few[np.arange(n) % different]

    return plant


@pytest.mark.parametrize(("different", "said"), [(1, "all 64 samples are the same"), (4, "are only 4 different ones")])
def test_a_generator_that_knows_a_few_pictures_is_found_out(tmp_path, different, said):
    found = run(tmp_path / "run", only(different), n_steps=30, sample_interval=10)
    assert [note["check"] for note in found] == ["collapse"]
    assert said in found[0]["sentence"]
    assert "since step 10" in found[0]["sentence"]


def test_a_learning_rate_of_ten_is_told_before_the_first_step_and_what_becomes_of_the_weights(tmp_path):
    found = run(tmp_path / "run", n_steps=30, sample_interval=100, model_args=CONFIG.model_args | {"lr": 10.0})
    assert [note["check"] for note in found] == ["lr", "lr", "weights", "weights"]
    assert "the weights of G explode" in found[2]["sentence"]


@pytest.mark.slow
def test_a_run_that_goes_on_says_what_an_unbroken_one_says(tmp_path):
    settings = {"sample_interval": 10, "checkpoint_interval": 20, "n_steps": 40}
    unbroken = run(tmp_path / "unbroken", only(1), **settings)
    run(tmp_path / "broken", only(1), **settings | {"n_steps": 20})
    again = make_run(tmp_path / "broken", replace(CONFIG, **settings))
    only(1)(again.model)
    again.resume(newest(tmp_path / "broken"))
    train(again)
    assert notes(tmp_path / "broken") == unbroken != []


# Defaults, but for the length, and for the width of networks that take long. All models, early and late.
HEALTHY = [
    ("dcgan", "digits", {}, 300),
    ("dcgan", "digits", {"features": 16}, 700),
    ("lsgan", "digits", {"features": 16}, 400),
    ("sngan", "digits", {"features": 16}, 400),
    ("cdcgan", "digits", {"features": 16}, 400),
    ("wgan-gp", "digits", {"features": 8}, 150),
    ("wgan", "digits", {"features": 4}, 50),
    ("gan", "digits", {}, 400),
    ("cgan", "digits", {}, 400),
    ("gan", "ring", {}, 1500),
    ("lsgan", "ring", {}, 800),
    ("sngan", "ring", {}, 800),
    ("cgan", "ring", {}, 800),
    ("wgan", "ring", {}, 300),
    ("wgan-gp", "ring", {}, 600),
    ("dcgan", "shapes", {"features": 8}, 60),
]


@pytest.mark.slow
@pytest.mark.parametrize(("model", "data", "options", "n_steps"), HEALTHY)
def test_nothing_is_said_of_a_run_that_goes_well(tmp_path, model, data, options, n_steps):
    seed = n_steps % 7  # not always the same
    train_model(model, data, tmp_path / "run", quiet=True, n_steps=n_steps, seed=seed, **options)
    assert notes(tmp_path / "run") == []


@pytest.mark.slow
@pytest.mark.parametrize("different", [1, 4])
def test_a_collapse_of_the_default_dcgan(tmp_path, different):
    config = new_plan({"model": "dcgan", "data": "digits", "n_steps": 60, "sample_interval": 20}).config
    found = run(tmp_path / "run", only(different), config)
    assert [note["check"] for note in found] == ["collapse"]
