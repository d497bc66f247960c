"""A user's own model with styles w: four layers, each of which adds its part of a picture."""

import numpy as np

from minigan.backend import get_device, to_numpy
from minigan.layers import Dense, Flatten, Reshape, Sequential, Tanh
from minigan.losses import l2
from minigan.model import PICTURE, Measure, Model
from minigan.optim import Adam

L, D = 4, 3


class Styles(Model):
    """w of all layers is a linear map of z, a picture is tanh of a linear map of w. It learns the mean picture."""

    arrays = {"real": PICTURE}
    measures = {"loss": Measure("mean square", "Loss", "positive")}

    def __init__(self, shape, latent_dim: int = 5, *, rng, device="cpu"):
        self.device, self.latent_dim = get_device(device), latent_dim
        mapping = Sequential(Dense(latent_dim, D, rng=rng))
        pixels = int(np.prod(shape))
        synthesis = Sequential(Flatten(), Dense(L * D, pixels, rng=rng), Tanh(), Reshape(*shape))
        self.networks = {"mapping": mapping.to(self.device), "synthesis": synthesis.to(self.device)}
        self.optimizers = {name: Adam(network.parameters(), 1e-2) for name, network in self.networks.items()}
        self.w_mean = self.device.array(np.full(D, 0.5, np.float32))

    def step(self, next_batch, rng, now):
        real = next_batch()["real"]
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()
        w, w_cache = self.networks["mapping"].forward(self.latent(len(real), rng))
        fake, cache = self.networks["synthesis"].forward(self.device.xp.stack([w] * L, axis=1))
        loss, dfake = l2(fake, real)
        self.networks["mapping"].backward(self.networks["synthesis"].backward(dfake, cache).sum(axis=1), w_cache)
        for optimizer in self.optimizers.values():
            optimizer.step()
        return {"loss": loss}

    def latent(self, n, rng):
        return rng.standard_normal((n, self.latent_dim), dtype=np.float32)

    def styles(self, z, labels=None, truncation=1.0, layers=None):
        w = self.device.xp.stack([self.networks["mapping"].output(z, train=False)] * L, axis=1)
        w[:, :layers] = self.w_mean + truncation * (w[:, :layers] - self.w_mean)
        return w

    def synthesize(self, w, rng=None):
        return self.networks["synthesis"].output(w, train=False)

    def trace(self, code, labels=None):
        samples, cache = self.networks["synthesis"].forward(code, train=False)
        return samples, lambda dsamples: self.networks["synthesis"].backward(dsamples, cache, wrt="input")

    def generate(self, z, labels=None, truncation=1.0):
        return self.synthesize(self.styles(z, labels, truncation))

    def state_dict(self):
        return {"w_mean": to_numpy(self.w_mean).copy()}

    def load_state_dict(self, arrays):
        self.w_mean = self.device.array(arrays["w_mean"])
