"""DCGAN: "Unsupervised Representation Learning with Deep Convolutional GANs" (Radford, Metz and Chintala 2015).

One training step, with D(x) = sigmoid(logit) and the non-saturating objective of Goodfellow et al. 2014, section 3:

    n_critic times   draw z; update D to minimize −mean log D(x) − mean log(1 − D(G(z)))
    once             update G to minimize −mean log D(G(z)), on the fakes of D's last update

Networks: the authors' code for 64×64 pictures (dcgan.torch) and variants of it for other sizes. n²·K is n×n pixels
with K channels; D mirrors G:

    128×128 G: z → 4²·1024 → 8²·512 → 16²·256 → 32²·128 → 64²·64 → 128²·C     one stage more than 64×64
    64×64   G: z → 4²·512 → 8²·256 → 16²·128 → 32²·64 → 64²·C     4×4 transposed convolutions, stride 2
            D: 4×4 convolutions, stride 2; the last one maps 4² pixels to one logit
    32×32   G: z → 4²·512 → 8²·256 → 16²·128 → 32²·64 → 32²·C     the last one is 3×3, stride 1 (Chainer's example)
    28×28   G: z → dense 1024 → dense 7²·128 → 14²·64 → 28²·C     5×5, stride 2 (the authors' MNIST script)
            D: 28²·C → 14²·64 → 7²·128 → dense 1024 → one logit
    16×16   G: z → 4²·128 → 8²·64 → 16²·C                         two stages less than 64×64

All sizes: batch norm and ReLU in G, batch norm and LeakyReLU .2 in D, except that D's first layer and both output
layers have no norm; tanh on G's output; no bias before a batch norm; weights N(0, .02), batch-norm scales N(1, .02);
latent of 100 numbers from N(0, 1), as in the authors' code; Adam 2e-4 with β1 .5 for both networks.

Deviations from the paper: half the channels of figure 1 and 4×4 kernels instead of 5×5 (both as in dcgan.torch); batch
64 (dcgan.torch) instead of 128. From dcgan.torch: a bias in every layer without a batch norm; G is updated on the fakes
of D's update, as in PyTorch's example, instead of new ones. From the MNIST script: no class labels, no weight decay, a
constant learning rate, normal instead of uniform z, and pictures in [−1, 1] with tanh instead of [0, 1] with sigmoid.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from minigan.backend import Device
from minigan.errors import ShapeError
from minigan.gans.base import LatentGAN, Networks, Shape
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
from minigan.layers.blocks import Insert, Norm, Wrap, as_it_is, nothing
from minigan.layers.initializers import Initializer
from minigan.losses import Minimax
from minigan.model import PICTURE, Now
from minigan.optim import Adam
from minigan.options import Count, Fraction, Positive

SIZES = (16, 28, 32, 64, 128)


class DCGAN(LatentGAN):
    """A convolutional GAN for pictures of `shape` (H, W, C).

    H = W is 16, 28, 32, 64 or 128; C is 1 or 3. `features` is the number of channels of the layer next to the picture
    (64 in dcgan.torch, 128 in the paper); deeper layers have multiples of it. Raises ShapeError for other shapes.
    """

    paper = "Unsupervised Representation Learning with Deep Convolutional GANs (Radford, Metz and Chintala 2015)"
    makes = "pictures of 16, 28, 32, 64 or 128 pixels"
    suits = "for pictures, as a first choice: the simplest of the fast models"
    arrays = {"real": PICTURE}

    def __init__(
        self,
        shape: Shape,
        latent_dim: Annotated[int, Count("length of the latent vector z")] = 100,
        lr: Annotated[float, Positive("learning rate")] = 2e-4,
        b1: Annotated[float, Fraction("Adam's decay of the first moment")] = 0.5,
        b2: Annotated[float, Fraction("Adam's decay of the second moment")] = 0.999,
        n_critic: Annotated[int, Count("discriminator updates per generator update")] = 1,
        label_smoothing: Annotated[float, Fraction("amount subtracted from the target 1 of real samples")] = 0.0,
        features: Annotated[int, Count("channels of the layer next to the picture; deeper layers have multiples")] = 64,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        G, D = networks(shape, latent_dim, features, rng)
        self.setup(shape, latent_dim, G, D, Minimax(label_smoothing=label_smoothing), device, n_critic)
        self.optimizers = {name: Adam(net.parameters(), lr, (b1, b2)) for name, net in self.networks.items()}

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """Update D `n_critic` times, then G once. Returns both losses and the means of D(x) and D(G(z))."""
        for _ in range(self.n_critic):
            real = next_batch()["real"]  # (N, H, W, C)
            z = self.latent(len(real), rng)  # (N, latent_dim)
            fake, G_cache = self.networks["G"].forward(z, rng=rng)  # → (N, H, W, C)
            measured = self.discriminator_step(real, fake, rng)
        return measured | self.generator_step(fake, G_cache, rng)

    def discriminator_step(self, real: Any, fake: Any, rng: Any = None) -> dict[str, Any]:
        """Update D to minimize −mean log D(x) − mean log(1 − D(G(z))).

        Real and fake pictures (N, H, W, C) pass through D as two batches, so batch norm normalizes each on its own.
        """
        D, optimizer = self.networks["D"], self.optimizers["D"]
        optimizer.zero_grad()

        logits, cache = D.forward(real, rng=rng)  # (N, H, W, C) → (N, 1)
        loss_real, dlogits = self.loss.real(logits)  # −mean log D(x)
        D.backward(dlogits, cache, wrt="params")
        del cache  # frees its memory before the next forward pass fills another
        d_real = sigmoid(logits).mean()

        logits, cache = D.forward(fake, rng=rng)  # (N, H, W, C) → (N, 1)
        loss_fake, dlogits = self.loss.fake(logits)  # −mean log(1 − D(G(z)))
        D.backward(dlogits, cache, wrt="params")  # adds to the gradients of the first pass; G gets none
        d_fake = sigmoid(logits).mean()

        optimizer.step()
        return {"d_loss": loss_real + loss_fake, "d_real": d_real, "d_fake": d_fake}

    def generator_step(self, fake: Any, G_cache: Any, rng: Any = None) -> dict[str, Any]:
        """Update G to minimize −mean log D(G(z)): backpropagate through D, then through the G that made `fake`."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["G"]
        optimizer.zero_grad()

        logits, D_cache = D.forward(fake, rng=rng)  # (N, H, W, C) → (N, 1)
        loss, dlogits = self.loss.generator(logits)  # −mean log D(G(z))
        dfake = D.backward(dlogits, D_cache, wrt="input")  # (N, 1) → (N, H, W, C)
        del D_cache
        G.backward(dfake, G_cache, wrt="params")

        optimizer.step()
        return {"g_loss": loss}


def check_shape(shape: Shape, model: str = "dcgan") -> None:
    """Raise ShapeError unless the DCGAN networks exist for pictures of `shape` (H, W, C)."""
    if len(shape) != 3 or shape[0] != shape[1] or shape[0] not in SIZES or shape[2] not in (1, 3):
        got = "×".join(map(str, shape))
        raise ShapeError(
            f"{model} makes square pictures of {', '.join(map(str, SIZES[:-1]))} or {SIZES[-1]} pixels "
            f"with 1 or 3 channels, not {got}: give another `img_size`"
        )


def networks(shape: Shape, latent_dim: int, features: int, rng: np.random.Generator, model: str = "dcgan") -> Networks:
    """Build G and D for pictures of `shape` (H, W, C). Raises ShapeError if there are none."""
    check_shape(shape, model)
    return generator(shape, latent_dim, features, rng), discriminator(shape, features, rng)


def generator(
    shape: Shape,
    latent_dim: int,
    features: int,
    rng: np.random.Generator,
    norm: Norm | None = None,
    insert: Insert = nothing,
) -> Sequential:
    """Build G: z (N, latent_dim) → pictures (N, H, W, C) in [−1, 1].

    norm:   maps a number of channels to a normalization layer; None: batch norm with scales from N(1, .02)
    insert: maps the pixels and channels of a stage, such as (8, 256), to layers that end it
    """
    size, _, C = shape
    W = {"init": normal(0.02), "rng": rng}
    norm = norm or _batch_norms(rng)

    def norm_relu(channels: int) -> list[Layer]:
        return [norm(channels), ReLU()]

    if size == 28:
        return Sequential(
            Dense(latent_dim, 16 * features, bias=False, **W),
            *norm_relu(16 * features),
            Dense(16 * features, 7 * 7 * 2 * features, bias=False, **W),
            *norm_relu(7 * 7 * 2 * features),
            Reshape(7, 7, 2 * features),
            *insert(7, 2 * features),
            ConvTranspose2D(2 * features, features, 5, stride=2, padding=2, output_padding=1, bias=False, **W),  # → 14²
            *norm_relu(features),
            *insert(14, features),
            ConvTranspose2D(features, C, 5, stride=2, padding=2, output_padding=1, **W),  # → 28²
            Tanh(),
        )
    widths = stage_widths(size, features)
    layers = [
        Reshape(1, 1, latent_dim),
        ConvTranspose2D(latent_dim, widths[0], 4, bias=False, **W),  # 1² → 4²
        *norm_relu(widths[0]),
        *insert(4, widths[0]),
    ]
    for i, (wide, narrow) in enumerate(zip(widths, widths[1:], strict=False), 1):
        layers += [ConvTranspose2D(wide, narrow, 4, stride=2, padding=1, bias=False, **W), *norm_relu(narrow)]  # H → 2H
        layers += insert(4 * 2**i, narrow)
    last = {"kernel_size": 3, "padding": 1} if size == 32 else {"kernel_size": 4, "stride": 2, "padding": 1}
    return Sequential(*layers, ConvTranspose2D(widths[-1], C, **last, **W), Tanh())


def discriminator(shape: Shape, features: int, rng: np.random.Generator) -> Sequential:
    """Build D: pictures (N, H, W, C) → logits (N, 1)."""
    W = {"init": normal(0.02), "rng": rng}
    layers = discriminator_features(shape, features, rng, normal(0.02), norm=_batch_norms(rng))
    if shape[0] == 28:
        return Sequential(*layers, Dense(16 * features, 1, **W))
    return Sequential(*layers, Conv2D(stage_widths(shape[0], features)[0], 1, 4, **W), Flatten())  # 4² → 1²


def discriminator_features(
    shape: Shape,
    features: int,
    rng: np.random.Generator,
    init: Initializer,
    norm: Norm | None = None,
    wrap: Wrap = as_it_is,
    insert: Insert = nothing,
) -> list[Layer]:
    """Build all layers of D but the last: pictures (N, H, W, C) → (N, 4, 4, K), or (N, K) for 28×28.

    norm:   as in `generator`, for all layers but the first; None: no norm, but a bias in each layer
    wrap:   applied to each layer with a weight, such as SpectralNorm
    insert: as in `generator`
    """
    size, _, C = shape
    W = {"init": init, "rng": rng}
    bias = norm is None

    def norm_leaky(layer: Layer, channels: int) -> list[Layer]:
        return [wrap(layer), *([] if norm is None else [norm(channels)]), LeakyReLU(0.2)]

    if size == 28:
        return [
            wrap(Conv2D(C, features, 5, stride=2, padding=2, **W)),  # → 14²
            LeakyReLU(0.2),
            *insert(14, features),
            *norm_leaky(Conv2D(features, 2 * features, 5, stride=2, padding=2, bias=bias, **W), 2 * features),  # → 7²
            *insert(7, 2 * features),
            Flatten(),
            *norm_leaky(Dense(7 * 7 * 2 * features, 16 * features, bias=bias, **W), 16 * features),
        ]
    widths = stage_widths(size, features)[::-1]
    first = {"kernel_size": 3, "padding": 1} if size == 32 else {"kernel_size": 4, "stride": 2, "padding": 1}
    pixels = size if size == 32 else size // 2
    layers = [wrap(Conv2D(C, widths[0], **first, **W)), LeakyReLU(0.2), *insert(pixels, widths[0])]
    for narrow, wide in zip(widths, widths[1:], strict=False):
        pixels //= 2
        layers += norm_leaky(Conv2D(narrow, wide, 4, stride=2, padding=1, bias=bias, **W), wide)  # H → H/2, down to 4
        layers += insert(pixels, wide)
    return layers


def stage_widths(size: int, features: int) -> list[int]:
    """Return the channels at 4², 8², 16², … pixels. Each is half of the one before; the last is `features`."""
    stages = {16: 2, 32: 4, 64: 4, 128: 5}[size]
    return [features * 2**i for i in reversed(range(stages))]


def stages(size: int) -> list[int]:
    """Return the pixels of the stages inside of both networks: 4, 8, … below `size`; 7 and 14 for 28."""
    return [7, 14] if size == 28 else [4 * 2**i for i in range(6) if 4 * 2**i < size]


def _batch_norms(rng: np.random.Generator) -> Norm:
    """Return a function that makes batch norms with scales from N(1, .02)."""
    return lambda channels: BatchNorm(channels, init=normal(0.02, mean=1.0), rng=rng)
