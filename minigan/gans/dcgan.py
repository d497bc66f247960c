"""DCGAN: "Unsupervised Representation Learning with Deep Convolutional GANs" (Radford, Metz and Chintala 2015).

The networks, from the authors' code for 64×64 pictures (dcgan.torch), its reduction by a stage per halving, and its
usual extension by one, at 4² with twice as many channels again:

    128×128 G: z → 4²·1024 → 8²·512 → 16²·256 → 32²·128 → 64²·64 → 128²·C     as 64×64, with a stage more
            D: the mirror image
    64×64   G: z → 4²·512 → 8²·256 → 16²·128 → 32²·64 → 64²·C     4×4 transposed convolutions, stride 2
            D: the mirror image, 4×4 convolutions with stride 2, then 4×4 → one logit
    32×32   G: z → 4²·512 → 8²·256 → 16²·128 → 32²·64 → 32²·C     the last one 3×3 with stride 1 (Chainer's example)
            D: the mirror image, so the first one is 3×3
    28×28   G: z → dense 1024 → dense 7²·128 → 14²·64 → 28²·C     5×5 with stride 2 (the authors' MNIST script)
            D: 28²·C → 14²·64 → 7²·128 → dense 1024 → one logit
    16×16   G: z → 4²·128 → 8²·64 → 16²·C                         as 64×64, with two stages less

Everywhere: batch norm and ReLU in G, batch norm and LeakyReLU .2 in D, but none on D's first layer nor on either
output; tanh on G's output; no bias before a batch norm; weights N(0, .02), batch-norm scales N(1, .02); latent N(0, 1)
as in the reference code; Adam 2e-4 with β1 .5 for both; the non-saturating objective.

Deviations from the paper's figure 1: half as many channels, and 4×4 kernels instead of 5×5, as in dcgan.torch; from
that code: a bias where no batch norm follows (D's first layer, both outputs). From the MNIST script: no class labels,
which it concatenates at every layer, no weight decay and no decay of the learning rate, normal instead of uniform z.
Also: a batch of 64 (the reference code) instead of 128 (the paper); at 28×28 the picture is in [−1, 1] with tanh
instead of [0, 1] with a sigmoid; the generator's update uses the fakes of the discriminator's update (PyTorch's
example does, too) instead of drawing new ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np

from minigan.backend import Device
from minigan.errors import ShapeError
from minigan.gans.base import LatentGAN, at_least_one
from minigan.layers import (
    BatchNorm,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Flatten,
    Layer,
    LeakyReLU,
    ReLU,
    Reshape,
    Sequential,
    Tanh,
    normal,
)
from minigan.layers.activations import sigmoid
from minigan.losses import Minimax
from minigan.model import PICTURE, Now
from minigan.optim import Adam
from minigan.options import Count, Fraction, Positive

SIZES = (16, 28, 32, 64, 128)


class DCGAN(LatentGAN):
    """A generator and a discriminator for pictures of `shape` (H, W, C), and their two steps.

    H = W is 16, 28, 32, 64 or 128; C is 1 or 3. `features` is the number of channels of the layers nearest to the
    picture (64 in dcgan.torch, 128 in the paper's figure 1); the others are multiples of it. Raises ShapeError for
    others.
    """

    paper = "Unsupervised Representation Learning with Deep Convolutional GANs (Radford, Metz and Chintala 2015)"
    makes = "pictures of 16, 28, 32, 64 or 128 pixels"
    suits = "for pictures, as the first one to try: of those that are fast it is the simplest"
    arrays = {"real": PICTURE}

    def __init__(
        self,
        shape: tuple[int, ...],
        latent_dim: Annotated[int, Count("length of the latent vector z")] = 100,
        lr: Annotated[float, Positive("learning rate")] = 2e-4,
        b1: Annotated[float, Fraction("Adam's decay of the first moment")] = 0.5,
        b2: Annotated[float, Fraction("Adam's decay of the second moment")] = 0.999,
        n_critic: Annotated[int, Count("updates of the discriminator for each one of the generator")] = 1,
        label_smoothing: Annotated[float, Fraction("how far the target for real samples is below 1")] = 0.0,
        features: Annotated[
            int, Count("channels of the layers nearest to the picture; deeper ones have multiples of it")
        ] = 64,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        check_shape(shape)
        self.n_critic = self.batches_per_step = at_least_one(n_critic)
        G, D = generator(shape, latent_dim, features, rng), discriminator(shape, features, rng)
        self.setup(shape, latent_dim, G, D, Minimax(label_smoothing=label_smoothing), device)
        self.optimizers = {name: Adam(net.parameters(), lr, (b1, b2)) for name, net in self.networks.items()}

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """`n_critic` updates of D, then one of G. Returns the losses and the means of D(x) and D(G(z))."""
        for _ in range(self.n_critic):
            real = next_batch()["real"]  # (N, H, W, C)
            fake, G_cache = self.networks["G"].forward(self.latent(len(real), rng), rng=rng)  # (N, H, W, C)
            measured = self.discriminator_step(real, fake, rng)
        return measured | self.generator_step(fake, G_cache, rng)

    def discriminator_step(self, real: Any, fake: Any, rng: Any = None) -> dict[str, Any]:
        """Update D on real and on fake pictures, each as a batch of its own, as batch norm wants it."""
        D, optimizer = self.networks["D"], self.optimizers["D"]
        optimizer.zero_grad()

        logits, cache = D.forward(real, rng=rng)  # (N, H, W, C) → (N, 1)
        loss_real, dlogits = self.loss.real(logits)
        D.backward(dlogits, cache, wrt="params")
        del cache  # before the pass over fakes makes one
        d_real = sigmoid(logits).mean()

        logits, cache = D.forward(fake, rng=rng)
        loss_fake, dlogits = self.loss.fake(logits)
        D.backward(dlogits, cache, wrt="params")  # the gradient ends here: G learns nothing from D's step
        d_fake = sigmoid(logits).mean()

        optimizer.step()
        return {"d_loss": loss_real + loss_fake, "d_real": d_real, "d_fake": d_fake}

    def generator_step(self, fake: Any, G_cache: Any, rng: Any = None) -> dict[str, Any]:
        """Update G: the gradient goes down through D, whose own parameters it leaves alone, and on through G."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["G"]
        optimizer.zero_grad()

        logits, D_cache = D.forward(fake, rng=rng)  # (N, H, W, C) → (N, 1)
        loss, dlogits = self.loss.generator(logits)
        dfake = D.backward(dlogits, D_cache, wrt="input")  # (N, 1) → (N, H, W, C)
        del D_cache
        G.backward(dfake, G_cache, wrt="params")

        optimizer.step()
        return {"g_loss": loss}


def check_shape(shape: tuple[int, ...], model: str = "dcgan") -> None:
    """Raise ShapeError unless these networks can make pictures of `shape` (H, W, C)."""
    if len(shape) != 3 or shape[0] != shape[1] or shape[0] not in SIZES or shape[2] not in (1, 3):
        got = "×".join(map(str, shape))
        raise ShapeError(
            f"{model} makes square pictures of {', '.join(map(str, SIZES[:-1]))} or {SIZES[-1]} pixels "
            f"with 1 or 3 channels, not {got}: give another `img_size`"
        )


def generator(
    shape: tuple[int, ...],
    latent_dim: int,
    features: int,
    rng: np.random.Generator,
    norm: Callable[[int], Layer] | None = None,
) -> Sequential:
    """G: z (N, latent_dim) → pictures (N, H, W, C) in [−1, 1]. `norm` makes another norm for so many channels."""
    size, _, C = shape
    W = {"init": normal(0.02), "rng": rng}

    def norm_relu(channels: int) -> list[Layer]:
        return [_batch_norm(channels, rng) if norm is None else norm(channels), ReLU()]

    if size == 28:
        return Sequential(
            Dense(latent_dim, 16 * features, bias=False, **W),
            *norm_relu(16 * features),
            Dense(16 * features, 7 * 7 * 2 * features, bias=False, **W),
            *norm_relu(7 * 7 * 2 * features),
            Reshape(7, 7, 2 * features),
            ConvTranspose2D(2 * features, features, 5, stride=2, padding=2, output_padding=1, bias=False, **W),
            *norm_relu(features),
            ConvTranspose2D(features, C, 5, stride=2, padding=2, output_padding=1, **W),
            Tanh(),
        )
    widths = stage_widths(size, features)
    layers = [
        Reshape(1, 1, latent_dim),
        ConvTranspose2D(latent_dim, widths[0], 4, bias=False, **W),  # 1² → 4²
        *norm_relu(widths[0]),
    ]
    for wide, narrow in zip(widths, widths[1:], strict=False):
        layers += [ConvTranspose2D(wide, narrow, 4, stride=2, padding=1, bias=False, **W), *norm_relu(narrow)]
    if size == 32:
        last = ConvTranspose2D(widths[-1], C, 3, stride=1, padding=1, **W)
    else:
        last = ConvTranspose2D(widths[-1], C, 4, stride=2, padding=1, **W)
    return Sequential(*layers, last, Tanh())


def discriminator(shape: tuple[int, ...], features: int, rng: np.random.Generator) -> Sequential:
    """D: pictures (N, H, W, C) → logits (N, 1)."""
    size, _, C = shape
    W = {"init": normal(0.02), "rng": rng}
    if size == 28:
        return Sequential(
            Conv2D(C, features, 5, stride=2, padding=2, **W),
            LeakyReLU(0.2),
            Conv2D(features, 2 * features, 5, stride=2, padding=2, bias=False, **W),
            *_norm_leaky(2 * features, rng),
            Flatten(),
            Dense(7 * 7 * 2 * features, 16 * features, bias=False, **W),
            *_norm_leaky(16 * features, rng),
            Dense(16 * features, 1, **W),
        )
    widths = stage_widths(size, features)[::-1]
    if size == 32:
        first = Conv2D(C, widths[0], 3, stride=1, padding=1, **W)
    else:
        first = Conv2D(C, widths[0], 4, stride=2, padding=1, **W)
    layers = [first, LeakyReLU(0.2)]
    for narrow, wide in zip(widths, widths[1:], strict=False):
        layers += [Conv2D(narrow, wide, 4, stride=2, padding=1, bias=False, **W), *_norm_leaky(wide, rng)]
    return Sequential(*layers, Conv2D(widths[-1], 1, 4, **W), Flatten())  # 4² → 1²


def stage_widths(size: int, features: int) -> list[int]:
    """Channels at 4², 8², 16², …: they halve as the picture doubles, down to `features`. Raises ShapeError."""
    stages = {16: 2, 32: 4, 64: 4, 128: 5}
    if size not in stages:
        raise ShapeError(f"these networks are for pictures of {', '.join(map(str, SIZES))} pixels, not {size}")
    return [features * 2**i for i in reversed(range(stages[size]))]


def _norm_leaky(channels: int, rng: np.random.Generator) -> list[Layer]:
    return [_batch_norm(channels, rng), LeakyReLU(0.2)]


def _batch_norm(channels: int, rng: np.random.Generator) -> BatchNorm:
    return BatchNorm(channels, init=normal(0.02, mean=1.0), rng=rng)
