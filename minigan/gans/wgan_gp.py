"""WGAN-GP: "Improved Training of Wasserstein GANs" (Gulrajani et al. 2017), algorithm 1.

The optimal critic D of a Wasserstein GAN has a gradient of norm 1 almost everywhere between real and fake samples
(proposition 1). Clipping weights, as in wgan.py, bounds the gradient but limits the functions that D can represent.
A penalty on the gradient norm replaces it. One training step:

    n_critic times   draw z; x̂ = ε x + (1 − ε) G(z), with one ε ~ U[0, 1] per sample
                     update D to minimize mean D(G(z)) − mean D(x) + λ mean (‖∇D(x̂)‖ − 1)²        (equation 3)
    once             draw z; update G to minimize −mean D(G(z))

The penalty P = λ mean (‖∇D(x̂)‖ − 1)² contains a gradient, so ∂P/∂weights needs second derivatives: penalties.py
computes them with `double_backward`.

Networks:

    "dcgan"     G: DCGAN's. D: DCGAN's, with a bias in place of every batch norm: batch norm mixes the samples, so there
                would be no gradient per sample (section 4). Adam 1e-4 (.5, .9), λ 10
    "resnet"    for 32×32. G: dense 4²·128, three residual blocks that double the size, batch norm, ReLU, 3×3, tanh
                D: two residual blocks that halve the size and two that keep it, ReLU, mean over pixels, dense
                Adam 2e-4 (0, .9), λ 10 (the authors' gan_cifar_resnet.py)
    points      (`ring`, `grid`) dense, 128 units per layer. G: four hidden layers, ReLU. D: three, LeakyReLU .2
                Adam 4e-3 (.5, .9), λ .2

Latent of 128 numbers from N(0, 1), 2 for points; n_critic 5; He initialization for the "dcgan" critic and for points.
The learning rate decays linearly to 0, as in the authors' ResNet script; here also for the other networks.

Deviations: DCGAN's generator instead of those of the authors' MNIST and CIFAR scripts. ResNet: G and D have the same
batch size (theirs: twice as large for G); no classes (theirs has an auxiliary classifier and conditional batch norm);
no noise on the pictures (theirs: U[0, 1/128]). Points: the authors' gan_toy.py has three hidden layers of 512 ReLUs in
both networks, λ .1, and 100,000 steps of Adam 1e-4 without decay. Separating the Gaussians requires a G with steep
transitions between them: ReLU, depth, and a large learning rate that decays.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np

from minigan.backend import Device
from minigan.gans import dcgan, resnet
from minigan.gans.base import LatentGAN, Networks, Shape, choose, with_defaults
from minigan.gans.networks import critic_features, point_features
from minigan.layers import AvgPool2D, Dense, Flatten, Sequential, he_normal
from minigan.losses import Wasserstein
from minigan.model import Game, Measure, Now
from minigan.optim import Adam
from minigan.options import Count, Fraction, NotNegative, Option, Positive
from minigan.penalties import GradientPenalty


class WGANGP(LatentGAN):
    """A GAN whose critic has a gradient penalty. Raises ShapeError for pictures that the networks can't generate."""

    paper = "Improved Training of Wasserstein GANs (Gulrajani et al. 2017)"
    makes = "pictures of 16, 28, 32, 64 or 128 pixels, and points on the plane"
    suits = "where other models lose modes or train unstably; a step costs several times as much"
    lr_decay = "linear"
    measures = {**LatentGAN.measures, "penalty": Measure("penalty", "Gradient penalty", "positive")}

    def __init__(
        self,
        shape: Shape,
        latent_dim: Annotated[int | None, Count("length of the latent vector z", default="128; points: 2")] = None,
        lr: Annotated[float | None, Positive("learning rate", default="0.0001; resnet: 0.0002; points: 0.004")] = None,
        b1: Annotated[float | None, Fraction("Adam's decay of the first moment", default="0.5; resnet: 0")] = None,
        b2: Annotated[float, Fraction("Adam's decay of the second moment")] = 0.9,
        n_critic: Annotated[int, Count("discriminator updates per generator update")] = 5,
        lambda_gp: Annotated[float | None, NotNegative("weight of the penalty", default="10; points: 0.2")] = None,
        networks: Annotated[
            Literal["dcgan", "resnet"], Option("architecture for pictures; resnet: 32 pixels")
        ] = "dcgan",
        features: Annotated[
            int | None, Count("channels of the layer next to the picture", default="64; resnet and points: 128")
        ] = None,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        make, *defaults = POINTS if len(shape) == 1 and networks == "dcgan" else choose("networks", networks, KINDS)
        values = (latent_dim, lr, b1, lambda_gp, features)
        latent_dim, lr, b1, lambda_gp, features = with_defaults(values, defaults)
        G, D = make(shape, latent_dim, features, rng)
        self.setup(shape, latent_dim, G, D, Wasserstein(), device, n_critic)
        self.optimizers = {name: Adam(net.parameters(), lr, (b1, b2)) for name, net in self.networks.items()}
        self.penalty = GradientPenalty(lambda_gp)
        self.games = (Game(self.loss, penalty="penalty", penalty_weight=lambda_gp),)

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """Update the critic `n_critic` times, then G once.

        Returns both losses, the mean scores D(x) and D(G(z)), and the penalty. d_loss excludes the penalty: −d_loss
        estimates the Wasserstein distance.
        """
        for _ in range(self.n_critic):
            real = next_batch()["real"]  # (N, H, W, C), or (N, 2)
            measured = self.critic_step(real, rng)
        return measured | self.generator_step(len(real), rng)

    def critic_step(self, real: Any, rng: Any) -> dict[str, Any]:
        """Update the critic to minimize mean D(G(z)) − mean D(x) + λ mean (‖∇D(x̂)‖ − 1)² (algorithm 1, lines 3–9)."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["D"]
        fake = G.output(self.latent(len(real), rng), rng=rng)  # (N, latent_dim) → the shape of real
        optimizer.zero_grad()

        real_scores, cache = D.forward(real, rng=rng)  # (N, …) → (N, 1)
        loss_real, dscores = self.loss.real(real_scores)  # −mean D(x)
        D.backward(dscores, cache, wrt="params")
        del cache  # frees its memory before the next forward pass fills another

        fake_scores, cache = D.forward(fake, rng=rng)  # (N, …) → (N, 1)
        loss_fake, dscores = self.loss.fake(fake_scores)  # mean D(G(z))
        D.backward(dscores, cache, wrt="params")

        penalty = self.penalty(D, real, fake, rng)  # draws x̂, returns P, and adds ∂P/∂weights to D's gradients

        optimizer.step()
        means = {"d_real": real_scores.mean(), "d_fake": fake_scores.mean()}
        return {"d_loss": loss_real + loss_fake, **means, "penalty": penalty}

    def generator_step(self, n: int, rng: Any) -> dict[str, Any]:
        """Update G on `n` new fakes to minimize −mean D(G(z)): backpropagate through D, then through G."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["G"]
        optimizer.zero_grad()

        fake, G_cache = G.forward(self.latent(n, rng), rng=rng)  # (N, latent_dim) → (N, …)
        scores, D_cache = D.forward(fake, rng=rng)  # (N, …) → (N, 1)
        loss, dscores = self.loss.generator(scores)  # −mean D(G(z))
        dfake = D.backward(dscores, D_cache, wrt="input")  # (N, 1) → (N, …)
        del D_cache
        G.backward(dfake, G_cache, wrt="params")

        optimizer.step()
        return {"g_loss": loss}


def _dcgan_networks(shape: Shape, latent_dim: int, features: int, rng: np.random.Generator) -> Networks:
    dcgan.check_shape(shape, "wgan-gp")
    layers, n = critic_features(shape, features, rng, he_normal(0.2))
    return dcgan.generator(shape, latent_dim, features, rng), Sequential(*layers, Dense(n, 1, rng=rng))


def _resnet_networks(shape: Shape, latent_dim: int, features: int, rng: np.random.Generator) -> Networks:
    resnet.check_shape(shape, "wgan-gp's resnet")
    G = Sequential(*resnet.generator_layers(shape, latent_dim, features, rng))
    layers = resnet.critic_layers(shape, features, rng)
    return G, Sequential(
        *layers, AvgPool2D(8), Flatten(), Dense(features, 1, rng=rng)
    )  # (N, 8, 8, F) → (N, F) → (N, 1)


def _point_networks(shape: Shape, latent_dim: int, features: int, rng: np.random.Generator) -> Networks:
    he = he_normal()
    G = point_features(latent_dim, rng, features, 4, negative_slope=0, init=he)
    D = point_features(shape[0], rng, features, 3, init=he)
    return Sequential(*G, Dense(features, shape[0], rng=rng)), Sequential(*D, Dense(features, 1, rng=rng))


# (function that builds G and D; defaults of latent_dim, lr, b1, lambda_gp, features)
KINDS = {"dcgan": (_dcgan_networks, 128, 1e-4, 0.5, 10.0, 64), "resnet": (_resnet_networks, 128, 2e-4, 0.0, 10.0, 128)}
POINTS = (_point_networks, 2, 4e-3, 0.5, 0.2, 128)
