"""The same networks and optimisers in PyTorch, as the peer of a benchmark. Only the benchmark imports it."""

from __future__ import annotations

import torch
from torch import nn

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


def torch_network(network: layers.Sequential) -> nn.Sequential:
    """Translate layer by layer. The weights stay PyTorch's own: only the time is compared."""
    return nn.Sequential(*(_translated(layer) for layer in network.layers))


def _translated(layer: layers.Layer) -> nn.Module:
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
        case layers.Reshape():
            *size, channels = layer.shape
            return nn.Unflatten(1, (channels, *size))
    plain = {
        layers.ReLU: lambda: nn.ReLU(inplace=True),
        layers.LeakyReLU: lambda: nn.LeakyReLU(layer.negative_slope, inplace=True),
        layers.Tanh: nn.Tanh,
        layers.Sigmoid: nn.Sigmoid,
        layers.Flatten: nn.Flatten,
        layers.Dropout: lambda: nn.Dropout(layer.p),
        layers.Maxout: lambda: _Maxout(layer.pieces),
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
