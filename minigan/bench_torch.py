"""The same networks and optimisers in PyTorch, as the peer of a benchmark. Only the benchmark imports it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import relu

from minigan import layers, optim
from minigan.errors import MiniganError


class _BatchNorm(nn.modules.batchnorm._BatchNorm):
    """PyTorch has one class per number of axes; the computation is the same."""

    def _check_input_dim(self, input: torch.Tensor) -> None:
        pass


class _Maxout(nn.Module):
    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (-1, self.pieces)).amax(-1)


class _Residual(nn.Module):
    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x) + self.shortcut(x)


class _GlobalSumPool(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum((2, 3))


def torch_network(network: layers.Sequential) -> nn.Sequential:
    """Translate layer by layer. The weights stay PyTorch's own: only the time is compared.

    Activations work in place where they may: not on the input, which others may need.
    """
    return nn.Sequential(*(_translated(layer, in_place=i > 0) for i, layer in enumerate(network.layers)))


def _translated(layer: layers.Layer, in_place: bool = False) -> nn.Module:
    bias = getattr(layer, "bias", False)
    match layer:
        case layers.Dense():
            return nn.Linear(layer.in_features, layer.out_features, bias)
        case layers.Conv2D():
            return nn.Conv2d(
                layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding, bias=bias
            )
        case layers.ConvTranspose2D():
            geometry = (layer.kernel_size, layer.stride, layer.padding, layer.output_padding)
            return nn.ConvTranspose2d(layer.in_channels, layer.out_channels, *geometry, bias=bias)
        case layers.BatchNorm():
            return _BatchNorm(layer.channels)
        case layers.SpectralNorm():
            inner = _translated(layer.layer)
            return nn.utils.parametrizations.spectral_norm(inner, "weight", layer.n_power_iterations, layer.eps)
        case layers.Sequential():
            return torch_network(layer)
        case layers.Residual():
            return _Residual(_translated(layer.body), _translated(layer.shortcut) if layer.shortcut else nn.Identity())
        case layers.AvgPool2D():
            geometry = (layer.kernel_size, layer.stride, layer.padding)
            return nn.AvgPool2d(*geometry, count_include_pad=layer.count_include_pad)
        case layers.MaxPool2D():
            return nn.MaxPool2d(layer.kernel_size, layer.stride, layer.padding)
        case layers.Reshape():
            *size, channels = layer.shape
            return nn.Unflatten(1, (channels, *size))
    plain = {
        layers.ReLU: lambda: nn.ReLU(in_place),
        layers.LeakyReLU: lambda: nn.LeakyReLU(layer.negative_slope, in_place),
        layers.Tanh: nn.Tanh,
        layers.Sigmoid: nn.Sigmoid,
        layers.Flatten: nn.Flatten,
        layers.Dropout: lambda: nn.Dropout(layer.p),
        layers.Maxout: lambda: _Maxout(layer.pieces),
        layers.Upsample: lambda: nn.Upsample(scale_factor=layer.scale_factor),  # the nearest pixel's value
        layers.GlobalSumPool: _GlobalSumPool,
    }
    if type(layer) not in plain:
        raise MiniganError(f"the benchmark has no PyTorch peer for {layer!r}")
    return plain[type(layer)]()


def torch_optimizer(optimizer: optim.Optimizer, network: nn.Module) -> torch.optim.Optimizer:
    """The same rule with the same numbers."""
    if isinstance(optimizer, optim.Adam):
        return torch.optim.Adam(network.parameters(), optimizer.lr, optimizer.betas)
    if isinstance(optimizer, optim.SGD):
        return torch.optim.SGD(network.parameters(), optimizer.lr, optimizer.momentum)
    raise MiniganError(f"the benchmark has no PyTorch peer for {type(optimizer).__name__}")


def torch_step(kind: str, gan: Any, batch_size: int, device: str, channels_last: bool) -> Callable[[], None]:
    """A function that makes one step of that kind on the networks of `gan`, translated."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    G, D = (torch_network(gan.networks[name]).to(device, memory_format=layout) for name in "GD")
    G_optimizer, D_optimizer = (torch_optimizer(gan.optimizers[n], net) for n, net in (("G", G), ("D", D)))
    H, W, C = gan.shape
    real = torch.rand(batch_size, C, H, W, device=device).mul_(2).sub_(1).contiguous(memory_format=layout)

    def latent() -> torch.Tensor:
        return torch.randn(batch_size, gan.latent_dim, device=device)

    def step() -> None:
        if kind == "step":
            _dcgan_step(G, D, G_optimizer, D_optimizer, real, latent())
        else:
            with torch.no_grad():
                fake = G(latent())
            D_optimizer.zero_grad()
            (_critic_loss(gan, D, real, fake) if kind == "critic step" else _hinge_loss(D, real, fake)).backward()
            D_optimizer.step()
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    return step


def _dcgan_step(
    G: nn.Module,
    D: nn.Module,
    G_optimizer: torch.optim.Optimizer,
    D_optimizer: torch.optim.Optimizer,
    real: torch.Tensor,
    z: torch.Tensor,
) -> None:
    """The ordinary loop of PyTorch's DCGAN example."""
    ones, zeros = real.new_ones(len(real), 1), real.new_zeros(len(real), 1)
    D_optimizer.zero_grad()
    cross_entropy(D(real), ones).backward()
    fake = G(z)
    cross_entropy(D(fake.detach()), zeros).backward()
    D_optimizer.step()
    G_optimizer.zero_grad()
    cross_entropy(D(fake), ones).backward()
    G_optimizer.step()


def _critic_loss(gan: Any, D: nn.Module, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """The objective of WGAN-GP's critic, as its usual implementations write it: the gradient with create_graph=True."""
    epsilon = torch.rand(len(real), 1, 1, 1, device=real.device)
    between = (epsilon * real + (1 - epsilon) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(D(between).sum(), between, create_graph=True)
    penalty = gan.penalty.weight * (slope.flatten(1).norm(dim=1) - 1).square().mean()
    return D(fake).mean() - D(real).mean() + penalty


def _hinge_loss(D: nn.Module, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """The objective of SN-GAN's discriminator, which sees both halves in one pass, as minigan's does."""
    on_real, on_fake = D(torch.cat([real, fake])).chunk(2)
    return relu(1 - on_real).mean() + relu(1 + on_fake).mean()
