"""What the doctor reports of records, and before the first step, for the GANs that ship."""

import math
import re

import numpy as np
import pytest
from doctored import KINDS, REAL, doctor_of, exhibit, healthy, make, places, say, sick
from hypothesis import given
from hypothesis import strategies as st

from minigan.gans import MODELS
from minigan.layers import Dense, Sequential
from minigan.model import Model
from minigan.options import arguments_of
from minigan.testing import STRICT
from minigan.testing.transfers import forbid_transfers
from minigan.training.doctor.rule import WELL
from minigan.training.doctor.rules import PATIENCE, SMALL_BATCH, SOON

OBJECTIVES = ("dcgan", "lsgan", "sngan", "wgan", "wgan-gp")  # a model for each, and one with a penalty


def applies(what, model):
    """A Wasserstein critic has no certainty, and only one of them a penalty."""
    return not (what == "saturated" and model.startswith("wgan") or what == "penalty" and model != "wgan-gp")


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
    notes += [note for i in range(1, 5) for note in doctor.inspect(1000 * i, exhibit(np.zeros_like(REAL)))[1]]
    flags = {"--" + name.replace("_", "-") for name in arguments_of(MODELS[model])}
    known = flags | {"--seed", "--batch-size", "--n-steps"}
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


def test_few_pictures_that_are_seen_again_and_again():
    (note,) = make(changes={"samples": {"data": 200}, "n_steps": 4000}).at_start()
    assert note.check == "pictures"
    assert "each of only 200 pictures is seen 1,280 times, so they are memorized" in note.sentence
    assert note.sentence.endswith("try --augment flip or more pictures")
    (note,) = make(changes={"samples": {"data": 64}, "augment": ("flip",)}).at_start()
    assert note.sentence.endswith("try more pictures")
    for changes in (
        {"samples": {"data": 200}, "augment": ("flip",)},
        {"samples": {"data": 200}, "n_steps": 75},
        {"samples": {"data": 1797}},
    ):
        assert make(changes=changes).at_start() == []
    assert make("gan", changes={"samples": {"data": 200}}).at_start() == []  # points


# Measuring


@pytest.mark.parametrize("model", ["dcgan", "cdcgan", "sngan"])
def test_measures_are_norms_of_layers_and_rms_of_networks_and_stay_on_the_device(model):
    doctor = make(model, device=STRICT)
    gan = doctor.context.model
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


def test_weights_that_were_tiny_may_grow():
    """The first discriminator began at 0.003; that it has grown a hundredfold means nothing."""
    doctor = make()
    doctor.context.initial["D"] = 0.003
    assert say(doctor, [healthy(10 * i, doctor) | {"weights": {"D": 0.3}} for i in range(1, 20)]) == []
    ((_, note),) = say(doctor, [healthy(10 * i, doctor) | {"weights": {"D": 3.0}} for i in range(20, 40)])
    assert "the weights of D explode: they are 3 in root mean square since step 200, 1000 times" in note.sentence


class Gain(Sequential):
    """A composite layer with a parameter of its own."""

    def __init__(self, *inner):
        super().__init__(*inner)
        self.add_parameters(gain=np.ones(3, np.float32))


def test_a_composite_layers_own_gradient_is_not_that_of_the_layers_inside():
    model, network = Model(), Gain(Dense(2, 2, rng=np.random.default_rng(0)))
    model.networks, model.optimizers = {"D": network}, {}
    network.parameters().grads[...] = 1
    measured = doctor_of(model, make().context.config).measure()
    assert measured["gradients.D"] == pytest.approx(3**0.5)
    assert measured["gradients.D.0"] == pytest.approx(6**0.5)
