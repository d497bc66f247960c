"""LAPGAN: "Deep Generative Image Models using a Laplacian Pyramid of Adversarial Networks" (Denton et al. 2015).

A picture is generated at a coarse size first, and then doubled several times. Each size is a level with a GAN of its
own. d halves a picture, to the mean of each 2×2 pixels, and u doubles it by linear interpolation. From the finest level
down, a real picture x is

    x_k at level k        coarse_k = u(d(x_k))        h_k = x_k − coarse_k, the residual

so x_k = coarse_k + h_k exactly, and d(x_k) is the picture of the next coarser level. G of the coarsest level makes a
picture of noise z. G of any other level makes a residual of noise and a coarse picture. Sampling goes up the levels
(section 2.3 of the paper):

    x = G_0(z_0)          x ← u(x) + G_k(z_k, u(x)),  k = 1, 2, …

One training step, for every level on its own, all with the same real pictures:

    fake = coarse + G(z, coarse)       with the *real* coarse picture
    update D to minimize −½ mean log D(x) − ½ mean log(1 − D(fake))
    update G to minimize −mean log D(fake), on the same fakes

D gets the sum of residual and coarse picture, so both real and fake are whole pictures with the same coarse part. In
training, no level depends on another. In sampling, each gets the picture of the next coarser level.

Networks (lapgan_networks.py), from the authors' CIFAR scripts (facebookarchive/eyescream), with F = `features`:

    coarsest    G: z (100) → 16F → 16F → H·W·C       dense, ReLU, linear output
                D: H·W·C → 16F → 16F → 1             dense, ReLU, dropout .5 after each ReLU
    others      G: 1 + C → F → F → C                 7×7, 7×7, 5×5 convolutions of the same size, ReLU, linear output
                D: C → F → F → 1                     5×5, 5×5 with stride 2, no padding, ReLU; dropout .5; dense

z is uniform in [−1, 1]: a vector at the coarsest level, and one number for each pixel at the others. A size is halved
as long as it is even and its half has at least 7 pixels: 28 → 14 → 7, 32 → 16 → 8, 64 → 32 → 16 → 8.

Deviations from the authors' code: Adam 2e-4 (.5, .999) instead of SGD .02 with growing momentum; Glorot's initial
weights instead of Torch's; 16F = 1024 units at the coarsest level (theirs: 8000 in G and 1600 in D); fakes have the
coarse pictures of the same real batch (theirs: of other real pictures), and G is updated on the fakes of D's update, as
in dcgan.py, instead of twice as many new ones; u has half-pixel centers (theirs: aligned corners); pictures in [−1, 1]
instead of normalized colors, and samples are clipped to that range; no class labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Annotated, Any, NamedTuple

import numpy as np

from minigan.backend import Device, array_module, get_device
from minigan.errors import ShapeError
from minigan.gans.base import Shape
from minigan.gans.lapgan_networks import coarsest_networks, residual_networks
from minigan.layers import AvgPool2D, BilinearUpsample, Upsample
from minigan.layers.activations import sigmoid
from minigan.losses import Minimax
from minigan.model import PICTURE, Exhibit, Game, Measure, Model, Now
from minigan.optim import Adam
from minigan.options import Count, Fraction, Positive

SMALLEST = 7  # pixels of the coarsest level, at least
SHOWN, SHOWN_LEVELS = 64, 8  # pictures; rows of the exhibit that has a column for each level


class Level(NamedTuple):
    """A size of the pyramid: the names of its networks, the shape of its pictures, and of its noise for one sample."""

    G: str
    D: str
    shape: Shape
    noise: Shape


class LAPGAN(Model):
    """A GAN for each level of a Laplacian pyramid; `shape` (H, W, C) is that of the finest.

    H and W are even and at least 14; C is 1 or 3. Raises ShapeError for other shapes.
    """

    paper = (
        "Deep Generative Image Models using a Laplacian Pyramid of Adversarial Networks (Denton, Chintala, Szlam and "
        "Fergus 2015)"
    )
    makes = "pictures of any size that is even and at least 14 pixels"
    suits = "to study how a picture is made from coarse to fine; every level trains on its own"
    arrays = {"real": PICTURE}

    def __init__(
        self,
        shape: Shape,
        latent_dim: Annotated[int, Count("length of the latent vector of the coarsest level")] = 100,
        lr: Annotated[float, Positive("learning rate")] = 2e-4,
        b1: Annotated[float, Fraction("Adam's decay of the first moment")] = 0.5,
        b2: Annotated[float, Fraction("Adam's decay of the second moment")] = 0.999,
        features: Annotated[int, Count("channels of hidden layers; coarsest level: 16 times as many units")] = 64,
        *,
        rng: np.random.Generator,
        device: Device | str = "cpu",
    ) -> None:
        shapes = shapes_of_levels(shape)
        noise = [(latent_dim,), *((H, W, 1) for H, W, _ in shapes[1:])]
        self.levels = [Level(f"G{s[0]}", f"D{s[0]}", s, n) for s, n in zip(shapes, noise, strict=True)]
        self.shape, self.device = tuple(shape), get_device(device)
        self.latent_dim = sum(prod(level.noise) for level in self.levels)  # of all levels
        self.networks = {}
        for i, level in enumerate(self.levels):
            make = residual_networks if i else coarsest_networks
            G, D = make(level.shape, latent_dim, features, rng)
            self.networks |= {level.G: G.to(self.device), level.D: D.to(self.device)}
        self.optimizers = {name: Adam(net.parameters(), lr, (b1, b2)) for name, net in self.networks.items()}
        self.averaged = tuple(level.G for level in self.levels)
        self.half, self.double = AvgPool2D(2), BilinearUpsample(2)
        self.loss = Minimax()
        self.losses = {"loss": self.loss}
        self._declare()

    def _declare(self) -> None:
        """Declare the measures and the game of each level."""
        self.measures, games = {}, []
        for level in self.levels:
            size = level.shape[0]
            losses, output = f"Losses at {size} pixels", f"Output of D at {size} pixels"
            self.measures |= {
                f"d_loss_{size}": Measure(f"D{size}", losses),
                f"g_loss_{size}": Measure(f"G{size}", losses),
                f"d_real_{size}": Measure("D(x), real", output, "opinion"),
                f"d_fake_{size}": Measure("D(fake), generated", output, "opinion"),
            }
            d_loss, g_loss, d_real, d_fake = (f"{name}_{size}" for name in MEASURED)
            games.append(Game(self.loss, level.D, level.G, d_loss, g_loss, d_real, d_fake))
        self.games = tuple(games)

    def step(self, next_batch: Any, rng: Any, now: Now) -> dict[str, Any]:
        """Update D and G of every level. Returns both losses and the means of D(x) and D(fake) of each."""
        real = next_batch()["real"]  # (N, H, W, C)
        noise = self.by_level(self.latent(len(real), rng))
        measured: dict[str, Any] = {}
        for level, (x, coarse), z in zip(self.levels, self.pyramid(real), noise, strict=True):
            numbers = self.level_step(level, x, coarse, z, rng)
            measured |= {f"{name}_{level.shape[0]}": number for name, number in zip(MEASURED, numbers, strict=True)}
        return measured

    def level_step(self, level: Level, real: Any, coarse: Any, z: Any, rng: Any) -> tuple[Any, ...]:
        """Update D, then G of one level, on pictures (N, h, w, C). Returns the numbers that MEASURED names.

        coarse: the real pictures halved and doubled again, which are data: no gradient goes into them. None at the
                coarsest level, where G makes the whole picture
        """
        G, D = self.networks[level.G], self.networks[level.D]
        xp, n = array_module(real), len(real)
        residual, G_cache = G.forward(z if coarse is None else (z, coarse), rng=rng)  # → (N, h, w, C)
        fake = residual if coarse is None else coarse + residual

        self.optimizers[level.D].zero_grad()
        logits, cache = D.forward(xp.concatenate([real, fake]), rng=rng)  # (2N, h, w, C) → (2N, 1)
        loss_real, dreal = self.loss.real(logits[:n])  # −mean log D(x)
        loss_fake, dfake = self.loss.fake(logits[n:])  # −mean log(1 − D(fake))
        D.backward(xp.concatenate([dreal, dfake]) / 2, cache, wrt="params")  # ends at D's input: G gets no gradient
        self.optimizers[level.D].step()
        del cache

        self.optimizers[level.G].zero_grad()
        fooled, cache = D.forward(fake, rng=rng)  # (N, h, w, C) → (N, 1)
        g_loss, dfooled = self.loss.generator(fooled)  # −mean log D(fake)
        dpicture = D.backward(dfooled, cache, wrt="input")  # (N, 1) → (N, h, w, C)
        # fake = coarse + residual, so dresidual = dpicture
        G.backward(dpicture, G_cache, wrt="params")
        self.optimizers[level.G].step()
        return (loss_real + loss_fake) / 2, g_loss, sigmoid(logits[:n]).mean(), sigmoid(logits[n:]).mean()

    def pyramid(self, x: Any) -> list[tuple[Any, Any]]:
        """Pictures x (N, H, W, C) → (x_k, coarse_k) of each level, the coarsest first; its coarse_k is None."""
        found = []
        for _ in self.levels[1:]:
            half = self.half.output(x)  # (N, h, w, C) → (N, h/2, w/2, C)
            found.append((x, self.double.output(half)))
            x = half
        return [(x, None), *found[::-1]]

    def latent(self, n: int, rng: Any) -> Any:
        """Draw z (n, latent_dim), uniform in [−1, 1]: the noise of all levels in a row, the coarsest first."""
        return 2 * rng.random((n, self.latent_dim), dtype=np.float32) - 1

    def by_level(self, z: Any) -> list[Any]:
        """Cut z (n, latent_dim) into the noise of each level: (n, L), and (n, h, w, 1) for the others."""
        parts, start = [], 0
        for level in self.levels:
            stop = start + prod(level.noise)
            parts.append(z[:, start:stop].reshape(len(z), *level.noise))
            start = stop
        return parts

    def generate_levels(self, z: Any) -> list[Any]:
        """Map z (n, latent_dim) to the pictures of each level (n, h, w, C), the coarsest first; they aren't clipped."""
        found: list[Any] = []
        for level, noise in zip(self.levels, self.by_level(z), strict=True):
            G = self.drawing(level.G)
            if not found:
                found.append(G.output(noise, train=False))
                continue
            coarse = self.double.output(found[-1])  # (n, h/2, w/2, C) → (n, h, w, C)
            found.append(coarse + G.output((noise, coarse), train=False))
        return found

    def generate(self, z: Any, labels: Any = None) -> Any:
        """Map z (n, latent_dim) to pictures (n, H, W, C), clipped to [−1, 1], with all G in inference mode.

        Uses the moving averages of the weights if there are any. Raises ValueError if labels are given.
        """
        self._check_labels(labels)
        return self.generate_levels(z)[-1].clip(-1, 1)

    def trace(self, code: Any, labels: Any = None) -> tuple[Any, Callable[[Any], Any]]:
        """Return the samples of z = `code` (n, latent_dim), as `generate`, and `backward`, which maps dsamples to dz.

        x = coarse + G(noise, coarse), so in each level dcoarse is the sum of dx and of G's gradient for its second
        input. No parameter gets a gradient. Raises ValueError if labels are given.
        """
        self._check_labels(labels)
        steps: list[tuple[Any, Any, Any]] = []  # of each level: its G, and the caches of G and of doubling
        for level, noise in zip(self.levels, self.by_level(code), strict=True):
            G = self.drawing(level.G)
            if not steps:
                x, cache = G.forward(noise, train=False)
                steps.append((G, cache, None))
                continue
            coarse, doubled = self.double.forward(x)
            residual, cache = G.forward((noise, coarse), train=False)
            x = coarse + residual
            steps.append((G, cache, doubled))

        def backward(dsamples: Any) -> Any:
            dz = []  # of each level, the finest first
            # forward: samples = x.clip(-1, 1)
            dx = dsamples * (abs(x) <= 1)
            for G, cache, doubled in steps[:0:-1]:
                # forward: x = coarse + G(noise, coarse)
                dnoise, dcoarse = G.backward(dx, cache, wrt="input")
                dz.append(dnoise)
                # forward: coarse = double(x of the coarser level)
                dx = self.double.backward(dx + dcoarse, doubled)
            G, cache, _ = steps[0]
            dz.append(G.backward(dx, cache, wrt="input"))
            return array_module(code).concatenate([part.reshape(len(code), -1) for part in dz[::-1]], axis=1)

        return x.clip(-1, 1), backward

    @staticmethod
    def _check_labels(labels: Any) -> None:
        if labels is not None:
            raise ValueError("this model is not conditional: call it without labels")

    def show(self, held_out: Sequence[dict[str, Any]], rng: Any) -> dict[str, Exhibit]:
        """Return samples, and the levels of a few of them side by side, enlarged to the same size."""
        z = self.latent(SHOWN, rng)
        rows = []
        for x in self.generate_levels(z[:SHOWN_LEVELS]):
            rows.append(Upsample(self.shape[0] // x.shape[1]).output(x.clip(-1, 1)))
        levels = array_module(z).stack(rows, axis=1).reshape(-1, *self.shape)  # a row for each sample
        captions = tuple(f"{level.shape[0]} pixels" for level in self.levels)
        return {
            "samples": Exhibit(self.generate(z), like="real"),
            "levels": Exhibit(levels, len(self.levels), captions=captions),
        }


MEASURED = ("d_loss", "g_loss", "d_real", "d_fake")  # of a level, in the order of `level_step` and of `Game`


def shapes_of_levels(shape: Shape) -> list[Shape]:
    """Return the shapes (h, w, C) of all levels, the coarsest first. Raises ShapeError if there is only one."""
    shapes = [tuple(shape)]
    if len(shape) == 3 and shape[2] in (1, 3):
        while all(size % 2 == 0 and size // 2 >= SMALLEST for size in shapes[0][:2]):
            H, W, C = shapes[0]
            shapes.insert(0, (H // 2, W // 2, C))
    if len(shapes) < 2:
        raise ShapeError(
            f"lapgan makes pictures with 1 or 3 channels whose size is even and at least {2 * SMALLEST} pixels, not "
            f"{'×'.join(map(str, shape))}: give another `img_size`"
        )
    return shapes
