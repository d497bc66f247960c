"""Ten whole steps of SRGAN and of the same in PyTorch stay together, in each stage and with each loss."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from enlarging import assert_same_way, copied, enlarger, in_torchs_layout, nchw  # noqa: E402

from minigan.model import Now  # noqa: E402
from minigan.optim import Adam  # noqa: E402
from minigan.translators.content import BN_EPS, IMAGENET_MEAN, IMAGENET_STD  # noqa: E402
from minigan.translators.srgan import SRGAN  # noqa: E402

nn = torch.nn
TF = nn.functional
pytestmark = pytest.mark.oracle
STEPS, BATCH, SIZE, F, BLOCKS = 10, 3, 16, 4, 2
WEIGHTS = {"pixel_weight": 0.7, "content_weight": 0.3, "adversarial": 0.2}


def convolutions(C, side):
    layers = []
    for k in range(8):
        K, stride = F * 2 ** (k // 2), 1 + k % 2
        layers += [nn.Conv2d(C, K, 3, stride, 1, bias=not k), *([nn.BatchNorm2d(K)] if k else []), nn.LeakyReLU(0.2)]
        C, side = K, (side + stride - 1) // stride
    return layers, side


class Critic(nn.Sequential):
    """Its dense layers read (H, W, C), as minigan's do."""

    def __init__(self, C, side, last_bias):
        layers, side = convolutions(C, side)
        last = [nn.Linear(side * side * 8 * F, 16 * F), nn.LeakyReLU(0.2), nn.Linear(16 * F, 1, bias=last_bias)]
        super().__init__(*layers, nn.Identity(), *last)
        self.convolutions = len(layers)

    def forward(self, x):
        for i, layer in enumerate(self):
            x = layer(x.permute(0, 2, 3, 1).flatten(1) if i == self.convolutions else x)
        return x


def photos(depths):
    layers, C = [], 3
    for k, K in enumerate((24, 48, 64, 80)[:depths]):
        first = 5 if k == 0 else 3
        layers += [nn.Conv2d(C, K, first, 2, first // 2, bias=False), nn.BatchNorm2d(K), nn.ReLU()]
        layers += [nn.Conv2d(K, K, 3, 1, 1, bias=False), nn.BatchNorm2d(K), nn.ReLU()]
        C = K
    return nn.Sequential(*layers)


def vgg(x, network):
    """Up to conv2_2 and its ReLU, with torchvision's normalization of colors in [0, 1]."""
    mean, std = (torch.tensor(a, dtype=torch.float64).reshape(1, 3, 1, 1) for a in (IMAGENET_MEAN, IMAGENET_STD))
    x = ((x + 1) / 2 - mean) / std
    for i in (1, 3, 0, 6, 8):
        x = TF.max_pool2d(x, 2) if not i else TF.conv2d(x, *(nchw_weights(network, i)), padding=1).relu()
    return x


def nchw_weights(network, i):
    layer = network[i]
    return torch.tensor(layer.W.astype(np.float64).transpose(3, 2, 0, 1)), torch.tensor(layer.b.astype(np.float64))


def average(real, fake, real_target, fake_target):
    """The relativistic average loss, by PyTorch's cross-entropy; nothing is detached."""
    u, v = real - fake.mean(), fake - real.mean()
    bce = TF.binary_cross_entropy_with_logits
    return bce(u, torch.full_like(u, real_target)) + bce(v, torch.full_like(v, fake_target))


class Reference:
    def __init__(self, model, C):
        self.model, batch = model, "BatchNorm" in repr(model.networks["G"])
        self.networks = {"G": copied(model.networks["G"], enlarger(C, model.scale, F, BLOCKS, batch=batch))}
        if "D" in model.networks:
            self.networks["D"] = copied(model.networks["D"], Critic(C, model.crop[0], not model.relativistic))
        self.content = None
        if model.frozen:
            network = model.frozen["content"]
            ours = copied(network, photos(2)).eval() if model.content == "photos" else None
            self.content = ours or (lambda x: vgg(x, network))
        self.optimizers = {name: torch.optim.Adam(net.parameters(), 1e-3) for name, net in self.networks.items()}

    def step(self, x, t, two):
        G, D, model = self.networks["G"], self.networks.get("D"), self.model
        y = G(x)
        total = pixels = TF.l1_loss(y, t)
        found = {"l1": pixels.item()}
        if two:
            total = model.pixel_weight * pixels
            if self.content is not None:
                found_features, wanted = (self.content(a.expand(-1, 3, -1, -1)) for a in (y, t))
                content = TF.mse_loss(found_features, wanted)
                total, found["content"] = total + model.content_weight * content, content.item()
            if D:
                real, fake = D(t), D(y)
                relativistic = model.relativistic
                ones, zeros = torch.ones_like(fake), torch.zeros_like(fake)
                bce = TF.binary_cross_entropy_with_logits
                fooled = average(real, fake, 0.0, 1.0) if relativistic else bce(fake, ones)
                d_loss = average(real, fake, 1.0, 0.0) if relativistic else bce(real, ones) + bce(fake, zeros)
                total, found["g_loss"], found["d_loss"] = (
                    total + model.adversarial * fooled,
                    fooled.item(),
                    d_loss.item(),
                )
                # D sees y as data: its gradients are computed first, and taken out of the way of G's
                dD = torch.autograd.grad(d_loss, list(D.parameters()), retain_graph=True)
        self.optimizers["G"].zero_grad()
        total.backward()
        self.optimizers["G"].step()
        if two and D:
            for parameter, gradient in zip(D.parameters(), dD, strict=True):
                parameter.grad = gradient
            self.optimizers["D"].step()
        return found


@pytest.mark.parametrize("two", [False, True], ids=["stage one", "stage two"])
@pytest.mark.parametrize(
    ("C", "options"),
    [
        (1, {}),
        (3, {"loss": "relativistic", "colors": "rgb", "norm": "batch", "scale": 2}),
        (3, {"content": "vgg19.pth", "content_layer": "2_2", "colors": "rgb"}),
        (3, {"content": "none", "loss": "relativistic", "scale": 3}),
        (1, {"adversarial": 0.0}),
    ],
)
def test_ten_steps_in_float64(C, options, two):
    options = {"features": F, "blocks": BLOCKS, "critic_features": F} | WEIGHTS | options
    model = SRGAN((SIZE, SIZE, C), **options, pretrain_samples=10, rng=np.random.default_rng(0))
    for name, network in model.networks.items():
        model.optimizers[name] = Adam(network.to(dtype="float64").parameters(), 1e-3)
    for network in model.frozen.values():
        network.to(dtype="float64")
        if model.content != "photos":  # the constants of the normalization, which were rounded to float32
            network[0].running_mean[...] = 2 * np.array(IMAGENET_MEAN) - 1
            network[0].running_var[...] = (2 * np.array(IMAGENET_STD)) ** 2 - BN_EPS
    channels = 1 if model.luminance else C
    start = {name: in_torchs_layout(network) for name, network in model.networks.items()}
    theirs = Reference(model, channels)
    rng = np.random.default_rng(1)
    now = Now(0, 0, rng, phase=model.phases[two])
    for _ in range(STEPS):
        high = np.tanh(rng.standard_normal((BATCH, *model.crop, C)))
        low = np.stack([model.damage({"high": one.astype(np.float32)}, rng)["low"] for one in high]).astype(np.float64)
        batch = {"high": high, "low": low}
        measured = model.step(lambda batch=batch: batch, rng, now)
        for name, value in theirs.step(*(nchw(model.seen(a)) for a in (low, high)), two).items():
            assert measured[name] == pytest.approx(value, rel=1e-9), name
    for name, network in model.networks.items():
        if two or name == "G":
            assert_same_way(network, start[name], theirs.networks[name])
        else:
            assert all(np.array_equal(a, start[name][key]) for key, a in in_torchs_layout(network).items())
