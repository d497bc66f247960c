import json
import math
import re
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.commands.options import model_options
from minigan.data import open_dataset
from minigan.errors import CheckpointError
from minigan.gans import MODELS
from minigan.layers import Dense, Sequential
from minigan.testing import STRICT
from minigan.testing.strict import forbid_transfers
from minigan.training.doctor import (
    FEW_STEPS,
    GRACE,
    LATE,
    LOOKS,
    NOISY,
    PATIENCE,
    SETTLED,
    SMALL_BATCH,
    SOON,
    WELL,
    Doctor,
)
from minigan.training.run import RunConfig

SMALL = {"latent_dim": 3, "features": 2}
OWN = {"gan": {}, "cgan": {"n_classes": 2}, "cdcgan": SMALL | {"n_classes": 2}}
SHAPES = {"gan": (2,), "cgan": (2,)}  # their networks for pictures are large
OBJECTIVES = ("dcgan", "lsgan", "sngan", "wgan", "wgan-gp")  # a model for each, and one with a penalty
DIGITS = open_dataset("digits", limit=128)
REAL, OTHERS = DIGITS.batch(np.arange(64)), DIGITS.batch(np.arange(64, 128))


def make(model="dcgan", real=REAL, device="cpu", shape=None, batch_size=64, changes=None, **given):
    """A doctor with its GAN; the configuration holds every option, as that of the command line does."""
    shape = shape or SHAPES.get(model, (16, 16, 1))
    args = {name: option.default for name, option in model_options(MODELS[model]).items()}
    args |= OWN.get(model, SMALL) | given
    gan = MODELS[model](shape, **args, rng=np.random.default_rng(0), device=device)
    config = RunConfig(model, args, "digits", shape, 1000, batch_size, 20_000)
    return Doctor(gan, replace(config, **changes or {}), real)


def healthy(step, doctor, noise=0.0):
    """A record like those of runs that go well, of any model."""
    probability = doctor.config.model in ("gan", "dcgan", "cgan", "cdcgan")
    return {
        "step": step,
        "d_loss": 0.9 * math.exp(noise),
        "g_loss": 1.2 * math.exp(-noise),
        "d_real": 0.7 if probability else 0.6,
        "d_fake": 0.3 if probability else -0.6,
        "gradients": dict.fromkeys(places(doctor), 0.05 * math.exp(noise)),
        "weights": {name: rms * math.exp(abs(noise)) for name, rms in doctor.initial.items()},
        "penalty": math.exp(noise),
    }


@cache
def places(doctor):
    """The layers that have parameters."""
    walks = {n: network.walk() for n, network in doctor.gan.networks.items()}
    return [f"{n}.{prefix}".rstrip(".") for n, walk in walks.items() for prefix, layer in walk if layer.parameter_names]


def sick(record, what):
    """The record, with one thing wrong."""
    layers = record["gradients"]
    return (
        record
        | {
            "saturated": {"d_loss": 1e-6, "d_real": 0.9999, "d_fake": 1e-5},
            "vanishing": {
                "gradients": {place: norm * (1e-6 if place[0] == "G" else 1) for place, norm in layers.items()}
            },
            "silent": {"gradients": layers | {next(iter(layers)): 0.0}},
            "weights": {"weights": record["weights"] | {"D": 500.0}},
            "loss": {"d_loss": 1e7},
            "penalty": {"penalty": 1e5},
        }[what]
    )


KINDS = ("saturated", "vanishing", "silent", "weights", "loss", "penalty")


def applies(what, model):
    """A Wasserstein critic has no certainty, and only one of them a penalty."""
    return not (what == "saturated" and model.startswith("wgan") or what == "penalty" and model != "wgan-gp")


def say(doctor, records):
    return [(record["step"], note) for record in records for note in doctor.check(record)]


@pytest.mark.parametrize("model", OBJECTIVES)
@given(st.lists(st.floats(-1.5, 1.5), min_size=1, max_size=50))
def test_nothing_is_said_of_a_healthy_run_however_restless(model, noise):
    doctor = make(model)
    assert say(doctor, [healthy(10 * i, doctor, noise[i % len(noise)]) for i in range(1, 200)]) == []


@pytest.mark.parametrize("model", OBJECTIVES)
@pytest.mark.parametrize("what", KINDS)
def test_every_sign_is_told_once_with_its_beginning_and_again_only_after_it_was_gone(model, what):
    doctor = make(model)
    well = [healthy(10 * i, doctor) for i in range(1, 41)]
    ill = [sick(healthy(10 * i, doctor), what) for i in range(41, 151)]
    said = say(doctor, well + ill)
    if not applies(what, model):
        assert said == []
        return
    ((step, note),) = said
    assert note.check == what
    assert f"since step {410 if what != 'vanishing' else step - 10 * (PATIENCE - 1)}" in note.sentence
    assert (SOON if what == "weights" else PATIENCE) <= (step - 400) / 10 < 100

    moment = [healthy(10 * i, doctor) for i in range(151, 161)]
    again = [sick(healthy(10 * i, doctor), what) for i in range(161, 241)]
    assert say(doctor, moment + again) == []  # it was gone for a moment only
    long = [healthy(10 * i, doctor) for i in range(241, 241 + 2 * WELL)]
    again = [sick(healthy(10 * i, doctor), what) for i in range(400, 520)]
    assert [note.check for _, note in say(doctor, long + again)] == [what]


@pytest.mark.parametrize("what", KINDS)
def test_what_passes_soon_is_not_told(what):
    doctor = make("wgan-gp" if what == "penalty" else "dcgan")
    at_once = (SOON if what == "weights" else PATIENCE) - 1
    records = [healthy(10 * i, doctor) for i in range(1, 400)]
    for start in range(50, 390, 60):
        for i in range(start, start + at_once):
            records[i] = sick(records[i], what)
    assert say(doctor, records) == []


@pytest.mark.parametrize("model", MODELS)
def test_only_options_that_the_model_has_are_advised(model):
    """And none with the value that it has already."""
    notes = make(model, batch_size=2, lr=10.0).at_start()
    for what in KINDS:
        doctor = make(model, lr=10.0)
        records = [healthy(10 * i, doctor) for i in range(1, 30)]
        notes += [note for _, note in say(doctor, records + [sick(r, what) for r in records for _ in range(5)])]
    notes += [note for i in range(1, 5) for note in doctor.look_at(1000 * i, np.zeros_like(REAL))[1]]
    known = {option.flag for option in model_options(MODELS[model]).values()} | {"--seed", "--batch-size", "--n-steps"}
    advised = {flag for note in notes for flag in re.findall(r"--[a-z0-9-]+", note.sentence)}
    assert len(notes) >= 5
    assert advised >= {"--seed", "--lr"}
    assert advised <= known
    assert not any("--lr 10 " in note.sentence + " " for note in notes)


def test_records_with_little_or_nothing_in_them():
    doctor = make()
    records = [{"step": 1}, {"step": 2, "d_loss": 0.1}, {"step": 3, "gradients": {}, "weights": {}}]
    nan = {"d_loss": math.nan, "g_loss": math.inf, "d_real": math.nan, "d_fake": math.nan}
    records.append({"step": 4, **nan, "gradients": {"G.1": math.nan, "D.0": math.inf}, "weights": {"G": math.nan}})
    assert say(doctor, records) == []


def test_smoothed_labels_hold_d_back_from_certainty():
    """With targets of 0.9, a D that knows everything says 0.9."""
    doctor = make(label_smoothing=0.1)
    records = [healthy(10 * i, doctor) | {"d_real": 0.899, "d_fake": 0.001} for i in range(1, 40)]
    ((_, note),) = say(doctor, records)
    assert note.check == "saturated"
    assert "--label-smoothing" not in note.sentence


# Before the first step


def test_a_batch_too_small_for_batch_norm():
    (note,) = make(batch_size=4).at_start()
    assert note.check == "batch-norm"
    assert "a batch of 4 is too small for BatchNorm(4" in note.sentence
    assert "(layer G.2)" in note.sentence
    assert note.sentence.endswith("try --batch-size 16")
    assert make(batch_size=SMALL_BATCH).at_start() == []
    assert make("gan", batch_size=2).at_start() == []  # it has none
    assert [note.check for note in make("sngan", labels=True, n_classes=2, batch_size=2).at_start()] == ["batch-norm"]


def test_a_learning_rate_that_wipes_out_the_initial_weights():
    notes = make(lr=10.0).at_start()
    assert [note.check for note in notes] == ["lr", "lr"]
    assert "the first update moves each weight of G by about 10, but they are only" in notes[0].sentence
    assert notes[0].sentence.endswith("try --lr 0.0002")
    assert make("gan", shape=(16, 16, 1), lr=10.0).at_start() == []  # SGD moves by what the gradient is


@pytest.mark.parametrize("model", MODELS)
def test_defaults_are_fine_from_the_start(model):
    assert make(model, batch_size=MODELS[model].batch_size).at_start() == []


# Measuring


@pytest.mark.parametrize("model", ["dcgan", "cdcgan", "sngan"])
def test_measures_are_norms_of_layers_and_rms_of_networks_and_stay_on_the_device(model):
    doctor = make(model, device=STRICT)
    gan = doctor.gan
    rng = STRICT.rng(3)
    for network in gan.networks.values():
        network.parameters().grads[...] = rng.standard_normal(len(network.parameters()), dtype=np.float32)
    with forbid_transfers():
        measured = doctor.measure()
    gradients = [name for name in measured if name.startswith("gradients.")]
    assert [name.removeprefix("gradients.") for name in gradients] == places(doctor)
    for n, network in gan.networks.items():
        values = network.parameters().values.get()
        assert measured[f"weights.{n}"].get() == pytest.approx(np.sqrt((values**2).mean()), rel=1e-5)
        named = {name: gradient.get() for name, (_, gradient) in network.parameters().named().items()}
        for prefix, layer in network.walk():
            own = [named[prefix + parameter].ravel() for parameter in layer.parameter_names]
            if own:
                found = measured[f"gradients.{n}.{prefix}".rstrip(".")]
                assert found.shape == ()
                assert found.get() == pytest.approx(np.linalg.norm(np.concatenate(own)), rel=1e-5)


# The samples


def look(doctor, *samples, start=100):
    return [doctor.look_at(start + 100 * i, x) for i, x in enumerate(samples)]


def said(found):
    return [note for _, notes in found for note in notes]


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


def grey(amount):
    """An untrained generator: the same for all z, but for a little of everything."""
    return np.float32(amount) * (OTHERS - OTHERS.mean(axis=0)) - 0.5


def test_a_generator_that_has_not_learned_yet_is_given_time():
    for amount in (0.02, 0.1):
        assert said(look(make(), *[grey(amount)] * 9)) == []
    found = said(look(make(), *[grey(0.02)] * 9, start=GRACE))
    assert ["since step 1000" in note.sentence for note in found] == [True]
    assert said(look(make(), *[grey(0.1)] * 9, start=GRACE)) == []
    assert len(said(look(make(), *[grey(0.1)] * 9, start=LATE))) == 1


def test_a_generator_that_has_known_better_is_given_none():
    found = look(make(), OTHERS, *[grey(0.1)] * 5)
    (note,) = said(found)
    assert [bool(notes) for _, notes in found].index(True) == LOOKS
    assert "the samples differ only 9 % as much as real data, since step 200" in note.sentence


def test_the_picture_before_the_first_step_does_not_count():
    doctor = make()
    for _ in range(10):
        assert doctor.look_at(0, np.zeros_like(REAL))[1] == []


def test_points_that_leave_half_of_the_modes_alone():
    ring = open_dataset("ring")
    real, labels = ring.batch(np.arange(1000)), ring.labels[:4000]
    samples = ring.batch(np.arange(4000))
    doctor = make("gan", real=real, shape=(2,))
    assert 0.9 < doctor.look_at(GRACE, samples[:1000])[0] < 1.1
    some = samples[labels < 3][:1000]
    assert said(look(doctor, *[some] * 5)) == []  # early: they may wander
    diversity, _ = doctor.look_at(900, some)
    assert diversity == pytest.approx(3 / 8, abs=0.1)
    assert said(look(doctor, *[some] * 9, start=GRACE)) == []
    (note,) = said(look(doctor, *[some] * 9, start=SETTLED))
    assert "of the data have a generated point near them" in note.sentence
    alike = make("gan", real=real, shape=(2,))
    assert "all 256 samples are the same" in said(look(alike, *[np.ones((1000, 2))] * 3))[0].sentence


def test_without_real_samples_those_of_the_run_are_compared():
    doctor = make(real=None)
    assert [diversity for diversity, _ in look(doctor, 0.5 * OTHERS, OTHERS, 0.5 * OTHERS)] == [1, 1, 0.5]
    assert len(said(look(doctor, *[grey(0.1)] * 9))) == 1


def test_samples_of_which_nothing_can_be_said():
    doctor = make()
    assert math.isnan(doctor.look_at(100, np.full_like(REAL, np.nan))[0])
    assert said(look(doctor, REAL[:1], *[np.full_like(REAL, np.inf)] * 9)) == []
    assert make(real=REAL[:1]).look_at(100, REAL)[0] == 1


# Too few steps, too few pictures, nothing but noise

NOISE = np.random.default_rng(0).standard_normal(REAL.shape)


def test_a_short_run_is_told_at_its_end_and_if_its_samples_are_noise_that_too():
    doctor = make(changes={"n_steps": 75})
    assert said(look(doctor, OTHERS, start=50)) == []
    (note,) = said(look(doctor, OTHERS, start=75))
    go_on = "go on with --resume and --n-steps 4000"
    assert note.check == "steps"
    assert note.sentence == f"75 steps are few for pictures, however few of those there are: {go_on}"
    (note,) = said(look(make(changes={"n_steps": 75}), NOISE, start=75))
    assert "and the samples are still noise (neighbouring pixels correlate by " in note.sentence
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


def test_few_pictures_that_are_seen_again_and_again():
    (note,) = make(changes={"samples": 200, "n_steps": 4000}).at_start()
    assert note.check == "pictures"
    assert "D sees each of only 200 pictures 1,280 times" in note.sentence
    assert note.sentence.endswith("try --augment flip or more pictures")
    (note,) = make(changes={"samples": 64, "augment": ("flip",)}).at_start()
    assert note.sentence.endswith("try more pictures")
    for changes in ({"samples": 200, "augment": ("flip",)}, {"samples": 200, "n_steps": 75}, {"samples": 1797}):
        assert make(changes=changes).at_start() == []
    assert make("gan", changes={"samples": 200}).at_start() == []  # points


# Going on


@given(st.data())
def test_a_resumed_doctor_says_what_an_unbroken_one_says(data):
    real = data.draw(st.sampled_from([REAL, None]))
    whole, before, after = (make("wgan-gp", real=real) for _ in range(3))
    after.gan.networks["D"].parameters().values[...] *= 7  # the initial size must come from the state
    after.__init__(after.gan, after.config, real)
    spans = data.draw(st.lists(st.tuples(st.sampled_from((None, *KINDS)), st.integers(1, 70)), min_size=1, max_size=8))
    kinds = [kind for kind, length in spans for _ in range(length)]
    cut = data.draw(st.integers(0, len(kinds)))
    pictures = (OTHERS, grey(0.1), np.zeros_like(REAL))
    shown = data.draw(st.lists(st.sampled_from(pictures), min_size=1, max_size=8))

    def live(doctor, i):
        record = healthy(10 * i, whole)
        notes = doctor.check(sick(record, kinds[i]) if kinds[i] else record)
        return notes + doctor.look_at(10 * i, shown[i % len(shown)])[1] if i % 5 == 0 else notes

    unbroken = [live(whole, i) for i in range(len(kinds))]
    first = [live(before, i) for i in range(cut)]
    after.load_state_dict(json.loads(json.dumps(before.state_dict())))
    assert first + [live(after, i) for i in range(cut, len(kinds))] == unbroken


def test_an_older_checkpoint_without_a_doctor_is_nothing_to_complain_of():
    doctor = make()
    doctor.load_state_dict({})
    assert doctor.state_dict() == make().state_dict()


@pytest.mark.parametrize("real", [REAL, None], ids=["real", "none"])
@pytest.mark.parametrize("cut", [1, 35, 42, 45, 60, 100])
def test_nothing_that_a_check_remembers_is_lost(cut, real):
    """G's gradient vanishes, and its samples, which have been as diverse as real ones, become alike."""

    def live(doctor, i):
        record = healthy(5 * i, whole)
        notes = doctor.check(record if i < 40 else sick(record, "vanishing"))
        return notes + (doctor.look_at(5 * i, OTHERS if i < 40 else grey(0.1))[1] if i % 10 == 0 else [])

    whole, before, after = (make(real=real) for _ in range(3))
    unbroken = [live(whole, i) for i in range(120)]
    assert sorted(note.check for notes in unbroken for note in notes) == ["collapse", "vanishing"]
    for i in range(cut):
        live(before, i)
    after.load_state_dict(json.loads(json.dumps(before.state_dict())))
    assert [live(after, i) for i in range(cut, 120)] == unbroken[cut:]


def test_weights_that_were_tiny_may_grow():
    """The first discriminator began at 0.003; that it has grown a hundredfold means nothing."""
    doctor = make()
    doctor.initial["D"] = 0.003
    assert say(doctor, [healthy(10 * i, doctor) | {"weights": {"D": 0.3}} for i in range(1, 20)]) == []
    ((_, note),) = say(doctor, [healthy(10 * i, doctor) | {"weights": {"D": 3.0}} for i in range(20, 40)])
    assert "the weights of D explode: they are 3 in root mean square since step 200, 1000 times" in note.sentence


class Gain(Sequential):
    """A composite layer with a parameter of its own."""

    def __init__(self, *inner):
        super().__init__(*inner)
        self.add_parameters(gain=np.ones(3, np.float32))


def test_a_composite_layers_own_gradient_is_not_that_of_the_layers_inside():
    network = Gain(Dense(2, 2, rng=np.random.default_rng(0)))
    doctor = make()
    doctor.gan = SimpleNamespace(networks={"D": network})
    network.parameters().grads[...] = 1
    measured = doctor.measure()
    assert measured["gradients.D"] == pytest.approx(3**0.5)
    assert measured["gradients.D.0"] == pytest.approx(6**0.5)


GARBAGE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.data())
def test_a_damaged_memory_is_refused_or_harmless_and_changes_nothing(data):
    doctor = make(real=None)
    doctor.check(healthy(10, doctor))
    doctor.look_at(10, REAL)
    good = doctor.state_dict()
    bad = good | {data.draw(st.sampled_from(sorted(good))): data.draw(GARBAGE)}
    other = make(real=None)
    before = other.state_dict()
    try:
        other.load_state_dict(bad)
    except CheckpointError:
        assert other.state_dict() == before
    other.check(healthy(20, other))
    other.look_at(20, REAL)
