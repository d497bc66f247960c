"""Ten steps of LAPGAN and ten of the same in PyTorch stay together, at all levels, dropout included."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from enlarging import assert_same_way, copied, in_torchs_layout, nchw  # noqa: E402
from steps import make_step  # noqa: E402

from minigan.gans import LAPGAN  # noqa: E402
from minigan.optim import Adam  # noqa: E402

nn, TF = torch.nn, torch.nn.functional
pytestmark = pytest.mark.oracle
STEPS, BATCH, LATENT, F, SIZES = 10, 4, 5, 3, (7, 14, 28)


class Draws:
    """A generator whose numbers are kept: the noise of a step first, then those of each dropout in order."""

    def __init__(self, rng):
        self.rng, self.kept = rng, []

    def random(self, shape, dtype):
        self.kept.append(self.rng.random(shape))
        return self.kept[-1]


class Dropout(nn.Module):
    """With the masks that minigan has drawn."""

    queue: list = []

    def forward(self, x):
        return x * torch.tensor(2.0 * (self.queue.pop(0) >= 0.5))


class Flat(nn.Module):
    """(N, C, H, W) → (N, H·W·C), in minigan's order."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


class Picture(nn.Module):
    """(N, H·W·C) → (N, C, H, W)."""

    def __init__(self, size, C):
        super().__init__()
        self.shape = (size, size, C)

    def forward(self, x):
        return x.unflatten(1, self.shape).permute(0, 3, 1, 2)


def coarsest(size, C):
    n, units, relu = size * size * C, 16 * F, nn.ReLU
    G = [nn.Linear(LATENT, units), relu(), nn.Linear(units, units), relu(), nn.Linear(units, n), Picture(size, C)]
    hidden = [nn.Linear(n, units), relu(), Dropout(), nn.Linear(units, units), relu(), Dropout()]
    return nn.Sequential(*G), nn.Sequential(Flat(), *hidden, nn.Linear(units, 1))


def finer(size, C):
    convolutions = [nn.Conv2d(1 + C, F, 7, padding=3), nn.Conv2d(F, F, 7, padding=3), nn.Conv2d(F, C, 5, padding=2)]
    G = nn.Sequential(nn.Identity(), convolutions[0], nn.ReLU(), convolutions[1], nn.ReLU(), convolutions[2])
    n = ((size - 9) // 2 + 1) ** 2 * F
    body = [nn.Conv2d(C, F, 5), nn.ReLU(), nn.Conv2d(F, F, 5, stride=2), Flat(), nn.ReLU()]
    return G, nn.Sequential(*body, Dropout(), nn.Linear(n, 1))


def step(networks, adam, real, draws):
    """One step, written from the formulas: the losses by level."""
    noise = np.split(2 * draws[0] - 1, np.cumsum([LATENT] + [size**2 for size in SIZES[1:]])[:-1], axis=1)
    Dropout.queue = draws[1:]
    pictures = [real]
    while pictures[0].shape[2] > SIZES[0]:
        pictures.insert(0, TF.avg_pool2d(pictures[0], 2))
    losses, bce = {}, TF.binary_cross_entropy_with_logits
    for k, (size, x) in enumerate(zip(SIZES, pictures, strict=True)):
        G, D = networks[f"G{size}"], networks[f"D{size}"]
        if k:
            coarse = TF.interpolate(pictures[k - 1], scale_factor=2, mode="bilinear", align_corners=False)
            fake = coarse + G(torch.cat([torch.tensor(noise[k]).reshape(-1, 1, size, size), coarse], 1))
        else:
            fake = G(torch.tensor(noise[0]))
        answers = torch.cat([torch.ones(BATCH, 1), torch.zeros(BATCH, 1)]).double()
        d_loss = bce(D(torch.cat([x, fake.detach()])), answers)
        adam[f"D{size}"].zero_grad()
        d_loss.backward()
        adam[f"D{size}"].step()
        g_loss = bce(D(fake), answers[:BATCH])
        adam[f"G{size}"].zero_grad()
        g_loss.backward()
        adam[f"G{size}"].step()
        losses |= {f"d_loss_{size}": d_loss.item(), f"g_loss_{size}": g_loss.item()}
    return losses


@pytest.mark.parametrize("C", [1, 3])
def test_ten_steps_in_float64(C):
    gan = LAPGAN((28, 28, C), latent_dim=LATENT, features=F, rng=np.random.default_rng(0))
    for name, network in gan.networks.items():
        gan.optimizers[name] = Adam(network.to(dtype="float64").parameters(), 1e-3, (0.5, 0.999))
    twins = [twin for size in SIZES for twin in (finer if size > SIZES[0] else coarsest)(size, C)]
    theirs = {name: copied(network, twin) for (name, network), twin in zip(gan.networks.items(), twins, strict=True)}
    adam = {name: torch.optim.Adam(net.parameters(), 1e-3, (0.5, 0.999)) for name, net in theirs.items()}
    start = {name: in_torchs_layout(network) for name, network in gan.networks.items()}
    rng = np.random.default_rng(1)
    for _ in range(STEPS):
        real, draws = np.tanh(rng.normal(size=(BATCH, 28, 28, C))), Draws(rng)
        measured = make_step(gan, real, draws)
        expected = step(theirs, adam, nchw(real), draws.kept)
        assert {name: measured[name] for name in expected} == pytest.approx(expected, rel=1e-9)
        assert not Dropout.queue
    for name, network in gan.networks.items():
        assert_same_way(network, start[name], theirs[name])
