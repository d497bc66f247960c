"""Conditional DCGAN: the networks of DCGAN (Radford et al. 2015), told the class.

    G: the class is embedded as 50 numbers, which join z
    D: the class is embedded as a picture of its own, H·W numbers, which joins x as one more channel
       or, with `projection`, D adds the inner product of its last features with an embedding of the class ("cGANs with
       Projection Discriminator", Miyato and Koyama 2018): logit = w·φ(x) + b + e_y·φ(x)

Everything else is DCGAN's: Adam 2e-4 with β1 .5, the non-saturating objective, weights N(0, .02).

There is no single paper. The authors' MNIST script of DCGAN feeds the class in one-hot at every layer; here it enters
once, embedded, which is the usual form. Fakes take their labels from the real batch, which are distributed as they
should be.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from minigan.backend import Device
from minigan.gans import dcgan
from minigan.gans.base import LatentGAN, at_least_one
from minigan.layers import Branches, Concat, Dense, Embedding, Flatten, Projection, Reshape, Sequential, normal
from minigan.layers.activations import sigmoid
from minigan.losses import Minimax
from minigan.model import LABEL, PICTURE, Now
from minigan.optim import Adam
from minigan.options import Count, Fraction, Option, Positive

SIZES = dcgan.SIZES
EMBEDDED = 50  # numbers that tell G the class


class CDCGAN(LatentGAN):
    """A generator and a discriminator for pictures (H, W, C) of `n_classes` classes, and their two steps.

    H = W is 16, 28, 32, 64 or 128; C is 1 or 3. Raises ShapeError for others.
    """

    paper = "DCGAN's networks (Radford et al. 2015), told the class (Mirza and Osindero 2014; Miyato and Koyama 2018)"
    makes = "pictures of 16, 28, 32, 64 or 128 pixels, of the data's classes"
    suits = "for pictures of a class that you name; with labels it draws better than dcgan does without"
    arrays = {"real": PICTURE, "label": LABEL}

    def __init__(
        self,
        shape: tuple[int, ...],
        latent_dim: Annotated[int, Count("length of the latent vector z")] = 100,
        lr: Annotated[float, Positive("learning rate")] = 2e-4,
        b1: Annotated[float, Fraction("Adam's decay of the first moment")] = 0.5,
        b2: Annotated[float, Fraction("Adam's decay of the second moment")] = 0.999,
        n_critic: Annotated[int, Count("updates of the discriminator for each one of the generator")] = 1,
        label_smoothing: Annotated[float, Fraction("how far the target for real samples is below 1")] = 0.0,
        n_classes: Annotated[int | None, Count("number of classes", default="as many as the data has")] = None,
        projection: Annotated[bool, Option("judge the class by a projection instead of one more channel")] = False,
        features: Annotated[
            int, Count("channels of the layers nearest to the picture; deeper ones have multiples of it")
        ] = 64,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        dcgan.check_shape(shape, "cdcgan")
        if not n_classes or n_classes < 1:
            raise ValueError(f"cdcgan has to know the number of classes: `n_classes` is {n_classes}")
        G = Sequential(
            Branches(None, Embedding(n_classes, EMBEDDED, rng=rng)),
            Concat(),  # (N, latent_dim + 50)
            *dcgan.generator(shape, latent_dim + EMBEDDED, features, rng).layers,
        )
        D = (_projecting if projection else _joining)(shape, features, n_classes, rng)
        self.n_classes = n_classes
        self.setup(shape, latent_dim, G, D, Minimax(label_smoothing=label_smoothing), device)
        self.optimizers = {name: Adam(net.parameters(), lr, (b1, b2)) for name, net in self.networks.items()}
        self.n_critic = self.batches_per_step = at_least_one(n_critic)

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """`n_critic` updates of D, then one of G. Returns the losses and the means of D(x) and D(G(z))."""
        for _ in range(self.n_critic):
            batch = next_batch()
            real, labels = batch["real"], batch["label"]  # (N, H, W, C), (N,)
            fake, G_cache = self.networks["G"].forward((self.latent(len(real), rng), labels))  # (N, H, W, C)
            measured = self.discriminator_step(real, fake, labels)
        return measured | self.generator_step(fake, labels, G_cache)

    def discriminator_step(self, real: Any, fake: Any, labels: Any) -> dict[str, Any]:
        """Update D on real and on fake pictures of the same classes, each as a batch of its own."""
        D, optimizer = self.networks["D"], self.optimizers["D"]
        optimizer.zero_grad()

        logits, cache = D.forward((real, labels))  # (N, H, W, C), (N,) → (N, 1)
        loss_real, dlogits = self.loss.real(logits)
        D.backward(dlogits, cache, wrt="params")
        del cache  # before the pass over fakes makes one
        d_real = sigmoid(logits).mean()

        logits, cache = D.forward((fake, labels))
        loss_fake, dlogits = self.loss.fake(logits)
        D.backward(dlogits, cache, wrt="params")
        d_fake = sigmoid(logits).mean()

        optimizer.step()
        return {"d_loss": loss_real + loss_fake, "d_real": d_real, "d_fake": d_fake}

    def generator_step(self, fake: Any, labels: Any, G_cache: Any) -> dict[str, Any]:
        """Update G: down through D, which says how far a fake is from a real picture *of its class*, and through G."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["G"]
        optimizer.zero_grad()

        logits, D_cache = D.forward((fake, labels))  # (N, H, W, C), (N,) → (N, 1)
        loss, dlogits = self.loss.generator(logits)
        dfake, _ = D.backward(dlogits, D_cache, wrt="input")  # labels have no gradient
        del D_cache
        G.backward(dfake, G_cache, wrt="params")

        optimizer.step()
        return {"g_loss": loss}


def _joining(shape: tuple[int, ...], features: int, n_classes: int, rng: np.random.Generator) -> Sequential:
    """D for (pictures, labels), with the embedded label as one more channel."""
    H, W, C = shape
    label_picture = Sequential(Embedding(n_classes, H * W, rng=rng), Reshape(H, W, 1))
    D = dcgan.discriminator((H, W, C + 1), features, rng)
    return Sequential(Branches(None, label_picture), Concat(), *D.layers)


def _projecting(shape: tuple[int, ...], features: int, n_classes: int, rng: np.random.Generator) -> Sequential:
    """D for (pictures, labels), whose last layer is a projection on the embedded label."""
    layers = dcgan.discriminator(shape, features, rng).layers
    if shape[0] == 28:
        to_features, n = layers[:-1], layers[-1].in_features  # all but Dense
    else:
        to_features, n = (*layers[:-2], Flatten()), 4 * 4 * layers[-2].in_channels  # all but Conv2D and Flatten
    W = {"init": normal(0.02), "rng": rng}
    head = Projection(Dense(n, 1, **W), Embedding(n_classes, n, **W))
    return Sequential(Branches(Sequential(*to_features), None), head)
