"""A wrong model gets one sentence, with the class, and the file and line where it is written."""

import inspect
import re

import numpy as np
import pytest

from minigan.backend import CPU
from minigan.common.model_checks import check_arrays, check_measures, check_model
from minigan.errors import ModelError
from minigan.gans import MODELS
from minigan.layers import Dense, ReLU, Sequential
from minigan.model import PICTURE, Game, Judgement, Kind, Measure, Model, Phase, Translation
from minigan.optim import SGD
from minigan.testing import STRICT


def dense():
    return Sequential(Dense(2, 3, rng=np.random.default_rng(0)), ReLU())


class Good(Model):
    measures = {"loss": Measure("loss", "Losses")}

    def __init__(self):
        self.device = CPU
        self.networks = {"A": dense(), "B": dense(), "front": Sequential(ReLU())}
        self.frozen = {"features": dense()}
        self.optimizers = {name: SGD(self.networks[name].parameters(), 0.1) for name in "AB"}

    def step(self, next_batch, rng, now):
        return {"loss": np.float32(1)}


def put(attribute, value):
    return lambda model: setattr(model, attribute, value)


def phases(*phases):
    return put("phases", phases)


GAME = {
    "critic": "A",
    "generator": "B",
    "critic_loss": "loss",
    "generator_loss": "loss",
    "real": "loss",
    "fake": "loss",
}
LINE = inspect.getsourcelines(Good)[1]
WRONG = {  # what is done to a good model: what is said of it
    "no device": (put("device", None), "it has no device"),
    "arrays": (put("arrays", {"x": Kind("picure")}), "'x' is of an unknown kind, 'picure': did you mean picture?"),
    "no kind": (put("arrays", {"x": "picture"}), "'x' is declared as 'picture'"),
    "networks": (lambda m: delattr(m, "networks"), "self.networks is no dict"),
    "no network": (lambda m: (m.networks.clear(), m.optimizers.clear()), "it has no networks"),
    "name": (lambda m: m.networks.update({"a.b": dense()}), "can't be called 'a.b'"),
    "shared": (
        lambda m: m.networks.update({"C": Sequential(m.networks["A"].layers[1])}),
        r"layer 0 of C, ReLU\(\), is in A as well",
    ),
    "twice": (lambda m: m.frozen.update({"C": m.networks["A"]}), "the network C, .* is in A as well"),
    "no dict": (put("optimizers", []), "self.optimizers is no dict"),
    "nothing to move": (
        lambda m: m.optimizers.update({"AA": m.optimizers["A"]}),
        "the optimizer 'AA' has no network of that name: did you mean A?",
    ),
    "frozen moves": (
        lambda m: m.optimizers.update(features=SGD(m.frozen["features"].parameters(), 0.1)),
        "the optimizer 'features' .* frozen",
    ),
    "moves another": (lambda m: m.optimizers.update({"A": m.optimizers["B"]}), "the optimizer 'A' moves B"),
    "moves others": (
        lambda m: m.optimizers.update({"A": SGD(dense().parameters(), 0.1)}),
        "the optimizer 'A' moves other parameters",
    ),
    "idle network": (lambda m: m.optimizers.pop("A"), "nothing trains the network A"),
    "averaged": (put("averaged", ("G",)), "averaged has 'G', which isn't there: use A, B, front"),
    "rates": (put("rates", lambda now: {"G": 0.1}), "rates returns 'G', which isn't there: use A, B"),
    "measure": (put("measures", {"loss": "loss"}), "the measure 'loss' is declared as 'loss'"),
    "scale": (put("measures", {"loss": Measure("", "", "log")}), "has the scale 'log'"),
    "taken": (put("measures", {"step": Measure("", "")}), "a measure can't be called 'step'"),
    "judgement": (put("judgements", {"loss": Judgement("")}), "a judgement can't be called 'loss'"),
    "better": (put("judgements", {"fid": Judgement("", "small")}), "'fid' is better 'small'"),
    "game": (
        put("games", (Game(None, **GAME | {"critic": "C"}),)),
        "the game's critic is 'C', and there is no such net",
    ),
    "game's measure": (
        put("games", (Game(None, **GAME, penalty="gp"),)),
        "the game's penalty is 'gp', .* measure: use",
    ),
    "no phases": (phases(), "it has no phases"),
    "heuristics": (put("heuristics", lambda n: "a line"), "heuristics are 'a line': return a list of lines"),
    "translation": (put("translations", ("a",)), "a translation is declared as 'a'"),
    "translation's network": (
        put("translations", (Translation("a", "b", False, ("C",)),)),
        "a network of the translation to 'b' is 'C', and there is no such network",
    ),
    "translation's luminance": (
        put("translations", (Translation("a", "b", luminance="light"),)),
        "the luminance of a translation is 'light', and there is no such measure",
    ),
    "phase's name": (phases(Phase("a/b")), "a phase is declared as"),
    "two of a name": (phases(Phase("one"), Phase("one", 5)), "two phases are called 'one'"),
    "order": (phases(Phase("a"), Phase("b", 9), Phase("c", 9)), "'c' begins at 9 samples, not after .* at 9"),
    "first": (phases(Phase("a", 9)), "its first phase, 'a', begins at 9 samples"),
    "unplanned": (phases(Phase("a"), Phase("b", None)), "'b' begins at None"),
    "batch": (phases(Phase("a", batch_size=0)), "has batches of 0"),
    "idle": (phases(Phase("a", idle=("A.7",))), "idle in the phase 'a' is 'A.7', .*: did you mean A.1"),
}


def test_a_good_model():
    model = Good()
    model.games, model.phases = (Game(None, **GAME),), (Phase("a", idle=("B", "A.0")), Phase("b", 8, 4))
    model.average_weights(0.9)
    check_model(model)
    check_measures(model, model.step(None, None, None))
    check_measures(model, {})  # a subset


@pytest.mark.parametrize("spoil, said", WRONG.values(), ids=WRONG)
def test_a_wrong_model(spoil, said):
    model = Good()
    spoil(model)
    with pytest.raises(ModelError, match=rf"^Good \(test_contract_checks.py, line {LINE}\): .*{said}"):
        check_model(model)


def test_without_step():
    class Unfinished(Model):
        pass

    with pytest.raises(
        ModelError, match=r"^Unfinished \(test_contract_checks.py, line \d+\): it has no step: write def step"
    ):
        check_model(Unfinished())


def test_arrays_of_a_class():
    check_arrays(Good, {"real": PICTURE})
    with pytest.raises(ModelError, match=r"^Good .*: its arrays are \{\}: declare"):
        check_arrays(Good, {})


@pytest.mark.parametrize(
    "returned, said",
    [
        (None, "it returned nothing"),
        (np.zeros(2), r"it returned .* return the measures by name"),
        ({"los": np.float32(1)}, "'los', which is no declared measure: did you mean loss?"),
        ({"other": np.float32(1)}, "'other', which is no declared measure: add it to measures"),
        ({"loss": 1.0}, "loss is a Python float: return the 0-d array itself"),
        ({"loss": np.zeros(3)}, r"loss has the shape \(3,\): return one number"),
    ],
)
def test_wrong_measures(returned, said):
    line = Good.step.__code__.co_firstlineno
    with pytest.raises(ModelError, match=rf"^Good.step \(test_contract_checks.py, line {line}\): .*{said}"):
        check_measures(Good(), returned)


def test_a_measure_that_was_fetched():
    model = Good()
    model.device = STRICT
    with pytest.raises(ModelError, match="loss was fetched from strict"):
        check_measures(model, {"loss": np.float32(1)})


def test_a_class_of_a_prompt():
    """Without a file there is no line to name."""
    space = {"Model": Model}
    exec("class Typed(Model): pass", space)
    with pytest.raises(ModelError, match=re.escape("Typed: it has no step")):
        check_model(space["Typed"]())


@pytest.mark.parametrize("name", MODELS)
def test_our_own(name):
    classes = {"n_classes": 3} if "label" in MODELS[name].arrays else {}
    shape, small = ((32, 32, 1), {"features": 1}) if name == "biggan" else ((16, 16, 1), {})
    model = MODELS[name](shape, **classes, **small, rng=np.random.default_rng(0))
    check_arrays(MODELS[name], MODELS[name].needs())
    check_model(model)
