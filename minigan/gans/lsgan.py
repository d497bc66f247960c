"""LSGAN: "Least Squares Generative Adversarial Networks" (Mao et al. 2016).

DCGAN with a squared error instead of the cross-entropy. One training step, where D(·) is a logit without a sigmoid:

    n_critic times   draw z; update D to minimize ½ mean (D(x) − b)² + ½ mean (D(G(z)) − a)²
    once             update G to minimize ½ mean (D(G(z)) − c)², on the fakes of D's last update

    coding "binary"     (a, b, c) = (0, 1, 1)     equation 9
    coding "pearson"    (a, b, c) = (−1, 1, 0)    equation 8: with b − c = 1 and b − a = 2, the game minimizes the
                                                  Pearson χ² divergence between p_data + p_G and 2 p_G (section 3.2)

The gradient is proportional to the distance of a logit from its target. The gradient of the cross-entropy is at most
1/N per logit, and vanishes for fakes far on the real side of D's decision boundary (section 3.1).

Networks, latent and Adam are those of dcgan.py for pictures (the paper's own are larger, for 112×112 pictures), and
those of gan.py for points on the plane (`ring`, `grid`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np

from minigan.backend import Device
from minigan.gans import dcgan
from minigan.gans.base import LatentGAN, Shape, choose, with_defaults
from minigan.gans.networks import point_networks
from minigan.losses import LeastSquares
from minigan.model import Now
from minigan.optim import Adam
from minigan.options import Count, Fraction, Option, Positive

CODINGS = {"binary": (0.0, 1.0, 1.0), "pearson": (-1.0, 1.0, 0.0)}  # a, b, c


class LSGAN(LatentGAN):
    """A GAN with the least-squares objective: DCGAN's networks for pictures (H, W, C), dense ones for points (2,)."""

    paper = "Least Squares Generative Adversarial Networks (Mao et al. 2016)"
    makes = "pictures of 16, 28, 32, 64 or 128 pixels, and points on the plane"
    suits = "where dcgan's discriminator wins too soon: the gradient grows with a logit's distance from its target"

    def __init__(
        self,
        shape: Shape,
        latent_dim: Annotated[int | None, Count("length of the latent vector z", default="100; points: 2")] = None,
        lr: Annotated[float | None, Positive("learning rate", default="0.0002 for pictures, 0.0005 for points")] = None,
        b1: Annotated[float, Fraction("Adam's decay of the first moment")] = 0.5,
        b2: Annotated[float, Fraction("Adam's decay of the second moment")] = 0.999,
        n_critic: Annotated[int, Count("discriminator updates per generator update")] = 1,
        coding: Annotated[Literal["binary", "pearson"], Option("target logits of real and fake samples")] = "binary",
        features: Annotated[int, Count("channels of the layer next to the picture; deeper layers have multiples")] = 64,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        points = len(shape) == 1
        latent_dim, lr = with_defaults((latent_dim, lr), (2, 5e-4) if points else (100, 2e-4))
        if points:
            G, D = point_networks(shape, latent_dim, rng)
        else:
            G, D = dcgan.networks(shape, latent_dim, features, rng, "lsgan")
        self.setup(shape, latent_dim, G, D, LeastSquares(*choose("coding", coding, CODINGS)), device, n_critic)
        self.optimizers = {name: Adam(net.parameters(), lr, (b1, b2)) for name, net in self.networks.items()}

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """Update D `n_critic` times, then G once. Returns both losses and the mean logits of real and fake samples."""
        for _ in range(self.n_critic):
            real = next_batch()["real"]  # (N, H, W, C), or (N, 2)
            z = self.latent(len(real), rng)  # (N, latent_dim)
            fake, G_cache = self.networks["G"].forward(z, rng=rng)  # → the shape of real
            measured = self.discriminator_step(real, fake)
        return measured | self.generator_step(fake, G_cache)

    def discriminator_step(self, real: Any, fake: Any) -> dict[str, Any]:
        """Update D to minimize ½ mean (D(x) − b)² + ½ mean (D(G(z)) − a)²."""
        D, optimizer = self.networks["D"], self.optimizers["D"]
        optimizer.zero_grad()

        real_logits, cache = D.forward(real)  # (N, …) → (N, 1)
        loss_real, dlogits = self.loss.real(real_logits)  # ½ mean (D(x) − b)²
        D.backward(dlogits, cache, wrt="params")
        del cache  # frees its memory before the next forward pass fills another

        fake_logits, cache = D.forward(fake)  # (N, …) → (N, 1)
        loss_fake, dlogits = self.loss.fake(fake_logits)  # ½ mean (D(G(z)) − a)²
        D.backward(dlogits, cache, wrt="params")

        optimizer.step()
        return {"d_loss": loss_real + loss_fake, "d_real": real_logits.mean(), "d_fake": fake_logits.mean()}

    def generator_step(self, fake: Any, G_cache: Any) -> dict[str, Any]:
        """Update G to minimize ½ mean (D(G(z)) − c)²: backpropagate through D, then through G."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["G"]
        optimizer.zero_grad()

        logits, D_cache = D.forward(fake)  # (N, …) → (N, 1)
        loss, dlogits = self.loss.generator(logits)  # ½ mean (D(G(z)) − c)²
        dfake = D.backward(dlogits, D_cache, wrt="input")  # (N, 1) → (N, …)
        del D_cache
        G.backward(dfake, G_cache, wrt="params")

        optimizer.step()
        return {"g_loss": loss}
