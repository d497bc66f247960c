"""The steps of GANs with more than one G and D in PyTorch, in the order of the papers' reference code."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch.nn.functional import avg_pool2d, interpolate
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from minigan.bench.torch_translators import Batch, Networks, Optimizers, trained


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


STEPS = {"lapgan": lapgan_step}
