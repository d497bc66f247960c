"""A step that waits, or copies to the device, is found; and the parts after it go on."""

from types import SimpleNamespace

import numpy as np
from parts import a_part

from minigan.backend import to_numpy
from minigan.common.small_models import Small
from minigan.model import SAMPLES, WHOLE
from minigan.models import MODELS
from minigan.selftest import waiting
from minigan.selftest.small import every_small_model
from minigan.testing import STRICT

SHAPES = {"real": (2,)}


def model(device, step):
    return SimpleNamespace(device=device, arrays={"real": SAMPLES}, phases=(WHOLE,), reads=0, step=step)


def model_whose_step(does):
    def build(device):
        def step(next_batch, rng, now):
            return does(next_batch()["real"])

        return Small(model(device, step), SHAPES, "")

    return build


def test_steps_that_wait_or_upload_are_found(monkeypatch, capsys):
    steps = {
        "good": lambda x: x + 1,
        "waiting": lambda x: to_numpy(x),
        "uploading": lambda x: x + STRICT.array(np.ones(2, np.float32)),
        "last": lambda x: x,
    }
    models = [(name, model_whose_step(does)) for name, does in steps.items()]
    monkeypatch.setattr(waiting, "every_small_model", lambda: models)
    part = a_part()
    waiting.run(part)
    shown = capsys.readouterr().out
    assert part.failures == 2
    assert "good: no wait, 0 uploads" in shown
    assert "FAILED: waiting: ForbiddenTransfer" in shown
    assert "FAILED: uploading copies 1 arrays" in shown
    assert "last: no wait" in shown


def test_every_model_is_there_and_is_built_anew_each_time():
    models = dict(every_small_model())
    assert {name.split()[3] for name in models} == set(MODELS)
    build = models["a step of dcgan for 16×16×1"]
    one, other = build(STRICT).model, build(STRICT, np.float64).model
    assert one is not other
    values = [to_numpy(gan.networks["D"].parameters().values) for gan in (one, other)]
    np.testing.assert_array_equal(*values)
    assert values[1].dtype == other.optimizers["D"].m.dtype == np.float64
    assert other.optimizers["D"].parameters is other.networks["D"].parameters()
