"""The steps of GANs with other networks than one G and one D in PyTorch, in the order of the papers' reference code."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from minigan.bench.torch_anomaly import ganomaly_step
from minigan.bench.torch_attention import biggan_step
from minigan.bench.torch_style import stylegan2_step
from minigan.bench.torch_stylegan import stylegan_step
from minigan.bench.torch_translators import Batch, Networks, Optimizers, trained
from minigan.gans.growing import FIRST, stage


def lapgan_step(model: Any, networks: Networks, optimizers: Optimizers) -> Callable[[Batch], None]:
    """Return a function that makes one step of LAPGAN: D, then G of every level."""
    levels = model.levels

    def step(batch: Batch) -> None:
        x = batch["real"]
        pictures = [x]
        for _ in levels[1:]:
            pictures.insert(0, avg_pool2d(pictures[0], 2))
        ones, zeros = x.new_ones(len(x), 1), x.new_zeros(len(x), 1)
        for k, level in enumerate(levels):
            G, D, real = networks[level.G], networks[level.D], pictures[k]
            z = torch.rand(len(x), prod(level.noise), device=x.device).mul_(2).sub_(1)
            if k:
                coarse = interpolate(pictures[k - 1], scale_factor=2, mode="bilinear")
                fake = coarse + G((z.unflatten(1, (1, *real.shape[2:])), coarse))
            else:
                fake = G(z)
            optimizers[level.D].zero_grad()
            logits = D(torch.cat([real, fake.detach()]))
            cross_entropy(logits, torch.cat([ones, zeros])).backward()
            optimizers[level.D].step()

            trained([D], False)
            optimizers[level.G].zero_grad()
            cross_entropy(D(fake), ones).backward()
            optimizers[level.G].step()
            trained([D], True)

    return step


class GrowingGenerator(nn.Module):
    """(z, level) → pictures (N, C, H, W), by the layers of growing.py of that level; the others get no gradient."""

    def __init__(self, layers: dict[str, nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(layers)

    def forward(self, x: tuple[torch.Tensor, float]) -> torch.Tensor:
        """Map z (N, latent_dim) to the pictures of a level, a Python number."""
        h, (k, alpha) = x[0], stage(x[1])
        for i in range(k):
            h = self.layers[f"block{FIRST << i}"](h)
        new = self.layers[f"rgb{FIRST << k}"](self.layers[f"block{FIRST << k}"](h))
        if alpha == 1:
            return new
        return torch.lerp(interpolate(self.layers[f"rgb{FIRST << (k - 1)}"](h), scale_factor=2), new, alpha)


class GrowingCritic(nn.Module):
    """(pictures (N, C, H, W), level) → scores (N, 1)."""

    def __init__(self, layers: dict[str, nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(layers)

    def forward(self, x: tuple[torch.Tensor, float]) -> torch.Tensor:
        """Map the pictures of a level, a Python number, to scores."""
        picture, (k, alpha) = x[0], stage(x[1])
        h = self.layers[f"block{FIRST << k}"](self.layers[f"rgb{FIRST << k}"](picture))
        if alpha < 1:
            h = torch.lerp(self.layers[f"rgb{FIRST << (k - 1)}"](avg_pool2d(picture, 2)), h, alpha)
        for i in reversed(range(k)):
            h = self.layers[f"block{FIRST << i}"](h)
        return h


def progan_step(model: Any, networks: Networks, optimizers: Optimizers) -> Callable[[Batch], None]:
    """Return a function that makes one step of progressive growing at the model's level: D, then G on new fakes."""
    G, D, level = networks["G"], networks["D"], model.level
    k, alpha = stage(level)

    def step(batch: Batch) -> None:
        real = avg_pool2d(batch["real"], 2 ** (model.top - k))
        if alpha < 1:
            real = torch.lerp(interpolate(avg_pool2d(real, 2), scale_factor=2), real, alpha)
        n = len(real)
        with torch.no_grad():
            fake = G((torch.randn(n, model.latent_dim, device=real.device), level))
        optimizers["D"].zero_grad()
        on_real, on_fake = D((real, level)), D((fake, level))
        epsilon = torch.rand(n, 1, 1, 1, device=real.device)
        between = (epsilon * real + (1 - epsilon) * fake).requires_grad_()
        (slope,) = torch.autograd.grad(D((between, level)).sum(), between, create_graph=True)
        penalty = model.penalty.weight * (slope.flatten(1).norm(dim=1) - 1).square().mean()
        (on_fake.mean() - on_real.mean() + penalty + model.drift * on_real.square().mean()).backward()
        optimizers["D"].step()

        trained([D], False)
        optimizers["G"].zero_grad()
        fake = G((torch.randn(n, model.latent_dim, device=real.device), level))
        (-D((fake, level)).mean()).backward()
        optimizers["G"].step()
        trained([D], True)

    return step


STEPS = {
    "biggan": biggan_step,
    "ganomaly": ganomaly_step,
    "lapgan": lapgan_step,
    "progan": progan_step,
    "stylegan": stylegan_step,
    "stylegan2": stylegan2_step,
}
