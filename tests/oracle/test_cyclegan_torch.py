"""Ten steps of CycleGAN and ten of the same in PyTorch, in float64, stay together in every weight.

Written there as in the reference code: one loss for both generators, one Adam for both generators and one for both
critics, fakes from an image pool of the same size and draws, and PyTorch's own layers, losses and derivatives.
"""

import itertools

import numpy as np
import pytest

from minigan.model import Now
from minigan.optim import Adam, linear_decay
from minigan.translators import CycleGAN

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional
pytestmark = pytest.mark.oracle

STEPS, BATCH, FEATURES, BLOCKS, POOL, LR = 10, 2, 3, 2, 5, 2e-4


class Block(nn.Module):
    def __init__(self, C):
        super().__init__()
        part = lambda: [nn.ReflectionPad2d(1), nn.Conv2d(C, C, 3, bias=False), nn.InstanceNorm2d(C)]  # noqa: E731
        self.body = nn.Sequential(*part(), nn.ReLU(), *part())

    def forward(self, x):
        return x + self.body(x)


def up(C, K, upsampling):
    if upsampling == "transposed":
        return [nn.ConvTranspose2d(C, K, 3, 2, 1, 1, bias=False)]
    enlarged = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    return [enlarged, nn.ReflectionPad2d(1), nn.Conv2d(C, K, 3, bias=False)]


def generator(C, K, upsampling):
    f = FEATURES
    return nn.Sequential(
        *(nn.ReflectionPad2d(3), nn.Conv2d(C, f, 7, bias=False), nn.InstanceNorm2d(f), nn.ReLU()),
        *(nn.Conv2d(f, 2 * f, 3, 2, 1, bias=False), nn.InstanceNorm2d(2 * f), nn.ReLU()),
        *(nn.Conv2d(2 * f, 4 * f, 3, 2, 1, bias=False), nn.InstanceNorm2d(4 * f), nn.ReLU()),
        *(Block(4 * f) for _ in range(BLOCKS)),
        *(*up(4 * f, 2 * f, upsampling), nn.InstanceNorm2d(2 * f), nn.ReLU()),
        *(*up(2 * f, f, upsampling), nn.InstanceNorm2d(f), nn.ReLU()),
        *(nn.ReflectionPad2d(3), nn.Conv2d(f, K, 7), nn.Tanh()),
    )


def critic(C):
    f = FEATURES  # a receptive field of 16 pixels
    return nn.Sequential(
        *(nn.Conv2d(C, f, 4, 2, 1), nn.LeakyReLU(0.2)),
        *(nn.Conv2d(f, 2 * f, 4, 1, 1, bias=False), nn.InstanceNorm2d(2 * f), nn.LeakyReLU(0.2)),
        nn.Conv2d(2 * f, 1, 4, 1, 1),
    )


class Pool:
    """util/image_pool.py of the reference code, with draws in the order and from the generators that ours has."""

    def __init__(self):
        self.pictures = []

    def query(self, fakes, rng):
        given = []
        for fake in fakes.detach():
            if len(self.pictures) < POOL:
                self.pictures.append(fake.clone())
                given.append(fake)
            elif rng.random() < 0.5:
                i = int(rng.integers(POOL))
                given.append(self.pictures[i])
                self.pictures[i] = fake.clone()
            else:
                given.append(fake)
        return torch.stack(given)


class Twin:
    def __init__(self, A, B, upsampling, cycle, identity):
        self.cycle, self.identity = cycle, identity
        self.AB, self.BA = generator(A, B, upsampling).double(), generator(B, A, upsampling).double()
        self.DA, self.DB = critic(A).double(), critic(B).double()
        pairs = ((self.AB, self.BA), (self.DA, self.DB))
        self.optimizers = [
            torch.optim.Adam(itertools.chain(*(net.parameters() for net in pair)), LR, (0.5, 0.999)) for pair in pairs
        ]
        self.pool_a, self.pool_b = Pool(), Pool()

    def step(self, a, b, rng, progress):
        G, D = self.optimizers
        for optimizer in self.optimizers:
            optimizer.param_groups[0]["lr"] = LR * min(1.0, 2 - 2 * progress)
        fake_b, fake_a = self.AB(a), self.BA(b)
        on_b, on_a = self.DB(fake_b), self.DA(fake_a)
        loss = F.mse_loss(on_b, torch.ones_like(on_b)) + F.mse_loss(on_a, torch.ones_like(on_a))
        loss += self.cycle * (F.l1_loss(self.BA(fake_b), a) + F.l1_loss(self.AB(fake_a), b))
        if self.identity:
            loss += self.cycle * self.identity * (F.l1_loss(self.AB(b), b) + F.l1_loss(self.BA(a), a))
        G.zero_grad()
        loss.backward()
        G.step()

        D.zero_grad()
        for net, real, fake, pool in ((self.DB, b, fake_b, self.pool_b), (self.DA, a, fake_a, self.pool_a)):
            on_real, on_fake = net(real), net(pool.query(fake, rng))
            loss_D = F.mse_loss(on_real, torch.ones_like(on_real)) + F.mse_loss(on_fake, torch.zeros_like(on_fake))
            (0.5 * loss_D).backward()
        D.step()
        return loss.item()


def theirs(name, array):
    """The name and layout of one of our arrays in PyTorch: 4.W (R, S, C, K) → 4.weight (K, C, R, S)."""
    place, _, own = name.rpartition(".")
    array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array
    return f"{place}.{'weight' if own == 'W' else 'bias'}", torch.tensor(np.ascontiguousarray(array))


def start(A, B, size, upsampling, **weights):
    """Both, with the same weights."""
    options = {"features": FEATURES, "blocks": BLOCKS, "upsampling": upsampling, "field": 16, "pool": POOL, "lr": LR}
    ours = CycleGAN((*size, A), (*size, B), **options, **weights, rng=np.random.default_rng(0))
    twin = Twin(A, B, upsampling, ours.cycle, ours.identity)
    for name, network in ours.networks.items():
        network.to(dtype=np.float64)
        ours.optimizers[name] = Adam(network.parameters(), LR, (0.5, 0.999))
        getattr(twin, name).load_state_dict(dict(theirs(*item) for item in network.state_dict().items()))
    for pool in ours.pools.values():
        pool.pictures = pool.pictures.astype(np.float64)
    return ours, twin


def apart(ours, twin):
    """The largest difference of a weight, relative to the largest weight of its network."""
    found = {}
    for name, network in ours.networks.items():
        state = getattr(twin, name).state_dict()
        for key, array in network.state_dict().items():
            key, array = theirs(key, array)
            found[f"{name}.{key}"] = (state[key] - array).abs().max().item() / network.parameters().values.max()
    return max(found.values()), max(found, key=found.get)


@pytest.mark.parametrize(
    ("A", "B", "size", "upsampling", "weights"),
    [
        (3, 3, (16, 20), "transposed", {}),
        (1, 3, (16, 16), "transposed", {}),
        (3, 3, (12, 12), "bilinear", {"cycle": 4.0, "identity": 0.1}),
    ],
    ids=["with identity loss", "gray to color", "bilinear"],
)
def test_ten_steps(A, B, size, upsampling, weights):
    ours, twin = start(A, B, size, upsampling, **weights)
    rng = np.random.default_rng(1)
    for step in range(STEPS):
        a, b = (np.tanh(rng.standard_normal((BATCH, *size, C))) for C in (A, B))
        now = Now(step, step * BATCH, np.random.default_rng([7, step]), progress=step / STEPS)
        for optimizer in ours.optimizers.values():
            optimizer.lr = LR * linear_decay(0.5, 0.5)(now.progress)
        measured = ours.step(lambda: {"a": a, "b": b}, rng, now)  # noqa: B023
        channels_first = [torch.tensor(x.transpose(0, 3, 1, 2).copy()) for x in (a, b)]
        expected = twin.step(*channels_first, np.random.default_rng([7, step]), step / STEPS)
        weight = {"g": 1, "cycle": ours.cycle, "identity": ours.cycle * ours.identity}
        loss = sum(w * measured.get(f"{name}_{side}", 0) for name, w in weight.items() for side in "ab")
        assert float(loss) == pytest.approx(expected, rel=1e-9)
        difference, where = apart(ours, twin)
        assert difference < 1e-9, f"step {step + 1}: {where} is off by {difference:.1e}"
    assert all(pool.filled == POOL for pool in ours.pools.values())
