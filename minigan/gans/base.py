"""What every GAN here has: two networks on a device, latents, and a generator to draw with.

The two update steps are not here. Each GAN's own file spells them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.backend import Device, array_module, get_device
from minigan.layers import Sequential
from minigan.optim import Optimizer, WeightAverage


class Model:
    """A generator "G" and a discriminator or critic "D" for samples of `shape`, (H, W, C) or (2,).

    A subclass builds both in its constructor, hands them to `setup`, makes `optimizers` with the same names, and writes
    `step`. With `n_classes` > 0 the model is conditional: `step` is given batches (x, labels), and `generate` labels.
    """

    batch_size = 64  # a good one for a beginning; `minigan train` uses it, and lr_decay, unless it is told otherwise
    lr_decay = "none"  # "none", "linear" or "cosine": how the learning rate falls to 0 by the end of training
    depends: dict[str, str] = {}  # for help: constructor arguments whose default depends on others
    n_classes = 0
    average: WeightAverage | None = None
    networks: dict[str, Sequential]
    optimizers: dict[str, Optimizer]

    def setup(
        self, shape: tuple[int, ...], latent_dim: int, G: Sequential, D: Sequential, device: Device | str
    ) -> None:
        """Move the networks to the device and remember what they are for."""
        self.shape, self.latent_dim, self.device = tuple(shape), latent_dim, get_device(device)
        self.networks = {"G": G.to(self.device), "D": D.to(self.device)}

    def latent(self, n: int, rng: Any) -> Any:
        """Draw z (n, latent_dim) from N(0, 1)."""
        return rng.standard_normal((n, self.latent_dim), dtype=np.float32)

    def labels(self, n: int) -> Any:
        """Labels (n,) that go round the classes, 0, 1, …, n_classes − 1, 0, … Only for a conditional model."""
        return array_module(self.networks["G"].parameters().values).arange(n) % self.n_classes

    def generate(self, z: Any, labels: Any = None) -> Any:
        """z (n, latent_dim) → pictures (n, H, W, C) in [−1, 1], or points (n, 2), by G in inference mode.

        With `average_weights` it is the average of G's weights that draws. A conditional model takes labels (n,);
        without them it goes round the classes. Raises ValueError for labels that the model doesn't know.
        """
        if not self.n_classes:
            if labels is not None:
                raise ValueError("this model knows no classes, so it can't be given labels")
            return self.sampler.output(z, train=False)
        labels = self.labels(len(z)) if labels is None else array_module(z).asarray(labels)
        if labels.shape != (len(z),):
            raise ValueError(f"{len(z)} latents need as many labels, got an array of shape {tuple(labels.shape)}")
        return self.sampler.output((z, labels), train=False)

    def step(self, next_batch: Any, rng: Any) -> dict[str, Any]:
        """One update of G, after those of D; returns d_loss, g_loss, d_real and d_fake as 0-d arrays."""
        raise NotImplementedError

    @property
    def sampler(self) -> Sequential:
        """The network that `generate` draws with."""
        return self.networks["G"] if self.average is None else self.average.average

    def average_weights(self, decay: float) -> None:
        """Keep an exponential moving average of G's weights, and draw with it (Yazıcı et al. 2018).

        To be called once, before training; then `self.average.update()` after every step.
        """
        self.average = WeightAverage(self.networks["G"], decay)


def at_least_one(n_critic: int) -> int:
    """Return `n_critic`. Raises ValueError if it is less than 1."""
    if n_critic < 1:
        raise ValueError(f"n_critic is {n_critic}: D needs at least one update for each of G's")
    return n_critic


def choose(what: str, name: str, table: dict[str, Any]) -> Any:
    """Return `table[name]`. Raises ValueError, with the names that there are, for another one."""
    if name not in table:
        raise ValueError(f"{what} is {name!r}: choose from {', '.join(table)}")
    return table[name]


def filled(given: Sequence[Any], defaults: Sequence[Any]) -> list[Any]:
    """What was given, and the default where that is None."""
    return [default if value is None else value for value, default in zip(given, defaults, strict=True)]
