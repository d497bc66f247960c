"""What the GANs that draw from latents share: a generator "G" and a discriminator or critic "D", latents, and pictures.

The two update steps are not here. Each GAN's own file spells them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.backend import Device, array_module, get_device
from minigan.layers import Sequential
from minigan.model import SAMPLES, Exhibit, Game, Measure, Model

PICTURES, POINTS = 64, 1000  # samples that are shown
ROWS, MOST_COLUMNS = 8, 16  # of the pictures of a conditional GAN: a column for each class, if they are so few


class LatentGAN(Model):
    """Samples of `shape`, (H, W, C) or (2,), from latents z (n, latent_dim).

    A subclass builds both networks in its constructor, hands them to `setup`, makes `optimizers` with the same names,
    and writes `step`. With `n_classes` > 0 it is conditional: batches have labels as well, and `generate` takes them.
    """

    arrays = {"real": SAMPLES}
    averaged = ("G",)
    measures = {
        "d_loss": Measure("D", "Losses"),
        "g_loss": Measure("G", "Losses"),
        "d_real": Measure("D(x), real", "What D thinks", "opinion"),
        "d_fake": Measure("D(G(z)), generated", "What D thinks", "opinion"),
    }

    def setup(
        self, shape: tuple[int, ...], latent_dim: int, G: Sequential, D: Sequential, loss: Any, device: Device | str
    ) -> None:
        """Move the networks to the device, and declare the game that they play with the objective `loss`."""
        self.shape, self.latent_dim, self.device = tuple(shape), latent_dim, get_device(device)
        self.networks = {"G": G.to(self.device), "D": D.to(self.device)}
        self.loss, self.losses, self.games = loss, {"loss": loss}, (Game(loss),)

    def latent(self, n: int, rng: Any) -> Any:
        """Draw z (n, latent_dim) from N(0, 1)."""
        return rng.standard_normal((n, self.latent_dim), dtype=np.float32)

    def labels(self, n: int) -> Any:
        """Labels (n,) that go round the classes, 0, 1, …, n_classes − 1, 0, … Only for a conditional model."""
        return array_module(self.networks["G"].parameters().values).arange(n) % self.n_classes

    def generate(self, z: Any, labels: Any = None) -> Any:
        """z (n, latent_dim) → pictures (n, H, W, C) in [−1, 1], or points (n, 2), by G in inference mode.

        If G's weights are averaged, their average draws. A conditional model takes labels (n,); without them it goes
        round the classes. Raises ValueError for labels that the model doesn't know.
        """
        G = self.drawing("G")
        if not self.n_classes:
            if labels is not None:
                raise ValueError("this model knows no classes, so it can't be given labels")
            return G.output(z, train=False)
        labels = self.labels(len(z)) if labels is None else array_module(z).asarray(labels)
        if labels.shape != (len(z),):
            raise ValueError(f"{len(z)} latents need as many labels, got an array of shape {tuple(labels.shape)}")
        return G.output((z, labels), train=False)

    def show(self, held_out: Sequence[dict[str, Any]], rng: Any) -> dict[str, Exhibit]:
        """Samples of latents that are the same every time."""
        columns = self.n_classes if len(self.shape) == 3 and 0 < self.n_classes <= MOST_COLUMNS else None
        n = POINTS if len(self.shape) == 1 else ROWS * columns if columns else PICTURES
        return {"samples": Exhibit(self.generate(self.latent(n, rng)), columns, like="real")}


def at_least_one(n_critic: int) -> int:
    """Return `n_critic`. Raises ValueError if it is less than 1."""
    if n_critic < 1:
        raise ValueError(f"`n_critic` is {n_critic}: D needs at least one update for each of G's")
    return n_critic


def choose(what: str, name: str, table: dict[str, Any]) -> Any:
    """Return `table[name]`. Raises ValueError, with the names that there are, for another one."""
    if name not in table:
        raise ValueError(f"`{what}` is {name!r}: choose from {', '.join(table)}")
    return table[name]


def filled(given: Sequence[Any], defaults: Sequence[Any]) -> list[Any]:
    """What was given, and the default where that is None."""
    return [default if value is None else value for value, default in zip(given, defaults, strict=True)]
