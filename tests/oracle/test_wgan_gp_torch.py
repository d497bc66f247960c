"""Ten steps of WGAN-GP and ten of the same in PyTorch, with its create_graph, stay together.

From the same weights, noise, ε and pictures. The networks are DCGAN's for 16×16, a bias instead of each norm in D.
"""

import numpy as np
import pytest
from steps import make_step
from test_dcgan_torch import dcgan_16, in_torchs_layout

from minigan.gans import WGANGP
from minigan.optim import Adam

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.oracle

STEPS, BATCH, LATENT, FEATURES, SIZE, C = 10, 6, 10, 4, 16, 1
ADAM = (1e-4, (0.5, 0.9))


class Draws:
    """A generator that gives prepared numbers: the same ε and z for both."""

    def __init__(self, rng, dtype):
        self.rng, self.dtype, self.epsilon, self.z = rng, dtype, [], []

    def random(self, shape, dtype):
        self.epsilon.append(self.rng.random(shape).astype(self.dtype))
        return self.epsilon[-1]

    def latent(self, n, _):
        self.z.append(self.rng.normal(size=(n, LATENT)).astype(self.dtype))
        return self.z[-1]


def critic():
    """16² → 8² → 4² → one score; the 4·4·8 numbers are put in our order, channels last, before the dense layer."""
    return nn.Sequential(
        nn.Conv2d(C, FEATURES, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(FEATURES, 2 * FEATURES, 4, 2, 1),
        nn.LeakyReLU(0.2),
        ChannelsLast(),
        nn.Linear(16 * 2 * FEATURES, 1),
    )


class ChannelsLast(nn.Module):
    """Flatten (N, C, H, W) in the order of (N, H, W, C)."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


class Reference:
    """The loop as everybody writes it in PyTorch."""

    def __init__(self, gan, dtype):
        self.G, self.D = dcgan_16(C, FEATURES)[0], critic()
        for which, network in (("G", self.G.to(dtype)), ("D", self.D.to(dtype))):
            arrays = in_torchs_layout(which, gan.networks[which], SIZE)
            network.load_state_dict({k: torch.tensor(v) for k, v in arrays.items()}, strict=False)
        self.adam = {n: torch.optim.Adam(net.parameters(), *ADAM) for n, net in (("G", self.G), ("D", self.D))}

    def critic_step(self, real, z, epsilon):
        real, epsilon = torch.tensor(real.transpose(0, 3, 1, 2)), torch.tensor(epsilon)
        fake = self.G(torch.tensor(z)).detach()
        self.adam["D"].zero_grad()
        loss = self.D(fake).mean() - self.D(real).mean()
        between = (epsilon * real + (1 - epsilon) * fake).requires_grad_()
        (slope,) = torch.autograd.grad(self.D(between).sum(), between, create_graph=True)
        penalty = 10 * ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
        (loss + penalty).backward()
        self.adam["D"].step()
        return loss.item(), penalty.item()

    def generator_step(self, z):
        self.adam["G"].zero_grad()
        loss = -self.D(self.G(torch.tensor(z))).mean()
        loss.backward()
        self.adam["G"].step()
        return loss.item()


def test_ten_steps_in_float64():
    """Losses, penalties and weights; a missing term in the penalty would show in the second step."""
    gan = WGANGP((SIZE, SIZE, C), latent_dim=LATENT, features=FEATURES, n_critic=2, rng=np.random.default_rng(0))
    for name, network in gan.networks.items():
        network.to(dtype=np.float64)
        gan.optimizers[name] = Adam(network.parameters(), *ADAM)
    reference, rng = Reference(gan, torch.float64), np.random.default_rng(1)
    start = {which: in_torchs_layout(which, gan.networks[which], SIZE) for which in "GD"}
    for _ in range(STEPS):
        draws, real = Draws(rng, np.float64), []
        gan.latent = draws.latent

        def next_batch(real=real):
            real.append(np.tanh(rng.normal(size=(BATCH, SIZE, SIZE, C))))
            return real[-1]

        measured = make_step(gan, next_batch, draws)
        for x, z, epsilon in zip(real, draws.z, draws.epsilon, strict=False):
            d_loss, penalty = reference.critic_step(x, z, epsilon)
        g_loss = reference.generator_step(draws.z[-1])
        expected = {"d_loss": d_loss, "penalty": penalty, "g_loss": g_loss}
        assert {name: measured[name] for name in expected} == pytest.approx(expected, rel=1e-9, abs=1e-12)
    for which, theirs in (("G", reference.G.state_dict()), ("D", reference.D.state_dict())):
        for name, ours in in_torchs_layout(which, gan.networks[which], SIZE).items():
            way = np.linalg.norm(ours - start[which][name])
            assert np.linalg.norm(ours - theirs[name].numpy()) <= 1e-8 * way, f"{which}.{name}"
