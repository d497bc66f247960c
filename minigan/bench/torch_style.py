"""StyleGAN2's layers and its step in PyTorch, as its authors' code has them in training: no kernel for each sample."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu, linear, pad, softplus

from minigan import layers
from minigan.bench.torch_translators import Batch, Networks, Optimizers, trained
from minigan.gans.style_networks import Synthesis

Translate = Callable[[layers.Layer], nn.Module]


class _Filter(nn.Module):
    """The filter of a layer for each channel: a blur, or with stride 2 the halving of pictures, or their doubling."""

    def __init__(self, taps: tuple[float, ...], gain: float, padding: int, stride: int = 1, up: bool = False) -> None:
        super().__init__()
        h = torch.tensor(taps, dtype=torch.float64)
        self.register_buffer("kernel", gain * torch.outer(h, h)[None, None] / h.sum() ** 2)
        self.padding, self.stride, self.up = padding, stride, up

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        C = x.shape[1]
        kernel = self.kernel.to(x.dtype).expand(C, -1, -1, -1)
        if self.up:
            return conv_transpose2d(x, kernel, stride=2, padding=self.padding, groups=C)
        return conv2d(pad(x, (self.padding,) * 4), kernel, stride=self.stride, groups=C)


class _SlowDense(nn.Module):
    """A dense layer with the equalized learning rate and a multiplier for weight and bias."""

    def __init__(self, inner: nn.Linear, scale: float, multiplier: float) -> None:
        super().__init__()
        self.inner, self.scale, self.multiplier = inner, scale, multiplier
        nn.init.normal_(inner.weight, std=1 / multiplier)  # with PyTorch's own, eight layers would return almost zeros

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return linear(x, self.inner.weight * self.scale, self.inner.bias * self.multiplier)


class _WithStyle(nn.Module):
    """(x, w) → (x, affine(w))."""

    def __init__(self, affine: nn.Module) -> None:
        super().__init__()
        self.affine = affine

    def forward(self, given: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        return given[0], self.affine(given[1])


class _Modulated(nn.Module):
    def __init__(self, layer: layers.ModulatedConv2D) -> None:
        super().__init__()
        K, C, k = layer.out_channels, layer.in_channels, layer.kernel_size
        self.weight = nn.Parameter(torch.randn(K, C, k, k))
        self.bias = nn.Parameter(torch.zeros(K)) if layer.bias else None
        self.up, self.demodulate, self.gain, self.eps = layer.up, layer.demodulate, layer.gain, layer.eps

    def forward(self, given: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        (x, s), W = given, self.weight
        x = x * (s * self.gain)[:, :, None, None]
        y = conv_transpose2d(x, W.transpose(0, 1), stride=2) if self.up else conv2d(x, W, padding=W.shape[2] // 2)
        if self.demodulate:
            d = (linear(s.square(), W.square().sum((2, 3))) + self.eps).rsqrt()  # (N, K)
            y = y * d[:, :, None, None]
        return y if self.bias is None else y + self.bias[:, None, None]


class _NoiseBias(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias, self.strength = nn.Parameter(torch.zeros(channels)), nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        noise = torch.randn(len(x), 1, *x.shape[2:], device=x.device, dtype=x.dtype)
        return x + self.strength * noise + self.bias[:, None, None]


class _ScaledLeakyReLU(nn.Module):
    def __init__(self, slope: float, gain: float) -> None:
        super().__init__()
        self.slope, self.gain = slope, gain

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return leaky_relu(x, self.slope) * self.gain


class _Synthesis(nn.Module):
    """ws (N, L, Z) → pictures (N, C, H, W)."""

    def __init__(self, network: Synthesis, translated: Translate) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.randn(network.constant.shape[2], *network.constant.shape[:2]))
        self.stages = nn.ModuleList(
            nn.ModuleList([*map(translated, stage.convolutions), translated(stage.to_picture)])
            for stage in network.stages
        )
        self.up = translated(network.up)

    def forward(self, ws: torch.Tensor) -> torch.Tensor:
        x, picture, i = self.constant.expand(len(ws), -1, -1, -1), None, 0
        for stage in self.stages:
            *convolutions, to_picture = stage
            for convolution in convolutions:
                x, i = convolution((x, ws[:, i])), i + 1
            new = to_picture((x, ws[:, i]))
            picture = new if picture is None else self.up(picture) + new
        return picture


def translated(layer: layers.Layer, translate: Translate) -> nn.Module | None:
    """Return the peer of a layer that only StyleGAN2 has, or None."""
    match layer:
        case Synthesis():
            return _Synthesis(layer, translate)
        case layers.Equalized() if isinstance(layer.layer, layers.Dense) and layer.lr_multiplier != 1:
            return _SlowDense(translate(layer.layer), layer.scale, layer.lr_multiplier)
        case layers.Branches() if len(layer.layers) == 2 and layer.layers[0] is None:
            return _WithStyle(translate(layer.layers[1]))
        case layers.ModulatedConv2D():
            return _Modulated(layer)
        case layers.NoiseBias():
            return _NoiseBias(layer.channels)
        case layers.ScaledLeakyReLU():
            return _ScaledLeakyReLU(layer.negative_slope, layer.gain)
        case layers.Blur():
            return _Filter(layer.taps, layer.gain, layer.padding)
        case layers.DownsampleFIR():
            return _Filter(layer.taps, layer.gain, len(layer.taps) // 2 - 1, 2)
        case layers.UpsampleFIR():
            return _Filter(layer.taps, 4 * layer.gain, len(layer.taps) // 2 - 1, up=True)
    return None


def stylegan2_step(model: Any, networks: Networks, optimizers: Optimizers) -> Callable[[Batch], None]:
    """Return a function that makes one step of StyleGAN2 with both of its penalties."""
    mapping, synthesis, D = (networks[name] for name in ("mapping", "synthesis", "D"))
    a, L = torch.zeros(()), model.n_layers

    def styles(n: int, device: Any) -> torch.Tensor:
        ws = mapping(torch.randn(n, model.latent_dim, device=device))[:, None].repeat(1, L, 1)
        if random.random() < model.mixing:
            cut = random.randrange(1, L)
            second = mapping(torch.randn(n, model.latent_dim, device=device))[:, None].repeat(1, L - cut, 1)
            ws = torch.cat([ws[:, :cut], second], dim=1)
        return ws

    def minimize(loss: torch.Tensor, *names: str) -> None:
        for name in names:
            optimizers[name].zero_grad()
        loss.backward()
        for name in names:
            optimizers[name].step()

    def step(batch: Batch) -> None:
        real = batch["real"]
        n, device, size = len(real), real.device, real.shape[-1]
        trained([D], False)
        minimize(softplus(-D(synthesis(styles(n, device)))).mean(), "mapping", "synthesis")

        ws = styles(max(1, n // 2), device)
        pictures = synthesis(ws)
        y = torch.randn_like(pictures) / size
        (J,) = torch.autograd.grad((pictures * y).sum(), ws, create_graph=True)
        lengths = J.square().sum(2).mean(1).sqrt()
        a.lerp_(lengths.detach().mean().cpu(), model.path.rate)
        penalty = (lengths - a.to(device)).square().mean()
        minimize(model.path.weight * model.path_every * penalty, "mapping", "synthesis")
        trained([D], True)

        with torch.no_grad():
            fake = synthesis(styles(n, device))
        minimize(softplus(D(fake)).mean() + softplus(-D(real)).mean(), "D")

        x = real.detach().requires_grad_()
        (dx,) = torch.autograd.grad(D(x).sum(), x, create_graph=True)
        gamma = model.r1_weight(n)
        minimize(model.r1_every * gamma / 2 * dx.square().sum((1, 2, 3)).mean(), "D")

    return step
