"""Ten steps of restore and ten of the same in PyTorch stay together: DnCNN, a U-Net for holes, and with a critic."""

import numpy as np
import pytest

from minigan.model import Now
from minigan.optim import Adam
from minigan.translators.restore import Restore

torch = pytest.importorskip("torch")
nn = torch.nn
F = nn.functional
pytestmark = pytest.mark.oracle

STEPS, BATCH, SIZE, FEATURES, DEPTH, WEIGHT = 10, 4, 16, 6, 4, 0.1
NAMES = {"W": "weight", "b": "bias", "gamma": "weight", "beta": "bias"}


def dncnn(n_in, C):
    layers = [nn.Conv2d(n_in, FEATURES, 3, padding=1), nn.ReLU()]
    for _ in range(DEPTH - 2):
        layers += [nn.Conv2d(FEATURES, FEATURES, 3, padding=1, bias=False), nn.BatchNorm2d(FEATURES), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(FEATURES, C, 3, padding=1))


class Skip(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return torch.cat([x, self.body(x)], dim=1)


def unet(n_in, C):
    """Four levels: 16² → 8² → 4² → 2² → 1² and back."""
    widths, inner = [FEATURES, 2 * FEATURES, 4 * FEATURES, 8 * FEATURES], []
    for k in (3, 2, 1):
        below, here = widths[k - 1], widths[k]
        down = nn.Conv2d(below, here, 4, 2, 1, bias=k == 3)
        up = nn.ConvTranspose2d(here if k == 3 else 2 * here, below, 4, 2, 1, bias=False)
        norms = [] if k == 3 else [nn.BatchNorm2d(here)]
        level = nn.Sequential(nn.LeakyReLU(0.2), down, *norms, *inner, nn.ReLU(), up, nn.BatchNorm2d(below))
        inner = [Skip(level)]
    last = nn.ConvTranspose2d(2 * FEATURES, C, 4, 2, 1)
    return nn.Sequential(nn.Conv2d(n_in, FEATURES, 4, 2, 1), *inner, nn.ReLU(), last)


def patchgan(C):
    """A receptive field of 16."""
    return nn.Sequential(
        nn.Conv2d(C, FEATURES, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(FEATURES, 2 * FEATURES, 4, 1, 1, bias=False),
        nn.InstanceNorm2d(2 * FEATURES),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * FEATURES, 1, 4, 1, 1),
    )


def in_torchs_layout(network):
    arrays = {}
    for name, a in network.state_dict().items():
        layer, _, own = name.rpartition(".")
        arrays[f"{layer}.{NAMES.get(own, own)}"] = a.transpose(3, 2, 0, 1) if a.ndim == 4 else a
    return arrays


def nchw(a):
    return torch.tensor(np.ascontiguousarray(a.transpose(0, 3, 1, 2)))


class Reference:
    """The step of restore in PyTorch."""

    def __init__(self, model, loss, C):
        G = unet(C + 1, C) if model.masked else dncnn(C, C)
        self.networks = {"G": G} | ({"D": patchgan(C)} if "D" in model.networks else {})
        self.optimizers, self.loss = {}, {"l1": F.l1_loss, "l2": F.mse_loss}[loss]
        for name, network in self.networks.items():
            state = {key: torch.tensor(a) for key, a in in_torchs_layout(model.networks[name]).items()}
            missing, unexpected = network.double().load_state_dict(state, strict=False)
            assert not unexpected
            assert all(key.endswith("num_batches_tracked") for key in missing)
            self.optimizers[name] = torch.optim.Adam(network.parameters(), 1e-3)

    def step(self, clean, x, hole=None):
        """`x` has filled holes: the filling is data."""
        self.optimizers["G"].zero_grad()
        G, D = self.networks["G"], self.networks.get("D")
        y = x - G(x) if hole is None else x - hole * G(torch.cat([x, hole], dim=1))
        error = total = self.loss(y, clean)
        if D:
            logits = D(y)
            total = total + WEIGHT * F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
        total.backward()
        self.optimizers["G"].step()
        if D:
            self.optimizers["D"].zero_grad()
            real, fake = D(clean), D(y.detach())
            d_loss = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
            (d_loss + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))).backward()
            self.optimizers["D"].step()
        return error.item()


@pytest.mark.parametrize(
    ("damage", "loss", "C", "adversarial"),
    [("noise:25", "l2", 1, 0), ("noise:5-50", "l1", 3, WEIGHT), ("hole:blobs", "l1", 3, 0)],
)
def test_ten_steps_in_float64(damage, loss, C, adversarial):
    options = {"features": FEATURES, "depth": DEPTH, "loss": loss, "adversarial": adversarial}
    model = Restore((SIZE, SIZE, C), damage, **options, rng=np.random.default_rng(0))
    for name, network in model.networks.items():
        model.optimizers[name] = Adam(network.to(dtype="float64").parameters(), 1e-3)
    start = {name: in_torchs_layout(network) for name, network in model.networks.items()}
    theirs = Reference(model, loss, C)
    rng = np.random.default_rng(1)
    for _ in range(STEPS):
        clean = np.tanh(rng.standard_normal((BATCH, SIZE, SIZE, C)))
        made = [model.damage({"clean": picture.astype(np.float32)}, rng) for picture in clean]
        batch = {"clean": clean, "damaged": np.stack([one["damaged"] for one in made]).astype(np.float64)}
        if model.masked:
            batch["mask"] = np.stack([one["mask"] for one in made])
        measured = model.step(lambda batch=batch: batch, rng, Now(0, 0, rng))
        x, u = model.prepared(batch["damaged"], batch.get("mask"))
        error = theirs.step(nchw(clean), nchw(x), None if u is None else nchw(u))
        assert measured[loss] == pytest.approx(error, rel=1e-9)
    for name, network in model.networks.items():
        state = theirs.networks[name].state_dict()
        for key, ours in in_torchs_layout(network).items():
            way = np.linalg.norm(ours - start[name][key])
            assert np.linalg.norm(ours - state[key].numpy()) < 1e-9 * way, (name, key)
