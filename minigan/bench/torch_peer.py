"""The same networks, optimizers and steps in PyTorch, for comparison. Only the benchmark imports this file.

Steps of translators are in torch_translators.py, those of GANs with several G and D, or growing ones, in torch_gans.py.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import conv2d, interpolate, linear, pad, relu

from minigan import layers, optim
from minigan.bench import torch_attention, torch_gans, torch_style, torch_stylegan, torch_translators
from minigan.bench.memory import HostMemory
from minigan.bench.workloads import SingleLayer, Training, Workload
from minigan.common.small_models import moments
from minigan.errors import MiniganError
from minigan.gans import growing
from minigan.kernels.geometry import pair

STEPS = torch_translators.STEPS | torch_gans.STEPS  # of models that have other networks than one G and one D


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


def torch_optimizer(optimizer: optim.Optimizer, network: nn.Module) -> torch.optim.Optimizer:
    """Return PyTorch's optimizer of the same rule and hyperparameters."""
    if isinstance(optimizer, optim.Adam):
        return torch.optim.Adam(network.parameters(), optimizer.lr, optimizer.betas)
    if isinstance(optimizer, optim.SGD):
        return torch.optim.SGD(network.parameters(), optimizer.lr, optimizer.momentum)
    raise MiniganError(f"the benchmark has no PyTorch peer for {type(optimizer).__name__}")


def prepare(
    workload: Workload, batch_size: int, device: str, channels_last: bool, tf32: bool = False
) -> tuple[Callable[[], Any], Callable[[], None], Any, int]:
    """Return a function that runs a step, one that waits for the device, a memory meter, and the number of threads.

    Products and convolutions use TF32 only with `tf32`. On a GPU, cuDNN selects the fastest algorithm by trial, as in
    PyTorch's DCGAN example.
    """
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True
    layout = torch.channels_last if channels_last else torch.contiguous_format
    make = training_step if isinstance(workload, Training) else layer_step
    step = make(workload, batch_size, device, layout)
    on_gpu = device.startswith("cuda")
    return (
        step,
        lambda: torch.cuda.synchronize(device) if on_gpu else None,
        TorchMemory(device) if on_gpu else HostMemory(),
        torch.get_num_threads(),
    )


class TorchMemory:
    """The memory that PyTorch has reserved on a GPU, in bytes, including free blocks, as CuPy's pool counts it."""

    def __init__(self, device: str) -> None:
        self.device = device

    def settle(self) -> int:
        """Release free blocks, reset the peak, and return what is held."""
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)
        return torch.cuda.memory_reserved(self.device)

    def peak(self) -> int:
        """Return the peak since `settle`."""
        return torch.cuda.max_memory_reserved(self.device)


def training_step(workload: Training, batch_size: int, device: str, layout: torch.memory_format) -> Callable[[], Any]:
    """Return a function that runs a workload's step on the translated networks of its model."""
    if workload.model in STEPS:
        return _step_of_networks(workload, batch_size, device, layout)
    gan = workload.build()  # released below: its arrays would count as PyTorch's memory
    names = gan.games[0].generator, gan.games[0].critic
    G, D = (torch_network(gan.networks[name]).to(device, memory_format=layout) for name in names)
    G_optimizer, D_optimizer = (torch_optimizer(gan.optimizers[n], net) for n, net in zip(names, (G, D), strict=True))
    (H, W, C), latent_dim = gan.shape, gan.latent_dim
    real = torch.rand(batch_size, C, H, W, device=device).mul_(2).sub_(1).contiguous(memory_format=layout)
    penalty_weight = gan.penalty.weight if workload.step == "critic step" else 0.0

    def draw() -> torch.Tensor:
        return G(torch.randn(batch_size, latent_dim, device=device))

    def update_D(loss: Callable[[torch.Tensor], torch.Tensor]) -> None:
        with torch.no_grad():
            fake = draw()
        D_optimizer.zero_grad()
        loss(fake).backward()
        D_optimizer.step()

    def sample() -> torch.Tensor:
        with torch.inference_mode():
            return draw()

    if workload.step == "sampling pass":
        G.eval()
    networks = (G, D, G_optimizer, D_optimizer)
    return {
        "step": lambda: _step(*networks, real, draw, draw_again=workload.model == "gan"),
        "critic step": lambda: update_D(lambda fake: _critic_loss(penalty_weight, D, real, fake)),
        "discriminator step": lambda: update_D(lambda fake: _hinge_loss(D, real, fake)),
        "sampling pass": sample,
    }[workload.step]


def _step_of_networks(
    workload: Training, batch_size: int, device: str, layout: torch.memory_format
) -> Callable[[], Any]:
    model = workload.build()
    next(islice(moments(model), workload.phase, None))  # puts the model into the phase
    networks = {
        name: torch_network(network).to(device, memory_format=layout)
        for name, network in (model.networks | model.frozen).items()
    }
    optimizers = {name: torch_optimizer(optimizer, networks[name]) for name, optimizer in model.optimizers.items()}
    make = torch_translators.PASSES.get(workload.step) or STEPS[workload.model]
    step = make(model, networks, optimizers)
    batch = {
        name: torch.from_numpy(np.moveaxis(rows, 3, 1).copy()).to(device).contiguous(memory_format=layout)
        for name, rows in workload.batch(model, batch_size).items()
    }
    return lambda: step(batch)


def layer_step(workload: SingleLayer, batch_size: int, device: str, layout: torch.memory_format) -> Callable[[], Any]:
    """Return a function that runs a translated layer forward, and backward to its input and parameters."""
    network = torch_network(layers.Sequential(workload.build())).to(device, memory_format=layout)
    *size, channels = workload.shape
    x = torch.randn(batch_size, channels, *size, device=device)
    x = (x.contiguous(memory_format=layout) if size else x).requires_grad_()
    dy = torch.randn_like(network(x))  # in the layout of y

    def step() -> torch.Tensor:
        x.grad = None
        network.zero_grad()
        network(x).backward(dy)
        return x.grad

    return step


def _step(
    G: nn.Module,
    D: nn.Module,
    G_optimizer: torch.optim.Optimizer,
    D_optimizer: torch.optim.Optimizer,
    real: torch.Tensor,
    draw: Callable[[], torch.Tensor],
    draw_again: bool,
) -> None:
    """Run the loop of PyTorch's DCGAN example. With `draw_again`, G trains on new fakes, as in minigan's `gan`."""
    ones, zeros = real.new_ones(len(real), 1), real.new_zeros(len(real), 1)
    D_optimizer.zero_grad()
    cross_entropy(D(real), ones).backward()
    with torch.set_grad_enabled(not draw_again):
        fake = draw()
    cross_entropy(D(fake.detach()), zeros).backward()
    D_optimizer.step()
    G_optimizer.zero_grad()
    cross_entropy(D(draw() if draw_again else fake), ones).backward()
    G_optimizer.step()


def _critic_loss(weight: float, D: nn.Module, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Return the loss of WGAN-GP's critic as it is usually implemented: with a gradient from create_graph=True."""
    epsilon = torch.rand(len(real), 1, 1, 1, device=real.device)
    between = (epsilon * real + (1 - epsilon) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(D(between).sum(), between, create_graph=True)
    penalty = weight * (slope.flatten(1).norm(dim=1) - 1).square().mean()
    return D(fake).mean() - D(real).mean() + penalty


def _hinge_loss(D: nn.Module, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Return the loss of SN-GAN's discriminator, which sees both halves in one pass, as minigan's does."""
    on_real, on_fake = D(torch.cat([real, fake])).chunk(2)
    return relu(1 - on_real).mean() + relu(1 + on_fake).mean()
