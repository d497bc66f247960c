"""cGAN: "Conditional Generative Adversarial Nets" (Mirza and Osindero 2014), with dense layers only.

Both networks receive the class y with their own input: G(z, y) generates a sample of class y, and D(x, y) is the
probability that x is a real sample of class y. Equation 2 of the paper is the minimax game of gan.py with conditioned
networks. One training step, with the classes y of the real batch:

    n_critic times   draw z; update D to minimize −½ mean log D(x, y) − ½ mean log(1 − D(G(z, y), y))
    once             draw z; update G to minimize −mean log D(G(z, y), y)

Networks for pictures. Each input has a hidden layer of its own; the results are concatenated:

    G: z → 200 ReLU, y → 1000 ReLU; concatenated → 1200 ReLU → H·W·C sigmoid
    D: x → 240 maxout of 5, y → 50 maxout of 5; concatenated → 240 maxout of 4 → 1 logit
    dropout .2 on the picture and .5 on the hidden layers of D; latent of 100 uniform numbers
    SGD .1 with momentum that grows from .5 to .7; batch 100; weights as in gan.py, except:

The paper multiplies the one-hot class by a dense layer's matrix; Embedding selects the same row. The paper doesn't
specify initial weights, and those of gan.py fail here for two reasons. D: an embedding contributes one weight to each
unit, but a dense layer a sum over a hundred inputs or more, so D ignores the class. G: 1000 units depend on the class
and only 200 on z, so G learns one picture per class and ignores z. Therefore embeddings start at U(−.2, .2), where D
varies a few times more with the class than with the picture, and G's weights of z at U(−.3, .3), where G varies many
times more with z than with the class. G learns the classes quickly, but doesn't regain lost variety.

For points on the plane (`ring`, `grid`; the classes are the Gaussians): the dense networks of gan.py on z and x,
concatenated with an embedding of the class; latent of 2 numbers from N(0, 1); Adam 5e-4 with β1 .5.

Deviations: the latents are scaled as in gan.py (the paper's are uniform in the unit hypercube); the learning rate is
constant (the paper divides it by 1.00004 per step, down to 1e-6). The paper has dropout .5 in both networks without
saying where. Here only D has dropout. In G it would be noise with more variance than z: G then varied its pictures with
the dropout and ignored z, and generated the same picture of a class for every z once dropout was off.
"""

from __future__ import annotations

from math import prod
from typing import Annotated, Any

import numpy as np

from minigan.backend import Device
from minigan.errors import ShapeError
from minigan.gans.base import Networks, Shape, with_defaults
from minigan.gans.gan import GAN, grow_momentum, make_optimizers
from minigan.gans.networks import point_features
from minigan.layers import (
    Branches,
    Concat,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Maxout,
    ReLU,
    Reshape,
    Sequential,
    Sigmoid,
    uniform,
)
from minigan.layers.activations import sigmoid
from minigan.losses import Minimax
from minigan.model import LABEL, SAMPLES, Now
from minigan.options import Count, Fraction, Positive


class CGAN(GAN):
    """A conditional GAN with dense layers, for pictures (H, W, C) of any size or points (2,) of `n_classes` classes.

    `latent` and `generate` are those of GAN. Raises ShapeError for other shapes, and ValueError without `n_classes`.
    """

    paper = "Conditional Generative Adversarial Nets (Mirza and Osindero 2014)"
    makes = "pictures of any size, and points on the plane, of the data's classes"
    suits = "for points or very small pictures of a chosen class: all layers are dense"
    arrays = {"real": SAMPLES, "label": LABEL}
    batch_size = 100

    def __init__(
        self,
        shape: Shape,
        latent_dim: Annotated[int | None, Count("length of the latent vector z", default="100; points: 2")] = None,
        lr: Annotated[float | None, Positive("learning rate", default="0.1 for pictures, 0.0005 for points")] = None,
        b1: Annotated[float, Fraction("Adam's decay of the first moment, or SGD's momentum")] = 0.5,
        b2: Annotated[float, Fraction("Adam's decay of the second moment")] = 0.999,
        n_critic: Annotated[int, Count("discriminator updates per generator update")] = 1,
        n_classes: Annotated[int | None, Count("number of classes", default="as many as the data has")] = None,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        if len(shape) not in (1, 3):
            raise ShapeError(f"cgan generates pictures (H, W, C) or points (2,), not samples of shape {tuple(shape)}")
        if not n_classes or n_classes < 1:
            raise ValueError(f"cgan needs the number of classes, but `n_classes` is {n_classes}")
        self.pictures, self.b1, self.n_classes = len(shape) == 3, b1, n_classes
        latent_dim, lr = with_defaults((latent_dim, lr), (100, 0.1) if self.pictures else (2, 5e-4))
        networks = picture_networks if self.pictures else _point_networks
        G, D = networks(shape, latent_dim, n_classes, rng)
        self.setup(shape, latent_dim, G, D, Minimax(), device, n_critic)
        self.optimizers = make_optimizers(self.networks, self.pictures, lr, b1, b2)

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """Update D `n_critic` times, then G once. Returns both losses and the means of D(x, y) and D(G(z, y), y)."""
        for _ in range(self.n_critic):
            batch = next_batch()
            real, labels = batch["real"], batch["label"]  # (N, H, W, C) or (N, 2); (N,)
            measured = self.discriminator_step((real + 1) / 2 if self.pictures else real, labels, rng)
        return measured | self.generator_step(labels, rng)

    def discriminator_step(self, real: Any, labels: Any, rng: Any) -> dict[str, Any]:  # type: ignore[override]
        """Update D to minimize −½ mean log D(x, y) − ½ mean log(1 − D(G(z, y), y)), with new fakes of classes y."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["D"]
        fake = G.output((self.latent(len(real), rng), labels), rng=rng)  # (N, latent_dim), (N,) → the shape of real
        optimizer.zero_grad()

        logits, cache = D.forward((real, labels), rng=rng)  # (N, …), (N,) → (N, 1)
        loss_real, dlogits = self.loss.real(logits)  # −mean log D(x, y)
        D.backward(dlogits / 2, cache, wrt="params")
        del cache  # frees its memory before the next forward pass fills another
        d_real = sigmoid(logits).mean()

        logits, cache = D.forward((fake, labels), rng=rng)  # (N, …), (N,) → (N, 1)
        loss_fake, dlogits = self.loss.fake(logits)  # −mean log(1 − D(G(z, y), y))
        D.backward(dlogits / 2, cache, wrt="params")  # adds to the gradients of the first pass
        d_fake = sigmoid(logits).mean()

        grow_momentum(optimizer, self.b1)
        optimizer.step()
        return {"d_loss": (loss_real + loss_fake) / 2, "d_real": d_real, "d_fake": d_fake}

    def generator_step(self, labels: Any, rng: Any) -> dict[str, Any]:  # type: ignore[override]
        """Update G on new fakes of classes y to minimize −mean log D(G(z, y), y): backpropagate through D, then G."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["G"]
        optimizer.zero_grad()

        fake, G_cache = G.forward((self.latent(len(labels), rng), labels), rng=rng)  # (N, latent_dim), (N,) → (N, …)
        logits, D_cache = D.forward((fake, labels), rng=rng)  # (N, …), (N,) → (N, 1)
        loss, dlogits = self.loss.generator(logits)  # −mean log D(G(z, y), y)
        dfake, _ = D.backward(dlogits, D_cache, wrt="input")  # (N, 1) → (N, …), None: labels have no gradient
        del D_cache
        G.backward(dfake, G_cache, wrt="params")

        grow_momentum(optimizer, self.b1)
        optimizer.step()
        return {"g_loss": loss}


def picture_networks(shape: Shape, latent_dim: int, n_classes: int, rng: np.random.Generator) -> Networks:
    """G: z (N, latent_dim), labels (N,) → (N, H, W, C) in [0, 1]; D: (N, H, W, C), labels (N,) → logits (N, 1)."""
    wide, narrow = {"init": uniform(0.05), "rng": rng}, {"init": uniform(0.005), "rng": rng}
    for_classes, for_z = {"init": uniform(0.2), "rng": rng}, {"init": uniform(0.3), "rng": rng}
    size = prod(shape)
    G = Sequential(
        Branches(
            Sequential(Dense(latent_dim, 200, **for_z), ReLU()),
            Sequential(Embedding(n_classes, 1000, **for_classes), ReLU()),
        ),
        Concat(),  # (N, 200), (N, 1000) → (N, 1200)
        Dense(1200, 1200, **wide),
        ReLU(),
        Dense(1200, size, **wide),
        Sigmoid(),
        Reshape(*shape),
    )
    D = Sequential(
        Branches(
            Sequential(Flatten(), Dropout(0.2), Dense(size, 240 * 5, **narrow), Maxout(5), Dropout(0.5)),
            Sequential(Embedding(n_classes, 50 * 5, **for_classes), Maxout(5), Dropout(0.5)),
        ),
        Concat(),  # (N, 240), (N, 50) → (N, 290)
        Dense(290, 240 * 4, **narrow),
        Maxout(4),
        Dropout(0.5),
        Dense(240, 1, **narrow),
    )
    return G, D


def _point_networks(shape: Shape, latent_dim: int, n_classes: int, rng: np.random.Generator) -> Networks:
    """G: z (N, latent_dim), labels (N,) → (N, 2); D: (N, 2), labels (N,) → logits (N, 1)."""
    networks = []
    for n_in, n_out in ((latent_dim, shape[0]), (shape[0], 1)):
        join = Branches(None, Embedding(n_classes, 8, rng=rng)), Concat()  # (N, n_in), (N,) → (N, n_in + 8)
        networks.append(Sequential(*join, *point_features(n_in + 8, rng), Dense(128, n_out, rng=rng)))
    return networks[0], networks[1]
