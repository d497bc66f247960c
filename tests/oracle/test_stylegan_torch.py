"""Ten steps of StyleGAN and ten of the same in PyTorch stay together, through a change of the resolution."""

import numpy as np
import pytest

from minigan.gans import StyleGAN
from minigan.model import Now, phase_at
from minigan.optim import Adam
from minigan.testing import shake

torch = pytest.importorskip("torch")
import test_progan_torch as progan  # noqa: E402
from test_progan_torch import pixel_norm, twice, with_deviation  # noqa: E402

F = torch.nn.functional
pytestmark = pytest.mark.oracle

STEPS, BATCH, LATENT, FEATURES, SIZE, C, GAMMA = 10, 8, 5, 3, 16, 2, 7.0
ADAM = progan.ADAM
GROWTH = 48  # samples: 24, or three batches, in each phase but the last


class Draws:
    """A generator that keeps its numbers in their order: z, perhaps a second z, then the noise of each layer."""

    def __init__(self, rng):
        self.rng, self.kept = rng, []

    def standard_normal(self, shape, dtype):
        self.kept.append(self.rng.standard_normal(shape))
        return self.kept[-1]


class Chance:
    """Of three batches two have mixed styles, from another layer on each time."""

    def __init__(self):
        self.calls, self.cuts = 0, []

    def random(self):
        self.calls += 1
        mixed = self.calls % 3
        if not mixed:
            self.cuts.append(None)
        return 0.1 if mixed else 0.95

    def integers(self, low, high):
        self.cuts.append(low + self.calls % (high - low))
        return self.cuts[-1]


class Twin(progan.Twin):
    """The networks as functions of the resolution. Convolutions and dense layers are those of progan's twin."""

    w_mean = torch.zeros(LATENT, dtype=torch.float64)

    def mapping(self, z):
        x = pixel_norm(z)
        for i in (1, 3):
            W, b = (self.p["mapping"][f"{i}.layer.{letter}"] for letter in "Wb")
            x = 2**0.5 * F.leaky_relu(x @ (0.01 * W / LATENT**0.5) + 0.01 * b, 0.2)
        return x

    def styles(self, draws, chance):
        """w (N, L, Z) of what the other side has drawn, and w̄ by the way."""
        w, cut = self.mapping(torch.tensor(draws.pop(0))), chance.pop(0)
        self.w_mean = torch.lerp(self.w_mean, w.detach().mean(0), 0.005)
        ws = w[:, None].repeat(1, 6, 1)
        if cut is not None:
            other = self.mapping(torch.tensor(draws.pop(0)))
            ws = torch.cat([ws[:, :cut], other[:, None].expand(-1, 6 - cut, -1)], 1)
        return ws

    def noise_and_norm(self, block, i, x, w, draws):
        p = self.p["synthesis"]
        noise = torch.tensor(draws.pop(0)).permute(0, 3, 1, 2)
        x = x + noise * p[f"{block}.{i}.strength"] + p[f"{block}.{i}.b"][:, None, None]
        x = F.leaky_relu(x, 0.2)
        x = x - x.mean((2, 3), keepdim=True)
        x = x / (x.square().mean((2, 3), keepdim=True) + 1e-8).sqrt()
        name = f"{block}.{i + 2}.layer.affine"
        scale, shift = (self.dense("synthesis", f"{name}.{one}", w, 1.0)[:, :, None, None] for one in ("gain", "bias"))
        return (1 + scale) * x + shift

    def conv(self, which, name, x, gain):
        p = self.p[which]
        if f"{name}.layer.b" in p:
            return super().conv(which, name, x, gain)
        W = p[f"{name}.layer.W"]
        return F.conv2d(x, W.permute(3, 2, 0, 1) * (gain / W.shape[:-1].numel() ** 0.5), padding=1)

    def G(self, ws, level, draws):
        root2, size = 2**0.5, 4
        x = self.p["synthesis"]["block4.0.W"].permute(2, 0, 1).expand(len(ws), -1, -1, -1)
        x = self.noise_and_norm("block4", 1, x, ws[:, 0], draws)
        x = self.noise_and_norm("block4", 5, self.conv("synthesis", "block4.4", x, root2), ws[:, 1], draws)
        rgb, i = None, 2
        while size < 4 * 2**level:
            size *= 2
            x = blurred(self.conv("synthesis", f"block{size}.1", twice(x), root2))
            x = self.noise_and_norm(f"block{size}", 3, x, ws[:, i], draws)
            x = self.conv("synthesis", f"block{size}.6", x, root2)
            x = self.noise_and_norm(f"block{size}", 7, x, ws[:, i + 1], draws)
            smaller, rgb = rgb, self.conv("synthesis", f"rgb{size}", x, 1.0)
            alpha = min(1, level - np.log2(size / 8))
            if alpha < 1:
                rgb = torch.lerp(twice(smaller), rgb, alpha)
            i += 2
        return rgb

    def D(self, picture, level):
        root2, act, size = 2**0.5, lambda x: F.leaky_relu(x, 0.2), picture.shape[-1]
        alpha = min(1, level - np.log2(size / 8))
        x = act(self.conv("D", f"rgb{size}.0", picture, root2))
        while size > 4:
            x = blurred(act(self.conv("D", f"block{size}.0", x, root2)))
            x = F.avg_pool2d(act(self.conv("D", f"block{size}.3", x, root2)), 2)
            size //= 2
            if alpha < 1:
                x = torch.lerp(act(self.conv("D", f"rgb{size}.0", F.avg_pool2d(picture, 2), root2)), x, alpha)
                alpha = 1
        x = act(self.conv("D", "block4.1", with_deviation(x), root2)).permute(0, 2, 3, 1).flatten(1)
        return self.dense("D", "block4.6", act(self.dense("D", "block4.4", x, root2)), 1.0)

    def step(self, real, level, draws, chance):
        while real.shape[-1] // 2 >= 4 * 2**level:
            real = F.avg_pool2d(real, 2)
        alpha = min(1, level - np.log2(real.shape[-1] / 8))
        real = torch.lerp(twice(F.avg_pool2d(real, 2)), real, alpha).requires_grad_()
        fake = self.G(self.styles(draws, chance), level, draws).detach()
        self.adam["D"].zero_grad()
        on_real, on_fake = self.D(real, level), self.D(fake, level)
        loss = F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
        (slope,) = torch.autograd.grad(on_real.sum(), real, create_graph=True)
        r1 = slope.square().flatten(1).sum(1).mean()
        (loss + GAMMA / 2 * r1).backward()
        self.adam["D"].step()

        for name in ("mapping", "synthesis"):
            self.adam[name].zero_grad()
        g_loss = F.softplus(-self.D(self.G(self.styles(draws, chance), level, draws), level)).mean()
        g_loss.backward()
        for name in ("mapping", "synthesis"):
            self.adam[name].step()
        return {"d_loss": loss.item(), "r1": r1.item(), "g_loss": g_loss.item()}


def blurred(x):
    taps = torch.tensor([1.0, 2, 1], dtype=x.dtype) / 4
    kernel = (taps[:, None] * taps).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(x, kernel, padding=1, groups=x.shape[1])


def test_ten_steps_in_float64():
    """They begin in the phase of 8 pixels and end in that of 16."""
    gan = StyleGAN(
        (SIZE, SIZE, C),
        latent_dim=LATENT,
        features=FEATURES,
        mapping_layers=2,
        gamma=GAMMA,
        growth_samples=GROWTH,
        half_life=0,
        rng=np.random.default_rng(0),
    )
    for name, network in gan.networks.items():
        shake(
            network, np.random.default_rng(2), 0.5
        )  # ones + a bias have no variance: their gradient is rounding alone
        gan.optimizers[name] = Adam(network.to(dtype=np.float64).parameters(), *ADAM)
    gan.w_mean = gan.w_mean.astype(np.float64)
    start = {name: network.state_dict() for name, network in gan.networks.items()}
    twin, rng, phase, passed = Twin(gan), np.random.default_rng(1), gan.phases[0], []
    for i in range(STEPS):
        samples, draws, chance = i * BATCH, Draws(rng), Chance()
        chance.calls = i
        now = Now(i, samples, chance, phase=phase_at(gan.phases, samples))
        if now.phase != phase:
            phase = now.phase
            gan.begin(phase, now)
            twin.reset()
        passed.append(phase.name)
        real = np.tanh(rng.standard_normal((BATCH, SIZE, SIZE, C)))
        measured = gan.step(lambda real=real: {"real": real}, draws, now)
        theirs = twin.step(torch.tensor(real.transpose(0, 3, 1, 2)), gan.level, draws.kept, chance.cuts)
        assert not draws.kept and not chance.cuts
        assert {name: measured[name] for name in theirs} == pytest.approx(theirs, rel=1e-9, abs=1e-12), phase.name
    assert list(dict.fromkeys(passed)) == ["8px", "fade-16px", "16px"]
    np.testing.assert_allclose(gan.w_mean, twin.w_mean.numpy(), rtol=1e-9)
    for which, network in gan.networks.items():
        for name, ours in network.state_dict().items():
            way, theirs = np.linalg.norm(ours - start[which][name]), twin.p[which][name].detach().numpy()
            assert np.linalg.norm(ours - theirs) <= 1e-8 * way + 1e-15, f"{which}.{name}"
