"""The smallest conditional GAN: dense layers that see the class as a one-hot vector."""

import numpy as np

from minigan.backend import array_module
from minigan.gans.base import LatentGAN
from minigan.layers import Dense, Layer, Reshape, Sequential, Tanh
from minigan.losses import Minimax
from minigan.model import LABEL, SAMPLES
from minigan.models import MODELS
from minigan.optim import Adam


class BesideClass(Layer):
    """(x, labels) → x flattened, with a one-hot vector of the class beside it."""

    def __init__(self, n_classes):
        self.n_classes = n_classes

    def forward(self, x, train=True, rng=None):
        x, labels = x
        xp = array_module(x)
        one_hot = (labels[:, None] == xp.arange(self.n_classes)).astype(x.dtype)
        return xp.concatenate([x.reshape(len(x), -1), one_hot], axis=1), x.shape

    def backward(self, dy, cache, wrt="both"):
        return None if wrt == "params" else (dy[:, : -self.n_classes].reshape(cache), None)

    def double_backward(self, ddx, dy, cache):
        return self.forward((ddx[0], array_module(dy).full(len(dy), -1)))[0], None


class TinyConditional(LatentGAN):
    arrays = {"real": SAMPLES, "label": LABEL}
    batch_size = 8

    def __init__(self, shape, n_classes: int, latent_dim: int = 4, *, rng, device="cpu"):
        self.n_classes, size = n_classes, int(np.prod(shape))
        G = Sequential(BesideClass(n_classes), Dense(latent_dim + n_classes, size, rng=rng), Tanh(), Reshape(*shape))
        D = Sequential(BesideClass(n_classes), Dense(size + n_classes, 1, rng=rng))
        self.setup(shape, latent_dim, G, D, Minimax(), device)
        self.optimizers = {name: Adam(network.parameters()) for name, network in self.networks.items()}

    def step(self, next_batch, rng, now):
        G, D = self.networks.values()
        batch = next_batch()
        x, labels = batch["real"], batch["label"]
        fake, G_cache = G.forward((self.latent(len(x), rng), labels))
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()
        logits, cache = D.forward((x, labels))
        d_loss, dlogits = self.loss.real(logits)
        D.backward(dlogits, cache, wrt="params")
        logits, cache = D.forward((fake, labels))
        g_loss, dlogits = self.loss.generator(logits)
        G.backward(D.backward(dlogits, cache, wrt="input")[0], G_cache, wrt="params")
        for optimizer in self.optimizers.values():
            optimizer.step()
        return {"d_loss": d_loss, "g_loss": g_loss, "d_real": logits.mean(), "d_fake": logits.mean()}


def know(monkeypatch):
    """Let minigan know this model as "tiny"."""
    monkeypatch.setitem(MODELS, "tiny", TinyConditional)
