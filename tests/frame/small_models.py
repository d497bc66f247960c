"""Four small models and their data, each of a kind that two networks and one set of square pictures can't express.

    ToTarget     three networks, one of them frozen; an input and a target
    Unpaired     two feeds of different length, three networks, a pool of earlier fakes in the state
    TwoSizes     two phases with another level and another size of batch; a level beside x, in the state
    Restorer     pictures that aren't square, damaged on the way; `apply`, and held-out items with a judgement

They are written as a user would, in a file of their own: small_models.py:ToTarget with --data small_models.py:pairs.
"""

import numpy as np

from minigan.backend import array_module, get_device, to_numpy
from minigan.layers import AvgPool2D, Conv2D, Dense, Flatten, Layer, LeakyReLU, Reshape, Sequential, Tanh, Upsample
from minigan.losses import LeastSquares, Minimax, l1, l2
from minigan.model import PICTURE, Exhibit, Game, Judgement, Kind, Measure, Model, Phase
from minigan.optim import Adam, WeightAverage


def stripes(n, height, width, seed):
    """Pictures (n, height, width, 1): waves of any direction and length."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    angle, length, phase = rng.uniform(0, 2 * np.pi, (3, n, 1, 1))
    waves = np.sin((np.cos(angle) * x + np.sin(angle) * y) * (0.5 + length / 8) + phase)
    return (0.8 * waves[..., None]).astype(np.float32)


def pairs():
    """Inputs, and targets that are their negatives."""
    pictures = stripes(40, 8, 8, 1)
    return {"input": pictures, "target": -pictures}


def unpaired():
    """Two feeds that have no row in common, and different lengths."""
    return {"a": stripes(23, 8, 8, 2), "b": np.sign(stripes(31, 8, 8, 3)) * np.float32(0.8)}


def pictures():
    return {"real": stripes(50, 8, 8, 4)}


def tall():
    """Pictures of 12 × 8 pixels."""
    return {"target": stripes(40, 12, 8, 5)}


def convolutions(c_in, c_out, rng, last=True):
    layers = [Conv2D(c_in, 4, 3, padding=1, rng=rng), LeakyReLU(0.2), Conv2D(4, c_out, 3, padding=1, rng=rng)]
    return Sequential(*layers, *([Tanh()] if last else []))


def critic(n, rng):
    return Sequential(Flatten(), Dense(n, 16, rng=rng), LeakyReLU(0.2), Dense(16, 1, rng=rng))


class Base(Model):
    """What the four have in common: setting up, and the update of a critic."""

    def setup(self, networks, loss, device, lr=1e-3):
        self.device = get_device(device)
        self.networks = {name: network.to(self.device) for name, network in networks.items()}
        self.optimizers = {name: Adam(network.parameters(), lr) for name, network in self.networks.items()}
        self.loss, self.losses = loss, {"loss": loss}

    def critic_step(self, name, real, fake, rng):
        network, optimizer = self.networks[name], self.optimizers[name]
        optimizer.zero_grad()
        losses = []
        for x, objective in ((real, self.loss.real), (fake, self.loss.fake)):
            logits, cache = network.forward(x, rng=rng)
            value, dlogits = objective(logits)
            network.backward(dlogits, cache, wrt="params")
            losses.append((value, logits[..., 0].mean()))
        optimizer.step()
        (real_loss, real_mean), (fake_loss, fake_mean) = losses
        return {f"{name}_loss": real_loss + fake_loss, f"{name}_real": real_mean, f"{name}_fake": fake_mean}


class ToTarget(Base):
    """maker, critic, and a frozen eye, in whose features the target is met; pixels count in every fourth step."""

    arrays = {"input": Kind("picture"), "target": Kind("picture")}
    batch_size = 8
    averaged = ("maker",)
    measures = {
        "content": Measure("content", "In the eyes of the network that nothing trains", "positive"),
        "maker_loss": Measure("maker", "Losses"),
        "critic_loss": Measure("critic", "Losses"),
        "critic_real": Measure("real", "Output of the critic"),
        "critic_fake": Measure("made", "Output of the critic"),
        "pixels": Measure("pixels", "Pixels", "positive", note="every fourth step"),
    }

    def __init__(self, input_shape, target_shape, lr: float = 1e-3, *, rng, device="cpu"):
        networks = {"maker": convolutions(1, 1, rng), "critic": critic(int(np.prod(target_shape)), rng)}
        self.setup(networks, Minimax(), device, lr)
        self.frozen = {"eye": convolutions(1, 3, rng, last=False).to(self.device)}
        self.games = (Game(self.loss, "critic", "maker", "critic_loss", "maker_loss", "critic_real", "critic_fake"),)

    def fill_frozen(self, read):
        weights = self.frozen["eye"].parameters().values
        weights[...] = self.device.array(np.random.default_rng(99).normal(0, 0.3, weights.shape), weights.dtype)

    def step(self, next_batch, rng, now):
        batch, maker, eye = next_batch(), self.networks["maker"], self.frozen["eye"]
        self.optimizers["maker"].zero_grad()
        y, cache = maker.forward(batch["input"], rng=rng)
        seen, eye_cache = eye.forward(y, train=False)
        content, dseen = l2(seen, eye.output(batch["target"], train=False))
        logits, critic_cache = self.networks["critic"].forward(y, rng=rng)
        fooled, dlogits = self.loss.generator(logits)
        dy = eye.backward(dseen, eye_cache, wrt="input")
        dy = dy + self.networks["critic"].backward(0.01 * dlogits, critic_cache, wrt="input")
        measured = {"content": content, "maker_loss": fooled}
        if now.step % 4 == 0:
            measured["pixels"], dpixels = l1(y, batch["target"])
            dy = dy + 4 * dpixels
        maker.backward(dy, cache, wrt="params")
        self.optimizers["maker"].step()
        return measured | self.critic_step("critic", batch["target"], y, rng)

    def apply(self, x):
        return self.drawing("maker").output(x, train=False)


class Unpaired(Base):
    """there, back, and a critic of b that is shown earlier fakes as well."""

    arrays = {"a": Kind("picture", "a"), "b": Kind("picture", "b")}
    batch_size, holds_out, applied, multiple = 2, True, ("there",), 1
    measures = {
        "cycle": Measure("cycle", "There and back", "positive"),
        "there_loss": Measure("there", "Losses"),
        "critic_loss": Measure("critic", "Losses"),
        "critic_real": Measure("b", "Output of the critic"),
        "critic_fake": Measure("made of a", "Output of the critic"),
    }

    def __init__(self, a_shape, b_shape, pool: int = 6, *, rng, device="cpu"):
        networks = {"there": convolutions(1, 1, rng), "back": convolutions(1, 1, rng)}
        networks["critic"] = convolutions(1, 1, rng, last=False)
        self.setup(networks, LeastSquares(), device)
        self.pool, self.filled = self.device.xp.zeros((pool, *b_shape), np.float32), 0
        self.games = (Game(self.loss, "critic", "there", "critic_loss", "there_loss", "critic_real", "critic_fake"),)

    def rates(self, now):
        return dict.fromkeys(self.optimizers, 1e-3 * min(1.0, 2 - 2 * now.progress))

    def step(self, next_batch, rng, now):
        batch, (there, back, judge) = next_batch(), self.networks.values()
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()
        fake, cache = there.forward(batch["a"], rng=rng)
        again, back_cache = back.forward(fake, rng=rng)
        logits, judge_cache = judge.forward(fake, rng=rng)
        cycle, dagain = l1(again, batch["a"])
        fooled, dlogits = self.loss.generator(logits)
        dfake = back.backward(10 * dagain, back_cache) + judge.backward(dlogits, judge_cache, wrt="input")
        there.backward(dfake, cache, wrt="params")
        self.optimizers["there"].step()
        self.optimizers["back"].step()
        measured = self.critic_step("critic", batch["b"], self.from_pool(fake, now.rng), rng)
        return measured | {"cycle": cycle, "there_loss": fooled}

    def from_pool(self, fakes, rng):
        given = []
        for n in range(len(fakes)):
            chosen = fake = fakes[n]
            if self.filled < len(self.pool):
                self.pool[self.filled] = fake
                self.filled += 1
            elif rng.random() < 0.5:
                i = int(rng.integers(len(self.pool)))
                chosen = self.pool[i].copy()
                self.pool[i] = fake
            given.append(chosen)
        return array_module(fakes).stack(given)

    def apply(self, x):
        return self.networks["there"].output(x, train=False)

    def show(self, held_out, rng):
        """A row for each of three pictures: a, made of it, and back again."""
        rows = []
        for item in list(held_out)[:3]:
            fake = self.apply(item["a"])
            rows += [item["a"], fake, self.networks["back"].output(fake, train=False)]
        return {"translated": Exhibit(array_module(rows[0]).concatenate(rows), 3, captions=("a", "as b", "again"))}

    def state_dict(self):
        return {"pool": to_numpy(self.pool).copy(), "filled": np.int64(self.filled)}

    def load_state_dict(self, arrays):
        self.pool[...] = self.device.array(arrays["pool"])
        self.filled = int(arrays["filled"])


class Staged(Layer):
    """(x, level) → small(x) at level 0; from level 1 on large(x). The one that doesn't run learns nothing."""

    def __init__(self, small, large):
        self.small, self.large = small, large

    def children(self):
        return {"small": self.small, "large": self.large}

    def forward(self, x, train=True, rng=None):
        stage = self.small if x[1] < 1 else self.large
        y, cache = stage.forward(x[0], train, rng)
        return y, (stage, cache)

    def backward(self, dy, cache, wrt="both"):
        stage, inner = cache
        return stage.backward(dy, inner, wrt), None

    def double_backward(self, ddx, dy, cache):
        stage, inner = cache
        ddy, dx2 = stage.double_backward(ddx[0], dy, inner)
        return ddy, None if dx2 is None else (dx2, None)


class TwoSizes(Base):
    """Pictures of 4 × 4 pixels in the first phase, of 8 × 8 in the second, which has smaller batches."""

    arrays = {"real": PICTURE}
    batch_size, latent_dim = 10, 6
    measures = {
        "D_loss": Measure("D", "Losses"),
        "G_loss": Measure("G", "Losses"),
        "D_real": Measure("real", "Output of D"),
        "D_fake": Measure("generated", "Output of D"),
        "level": Measure("level", "Level", "positive"),
    }

    def __init__(self, shape, small: int | None = None, *, rng, device="cpu"):
        stages = [Sequential(Dense(6, n * n, rng=rng), Tanh(), Reshape(n, n, 1)) for n in (4, 8)]
        self.setup({"G": Staged(*stages), "D": Staged(critic(16, rng), critic(64, rng))}, Minimax(), device)
        self.level, self.half, self.double = 0.0, AvgPool2D(2), Upsample(2)
        first = Phase("small", idle=("G.large", "D.large"))
        self.phases = (first, Phase("large", small or 0, batch_size=6, idle=("G.small", "D.small")))
        self.averages = {"G": WeightAverage(self.networks["G"], 0.9)}
        self.games = (Game(self.loss, "D", "G", "D_loss", "G_loss", "D_real", "D_fake"),)

    @classmethod
    def planned(cls, samples, arguments):
        return arguments | ({"small": samples // 2} if arguments.get("small") is None else {})

    def begin(self, phase, now):
        for optimizer in self.optimizers.values():
            optimizer.reset()

    def step(self, next_batch, rng, now):
        self.level = float(now.phase.name == "large")
        real = next_batch()["real"]
        real = real if self.level else self.half.output(real)
        D, G = self.networks["D"], self.networks["G"]
        fake, cache = G.forward((self.latent(len(real), rng), self.level), rng=rng)
        measured = self.critic_step("D", (real, self.level), (fake, self.level), rng)
        self.optimizers["G"].zero_grad()
        logits, D_cache = D.forward((fake, self.level), rng=rng)
        fooled, dlogits = self.loss.generator(logits)
        G.backward(D.backward(dlogits, D_cache, wrt="input")[0], cache, wrt="params")
        self.optimizers["G"].step()
        return measured | {"G_loss": fooled, "level": array_module(real).full((), self.level, np.float32)}

    def latent(self, n, rng):
        return rng.standard_normal((n, self.latent_dim), dtype=np.float32)

    def generate(self, z, labels=None):
        x = self.drawing("G").output((z, self.level), train=False)
        return x if self.level else self.double.output(x)

    def show(self, held_out, rng):
        return {"samples": Exhibit(self.generate(self.latent(12, rng)), like="real")}

    def state_dict(self):
        return {"level": np.float64(self.level)}

    def load_state_dict(self, arrays):
        self.level = float(arrays["level"])


class Restorer(Base):
    """Fills a band that is missing. Local operations only, so it takes pictures of any size."""

    arrays = {"target": PICTURE}
    batch_size, holds_out, applied, multiple = 4, True, ("filler",), 1
    measures = {"error": Measure("error", "Error", "positive")}
    judgements = {"psnr": Judgement("PSNR in dB", "higher"), "worst": Judgement("worst error", "")}

    def __init__(self, target_shape, *, rng, device="cpu"):
        self.setup({"filler": convolutions(1, 1, rng)}, LeastSquares(), device)

    def damage(self, item, rng):
        H, W, _ = item["target"].shape
        mask = np.ones((H, W, 1), np.uint8)
        top = int(rng.integers(H - 2))
        mask[top : top + 2] = 0
        return {"input": item["target"] * mask.astype(np.float32), "mask": mask}

    def step(self, next_batch, rng, now):
        batch, optimizer = next_batch(), self.optimizers["filler"]
        assert batch["mask"].dtype == np.uint8
        optimizer.zero_grad()
        y, cache = self.networks["filler"].forward(batch["input"], rng=rng)
        error, dy = l2(y, batch["target"])
        self.networks["filler"].backward(dy, cache, wrt="params")
        optimizer.step()
        return {"error": error}

    def apply(self, x):
        return self.networks["filler"].output(x, train=False)

    def show(self, held_out, rng):
        item = held_out[0]
        return {
            "filled": Exhibit(array_module(item["input"]).concatenate([item["input"], self.apply(item["input"])]), 2)
        }

    def judge(self, held_out, rng):
        errors = [float(((self.apply(item["input"]) - item["target"]) ** 2).mean()) for item in held_out]
        return {"psnr": float(np.mean(10 * np.log10(4 / np.array(errors)))), "worst": max(errors)}
