"""Ten steps of restore and ten of the same in PyTorch stay together: DnCNN with batch norm, and with a mask."""

import numpy as np
import pytest

from minigan.model import Now
from minigan.optim import Adam
from minigan.translators.restore import Restore

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.oracle

STEPS, BATCH, SIZE, FEATURES, DEPTH = 10, 4, 14, 6, 5
NAMES = {"W": "weight", "b": "bias", "gamma": "weight", "beta": "bias"}


def dncnn(n_in, C, norm):
    layers = [nn.Conv2d(n_in, FEATURES, 3, padding=1), nn.ReLU()]
    for _ in range(DEPTH - 2):
        layers.append(nn.Conv2d(FEATURES, FEATURES, 3, padding=1, bias=not norm))
        layers += ([nn.BatchNorm2d(FEATURES)] if norm else []) + [nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(FEATURES, C, 3, padding=1))


def in_torchs_layout(network):
    arrays = {}
    for name, a in network.state_dict().items():
        layer, _, own = name.rpartition(".")
        arrays[f"{layer}.{NAMES.get(own, own)}"] = a.transpose(3, 2, 0, 1) if a.ndim == 4 else a
    return arrays


def nchw(a):
    return torch.tensor(np.ascontiguousarray(a.transpose(0, 3, 1, 2)))


@pytest.mark.parametrize(
    ("damage", "loss", "norm", "C"),
    [("noise:25", "l2", True, 1), ("noise:5-50", "l1", False, 3), ("hole:blobs", "l2", True, 3)],
)
def test_ten_steps_in_float64(damage, loss, norm, C):
    """Measured: the weights are apart by 5e-14 of their way."""
    options = {"features": FEATURES, "depth": DEPTH, "loss": loss, "norm": norm}
    model = Restore((SIZE, SIZE, C), damage, **options, rng=np.random.default_rng(0))
    G = model.networks["G"].to(dtype="float64")
    model.optimizers["G"] = Adam(G.parameters(), 1e-3)
    theirs = dncnn(C + model.masked, C, norm).double()
    start = in_torchs_layout(G)
    theirs.load_state_dict({name: torch.tensor(a) for name, a in start.items()}, strict=False)
    optimizer = torch.optim.Adam(theirs.parameters(), 1e-3)
    rng = np.random.default_rng(1)
    for _ in range(STEPS):
        clean = np.tanh(rng.standard_normal((BATCH, SIZE, SIZE, C)))
        made = [model.damage({"clean": picture.astype(np.float32)}, rng) for picture in clean]
        batch = {"clean": clean, "damaged": np.stack([one["damaged"] for one in made]).astype(np.float64)}
        if model.masked:
            batch["mask"] = np.stack([one["mask"] for one in made])
        measured = model.step(lambda batch=batch: batch, rng, Now(0, 0, rng))

        x, target = nchw(batch["damaged"]), nchw(clean)
        optimizer.zero_grad()
        if model.masked:
            hole = 1 - nchw(batch["mask"]).double()
            y = x - hole * theirs(torch.cat([x, hole], dim=1))
        else:
            y = x - theirs(x)
        error = nn.functional.mse_loss(y, target) if loss == "l2" else nn.functional.l1_loss(y, target)
        error.backward()
        optimizer.step()
        assert measured[loss] == pytest.approx(error.item(), rel=1e-9)
    state = theirs.state_dict()
    for name, ours in in_torchs_layout(G).items():
        way = np.linalg.norm(ours - start[name])
        assert np.linalg.norm(ours - state[name].numpy()) < 1e-9 * way, name
