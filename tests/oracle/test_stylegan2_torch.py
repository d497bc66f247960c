"""Ten whole steps of StyleGAN2, with both lazy penalties, beside the same in PyTorch, in float64.

The reference has a kernel for each sample, zeros between pixels, and derivatives by autograd, to second order.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from minigan.gans.stylegan2 import StyleGAN2, lazy_adam  # noqa: E402
from minigan.model import Now  # noqa: E402

F = torch.nn.functional
pytestmark = pytest.mark.oracle
STEPS, BATCH, SIZE, Z, BETAS = 10, 4, 16, 5, (0.0, 0.99)


class Drawn:
    """A generator of float64 numbers that can be drawn a second time, by `again`."""

    def __init__(self, seed):
        self.rng, self.kept = np.random.default_rng(seed), []

    def standard_normal(self, shape, dtype=None):
        self.kept.append(self.rng.standard_normal(shape))
        return self.kept[-1].copy()

    def again(self, shape=None):
        drawn = torch.tensor(self.kept.pop(0))
        assert shape is None or tuple(drawn.shape) == tuple(shape)
        return drawn


def lrelu(x, gain=2**0.5):
    return gain * F.leaky_relu(x, 0.2)


def upfirdn2d(x, up=1, down=1, padding=(0, 0), gain=1.0):
    """Of the authors: zeros between pixels, padding, the filter, and every `down`th pixel. x (N, C, H, W)."""
    N, C, H, W = x.shape
    x = F.pad(x.reshape(N, C, H, 1, W, 1), (0, up - 1, 0, 0, 0, up - 1)).reshape(N, C, H * up, W * up)
    taps = torch.tensor([1.0, 3, 3, 1], dtype=x.dtype) / 8
    kernel = (gain * torch.outer(taps, taps)).expand(C, 1, 4, 4)
    return F.conv2d(F.pad(x, (*padding, *padding)), kernel, groups=C)[:, :, ::down, ::down]


class Weights:
    """The parameters of one of our networks as tensors, by our names."""

    def __init__(self, network):
        self.ours = network.parameters().named()
        self.values = {name: torch.tensor(value, requires_grad=True) for name, (value, _) in self.ours.items()}

    def __getitem__(self, name):
        return self.values[name]

    def dense(self, name, x, m=1.0):
        W = self[f"{name}.layer.W"]
        return x @ (W * m / len(W) ** 0.5) + m * self[f"{name}.layer.b"]

    def conv(self, name, x, **geometry):
        W = self[f"{name}.layer.W"].permute(3, 2, 0, 1)
        return F.conv2d(x, W / W[0].numel() ** 0.5, self.values.get(f"{name}.layer.b"), **geometry)


def mapping(p, z):
    x = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
    for i in (1, 3):
        x = lrelu(p.dense(str(i), x, 0.01))
    return x


def modulated(p, name, x, w, up=False, demodulate=True):
    """`modulated_conv2d` with fused_modconv."""
    W, s = p[f"{name}.1.W"].permute(3, 2, 0, 1), p.dense(f"{name}.0.1", w)
    N, (K, C, k, _) = len(x), W.shape
    weight = W[None] * s[:, None, :, None, None]
    if demodulate:
        weight = weight * (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    else:
        weight = weight / (C * k * k) ** 0.5
    x = x.reshape(1, N * C, *x.shape[2:])
    if up:
        y = F.conv_transpose2d(x, weight.transpose(1, 2).reshape(N * C, K, k, k), stride=2, groups=N)
    else:
        y = F.conv2d(x, weight.reshape(N * K, C, k, k), padding=k // 2, groups=N)
    y = y.reshape(N, K, *y.shape[2:])
    return upfirdn2d(y, padding=(1, 1), gain=4.0) if up else y


def synthesis(p, ws, drawn):
    x, picture, i = p["constant.W"].permute(2, 0, 1).expand(len(ws), -1, -1, -1), None, 0
    for size in (4, 8, 16):
        for kind in ("up", "conv") if size > 4 else ("conv",):
            name, bias = f"{kind}{size}", 3 if kind == "up" else 2
            x = modulated(p, name, x, ws[:, i], kind == "up")
            noise = drawn.again((len(ws), size, size, 1)).permute(0, 3, 1, 2)
            x = x + p[f"{name}.{bias}.strength"] * noise + p[f"{name}.{bias}.b"][None, :, None, None]
            x, i = lrelu(x), i + 1
        rgb = modulated(p, f"picture{size}", x, ws[:, i], demodulate=False) + p[f"picture{size}.1.b"][:, None, None]
        picture = rgb if picture is None else upfirdn2d(picture, up=2, padding=(2, 1), gain=4.0) + rgb
    return picture


def discriminator(p, x):
    x = lrelu(p.conv("0", x))
    for i in (2, 3):
        y = lrelu(p.conv(f"{i}.body.0", x, padding=1))
        y = lrelu(p.conv(f"{i}.body.3", upfirdn2d(y, padding=(2, 2)), stride=2)) * 0.5**0.5
        x = y + p.conv(f"{i}.shortcut.1", upfirdn2d(x, down=2, padding=(1, 1))) * 0.5**0.5
    N, C, H, W = x.shape
    groups = x.reshape(2, -1, C, H, W)
    spread = ((groups - groups.mean(0)).square().mean(0) + 1e-8).sqrt().mean((1, 2, 3))
    x = torch.cat([x, spread.repeat(2)[:, None, None, None].expand(N, 1, H, W)], dim=1)
    x = lrelu(p.conv("5", x, padding=1)).permute(0, 2, 3, 1).flatten(1)
    return p.dense("10", lrelu(p.dense("8", x)))


class Reference:
    def __init__(self, model, lr):
        self.model, self.weights = model, {name: Weights(network) for name, network in model.networks.items()}
        self.a, self.w_mean = torch.tensor(0.0, dtype=torch.float64), torch.zeros(Z, dtype=torch.float64)
        self.optimizers = {}
        for name, weights in self.weights.items():
            every = {"D": model.r1_every}.get(name, model.path_every)
            c = every / (every + 1)
            betas = tuple(beta**c for beta in BETAS)
            self.optimizers[name] = torch.optim.Adam(list(weights.values.values()), lr * c, betas)

    def minimize(self, loss, *names):
        """A weight that the loss doesn't depend on has a gradient of 0, not none: Adam counts steps for it, too."""
        weights = [value for name in names for value in self.weights[name].values.values()]
        gradients = torch.autograd.grad(loss, weights, allow_unused=True)
        for value, gradient in zip(weights, gradients, strict=True):
            value.grad = torch.zeros_like(value) if gradient is None else gradient
        for name in names:
            self.optimizers[name].step()

    def styles(self, n, drawn, host):
        L = self.model.n_layers
        cut = int(host.integers(1, L)) if host.random() < self.model.mixing else L
        w = mapping(self.weights["mapping"], drawn.again((n, Z)))
        self.w_mean = torch.lerp(self.w_mean, w.detach().mean(0), 0.005)
        ws = w[:, None].repeat(1, L, 1)
        if cut < L:
            second = mapping(self.weights["mapping"], drawn.again((n, Z)))
            ws = torch.cat([ws[:, :cut], second[:, None].repeat(1, L - cut, 1)], dim=1)
        return ws

    def step(self, real, drawn, host, t):
        p, model, found = self.weights, self.model, {}
        G = lambda ws: synthesis(p["synthesis"], ws, drawn)  # noqa: E731
        D = lambda x: discriminator(p["D"], x)  # noqa: E731
        loss = F.softplus(-D(G(self.styles(BATCH, drawn, host)))).mean()
        found["g_loss"] = loss.item()
        self.minimize(loss, "mapping", "synthesis")
        if t % model.path_every == 0:
            ws = self.styles(BATCH // 2, drawn, host)
            pictures = G(ws)
            y = drawn.again().permute(0, 3, 1, 2) / SIZE
            (J,) = torch.autograd.grad((pictures * y).sum(), ws, create_graph=True)
            lengths = J.square().sum(2).mean(1).sqrt()
            self.a = torch.lerp(self.a, lengths.detach().mean(), 0.01)
            penalty = (lengths - self.a).square().mean()
            found |= {"path_length": lengths.mean().item(), "path_penalty": penalty.item()}
            self.minimize(2 * model.path_every * penalty, "mapping", "synthesis")
        fake = G(self.styles(BATCH, drawn, host)).detach()
        on_fake, on_real = D(fake), D(real)
        loss = F.softplus(on_fake).mean() + F.softplus(-on_real).mean()
        found |= {"d_loss": loss.item(), "d_real": on_real.sigmoid().mean().item()}
        self.minimize(loss, "D")
        if t % model.r1_every == 0:
            x = real.clone().requires_grad_()
            (dx,) = torch.autograd.grad(D(x).sum(), x, create_graph=True)
            squared = dx.square().sum((1, 2, 3)).mean()
            found["r1"] = squared.item()
            self.minimize(model.r1_every * model.gamma / 2 * squared, "D")
        return found


@pytest.mark.parametrize("C", [1, 3])
def test_ten_steps_in_float64(C):
    lazy = {"r1_every": 3, "path_every": 2, "gamma": 2.0, "group": 2, "mixing": 0.6}
    model = StyleGAN2((SIZE, SIZE, C), Z, features=2, max_features=4, **lazy, rng=np.random.default_rng(0))
    for name, network in model.networks.items():
        network.to(dtype=np.float64)
        every = {"D": model.r1_every}.get(name, model.path_every)
        model.optimizers[name] = lazy_adam(network, 0.01, BETAS, every)
    model.w_mean, model.path_mean = np.zeros(Z), np.zeros(())
    start = {name: network.parameters().values.copy() for name, network in model.networks.items()}
    theirs = Reference(model, 0.01)
    for t in range(STEPS):
        real = np.tanh(np.random.default_rng([1, t]).standard_normal((BATCH, SIZE, SIZE, C)))
        drawn = Drawn(t)
        now = Now(t, BATCH * t, np.random.default_rng([2, t]))
        measured = model.step(lambda real=real: {"real": real}, drawn, now)
        wanted = theirs.step(torch.tensor(real.transpose(0, 3, 1, 2)), drawn, np.random.default_rng([2, t]), t)
        assert wanted.keys() | {"d_fake"} == measured.keys() and not drawn.kept
        for name, value in wanted.items():
            assert measured[name] == pytest.approx(value, rel=1e-9), (t, name)
    np.testing.assert_allclose(model.w_mean, theirs.w_mean.numpy(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(model.path_mean, theirs.a.item(), rtol=1e-9)
    for name, network in model.networks.items():
        ours = network.parameters().values
        others = np.concatenate([value.detach().numpy().ravel() for value in theirs.weights[name].values.values()])
        assert abs(ours - others).max() <= 1e-9 * abs(ours - start[name]).max(), name
