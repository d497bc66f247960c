"""Twenty steps of DCGAN and twenty of the same in PyTorch, written there as everybody does, stay together.

From the same weights, noise and pictures. The networks in PyTorch have the same layers at the same positions, so that
names correspond; layouts differ: channels come first there, and a picture that is flattened has another order.
"""

import numpy as np
import pytest

from minigan.gans import DCGAN
from minigan.optim import Adam

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.oracle

STEPS, BATCH, LATENT, FEATURES = 20, 6, 10, 4


def dcgan_28(C, f):
    G = nn.Sequential(
        nn.Linear(LATENT, 16 * f, bias=False),
        nn.BatchNorm1d(16 * f),
        nn.ReLU(),
        nn.Linear(16 * f, 7 * 7 * 2 * f, bias=False),
        nn.BatchNorm1d(7 * 7 * 2 * f),
        nn.ReLU(),
        nn.Unflatten(1, (2 * f, 7, 7)),
        nn.ConvTranspose2d(2 * f, f, 5, 2, 2, 1, bias=False),
        nn.BatchNorm2d(f),
        nn.ReLU(),
        nn.ConvTranspose2d(f, C, 5, 2, 2, 1),
        nn.Tanh(),
    )
    D = nn.Sequential(
        nn.Conv2d(C, f, 5, 2, 2),
        nn.LeakyReLU(0.2),
        nn.Conv2d(f, 2 * f, 5, 2, 2, bias=False),
        nn.BatchNorm2d(2 * f),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(7 * 7 * 2 * f, 16 * f, bias=False),
        nn.BatchNorm1d(16 * f),
        nn.LeakyReLU(0.2),
        nn.Linear(16 * f, 1),
    )
    return G, D


def dcgan_64(C, f):
    G = nn.Sequential(
        nn.Unflatten(1, (LATENT, 1, 1)),
        nn.ConvTranspose2d(LATENT, 8 * f, 4, bias=False),
        nn.BatchNorm2d(8 * f),
        nn.ReLU(),
        nn.ConvTranspose2d(8 * f, 4 * f, 4, 2, 1, bias=False),
        nn.BatchNorm2d(4 * f),
        nn.ReLU(),
        nn.ConvTranspose2d(4 * f, 2 * f, 4, 2, 1, bias=False),
        nn.BatchNorm2d(2 * f),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * f, f, 4, 2, 1, bias=False),
        nn.BatchNorm2d(f),
        nn.ReLU(),
        nn.ConvTranspose2d(f, C, 4, 2, 1),
        nn.Tanh(),
    )
    D = nn.Sequential(
        nn.Conv2d(C, f, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(f, 2 * f, 4, 2, 1, bias=False),
        nn.BatchNorm2d(2 * f),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * f, 4 * f, 4, 2, 1, bias=False),
        nn.BatchNorm2d(4 * f),
        nn.LeakyReLU(0.2),
        nn.Conv2d(4 * f, 8 * f, 4, 2, 1, bias=False),
        nn.BatchNorm2d(8 * f),
        nn.LeakyReLU(0.2),
        nn.Conv2d(8 * f, 1, 4),
        nn.Flatten(),
    )
    return G, D


def dcgan_32(C, f):
    G, D = dcgan_64(C, f)
    G[-2], D[0] = nn.ConvTranspose2d(f, C, 3, 1, 1), nn.Conv2d(C, f, 3, 1, 1)
    return G, D


def dcgan_16(C, f):
    G = nn.Sequential(
        nn.Unflatten(1, (LATENT, 1, 1)),
        nn.ConvTranspose2d(LATENT, 2 * f, 4, bias=False),
        nn.BatchNorm2d(2 * f),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * f, f, 4, 2, 1, bias=False),
        nn.BatchNorm2d(f),
        nn.ReLU(),
        nn.ConvTranspose2d(f, C, 4, 2, 1),
        nn.Tanh(),
    )
    D = nn.Sequential(
        nn.Conv2d(C, f, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(f, 2 * f, 4, 2, 1, bias=False),
        nn.BatchNorm2d(2 * f),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * f, 1, 4),
        nn.Flatten(),
    )
    return G, D


def dcgan_128(C, f):
    G, D = dcgan_64(C, f)
    widen = [nn.ConvTranspose2d(LATENT, 16 * f, 4, bias=False), nn.BatchNorm2d(16 * f), nn.ReLU()]
    G = nn.Sequential(G[0], *widen, nn.ConvTranspose2d(16 * f, 8 * f, 4, 2, 1, bias=False), *G[2:])
    deepen = [nn.Conv2d(8 * f, 16 * f, 4, 2, 1, bias=False), nn.BatchNorm2d(16 * f), nn.LeakyReLU(0.2)]
    return G, nn.Sequential(*D[:-2], *deepen, nn.Conv2d(16 * f, 1, 4), nn.Flatten())


NETWORKS = {16: dcgan_16, 28: dcgan_28, 32: dcgan_32, 64: dcgan_64, 128: dcgan_128}
NAMES = {"W": "weight", "b": "bias", "gamma": "weight", "beta": "bias"}
# At 28×28, the 7·7·C numbers of a flattened picture are the outputs of layers 3 and 4 of G, the inputs of layer 6 of D.
FLATTENED = {("G", "3"): 0, ("G", "4"): 0, ("D", "6"): 1}


def in_torchs_layout(which, network, size):
    """{"3.weight": array} of one of our networks, as PyTorch lays it out."""
    arrays = {}
    for name, a in network.state_dict().items():
        layer, _, own = name.partition(".")
        if a.ndim == 4:
            a = a.transpose(3, 2, 0, 1)  # (R, S, C, K) → (K, C, R, S); transposed: (R, S, K, C) → (C, K, R, S)
        elif a.ndim == 2:
            a = a.T  # (C, K) → (K, C)
        if size == 28 and (which, layer) in FLATTENED:
            a = channels_first(a, FLATTENED[which, layer])
        arrays[f"{layer}.{NAMES.get(own, own)}"] = a
    return arrays


def channels_first(a, axis):
    """Reorder an axis of 7·7·C numbers, flattened with the channels last, as if they had been first."""
    order = np.arange(a.shape[axis]).reshape(7, 7, -1).transpose(2, 0, 1).ravel()
    return a.take(order, axis)


class Reference:
    """DCGAN's step in PyTorch."""

    def __init__(self, gan, size, C, dtype):
        self.G, self.D = (network.to(dtype) for network in NETWORKS[size](C, FEATURES))
        for which, network in (("G", self.G), ("D", self.D)):
            arrays = in_torchs_layout(which, gan.networks[which], size)
            missing, unexpected = network.load_state_dict({k: torch.tensor(v) for k, v in arrays.items()}, strict=False)
            assert not unexpected
            assert all(name.endswith("num_batches_tracked") for name in missing)
        self.optimizer_G = torch.optim.Adam(self.G.parameters(), 2e-4, (0.5, 0.999))
        self.optimizer_D = torch.optim.Adam(self.D.parameters(), 2e-4, (0.5, 0.999))
        self.loss = nn.BCEWithLogitsLoss()

    def step(self, real, z):
        real = torch.tensor(real.transpose(0, 3, 1, 2))
        ones, zeros = torch.ones(len(z), 1, dtype=real.dtype), torch.zeros(len(z), 1, dtype=real.dtype)

        fake = self.G(torch.tensor(z))
        self.optimizer_D.zero_grad()
        d_loss = self.loss(self.D(real), ones) + self.loss(self.D(fake.detach()), zeros)
        d_loss.backward()
        self.optimizer_D.step()

        self.optimizer_G.zero_grad()
        g_loss = self.loss(self.D(fake), ones)
        g_loss.backward()
        self.optimizer_G.step()
        return d_loss.item(), g_loss.item()


def drift(size, C, dtype):
    """Yield, after every step, how far apart the losses are, and the weights and statistics of both networks.

    Losses and statistics: relative. Weights: |ours − theirs| over the length of the way that the weights have gone.
    """
    gan = DCGAN((size, size, C), latent_dim=LATENT, features=FEATURES, rng=np.random.default_rng(0))
    for name, network in gan.networks.items():
        network.to(dtype=dtype)
        gan.optimizers[name] = Adam(network.parameters(), 2e-4, (0.5, 0.999))
    reference = Reference(gan, size, C, getattr(torch, dtype))
    start = {which: in_torchs_layout(which, gan.networks[which], size) for which in "GD"}
    rng = np.random.default_rng(1)
    for _ in range(STEPS):
        real = np.tanh(rng.normal(size=(BATCH, size, size, C))).astype(dtype)
        z = rng.normal(size=(BATCH, LATENT)).astype(dtype)
        fake, cache = gan.networks["G"].forward(z)
        measured = gan.discriminator_step(real, fake) | gan.generator_step(fake, cache)
        d_loss, g_loss = reference.step(real, z)

        losses = max(abs(measured["d_loss"] / d_loss - 1), abs(measured["g_loss"] / g_loss - 1))
        weights, statistics = [], []
        for which, theirs in (("G", reference.G.state_dict()), ("D", reference.D.state_dict())):
            for name, ours in in_torchs_layout(which, gan.networks[which], size).items():
                apart = np.linalg.norm(ours - theirs[name].numpy())
                way = np.linalg.norm(ours - start[which][name])
                (statistics if "running" in name else weights).append(apart / way)
        yield losses, max(weights), max(statistics)


@pytest.mark.parametrize(("size", "C"), [(16, 1), (28, 1), (28, 3), (32, 3), (64, 3), (128, 1)])
def test_twenty_steps_in_float64(size, C):
    """The sharp one: one wrong term, at one place, in one step, is far beyond 1e-9.

    Measured: losses apart by at most 1.2e-13, weights 3.6e-11, statistics 3.7e-13.
    """
    for step, apart in enumerate(drift(size, C, "float64")):
        assert max(apart) < 1e-9, f"step {step + 1}: losses {apart[0]}, weights {apart[1]}, statistics {apart[2]}"


@pytest.mark.parametrize(("size", "C"), [(16, 3), (28, 1), (64, 3)])
def test_twenty_steps_in_float32(size, C):
    """As training runs. Both libraries round, and Adam enlarges it: its first step is lr · sign(g), however small g is.

    So where a gradient is itself rounding, a weight goes one way here and the other way there. Measured after 20 steps
    (losses, weights): 2e-7 and 7e-6 at 16×16, 2e-7 and 3e-4 at 28×28, 4e-3 and .15 at 64×64. That is no more than
    PyTorch in float32 is apart from PyTorch in float64: 3e-8 and 6e-5, 5e-8 and 2e-4, 1e-2 and .22.
    """
    for step, (losses, weights, statistics) in enumerate(drift(size, C, "float32")):
        assert losses < (1e-6 if step == 0 else 0.05), step + 1
        assert weights < 0.5, step + 1
        assert statistics < (1e-5 if step == 0 else 0.05), step + 1
