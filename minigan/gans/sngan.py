"""SN-GAN: "Spectral Normalization for Generative Adversarial Networks" (Miyato et al. 2018), with the hinge objective.

Every weight of the discriminator is divided by its largest singular value. So a dense layer stretches nothing by more
than 1, and where all layers are dense, the slope of D is at most 1 (section 2.1). A convolution, a residual sum and a
sum over pixels may stretch by more, but each by a fixed number: the slope stays bounded, without clipping, penalty or
second derivatives. The singular value comes from one power iteration a step, which starts where the last one ended
(appendix A).

    "dcgan"     G: that of dcgan.py. D: the same shape as dcgan.py's, spectral norm in place of batch norm
                Adam 2e-4 (.5, .999), one D step (setting C in table 1 of the paper)
    "resnet"    for 32×32: G: 256 channels, D: 128, ReLU, global sum pooling, dense without bias
                Adam 2e-4 (0, .9), 5 D steps (the authors' sn_cifar10_unconditional.yml)
    points      (`ring`, `grid`) the dense networks of gan.py, D with spectral norm

Latent N(0, 1), 128 numbers, 2 for points. With `labels` the model is conditional ("cGANs with Projection
Discriminator", Miyato and Koyama 2018): G's batch norms have a scale and a shift for every class (for points, the class
is embedded and joins z), and D adds the inner product of its features with an embedding of the class.

Deviations: the "dcgan" D is dcgan.py's shape instead of the paper's table 3; G's batch is as large as D's (the authors'
is 128); fakes take their labels from the real batch (theirs are drawn uniformly); D sees real data and fakes in one
pass, so that there is one power iteration a step and not two. As with the authors' ResNet, the learning rate falls to 0
in a straight line, with the other networks too.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np

from minigan.backend import Device, array_module
from minigan.gans import dcgan, resnet
from minigan.gans.base import LatentGAN, at_least_one, choose, filled
from minigan.gans.networks import critic_features, point_features
from minigan.layers import (
    BatchNorm,
    Branches,
    Concat,
    Conditional,
    ConditionalBatchNorm,
    Dense,
    Embedding,
    GlobalSumPool,
    Layer,
    Projection,
    Sequential,
    SpectralNorm,
    glorot_uniform,
    normal,
)
from minigan.losses import Hinge
from minigan.model import LABEL, Kind, Now
from minigan.optim import Adam
from minigan.options import Count, Fraction, Option, Positive

SIZES = dcgan.SIZES


class SNGAN(LatentGAN):
    """A generator, a spectrally normalised discriminator, and the two steps.

    `labels` makes it conditional on `n_classes` classes. Raises ShapeError for pictures that the networks can't make,
    and ValueError for labels without a number of classes.
    """

    paper = "Spectral Normalization for Generative Adversarial Networks (Miyato et al. 2018)"
    makes = "pictures of 16, 28, 32, 64 or 128 pixels, and points on the plane; with labels, of the data's classes"
    suits = "where wgan-gp is too slow: its critic's slope is bounded too, and a step costs hardly more than dcgan's"
    lr_decay = "linear"

    @classmethod
    def needs(cls, labels: bool = False, **arguments: Any) -> dict[str, Kind]:
        """Labels too, if it is to learn them."""
        return cls.arrays | {"label": LABEL} if labels else cls.arrays

    def __init__(
        self,
        shape: tuple[int, ...],
        latent_dim: Annotated[int | None, Count("length of the latent vector z", default="128; points: 2")] = None,
        lr: Annotated[float, Positive("learning rate")] = 2e-4,
        b1: Annotated[float | None, Fraction("Adam's decay of the first moment", default="0.5; resnet: 0")] = None,
        b2: Annotated[float | None, Fraction("Adam's decay of the second moment", default="0.999; resnet: 0.9")] = None,
        n_critic: Annotated[
            int | None, Count("updates of the discriminator for each one of the generator", default="1; resnet: 5")
        ] = None,
        networks: Annotated[
            Literal["dcgan", "resnet"], Option("which networks, for pictures; resnet is for 32 pixels")
        ] = "dcgan",
        labels: Annotated[bool, Option("learn the data's classes")] = False,
        n_classes: Annotated[int | None, Count("number of classes", default="as many as the data has")] = None,
        features: Annotated[
            int | None,
            Count(
                "channels of the layers nearest to the picture; deeper ones have multiples of it",
                default="64; resnet and points: 128",
            ),
        ] = None,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        if labels != bool(n_classes):
            raise ValueError(f"`labels` is {labels} and `n_classes` is {n_classes}: a conditional model needs both")
        make, *defaults = POINTS if len(shape) == 1 and networks == "dcgan" else choose("networks", networks, KINDS)
        given = (latent_dim, b1, b2, n_critic, features)
        latent_dim, b1, b2, n_critic, features = filled(given, defaults)
        self.n_classes, self.arrays = n_classes or 0, self.needs(labels)
        G, D = make(shape, latent_dim, features, self.n_classes, rng)
        self.setup(shape, latent_dim, G, D, Hinge(), device)
        self.optimizers = {name: Adam(net.parameters(), lr, (b1, b2)) for name, net in self.networks.items()}
        self.n_critic = self.batches_per_step = at_least_one(n_critic)

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """`n_critic` updates of D, then one of G. Returns the losses and the mean logits of real data and of fakes."""
        for _ in range(self.n_critic):
            batch = next_batch()
            real, labels = batch["real"], batch.get("label")  # (N, H, W, C) or (N, 2); (N,) or None
            measured = self.discriminator_step(real, labels, rng)
        return measured | self.generator_step(len(real), labels, rng)

    def discriminator_step(self, real: Any, labels: Any, rng: Any) -> dict[str, Any]:
        """Update D: real logits above 1, fake ones below −1."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["D"]
        xp, n = array_module(real), len(real)
        fake = G.output(self._with(self.latent(n, rng), labels), rng=rng)  # the shape of real
        optimizer.zero_grad()

        both = self._with(xp.concatenate([real, fake]), None if labels is None else xp.concatenate([labels, labels]))
        logits, cache = D.forward(both, rng=rng)  # (2N, …) → (2N, 1)
        loss_real, dreal = self.loss.real(logits[:n])  # mean max(0, 1 − l)
        loss_fake, dfake = self.loss.fake(logits[n:])  # mean max(0, 1 + l)
        D.backward(xp.concatenate([dreal, dfake]), cache, wrt="params")

        optimizer.step()
        return {"d_loss": loss_real + loss_fake, "d_real": logits[:n].mean(), "d_fake": logits[n:].mean()}

    def generator_step(self, n: int, labels: Any, rng: Any) -> dict[str, Any]:
        """Update G on `n` new fakes: their logits up; down through D, and on through G."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["G"]
        optimizer.zero_grad()

        fake, G_cache = G.forward(self._with(self.latent(n, rng), labels), rng=rng)
        logits, D_cache = D.forward(self._with(fake, labels), rng=rng)  # (N, …) → (N, 1)
        loss, dlogits = self.loss.generator(logits)  # −mean
        dx = D.backward(dlogits, D_cache, wrt="input")  # (N, 1) → (N, …)
        del D_cache
        G.backward(dx[0] if self.n_classes else dx, G_cache, wrt="params")

        optimizer.step()
        return {"g_loss": loss}

    def _with(self, x: Any, labels: Any) -> Any:
        """The input of a network: x, or (x, labels) in a conditional model."""
        return (x, labels) if self.n_classes else x


def _dcgan_networks(
    shape: tuple[int, ...], latent_dim: int, features: int, n_classes: int, rng: np.random.Generator
) -> tuple[Sequential, Sequential]:
    dcgan.check_shape(shape, "sngan")
    norm = (lambda channels: ConditionalBatchNorm(channels, n_classes)) if n_classes else None
    G = dcgan.generator(shape, latent_dim, features, rng, norm)
    layers, n = critic_features(shape, features, rng, normal(0.02), lambda layer: SpectralNorm(layer, rng=rng))
    return Conditional(*G.layers) if n_classes else G, _with_head(layers, n, n_classes, rng, bias=True)


def _resnet_networks(
    shape: tuple[int, ...], latent_dim: int, features: int, n_classes: int, rng: np.random.Generator
) -> tuple[Sequential, Sequential]:
    resnet.check_shape(shape, "sngan")
    norm = (lambda channels: ConditionalBatchNorm(channels, n_classes)) if n_classes else BatchNorm
    G = resnet.generator_layers(shape, latent_dim, 2 * features, rng, norm)
    layers = resnet.critic_layers(shape, features, rng, lambda layer: SpectralNorm(layer, rng=rng))
    D = _with_head([*layers, GlobalSumPool()], features, n_classes, rng, bias=False)
    return Conditional(*G) if n_classes else Sequential(*G), D


def _point_networks(
    shape: tuple[int, ...], latent_dim: int, features: int, n_classes: int, rng: np.random.Generator
) -> tuple[Sequential, Sequential]:
    join = [Branches(None, Embedding(n_classes, 8, rng=rng)), Concat()] if n_classes else []
    n_in = latent_dim + (8 if n_classes else 0)
    G = Sequential(*join, *point_features(n_in, rng, features), Dense(features, shape[0], rng=rng))
    layers = point_features(shape[0], rng, features, wrap=lambda layer: SpectralNorm(layer, rng=rng))
    return G, _with_head(layers, features, n_classes, rng, bias=True)


def _with_head(layers: list[Layer], n: int, n_classes: int, rng: np.random.Generator, bias: bool) -> Sequential:
    """D: the layers up to features (N, n), and on to one logit; with classes also the projection on their embedding."""
    dense = SpectralNorm(Dense(n, 1, bias, rng=rng), rng=rng)
    if not n_classes:
        return Sequential(*layers, dense)
    embedding = SpectralNorm(Embedding(n_classes, n, init=glorot_uniform(), rng=rng), rng=rng)
    return Sequential(Branches(Sequential(*layers), None), Projection(dense, embedding))


# networks, and the defaults of latent_dim, b1, b2, n_critic, features
KINDS = {"dcgan": (_dcgan_networks, 128, 0.5, 0.999, 1, 64), "resnet": (_resnet_networks, 128, 0.0, 0.9, 5, 128)}
POINTS = (_point_networks, 2, 0.5, 0.999, 1, 128)
