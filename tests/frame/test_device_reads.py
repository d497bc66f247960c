"""A step waits for the device as often as its model says in `reads`: never, unless it decides by a number."""

import numpy as np
import pytest
import small_models

from minigan.backend import to_numpy
from minigan.common.small_models import moments, random_batch
from minigan.testing import STRICT
from minigan.testing.transfers import transfers

SHAPES = {"TwoSizes": (8, 8, 1), "Restorer": (12, 8, 1)}
STEPS = 8


class Deciding(small_models.Restorer):
    """Learns only while its error is large, which it has to know on the host; every second step looks."""

    reads = 0.5

    def step(self, next_batch, rng, now):
        if now.step % 2 == 0:
            x = next_batch()["target"]
            error = float(to_numpy(((self.apply(x) - x) ** 2).mean()))
            self.optimizers["filler"].lr = 1e-3 if error > 0.01 else 0.0
        return super().step(next_batch, rng, now)


def reads_of_steps(cls):
    """How many times arrays came to the host in so many steps of each phase, a step."""
    arrays = [name for name, kind in cls.arrays.items() if kind.what != "label"]
    shapes = dict.fromkeys(arrays, SHAPES.get(cls.__name__, (8, 8, 1)))
    given = {"shape": shapes[arrays[0]]} if cls is small_models.TwoSizes else {f"{a}_shape": shapes[a] for a in arrays}
    model = cls(**given, rng=np.random.default_rng(0), device=STRICT)
    rows = random_batch(model, shapes, 6, np.random.default_rng(1))
    batch = {name: STRICT.array(array) for name, array in rows.items()}
    found = []
    for now in moments(model):
        before = transfers.to_host
        for step in range(STEPS):
            moment = type(now)(step, now.samples, now.rng, now.progress, now.phase)
            measured = model.step(lambda: batch, STRICT.rng(step), moment)
            assert measured.keys() <= model.measures.keys()
        found.append((transfers.to_host - before) / STEPS)
    return found


@pytest.mark.parametrize("name", ["ToTarget", "Unpaired", "TwoSizes", "Restorer"])
def test_steps_leave_their_numbers_on_the_device(name):
    assert set(reads_of_steps(getattr(small_models, name))) == {0.0}


def test_a_step_that_decides_by_a_number_reads_as_often_as_it_says():
    assert reads_of_steps(Deciding) == [Deciding.reads]
