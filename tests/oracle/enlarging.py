"""SRResNet and its bicubic path in PyTorch, and how minigan's weights become those of the twin."""

import numpy as np
import torch
from torch import nn

NAMES = {"W": "weight", "b": "bias", "gamma": "weight", "beta": "bias", "slope": "weight"}


def nchw(a):
    return torch.tensor(np.ascontiguousarray(np.asarray(a, np.float64).transpose(0, 3, 1, 2)))


def bicubic_matrix(n, scale):
    """(scale·n, n): Keys' kernel with a = −½ at half-pixel centers; pixels outside repeat the edge."""
    A = np.zeros((scale * n, n))
    for o in range(scale * n):
        center = (o + 0.5) / scale - 0.5
        for i in range(int(np.floor(center)) - 1, int(np.floor(center)) + 3):
            t = abs(center - i)
            weight = 1.5 * t**3 - 2.5 * t**2 + 1 if t <= 1 else -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
            A[o, min(max(i, 0), n - 1)] += weight
    return torch.tensor(A)


def bicubic(x, scale):
    rows, columns = (bicubic_matrix(n, scale) for n in x.shape[2:])
    return rows @ x @ columns.T


class Plus(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return x + self.body(x)


class PlusBicubic(nn.Module):
    def __init__(self, body, scale):
        super().__init__()
        self.body, self.scale = body, scale

    def forward(self, x):
        return bicubic(x, self.scale) + self.body(x)


def enlarger(C, scale, F, blocks, *, batch=False, residual=True, as_in_paper=False):
    def conv(C, K, k=3):
        return nn.Conv2d(C, K, k, padding=k // 2, bias=not batch or (C, K) != (F, F))

    def convs():
        return [conv(F, F), *([nn.BatchNorm2d(F)] if batch else [])]

    tail = [conv(F, scale**2 * C), nn.PixelShuffle(scale)]
    if as_in_paper:
        each = [
            m
            for s in ((2, 2) if scale == 4 else (scale,))
            for m in (conv(F, s * s * F), nn.PixelShuffle(s), nn.PReLU(F))
        ]
        tail = [*each, conv(F, C, 9)]
    inner = nn.Sequential(*(Plus(nn.Sequential(*convs(), nn.PReLU(F), *convs())) for _ in range(blocks)), *convs())
    body = nn.Sequential(conv(C, F, 9 if as_in_paper else 3), nn.PReLU(F), Plus(inner), *tail)
    return PlusBicubic(body, scale) if residual else body


def in_torchs_layout(network):
    """Names and axes of PyTorch; before a pixel shuffle, also its order of channels."""
    before = {}  # names of convolutions before a pixel shuffle → its factor
    for prefix, layer in network.walk():
        inner = list(layer.children().items())
        for (name, _), (_, after) in zip(inner, inner[1:], strict=False):
            if type(after).__name__ == "PixelShuffle":
                before[f"{prefix}{name}"] = after.upscale_factor
    arrays = {}
    for name, a in network.state_dict().items():
        layer, _, own = name.rpartition(".")
        if layer in before:
            r2 = before[layer] ** 2
            a = np.moveaxis(a.reshape(*a.shape[:-1], r2, -1), -2, -1).reshape(a.shape)  # (pixel, C) → (C, pixel)
        a = a.transpose(3, 2, 0, 1) if a.ndim == 4 else a.T if a.ndim == 2 else a
        arrays[f"{layer}.{NAMES.get(own, own)}"] = np.ascontiguousarray(a)
    return arrays


def copied(network, module):
    """The module in float64, with the weights of the network."""
    state = {name: torch.tensor(a) for name, a in in_torchs_layout(network).items()}
    missing, unexpected = module.double().load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing)
    return module


def assert_same_way(network, start, module):
    """Both have gone the same way from `start`, but for a 1e-9th of it."""
    state = module.state_dict()
    for name, ours in in_torchs_layout(network).items():
        way = np.linalg.norm(ours - start[name])
        assert np.linalg.norm(ours - state[name].numpy()) <= 1e-9 * way, name
