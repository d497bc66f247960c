"""The doctor knows no model: other networks and names, several games or none, phases, ranges, absent measures."""

import json
import math
from dataclasses import replace
from typing import Annotated

import numpy as np
import pytest
from doctored import doctor_of, exhibit, healthy, make, places, say, sick

from minigan.layers import BatchNorm, Dense, Sequential
from minigan.losses import LeastSquares, Minimax
from minigan.model import PICTURE, Game, Kind, Measure, Model, Phase, Translation
from minigan.optim import Adam
from minigan.options import Positive
from minigan.training.doctor.rules import LASTING, PATIENCE
from minigan.training.settings import RunConfig


class Several(Model):
    """Networks of two layers under any names; everything else is up to a test."""

    arrays = {"left": PICTURE, "right": Kind("picture", "right")}

    def __init__(self, *names, lr: Annotated[float, Positive("learning rate")] = 1e-3, batch_norm=False):
        rng = np.random.default_rng(0)
        last = BatchNorm if batch_norm else lambda n: Dense(n, 2, rng=rng)
        self.networks = {name: Sequential(Dense(3, 4, rng=rng), last(4)) for name in names}
        self.optimizers = {name: Adam(network.parameters(), lr) for name, network in self.networks.items()}


SHAPES = {"left": (8, 6, 3), "right": (8, 6, 3)}
CONFIG = RunConfig("several", {"lr": 1e-3}, "data", SHAPES, {"data": 5000, "right": 5000}, 16, 20_000)


def record(i, doctor, **measures):
    """Gradients and weights of a run that goes well, and these measures."""
    return {
        "step": 10 * i,
        "gradients": dict.fromkeys(places(doctor), 0.05),
        "weights": dict(doctor.context.initial),
        **measures,
    }


def test_three_networks_and_no_game():
    """Nothing is said of a critic, whatever measures are called; of weights, layers and the first update it is."""
    model = Several("encoder", "decoder", "prior", lr=10.0)
    doctor = doctor_of(model, replace(CONFIG, model_args={"lr": 10.0}, samples={"data": 90, "right": 5000}))
    starts = doctor.at_start()
    assert [note.check for note in starts] == ["lr", "lr", "lr"]
    assert "each weight of prior" in starts[2].sentence
    assert starts[2].sentence.endswith("try --lr 0.001")
    bad = {"d_loss": 1e-9, "d_real": 1.0, "d_fake": 0.0, "penalty": 1e9, "g_loss": 1e9}
    assert say(doctor, [record(i, doctor, **bad) for i in range(50)]) == []
    ill = [record(i, doctor) for i in range(50, 100)]
    for one in ill:
        one["gradients"]["decoder.1"] = 0.0
        one["weights"]["prior"] = 500.0
    assert [note.sentence.split(" since")[0] for _, note in say(doctor, ill)] == [
        "the weights of prior explode: they are 5e+02 in root mean square",
        "no gradient reaches layer decoder.1: it has been zero",
    ]


class Translator(Several):
    """It takes the weight of an identity loss."""

    translations = (Translation("left", "right", False, luminance="luminance"),)
    measures = {"luminance": Measure("luminance", "Luminance")}

    def __init__(self, identity: Annotated[float, Positive("identity")] = 0.5):
        super().__init__("G")
        self.identity = identity


def dark(n, correlation):
    return lambda doctor: [record(i, doctor, luminance=correlation) for i in range(n)]


@pytest.mark.parametrize(("identity", "advised"), [(0.0, "0.5"), (0.5, "1"), (1.0, "2")])
def test_a_translation_that_makes_negatives(identity, advised):
    model = Translator(identity)
    doctor = doctor_of(model, replace(CONFIG, model_args={"identity": identity}))
    assert say(doctor, dark(LASTING - 1, -0.8)(doctor) + dark(100, 0.9)(doctor)) == []
    ((_, note),) = say(doctor, dark(100, -0.8)(doctor))
    assert note.check == "colors"
    assert note.sentence == (
        "light and dark are exchanged from left to right since step 0: the luminance before and after correlates by "
        f"-0.80: try --identity {advised} or another --seed"
    )


def test_pictures_of_which_one_is_gray_have_no_identity_loss():
    doctor = doctor_of(Translator(), replace(CONFIG, shapes=SHAPES | {"right": (8, 6, 1)}))
    ((_, note),) = say(doctor, dark(100, -0.5)(doctor))
    assert note.sentence.endswith("correlates by -0.50: try another --seed")


def test_no_correlation_is_no_negative():
    doctor = doctor_of(Translator(), CONFIG)
    assert say(doctor, dark(100, -0.2)(doctor)) == []


def two_games():
    model = Several("G_ab", "G_ba", "D_a", "D_b")
    names = ("critic_loss", "generator_loss", "real", "fake")
    model.games = tuple(
        Game(objective, critic, generator, **{name: f"{critic}_{name}" for name in names})
        for objective, critic, generator in ((LeastSquares(), "D_b", "G_ab"), (Minimax(), "D_a", "G_ba"))
    )
    return model


def test_two_games_have_their_own_bounds_and_names():
    doctor = doctor_of(two_games(), CONFIG)
    fine = {"D_a_real": 0.7, "D_a_fake": 0.3, "D_a_critic_loss": 0.9, "D_b_critic_loss": 0.2, "D_b_generator_loss": 0.3}
    assert say(doctor, [record(i, doctor, **fine) for i in range(50)]) == []
    wrong = fine | {"D_a_real": 0.999, "D_a_fake": 0.001, "D_b_critic_loss": 1e-4, "D_b_generator_loss": 50.0}
    notes = [note.sentence for _, note in say(doctor, [record(i, doctor, **wrong) for i in range(50, 80)])]
    assert notes == [
        "D_b has separated all real samples from all fakes since step 500 (its loss is 0.0001), so G_ab learns little "
        "from it: try --lr 0.0005 or another --seed",
        "D_a has separated all real samples from all fakes since step 500 (it gives real ones 0.999, fakes 0.001), so "
        "G_ba learns little from it: try --lr 0.0005 or another --seed",
        "the loss of G_ab has run away since step 500: it is 50 now: try --lr 0.0005 or another --seed",
    ]


def test_the_gradient_of_each_generator_has_a_trend_of_its_own():
    doctor = doctor_of(two_games(), CONFIG)
    records = [record(i, doctor) for i in range(100)]
    for one in records[30:]:
        one["gradients"] |= {"G_ba.0": 1e-8, "G_ba.1": 1e-8}
    ((_, note),) = say(doctor, records)
    assert note.check == "vanishing"
    assert note.sentence.startswith("G_ba's gradient has vanished: its norm is 1e-08")


def test_a_game_with_an_objective_of_its_own_has_no_bounds():
    model = two_games()
    model.games = tuple(replace(game, objective=None) for game in model.games)
    doctor = doctor_of(model, CONFIG)
    assert say(doctor, [record(i, doctor, D_b_critic_loss=1e-9, D_a_generator_loss=1e9) for i in range(50)]) == []


@pytest.mark.parametrize("what", ["saturated", "loss", "penalty"])
def test_an_absent_measure_neither_confirms_nor_clears(what):
    """A penalty that comes with every third record counts when it comes, and the others don't break the row."""
    doctor = make("wgan-gp" if what == "penalty" else "dcgan")
    there = {"saturated": ("d_real", "d_fake"), "loss": ("d_loss",), "penalty": ("penalty",)}[what]
    records = [sick(healthy(10 * i, doctor), what) for i in range(3 * PATIENCE)]
    for i, one in enumerate(records):
        if i % 3:
            for name in there:
                del one[name]
    ((step, note),) = say(doctor, records)
    assert note.check == what
    assert step == 10 * 3 * (PATIENCE - 1)
    never = [{"step": i, "gradients": {}, "weights": {}} for i in range(50)]
    assert say(make(), never) == []


def test_a_measure_outside_of_its_healthy_range_is_told_with_the_range_and_clears():
    model = Several("net")
    model.measures = {"p": Measure("overfitting", "p", healthy=(0.0, 0.8)), "kl": Measure("KL", "KL")}
    doctor = doctor_of(model, CONFIG)
    fine = [record(i, doctor, p=0.8 * (i % 2), kl=1e9) for i in range(60)]
    assert say(doctor, fine) == []
    out = [record(i, doctor, p=0.9) for i in range(60, 90)]
    ((_, note),) = say(doctor, out)
    assert note.check == "range"
    assert note.sentence == (
        "overfitting (p) has been outside of its healthy range, 0 to 0.8, since step 600: it is 0.9 now"
    )
    assert say(doctor, fine + out)[0][1].check == "range"
    model.measures = {"p": Measure("overfitting", "p", healthy=(1.0, math.inf))}
    assert len(say(doctor_of(model, CONFIG), out)) == 1


PHASES = (Phase("low", 0, 4, idle=("G.1", "D")), Phase("high", 1000, 64))


def phased(phases=PHASES, batch_norm=False):
    model = Several("G", "D", batch_norm=batch_norm)
    model.phases, model.games = phases, (Game(Minimax()),)
    return doctor_of(model, CONFIG)


def still(i, doctor, *silent):
    one = record(i, doctor)
    one["gradients"] = {place: 0.0 if place in silent else 0.05 for place in one["gradients"]}
    return one


def test_idle_layers_are_expected_to_have_no_gradient():
    doctor = phased()
    assert say(doctor, [still(i, doctor, "G.1", "D.0", "D.1") for i in range(50)]) == []
    doctor.begin(PHASES[1])
    ((step, note),) = say(doctor, [still(i, doctor, "G.1", "D.0", "D.1") for i in range(50, 100)])
    assert step == 10 * (50 + PATIENCE - 1)
    assert "no gradient reaches layer G.1: it has been zero since step 500" in note.sentence
    assert say(phased(), [still(i, doctor, "G.0") for i in range(50)])[0][1].check == "silent"


def test_a_phase_starts_the_counts_again_but_not_what_the_weights_were():
    doctor = phased()
    ill = [still(i, doctor, "G.0") for i in range(PATIENCE - 1)]
    assert say(doctor, ill) == []
    initial, doctor.context.diverse = doctor.context.initial, {"samples"}
    doctor.begin(PHASES[1])
    assert say(doctor, ill) == []  # one more would have been enough
    context = doctor.context
    assert (context.initial, context.diverse, context.trends.keys()) == (initial, {"samples"}, {"G"})
    assert len(say(doctor, [still(99, doctor, "G.0")])) == 1
    doctor.begin(PHASES[1])  # it has begun
    resumed = phased()
    resumed.load_state_dict(json.loads(json.dumps(doctor.state_dict())))
    assert resumed.context.phase == PHASES[1]
    assert resumed.state_dict() == doctor.state_dict()


def test_a_gradient_of_another_phase_is_no_reason_to_call_this_one_vanished():
    doctor = phased()
    say(doctor, [record(i, doctor) | {"gradients": {"G.0": 100.0}} for i in range(50)])
    doctor.begin(PHASES[1])
    assert say(doctor, [record(i, doctor) | {"gradients": {"G.0": 1e-4}} for i in range(50, 150)]) == []


def test_batch_norm_needs_a_batch_of_some_size_in_each_phase_in_which_it_learns():
    (note,) = phased((PHASES[1], Phase("late", 2000, 4, idle=("G",))), batch_norm=True).at_start()
    assert "a batch of 4 in phase late is too small for BatchNorm(4) (layer D.1)" in note.sentence
    assert note.sentence.endswith("try a larger batch")
    assert phased(batch_norm=True).at_start() == []  # in phase low it is idle


def test_a_model_that_shows_nothing_of_latents():
    doctor = doctor_of(Several("net"), CONFIG)
    shown = exhibit(np.zeros((64, 8, 6, 3), np.float32))
    shown = {name: replace(one, like="") for name, one in shown.items()}
    assert [doctor.inspect(100 * i, shown) for i in range(1, 60)] == [({}, [])] * 59


def test_a_network_whose_optimizer_is_never_asked_is_named_unless_it_is_idle():
    model = Several("a", "b")
    model.phases = (Phase("first", idle=("b",)),)
    doctor = doctor_of(model, CONFIG)
    model.optimizers["a"].t = model.optimizers["b"].t = 0
    ((_, note),) = say(doctor, [record(i, doctor) for i in range(PATIENCE)])
    assert note.check == "updates"
    assert "the weights of a have never been updated: let step call self.optimizers['a'].step()" in note.sentence


def test_few_pictures_that_are_damaged_anew_each_time_are_not_learned_by_heart():
    few = replace(CONFIG, samples={"data": 50, "right": 50})
    model = Several("a")
    model.games = (Game(Minimax(), "a", "a"),)
    notes = doctor_of(model, few).at_start()
    assert [note.check for note in notes] == ["pictures", "pictures"]
    assert "each of only 50 pictures of feed data is seen 6,400 times" in notes[0].sentence
    model.damage = lambda item, rng: {}
    assert not doctor_of(model, few).at_start()
