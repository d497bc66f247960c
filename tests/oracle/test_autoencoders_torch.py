"""Ten steps of VAE and VAE-GAN and ten of the same in PyTorch stay together, skipped updates included."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from enlarging import assert_same_way, copied, in_torchs_layout, nchw  # noqa: E402
from steps import make_step  # noqa: E402

from minigan.autoencoders import MODELS, VAE, VAEGAN, vaegan  # noqa: E402
from minigan.bench import torch_autoencoders  # noqa: E402
from minigan.optim import Adam  # noqa: E402

nn, TF = torch.nn, torch.nn.functional
pytestmark = pytest.mark.oracle
STEPS, BATCH, LATENT, F = 10, 5, 3, 2


class Draws:
    """A generator whose numbers are kept: ε first, then z′."""

    def __init__(self, rng):
        self.rng, self.kept = rng, []

    def standard_normal(self, shape, dtype):
        self.kept.append(torch.tensor(self.rng.standard_normal(shape)))
        return self.kept[-1].numpy().copy()


class Flat(nn.Module):
    """(N, C, H, W) → (N, H·W·C), in minigan's order."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


class Maps(nn.Module):
    """(N, h·w·K) → (N, K, h, w)."""

    def __init__(self, h, w, K):
        super().__init__()
        self.shape = (h, w, K)

    def forward(self, x):
        return x.unflatten(1, self.shape).permute(0, 3, 1, 2)


def half(C, K):
    return [nn.Conv2d(C, K, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(K), nn.ReLU()]


def double(C, K):
    return [nn.ConvTranspose2d(C, K, 5, 2, 2, output_padding=1, bias=False), nn.BatchNorm2d(K), nn.ReLU()]


def dense(n, units):
    return [nn.Linear(n, units, bias=False), nn.BatchNorm1d(units), nn.ReLU()]


def networks(C, size):
    """Those of 32 pixels, with three halvings, or of 28, with two."""
    h, a, b, c = size // 2 ** (3 if size == 32 else 2), F, 2 * F, 4 * F
    if size == 32:
        encoder, wide = [*half(C, a), *half(a, b), *half(b, c)], c
        decoder = [*double(c, c), *double(c, b), *double(b, 1)]
        last = [nn.BatchNorm2d(c), nn.ReLU(), *half(c, c)]
    else:
        encoder, wide = [*half(C, a), *half(a, b)], b
        decoder = [*double(b, b), *double(b, 1)]
        last = [nn.BatchNorm2d(c), nn.ReLU()]
    return {
        "encoder": [*encoder, Flat(), *dense(h * h * wide, 16 * F), nn.Linear(16 * F, 2 * LATENT)],
        "decoder": [
            *dense(LATENT, h * h * wide),
            Maps(h, h, wide),
            *decoder,
            nn.Conv2d(1, C, 5, padding=2),
            nn.Tanh(),
        ],
        "features": [nn.Conv2d(C, 1, 5, padding=2), nn.ReLU(), *half(1, b), *half(b, c)[:1]],
        "verdict": [*last, Flat(), *dense(h * h * c, 8 * F), nn.Linear(8 * F, 1)],
    }


def encoded(encoder, x, noise):
    """z, and the KL divergence by PyTorch's own distributions."""
    mean, log_sigma = encoder(x).chunk(2, dim=1)
    normal = torch.distributions.Normal(mean, log_sigma.exp())
    kl = torch.distributions.kl_divergence(normal, torch.distributions.Normal(torch.zeros(()).double(), 1.0))
    return mean + log_sigma.exp() * noise, kl.sum(1).mean()


def vae_step(nets, adam, x, draws, beta):
    z, kl = encoded(nets["encoder"], x, draws[0])
    error = TF.mse_loss(nets["decoder"](z), x)
    loss = error + 2 * beta / x[0].numel() * kl
    for optimizer in adam.values():
        optimizer.zero_grad()
    loss.backward()
    for optimizer in adam.values():
        optimizer.step()
    return {"error": error.item(), "kl": kl.item(), "loss": loss.item()}


def vaegan_step(nets, adam, x, draws, beta, gamma, margin, equilibrium):
    """Each network's loss by itself; sums over features, as in the paper, in place of means."""
    encoder, decoder, features, verdict = nets.values()
    f_x = features(x)
    z, kl = encoded(encoder, x, draws[0])
    decoded = decoder(z)
    n = f_x[0].numel()
    likelihood = (features(decoded) - f_x.detach()).square().sum() / 2 / len(x)
    sample = decoder(draws[1])
    real, fake = verdict(f_x), verdict(features(sample))
    a, b, g_loss = -TF.logsigmoid(real).mean(), -TF.logsigmoid(-fake).mean(), -TF.logsigmoid(fake).mean()
    losses = {
        "encoder": 2 / n * (likelihood + beta * kl),
        "decoder": gamma * 2 / n * likelihood + g_loss,
        "features": a + b,
        "verdict": a + b,
    }
    grads = {}
    for name, loss in losses.items():
        grads[name] = torch.autograd.grad(loss, list(nets[name].parameters()), retain_graph=True)
    low, high = min(a.item(), b.item()), max(a.item(), b.item())
    D, decodes = low >= equilibrium - margin, high <= equilibrium + margin
    if not (D or decodes):
        D = decodes = True
    for name, allowed in zip(nets, (True, decodes, D, D), strict=True):
        if allowed:
            for parameter, grad in zip(nets[name].parameters(), grads[name], strict=True):
                parameter.grad = grad
            adam[name].step()
    return {
        "d_loss": (a + b).item(),
        "g_loss": g_loss.item(),
        "error": 2 / n * likelihood.item(),
        "pixels": TF.mse_loss(decoded, x).item(),
        "kl": kl.item(),
        "d_updates": float(D),
        "decoder_updates": float(decodes),
    }


VAE_CASE = (VAE, 3, 28, {"beta": 0.5}, {})
VAEGAN_CASES = [  # the options of the equilibrium rule, and what they skip: (update of D, of the decoder)
    (VAEGAN, 1, 28, {"beta": 0.5, "gamma": 0.3, "margin": 0.33, "equilibrium": 1.0}, {(0, 1), (1, 1)}),
    (VAEGAN, 3, 32, {"beta": 0.5, "gamma": 0.3, "margin": 0.31, "equilibrium": 0.68}, {(1, 0), (1, 1)}),
]


@pytest.mark.parametrize(("cls", "C", "size", "given", "skips"), [VAE_CASE, *VAEGAN_CASES])
def test_ten_steps_in_float64(cls, C, size, given, skips, monkeypatch):
    monkeypatch.setattr(vaegan, "EQUILIBRIUM", given.get("equilibrium"))
    options = {name: value for name, value in given.items() if name != "equilibrium"}
    model = cls((size, size, C), latent_dim=LATENT, features=F, **options, rng=np.random.default_rng(0))
    for name, network in model.networks.items():
        model.optimizers[name] = Adam(network.to(dtype="float64").parameters(), 1e-3, (0.5, 0.999))
    twins = networks(C, size)
    theirs = {name: copied(network, nn.Sequential(*twins[name])) for name, network in model.networks.items()}
    adam = {name: torch.optim.Adam(net.parameters(), 1e-3, (0.5, 0.999)) for name, net in theirs.items()}
    start = {name: in_torchs_layout(network) for name, network in model.networks.items()}
    rng, updates, step = np.random.default_rng(1), set(), vaegan_step if cls is VAEGAN else vae_step
    for _ in range(STEPS):
        x, draws = np.tanh(rng.normal(size=(BATCH, size, size, C))), Draws(rng)
        measured = make_step(model, x, draws)
        expected = step(theirs, adam, nchw(x), draws.kept, **given)
        assert {name: measured[name] for name in expected} == pytest.approx(expected, rel=1e-9)
        updates |= {(expected["d_updates"], expected["decoder_updates"])} if cls is VAEGAN else set()
    assert updates == set(skips)
    for name, network in model.networks.items():
        assert_same_way(network, start[name], theirs[name])


@pytest.mark.parametrize(("name", "margin"), [("vae", None), ("vaegan", 10.0), ("vaegan", 0.0)])
def test_a_step_of_the_benchmark_is_that_of_the_twin(name, margin, monkeypatch):
    given = {"beta": 0.5} | ({"gamma": 0.3, "margin": margin} if name == "vaegan" else {})
    model = MODELS[name]((28, 28, 1), latent_dim=LATENT, features=F, **given, rng=np.random.default_rng(0))
    rng, torchs = np.random.default_rng(1), [networks(1, 28) for _ in range(2)]
    x, draws = nchw(np.tanh(rng.normal(size=(BATCH, 28, 28, 1)))), torch.tensor(rng.normal(size=(2, BATCH, LATENT)))
    nets = [{key: copied(net, nn.Sequential(*layers[key])) for key, net in model.networks.items()} for layers in torchs]
    adam = [{key: torch.optim.Adam(net.parameters(), 1e-3) for key, net in some.items()} for some in nets]
    more = {"equilibrium": vaegan.EQUILIBRIUM} if name == "vaegan" else {}
    {"vae": vae_step, "vaegan": vaegan_step}[name](nets[0], adam[0], x, draws, **given, **more)
    monkeypatch.setattr(torch, "randn_like", lambda a: draws[0])
    monkeypatch.setattr(torch, "randn", lambda *shape, device: draws[1])
    torch_autoencoders.STEPS[name](model, nets[1], adam[1])({"real": x})
    for one, other in zip(*(some.values() for some in nets), strict=True):
        for p, q in zip(one.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=0, atol=1e-12)
