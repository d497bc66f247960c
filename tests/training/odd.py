"""A model that has everything a GAN lacks: four networks, one of them frozen, two feeds, two phases, arrays of its own.

It takes well under a millisecond a step.
"""

from dataclasses import replace

import numpy as np
from tiny import CONFIG, make_run, newest

from minigan.backend import get_device, to_numpy
from minigan.layers import Dense, Sequential, Tanh
from minigan.model import Exhibit, Judgement, Kind, Measure, Model, Phase
from minigan.optim import SGD, Adam

SEVERAL = {"one": Kind("points", "first"), "two": Kind("points", "second")}


class Odd(Model):
    """Learns "low" in its first phase, "high" as well in the second. Its pool holds the rows of the newest batch."""

    arrays = SEVERAL
    averaged = ("low", "high")
    measures = {
        "loss": Measure("loss", "Losses"),
        "seldom": Measure("penalty", "Penalty", "positive"),
        "drawn": Measure("drawn", "Draws"),
    }
    judgements = {"size": Judgement("size", ""), "nearness": Judgement("nearness", "higher")}

    def __init__(self, one_shape, second: int = 40, lr: float = 0.01, *, rng, device="cpu"):
        self.device = get_device(device)
        n = one_shape[0]
        self.networks = {"low": Sequential(Dense(n, 8, rng=rng), Tanh()), "high": Dense(8, n, rng=rng)}
        self.frozen = {"target": Dense(n, n, rng=rng)}
        for network in (*self.networks.values(), *self.frozen.values()):
            network.to(self.device)
        low, high = (network.parameters() for network in self.networks.values())
        self.optimizers = {"low": Adam(low, lr), "high": SGD(high, lr, 0.9)}
        self.phases = (Phase("first", idle=("high",)), Phase("second", second, 6))
        self.pool, self.begun = np.zeros((0, n), np.float32), []

    def begin(self, phase, now):
        self.begun.append((phase.name, now.samples))
        self.optimizers["low"].reset()

    def rates(self, now):
        return {"low": 0.01 / (1 + now.progress)}

    def step(self, next_batch, rng, now):
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()
        batch = next_batch()
        x = batch["one"] + self.device.array(now.rng.random(2, dtype=np.float32))
        noise = rng.standard_normal(x.shape, dtype=np.float32)
        hidden, low_cache = self.networks["low"].forward(x)
        y, high_cache = self.networks["high"].forward(hidden)
        difference = y - self.frozen["target"].output(batch["two"] + noise)
        learning = ("low", "high") if now.phase.name == "second" else ("low",)
        dhidden = self.networks["high"].backward(difference, high_cache, "both" if "high" in learning else "input")
        self.networks["low"].backward(dhidden, low_cache, "params")
        for name in learning:
            self.optimizers[name].step()
        self.pool *= 0.5  # in place: whoever kept this very array would see it
        self.pool = np.concatenate([self.pool, to_numpy(batch["two"])])[-7:]  # of another length at first
        measured = {"loss": (difference * difference).mean(), "drawn": noise.mean()}
        return measured | ({"seldom": (y * y).mean()} if now.step % 4 == 0 else {})

    def show(self, held_out, rng):
        x = self.drawing("high").output(self.drawing("low").output(rng.standard_normal((20, 2), dtype=np.float32)))
        return {"points": Exhibit(x, like="one"), "other": Exhibit(2 * x)}

    def judge(self, held_out, rng):
        return {"size": len(self.pool), "nearness": float(rng.random())}

    def state_dict(self):
        return {"pool": self.pool, "full": np.array(len(self.pool) == 7)}

    def load_state_dict(self, arrays):
        self.pool = arrays["pool"]


DATA = {
    "one": np.random.default_rng(0).standard_normal((10, 2), dtype=np.float32),
    "two": np.random.default_rng(1).standard_normal((23, 2), dtype=np.float32),
}
ODD = replace(
    CONFIG,
    model="odd.py:Odd",
    model_args={},
    shapes=dict.fromkeys(DATA, (2,)),
    samples={"first": 10, "second": 23},
    limit=None,
    augment=(),
    ema=0.9,
    n_steps=25,
    eval_interval=10,
    sample_interval=10,
    checkpoint_interval=7,
)


def odd_run(folder, config=ODD, device=None, cls=Odd, **more):
    """A run of it that is about to begin."""
    return make_run(folder, config, device, cls, DATA, **more)


def odd_resumed(folder, config=ODD, checkpoint=None, cls=Odd):
    """One that goes on from a checkpoint, the newest."""
    run = odd_run(folder, config, cls=cls)
    run.resume(checkpoint or newest(folder))
    return run
