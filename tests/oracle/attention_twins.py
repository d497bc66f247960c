"""PyTorch modules of SAGAN and BigGAN, and what brings our weights to them and compares them afterwards.

The modules are in the order of our layers, so that the n-th with weights there is the n-th with weights here.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from minigan import layers as L


class Normalized(nn.Module):
    """Spectral normalization of a layer: one power iteration in every training forward, which has no gradient."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.u, self.v = inner, None, None

    def matrix(self):
        W = self.inner.weight
        return W.T if isinstance(self.inner, nn.Embedding) else W.flatten(1)  # (outputs, rest)

    def forward(self, x):
        M = self.matrix()
        if self.training:
            self.u = F.normalize(M.detach() @ self.v, dim=0)
            self.v = F.normalize(M.detach().T @ self.u, dim=0)
        return torch.func.functional_call(self.inner, {"weight": self.inner.weight / (self.u @ M @ self.v)}, x)


class Attention(nn.Module):
    """BigGAN's, line by line. `wrap` is what is put around each convolution."""

    def __init__(self, C, wrap=lambda conv: conv):
        super().__init__()
        few, half = max(1, C // 8), max(1, C // 2)
        self.theta, self.phi = wrap(nn.Conv2d(C, few, 1, bias=False)), wrap(nn.Conv2d(C, few, 1, bias=False))
        self.g, self.o = wrap(nn.Conv2d(C, half, 1, bias=False)), wrap(nn.Conv2d(half, C, 1, bias=False))
        self.gamma = nn.ParameterDict({"gamma": nn.Parameter(torch.zeros(1))})

    def forward(self, x):
        N, C, H, W = x.shape
        theta = self.theta(x).flatten(2)
        phi, g = F.max_pool2d(self.phi(x), [2, 2]).flatten(2), F.max_pool2d(self.g(x), [2, 2]).flatten(2)
        beta = F.softmax(torch.bmm(theta.transpose(1, 2), phi), -1)
        o = self.o(torch.bmm(g, beta.transpose(1, 2)).view(N, -1, H, W))
        return self.gamma["gamma"] * o + x


class ChannelsLast(nn.Module):
    """Flatten (N, C, H, W) in the order of (N, H, W, C)."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


class PixelsOf(nn.Module):
    """Unflatten (N, H·W·C) to (N, C, H, W), from the order of (N, H, W, C)."""

    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self, x):
        return x.unflatten(1, (self.size, self.size, -1)).permute(0, 3, 1, 2)


def pairs(ours, theirs):
    """Each of our layers with parameters, and its module in PyTorch."""
    mine = [layer for _, layer in ours.walk() if layer.parameter_names]
    others = [module for module in theirs.modules() if any(True for _ in module.parameters(recurse=False))]
    return list(zip(mine, others, strict=True))


def in_torchs_layout(layer):
    """Our parameters by their names there, with the axes that they have there."""
    if isinstance(layer, L.Gain):
        return {"gamma": layer.gamma}
    if isinstance(layer, L.BatchNorm):
        return {"weight": layer.gamma, "bias": layer.beta}
    W = layer.W
    if W.ndim == 4:
        W = W.transpose(3, 2, 0, 1)
    elif isinstance(layer, L.Dense):
        W = W.T
    return {"weight": W} if getattr(layer, "b", None) is None else {"weight": W, "bias": layer.b}


def bring(ours, theirs):
    """Give PyTorch's network our weights, and our u and v."""
    for layer, module in pairs(ours, theirs):
        arrays = in_torchs_layout(layer)
        named = dict(module.named_parameters(recurse=False))
        assert arrays.keys() == named.keys(), (layer, module)
        for name, array in arrays.items():
            named[name].data = torch.tensor(np.ascontiguousarray(array))
    normalized = [layer for _, layer in ours.walk() if isinstance(layer, L.SpectralNorm)]
    for layer, module in zip(normalized, (m for m in theirs.modules() if isinstance(m, Normalized)), strict=True):
        v = layer.v
        if isinstance(layer.layer, L.Conv2D):  # ours goes through (R, S, C), PyTorch's through (C, R, S)
            v = np.moveaxis(v.reshape(*layer.layer.kernel_size, -1), -1, 0).ravel()
        module.u, module.v = torch.tensor(layer.u), torch.tensor(v)


def distances(ours, theirs, start):
    """How far each of our parameters is from PyTorch's, relative to its way from `start`, by number and name.

    Adam makes steps of some gradients that are rounding errors on both sides, those of biases before a norm and of D's
    last bias, which adds as much to real logits as to fake ones. Such parameters are left out.
    """
    least, found = 1e-12 * max(p.grad.abs().max() for p in theirs.parameters()), {}
    for i, (layer, module) in enumerate(pairs(ours, theirs)):
        for (name, array), own in zip(in_torchs_layout(layer).items(), layer.parameter_names, strict=True):
            parameter = dict(module.named_parameters(recurse=False))[name]
            if abs(getattr(layer, "d" + own)).max() > least or parameter.grad.abs().max() > least:
                way = np.linalg.norm(array - start[i][name])
                found[f"{i} {type(layer).__name__}.{name}"] = np.linalg.norm(array - parameter.detach().numpy()) / way
    return found


def parameters_now(ours):
    """A copy of all parameters in PyTorch's layout, as `distances` takes them."""
    layers = [layer for _, layer in ours.walk() if layer.parameter_names]
    return [{name: array.copy() for name, array in in_torchs_layout(layer).items()} for layer in layers]
