"""The base class of all GANs that generate samples from latent vectors z: a generator "G" and a discriminator "D".

The update steps of D and G differ from paper to paper and are written out in each GAN's own file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigan.backend import Device, array_module, get_device
from minigan.layers import Layer, Sequential
from minigan.model import SAMPLES, Exhibit, Game, Measure, Model

Shape = tuple[int, ...]  # of a sample
Networks = tuple[Sequential, Sequential]  # G and D
SHOWN_PICTURES, SHOWN_POINTS = 64, 1000
SHOWN_ROWS, MAX_COLUMNS = 8, 16  # a conditional GAN shows 8 pictures of each class, if it has at most 16 classes


class LatentGAN(Model):
    """A GAN that maps latents z (N, latent_dim) to samples (N, *shape); `shape` is (H, W, C), or (2,) for points.

    A subclass builds both networks in its constructor, passes them to `setup`, fills `optimizers` under the same names,
    and writes `step`. It is conditional if `n_classes` > 0: batches then contain labels, and `generate` takes them.
    """

    arrays = {"real": SAMPLES}
    averaged = ("G",)
    measures = {
        "d_loss": Measure("D", "Losses"),
        "g_loss": Measure("G", "Losses"),
        "d_real": Measure("D(x), real", "Output of D", "opinion"),
        "d_fake": Measure("D(G(z)), generated", "Output of D", "opinion"),
    }

    def setup(
        self,
        shape: tuple[int, ...],
        latent_dim: int,
        G: Layer,
        D: Layer,
        loss: Any,
        device: Device | str,
        n_critic: int = 1,
    ) -> None:
        """Move both networks to the device, and declare the objective `loss` and `n_critic` updates of D per step.

        Raises ValueError if `n_critic` is less than 1.
        """
        if n_critic < 1:
            raise ValueError(f"`n_critic` is {n_critic}: D needs at least one update for each of G's")
        self.n_critic = self.batches_per_step = n_critic
        self.shape, self.latent_dim, self.device = tuple(shape), latent_dim, get_device(device)
        self.networks = {"G": G.to(self.device), "D": D.to(self.device)}
        self.loss, self.losses, self.games = loss, {"loss": loss}, (Game(loss),)

    def latent(self, n: int, rng: Any) -> Any:
        """Draw z (n, latent_dim) from N(0, 1)."""
        return rng.standard_normal((n, self.latent_dim), dtype=np.float32)

    def labels(self, n: int) -> Any:
        """Return n labels (n,) that cycle through the classes: 0, 1, …, n_classes − 1, 0, … Conditional models only."""
        return array_module(self.networks["G"].parameters().values).arange(n) % self.n_classes

    def generate(self, z: Any, labels: Any = None) -> Any:
        """Map z (n, latent_dim) to pictures (n, H, W, C) in [−1, 1], or points (n, 2), with G in inference mode.

        Uses the moving average of G's weights if there is one. A conditional model takes labels (n,); the default
        cycles through the classes. Raises ValueError for labels of another shape, or given to an unconditional model.
        """
        return self.drawing("G").output(self.input_of_G(z, labels), train=False)

    def trace(self, code: Any, labels: Any = None) -> tuple[Any, Callable[[Any], Any]]:
        """Return the samples of z = `code` (n, latent_dim), as `generate`, and `backward`, which maps dsamples to dz.

        The gradients of G's parameters are left alone. Raises ValueError for the same labels as `generate`.
        """
        G = self.drawing("G")
        samples, cache = G.forward(self.input_of_G(code, labels), train=False)  # (n, latent_dim) → (n, *shape)

        def backward(dsamples: Any) -> Any:
            dx = G.backward(dsamples, cache, wrt="input")  # labels have no gradient
            return dx[0] if self.n_classes else dx

        return samples, backward

    def input_of_G(self, z: Any, labels: Any) -> Any:
        """Return z, or (z, labels) for a conditional model; labels that aren't given cycle through the classes."""
        if not self.n_classes:
            if labels is not None:
                raise ValueError("this model is not conditional: call `generate` without labels")
            return z
        labels = self.labels(len(z)) if labels is None else array_module(z).asarray(labels)
        if labels.shape != (len(z),):
            raise ValueError(f"{len(z)} latents need as many labels, got an array of shape {tuple(labels.shape)}")
        return z, labels

    def show(self, held_out: Sequence[dict[str, Any]], rng: Any) -> dict[str, Exhibit]:
        """Return generated samples; `rng` has the same seed in every call, so the latents are the same each time."""
        columns = self.n_classes if len(self.shape) == 3 and 0 < self.n_classes <= MAX_COLUMNS else None
        n = SHOWN_POINTS if len(self.shape) == 1 else SHOWN_ROWS * columns if columns else SHOWN_PICTURES
        return {"samples": Exhibit(self.generate(self.latent(n, rng)), columns, like="real")}


def choose(option: str, name: Any, table: dict[Any, Any]) -> Any:
    """Return `table[name]`. Raises ValueError that lists the valid names if `name` isn't one of them."""
    if name not in table:
        raise ValueError(f"`{option}` is {name!r}: choose from {', '.join(map(str, table))}")
    return table[name]


def with_defaults(values: Sequence[Any], defaults: Sequence[Any]) -> list[Any]:
    """Replace each None in `values` by the default at the same position."""
    return [default if value is None else value for value, default in zip(values, defaults, strict=True)]
