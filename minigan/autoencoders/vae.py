"""VAE: "Auto-Encoding Variational Bayes" (Kingma and Welling 2013), with the networks of VAE-GAN, as a control for it.

It has no discriminator. The encoder maps a picture x to a normal distribution of codes z, the decoder maps a code to a
picture x̃. A picture has M = H·W·C values, a code `latent_dim`.

    μ, log σ = encoder(x)        z = μ + σ ε, ε ~ N(0, 1)        x̃ = decoder(z)
    update both to minimize   mean (x̃ − x)² + (2β/M) KL(N(μ, σ²) ‖ N(0, 1))

This is the negative of the paper's lower bound of log p(x) for p(x|z) = N(x̃, β), multiplied by 2β/M and without its
constant: −log p(x|z) = Σ (x̃ − x)²/(2β) + constant. β = 1 is the unit variance of the VAE-GAN authors' code. With a
larger β, codes are more like N(0, 1), and reconstructions less like the pictures (Higgins et al. 2017).

The gradients, from the loss to the weights:

    (x̃ − x)²    through the decoder to z, through z = μ + σ ε to μ and log σ, through the encoder
    KL           to μ and log σ, where it is added to the gradient above, through the encoder. The decoder gets none

Deviations: Kingma and Welling have one hidden layer, and Adagrad; here are convolutions (networks.py), and Adam 1e-3.
"""

from __future__ import annotations

from math import prod
from typing import Annotated, Any

import numpy as np

from minigan.autoencoders.base import Autoencoder
from minigan.autoencoders.networks import check_shape, decoder, encoder
from minigan.backend import Device
from minigan.gans.base import Shape
from minigan.losses import kl_to_normal, l2
from minigan.model import Measure, Now
from minigan.optim import Adam
from minigan.options import Count, Positive


class VAE(Autoencoder):
    """A variational autoencoder of pictures of `shape` (H, W, C).

    H and W are multiples of 4 from 16 to 128; C is 1 or 3. Raises ShapeError for other shapes.
    """

    paper = "Auto-Encoding Variational Bayes (Kingma and Welling 2013)"
    makes = "pictures of 16 to 128 pixels, codes of pictures, and pictures of codes"
    suits = "for codes of pictures; samples are blurred, and training is stable because nothing competes"
    measures = {
        "error": Measure("training", "Error in pixels", "positive", note="mean (x̃ − x)², of a range of 2"),
        "kl": Measure("KL", "Information in the code", "positive", note="nats a picture; near 0, the code is ignored"),
        "loss": Measure("error + (2β/M) KL", "Loss", "positive"),
    }

    def __init__(
        self,
        shape: Shape,
        latent_dim: Annotated[int, Count("length of the code z")] = 128,
        lr: Annotated[float, Positive("learning rate")] = 1e-3,
        beta: Annotated[float, Positive("weight of KL: the variance of a pixel, given its code")] = 1.0,
        features: Annotated[int, Count("channels of the encoder's first layer; others have multiples")] = 64,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        check_shape(shape)
        networks = {
            "encoder": encoder(shape, latent_dim, features, rng),
            "decoder": decoder(shape, latent_dim, features, rng),
        }
        self.setup(shape, latent_dim, networks, device)
        self.optimizers = {name: Adam(net.parameters(), lr) for name, net in self.networks.items()}
        self.kl_weight = 2 * beta / prod(shape)

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """Update encoder and decoder once. Returns the error, the KL divergence, and the loss."""
        encoder, decoder = self.networks["encoder"], self.networks["decoder"]
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()

        x = next_batch()["real"]  # (N, H, W, C)
        h, encoder_cache = encoder.forward(x, rng=rng)  # → (N, 2·latent_dim): μ, log σ
        z, noise = self.sampling.forward(h, rng=rng)  # → (N, latent_dim)
        decoded, decoder_cache = decoder.forward(z, rng=rng)  # → (N, H, W, C)
        error, ddecoded = l2(decoded, x)  # x is data: no gradient goes into it
        kl, dkl = kl_to_normal(h)  # dkl (N, 2·latent_dim)

        dz = decoder.backward(ddecoded, decoder_cache)
        # forward: h goes into z and into the KL divergence, so dh is a sum of two
        dh = self.sampling.backward(dz, noise, wrt="input") + self.kl_weight * dkl
        encoder.backward(dh, encoder_cache, wrt="params")

        for optimizer in self.optimizers.values():
            optimizer.step()
        return {"error": error, "kl": kl, "loss": error + self.kl_weight * kl}
