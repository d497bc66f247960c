"""The step of GANomaly in PyTorch, in the order of the authors' code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import l1_loss, mse_loss

from minigan.bench.torch_translators import Batch, Networks, Optimizers, trained

GENERATOR, CRITIC = ("encoder", "decoder", "second"), ("features", "verdict")


def ganomaly_step(model: Any, networks: Networks, optimizers: Optimizers) -> Callable[[Batch], None]:
    """Return a function that makes one step of GANomaly: encoders and decoder, then D.

    D isn't started anew: a benchmark's few steps don't bring its loss below the bound. It is read, as minigan's is.
    """
    encoder, decoder, second = (networks[name] for name in GENERATOR)
    features, verdict = (networks[name] for name in CRITIC)

    def step(batch: Batch) -> None:
        x = batch["real"]
        for name in GENERATOR:
            optimizers[name].zero_grad()
        z = encoder(x)
        y = decoder(z)
        trained([features], False)
        with torch.no_grad():
            wanted = features(x)
        loss = model.adversarial * mse_loss(features(y), wanted)
        (loss + model.pixel_weight * l1_loss(y, x) + model.code_weight * mse_loss(second(y), z)).backward()
        trained([features], True)

        for name in CRITIC:
            optimizers[name].zero_grad()
        real, fake = verdict(features(x)), verdict(features(y.detach()))
        d_loss = (cross_entropy(real, torch.ones_like(real)) + cross_entropy(fake, torch.zeros_like(fake))) / 2
        d_loss.backward()
        for name in (*GENERATOR, *CRITIC):
            optimizers[name].step()
        d_loss.item()

    return step
