"""WGAN-GP: "Improved Training of Wasserstein GANs" (Gulrajani et al. 2017), algorithm 1.

The best critic of a Wasserstein GAN has slope 1 almost everywhere between real data and fakes (proposition 1). Clipping
its weights bounds the slope, but wastes the critic's capacity; here a penalty asks for it directly:

    x̂ = ε x + (1 − ε) G(z), one ε from U[0, 1] for every sample        P = λ mean (‖∇D(x̂)‖ − 1)²

To learn from P, the gradient ∇D has to be differentiated once more: penalties.py does it, in four sweeps.

Networks:

    "dcgan"     G: that of dcgan.py. D: the same shape as dcgan.py's, with a bias in place of every batch norm, because
                batch norm mixes samples and there would be no slope at a sample (section 4). Adam 1e-4 (.5, .9), λ 10
    "resnet"    for 32×32: G: dense 4²·128, three residual blocks that double the size, batch norm, ReLU, 3×3, tanh
                D: two residual blocks that halve the size and two that keep it, ReLU, mean over pixels, dense
                Adam 2e-4 (0, .9), λ 10 (the authors' gan_cifar_resnet.py)
    points      (`ring`, `grid`) dense networks of 128 hidden units; G: four hidden layers, ReLU; D: three, LeakyReLU .2
                Adam 4e-3 (.5, .9), λ .2

Latent N(0, 1), 128 numbers, 2 for points; 5 critic steps for each of G's. The "dcgan" critic and the networks for
points are He-initialised. The learning rate falls to 0 in a straight line: the authors' way with the ResNet, and good
for all of them in short runs.

Deviations: DCGAN's generator instead of the slightly different ones of the authors' MNIST and CIFAR scripts. ResNets:
G's batch is as large as the critic's (theirs is twice as large), there are no classes (theirs has an auxiliary
classifier and conditional batch norms), and no noise is added to the pictures (theirs get U[0, 1/128]). Points: the
authors' gan_toy.py has three hidden layers of 512 ReLUs in both, λ .1, Adam 1e-4 without decay, and takes 100,000
steps. What decides here is how steeply G can jump from one Gaussian to the next: it needs ReLU, depth, and a large
learning rate that falls.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np

from minigan.backend import Device
from minigan.gans import dcgan, resnet
from minigan.gans.base import LatentGAN, at_least_one, choose, filled
from minigan.gans.networks import critic_features, point_features
from minigan.layers import AvgPool2D, Dense, Flatten, Sequential, he_normal
from minigan.losses import Wasserstein
from minigan.model import Game, Measure, Now
from minigan.optim import Adam
from minigan.options import Count, Fraction, NotNegative, Option, Positive
from minigan.penalties import GradientPenalty

SIZES = dcgan.SIZES


class WGANGP(LatentGAN):
    """A generator, a critic without batch norm, and the two steps. `b1` and `b2` are Adam's.

    Raises ShapeError for pictures that the networks can't make.
    """

    paper = "Improved Training of Wasserstein GANs (Gulrajani et al. 2017)"
    makes = "pictures of 16, 28, 32, 64 or 128 pixels, and points on the plane"
    suits = "where others lose modes or come out of balance; a step costs several times as much"
    lr_decay = "linear"
    measures = {**LatentGAN.measures, "penalty": Measure("penalty", "Gradient penalty", "positive")}

    def __init__(
        self,
        shape: tuple[int, ...],
        latent_dim: Annotated[int | None, Count("length of the latent vector z", default="128; points: 2")] = None,
        lr: Annotated[float | None, Positive("learning rate", default="0.0001; resnet: 0.0002; points: 0.004")] = None,
        b1: Annotated[float | None, Fraction("Adam's decay of the first moment", default="0.5; resnet: 0")] = None,
        b2: Annotated[float, Fraction("Adam's decay of the second moment")] = 0.9,
        n_critic: Annotated[int, Count("updates of the discriminator for each one of the generator")] = 5,
        lambda_gp: Annotated[
            float | None, NotNegative("weight of the gradient penalty", default="10; points: 0.2")
        ] = None,
        networks: Annotated[
            Literal["dcgan", "resnet"], Option("which networks, for pictures; resnet is for 32 pixels")
        ] = "dcgan",
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
        make, *defaults = POINTS if len(shape) == 1 and networks == "dcgan" else choose("networks", networks, KINDS)
        given = (latent_dim, lr, b1, lambda_gp, features)
        latent_dim, lr, b1, lambda_gp, features = filled(given, defaults)
        G, D = make(shape, latent_dim, features, rng)
        self.setup(shape, latent_dim, G, D, Wasserstein(), device)
        self.optimizers = {name: Adam(net.parameters(), lr, (b1, b2)) for name, net in self.networks.items()}
        self.n_critic = self.batches_per_step = at_least_one(n_critic)
        self.penalty = GradientPenalty(lambda_gp)
        self.games = (Game(self.loss, penalty="penalty", penalty_weight=lambda_gp),)

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """`n_critic` updates of the critic, then one of G.

        Returns the losses, the mean scores of real data and of fakes, and the penalty. d_loss is without the penalty:
        −d_loss estimates the Wasserstein distance.
        """
        for _ in range(self.n_critic):
            real = next_batch()["real"]  # (N, H, W, C), or (N, 2)
            measured = self.critic_step(real, rng)
        return measured | self.generator_step(len(real), rng)

    def critic_step(self, real: Any, rng: Any) -> dict[str, Any]:
        """Update the critic: real scores up, fake ones down, and the slope between them to 1."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["D"]
        fake = G.output(self.latent(len(real), rng), rng=rng)  # the shape of real
        optimizer.zero_grad()

        real_scores, cache = D.forward(real, rng=rng)  # (N, …) → (N, 1)
        loss_real, dscores = self.loss.real(real_scores)  # −mean
        D.backward(dscores, cache, wrt="params")
        del cache  # before the pass over fakes makes one

        fake_scores, cache = D.forward(fake, rng=rng)
        loss_fake, dscores = self.loss.fake(fake_scores)  # mean
        D.backward(dscores, cache, wrt="params")

        penalty = self.penalty(D, real, fake, rng)  # adds its own gradients to those of the losses

        optimizer.step()
        means = {"d_real": real_scores.mean(), "d_fake": fake_scores.mean()}
        return {"d_loss": loss_real + loss_fake, **means, "penalty": penalty}

    def generator_step(self, n: int, rng: Any) -> dict[str, Any]:
        """Update G on `n` new fakes: their scores up; down through the critic, and on through G."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["G"]
        optimizer.zero_grad()

        fake, G_cache = G.forward(self.latent(n, rng), rng=rng)
        scores, D_cache = D.forward(fake, rng=rng)  # (N, …) → (N, 1)
        loss, dscores = self.loss.generator(scores)  # −mean
        dfake = D.backward(dscores, D_cache, wrt="input")  # (N, 1) → (N, …)
        del D_cache
        G.backward(dfake, G_cache, wrt="params")

        optimizer.step()
        return {"g_loss": loss}


def _dcgan_networks(
    shape: tuple[int, ...], latent_dim: int, features: int, rng: np.random.Generator
) -> tuple[Sequential, Sequential]:
    dcgan.check_shape(shape, "wgan-gp")
    layers, n = critic_features(shape, features, rng, he_normal(0.2))
    return dcgan.generator(shape, latent_dim, features, rng), Sequential(*layers, Dense(n, 1, rng=rng))


def _resnet_networks(
    shape: tuple[int, ...], latent_dim: int, features: int, rng: np.random.Generator
) -> tuple[Sequential, Sequential]:
    resnet.check_shape(shape, "wgan-gp")
    G = Sequential(*resnet.generator_layers(shape, latent_dim, features, rng))
    layers = resnet.critic_layers(shape, features, rng)
    return G, Sequential(*layers, AvgPool2D(8), Flatten(), Dense(features, 1, rng=rng))  # the mean over 8² pixels


def _point_networks(
    shape: tuple[int, ...], latent_dim: int, features: int, rng: np.random.Generator
) -> tuple[Sequential, Sequential]:
    he = he_normal()
    G = point_features(latent_dim, rng, features, 4, negative_slope=0, init=he)
    D = point_features(shape[0], rng, features, 3, init=he)
    return Sequential(*G, Dense(features, shape[0], rng=rng)), Sequential(*D, Dense(features, 1, rng=rng))


# networks, and the defaults of latent_dim, lr, b1, lambda_gp, features
KINDS = {"dcgan": (_dcgan_networks, 128, 1e-4, 0.5, 10.0, 64), "resnet": (_resnet_networks, 128, 2e-4, 0.0, 10.0, 128)}
POINTS = (_point_networks, 2, 4e-3, 0.5, 0.2, 128)
