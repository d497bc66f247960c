"""What the doctor reports of samples: collapse, noise, runs that are too short."""

from dataclasses import replace

import numpy as np
import pytest
from doctored import OTHERS, REAL, exhibit, gray, look, make, said

from minigan.data import open_dataset
from minigan.model import Exhibit
from minigan.training.doctor.likeness import fitted
from minigan.training.doctor.rules import FEW_STEPS, GRACE, LATE, LOOKS, NOISY, SETTLED


def test_other_real_samples_are_as_diverse_as_real_ones():
    found = look(make(), *[OTHERS] * 20, start=GRACE)
    assert 0.8 < found[0][0] < 1.25
    assert said(found) == []


def test_the_same_picture_again_and_again_is_a_collapse_from_the_first_steps_on():
    found = look(make(), *[np.repeat(REAL[:1], 64, axis=0)] * 10)
    assert found[0][0] == 0
    (note,) = said(found)
    assert note.check == "collapse"
    assert note.sentence.startswith("mode collapse: all 64 samples are the same, since step 100: try --lr 0.0001, ")


@pytest.mark.parametrize("different", [2, 4, 10])
def test_a_few_different_pictures_are_a_collapse_though_their_spread_is_that_of_the_data(different):
    few = REAL[np.arange(64) % different]
    spread = few.reshape(64, -1).var(axis=0).sum() / REAL.reshape(64, -1).var(axis=0).sum()
    assert spread > 0.4
    noise = 1e-3 * np.random.default_rng(0).standard_normal(REAL.shape, dtype=np.float32)
    for samples in (few, few + noise):
        (note,) = said(look(make(), *[samples] * 10))
        assert f"the 64 samples are only {different} different ones" in note.sentence


@pytest.mark.parametrize("size", [2, 8, 32, 64])
def test_a_generator_that_knows_a_small_data_set_by_heart_has_not_collapsed(size):
    doctor, rng = make(real=REAL[:size]), np.random.default_rng(0)
    assert said(look(doctor, *[REAL[rng.integers(size, size=64)] for _ in range(20)], start=LATE)) == []


def test_a_generator_that_has_not_learned_yet_is_given_time():
    for amount in (0.02, 0.1):
        assert said(look(make(), *[gray(amount)] * 9)) == []
    found = said(look(make(), *[gray(0.02)] * 9, start=GRACE))
    assert ["since step 1000" in note.sentence for note in found] == [True]
    assert said(look(make(), *[gray(0.1)] * 9, start=GRACE)) == []
    assert len(said(look(make(), *[gray(0.1)] * 9, start=LATE))) == 1


def test_a_generator_that_has_known_better_is_given_none():
    found = look(make(), OTHERS, *[gray(0.1)] * 5)
    (note,) = said(found)
    assert [bool(notes) for _, notes in found].index(True) == LOOKS
    assert "the samples differ only 9.2 % as much as real data, since step 200" in note.sentence


def test_the_picture_before_the_first_step_does_not_count():
    doctor = make()
    for _ in range(10):
        assert doctor.inspect(0, exhibit(np.zeros_like(REAL)))[1] == []


def test_points_that_leave_half_of_the_modes_alone():
    ring = open_dataset("ring")
    real, labels = ring.batch(np.arange(1000)), ring.labels[:4000]
    samples = ring.batch(np.arange(4000))
    doctor = make("gan", real=real, shape=(2,))
    assert 0.9 < look(doctor, samples[:1000], start=GRACE)[0][0] < 1.1
    some = samples[labels < 3][:1000]
    assert said(look(doctor, *[some] * 5)) == []  # early: they may wander
    ((diversity, _),) = look(doctor, some, start=900)
    assert diversity == pytest.approx(3 / 8, abs=0.1)
    assert said(look(doctor, *[some] * 9, start=GRACE)) == []
    (note,) = said(look(doctor, *[some] * 9, start=SETTLED))
    assert "of the data have a generated point near them" in note.sentence
    alike = make("gan", real=real, shape=(2,))
    assert "all 256 samples are the same" in said(look(alike, *[np.ones((1000, 2))] * 3))[0].sentence


def test_samples_of_which_nothing_can_be_said():
    doctor = make()
    assert doctor.inspect(100, exhibit(np.full_like(REAL, np.nan))) == ({}, [])
    assert said(look(doctor, REAL[:1], *[np.full_like(REAL, np.inf)] * 9)) == []
    for one_real in (make(real=REAL[:1]), make(real=None)):
        assert one_real.inspect(100, exhibit(np.zeros_like(REAL))) == ({}, [])


NOISE = np.random.default_rng(0).standard_normal(REAL.shape)


def test_a_short_run_is_told_at_its_end_and_if_its_samples_are_noise_that_too():
    doctor = make(changes={"n_steps": 75})
    assert said(look(doctor, OTHERS, start=50)) == []
    (note,) = said(look(doctor, OTHERS, start=75))
    assert note.check == "steps"
    few = "75 steps are few for pictures, however few of those there are"
    assert note.sentence == f"{few}: try --resume with --n-steps 4000"
    doctor.context.config = replace(doctor.context.config, n_steps=150)  # resumed
    assert said(look(doctor, OTHERS, start=150))[0].sentence.startswith("150 steps are few")
    (note,) = said(look(make(changes={"n_steps": 75}), NOISE, start=75))
    assert f"{few}, and the samples are still noise (neighboring pixels correlate by " in note.sentence
    assert "in the data by 0.8" in note.sentence


def test_what_is_no_short_run():
    for model, changes in (
        ("dcgan", {"n_steps": FEW_STEPS}),
        ("dcgan", {"n_steps": 75, "init_from": "run"}),  # the other run's steps count
        ("gan", {"n_steps": 75}),  # points
    ):
        doctor = make(model, real=None, changes=changes)
        samples = OTHERS if model == "dcgan" else OTHERS.reshape(-1, 2)[:1000]
        assert said(look(doctor, samples, start=changes["n_steps"])) == []


def test_noise_is_told_when_it_stays_and_at_the_end():
    assert said(look(make(), *[NOISE] * 5, start=NOISY - 500)) == []
    (note,) = said(look(make(), *[NOISE] * LOOKS, start=NOISY))
    assert note.check == "noise"
    assert note.sentence.startswith(f"after {NOISY + 100 * (LOOKS - 1)} steps the samples are still noise (neighb")
    assert note.sentence.endswith("try --n-steps 40000, --lr 0.0001 or another --seed")
    ended = make(changes={"n_steps": FEW_STEPS})
    assert [note.check for note in said(look(ended, NOISE, start=FEW_STEPS))] == ["noise"]


@pytest.mark.parametrize(("real", "samples"), [(NOISE, NOISE), (None, NOISE), (REAL, np.zeros_like(REAL))])
def test_where_noise_is_what_was_asked_for_or_none_can_be_told(real, samples):
    checks = {note.check for note in said(look(make(real=real), *[samples] * 10, start=NOISY))}
    assert "noise" not in checks


def test_pictures_at_a_lower_resolution_are_compared_with_real_ones_of_that_size():
    doctor = make()
    means = OTHERS.reshape(64, 8, 2, 8, 2, 1).mean(axis=(2, 4))
    assert np.allclose(fitted(OTHERS, (8, 8, 1)), means)
    assert 0.8 < look(doctor, means)[0][0] < 1.25
    (note,) = said(look(doctor, *[np.repeat(means[:1], 64, axis=0)] * 3))
    assert note.check == "collapse"
    for shape in ((5, 5, 1), (8, 8, 3), (2,)):
        assert fitted(OTHERS, shape) is None
        assert doctor.inspect(100, exhibit(np.zeros((64, *shape)))) == ({}, [])


def test_several_exhibits_have_signs_of_their_own_and_others_are_left_alone():
    """Only samples of latents can collapse: a translation of one picture may be shown 64 times."""
    doctor, same = make(), np.repeat(REAL[:1], 64, axis=0)
    shown = {"translations": Exhibit(same), "good": Exhibit(OTHERS, like="real"), "bad": Exhibit(same, like="real")}
    found = [doctor.inspect(100 * i, shown) for i in range(1, 10)]
    assert found[0][0].keys() == {"diversity", "diversity.bad"}
    (note,) = said(found)
    assert note.sentence.startswith("mode collapse in bad: all 64 samples are the same, since step 100: try ")
