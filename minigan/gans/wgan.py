"""WGAN: "Wasserstein GAN" (Arjovsky, Chintala and Bottou 2017), algorithm 1, with weight clipping.

The critic D isn't a classifier: it outputs an unbounded score. Over all 1-Lipschitz D, the maximum of
E D(x) − E D(G(z)) is the Wasserstein-1 distance between the data and G's distribution (equation 2). Clipping D's
weights to ±clip_value bounds its Lipschitz constant, so for a trained D the difference estimates this distance up to a
constant factor. One step:

    n_critic times   draw z; update D to minimize mean D(G(z)) − mean D(x); clip D's weights
    once             draw z; update G to minimize −mean D(G(z))

The closer D is to its optimum, the better is G's gradient. Therefore n_critic is 100 for the first 25 updates of G and
for every 500th, as in the authors' main.py. Both networks use RMSprop 5e-5, because momentum made the critic's training
unstable (section 4.2).

Networks are those of dcgan.py for pictures, with batch norm in the critic, and those of gan.py for points on the plane
(`ring`, `grid`). All parameters are clipped, including the scales of batch norm, as in the authors' code.

Deviations: the authors' code clips before each update of the critic, so G is updated with weights that were moved
beyond the bound; algorithm 1 and this file clip after it. The paper leaves RMSprop's decay open; .99 is PyTorch's
default, which the authors' code uses. At 16² and 64² its networks are those of dcgan.py, except for biases in D's first
layer and both output layers.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from minigan.backend import Device
from minigan.gans import dcgan
from minigan.gans.base import LatentGAN, Shape
from minigan.gans.networks import point_networks
from minigan.losses import Wasserstein
from minigan.model import Now
from minigan.optim import RMSprop, clip_weights
from minigan.options import Count, Option, Positive

EXTRA_UPDATES = 100  # of the critic, for the first 25 generator updates and for every 500th


class WGAN(LatentGAN):
    """A GAN with a weight-clipped critic: DCGAN's networks for pictures (H, W, C), dense ones for points (2,).

    With `extra_critic=False` every step has `n_critic` critic updates. Raises ValueError unless `clip_value` > 0.
    """

    paper = "Wasserstein GAN (Arjovsky, Chintala and Bottou 2017)"
    makes = "pictures of 16, 28, 32, 64 or 128 pixels, and points on the plane"
    suits = "to study the first Wasserstein GAN; wgan-gp gives better samples in the same time"

    def __init__(
        self,
        shape: Shape,
        latent_dim: Annotated[int | None, Count("length of the latent vector z", default="100; points: 2")] = None,
        lr: Annotated[float, Positive("learning rate")] = 5e-5,
        n_critic: Annotated[int, Count("discriminator updates per generator update")] = 5,
        clip_value: Annotated[float, Positive("bound on the absolute value of the critic's weights")] = 0.01,
        extra_critic: Annotated[bool, Option("100 critic updates before G's first 25 updates and every 500th")] = True,
        features: Annotated[int, Count("channels of the layer next to the picture; deeper layers have multiples")] = 64,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        if not clip_value > 0:
            raise ValueError(f"`clip_value` is {clip_value}: it must be greater than 0")
        points = len(shape) == 1
        if latent_dim is None:
            latent_dim = 2 if points else 100
        if points:
            G, D = point_networks(shape, latent_dim, rng)
        else:
            G, D = dcgan.networks(shape, latent_dim, features, rng, "wgan")
        self.setup(shape, latent_dim, G, D, Wasserstein(), device, n_critic)
        self.optimizers = {name: RMSprop(net.parameters(), lr) for name, net in self.networks.items()}
        self.clip_value, self.extra_critic = clip_value, extra_critic

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """Update the critic `critic_steps()` times, then G once. Returns both losses and the mean scores D(x), D(G(z)).

        −d_loss estimates the Wasserstein distance, up to a constant factor.
        """
        for _ in range(self.critic_steps()):
            real = next_batch()["real"]  # (N, H, W, C), or (N, 2)
            measured = self.critic_step(real, rng)
        return measured | self.generator_step(len(real), rng)

    def critic_steps(self) -> int:
        """Return the number of critic updates before the next update of G."""
        t = self.optimizers["G"].t  # updates of G so far
        return EXTRA_UPDATES if self.extra_critic and (t < 25 or t % 500 == 0) else self.n_critic

    def critic_step(self, real: Any, rng: Any) -> dict[str, Any]:
        """Update the critic to minimize mean D(G(z)) − mean D(x), then clip its weights (algorithm 1, lines 3–7)."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["D"]
        fake = G.output(self.latent(len(real), rng), rng=rng)  # (N, latent_dim) → the shape of real
        optimizer.zero_grad()

        real_scores, cache = D.forward(real)  # (N, …) → (N, 1)
        loss_real, dscores = self.loss.real(real_scores)  # −mean D(x)
        D.backward(dscores, cache, wrt="params")
        del cache  # frees its memory before the next forward pass fills another

        fake_scores, cache = D.forward(fake)  # (N, …) → (N, 1)
        loss_fake, dscores = self.loss.fake(fake_scores)  # mean D(G(z))
        D.backward(dscores, cache, wrt="params")

        optimizer.step()
        clip_weights(D.parameters(), self.clip_value)
        return {"d_loss": loss_real + loss_fake, "d_real": real_scores.mean(), "d_fake": fake_scores.mean()}

    def generator_step(self, n: int, rng: Any) -> dict[str, Any]:
        """Update G on `n` new fakes to minimize −mean D(G(z)): backpropagate through D, then G (lines 9–11)."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["G"]
        optimizer.zero_grad()

        fake, G_cache = G.forward(self.latent(n, rng), rng=rng)  # (N, latent_dim) → (N, …)
        scores, D_cache = D.forward(fake)  # (N, …) → (N, 1)
        loss, dscores = self.loss.generator(scores)  # −mean D(G(z))
        dfake = D.backward(dscores, D_cache, wrt="input")  # (N, 1) → (N, …)
        del D_cache
        G.backward(dfake, G_cache, wrt="params")

        optimizer.step()
        return {"g_loss": loss}
