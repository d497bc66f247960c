"""GAN: "Generative Adversarial Nets" (Goodfellow et al. 2014), with dense layers only.

D outputs a logit; D(x) = sigmoid(logit) is the probability that x is real. Both networks play equation 1 of the paper:

    min over G, max over D of   E log D(x) + E log(1 − D(G(z)))

One training step (algorithm 1):

    n_critic times   draw z; update D to minimize −½ mean log D(x) − ½ mean log(1 − D(G(z)))
    once             draw z; update G to minimize −mean log D(G(z)), the non-saturating objective of section 3

Networks and training for pictures, from the authors' MNIST experiment (goodfeli/adversarial, mnist.yaml):

    G: z → 1200 → 1200 → H·W·C     ReLU, ReLU, sigmoid                 weights U(−.05, .05)
    D: H·W·C → 240 → 240 → 1       maxout of 5 pieces, twice           weights U(−.005, .005)
       dropout .2 on the input and .5 on both hidden layers, in every pass through D
    latent of 100 uniform numbers with variance 1; SGD .1 with momentum that grows from .5 to .7; batch 100

For points on the plane (`ring`, `grid`), which the paper doesn't cover, small networks:

    G: z → 128 → 128 → 2           LeakyReLU .2, LeakyReLU .2
    D: 2 → 128 → 128 → 1           LeakyReLU .2, LeakyReLU .2
    latent of 2 numbers from N(0, 1); Adam 5e-4 with β1 .5

Deviations from the authors' code: the learning rate is constant (theirs decays by 4e-6 per step); momentum grows
linearly over 250 epochs of 500 steps; D and G are updated in turn on new latents, as in algorithm 1 (theirs updates
both on the same latents); the output bias starts at 0 (theirs at the data's mean); the latents are uniform (mnist.yaml
uses that code's default, Gaussian). Pictures are in [−1, 1] outside this file, and in [0, 1] between G's sigmoid and D.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt
from typing import Annotated, Any

import numpy as np

from minigan.backend import Device
from minigan.errors import ShapeError
from minigan.gans.base import LatentGAN, Networks, Shape, with_defaults
from minigan.gans.networks import point_networks
from minigan.layers import Dense, Dropout, Flatten, Maxout, ReLU, Reshape, Sequential, Sigmoid, uniform
from minigan.layers.activations import sigmoid
from minigan.losses import Minimax
from minigan.model import Now
from minigan.optim import SGD, Adam, Optimizer
from minigan.options import Count, Fraction, Positive


class GAN(LatentGAN):
    """A GAN with dense layers, for pictures (H, W, C) of any size or for points (2,).

    For pictures, `b1` is the momentum of SGD at the first step; for points, Adam's β1. Raises ShapeError for others.
    """

    paper = "Generative Adversarial Nets (Goodfellow et al. 2014)"
    makes = "pictures of any size, and points on the plane"
    suits = "for points, for very small pictures, and to study the basic algorithm: all layers are dense"
    batch_size = 100

    def __init__(
        self,
        shape: Shape,
        latent_dim: Annotated[int | None, Count("length of the latent vector z", default="100; points: 2")] = None,
        lr: Annotated[float | None, Positive("learning rate", default="0.1 for pictures, 0.0005 for points")] = None,
        b1: Annotated[float, Fraction("Adam's decay of the first moment, or SGD's momentum")] = 0.5,
        b2: Annotated[float, Fraction("Adam's decay of the second moment")] = 0.999,
        n_critic: Annotated[int, Count("discriminator updates per generator update")] = 1,
        label_smoothing: Annotated[float, Fraction("amount subtracted from the target 1 of real samples")] = 0.0,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        if len(shape) not in (1, 3):
            raise ShapeError(f"gan generates pictures (H, W, C) or points (2,), not samples of shape {tuple(shape)}")
        self.pictures, self.b1 = len(shape) == 3, b1
        latent_dim, lr = with_defaults((latent_dim, lr), (100, 0.1) if self.pictures else (2, 5e-4))
        networks = picture_networks if self.pictures else point_networks
        G, D = networks(shape, latent_dim, rng)
        self.setup(shape, latent_dim, G, D, Minimax(label_smoothing=label_smoothing), device, n_critic)
        self.optimizers = make_optimizers(self.networks, self.pictures, lr, b1, b2)

    def latent(self, n: int, rng: Any) -> Any:
        """Draw z (n, latent_dim): uniform in [−√3, √3] for pictures, N(0, 1) for points. Both have variance 1."""
        if not self.pictures:
            return super().latent(n, rng)
        return (2 * sqrt(3)) * (rng.random((n, self.latent_dim), dtype=np.float32) - np.float32(0.5))

    def generate(self, z: Any, labels: Any = None) -> Any:
        """Map z (n, latent_dim) to pictures (n, H, W, C) in [−1, 1], or points (n, 2)."""
        x = super().generate(z, labels)
        return 2 * x - 1 if self.pictures else x

    def trace(self, code: Any, labels: Any = None) -> tuple[Any, Callable[[Any], Any]]:
        """Return the samples of z = `code` (n, latent_dim), and the function that maps dsamples to dz."""
        x, backward = super().trace(code, labels)
        # generate: 2 * x - 1
        return (2 * x - 1, lambda dsamples: backward(2 * dsamples)) if self.pictures else (x, backward)

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """Update D `n_critic` times, then G once. Returns both losses and the means of D(x) and D(G(z))."""
        for _ in range(self.n_critic):
            real = next_batch()["real"]  # (N, H, W, C), or (N, 2)
            measured = self.discriminator_step((real + 1) / 2 if self.pictures else real, rng)
        return measured | self.generator_step(len(real), rng)

    def discriminator_step(self, real: Any, rng: Any) -> dict[str, Any]:
        """Update D to minimize −½ mean log D(x) − ½ mean log(1 − D(G(z))), with new fakes (algorithm 1, inner loop)."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["D"]
        fake = G.output(self.latent(len(real), rng), rng=rng)  # (N, latent_dim) → the shape of real
        optimizer.zero_grad()

        logits, cache = D.forward(real, rng=rng)  # (N, …) → (N, 1)
        loss_real, dlogits = self.loss.real(logits)  # −mean log D(x)
        D.backward(dlogits / 2, cache, wrt="params")
        del cache  # frees its memory before the next forward pass fills another
        d_real = sigmoid(logits).mean()

        logits, cache = D.forward(fake, rng=rng)  # (N, …) → (N, 1)
        loss_fake, dlogits = self.loss.fake(logits)  # −mean log(1 − D(G(z)))
        D.backward(dlogits / 2, cache, wrt="params")  # adds to the gradients of the first pass
        d_fake = sigmoid(logits).mean()

        grow_momentum(optimizer, self.b1)
        optimizer.step()
        return {"d_loss": (loss_real + loss_fake) / 2, "d_real": d_real, "d_fake": d_fake}

    def generator_step(self, n: int, rng: Any) -> dict[str, Any]:
        """Update G on `n` new fakes to minimize −mean log D(G(z)) (outer loop): backpropagate through D, then G."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["G"]
        optimizer.zero_grad()

        fake, G_cache = G.forward(self.latent(n, rng), rng=rng)  # (N, latent_dim) → (N, …)
        logits, D_cache = D.forward(fake, rng=rng)  # (N, …) → (N, 1)
        loss, dlogits = self.loss.generator(logits)  # −mean log D(G(z))
        dfake = D.backward(dlogits, D_cache, wrt="input")  # (N, 1) → (N, …)
        del D_cache
        G.backward(dfake, G_cache, wrt="params")

        grow_momentum(optimizer, self.b1)
        optimizer.step()
        return {"g_loss": loss}


def make_optimizers(networks: dict[str, Any], sgd: bool, lr: float, b1: float, b2: float) -> dict[str, Optimizer]:
    """One optimizer per network: SGD with momentum b1, or Adam with (b1, b2)."""
    return {
        name: SGD(network.parameters(), lr, b1) if sgd else Adam(network.parameters(), lr, (b1, b2))
        for name, network in networks.items()
    }


def grow_momentum(optimizer: Optimizer, start: float) -> None:
    """Increase SGD's momentum from `start` to max(start, .7), linearly, every 500 steps until step 250 · 500."""
    if isinstance(optimizer, SGD):
        epoch = optimizer.t // 500
        optimizer.momentum = start + (max(0.7, start) - start) * min(1, epoch / 250)


def picture_networks(shape: Shape, latent_dim: int, rng: np.random.Generator) -> Networks:
    """G: z (N, latent_dim) → (N, H, W, C) in [0, 1]; D: (N, H, W, C) → logits (N, 1)."""
    wide, narrow = {"init": uniform(0.05), "rng": rng}, {"init": uniform(0.005), "rng": rng}
    size = prod(shape)
    G = Sequential(
        Dense(latent_dim, 1200, **wide),
        ReLU(),
        Dense(1200, 1200, **wide),
        ReLU(),
        Dense(1200, size, **wide),
        Sigmoid(),
        Reshape(*shape),
    )
    D = Sequential(
        Flatten(),
        Dropout(0.2),
        Dense(size, 240 * 5, **narrow),
        Maxout(5),
        Dropout(0.5),
        Dense(240, 240 * 5, **narrow),
        Maxout(5),
        Dropout(0.5),
        Dense(240, 1, **narrow),
    )
    return G, D
