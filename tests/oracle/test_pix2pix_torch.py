"""Ten steps of pix2pix and ten of the same in PyTorch, written as the authors' PyTorch code has them, stay together.

From the same weights, pictures and dropout masks. The U-Net is built from the inside out, with LeakyReLU in place, so
its skips carry LeakyReLU(x), as the authors' do. Where a norm follows, the convolutions have no bias.
"""

import numpy as np
import pytest
from steps import make_step

from minigan.layers.base import Layer
from minigan.optim import Adam
from minigan.translators.pix2pix import Pix2Pix

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional
pytestmark = pytest.mark.oracle

STEPS, BATCH, WIDTH, CLASSES = 10, 2, 3, 3
NORMS = {"instance": lambda c: nn.InstanceNorm2d(c, affine=True), "batch": nn.BatchNorm2d, "none": None}


class Dropout(nn.Module):
    """Dropout with the numbers that minigan draws: in its order, with channels last."""

    generator = None

    def forward(self, x):
        N, C, H, W = x.shape
        kept = self.generator.random((N, H, W, C)) >= 0.5
        return x * torch.tensor(kept.transpose(0, 3, 1, 2) / 0.5)


class Level(nn.Module):
    """`UnetSkipConnectionBlock` of the authors' PyTorch code: down, what is inside, up, and a skip."""

    def __init__(self, outer, inner, inside, norm, dropout):
        super().__init__()
        norms = lambda c: [] if norm is None else [norm(c)]  # noqa: E731
        bias, double = norm is None, 1 if inside is None else 2
        layers = [nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(outer, inner, 4, 2, 1, bias=bias or inside is None)]
        layers += [] if inside is None else [*norms(inner), inside]
        layers += [nn.ReLU(inplace=True), nn.ConvTranspose2d(double * inner, outer, 4, 2, 1, bias=bias), *norms(outer)]
        self.model = nn.Sequential(*layers, *([Dropout()] if dropout else []))

    def forward(self, x):
        return torch.cat([x, self.model(x)], 1)


def unet(C, K, depth, norm):
    widths = [WIDTH * min(2**k, 8) for k in range(depth)]
    inside = None
    for k in reversed(range(1, depth)):
        inside = Level(widths[k - 1], widths[k], inside, norm, dropout=k >= depth - 3)
    return nn.Sequential(
        nn.Conv2d(C, widths[0], 4, 2, 1), inside, nn.ReLU(inplace=True), nn.ConvTranspose2d(2 * widths[0], K, 4, 2, 1)
    )


def patchgan(C, n_layers, norm):
    """`NLayerDiscriminator`; with no layers, `PixelDiscriminator`."""
    kernel, padding = (4, 1) if n_layers else (1, 0)
    wide = [WIDTH * 2**k for k in range(max(n_layers, 1) + 1)]
    layers = [nn.Conv2d(C, WIDTH, kernel, 2 if n_layers else 1, padding), nn.LeakyReLU(0.2, True)]
    for k, (a, b) in enumerate(zip(wide, wide[1:], strict=False), 1):
        stride = 2 if k < n_layers else 1
        layers += [nn.Conv2d(a, b, kernel, stride, padding, bias=norm is None), *([] if norm is None else [norm(b)])]
        layers += [nn.LeakyReLU(0.2, True)]
    return nn.Sequential(*layers, nn.Conv2d(wide[-1], 1, kernel, 1, padding))


def weights_of(ours, theirs):
    """Pairs of our parameters and PyTorch's, both from the outside in, with ours in PyTorch's layout."""
    layers = [layer for _, layer in ours.walk() if layer.parameter_names]
    modules = [module for module in theirs.modules() if list(module.parameters(recurse=False))]
    for layer, module in zip(layers, modules, strict=True):
        names = ("W", "b") if "W" in layer.parameter_names else ("gamma", "beta")
        arrays = [a for name in names if (a := getattr(layer, name)) is not None]
        parameters = [p for p in (module.weight, module.bias) if p is not None]
        for a, p in zip(arrays, parameters, strict=True):
            yield (a.transpose(3, 2, 0, 1) if a.ndim == 4 else a), p  # (R, S, C, K) → (K, C, R, S)


def statistics_of(ours, theirs):
    """Pairs of our running statistics and PyTorch's."""
    layers = [layer for _, layer in ours.walk() if isinstance(layer, Layer) and layer.state_names]
    modules = [module for module in theirs.modules() if isinstance(module, nn.BatchNorm2d)]
    for layer, module in zip(layers, modules, strict=True):
        yield layer.running_mean, module.running_mean
        yield layer.running_var, module.running_var


class Twin:
    """`optimize_parameters` of the authors' PyTorch code, for pictures and for class maps."""

    def __init__(self, model, shapes, norm, n_layers, maps, cross_entropy, weight):
        self.maps, self.cross_entropy, self.weight = maps, cross_entropy, weight
        (H, _, C), (_, _, K) = shapes
        self.networks = {"G": unet(C, K, int(np.log2(H)), NORMS[norm])}
        if n_layers is not None:
            self.networks["D"] = patchgan(C + K, n_layers, NORMS[norm])
        for key, network in self.networks.items():
            network.double()
            with torch.no_grad():
                for a, p in weights_of(model.networks[key], network):
                    p[...] = torch.tensor(a)
        self.adam = {key: torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999)) for key, net in self.networks.items()}

    def step(self, x, t, rng):
        Dropout.generator = rng
        x, t = (torch.tensor(a.transpose(0, 3, 1, 2)) for a in (x, t))
        known = t.sum(1, keepdim=True) if self.maps else torch.ones(1, dtype=torch.float64)
        out = self.networks["G"](x)
        fake = known * (out.softmax(1) if self.maps else out.tanh())
        measured = {}
        D, bce = self.networks.get("D"), F.binary_cross_entropy_with_logits
        if D is not None:
            for p in D.parameters():
                p.requires_grad_(True)
            self.adam["D"].zero_grad()
            real, wrong = D(torch.cat([x, t], 1)), D(torch.cat([x, fake.detach()], 1))
            d_loss = bce(real, torch.ones_like(real)) + bce(wrong, torch.zeros_like(wrong))
            (0.5 * d_loss).backward()
            self.adam["D"].step()
            for p in D.parameters():
                p.requires_grad_(False)
            measured = {"d_loss": d_loss, "d_real": real.sigmoid().mean(), "d_fake": wrong.sigmoid().mean()}
        self.adam["G"].zero_grad()
        if self.cross_entropy:
            classes = torch.where(known[:, 0] > 0, t.argmax(1), -100)  # PyTorch's number for pixels to ignore
            error = F.cross_entropy(out, classes)
        else:
            error = F.l1_loss(fake, t)
        loss = self.weight * error
        if D is not None:
            logits = D(torch.cat([x, fake], 1))
            measured["g_loss"] = bce(logits, torch.ones_like(logits))
            loss = loss + measured["g_loss"]
        loss.backward()
        self.adam["G"].step()
        measured["cross_entropy" if self.cross_entropy else "l1"] = error
        return {name: value.item() for name, value in measured.items()}


CASES = {  # options of ours, and the number of layers of their D
    "instance norm, field 16": ({}, 1),
    "batch norm, field 34": ({"norm": "batch", "field": 34}, 2),
    "no norm, field 1": ({"norm": "none", "field": 1}, 0),
    "field 70, 32 pixels": ({"field": 70, "size": 32}, 3),
    "the U-Net alone": ({"gan": False}, None),
    "photo to label": ({"labels": "target"}, 1),
    "photo to label, cross-entropy": ({"labels": "target", "loss": "cross-entropy", "weight": 5.0}, 1),
    "photo to label, cross-entropy alone": ({"labels": "target", "loss": "cross-entropy", "gan": False}, None),
}


@pytest.mark.parametrize("name", CASES)
def test_ten_steps_in_float64(name):
    """Losses, weights and running statistics; weights relative to the way that they have gone."""
    options, n_layers = dict(CASES[name][0]), CASES[name][1]
    size, labels = options.pop("size", 16), options.get("labels")
    input_shape, target_shape = ((size, size, CLASSES if labels == which else 3) for which in ("input", "target"))
    rng = np.random.default_rng(0)
    model = Pix2Pix(target_shape, input_shape, None, None, **options, features=WIDTH, rng=rng)
    for key, network in model.networks.items():
        network.to(dtype=np.float64)
        model.optimizers[key] = Adam(network.parameters(), 2e-4, (0.5, 0.999))
    how = (
        options.get("norm", "instance"),
        n_layers,
        labels == "target",
        "loss" in options,
        options.get("weight", 100.0),
    )
    twin = Twin(model, (input_shape, target_shape), *how)
    start = {key: network.parameters().values.copy() for key, network in model.networks.items()}

    def draw(shape, maps):
        if maps:  # one class more than there are: unknown
            return (rng.integers(CLASSES + 1, size=(BATCH, *shape[:2], 1)) == np.arange(CLASSES)).astype(float)
        return np.tanh(rng.standard_normal((BATCH, *shape)))

    for number in range(STEPS):
        x, t = draw(input_shape, labels == "input"), draw(target_shape, labels == "target")
        measured = make_step(model, {"input": x, "target": t}, np.random.default_rng(number))
        expected = twin.step(x, t, np.random.default_rng(number))
        assert measured.keys() == expected.keys()
        for key, value in expected.items():
            assert measured[key] == pytest.approx(value, rel=1e-9), key
        for key, network in model.networks.items():
            way = np.linalg.norm(network.parameters().values - start[key])
            pairs = weights_of(network, twin.networks[key])
            apart = np.sqrt(sum(((a - p.detach().numpy()) ** 2).sum() for a, p in pairs))
            assert apart < 1e-9 * way, f"step {number + 1}: {key}"
            for a, p in statistics_of(network, twin.networks[key]):
                np.testing.assert_allclose(a, p.numpy(), rtol=1e-6 if a.dtype == np.float32 else 1e-9)


def test_inference_is_that_of_the_twin():
    """Dropout off, running statistics: the authors' code with `--eval`."""
    model = Pix2Pix((16, 16, 3), (16, 16, 3), norm="batch", features=WIDTH, rng=np.random.default_rng(0))
    for network in model.networks.values():
        network.to(dtype=np.float64)
    twin = Twin(model, ((16, 16, 3),) * 2, "batch", None, False, False, 1.0)
    G, rng = twin.networks["G"], np.random.default_rng(1)
    for (a, p), _ in zip(statistics_of(model.networks["G"], G), range(100), strict=False):
        a[...] = rng.uniform(0.5, 2, a.shape)
        p[...] = torch.tensor(np.asarray(a))
    for module in G.eval().modules():
        if isinstance(module, Level):
            module.model = nn.Sequential(*(layer for layer in module.model if not isinstance(layer, Dropout)))
    x = np.tanh(rng.standard_normal((2, 16, 16, 3)))
    expected = G(torch.tensor(x.transpose(0, 3, 1, 2))).tanh().detach().numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(model.apply(x), expected, rtol=0, atol=1e-12)
