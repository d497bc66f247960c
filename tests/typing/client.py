"""A small client program, as a user writes one who runs `mypy --strict` over it.

    mypy --strict tests/typing/client.py
    python tests/typing/client.py

It trains a DCGAN by hand, checks a layer of its own and uses it, measures, and goes through what a program that imports
minigan touches: data, batches, networks, optimizers, losses, metrics, devices, and errors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.backend import get_device
from minigan.data import ArrayDataset, Feeds, Source, open_feeds, ring
from minigan.errors import MiniganError
from minigan.gans import MODELS
from minigan.gans.dcgan import DCGAN
from minigan.layers import Dense, Flatten, Layer, LeakyReLU, Sequential
from minigan.layers.base import Wrt
from minigan.losses import Minimax
from minigan.metrics import frechet_distance
from minigan.model import LABEL, POINTS, Now
from minigan.optim import SGD, Adam, WeightAverage, clip_grad_norm, cosine_decay
from minigan.penalties import GradientPenalty
from minigan.testing import GradientError, GradientReport, check_layer


class Scale(Layer):
    """y = x · s, with a factor for each channel."""

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self.add_parameters(s=np.ones(channels))

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        self.check_input(x, None, self.channels)
        return x * self.s.astype(x.dtype, copy=False), x

    def backward_input(self, dy: Any, cache: Any) -> Any:
        return dy * self.s.astype(dy.dtype, copy=False)

    def backward_params(self, dy: Any, cache: Any) -> None:
        self.ds += (dy * cache).reshape(-1, self.channels).sum(axis=0)

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        self.check_second(ddx, dy, cache)
        self.ds += (ddx * dy).reshape(-1, self.channels).sum(axis=0)
        return ddx * self.s.astype(dy.dtype, copy=False), None

    def shapes(self, cache: Any) -> tuple[Any, Any]:
        return cache.shape, cache.shape


class Clip(Layer):
    """y = x within [−1, 1], with a `backward` of its own."""

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        return x.clip(-1, 1), abs(x) < 1

    def backward(self, dy: Any, cache: Any, wrt: Wrt = "both") -> Any:
        self.check_dy(dy, cache.shape, wrt)
        return dy * cache if wrt != "params" else None


def train(sources: dict[str, Source], steps: int) -> tuple[DCGAN, dict[str, float]]:
    """Train a small DCGAN by its own step, and say what it measured last."""
    rng = np.random.default_rng(0)
    gan = DCGAN(sources["data"].shapes["real"], latent_dim=8, features=4, rng=rng)
    gan.average_weights(0.9)
    measured: dict[str, Any] = {}
    with Feeds(sources, gan.arrays, batch_size=4, seed=0) as feeds:
        for step in range(steps):
            measured = gan.step(feeds.next, rng, Now(step, feeds.position, rng))
            for average in gan.averages.values():
                average.update()
    return gan, {name: float(value) for name, value in measured.items()}


def train_by_hand(x: Any, steps: int) -> list[float]:
    """A discriminator learns to tell pictures from noise, with every gradient in sight."""
    rng = np.random.default_rng(0)
    features = int(np.prod(x.shape[1:]))
    D = Sequential(Flatten(), Scale(features), Dense(features, 8, rng=rng), LeakyReLU(0.2), Dense(8, 1, rng=rng))
    optimizer, average, loss = Adam(D.parameters(), lr=1e-3), WeightAverage(D), Minimax()
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        noise = rng.standard_normal(x.shape, dtype=np.float32)
        total = 0.0
        for pictures, objective in ((x, loss.real), (noise, loss.fake)):
            logits, cache = D.forward(pictures, rng=rng)
            value, dlogits = objective(logits)
            D.backward(dlogits, cache, wrt="params")
            total += float(value)
        clip_grad_norm(D.parameters(), 10.0)
        optimizer.step()
        average.update()
        losses.append(total)
    D[1].s[...] = 1.0
    D[1].s = np.ones(features)
    assert average.average[1].s.shape == (features,)
    return losses


def flatten_a_critic(steps: int) -> float:
    """A critic of points learns a gradient penalty alone, with a schedule for the learning rate."""
    rng, schedule = np.random.default_rng(0), cosine_decay(steps)
    critic = Sequential(Dense(2, 8, rng=rng), LeakyReLU(0.2), Dense(8, 1, rng=rng))
    optimizer, penalty, value = SGD(critic.parameters(), lr=1e-2), GradientPenalty(), 0.0
    points, kinds = ring(64, seed=0), {"real": POINTS, "label": LABEL}
    with Feeds(open_feeds(points, kinds), kinds, batch_size=8) as feeds:
        for step in range(steps):
            optimizer.lr = 1e-2 * schedule(step)
            optimizer.zero_grad()
            batch = feeds.next()
            value = float(penalty(critic, batch["real"], points.centers[batch["label"]], rng))
            optimizer.step()
    return value


def main() -> None:
    device = get_device("cpu")
    sources = open_feeds("digits", DCGAN.arrays, limit=16)
    data = sources["data"]
    gan, measured = train(sources, steps=1)
    first: Layer = gan.networks["G"].layers[0]
    z = gan.latent(4, device.rng(1))
    pictures = gan.generate(z)
    names = list(gan.networks["D"].state_dict())
    print(f"{data.describe()}; {sorted(measured)}; G begins with {first!r}; {pictures.shape}; {names[0]}")
    print(f"{len(gan.networks['G'].layers)} layers, {len(gan.networks['G'].parameters()):,} parameters")
    other = MODELS["wgan-gp"](data.shapes["real"], features=4, rng=np.random.default_rng(0))
    print(f"the critic of {type(other).__name__}: {len(other.networks['D'].parameters()):,} parameters")

    own = ArrayDataset("mine", np.zeros((4, 16, 16, 1), np.uint8), labels=np.arange(4))
    print(f"{len(own)} pictures, by hand: {train_by_hand(own.batch(np.arange(4)), steps=2)[0]:.2f}")

    print(f"a penalty of {flatten_a_critic(steps=2):.2f}")
    report: GradientReport = check_layer(Scale(3), np.random.default_rng(0).standard_normal((4, 3)))
    check_layer(Clip(), np.array([[0.5, 1.5]]), order=1)
    assert max(report.worst()) < 1e-9
    try:
        check_layer(Scale(3), np.zeros((0, 3)))
    except (MiniganError, GradientError) as error:
        print(error)

    features = np.random.default_rng(0).standard_normal((8, 3))
    distance: float = frechet_distance(features.mean(0), np.cov(features.T), features.mean(0), np.cov(features.T))
    print(f"{distance:.1f}")


if __name__ == "__main__":
    main()
