"""Self-attention and conditional layers in PyTorch, as BigGAN's authors' code has them, and BigGAN's step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.functional import max_pool2d, relu, softmax

from minigan import layers
from minigan.bench.torch_translators import Batch, Networks, Optimizers, trained

Translate = Callable[[layers.Layer], nn.Module]
LAYERS = (layers.SelfAttention, layers.Conditional, layers.AdaptiveAffine, layers.Columns, layers.Fork)


class _Attention(nn.Module):
    """`o` begins with γ = 1, because only the time is compared."""

    def __init__(self, theta: nn.Module, phi: nn.Module, g: nn.Module, o: nn.Module) -> None:
        super().__init__()
        self.theta, self.phi, self.g, self.o = theta, phi, g, o
        self.gain = nn.ParameterList([torch.ones(1)])  # γ: a module, so that it comes after the others' parameters

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        N, _, H, W = x.shape
        theta = self.theta(x).flatten(2)  # (N, C/8, H·W)
        phi, g = max_pool2d(self.phi(x), 2).flatten(2), max_pool2d(self.g(x), 2).flatten(2)
        beta = softmax(torch.bmm(theta.transpose(1, 2), phi), -1)  # (N, H·W, H·W/4)
        return self.gain[0] * self.o(torch.bmm(g, beta.transpose(1, 2)).view(N, -1, H, W)) + x


class _Conditional(nn.Module):
    """(x, c) → y through layers of which some take (x, c), and the others x."""

    def __init__(self, inner: list[nn.Module], conditional: list[bool]) -> None:
        super().__init__()
        self.inner, self.conditional = nn.ModuleList(inner), conditional

    def forward(self, given: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        x, c = given
        for module, conditional in zip(self.inner, self.conditional, strict=True):
            x = module((x, c) if conditional else x)
        return x


class ConditionalResidual(nn.Module):
    """(x, c) → body(x, c) + shortcut(x)."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, given: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Map x (N, C, H, W) and c (N, F) to the sum of both paths."""
        return self.body(given) + self.shortcut(given[0])


class _AdaptiveAffine(nn.Module):
    def __init__(self, gain: nn.Module, bias: nn.Module) -> None:
        super().__init__()
        self.gain, self.bias = gain, bias

    def forward(self, given: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        x, c = given
        return x * (1 + self.gain(c))[:, :, None, None] + self.bias(c)[:, :, None, None]


class _Columns(nn.Module):
    def __init__(self, slices: tuple[tuple[int, int], ...]) -> None:
        super().__init__()
        self.slices = slices

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x[:, start:stop] for start, stop in self.slices], 1)


class _Fork(nn.Module):
    def __init__(self, branches: list[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(branch(x) for branch in self.branches)


def translated(layer: Any, translate: Translate) -> nn.Module:
    """Return the module of one of LAYERS; `translate` makes those of the layers inside."""
    match layer:
        case layers.SelfAttention():
            return _Attention(*map(translate, (layer.theta, layer.phi[0], layer.g[0], layer.o)))
        case layers.Conditional():
            return _Conditional([translate(a) for a in layer.layers], [a.conditional for a in layer.layers])
        case layers.AdaptiveAffine():
            return _AdaptiveAffine(translate(layer.gain), translate(layer.bias))
        case layers.Columns():
            return _Columns(layer.slices)
    return _Fork([nn.Identity() if branch is None else translate(branch) for branch in layer.layers])


def biggan_step(model: Any, networks: Networks, optimizers: Optimizers) -> Callable[[Batch], None]:
    """Return a function that makes one step of BigGAN: the hinge on a pass of both halves through D, then G."""
    G, D = networks["G"], networks["D"]

    def step(batch: Batch) -> None:
        real = batch["real"]
        with torch.no_grad():
            fake = G(torch.randn(len(real), model.latent_dim, device=real.device))
        optimizers["D"].zero_grad()
        on_real, on_fake = D(torch.cat([real, fake])).chunk(2)
        (relu(1 - on_real).mean() + relu(1 + on_fake).mean()).backward()
        optimizers["D"].step()

        trained([D], False)
        optimizers["G"].zero_grad()
        fake = G(torch.randn(len(real), model.latent_dim, device=real.device))
        (-D(fake).mean()).backward()
        optimizers["G"].step()
        trained([D], True)

    return step
