"""Ten steps of progressive growing and ten of the same in PyTorch stay together, through changes of the resolution."""

import numpy as np
import pytest

from minigan.gans import ProGAN
from minigan.model import Now, phase_at
from minigan.optim import Adam

torch = pytest.importorskip("torch")
F = torch.nn.functional
pytestmark = pytest.mark.oracle

STEPS, BATCH, LATENT, FEATURES, SIZE, C = 10, 8, 6, 4, 16, 2
ADAM = (1e-3, (0.0, 0.99))
GROWTH = 96  # samples: 24, or three batches, in each phase but the last


class Draws:
    """A generator that gives prepared numbers: the same ε and z for both."""

    def __init__(self, rng):
        self.rng, self.epsilon, self.z = rng, [], []

    def random(self, shape, dtype):
        self.epsilon.append(self.rng.random(shape))
        return self.epsilon[-1]

    def latent(self, n, _):
        self.z.append(self.rng.standard_normal((n, LATENT)))
        return self.z[-1]


class Twin:
    """The networks as functions of the resolution, and the loop as in the paper. The weights keep minigan's layout."""

    def __init__(self, gan):
        self.p = {
            which: {name: torch.tensor(a, requires_grad=True) for name, a in network.state_dict().items()}
            for which, network in gan.networks.items()
        }
        self.reset()

    def reset(self):
        self.adam = {which: torch.optim.Adam(p.values(), *ADAM) for which, p in self.p.items()}

    def conv(self, which, name, x, gain):
        W, b = (self.p[which][f"{name}.layer.{letter}"] for letter in "Wb")
        fan_in = W.shape[:-1].numel()
        return F.conv2d(x, W.permute(3, 2, 0, 1) * (gain / fan_in**0.5), b, padding=W.shape[0] // 2)

    def dense(self, which, name, x, gain):
        W, b = (self.p[which][f"{name}.layer.{letter}"] for letter in "Wb")
        return x @ (W * (gain / len(W) ** 0.5)) + b

    def G(self, z, level):
        root2, act = 2**0.5, lambda x: pixel_norm(F.leaky_relu(x, 0.2))
        x = self.dense("G", "block4.1", pixel_norm(z), root2 / 4).unflatten(1, (4, 4, -1)).permute(0, 3, 1, 2)
        x, size = act(self.conv("G", "block4.5", act(x), root2)), 4
        rgb = self.conv("G", "rgb4", x, 1.0)
        while size < 4 * 2**level:
            size *= 2
            x = act(self.conv("G", f"block{size}.1", twice(x), root2))
            x = act(self.conv("G", f"block{size}.4", x, root2))
            smaller, rgb = rgb, self.conv("G", f"rgb{size}", x, 1.0)
            alpha = min(1, level - np.log2(size / 8))
            rgb = torch.lerp(twice(smaller), rgb, alpha)
        return rgb

    def D(self, picture, level):
        root2, act, size = 2**0.5, lambda x: F.leaky_relu(x, 0.2), picture.shape[-1]
        alpha = min(1, level - np.log2(size / 8))
        x = act(self.conv("D", f"rgb{size}.0", picture, root2))
        while size > 4:
            x = act(self.conv("D", f"block{size}.0", x, root2))
            x = F.avg_pool2d(act(self.conv("D", f"block{size}.2", x, root2)), 2)
            size //= 2
            if alpha < 1:
                x = torch.lerp(act(self.conv("D", f"rgb{size}.0", F.avg_pool2d(picture, 2), root2)), x, alpha)
                alpha = 1
        x = act(self.conv("D", "block4.1", with_deviation(x), root2)).permute(0, 2, 3, 1).flatten(1)
        return self.dense("D", "block4.6", act(self.dense("D", "block4.4", x, root2)), 1.0)

    def step(self, real, level, z_D, epsilon, z_G):
        while real.shape[-1] // 2 >= 4 * 2**level:
            real = F.avg_pool2d(real, 2)
        alpha = min(1, level - np.log2(real.shape[-1] / 8))
        real = torch.lerp(twice(F.avg_pool2d(real, 2)), real, alpha)
        fake = self.G(z_D, level).detach()
        self.adam["D"].zero_grad()
        on_real, on_fake = self.D(real, level), self.D(fake, level)
        loss, drift = on_fake.mean() - on_real.mean(), on_real.square().mean()
        between = (epsilon * real + (1 - epsilon) * fake).requires_grad_()
        (slope,) = torch.autograd.grad(self.D(between, level).sum(), between, create_graph=True)
        penalty = 10 * (slope.flatten(1).norm(dim=1) - 1).square().mean()
        (loss + penalty + 1e-3 * drift).backward()
        self.adam["D"].step()

        self.adam["G"].zero_grad()
        g_loss = -self.D(self.G(z_G, level), level).mean()
        g_loss.backward()
        self.adam["G"].step()
        found = {"d_loss": loss, "penalty": penalty, "drift": drift, "g_loss": g_loss}
        return {name: value.item() for name, value in found.items()}


def pixel_norm(x):
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


def twice(x):
    return F.interpolate(x, scale_factor=2)


def with_deviation(x, group=4):
    """Pictures m, m + M, m + 2M … are a group."""
    y = x.unflatten(0, (group, -1))
    s = (y.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))  # (M,)
    return torch.cat([x, s.repeat(group)[:, None, None, None].expand(-1, 1, *x.shape[2:])], 1)


def test_ten_steps_in_float64():
    """They begin in the phase of 4 pixels and end in the fade from 8 to 16."""
    gan = ProGAN(
        (SIZE, SIZE, C), latent_dim=LATENT, features=FEATURES, growth_samples=GROWTH, rng=np.random.default_rng(0)
    )
    for name, network in gan.networks.items():
        gan.optimizers[name] = Adam(network.to(dtype=np.float64).parameters(), *ADAM)
    start = {name: network.state_dict() for name, network in gan.networks.items()}
    twin, rng, phase, passed = Twin(gan), np.random.default_rng(1), gan.phases[0], []
    for i in range(1, STEPS + 1):
        samples, draws = i * BATCH, Draws(rng)
        now = Now(i, samples, rng, phase=phase_at(gan.phases, samples))
        if now.phase != phase:
            phase = now.phase
            gan.begin(phase, now)
            twin.reset()
        passed.append(phase.name)
        gan.latent, real = draws.latent, np.tanh(rng.standard_normal((BATCH, SIZE, SIZE, C)))
        measured = gan.step(lambda real=real: {"real": real}, draws, now)
        drawn = [torch.tensor(a) for a in (draws.z[0], draws.epsilon[0], draws.z[1])]
        theirs = twin.step(torch.tensor(real.transpose(0, 3, 1, 2)), gan.level, *drawn)
        assert {name: measured[name] for name in theirs} == pytest.approx(theirs, rel=1e-9, abs=1e-12), phase.name
    assert list(dict.fromkeys(passed)) == ["4px", "fade-8px", "8px", "fade-16px"]
    for which, network in gan.networks.items():
        for name, ours in network.state_dict().items():
            way, theirs = np.linalg.norm(ours - start[which][name]), twin.p[which][name].detach().numpy()
            assert np.linalg.norm(ours - theirs) <= 1e-8 * way + 1e-15, f"{which}.{name}"
