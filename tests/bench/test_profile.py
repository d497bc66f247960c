"""Where the time of a step goes: every verb of every leaf once, and the step stays the same step."""

import re

import numpy as np
import pytest

from minigan.backend import CPU
from minigan.bench.profile import VERBS, Stopwatch, profile
from minigan.bench.workloads import WORKLOADS, Training
from minigan.gans import SNGAN
from minigan.layers import Dense, Layer, ReLU, Residual, Sequential
from minigan.optim import Adam

TINY = Training("sngan", (16, 16, 1), settings={"features": 2, "latent_dim": 3})


class Calls(Layer):
    """Its backward asks for its forward, its double backward for its backward."""

    def forward(self, x, train=True, rng=None):
        return x, None

    def backward(self, dy, cache, wrt="both"):
        return self.forward(dy)[0]

    def double_backward(self, ddx, dy, cache):
        return self.backward(ddx, cache), None


class Inherits(Calls):
    pass


def watch():
    return Stopwatch(lambda: None)


@pytest.mark.parametrize("cls", [Calls, Inherits])
def test_a_verb_that_asks_for_another_is_timed_once(cls):
    layer, stopwatch, before = cls(), watch(), [dict(vars(c)) for c in (Calls, Inherits)]
    with stopwatch.watching({Calls: VERBS, Inherits: VERBS}):
        layer.forward(1)
        layer.backward(1, None)
        layer.backward(1, None, "input")
        layer.backward(1, None, wrt="input")
        layer.double_backward(1, 1, None)
    verbs = {verb: calls for (kind, verb), calls in stopwatch.calls.items() if kind == cls.__name__}
    assert verbs == {"forward": 1, "backward (both)": 1, "backward (input)": 2, "double backward": 1}
    assert len(stopwatch.calls) == len(verbs)
    assert [dict(vars(c)) for c in (Calls, Inherits)] == before
    layer.forward(1)
    assert stopwatch.calls[cls.__name__, "forward"] == 1  # it looks at the clock no more


def test_only_leaves_are_timed_and_errors_leave_nothing_behind():
    network, stopwatch = Residual(Sequential(Dense(3, 3), ReLU())), watch()
    forward = Dense.forward
    with pytest.raises(RuntimeError), stopwatch.watching({type(layer): VERBS for _, layer in network.walk()}):
        network.forward(np.zeros((2, 3), np.float32))
        raise RuntimeError
    assert set(stopwatch.calls) == {("Dense", "forward"), ("ReLU", "forward")}
    assert Dense.forward is forward


def test_a_watched_step_is_the_same_step():
    """Also where a layer works on a copy of another: SpectralNorm."""
    weights = []
    for watched in (False, True):
        gan = TINY.build()
        step = TINY.ready(gan, 4, CPU)
        layers = [layer for network in gan.networks.values() for _, layer in network.walk() if not layer.children()]
        stopwatch = watch()
        with stopwatch.watching({type(layer): VERBS for layer in layers} | {Adam: ("step",)} if watched else {}):
            step()
        weights.append(np.concatenate([network.parameters().values for network in gan.networks.values()]))
        assert bool(stopwatch.calls) == watched
    assert isinstance(gan, SNGAN)
    assert stopwatch.calls["Adam", "step"] == 2
    np.testing.assert_array_equal(*weights)


def test_the_table_accounts_for_the_whole_step(monkeypatch):
    monkeypatch.setitem(WORKLOADS, "tiny", TINY)
    title, _, *rows = profile("tiny", 4, 2, "cpu").splitlines()[1:]
    whole = float(re.search(r"([\d.]+) ms a step, mean of 2", title)[1])
    found = [re.fullmatch(r"  (.*?) +([\d.]+) +([\d.]+)%(?: +([\d.]+))?", row) for row in rows]
    assert sum(float(match[2]) for match in found) == pytest.approx(whole, abs=0.05 + 0.005 * len(rows))
    assert sum(float(match[3]) for match in found) == pytest.approx(100, abs=0.05 * len(rows))
    calls = {" ".join(match[1].split()): match[4] for match in found}
    assert calls["Adam step"] == calls["Adam zero grad"] == "2"  # of D and of G
    assert calls["Tanh forward"] == "2"  # G draws for D, then for itself
    assert list(calls.items())[-1] == ("the rest", None)
