"""Ten steps of sngan with attention and of biggan, and ten of the same in PyTorch, stay together in float64.

From the same weights, noise, pictures and labels.
"""

import numpy as np
import pytest
from steps import make_step

pytest.importorskip("torch")
import torch  # noqa: E402
from attention_twins import Attention, ChannelsLast, Normalized, PixelsOf, bring, distances, parameters_now  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from minigan.gans import SNGAN, BigGAN  # noqa: E402
from minigan.layers import Gain  # noqa: E402
from minigan.optim import Adam  # noqa: E402
from minigan.testing import shake  # noqa: E402

pytestmark = pytest.mark.oracle

STEPS, BATCH, LATENT, BIG_LATENT, C = 10, 6, 10, 8, 4


def sngan_16():
    """With attention at 8 pixels, where both networks have C channels."""
    G = nn.Sequential(
        nn.Unflatten(1, (LATENT, 1, 1)),
        nn.ConvTranspose2d(LATENT, 2 * C, 4, bias=False),
        nn.BatchNorm2d(2 * C),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * C, C, 4, 2, 1, bias=False),
        nn.BatchNorm2d(C),
        nn.ReLU(),
        Attention(C),
        nn.ConvTranspose2d(C, 1, 4, 2, 1),
        nn.Tanh(),
    )
    D = nn.Sequential(
        Normalized(nn.Conv2d(1, C, 4, 2, 1)),
        nn.LeakyReLU(0.2),
        Attention(C, Normalized),
        Normalized(nn.Conv2d(C, 2 * C, 4, 2, 1)),
        nn.LeakyReLU(0.2),
        ChannelsLast(),
        Normalized(nn.Linear(4 * 4 * 2 * C, 1)),
    )
    return G, D


class ConditionalNorm(nn.Module):
    """BigGAN's `ccbn`."""

    def __init__(self, C, n):
        super().__init__()
        self.norm = nn.BatchNorm2d(C, affine=False)
        self.gain, self.bias = (Normalized(nn.Linear(n, C, bias=False)) for _ in range(2))

    def forward(self, x, y):
        gain, bias = (1 + self.gain(y))[:, :, None, None], self.bias(y)[:, :, None, None]
        return self.norm(x) * gain + bias


class GBlock(nn.Module):
    """BigGAN's `GBlock`."""

    def __init__(self, C, n):
        super().__init__()
        self.bn1, self.conv1 = ConditionalNorm(C, n), Normalized(nn.Conv2d(C, C, 3, padding=1))
        self.bn2, self.conv2 = ConditionalNorm(C, n), Normalized(nn.Conv2d(C, C, 3, padding=1))
        self.conv_sc = Normalized(nn.Conv2d(C, C, 1))

    def forward(self, x, y):
        h = F.interpolate(F.relu(self.bn1(x, y)), scale_factor=2)
        h = self.conv2(F.relu(self.bn2(self.conv1(h), y)))
        return h + self.conv_sc(F.interpolate(x, scale_factor=2))


class Generator(nn.Module):
    """BigGAN's `Generator` with `hier` and `G_shared`: z is cut, and each part stands before the embedding."""

    def __init__(self, C, n_classes, shared=128):
        super().__init__()
        part = BIG_LATENT // 4
        self.shared = nn.Embedding(n_classes, shared) if n_classes else None
        n = part + (shared if n_classes else 0)
        self.linear, self.first = Normalized(nn.Linear(part, 16 * C)), PixelsOf(4)
        self.blocks = nn.ModuleList([GBlock(C, n), GBlock(C, n), Attention(C, Normalized), GBlock(C, n)])
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(C), nn.ReLU(), Normalized(nn.Conv2d(C, 1, 3, padding=1)), nn.Tanh()
        )

    def forward(self, z, y=None):
        z0, *parts = z.chunk(4, dim=1)
        ys = [part if y is None else torch.cat([part, self.shared(y)], 1) for part in parts]
        h = self.blocks[1](self.blocks[0](self.first(self.linear(z0)), ys[0]), ys[1])
        return self.output_layer(self.blocks[3](self.blocks[2](h), ys[2]))


class DBlock(nn.Module):
    """BigGAN's `DBlock`, which is wide."""

    def __init__(self, C_in, C, preactivation=True, down=True):
        super().__init__()
        self.preactivation, self.down, learned = preactivation, down, down or C_in != C
        self.conv1, self.conv2 = (Normalized(nn.Conv2d(c, C, 3, padding=1)) for c in (C_in, C))
        self.conv_sc = Normalized(nn.Conv2d(C_in, C, 1)) if learned else None

    def forward(self, x):
        h = self.conv2(F.relu(self.conv1(F.relu(x) if self.preactivation else x)))
        if self.down:
            h = F.avg_pool2d(h, 2)
        if self.conv_sc is not None:
            x = self.conv_sc(x)
        return h + (F.avg_pool2d(x, 2) if self.down else x)


class Discriminator(nn.Module):
    """BigGAN's `Discriminator`."""

    def __init__(self, C, n_classes):
        super().__init__()
        first = [DBlock(1, C, preactivation=False), Attention(C, Normalized)]
        self.blocks = nn.Sequential(*first, DBlock(C, C), DBlock(C, C, down=False), DBlock(C, C, down=False))
        self.linear = Normalized(nn.Linear(C, 1))
        self.embed = Normalized(nn.Embedding(n_classes, C)) if n_classes else None

    def forward(self, x, y=None):
        h = F.relu(self.blocks(x)).sum((2, 3))
        out = self.linear(h)
        return out if y is None else out + (self.embed(y) * h).sum(1, keepdim=True)


def in_float64(gan, betas, lrs, eps=1e-8):
    """Both networks in float64, with γ away from 0, and their optimizers."""
    for name, network in gan.networks.items():
        shake(network, np.random.default_rng(0), 0.02)
        for _, layer in network.walk():
            if isinstance(layer, Gain):
                layer.gamma += 0.5
        network.to(dtype=np.float64)
        gan.optimizers[name] = Adam(network.parameters(), lrs[name], betas, eps)
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
    g_loss.backward(inputs=list(G.parameters()))
    optimizers["G"].step()
    return {"d_loss": d_loss.item(), "g_loss": g_loss.item()}


def stay_together(gan, networks, lrs, betas, n_classes=0, steps=STEPS):
    """Losses in every step to 1e-9, and at the end weights to 1e-8 of their way."""
    ours, rng = gan.networks, np.random.default_rng(1)
    for name, network in networks.items():
        bring(ours[name], network.train().to(torch.float64))
    adam = {"betas": betas, "eps": gan.optimizers["G"].eps}
    optimizers = {n: torch.optim.Adam(net.parameters(), lrs[n], **adam) for n, net in networks.items()}
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
        assert len(apart) > 0.7 * len(list(network.parameters()))
        assert max(apart.values()) <= 1e-8, f"{name}: {apart}"


def test_ten_steps_of_sngan_in_float64():
    lrs, betas = {"G": 2e-4, "D": 2e-4}, (0.5, 0.999)
    gan = SNGAN((16, 16, 1), latent_dim=LATENT, features=C, attention=8, rng=np.random.default_rng(0))
    stay_together(in_float64(gan, betas, lrs), dict(zip("GD", sngan_16(), strict=True)), lrs, betas)


@pytest.mark.parametrize("n_classes", [0, 3])
def test_ten_steps_of_biggan_in_float64(n_classes):
    lrs, betas = {"G": 1e-4, "D": 4e-4}, (0.0, 0.999)
    options = {"latent_dim": BIG_LATENT, "features": 1, "labels": n_classes > 0, "n_classes": n_classes or None}
    gan = BigGAN((32, 32, 1), **options, rng=np.random.default_rng(0))
    networks = {"G": Generator(4, n_classes), "D": Discriminator(4, n_classes)}
    stay_together(in_float64(gan, betas, lrs, 1e-6), networks, lrs, betas, n_classes)
