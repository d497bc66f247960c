"""BigGAN: "Large Scale GAN Training for High Fidelity Natural Image Synthesis" (Brock et al. 2019), for 32×32 pictures.

SN-GAN's residual networks with self-attention, and a generator in which class and latent enter every block:

    z is cut into 4 parts of nearly equal length. Part 0 goes to the first layer; parts 1, 2, 3 to the three blocks
    e = an embedding of the class (128 numbers), the same in all blocks ("shared embedding")
    c = (part of z, e) sets the norms of a block:  γ = 1 + c W_γ,  β = c W_β    (two matrices for each norm)

    G: part 0 → dense 4²·F → 8²·F → 16²·F → attention → 32²·F → norm, ReLU → 3×3 → tanh        F = 4·features
    D: 32²·C → 16²·F → attention → 8²·F → 8²·F → 8²·F → ReLU, h = sum over pixels → w·h + b + e_y·h    (projection)
    8²·F is an array (N, 8, 8, F). h, the weight w and e_y, D's own embedding of class y, have F numbers each

All weights of both networks have spectral norm, but for the embedding of G and the batch norms. One training step:

    n_critic times   draw z; update D to minimize mean max(0, 1 − D(x, y)) + mean max(0, 1 + D(G(z, y), y))
    once             draw z; update G to minimize −mean D(G(z, y), y), plus R if `ortho` is above 0

Write a weight of G as a matrix M with a row for each output. R = β/2 · ‖M Mᵀ ∘ (1 − I)‖² makes different rows
orthogonal and doesn't depend on the diagonal, their lengths (section 3.1; half of equation 3, as in the authors' code):

    dM = 2β (M Mᵀ ∘ (1 − I)) M

Without `labels`, c is the part of z alone, and D has no e_y.

Settings: those of the authors' script for ImageNet (launch_BigGAN_bs256x8.sh): orthogonal initial weights, Adam 1e-4
for G and 4e-4 for D, β (0, .999), ε 1e-6, one update of D for each of G. Their script for CIFAR-10 has neither
attention nor a shared embedding nor parts of z, N(0, .02) weights, 2e-4 for both and 4 updates of D. Neither uses R;
the paper's β is 1e-4.

Deviations: attention at 16 of 32 pixels (theirs: at 64 of 128). Batch 64 (theirs: 2048; CIFAR: 50). A latent of 128
numbers, as for CIFAR. The labels of fakes are those of the real batch (theirs: drawn uniformly). Batch norm uses
running statistics to sample, as the script does (paper: statistics of many batches, accumulated for it). The average of
G's weights has the decay .999 from the beginning (theirs: .9999 after 20,000 steps, too late for runs of a few
thousand).

Truncation (section 3.1): samples are better and less varied if z is drawn without large numbers. As in the authors'
published sampler, z = ψ z̃, where z̃ is N(0, 1) truncated to |z̃| ≤ 2, so |z| ≤ 2ψ. Training doesn't truncate.
"""

from __future__ import annotations

from math import erf, prod, sqrt
from statistics import NormalDist
from typing import Annotated, Any

import numpy as np

from minigan.backend import Device, array_module, to_numpy
from minigan.errors import MiniganError
from minigan.gans import resnet
from minigan.gans.base import LatentGAN, Shape
from minigan.gans.networks import attention_at, check_attention, logit_layers
from minigan.layers import (
    AdaptiveAffine,
    BatchNorm,
    Branches,
    Columns,
    Concat,
    Conditional,
    Conv2D,
    Dense,
    Embedding,
    Fork,
    GlobalSumPool,
    Layer,
    ReLU,
    Reshape,
    Sequential,
    SpectralNorm,
    Tanh,
    orthogonal,
    up_block,
)
from minigan.layers.blocks import Norm
from minigan.losses import Hinge
from minigan.model import LABEL, PICTURE, Kind, Measure, Now
from minigan.optim import Adam
from minigan.options import Count, Fraction, NotNegative, Option, Positive, WholeNumber

PARTS = 4  # of z: one for the first layer, one for each of the three blocks
CLASS_FEATURES = 128  # length of the class embedding that all blocks share


class BigGAN(LatentGAN):
    """A GAN for pictures (32, 32, C); `labels` makes it conditional on `n_classes` classes.

    Raises ShapeError for pictures of another size, ValueError for `labels` without `n_classes`, for a latent of fewer
    than 4 numbers, and for attention at a stage that the networks don't have.
    """

    paper = "Large Scale GAN Training for High Fidelity Natural Image Synthesis (Brock et al. 2019)"
    makes = "pictures of 32 pixels; with labels, of the data's classes"
    suits = (
        "for pictures of a chosen class with distant parts that belong together; a step is as slow as sngan's resnet"
    )
    arrays = {"real": PICTURE}
    ema = 0.999
    measures = LatentGAN.measures | {
        "ortho": Measure("R", "Orthogonal regularization", "positive", note="0 if different outputs are orthogonal")
    }

    @classmethod
    def needs(cls, labels: bool = False, **arguments: Any) -> dict[str, Kind]:
        """Return the arrays of a batch: "real", and with `labels` also "label"."""
        return cls.arrays | {"label": LABEL} if labels else cls.arrays

    def __init__(
        self,
        shape: Shape,
        latent_dim: Annotated[int, Count("length of the latent vector z, of which each block gets a part")] = 128,
        lr: Annotated[float, Positive("learning rate of G")] = 1e-4,
        lr_d: Annotated[float, Positive("learning rate of D")] = 4e-4,
        b1: Annotated[float, Fraction("Adam's decay of the first moment")] = 0.0,
        b2: Annotated[float, Fraction("Adam's decay of the second moment")] = 0.999,
        n_critic: Annotated[int, Count("discriminator updates per generator update")] = 1,
        attention: Annotated[
            int, WholeNumber("self-attention in G and D, at their stages of 8 or 16 pixels; 0: none")
        ] = 16,
        ortho: Annotated[
            float, NotNegative("weight β of the orthogonal regularization of G; the paper's is 0.0001")
        ] = 0.0,
        labels: Annotated[bool, Option("train a conditional model on the data's classes")] = False,
        n_classes: Annotated[int | None, Count("number of classes", default="as many as the data has")] = None,
        features: Annotated[int, Count("a quarter of the channels of every stage")] = 64,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        resnet.check_shape(shape, "biggan", "")
        if labels != bool(n_classes):
            raise ValueError(f"`labels` is {labels} and `n_classes` is {n_classes}: a conditional model needs both")
        if latent_dim < PARTS:
            raise ValueError(
                f"`latent_dim` is {latent_dim}: biggan cuts z into {PARTS} parts, so it needs {PARTS} or more"
            )
        check_attention(attention, resnet.STAGES, "biggan")
        self.n_classes, self.arrays, self.ortho = n_classes or 0, self.needs(labels), ortho
        G = _generator(shape, latent_dim, 4 * features, self.n_classes, attention, rng)
        D = _discriminator(shape, 4 * features, self.n_classes, attention, rng)
        for network in (G, D):
            _orthogonal_weights(network, rng)
        self.setup(shape, latent_dim, G, D, Hinge(), device, n_critic)
        rates = {"G": lr, "D": lr_d}
        self.optimizers = {n: Adam(net.parameters(), rates[n], (b1, b2), eps=1e-6) for n, net in self.networks.items()}
        if not ortho:
            self.measures = LatentGAN.measures

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """Update D `n_critic` times, then G once.

        Returns both losses, the mean logits of real and fake pictures, and R if it is used. g_loss excludes R.
        """
        for _ in range(self.n_critic):
            batch = next_batch()
            real, labels = batch["real"], batch.get("label")  # (N, 32, 32, C), (N,) or None
            measured = self.discriminator_step(real, labels, rng)
        return measured | self.generator_step(len(real), labels, rng)

    def discriminator_step(self, real: Any, labels: Any, rng: Any) -> dict[str, Any]:
        """Update D to minimize mean max(0, 1 − D(x, y)) + mean max(0, 1 + D(G(z, y), y)).

        Real and fake pictures are one batch of D, so a step makes one power iteration of each of D's weights.
        """
        D, optimizer, xp, n = self.networks["D"], self.optimizers["D"], array_module(real), len(real)
        optimizer.zero_grad()
        z = self.latent(n, rng)  # (N, latent_dim)
        fake = self.networks["G"].output(self._with_labels(z, labels), rng=rng)  # no cache: G gets no gradient
        pictures = xp.concatenate([real, fake])  # (2N, 32, 32, C)
        both = None if labels is None else xp.concatenate([labels, labels])  # (2N,)
        logits, cache = D.forward(self._with_labels(pictures, both), rng=rng)  # → (2N, 1)
        loss_real, dreal = self.loss.real(logits[:n])
        loss_fake, dfake = self.loss.fake(logits[n:])
        D.backward(xp.concatenate([dreal, dfake]), cache, wrt="params")

        optimizer.step()
        return {"d_loss": loss_real + loss_fake, "d_real": logits[:n].mean(), "d_fake": logits[n:].mean()}

    def generator_step(self, n: int, labels: Any, rng: Any) -> dict[str, Any]:
        """Update G on `n` new fakes to minimize −mean D(G(z, y), y) + R."""
        G, D, optimizer = self.networks["G"], self.networks["D"], self.optimizers["G"]
        optimizer.zero_grad()
        z = self.latent(n, rng)
        fake, G_cache = G.forward(self._with_labels(z, labels), rng=rng)  # (N, latent_dim) → (N, 32, 32, C)
        logits, D_cache = D.forward(self._with_labels(fake, labels), rng=rng)  # → (N, 1)
        loss, dlogits = self.loss.generator(logits)  # −mean D
        dx = D.backward(dlogits, D_cache, wrt="input")  # (N, 32, 32, C), or (that, None) with labels; D isn't updated
        del D_cache
        G.backward(dx if labels is None else dx[0], G_cache, wrt="params")
        measured = {"g_loss": loss}
        if self.ortho:
            measured["ortho"] = orthogonal_regularization(G, self.ortho)

        optimizer.step()
        return measured

    def generate(self, z: Any, labels: Any = None, truncation: float | None = None) -> Any:
        """Map z (n, latent_dim) to pictures (n, 32, 32, C) in [−1, 1]; `truncation` is ψ, None for z as it is.

        Raises MiniganError for ψ < 0, ValueError for labels as in `LatentGAN`.
        """
        if truncation is not None:
            z = self.device.array(truncated(to_numpy(z), truncation))
        return super().generate(z, labels)

    def _with_labels(self, x: Any, labels: Any) -> Any:
        """Return the input of a network: x, or (x, labels) in a conditional model."""
        return x if labels is None else (x, labels)


def truncated(z: np.ndarray, truncation: float) -> np.ndarray:
    """Map z of N(0, 1) to ψ z̃ with ψ = `truncation`, where z̃ has the same distribution truncated to |z̃| ≤ 2.

    P(|z̃| < a) = P(|z| < a) / P(|z| < 2) for a ≤ 2, and P(|z| < a) = erf(a/√2). So the map

        erf(z̃/√2) = erf(2/√2) · erf(z/√2)

    has this result, and nothing is drawn: a seed has similar pictures with every ψ. Raises MiniganError for ψ < 0.
    """
    if truncation < 0:
        raise MiniganError(f"`truncation` is {truncation:g}: it limits |z| to twice its value, so give at least 0")
    inside = erf(sqrt(2)) * np.vectorize(erf, [float])(z / sqrt(2))
    z_tilde = np.vectorize(NormalDist().inv_cdf, [float])((1 + inside) / 2)  # Φ(z̃) = (1 + erf(z̃/√2))/2
    return (truncation * z_tilde).astype(z.dtype)


def orthogonal_regularization(network: Layer, beta: float) -> Any:
    """Return R = Σ β/2 · ‖M Mᵀ ∘ (1 − I)‖² over the weights of a network, and add dR/dW to their gradients.

    M (K, …) has a row for each output. Embeddings are left out, as the authors' code leaves out the shared one.
    """
    total = 0.0
    for _, layer in network.walk():
        if isinstance(layer, (Dense, Conv2D)):
            M_T = layer.W.reshape(-1, layer.W.shape[-1])  # (R, S, C, K) → (R·S·C, K)
            products = M_T.T @ M_T  # M Mᵀ (K, K)
            products *= 1 - array_module(M_T).eye(len(products), dtype=products.dtype)
            total = total + beta / 2 * (products * products).sum()
            layer.dW += (2 * beta * (M_T @ products)).reshape(layer.W.shape)  # dMᵀ = 2β Mᵀ (M Mᵀ ∘ (1 − I))
    return total


def _generator(
    shape: Shape, latent_dim: int, F: int, n_classes: int, attention: int, rng: np.random.Generator
) -> Sequential:
    """Build G: z (N, latent_dim), or (z, labels) → pictures (N, 32, 32, C) in [−1, 1].

    All blocks get the same c: z (N, latent_dim) beside the embedding e (N, 128). `Columns` selects the part of z that
    belongs to a block, and e.
    """
    ends = [latent_dim * i // PARTS for i in range(PARTS + 1)]  # part i of z is z[:, ends[i] : ends[i + 1]]
    parts = list(zip(ends, ends[1:], strict=False))
    of_class = [(latent_dim, latent_dim + CLASS_FEATURES)] if n_classes else []
    join = [Branches(None, Embedding(n_classes, CLASS_FEATURES, rng=rng)), Concat()] if n_classes else []

    def wrap(layer: Layer) -> Layer:
        return SpectralNorm(layer, rng=rng)

    def norm_of(part: tuple[int, int]) -> Norm:
        """Return a function that makes a norm (x, c) → γ x̂ + β from its number of channels; `part` is that of z."""
        columns = [part, *of_class]
        n = sum(stop - start for start, stop in columns)

        def linear(channels: int) -> Layer:
            return Sequential(Columns(*columns), wrap(Dense(n, channels, bias=False, rng=rng)))

        return lambda channels: Conditional(
            BatchNorm(channels, affine=False), AdaptiveAffine(linear(channels), linear(channels))
        )

    start = [Columns(parts[0]), wrap(Dense(parts[0][1], 4 * 4 * F, rng=rng)), Reshape(4, 4, F)]
    blocks = [up_block(F, F, norm=norm_of(part), wrap=wrap, rng=rng) for part in parts[1:]]
    insert = attention_at(attention, rng, wrap=wrap)
    picture = [BatchNorm(F), ReLU(), wrap(Conv2D(F, shape[2], 3, padding=1, rng=rng)), Tanh()]
    return Sequential(
        *join,  # (z, labels) → c (N, latent_dim + 128)
        Fork(Sequential(*start), None),  # c → (h (N, 4, 4, F), c)
        Conditional(blocks[0], *insert(8, F), blocks[1], *insert(16, F), blocks[2], *picture),  # 8², 16², 32²
    )


def _discriminator(shape: Shape, F: int, n_classes: int, attention: int, rng: np.random.Generator) -> Sequential:
    """Build D: pictures (N, 32, 32, C), or (pictures, labels) → logits (N, 1)."""

    def wrap(layer: Layer) -> Layer:
        return SpectralNorm(layer, rng=rng)

    layers = resnet.critic_layers(shape, F, rng, wrap, attention_at(attention, rng, wrap=wrap))
    return logit_layers([*layers, GlobalSumPool()], F, n_classes, rng, bias=True)


def _orthogonal_weights(network: Layer, rng: np.random.Generator) -> None:
    """Give every weight orthonormal rows or columns, and spectral norms the vectors u and v of the new weight."""
    draw = orthogonal()
    for _, layer in network.walk():
        if isinstance(layer, (Dense, Conv2D, Embedding)):
            layer.W = draw(rng, layer.W.shape, prod(layer.W.shape[:-1]), layer.W.shape[-1])
    for _, layer in network.walk():
        if isinstance(layer, SpectralNorm):
            layer.iterate()
