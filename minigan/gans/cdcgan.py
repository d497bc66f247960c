"""Conditional DCGAN: the networks of DCGAN (Radford et al. 2015) with the class y as a second input.

    G: z is concatenated with an embedding of the class (50 numbers)
    D: the picture x is concatenated with an embedding of the class (H·W numbers) as one more channel;
       or, with `projection`, logit = w·φ(x) + b + e_y·φ(x), where φ(x) are D's last features and e_y is an embedding of
       the class ("cGANs with Projection Discriminator", Miyato and Koyama 2018, equation 3)

One training step, with the classes y of the real batch (Mirza and Osindero 2014, equation 2, non-saturating):

    n_critic times   draw z; update D to minimize −mean log D(x, y) − mean log(1 − D(G(z, y), y))
    once             update G to minimize −mean log D(G(z, y), y), on the fakes of D's last update

The rest is DCGAN's: weights N(0, .02), Adam 2e-4 with β1 .5. No single paper defines this model. The MNIST script of
DCGAN's authors concatenates the one-hot class at every layer; here it enters each network once, the usual form.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from minigan.backend import Device
from minigan.gans import dcgan
from minigan.gans.base import LatentGAN, Shape
from minigan.layers import Branches, Concat, Dense, Embedding, Flatten, Projection, Reshape, Sequential, normal
from minigan.layers.activations import sigmoid
from minigan.losses import Minimax
from minigan.model import LABEL, PICTURE, Now
from minigan.optim import Adam
from minigan.options import Count, Fraction, Option, Positive

CLASS_FEATURES = 50  # length of the class embedding that is concatenated with z


class CDCGAN(LatentGAN):
    """A conditional DCGAN for pictures (H, W, C) of `n_classes` classes.

    H = W is 16, 28, 32, 64 or 128; C is 1 or 3. Raises ShapeError for others, and ValueError without `n_classes`.
    """

    paper = "DCGAN (Radford et al. 2015), conditional on the class (Mirza and Osindero 2014; Miyato and Koyama 2018)"
    makes = "pictures of 16, 28, 32, 64 or 128 pixels, of the data's classes"
    suits = "for pictures of a chosen class; the labels make its samples better than dcgan's"
    arrays = {"real": PICTURE, "label": LABEL}

    def __init__(
        self,
        shape: Shape,
        latent_dim: Annotated[int, Count("length of the latent vector z")] = 100,
        lr: Annotated[float, Positive("learning rate")] = 2e-4,
        b1: Annotated[float, Fraction("Adam's decay of the first moment")] = 0.5,
        b2: Annotated[float, Fraction("Adam's decay of the second moment")] = 0.999,
        n_critic: Annotated[int, Count("discriminator updates per generator update")] = 1,
        label_smoothing: Annotated[float, Fraction("amount subtracted from the target 1 of real samples")] = 0.0,
        n_classes: Annotated[int | None, Count("number of classes", default="as many as the data has")] = None,
        projection: Annotated[bool, Option("condition D with a projection instead of a label channel")] = False,
        features: Annotated[int, Count("channels of the layer next to the picture; deeper layers have multiples")] = 64,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        dcgan.check_shape(shape, "cdcgan")
        if not n_classes or n_classes < 1:
            raise ValueError(f"cdcgan needs the number of classes, but `n_classes` is {n_classes}")
        G = Sequential(
            Branches(None, Embedding(n_classes, CLASS_FEATURES, rng=rng)),
            Concat(),  # (N, latent_dim), (N, 50) → (N, latent_dim + 50)
            *dcgan.generator(shape, latent_dim + CLASS_FEATURES, features, rng).layers,
        )
        D = (_projection_discriminator if projection else _channel_discriminator)(shape, features, n_classes, rng)
        self.n_classes = n_classes
        self.setup(shape, latent_dim, G, D, Minimax(label_smoothing=label_smoothing), device, n_critic)
        self.optimizers = {name: Adam(net.parameters(), lr, (b1, b2)) for name, net in self.networks.items()}

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """Update D `n_critic` times, then G once. Returns both losses and the means of D(x, y) and D(G(z, y), y)."""
        for _ in range(self.n_critic):
            batch = next_batch()
            real, labels = batch["real"], batch["label"]  # (N, H, W, C), (N,)
            z = self.latent(len(real), rng)  # (N, latent_dim)
            fake, G_cache = self.networks["G"].forward((z, labels))  # → (N, H, W, C)
            measured = self.discriminator_step(real, fake, labels)
        return measured | self.generator_step(fake, labels, G_cache)

    def discriminator_step(self, real: Any, fake: Any, labels: Any) -> dict[str, Any]:
        """Update D to minimize −mean log D(x, y) − mean log(1 − D(G(z, y), y)).

        Real and fake pictures (N, H, W, C) of the same classes (N,) pass through D as two batches, as in dcgan.py.
        """
        D, optimizer = self.networks["D"], self.optimizers["D"]
        optimizer.zero_grad()

        logits, cache = D.forward((real, labels))  # (N, H, W, C), (N,) → (N, 1)
        loss_real, dlogits = self.loss.real(logits)  # −mean log D(x, y)
        D.backward(dlogits, cache, wrt="params")
        del cache  # frees its memory before the next forward pass fills another
        d_real = sigmoid(logits).mean()

        logits, cache = D.forward((fake, labels))  # (N, H, W, C), (N,) → (N, 1)
        loss_fake, dlogits = self.loss.fake(logits)  # −mean log(1 − D(G(z, y), y))
        D.backward(dlogits, cache, wrt="params")  # adds to the gradients of the first pass
        d_fake = sigmoid(logits).mean()

        optimizer.step()
        return {"d_loss": loss_real + loss_fake, "d_real": d_real, "d_fake": d_fake}

    def generator_step(self, fake: Any, labels: Any, G_cache: Any) -> dict[str, Any]:
        """Update G to minimize −mean log D(G(z, y), y): backpropagate through D, then through G."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["G"]
        optimizer.zero_grad()

        logits, D_cache = D.forward((fake, labels))  # (N, H, W, C), (N,) → (N, 1)
        loss, dlogits = self.loss.generator(logits)  # −mean log D(G(z, y), y)
        dfake, _ = D.backward(dlogits, D_cache, wrt="input")  # (N, 1) → (N, H, W, C), None: labels have no gradient
        del D_cache
        G.backward(dfake, G_cache, wrt="params")

        optimizer.step()
        return {"g_loss": loss}


def _channel_discriminator(shape: Shape, features: int, n_classes: int, rng: np.random.Generator) -> Sequential:
    """Build D: pictures (N, H, W, C), labels (N,) → logits (N, 1), with an embedding of the label as a channel."""
    H, W, C = shape
    label_channel = Sequential(Embedding(n_classes, H * W, rng=rng), Reshape(H, W, 1))  # (N,) → (N, H, W, 1)
    D = dcgan.discriminator((H, W, C + 1), features, rng)
    return Sequential(Branches(None, label_channel), Concat(), *D.layers)  # Concat: (N, H, W, C + 1)


def _projection_discriminator(shape: Shape, features: int, n_classes: int, rng: np.random.Generator) -> Sequential:
    """Build D: pictures (N, H, W, C), labels (N,) → logits (N, 1) = w·φ(x) + b + e_y·φ(x)."""
    layers = dcgan.discriminator(shape, features, rng).layers
    if shape[0] == 28:
        to_features, n = layers[:-1], layers[-1].in_features  # all but Dense
    else:
        to_features, n = (*layers[:-2], Flatten()), 4 * 4 * layers[-2].in_channels  # all but Conv2D and Flatten
    W = {"init": normal(0.02), "rng": rng}
    head = Projection(Dense(n, 1, **W), Embedding(n_classes, n, **W))
    return Sequential(Branches(Sequential(*to_features), None), head)
