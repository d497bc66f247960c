"""Ten steps of GANomaly and ten of the same in PyTorch stay together, new weights for D included."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from enlarging import assert_same_way, copied, in_torchs_layout, nchw  # noqa: E402
from steps import make_step  # noqa: E402

from minigan.autoencoders import GANomaly  # noqa: E402
from minigan.autoencoders.ganomaly import discriminator  # noqa: E402
from minigan.optim import Adam  # noqa: E402

nn = torch.nn
pytestmark = pytest.mark.oracle
STEPS, BATCH, LATENT, F, SIZE, LR = 10, 4, 5, 3, 32, 1e-3
BOUND = 0.55  # of the loss of D, which comes below it in about five steps
D = ("features", "verdict")


def stages(C):
    conv = {"kernel_size": 4, "stride": 2, "padding": 1, "bias": False}
    layers = [nn.Conv2d(C, F, **conv), nn.LeakyReLU(0.2)]
    for wide in (2 * F, 4 * F):
        layers += [nn.Conv2d(wide // 2, wide, **conv), nn.BatchNorm2d(wide), nn.LeakyReLU(0.2)]
    return layers


class Code(nn.Module):
    """(N, K) → (N, K, 1, 1)."""

    def forward(self, z):
        return z[:, :, None, None]


def networks(C):
    up = [Code(), nn.ConvTranspose2d(LATENT, 4 * F, 4, bias=False), nn.BatchNorm2d(4 * F), nn.ReLU()]
    for narrow in (2 * F, F):
        up += [nn.ConvTranspose2d(2 * narrow, narrow, 4, 2, 1, bias=False), nn.BatchNorm2d(narrow), nn.ReLU()]
    up += [nn.ConvTranspose2d(F, C, 4, 2, 1, bias=False), nn.Tanh()]
    encoder, second = ([*stages(C), nn.Conv2d(4 * F, LATENT, 4, bias=False), nn.Flatten()] for _ in range(2))
    verdict = [nn.Conv2d(4 * F, 1, 4, bias=False), nn.Flatten()]
    made = {"encoder": encoder, "decoder": up, "second": second, "features": stages(C), "verdict": verdict}
    return {name: nn.Sequential(*layers) for name, layers in made.items()}


def step(nets, adam, x, bound, fresh):
    """One step as the authors' code makes it: G and D forward, G backward and step, D backward and step, the bound."""
    z = nets["encoder"](x)
    y = nets["decoder"](z)
    again = nets["second"](y)
    mse, bce = nn.MSELoss(), nn.BCELoss()
    f_x, f_y = nets["features"](x), nets["features"](y)
    terms = {"feature_error": mse(f_x, f_y), "pixel_error": nn.L1Loss()(x, y), "code_error": mse(again, z)}
    for name in ("encoder", "decoder", "second"):
        adam[name].zero_grad()
    (terms["feature_error"] + 50 * terms["pixel_error"] + terms["code_error"]).backward()

    p_real = torch.sigmoid(nets["verdict"](nets["features"](x)))
    p_fake = torch.sigmoid(nets["verdict"](nets["features"](y.detach())))
    for name in D:
        adam[name].zero_grad()
    d_loss = 0.5 * (bce(p_real, torch.ones_like(p_real)) + bce(p_fake, torch.zeros_like(p_fake)))
    d_loss.backward()
    for one in adam.values():
        one.step()
    if d_loss.item() < bound:
        for name, network in fresh().items():
            nets[name].load_state_dict({k: torch.tensor(a) for k, a in in_torchs_layout(network).items()}, strict=False)
            adam[name] = torch.optim.Adam(nets[name].parameters(), LR, (0.5, 0.999))
    return {name: term.item() for name, term in (terms | {"d_loss": d_loss}).items()}


@pytest.mark.parametrize("C", [1, 3])
def test_ten_steps_in_float64(C):
    shape = (SIZE, SIZE, C)
    gan = GANomaly(shape, latent_dim=LATENT, features=F, rng=np.random.default_rng(0))
    for name, network in gan.networks.items():
        gan.optimizers[name] = Adam(network.to(dtype="float64").parameters(), LR, (0.5, 0.999))
    theirs = {name: copied(gan.networks[name], twin) for name, twin in networks(C).items()}
    adam = {name: torch.optim.Adam(net.parameters(), LR, (0.5, 0.999)) for name, net in theirs.items()}
    start = {name: in_torchs_layout(network) for name, network in gan.networks.items()}
    rng, restarts, gan.restart_below = np.random.default_rng(1), [], BOUND
    for number in range(STEPS):
        x = np.tanh(rng.normal(size=(BATCH, *shape)))
        measured = make_step(gan, x, np.random.default_rng(0), number)
        expected = step(
            theirs, adam, nchw(x), BOUND, lambda n=number: discriminator(shape, F, np.random.default_rng(n))
        )
        assert {name: measured[name] for name in expected} == pytest.approx(expected, rel=1e-9)
        restarts.append(bool(measured["restarts"]))
    assert 1 <= sum(restarts[:-2]) < 8, restarts  # and steps follow with the new weights
    for name, network in gan.networks.items():
        if name not in D:
            assert_same_way(network, start[name], theirs[name])
            continue
        state = theirs[name].state_dict()
        for key, a in in_torchs_layout(network).items():
            if "running" not in key:  # D's running statistics are never used
                assert np.linalg.norm(a - state[key].numpy()) <= 1e-9 * np.linalg.norm(a), key
