"""The same optimizers and steps in PyTorch, for comparison. Only the benchmark imports this file.

Networks are translated in torch_layers.py. Steps of translators are in torch_translators.py, those of GANs with several
G and D, or growing ones, in torch_gans.py.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import relu

from minigan import layers, optim
from minigan.bench import torch_autoencoders, torch_gans, torch_translators
from minigan.bench.memory import HostMemory
from minigan.bench.torch_layers import torch_network
from minigan.bench.workloads import SingleLayer, Training, Workload
from minigan.common.small_models import moments
from minigan.errors import MiniganError

# Of models that have other networks than one G and one D
STEPS = torch_translators.STEPS | torch_gans.STEPS | torch_autoencoders.STEPS


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
