"""WGAN: "Wasserstein GAN" (Arjovsky, Chintala and Bottou 2017), algorithm 1, with clipped weights.

The critic is no classifier. It looks for the function with bounded slope whose mean differs most between real data and
fakes, and the difference estimates how far G's distribution is from the real one. Its slope is bounded by keeping every
weight within ±clip_value. A better critic gives G a better gradient, so it is trained until it is good:

    n_critic updates for each of G's; 100 for the first 25 updates of G and for every 500th (the authors' main.py)
    RMSprop 5e-5 for both, because momentum made the critic's training unstable (section 4.2)

Networks for pictures are those of dcgan.py, batch norm in the critic included, whose scales are clipped like everything
else, as in the authors' code; for points on the plane (`ring`, `grid`) those of gan.py.

The authors' code clips before each update of the critic, so that G meets weights that the last update has moved out of
bounds; algorithm 1 and this file clip after it. RMSprop's decay, which algorithm 1 leaves open, is PyTorch's default of
.99, as in that code. It makes pictures of 16² and 64² with the networks of dcgan.py (but for biases at both ends).
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from minigan.backend import Device
from minigan.gans import dcgan
from minigan.gans.base import LatentGAN, at_least_one
from minigan.gans.networks import point_networks
from minigan.losses import Wasserstein
from minigan.model import Now
from minigan.optim import RMSprop, clip_weights
from minigan.options import Count, Option, Positive

SIZES = dcgan.SIZES
MANY = 100  # critic steps while the critic is new, and now and then


class WGAN(LatentGAN):
    """DCGAN's networks for pictures, dense ones for points (2,), and the two steps.

    `extra_critic=False` leaves out the extra critic steps. Raises ValueError for a clip_value that isn't positive.
    """

    paper = "Wasserstein GAN (Arjovsky, Chintala and Bottou 2017)"
    makes = "pictures of 16, 28, 32, 64 or 128 pixels, and points on the plane"
    suits = "to see where critics with bounded slopes began; wgan-gp gets further in the same time"

    def __init__(
        self,
        shape: tuple[int, ...],
        latent_dim: Annotated[
            int | None, Count("length of the latent vector z", default="100 for pictures, 2 for points")
        ] = None,
        lr: Annotated[float, Positive("learning rate")] = 5e-5,
        n_critic: Annotated[int, Count("updates of the discriminator for each one of the generator")] = 5,
        clip_value: Annotated[float, Positive("bound of the critic's weights")] = 0.01,
        extra_critic: Annotated[
            bool, Option("a hundred critic updates for each of the first, and now and then")
        ] = True,
        features: Annotated[
            int, Count("channels of the layers nearest to the picture; deeper ones have multiples of it")
        ] = 64,
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
            dcgan.check_shape(shape, "wgan")
            G, D = dcgan.generator(shape, latent_dim, features, rng), dcgan.discriminator(shape, features, rng)
        self.setup(shape, latent_dim, G, D, Wasserstein(), device)
        self.optimizers = {name: RMSprop(net.parameters(), lr) for name, net in self.networks.items()}
        self.n_critic = self.batches_per_step = at_least_one(n_critic)
        self.clip_value, self.extra_critic = clip_value, extra_critic

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """The critic's updates, then one of G. Returns the losses and the mean scores of real data and of fakes.

        −d_loss estimates the Wasserstein distance, up to the factor that clipping leaves open.
        """
        for _ in range(self.critic_steps()):
            real = next_batch()["real"]  # (N, H, W, C), or (N, 2)
            measured = self.critic_step(real, rng)
        return measured | self.generator_step(len(real), rng)

    def critic_steps(self) -> int:
        """How many updates of the critic come before G's next one; `t` counts G's."""
        t = self.optimizers["G"].t
        return MANY if self.extra_critic and (t < 25 or t % 500 == 0) else self.n_critic

    def critic_step(self, real: Any, rng: Any) -> dict[str, Any]:
        """Update the critic: real scores up, fake ones down; then clip its weights."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["D"]
        fake = G.output(self.latent(len(real), rng), rng=rng)  # the shape of real
        optimizer.zero_grad()

        real_scores, cache = D.forward(real)  # (N, …) → (N, 1)
        loss_real, dscores = self.loss.real(real_scores)  # −mean
        D.backward(dscores, cache, wrt="params")
        del cache  # before the pass over fakes makes one

        fake_scores, cache = D.forward(fake)
        loss_fake, dscores = self.loss.fake(fake_scores)  # mean
        D.backward(dscores, cache, wrt="params")

        optimizer.step()
        clip_weights(D.parameters(), self.clip_value)
        return {"d_loss": loss_real + loss_fake, "d_real": real_scores.mean(), "d_fake": fake_scores.mean()}

    def generator_step(self, n: int, rng: Any) -> dict[str, Any]:
        """Update G on `n` new fakes: their scores up; down through the critic, and on through G."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["G"]
        optimizer.zero_grad()

        fake, G_cache = G.forward(self.latent(n, rng), rng=rng)
        scores, D_cache = D.forward(fake)  # (N, …) → (N, 1)
        loss, dscores = self.loss.generator(scores)  # −mean
        dfake = D.backward(dscores, D_cache, wrt="input")  # (N, 1) → (N, …)
        del D_cache
        G.backward(dfake, G_cache, wrt="params")

        optimizer.step()
        return {"g_loss": loss}
