"""The steps of models with an encoder in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import logsigmoid, mse_loss

from minigan.bench.torch_translators import Batch, Networks, Optimizers


def encoded(encoder: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return z (N, D) that is drawn, and the mean KL divergence from N(0, 1)."""
    mean, log_sigma = encoder(x).chunk(2, dim=1)
    sigma = log_sigma.exp()
    kl = (mean.square() + sigma.square() - 1).div(2).sub(log_sigma).sum(1).mean()
    return mean + sigma * torch.randn_like(mean), kl


def vae_step(model: Any, networks: Networks, optimizers: Optimizers) -> Callable[[Batch], None]:
    """Return a function that makes one step of vae."""

    def step(batch: Batch) -> None:
        for optimizer in optimizers.values():
            optimizer.zero_grad()
        z, kl = encoded(networks["encoder"], batch["real"])
        (mse_loss(networks["decoder"](z), batch["real"]) + model.kl_weight * kl).backward()
        for optimizer in optimizers.values():
            optimizer.step()

    return step


def vaegan_step(model: Any, networks: Networks, optimizers: Optimizers) -> Callable[[Batch], None]:
    """Return a function that makes one step of vaegan: a backward pass for each loss, as far as its gradient goes."""
    encoder, decoder, features, verdict = (networks[name] for name in ("encoder", "decoder", "features", "verdict"))
    of_decoder, of_D = list(decoder.parameters()), [*features.parameters(), *verdict.parameters()]

    def step(batch: Batch) -> None:
        for optimizer in optimizers.values():
            optimizer.zero_grad()
        x = batch["real"]
        f_x = features(x)
        z, kl = encoded(encoder, x)
        error = mse_loss(features(decoder(z)), f_x.detach())
        whole = error + 2 * model.beta / f_x[0].numel() * kl
        whole.backward(inputs=[*encoder.parameters(), *of_decoder])
        for parameter in of_decoder:
            parameter.grad.mul_(model.gamma)

        sample = decoder(torch.randn(len(x), model.latent_dim, device=x.device))
        f_sample = features(sample)
        real, fake = verdict(f_x), verdict(f_sample)
        (-logsigmoid(fake).mean()).backward(inputs=of_decoder, retain_graph=True)
        a, b = -logsigmoid(real).mean(), -logsigmoid(-fake).mean()
        (a + b).backward(inputs=of_D)

        learns = model.balanced(a.detach().cpu().numpy(), b.detach().cpu().numpy())
        for name, optimizer in optimizers.items():
            if learns.get(name, True):
                optimizer.step()

    return step


STEPS = {"vae": vae_step, "vaegan": vaegan_step}
