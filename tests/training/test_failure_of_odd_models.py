"""The search for a NaN in a model with networks of any names, one of them frozen, and several arrays in a batch."""

import numpy as np
from failing import find, place, with_nan
from odd import Odd

from minigan.losses import Minimax


def odd(frozen=1.0):
    model = Odd((2,), rng=np.random.default_rng(0))
    model.frozen["target"].W[...] *= frozen
    return model


def odd_batch():
    return {"one": np.ones((4, 2), np.float32), "two": np.ones((4, 2), np.float32)}


def test_a_frozen_network_is_looked_at_as_well():
    finding = find(odd(frozen=np.float32(3e38)), odd_batch)
    assert place(finding)[:3] == ("target", "", "forward")
    assert "is in the output of the network target in forward" in finding.sentence
    model = odd()
    model.frozen["target"].b[0] = np.nan
    assert place(find(model, odd_batch)) == ("target", "", "start", "b")


def test_the_array_of_a_batch_is_named_in_which_it_was():
    spoiled = odd_batch() | {"two": with_nan(odd_batch()["two"])}
    finding = find(odd(), lambda: spoiled)
    assert finding.part == "two of batch 0"


def test_an_objective_that_is_in_no_game_is_called_by_its_name():
    model, loss = odd(), Minimax()
    step, model.losses = model.step, {"content": loss}
    real = loss.real
    loss.real = lambda x: (real(x)[0] * np.nan, real(x)[1])

    def stepping(next_batch, rng, now):
        loss.real(np.ones((4, 1), np.float32))
        return step(next_batch, rng, now)

    model.step = stepping
    finding = find(model, odd_batch)
    assert place(finding) == ("", "", "loss", "the value")
    assert "of content.real" in finding.sentence
    assert "real" in vars(loss)  # what was hung on it before is there again
