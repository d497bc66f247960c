"""Three small translators, with held-out items in memory."""

import numpy as np

from minigan.backend import get_device
from minigan.layers import Conv2D, ConvTranspose2D, Sequential
from minigan.losses import l1
from minigan.model import MAP, PICTURE, Kind, Measure, Model, Translation
from minigan.optim import Adam

COLORS = np.array([[0, 0, 0], [200, 30, 30], [30, 60, 200]], np.uint8)
K = len(COLORS)


def waves(n, seed, size=16, channels=1):
    """Smooth pictures (n, size, size, channels) in [-1, 1]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    a, b, c = rng.uniform(-0.5, 0.5, (3, n, 1, 1, channels))
    return np.sin(a * x[..., None] + b * y[..., None] + 6 * c).astype(np.float32)


class Translator(Model):
    """One convolution; its result is that of `translate`."""

    holds_out, batch_size = True, 4
    measures = {"l1": Measure("L1", "Pixel loss", "positive")}

    def setup(self, shapes, rng, device):
        self.device = get_device(device)
        networks = {name: Sequential(Conv2D(*ends, 3, padding=1, rng=rng)) for name, ends in shapes.items()}
        self.networks = {name: network.to(self.device) for name, network in networks.items()}
        self.optimizers = {name: Adam(network.parameters(), 1e-2) for name, network in self.networks.items()}

    def output(self, x, name="G"):
        return self.networks[name].output(x, train=False)

    def follow(self, name, x, wanted, rng):
        self.optimizers[name].zero_grad()
        y, cache = self.networks[name].forward(x, rng=rng)
        loss, dy = l1(y, wanted)
        self.networks[name].backward(dy, cache, wrt="params")
        self.optimizers[name].step()
        return loss


class Denoiser(Translator):
    """A pair whose source is made by `damage`."""

    arrays = {"clean": PICTURE}
    translations = (Translation("noisy", "clean"),)

    def __init__(self, clean_shape, *, rng, device="cpu"):
        self.setup({"G": (clean_shape[2], clean_shape[2])}, rng, device)

    def damage(self, item, rng):
        return {"noisy": item["clean"] + rng.normal(0, 0.2, item["clean"].shape)}

    def step(self, next_batch, rng, now):
        batch = next_batch()
        return {"l1": self.follow("G", batch["noisy"], batch["clean"], rng)}

    def translate(self, item):
        return {"clean": self.output(item["noisy"])}


class Painter(Translator):
    """From a picture to a class map."""

    arrays = {"input": PICTURE, "target": MAP}
    translations = (Translation("input", "target"),)

    def __init__(self, input_shape, target_shape, target_colors=COLORS, *, rng, device="cpu"):
        self.setup({"G": (input_shape[2], target_shape[2])}, rng, device)
        self.target_colors = target_colors

    def step(self, next_batch, rng, now):
        batch = next_batch()
        return {"l1": self.follow("G", batch["input"], batch["target"], rng)}

    def translate(self, item):
        return {"target": self.output(item["input"])}


class Cycle(Translator):
    """Both ways between two sets."""

    arrays = {"a": Kind("picture", "a"), "b": Kind("picture", "b")}
    translations = (Translation("a", "b", False, ("AB",)), Translation("b", "a", False, ("BA",)))

    def __init__(self, a_shape, b_shape, *, rng, device="cpu"):
        self.setup({"AB": (a_shape[2], b_shape[2]), "BA": (b_shape[2], a_shape[2])}, rng, device)

    def step(self, next_batch, rng, now):
        batch = next_batch()
        self.follow("BA", self.output(batch["a"], "AB"), batch["a"], rng)
        return {"l1": self.follow("AB", self.output(batch["b"], "BA"), batch["b"], rng)}

    def translate(self, item):
        networks = {"a": ("b", "AB"), "b": ("a", "BA")}
        return {target: self.output(item[x], name) for x, (target, name) in networks.items() if x in item}


def denoiser_data(n=12, size=16):
    return {"clean": waves(n, 1, size)}


def cycle_data():
    return {"a": waves(30, 3), "b": np.sign(waves(40, 4)) * np.float32(0.8)}


class Enlarger(Translator):
    """Twice as high and wide; its low pictures are made by `damage`, and its baseline repeats pixels."""

    arrays, scale, applied = {"high": PICTURE}, 2, ("G",)
    translations = (Translation("low", "high"),)
    crops = True
    baseline_words = "repeated"

    def __init__(self, high_shape, *, rng, device="cpu"):
        self.device, C = get_device(device), high_shape[2]
        network = Sequential(ConvTranspose2D(C, C, 4, stride=2, padding=1, rng=rng)).to(self.device)
        self.networks, self.optimizers = {"G": network}, {"G": Adam(network.parameters(), 1e-2)}

    def damage(self, item, rng):
        high = item["high"][: item["high"].shape[0] // 2 * 2, : item["high"].shape[1] // 2 * 2]
        H, W, C = high.shape
        return {"high": high, "low": high.reshape(H // 2, 2, W // 2, 2, C).mean(axis=(1, 3))}

    def step(self, next_batch, rng, now):
        batch = next_batch()
        return {"l1": self.follow("G", batch["low"], batch["high"], rng)}

    def apply(self, x):
        return self.output(x).clip(-1, 1)

    def translate(self, item):
        return {"high": self.apply(item["low"])}

    def baseline(self, item):
        return {"high": item["low"].repeat(2, axis=1).repeat(2, axis=2)}

    def stages(self, item):
        return {"half": 0.5 * self.output(item["low"]), "whole": self.output(item["low"])}
