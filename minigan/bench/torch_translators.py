"""The steps of models that make pictures of pictures in PyTorch, in the order of the papers' reference code."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import l1_loss, mse_loss

from minigan.translators.luminance import REC_601

Networks = dict[str, nn.Module]
Optimizers = dict[str, torch.optim.Optimizer]
Batch = dict[str, torch.Tensor]


def restore_step(model: Any, networks: Networks, optimizers: Optimizers) -> Callable[[Batch], None]:
    """Return a function that makes one step of restore without a critic: y = x − G(x)."""
    G, loss = networks["G"], {"l1": l1_loss, "l2": mse_loss}[model.pixel_loss.__name__]

    def step(batch: Batch) -> None:
        optimizers["G"].zero_grad()
        x = batch["damaged"]
        loss(x - G(x), batch["clean"]).backward()
        optimizers["G"].step()

    return step


def pix2pix_step(model: Any, networks: Networks, optimizers: Optimizers) -> Callable[[Batch], None]:
    """Return a function that makes one step of pix2pix: D, whose loss is halved, then G."""
    G, D = networks["G"], networks["D"]

    def step(batch: Batch) -> None:
        x, target = batch["input"], batch["target"]
        fake = G(x).tanh()
        optimizers["D"].zero_grad()
        on_fake, on_real = D(torch.cat([x, fake.detach()], 1)), D(torch.cat([x, target], 1))
        (0.5 * (_binary(on_fake, 0) + _binary(on_real, 1))).backward()
        optimizers["D"].step()

        trained([D], False)
        optimizers["G"].zero_grad()
        (_binary(D(torch.cat([x, fake], 1)), 1) + model.weight * l1_loss(fake, target)).backward()
        optimizers["G"].step()
        trained([D], True)

    return step


def cyclegan_step(model: Any, networks: Networks, optimizers: Optimizers) -> Callable[[Batch], None]:
    """Return a function that makes one step of CycleGAN: both generators, then both critics, which have pools."""
    AB, BA, DA, DB = (networks[name] for name in ("AB", "BA", "DA", "DB"))
    identity, pools = model.cycle * model.identity, {"a": Pool(), "b": Pool()}

    def step(batch: Batch) -> None:
        a, b = batch["a"], batch["b"]
        fake_b, fake_a = AB(a), BA(b)
        a_again, b_again = BA(fake_b), AB(fake_a)
        trained([DA, DB], False)
        for name in ("AB", "BA"):
            optimizers[name].zero_grad()
        loss = _square(DB(fake_b), 1) + _square(DA(fake_a), 1)
        loss = loss + model.cycle * (l1_loss(a_again, a) + l1_loss(b_again, b))
        if identity:
            loss = loss + identity * (l1_loss(AB(b), b) + l1_loss(BA(a), a))
        loss.backward()
        for name in ("AB", "BA"):
            optimizers[name].step()
        trained([DA, DB], True)

        for side, D, real, fake in (("a", DA, a, fake_a), ("b", DB, b, fake_b)):
            optimizer = optimizers[f"D{side.upper()}"]
            optimizer.zero_grad()
            (0.5 * (_square(D(real), 1) + _square(D(pools[side].exchange(fake.detach())), 0))).backward()
            optimizer.step()

    return step


def srresnet_step(model: Any, networks: Networks, optimizers: Optimizers) -> Callable[[Batch], None]:
    """Return a function that makes one step of SRResNet."""
    G, loss = networks["G"], {"l1": l1_loss, "l2": mse_loss}[model.pixel_loss.__name__]

    def step(batch: Batch) -> None:
        optimizers["G"].zero_grad()
        loss(G(_seen(model, batch["low"])), _seen(model, batch["high"])).backward()
        optimizers["G"].step()

    return step


def srgan_step(model: Any, networks: Networks, optimizers: Optimizers) -> Callable[[Batch], None]:
    """Return a function that makes one step of SRGAN's stage two: G by pixels, content and D, then D."""
    G, D, content = (networks[name] for name in ("G", "D", "content"))
    pixel_loss = {"l1": l1_loss, "l2": mse_loss}[model.pixel_loss.__name__]
    trained([content.eval()], False)

    def step(batch: Batch) -> None:
        x, t = _seen(model, batch["low"]), _seen(model, batch["high"])
        trained([D], False)
        optimizers["G"].zero_grad()
        y = G(x)
        with torch.no_grad():
            wanted = content(t.expand(-1, 3, -1, -1))
        loss = model.pixel_weight * pixel_loss(y, t)
        loss = loss + model.content_weight * mse_loss(content(y.expand(-1, 3, -1, -1)), wanted)
        (loss + model.adversarial * _binary(D(y), 1)).backward()
        optimizers["G"].step()

        trained([D], True)
        optimizers["D"].zero_grad()
        (_binary(D(t), 1) + _binary(D(y.detach()), 0)).backward()
        optimizers["D"].step()

    return step


def enlarging_pass(model: Any, networks: Networks, optimizers: Optimizers) -> Callable[[Batch], torch.Tensor]:
    """Return a function that enlarges pictures by G in inference mode."""
    G = networks["G"].eval()

    def enlarge(batch: Batch) -> torch.Tensor:
        with torch.inference_mode():
            return G(_seen(model, batch["low"]))

    return enlarge


STEPS = {
    "restore": restore_step,
    "pix2pix": pix2pix_step,
    "cyclegan": cyclegan_step,
    "srresnet": srresnet_step,
    "srgan": srgan_step,
}
PASSES = {"enlarging pass": enlarging_pass}


class Pool:
    """Up to 50 earlier pictures. When it is full, half of the new pictures are exchanged for one of them."""

    def __init__(self) -> None:
        self.pictures: list[torch.Tensor] = []

    def exchange(self, fakes: torch.Tensor) -> torch.Tensor:
        """Return pictures (N, C, H, W), some of which are earlier ones."""
        result = []
        for fake in fakes:
            if len(self.pictures) < 50:
                self.pictures.append(fake)
            elif random.random() < 0.5:
                i = random.randrange(50)
                fake, self.pictures[i] = self.pictures[i].clone(), fake
            result.append(fake)
        return torch.stack(result)


def trained(networks: Iterable[nn.Module], whether: bool) -> None:
    """Switch the gradients of all weights on or off."""
    for network in networks:
        network.requires_grad_(whether)


def _seen(model: Any, x: torch.Tensor) -> torch.Tensor:
    """Return what the networks see of pictures (N, C, H, W): their luminance, or the pictures."""
    if not model.luminance or x.shape[1] != 3:
        return x
    red, green, blue = REC_601
    return red * x[:, :1] + green * x[:, 1:2] + blue * x[:, 2:]


def _binary(logits: torch.Tensor, label: float) -> torch.Tensor:
    return cross_entropy(logits, torch.full_like(logits, label))


def _square(logits: torch.Tensor, label: float) -> torch.Tensor:
    return mse_loss(logits, torch.full_like(logits, label))
