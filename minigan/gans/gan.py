"""GAN: "Generative Adversarial Nets" (Goodfellow et al. 2014), dense layers throughout.

For pictures, the networks and the training of the authors' MNIST experiment (goodfeli/adversarial, mnist.yaml):

    G: z → 1200 → 1200 → H·W·C     ReLU, ReLU, sigmoid                 weights U(−.05, .05)
    D: H·W·C → 240 → 240 → 1       maxout of 5 pieces twice            weights U(−.005, .005)
       dropout keeps .8 of the input and .5 of every hidden layer, in every pass through D
    latent of 100 uniform numbers with variance 1; SGD .1 with momentum .5, which grows to .7; batch 100
    D minimises half the cross-entropy, G the non-saturating objective

For points on the plane (`ring`, `grid`), of which the paper knows nothing, the toy networks that are usual for them:

    G: z → 128 → 128 → 2           LeakyReLU .2, LeakyReLU .2
    D: 2 → 128 → 128 → 1           LeakyReLU .2, LeakyReLU .2
    latent of 2 numbers from N(0, 1); Adam 5e-4 with β1 .5

Deviations: the learning rate stays constant (the authors' decays by 4e-6 a step), momentum grows linearly, once in
500 steps, over 250 such epochs; G and D are updated in turn on new noise (algorithm 1 of the paper), not at once on the
same; the output bias starts at 0 instead of the data's mean. Pictures are in [−1, 1] outside and in [0, 1] between G's
sigmoid and D. The noise is uniform; the authors' code knows that, too, but mnist.yaml leaves its default, Gaussian.
"""

from __future__ import annotations

from math import prod, sqrt
from typing import Annotated, Any

import numpy as np

from minigan.backend import Device
from minigan.errors import ShapeError
from minigan.gans.base import LatentGAN, at_least_one
from minigan.gans.networks import point_networks
from minigan.layers import Dense, Dropout, Flatten, Maxout, ReLU, Reshape, Sequential, Sigmoid, uniform
from minigan.layers.activations import sigmoid
from minigan.losses import Minimax
from minigan.model import Now
from minigan.optim import SGD, Adam, Optimizer
from minigan.options import Count, Fraction, Positive


class GAN(LatentGAN):
    """A dense generator and discriminator for pictures (H, W, C) of any size, or for points (2,), and their two steps.

    `latent_dim` defaults to 100 for pictures and 2 for points, `lr` to SGD's .1 and Adam's 5e-4. `b1` is the first
    momentum, or Adam's β1.
    """

    paper = "Generative Adversarial Nets (Goodfellow et al. 2014)"
    makes = "pictures of any size, and points on the plane"
    suits = "for points, for very small pictures, and to see the idea at its plainest: all layers are dense"
    batch_size = 100

    def __init__(
        self,
        shape: tuple[int, ...],
        latent_dim: Annotated[
            int | None, Count("length of the latent vector z", default="100 for pictures, 2 for points")
        ] = None,
        lr: Annotated[float | None, Positive("learning rate", default="0.1 for pictures, 0.0005 for points")] = None,
        b1: Annotated[float, Fraction("Adam's decay of the first moment, or SGD's momentum")] = 0.5,
        b2: Annotated[float, Fraction("Adam's decay of the second moment")] = 0.999,
        n_critic: Annotated[int, Count("updates of the discriminator for each one of the generator")] = 1,
        label_smoothing: Annotated[float, Fraction("how far the target for real samples is below 1")] = 0.0,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        if len(shape) not in (1, 3):
            raise ShapeError(f"gan draws pictures (H, W, C) or points (2,), not samples of shape {tuple(shape)}")
        self.n_critic = self.batches_per_step = at_least_one(n_critic)
        self.pictures, self.b1 = len(shape) == 3, b1
        if lr is None:
            lr = 0.1 if self.pictures else 5e-4
        if latent_dim is None:
            latent_dim = 100 if self.pictures else 2
        networks = picture_networks if self.pictures else point_networks
        G, D = networks(shape, latent_dim, rng)
        self.setup(shape, latent_dim, G, D, Minimax(label_smoothing=label_smoothing), device)
        self.optimizers = {}
        for name, network in self.networks.items():
            parameters = network.parameters()
            self.optimizers[name] = SGD(parameters, lr, b1) if self.pictures else Adam(parameters, lr, (b1, b2))

    def latent(self, n: int, rng: Any) -> Any:
        """Draw z (n, latent_dim): uniform in ±√3 for pictures, N(0, 1) for points; variance 1 in both cases."""
        if self.pictures:
            return (2 * sqrt(3)) * (rng.random((n, self.latent_dim), dtype=np.float32) - np.float32(0.5))
        return super().latent(n, rng)

    def generate(self, z: Any, labels: Any = None) -> Any:
        """z (n, latent_dim) → pictures (n, H, W, C) in [−1, 1], or points (n, 2)."""
        x = super().generate(z, labels)
        return 2 * x - 1 if self.pictures else x

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """`n_critic` updates of D, then one of G. Returns the losses and the means of D(x) and D(G(z))."""
        for _ in range(self.n_critic):
            real = next_batch()["real"]  # (N, H, W, C), or (N, 2)
            measured = self.discriminator_step((real + 1) / 2 if self.pictures else real, rng)
        return measured | self.generator_step(len(real), rng)

    def discriminator_step(self, real: Any, rng: Any) -> dict[str, Any]:
        """Update D on a batch of real data and one of fakes (algorithm 1, the inner loop)."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["D"]
        fake = G.output(self.latent(len(real), rng), rng=rng)  # the shape of real
        optimizer.zero_grad()

        logits, cache = D.forward(real, rng=rng)  # (N, …) → (N, 1)
        loss_real, dlogits = self.loss.real(logits)
        D.backward(dlogits / 2, cache, wrt="params")
        del cache  # before the pass over fakes makes one
        d_real = sigmoid(logits).mean()

        logits, cache = D.forward(fake, rng=rng)
        loss_fake, dlogits = self.loss.fake(logits)
        D.backward(dlogits / 2, cache, wrt="params")
        d_fake = sigmoid(logits).mean()

        grow_momentum(optimizer, self.b1)
        optimizer.step()
        return {"d_loss": (loss_real + loss_fake) / 2, "d_real": d_real, "d_fake": d_fake}

    def generator_step(self, n: int, rng: Any) -> dict[str, Any]:
        """Update G on `n` new fakes (algorithm 1, the outer loop); the gradient goes down through D, then through G."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["G"]
        optimizer.zero_grad()

        fake, G_cache = G.forward(self.latent(n, rng), rng=rng)
        logits, D_cache = D.forward(fake, rng=rng)  # (N, …) → (N, 1)
        loss, dlogits = self.loss.generator(logits)
        dfake = D.backward(dlogits, D_cache, wrt="input")  # (N, 1) → (N, …)
        del D_cache
        G.backward(dfake, G_cache, wrt="params")

        grow_momentum(optimizer, self.b1)
        optimizer.step()
        return {"g_loss": loss}


def grow_momentum(optimizer: Optimizer, start: float) -> None:
    """From `start` to .7 (or `start`, if that is more) over 250 epochs of 500 steps, as MomentumAdjustor does."""
    if isinstance(optimizer, SGD):
        epoch = optimizer.t // 500
        optimizer.momentum = start + (max(0.7, start) - start) * min(1, epoch / 250)


def picture_networks(
    shape: tuple[int, ...], latent_dim: int, rng: np.random.Generator
) -> tuple[Sequential, Sequential]:
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
