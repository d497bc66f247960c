"""Gradient checks of whole models: cut networks, numbers beside arrays, phases, batches of all kinds."""

import numpy as np
import pytest

from minigan.backend import CPU
from minigan.common.small_models import make_steps, random_batch, small_models
from minigan.errors import ModelError
from minigan.layers import Dense, Layer, Sequential, Tanh
from minigan.model import LABEL, POINTS, Game, Kind, Measure, Model, Phase
from minigan.optim import SGD
from minigan.testing import GradientError
from minigan.testing.models import checks_of


class Scaled(Layer):
    """(x, level) → x · level; `fault` is a factor on its gradient."""

    fault = 1.0

    def forward(self, x, train=True, rng=None):
        x, level = x
        return x * level, level

    def backward(self, dy, cache, wrt="both"):
        return (self.fault * dy * cache if wrt != "params" else None), None

    def double_backward(self, ddx, dy, cache):
        return ddx[0] * cache, None


class Cut(Model):
    """A critic in two networks, and a generator that is told a level, which is another one in each phase."""

    arrays = {"real": POINTS}
    measures = {name: Measure(name, "Losses") for name in ("d_loss", "g_loss", "d_real", "d_fake")}
    games = (Game(None, critic="verdict", generator="make"),)
    phases = (Phase("first"), Phase("second", 10))

    def __init__(self, shape, *, rng, device="cpu"):
        self.device, self.level = CPU, 1.0
        self.networks = {
            "make": Scaled(),
            "features": Sequential(Dense(shape[0], 4, rng=rng), Tanh()),
            "verdict": Dense(4, 1, rng=rng),
        }
        self.optimizers = {name: SGD(network.parameters(), 0.1) for name, network in self.networks.items()}

    def begin(self, phase, now):
        self.level = 2.0

    def step(self, next_batch, rng, now):
        make, features, verdict = self.networks.values()
        fake = make.output((next_batch()["real"], self.level))
        return {"d_fake": verdict.output(features.output(fake)).mean()}


def test_each_network_in_each_phase_and_through_a_critic_that_is_cut():
    (small,) = small_models(Cut)
    checks = list(checks_of(small))
    networks = ["make", "features", "verdict", "make through verdict"]
    assert [check.title for check in checks] == [f"{n}, phase {p}" for p in ("first", "second") for n in networks]
    for check in checks:
        first, second = check.run()
        assert max(first.values(), default=0) < 1e-7
        assert max(second.values(), default=0) < 1e-6


def test_a_wrong_gradient_beside_a_number(monkeypatch):
    monkeypatch.setattr(Scaled, "fault", 1.001)
    make, *_ = checks_of(next(small_models(Cut)))
    with pytest.raises(GradientError, match="dx of"):
        make.run()


class Everything(Cut):
    """It needs arrays of all kinds."""

    kinds = {"real": "samples", "picture": "picture", "mask": "mask", "numbers": "numbers"}
    arrays = {name: Kind(what) for name, what in kinds.items()} | {"label": LABEL}
    n_classes = 2
    given = None

    def __init__(self, real_shape, picture_shape, mask_shape, numbers_shape, size=8, *, rng, device="cpu"):
        if real_shape[0] < size:
            raise KeyError(real_shape[0])
        super().__init__((2,), rng=rng)
        self.given = (real_shape, picture_shape, mask_shape, numbers_shape)

    def damage(self, item, rng):
        return {"input": item["picture"] * item["mask"]}

    def step(self, next_batch, rng, now):
        self.batch = next_batch(3)
        return {}


def test_batches_of_every_kind():
    (small,) = small_models(Everything, step=True)
    assert small.model.given == ((8, 8, 1), (8, 8, 1), (8, 8, 1), (4,))
    assert small.title == "8×8×1"
    make_steps(small)
    batch = small.model.batch
    assert batch.keys() == {*Everything.arrays, "input"}
    assert {name: rows.shape[0] for name, rows in batch.items()} == dict.fromkeys(batch, 3)
    assert batch["mask"].dtype == np.uint8
    assert set(np.unique(batch["mask"])) == {0, 1}
    assert batch["label"].tolist() == [0, 1, 0]
    np.testing.assert_array_equal(batch["input"], batch["picture"] * batch["mask"])
    assert -1 <= batch["real"].min() < batch["real"].max() <= 1
    one, same = (random_batch(small.model, small.shapes, 2, np.random.default_rng(5)) for _ in range(2))
    assert all((one[name] == same[name]).all() for name in one)


def test_a_model_that_takes_no_shape():
    class Picky(Everything):
        def __init__(self, real_shape, picture_shape, mask_shape, numbers_shape, *, rng):
            super().__init__(real_shape, picture_shape, mask_shape, numbers_shape, 1000, rng=rng)

    with pytest.raises(
        ModelError, match="no small Picky works with pictures of 4 to 64 pixels or points: KeyError: 64"
    ):
        next(small_models(Picky))


def test_a_wrong_model_is_not_tried_at_every_size():
    class Wrong(Cut):
        phases = ()

    with pytest.raises(ModelError, match="it has no phases"):
        next(small_models(Wrong))
