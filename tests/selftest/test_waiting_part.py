"""A step that waits, or copies to the device, is found; and the parts after it go on."""

from types import SimpleNamespace

import numpy as np
from parts import a_part

from minigan.backend import to_numpy
from minigan.gans import MODELS
from minigan.selftest import waiting
from minigan.selftest.small import small_gans
from minigan.testing import STRICT


def gan_whose_step(does):
    return lambda device: SimpleNamespace(device=device, shape=(2,), n_classes=0, step=lambda batch, rng: does(batch()))


def test_steps_that_wait_or_upload_are_found(monkeypatch, capsys):
    steps = {
        "good": lambda x: x + 1,
        "waiting": lambda x: to_numpy(x),
        "uploading": lambda x: x + STRICT.array(np.ones(2, np.float32)),
        "last": lambda x: x,
    }
    monkeypatch.setattr(waiting, "small_gans", lambda: ((name, gan_whose_step(does)) for name, does in steps.items()))
    part = a_part()
    waiting.run(part)
    shown = capsys.readouterr().out
    assert part.failures == 2
    assert "good: no wait, 0 uploads" in shown
    assert "FAILED: waiting: ForbiddenTransfer" in shown
    assert "FAILED: uploading copies 1 arrays" in shown
    assert "last: no wait" in shown


def test_every_model_is_there_and_is_built_anew_each_time():
    gans = dict(small_gans())
    assert {name.split()[3] for name in gans} == set(MODELS)
    build = gans["a step of dcgan for 16×16×1"]
    one, other = build(STRICT), build(STRICT, np.float64)
    assert one is not other
    values = [to_numpy(gan.networks["D"].parameters().values) for gan in (one, other)]
    np.testing.assert_array_equal(*values)
    assert values[1].dtype == other.optimizers["D"].m.dtype == np.float64
    assert other.optimizers["D"].parameters is other.networks["D"].parameters()
