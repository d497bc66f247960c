"""The layers of a network in PyTorch, for the benchmark and its tests.

Those of attention, of growing networks and of styles are in torch_attention.py, torch_gans.py, torch_style.py and
torch_stylegan.py.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import conv2d, interpolate, linear, pad

from minigan import layers
from minigan.bench import torch_attention, torch_gans, torch_style, torch_stylegan
from minigan.errors import MiniganError
from minigan.gans import growing
from minigan.kernels.geometry import pair


class _BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm for any number of axes; PyTorch has one class for each, with the same computation."""

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


class _Skip(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, self.body(x)], dim=1)


class _BicubicUpsample(nn.Module):
    """With `antialias`, PyTorch has the same weights, and leaves out pixels beyond the edge: hence the frame."""

    def __init__(self, scale_factor: tuple[int, int]) -> None:
        super().__init__()
        self.scale_factor = scale_factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        (fh, fw), framed = self.scale_factor, pad(x, (2, 2, 2, 2), "replicate")
        y = interpolate(framed, scale_factor=self.scale_factor, mode="bicubic", antialias=True)
        return y[:, :, 2 * fh : -2 * fh, 2 * fw : -2 * fw]


class _Equalized(nn.Module):
    """A dense layer or convolution whose weight is multiplied by a constant in every pass, as in the reference code."""

    def __init__(self, inner: nn.Linear | nn.Conv2d, scale: float) -> None:
        super().__init__()
        self.inner, self.scale = inner, scale
        nn.init.normal_(inner.weight)  # as it is stored: with PyTorch's own weights, the scale would be applied twice

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight, bias = self.inner.weight * self.scale, self.inner.bias
        if isinstance(self.inner, nn.Linear):
            return linear(x, weight, bias)
        return conv2d(x, weight, bias, self.inner.stride, self.inner.padding, self.inner.dilation, self.inner.groups)


class _PixelNorm(nn.Module):
    def __init__(self, eps: float) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * (x.square().mean(1, keepdim=True) + self.eps).rsqrt()


class _MinibatchStdDev(nn.Module):
    def __init__(self, group_size: int, eps: float) -> None:
        super().__init__()
        self.group_size, self.eps = group_size, eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        members = min(self.group_size, len(x))
        y = x.unflatten(0, (members, -1))
        s = (y.var(0, correction=0) + self.eps).sqrt().mean((1, 2, 3)).repeat(members)  # (N,)
        return torch.cat([x, s[:, None, None, None].expand(-1, 1, *x.shape[2:])], 1)


class _Concat(nn.Module):
    def forward(self, x: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return torch.cat(x, dim=1)


class _GlobalSumPool(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum((2, 3))


class _GlobalAvgPool(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


def torch_network(network: layers.Layer) -> nn.Module:
    """Translate a network layer by layer. The weights are PyTorch's own, because only the time is compared.

    Activations work in place where possible, which excludes the network's input.
    """
    if not isinstance(network, layers.Sequential):
        return _translated(network)
    return nn.Sequential(*(_translated(layer, in_place=i > 0) for i, layer in enumerate(network.layers)))


def _composite(layer: layers.Layer) -> nn.Module | None:
    """Translate a layer that is made of others, or one of StyleGAN's; None for any other layer."""
    for of_styles in (torch_style, torch_stylegan):
        if (peer := of_styles.translated(layer, _translated)) is not None:
            return peer
    match layer:
        case growing.GrowingGenerator() | growing.GrowingCritic():
            peers = {name: _translated(inner) for name, inner in layer.layers.items()}
            return getattr(torch_gans, type(layer).__name__)(peers)
        case _ if type(layer) in torch_attention.LAYERS:
            return torch_attention.translated(layer, _translated)
        case layers.Sequential():
            return torch_network(layer)
        case layers.Residual() if layer.conditional:
            return torch_attention.ConditionalResidual(_translated(layer.body), _translated(layer.shortcut))
        case layers.Residual():
            return _Residual(_translated(layer.body), _translated(layer.shortcut) if layer.shortcut else nn.Identity())
        case layers.Skip():
            return _Skip(_translated(layer.body))
    return None


def _translated(layer: layers.Layer, in_place: bool = False) -> nn.Module:
    if (composite := _composite(layer)) is not None:
        return composite
    bias = getattr(layer, "bias", False)
    match layer:
        case layers.Dense():
            return nn.Linear(layer.in_features, layer.out_features, bias)
        case layers.Conv2D():
            geometry = (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.groups)
            return nn.Conv2d(layer.in_channels, layer.out_channels, *geometry, bias)
        case layers.ConvTranspose2D():
            geometry = (layer.kernel_size, layer.stride, layer.padding, layer.output_padding, layer.groups)
            return nn.ConvTranspose2d(layer.in_channels, layer.out_channels, *geometry, bias, layer.dilation)
        case layers.BatchNorm():
            return _BatchNorm(layer.channels)
        case layers.SpectralNorm():
            inner = _translated(layer.layer)
            return nn.utils.parametrizations.spectral_norm(inner, "weight", layer.n_power_iterations, layer.eps)
        case layers.Equalized() if layer.lr_multiplier == 1 and not isinstance(layer.layer, layers.ConvTranspose2D):
            return _Equalized(_translated(layer.layer), layer.scale)
        case layers.PReLU():
            return nn.PReLU(layer.num_parameters)
        case layers.InstanceNorm():
            return nn.InstanceNorm2d(layer.channels, layer.eps, affine=layer.affine)
        case layers.AvgPool2D():
            geometry = (layer.kernel_size, layer.stride, layer.padding)
            return nn.AvgPool2d(*geometry, count_include_pad=layer.count_include_pad)
        case layers.MaxPool2D():
            return nn.MaxPool2d(layer.kernel_size, layer.stride, layer.padding)
        case layers.ReflectionPad2D() | layers.ReplicationPad2D():
            ph, pw = layer.padding
            peer = nn.ReflectionPad2d if isinstance(layer, layers.ReflectionPad2D) else nn.ReplicationPad2d
            return peer((pw, pw, ph, ph))
        case layers.Flatten():
            return nn.Flatten()
        case layers.Reshape():
            *size, channels = layer.shape
            return nn.Unflatten(1, (channels, *size))
    plain = {
        layers.ReLU: lambda: nn.ReLU(in_place),
        layers.LeakyReLU: lambda: nn.LeakyReLU(layer.negative_slope, in_place),
        layers.Tanh: nn.Tanh,
        layers.Sigmoid: nn.Sigmoid,
        layers.Dropout: lambda: nn.Dropout(layer.p),
        layers.Maxout: lambda: _Maxout(layer.pieces),
        layers.Softmax: lambda: nn.Softmax(dim=1),
        layers.BilinearUpsample: lambda: nn.Upsample(scale_factor=layer.scale_factor, mode="bilinear"),
        layers.BicubicUpsample: lambda: _BicubicUpsample(pair(layer.scale_factor, 1)),
        layers.PixelShuffle: lambda: nn.PixelShuffle(layer.upscale_factor),
        layers.PixelUnshuffle: lambda: nn.PixelUnshuffle(layer.downscale_factor),
        layers.Upsample: lambda: nn.Upsample(scale_factor=layer.scale_factor),  # the nearest pixel's value
        layers.Concat: _Concat,
        layers.PixelNorm: lambda: _PixelNorm(layer.eps),
        layers.MinibatchStdDev: lambda: _MinibatchStdDev(layer.group_size, layer.eps),
        layers.GlobalSumPool: _GlobalSumPool,
        layers.GlobalAvgPool: _GlobalAvgPool,
    }
    if type(layer) not in plain:
        raise MiniganError(f"the benchmark has no PyTorch peer for {layer!r}")
    return plain[type(layer)]()
