"""SN-GAN: "Spectral Normalization for Generative Adversarial Networks" (Miyato et al. 2018), with the hinge objective.

Every weight matrix W of D is divided by its largest singular value σ(W), which makes a dense layer 1-Lipschitz. If all
layers are dense, D is 1-Lipschitz (section 2.1). Convolutions, residual sums and sums over pixels can have a larger
Lipschitz constant, but a fixed one: the gradient of D stays bounded without clipping or second derivatives. σ is
estimated with one power iteration per training step, starting from the last step's vectors (appendix A). One step:

    n_critic times   draw z; update D to minimize mean max(0, 1 − D(x)) + mean max(0, 1 + D(G(z)))      (equation 16)
    once             draw z; update G to minimize −mean D(G(z))                                          (equation 17)

Networks:

    "dcgan"     G: DCGAN's. D: DCGAN's, with spectral norm instead of batch norm
                Adam 2e-4 (.5, .999), n_critic 1 (setting C in table 1 of the paper)
    "resnet"    for 32×32: G: 256 channels, D: 128, ReLU, global sum pooling, dense without bias
                Adam 2e-4 (0, .9), n_critic 5 (the authors' sn_cifar10_unconditional.yml)
    points      (`ring`, `grid`) the dense networks of gan.py, D with spectral norm

Latent of 128 numbers from N(0, 1), 2 for points. With `labels` the model is conditional ("cGANs with Projection
Discriminator", Miyato and Koyama 2018): each batch norm of G has one scale and shift per class (for points, an
embedding of the class is concatenated with z), and D adds e_y·φ(x) to the logit, where φ(x) are its last features and
e_y is an embedding of the class.

With `attention` 16, G and D have a layer of self-attention at the end of their stages of 16×16 pixels ("Self-Attention
Generative Adversarial Networks", Zhang et al. 2019): it relates distant parts of a picture, which convolutions don't
within few layers. Its convolutions in D have spectral norm, as all others. SAGAN has spectral norm in G too, Adam
1e-4 for G and 4e-4 for D, and β (0, .9); here G and Adam are as without attention.

Deviations: the "dcgan" D has dcgan.py's layers instead of table 3's; G's batch is as large as D's (the authors': 128);
the labels of fakes are those of the real batch (theirs: drawn uniformly); real and fake samples pass through D in one
batch, which needs one power iteration instead of two. The learning rate decays linearly to 0 with all networks (the
authors': with the ResNet).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np

from minigan.backend import Device, array_module
from minigan.gans import dcgan, resnet
from minigan.gans.base import LatentGAN, Networks, Shape, choose, with_defaults
from minigan.gans.networks import attention_at, check_attention, critic_features, logit_layers, point_features
from minigan.layers import (
    BatchNorm,
    Branches,
    Concat,
    Conditional,
    ConditionalBatchNorm,
    Dense,
    Embedding,
    GlobalSumPool,
    Sequential,
    SpectralNorm,
    normal,
)
from minigan.losses import Hinge
from minigan.model import LABEL, Kind, Now
from minigan.optim import Adam
from minigan.options import Count, Fraction, Option, Positive, WholeNumber


class SNGAN(LatentGAN):
    """A GAN whose discriminator has spectral normalization; `labels` makes it conditional on `n_classes` classes.

    Raises ShapeError for pictures that the networks can't generate, ValueError for `labels` without `n_classes`.
    """

    paper = "Spectral Normalization for Generative Adversarial Networks (Miyato et al. 2018)"
    makes = "pictures of 16, 28, 32, 64 or 128 pixels, and points on the plane; with labels, of the data's classes"
    suits = "where wgan-gp is too slow: D's gradient is bounded here too, and a step costs little more than dcgan's"
    lr_decay = "linear"

    @classmethod
    def needs(cls, labels: bool = False, **arguments: Any) -> dict[str, Kind]:
        """Return the arrays of a batch: "real", and with `labels` also "label"."""
        return cls.arrays | {"label": LABEL} if labels else cls.arrays

    def __init__(
        self,
        shape: Shape,
        latent_dim: Annotated[int | None, Count("length of the latent vector z", default="128; points: 2")] = None,
        lr: Annotated[float, Positive("learning rate")] = 2e-4,
        b1: Annotated[float | None, Fraction("Adam's decay of the first moment", default="0.5; resnet: 0")] = None,
        b2: Annotated[float | None, Fraction("Adam's decay of the second moment", default="0.999; resnet: 0.9")] = None,
        n_critic: Annotated[
            int | None, Count("discriminator updates per generator update", default="1; resnet: 5")
        ] = None,
        networks: Annotated[
            Literal["dcgan", "resnet"], Option("architecture for pictures; resnet: 32 pixels")
        ] = "dcgan",
        attention: Annotated[
            int, WholeNumber("self-attention in G and D, at their stages of so many pixels; 0: none", default="0: none")
        ] = 0,
        labels: Annotated[bool, Option("train a conditional model on the data's classes")] = False,
        n_classes: Annotated[int | None, Count("number of classes", default="as many as the data has")] = None,
        features: Annotated[
            int | None, Count("channels of the layer next to the picture", default="64; resnet and points: 128")
        ] = None,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        if labels != bool(n_classes):
            raise ValueError(f"`labels` is {labels} and `n_classes` is {n_classes}: a conditional model needs both")
        make, *defaults = POINTS if len(shape) == 1 and networks == "dcgan" else choose("networks", networks, KINDS)
        values = (latent_dim, b1, b2, n_critic, features)
        latent_dim, b1, b2, n_critic, features = with_defaults(values, defaults)
        self.n_classes, self.arrays = n_classes or 0, self.needs(labels)
        G, D = make(shape, latent_dim, features, self.n_classes, attention, rng)
        self.setup(shape, latent_dim, G, D, Hinge(), device, n_critic)
        self.optimizers = {name: Adam(net.parameters(), lr, (b1, b2)) for name, net in self.networks.items()}

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """Update D `n_critic` times, then G once. Returns both losses and the mean logits of real and fake samples."""
        for _ in range(self.n_critic):
            batch = next_batch()
            real, labels = batch["real"], batch.get("label")  # (N, H, W, C) or (N, 2); (N,) or None
            measured = self.discriminator_step(real, labels, rng)
        return measured | self.generator_step(len(real), labels, rng)

    def discriminator_step(self, real: Any, labels: Any, rng: Any) -> dict[str, Any]:
        """Update D to minimize mean max(0, 1 − D(x)) + mean max(0, 1 + D(G(z))), in one pass over real and fake."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["D"]
        xp, n = array_module(real), len(real)
        fake = G.output(self._with_labels(self.latent(n, rng), labels), rng=rng)  # (N, latent_dim) → the shape of real
        optimizer.zero_grad()

        x = xp.concatenate([real, fake])  # (N, …), (N, …) → (2N, …)
        x_labels = None if labels is None else xp.concatenate([labels, labels])  # (2N,)
        logits, cache = D.forward(self._with_labels(x, x_labels), rng=rng)  # (2N, …) → (2N, 1)
        loss_real, dreal = self.loss.real(logits[:n])  # mean max(0, 1 − D(x))
        loss_fake, dfake = self.loss.fake(logits[n:])  # mean max(0, 1 + D(G(z)))
        D.backward(xp.concatenate([dreal, dfake]), cache, wrt="params")  # dlogits (2N, 1)

        optimizer.step()
        return {"d_loss": loss_real + loss_fake, "d_real": logits[:n].mean(), "d_fake": logits[n:].mean()}

    def generator_step(self, n: int, labels: Any, rng: Any) -> dict[str, Any]:
        """Update G on `n` new fakes to minimize −mean D(G(z)): backpropagate through D, then through G."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["G"]
        optimizer.zero_grad()

        fake, G_cache = G.forward(self._with_labels(self.latent(n, rng), labels), rng=rng)  # (N, latent_dim) → (N, …)
        logits, D_cache = D.forward(self._with_labels(fake, labels), rng=rng)  # (N, …) → (N, 1)
        loss, dlogits = self.loss.generator(logits)  # −mean D(G(z))
        dx = D.backward(dlogits, D_cache, wrt="input")  # (N, 1) → (N, …), or ((N, …), None): labels have no gradient
        del D_cache
        G.backward(dx[0] if self.n_classes else dx, G_cache, wrt="params")

        optimizer.step()
        return {"g_loss": loss}

    def _with_labels(self, x: Any, labels: Any) -> Any:
        """Return the input of a network: (x, labels) in a conditional model, else x."""
        return (x, labels) if self.n_classes else x


def _dcgan_networks(
    shape: Shape, latent_dim: int, features: int, n_classes: int, attention: int, rng: np.random.Generator
) -> Networks:
    dcgan.check_shape(shape, "sngan")
    check_attention(attention, dcgan.stages(shape[0]), f"sngan for {shape[0]} pixels")
    norm = (lambda channels: ConditionalBatchNorm(channels, n_classes)) if n_classes else None
    init, wrap = normal(0.02), lambda layer: SpectralNorm(layer, rng=rng)
    G = dcgan.generator(shape, latent_dim, features, rng, norm, attention_at(attention, rng, init))
    layers, n = critic_features(shape, features, rng, init, wrap, attention_at(attention, rng, init, wrap))
    return Conditional(*G.layers) if n_classes else G, logit_layers(layers, n, n_classes, rng, bias=True)


def _resnet_networks(
    shape: Shape, latent_dim: int, features: int, n_classes: int, attention: int, rng: np.random.Generator
) -> Networks:
    resnet.check_shape(shape, "sngan's resnet")
    check_attention(attention, resnet.STAGES, "sngan's resnet")
    norm = (lambda channels: ConditionalBatchNorm(channels, n_classes)) if n_classes else BatchNorm
    wrap = lambda layer: SpectralNorm(layer, rng=rng)  # noqa: E731
    G = resnet.generator_layers(shape, latent_dim, 2 * features, rng, norm, attention_at(attention, rng))
    layers = resnet.critic_layers(shape, features, rng, wrap, attention_at(attention, rng, wrap=wrap))
    D = logit_layers([*layers, GlobalSumPool()], features, n_classes, rng, bias=False)
    return Conditional(*G) if n_classes else Sequential(*G), D


def _point_networks(
    shape: Shape, latent_dim: int, features: int, n_classes: int, attention: int, rng: np.random.Generator
) -> Networks:
    check_attention(attention, (), "sngan for points")
    join = [Branches(None, Embedding(n_classes, 8, rng=rng)), Concat()] if n_classes else []
    n_in = latent_dim + (8 if n_classes else 0)
    G = Sequential(*join, *point_features(n_in, rng, features), Dense(features, shape[0], rng=rng))
    layers = point_features(shape[0], rng, features, wrap=lambda layer: SpectralNorm(layer, rng=rng))
    return G, logit_layers(layers, features, n_classes, rng, bias=True)


# (function that builds G and D; defaults of latent_dim, b1, b2, n_critic, features)
KINDS = {"dcgan": (_dcgan_networks, 128, 0.5, 0.999, 1, 64), "resnet": (_resnet_networks, 128, 0.0, 0.9, 5, 128)}
POINTS = (_point_networks, 2, 0.5, 0.999, 1, 128)
