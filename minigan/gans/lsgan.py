"""LSGAN: "Least Squares Generative Adversarial Networks" (Mao et al. 2016).

DCGAN with another objective: D pulls the logits of real data towards b and those of fakes towards a, and G pulls them
towards c, by half the squared distance. A fake that D is sure of still gets a gradient, the further away the larger;
with the cross-entropy it gets less and less.

    coding "binary"     (a, b, c) = (0, 1, 1)     equation 9
    coding "pearson"    (a, b, c) = (−1, 1, 0)    equation 8: b − c = 1 and b − a = 2, so that the Pearson χ² divergence
                                                  between p_data + p_G and 2 p_G is minimised (section 3.2)

Networks, latent and Adam for pictures are those of dcgan.py; the paper's own are larger and for 112×112 pictures. For
points on the plane (`ring`, `grid`) they are those of gan.py, with Adam 5e-4.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np

from minigan.backend import Device
from minigan.gans import dcgan
from minigan.gans.base import LatentGAN, at_least_one, choose
from minigan.gans.networks import point_networks
from minigan.losses import LeastSquares
from minigan.model import Now
from minigan.optim import Adam
from minigan.options import Count, Fraction, Option, Positive

SIZES = dcgan.SIZES
CODINGS = {"binary": (0.0, 1.0, 1.0), "pearson": (-1.0, 1.0, 0.0)}  # a, b, c


class LSGAN(LatentGAN):
    """DCGAN's networks for pictures, dense ones for points (2,), and the two steps of the least-squares game."""

    paper = "Least Squares Generative Adversarial Networks (Mao et al. 2016)"
    makes = "pictures of 16, 28, 32, 64 or 128 pixels, and points on the plane"
    suits = "where dcgan's discriminator wins too soon: a fake that it is sure of still tells the generator where to go"

    def __init__(
        self,
        shape: tuple[int, ...],
        latent_dim: Annotated[
            int | None, Count("length of the latent vector z", default="100 for pictures, 2 for points")
        ] = None,
        lr: Annotated[float | None, Positive("learning rate", default="0.0002 for pictures, 0.0005 for points")] = None,
        b1: Annotated[float, Fraction("Adam's decay of the first moment")] = 0.5,
        b2: Annotated[float, Fraction("Adam's decay of the second moment")] = 0.999,
        n_critic: Annotated[int, Count("updates of the discriminator for each one of the generator")] = 1,
        coding: Annotated[
            Literal["binary", "pearson"], Option("the logits that are aimed at for real and for generated samples")
        ] = "binary",
        features: Annotated[
            int, Count("channels of the layers nearest to the picture; deeper ones have multiples of it")
        ] = 64,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        points = len(shape) == 1
        if latent_dim is None:
            latent_dim = 2 if points else 100
        if lr is None:
            lr = 5e-4 if points else 2e-4
        if points:
            G, D = point_networks(shape, latent_dim, rng)
        else:
            dcgan.check_shape(shape, "lsgan")
            G, D = dcgan.generator(shape, latent_dim, features, rng), dcgan.discriminator(shape, features, rng)
        self.setup(shape, latent_dim, G, D, LeastSquares(*choose("coding", coding, CODINGS)), device)
        self.optimizers = {name: Adam(net.parameters(), lr, (b1, b2)) for name, net in self.networks.items()}
        self.n_critic = self.batches_per_step = at_least_one(n_critic)

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """`n_critic` updates of D, then one of G. Returns the losses and the mean logits of real data and of fakes."""
        for _ in range(self.n_critic):
            real = next_batch()["real"]  # (N, H, W, C), or (N, 2)
            fake, G_cache = self.networks["G"].forward(self.latent(len(real), rng), rng=rng)  # the shape of real
            measured = self.discriminator_step(real, fake)
        return measured | self.generator_step(fake, G_cache)

    def discriminator_step(self, real: Any, fake: Any) -> dict[str, Any]:
        """Update D: real logits towards b, fake ones towards a."""
        D, optimizer = self.networks["D"], self.optimizers["D"]
        optimizer.zero_grad()

        real_logits, cache = D.forward(real)  # (N, …) → (N, 1)
        loss_real, dlogits = self.loss.real(real_logits)  # ½ mean (l − b)²
        D.backward(dlogits, cache, wrt="params")
        del cache  # before the pass over fakes makes one

        fake_logits, cache = D.forward(fake)
        loss_fake, dlogits = self.loss.fake(fake_logits)  # ½ mean (l − a)²
        D.backward(dlogits, cache, wrt="params")

        optimizer.step()
        return {"d_loss": loss_real + loss_fake, "d_real": real_logits.mean(), "d_fake": fake_logits.mean()}

    def generator_step(self, fake: Any, G_cache: Any) -> dict[str, Any]:
        """Update G: the logits of its fakes towards c; down through D, and on through G."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["G"]
        optimizer.zero_grad()

        logits, D_cache = D.forward(fake)  # (N, …) → (N, 1)
        loss, dlogits = self.loss.generator(logits)  # ½ mean (l − c)²
        dfake = D.backward(dlogits, D_cache, wrt="input")  # (N, 1) → (N, …)
        del D_cache
        G.backward(dfake, G_cache, wrt="params")

        optimizer.step()
        return {"g_loss": loss}
