"""Ten steps of sngan with attention, and ten of the same in PyTorch, from the same weights and noise, stay together."""

import numpy as np
import pytest
from steps import make_step

pytest.importorskip("torch")
import torch  # noqa: E402
from attention_twins import Attention, ChannelsLast, Normalized, bring, distances, parameters_now  # noqa: E402
from torch import nn  # noqa: E402

from minigan.gans import SNGAN  # noqa: E402
from minigan.layers import Gain  # noqa: E402
from minigan.optim import Adam  # noqa: E402
from minigan.testing import shake  # noqa: E402

pytestmark = pytest.mark.oracle

STEPS, BATCH, LATENT, F = 10, 6, 10, 4


def sngan_16():
    """With attention at 8 pixels, where both networks have F channels."""
    G = nn.Sequential(
        nn.Unflatten(1, (LATENT, 1, 1)),
        nn.ConvTranspose2d(LATENT, 2 * F, 4, bias=False),
        nn.BatchNorm2d(2 * F),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * F, F, 4, 2, 1, bias=False),
        nn.BatchNorm2d(F),
        nn.ReLU(),
        Attention(F),
        nn.ConvTranspose2d(F, 1, 4, 2, 1),
        nn.Tanh(),
    )
    D = nn.Sequential(
        Normalized(nn.Conv2d(1, F, 4, 2, 1)),
        nn.LeakyReLU(0.2),
        Attention(F, Normalized),
        Normalized(nn.Conv2d(F, 2 * F, 4, 2, 1)),
        nn.LeakyReLU(0.2),
        ChannelsLast(),
        Normalized(nn.Linear(4 * 4 * 2 * F, 1)),
    )
    return G, D


def in_float64(gan, betas, lrs):
    """Both networks in float64, with γ away from 0, and their optimizers."""
    for name, network in gan.networks.items():
        shake(network, np.random.default_rng(0), 0.02)
        for _, layer in network.walk():
            if isinstance(layer, Gain):
                layer.gamma += 0.5
        network.to(dtype=np.float64)
        gan.optimizers[name] = Adam(network.parameters(), lrs[name], betas)
    return gan


def twin_step(networks, optimizers, real, zs, labels=()):
    """SAGAN's step: the hinge on a pass of both halves, then −mean D(G(z))."""
    G, D = networks["G"], networks["D"]
    real = torch.tensor(real.transpose(0, 3, 1, 2))
    doubled = [torch.cat([labels, labels]) for labels in labels]
    fake = G(torch.tensor(zs[0]), *labels).detach()
    optimizers["D"].zero_grad()
    on_real, on_fake = D(torch.cat([real, fake]), *doubled).chunk(2)
    d_loss = torch.relu(1 - on_real).mean() + torch.relu(1 + on_fake).mean()
    d_loss.backward()
    optimizers["D"].step()
    optimizers["G"].zero_grad()
    g_loss = -D(G(torch.tensor(zs[1]), *labels), *labels).mean()
    g_loss.backward()
    optimizers["G"].step()
    return {"d_loss": d_loss.item(), "g_loss": g_loss.item()}


def stay_together(gan, networks, lrs, betas, n_classes=0, steps=STEPS):
    """Losses in every step to 1e-9, and at the end weights to 1e-8 of their way.

    All but the bias of D's logit, whose gradient is a rounding error: real samples add −½ each, fake ones ½.
    """
    ours, rng = gan.networks, np.random.default_rng(1)
    for name, network in networks.items():
        bring(ours[name], network.train().to(torch.float64))
    optimizers = {n: torch.optim.Adam(net.parameters(), lrs[n], betas) for n, net in networks.items()}
    start = {name: parameters_now(network) for name, network in ours.items()}
    for _ in range(steps):
        real, zs = np.tanh(rng.normal(size=(BATCH, *gan.shape))), rng.normal(size=(2, BATCH, gan.latent_dim))
        drawn = iter(zs)
        gan.latent = lambda n, rng, drawn=drawn: next(drawn)
        labels = [rng.integers(n_classes, size=BATCH)] if n_classes else []
        measured = make_step(gan, (real, *labels) if labels else real, rng)
        expected = twin_step(networks, optimizers, real, zs, [torch.tensor(a) for a in labels])
        assert {name: measured[name] for name in expected} == pytest.approx(expected, rel=1e-9, abs=1e-12)
    for name, network in networks.items():
        apart = distances(ours[name], network, start[name])
        far = {key: d for key, d in apart.items() if not d <= 1e-8 and not (name == "D" and key.endswith("Dense.bias"))}
        assert not far, f"{name}: {far}"


def test_ten_steps_of_sngan_in_float64():
    lrs, betas = {"G": 2e-4, "D": 2e-4}, (0.5, 0.999)
    gan = SNGAN((16, 16, 1), latent_dim=LATENT, features=F, attention=8, rng=np.random.default_rng(0))
    stay_together(in_float64(gan, betas, lrs), dict(zip("GD", sngan_16(), strict=True)), lrs, betas)
