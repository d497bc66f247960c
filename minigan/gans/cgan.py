"""cGAN: "Conditional Generative Adversarial Nets" (Mirza and Osindero 2014), dense layers throughout.

Both networks see the class y besides their own input: G learns to draw a y, D whether x is a real y. Every input first
has a hidden layer of its own, then they are joined:

    G: z → 200 ReLU    y → 1000 ReLU    joined → 1200 ReLU → H·W·C sigmoid
    D: x → 240 maxout of 5    y → 50 maxout of 5    joined → 240 maxout of 4 → 1 logit
    dropout .2 on the picture that D sees, .5 on D's hidden layers; latent of 100 uniform numbers
    SGD .1 with momentum .5, which grows to .7; batch 100; weights as in gan.py

The paper feeds y one-hot into a dense layer. That picks a row of its matrix, which is what Embedding does. It says
nothing of weights, and those of gan.py don't do. A row stands for itself, while the other layers add up a hundred
inputs and more: with weights as small as theirs the class is not heard. And z passes through 200 units on its way, the
class through 1000: G learns one picture of each class, and to ignore z. So embeddings begin at U(−.2, .2), where in D
the class makes a few times as much of a difference as the picture, and G's weights of z at U(−.3, .3), where z makes
many times as much of a difference as the class. A class is learnt soon; variety that was lost doesn't come back.

For points on the plane (`ring`, `grid`; the classes are the Gaussians): the dense networks of gan.py, into which an
embedding of the class is fed beside z and beside x; latent of 2 numbers from N(0, 1); Adam 5e-4 with β1 .5.

Deviations: the latents are scaled as in gan.py (the paper's are from the unit hypercube); the learning rate stays
constant (the paper's falls by a factor of 1.00004 a step, down to 1e-6); fakes take their labels from the real batch,
which are distributed as they should be. The paper has dropout .5 in both networks and doesn't say where. Here D has it,
on its input as in gan.py. G has none: there it would be noise, and more of it than z. G learned to vary its pictures
with the dropout and not with z, and without the dropout drew the same picture again and again.
"""

from __future__ import annotations

from math import prod, sqrt
from typing import Annotated, Any

import numpy as np

from minigan.backend import Device
from minigan.errors import ShapeError
from minigan.gans.base import LatentGAN, at_least_one
from minigan.gans.gan import grow_momentum
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
from minigan.optim import SGD, Adam
from minigan.options import Count, Fraction, Positive


class CGAN(LatentGAN):
    """A dense generator and discriminator that know `n_classes` classes, for pictures of any size or points (2,)."""

    paper = "Conditional Generative Adversarial Nets (Mirza and Osindero 2014)"
    makes = "pictures of any size, and points on the plane, of the data's classes"
    suits = "for points or very small pictures of a class that you name: all layers are dense"
    arrays = {"real": SAMPLES, "label": LABEL}
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
        n_classes: Annotated[int | None, Count("number of classes", default="as many as the data has")] = None,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        if len(shape) not in (1, 3):
            raise ShapeError(f"cgan draws pictures (H, W, C) or points (2,), not samples of shape {tuple(shape)}")
        if not n_classes or n_classes < 1:
            raise ValueError(f"cgan has to know the number of classes: `n_classes` is {n_classes}")
        self.pictures, self.n_classes = len(shape) == 3, n_classes
        if lr is None:
            lr = 0.1 if self.pictures else 5e-4
        if latent_dim is None:
            latent_dim = 100 if self.pictures else 2
        networks = picture_networks if self.pictures else _point_networks
        G, D = networks(shape, latent_dim, n_classes, rng)
        self.setup(shape, latent_dim, G, D, Minimax(), device)
        self.optimizers = {}
        for name, network in self.networks.items():
            parameters = network.parameters()
            self.optimizers[name] = SGD(parameters, lr, b1) if self.pictures else Adam(parameters, lr, (b1, b2))
        self.n_critic = self.batches_per_step = at_least_one(n_critic)
        self.b1 = b1

    def latent(self, n: int, rng: Any) -> Any:
        """Draw z (n, latent_dim): uniform in ±√3 for pictures, N(0, 1) for points; variance 1 in both cases."""
        if self.pictures:
            return (2 * sqrt(3)) * (rng.random((n, self.latent_dim), dtype=np.float32) - np.float32(0.5))
        return super().latent(n, rng)

    def generate(self, z: Any, labels: Any = None) -> Any:
        """z (n, latent_dim), labels (n,) → pictures (n, H, W, C) in [−1, 1], or points (n, 2)."""
        x = super().generate(z, labels)
        return 2 * x - 1 if self.pictures else x

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """`n_critic` updates of D, then one of G. Returns the losses and the means of D(x) and D(G(z))."""
        for _ in range(self.n_critic):
            batch = next_batch()
            real, labels = batch["real"], batch["label"]  # (N, H, W, C) or (N, 2); (N,)
            measured = self.discriminator_step((real + 1) / 2 if self.pictures else real, labels, rng)
        return measured | self.generator_step(labels, rng)

    def discriminator_step(self, real: Any, labels: Any, rng: Any) -> dict[str, Any]:
        """Update D on real data and on fakes of the same classes."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["D"]
        fake = G.output((self.latent(len(real), rng), labels), rng=rng)  # the shape of real
        optimizer.zero_grad()

        logits, cache = D.forward((real, labels), rng=rng)  # (N, …), (N,) → (N, 1)
        loss_real, dlogits = self.loss.real(logits)
        D.backward(dlogits / 2, cache, wrt="params")
        del cache  # before the pass over fakes makes one
        d_real = sigmoid(logits).mean()

        logits, cache = D.forward((fake, labels), rng=rng)
        loss_fake, dlogits = self.loss.fake(logits)
        D.backward(dlogits / 2, cache, wrt="params")
        d_fake = sigmoid(logits).mean()

        grow_momentum(optimizer, self.b1)
        optimizer.step()
        return {"d_loss": (loss_real + loss_fake) / 2, "d_real": d_real, "d_fake": d_fake}

    def generator_step(self, labels: Any, rng: Any) -> dict[str, Any]:
        """Update G on new fakes of these classes; the gradient goes down through D, then through G."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["G"]
        optimizer.zero_grad()

        fake, G_cache = G.forward((self.latent(len(labels), rng), labels), rng=rng)
        logits, D_cache = D.forward((fake, labels), rng=rng)  # (N, …), (N,) → (N, 1)
        loss, dlogits = self.loss.generator(logits)
        dfake, _ = D.backward(dlogits, D_cache, wrt="input")  # labels have no gradient
        del D_cache
        G.backward(dfake, G_cache, wrt="params")

        grow_momentum(optimizer, self.b1)
        optimizer.step()
        return {"g_loss": loss}


def picture_networks(
    shape: tuple[int, ...], latent_dim: int, n_classes: int, rng: np.random.Generator
) -> tuple[Sequential, Sequential]:
    """G: z, labels → (N, H, W, C) in [0, 1]; D: (N, H, W, C), labels → logits (N, 1)."""
    wide, narrow = {"init": uniform(0.05), "rng": rng}, {"init": uniform(0.005), "rng": rng}
    rows, loud = {"init": uniform(0.2), "rng": rng}, {"init": uniform(0.3), "rng": rng}
    size = prod(shape)
    G = Sequential(
        Branches(
            Sequential(Dense(latent_dim, 200, **loud), ReLU()),
            Sequential(Embedding(n_classes, 1000, **rows), ReLU()),
        ),
        Concat(),
        Dense(1200, 1200, **wide),
        ReLU(),
        Dense(1200, size, **wide),
        Sigmoid(),
        Reshape(*shape),
    )
    D = Sequential(
        Branches(
            Sequential(Flatten(), Dropout(0.2), Dense(size, 240 * 5, **narrow), Maxout(5), Dropout(0.5)),
            Sequential(Embedding(n_classes, 50 * 5, **rows), Maxout(5), Dropout(0.5)),
        ),
        Concat(),
        Dense(290, 240 * 4, **narrow),
        Maxout(4),
        Dropout(0.5),
        Dense(240, 1, **narrow),
    )
    return G, D


def _point_networks(
    shape: tuple[int, ...], latent_dim: int, n_classes: int, rng: np.random.Generator
) -> tuple[Sequential, Sequential]:
    """G: z, labels → (N, 2); D: (N, 2), labels → logits (N, 1)."""
    networks = []
    for n_in, n_out in ((latent_dim, shape[0]), (shape[0], 1)):
        join = Branches(None, Embedding(n_classes, 8, rng=rng)), Concat()
        networks.append(Sequential(*join, *point_features(n_in + 8, rng), Dense(128, n_out, rng=rng)))
    return networks[0], networks[1]
