"""StyleGAN's layers and its step in PyTorch: adaptive instance norms, and a synthesis network that grows."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, instance_norm, interpolate, softplus

from minigan import layers
from minigan.bench.torch_translators import Batch, Networks, Optimizers, trained
from minigan.gans.growing import FIRST, stage
from minigan.gans.growing_style import GrowingSynthesis

Translate = Callable[[layers.Layer], nn.Module]


class _AdaIN(nn.Module):
    """(x, ws (N, L, Z)) → (1 + gain(w)) x̂ + bias(w), w = ws[:, index]."""

    def __init__(self, gain: nn.Module, bias: nn.Module, eps: float, index: int) -> None:
        super().__init__()
        self.gain, self.bias, self.eps, self.index = gain, bias, eps, index

    def forward(self, given: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        x, w = given[0], given[1][:, self.index]
        return (1 + self.gain(w))[:, :, None, None] * instance_norm(x, eps=self.eps) + self.bias(w)[:, :, None, None]


class _Constant(nn.Module):
    def __init__(self, height: int, width: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, height, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight.expand(len(x), -1, -1, -1)


class _Synthesis(nn.Module):
    """(ws, level) → pictures (N, C, H, W), by the layers of growing_style.py of that level."""

    def __init__(self, blocks: dict[str, nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(blocks)

    def forward(self, given: tuple[torch.Tensor, float]) -> torch.Tensor:
        ws, (k, alpha) = given[0], stage(given[1])
        h = ws
        for i in range(k):
            h = self.layers[f"block{FIRST << i}"]((h, ws))
        new = self.layers[f"rgb{FIRST << k}"](self.layers[f"block{FIRST << k}"]((h, ws)))
        if alpha == 1:
            return new
        return torch.lerp(interpolate(self.layers[f"rgb{FIRST << (k - 1)}"](h), scale_factor=2), new, alpha)


def translated(layer: layers.Layer, translate: Translate) -> nn.Module | None:
    """Return the peer of a layer that only StyleGAN has, or None."""
    match layer:
        case GrowingSynthesis():
            return _Synthesis({name: translate(inner) for name, inner in layer.layers.items()})
        case layers.WithStyle():
            norm = layer.layer
            return _AdaIN(translate(norm.affine.gain), translate(norm.affine.bias), norm.eps, layer.index)
        case layers.Constant():
            return _Constant(*layer.shape)
    return None


def stylegan_step(model: Any, networks: Networks, optimizers: Optimizers) -> Callable[[Batch], None]:
    """Return a function that makes one step of StyleGAN at the model's level: D with R1, then mapping and synthesis."""
    mapping, synthesis, D = (networks[name] for name in ("mapping", "synthesis", "D"))
    level, (k, alpha) = model.level, stage(model.level)

    def draw(n: int, device: Any) -> torch.Tensor:
        ws = mapping(torch.randn(n, model.latent_dim, device=device))[:, None].repeat(1, model.n_layers, 1)
        if random.random() < model.mixing:
            cut = random.randrange(1, model.layers_in_use())
            second = mapping(torch.randn(n, model.latent_dim, device=device))[:, None]
            ws = torch.cat([ws[:, :cut], second.repeat(1, model.n_layers - cut, 1)], dim=1)
        return synthesis((ws, level))

    def step(batch: Batch) -> None:
        real = avg_pool2d(batch["real"], 2 ** (model.top - k))
        if alpha < 1:
            real = torch.lerp(interpolate(avg_pool2d(real, 2), scale_factor=2), real, alpha)
        with torch.no_grad():
            fake = draw(len(real), real.device)
        optimizers["D"].zero_grad()
        x = real.detach().requires_grad_()
        on_real = D((x, level))
        (dx,) = torch.autograd.grad(on_real.sum(), x, create_graph=True)
        r1 = model.penalty.gamma / 2 * dx.square().sum((1, 2, 3)).mean()
        (softplus(D((fake, level))).mean() + softplus(-on_real).mean() + r1).backward()
        optimizers["D"].step()

        trained([D], False)
        for name in ("mapping", "synthesis"):
            optimizers[name].zero_grad()
        softplus(-D((draw(len(real), real.device), level))).mean().backward()
        for name in ("mapping", "synthesis"):
            optimizers[name].step()
        trained([D], True)

    return step
