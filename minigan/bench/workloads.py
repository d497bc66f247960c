"""What is measured: a step of a model, an update of only its D, sampling, or one layer forward and backward.

Most workloads are a whole step, with an update of each network. Two are an update of D, because their GANs spend most
of their time there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from minigan.backend import CPU, Device
from minigan.common.small_models import moments, random_batch
from minigan.common.words import nearest
from minigan.errors import MiniganError
from minigan.layers import (
    BatchNorm,
    Conv2D,
    ConvTranspose2D,
    Dense,
    InstanceNorm,
    Layer,
    LeakyReLU,
    ReLU,
    SelfAttention,
    Sequential,
)
from minigan.model import Now
from minigan.models import MODELS
from minigan.training.summary import PassCounter, step_macs

# The two updates of D draw their fakes with the generator in training mode, as in training, without updating it.
# Sampling is in inference mode, with as many pictures as a batch has. Arguments: (model, next_batch, rng, now).
STEPS: dict[str, Callable[[Any, Callable[..., dict[str, Any]], Any, Now], Any]] = {
    "step": lambda model, next_batch, rng, now: model.step(next_batch, rng, now),
    "critic step": lambda model, next_batch, rng, now: model.critic_step(next_batch()["real"], rng),
    "discriminator step": lambda model, next_batch, rng, now: model.discriminator_step(next_batch()["real"], None, rng),
    "enlarging pass": lambda model, next_batch, rng, now: enlarging_pass(model, next_batch()["low"]),
    "sampling pass": lambda model, next_batch, rng, now: model.generate(model.latent(len(next_batch()["real"]), rng)),
}


def enlarging_pass(model: Any, low: Any) -> Any:
    """Enlarge pictures (N, H, W, C) by G, which makes their luminance, in inference mode."""
    return model.networks["G"].output(model.seen(low), train=False)


PROBE = 2  # samples in the pass that counts a layer's operations


@dataclass(frozen=True)
class Training:
    """A model for pictures (H, W, C), the step that is measured, and the index of the phase in which it is."""

    model: str
    shape: tuple[int, int, int]
    step: str = "step"
    settings: dict[str, Any] = field(default_factory=dict)
    phase: int = 0
    batch_size: int = 64

    @property
    def size(self) -> int:
        """Width and height of the pictures."""
        return self.shape[0]

    def build(self, device: Device | str = "cpu") -> Any:
        """Return the model, always with the same weights."""
        cls = MODELS[self.model]
        alone = "shape" in inspect.signature(cls).parameters
        shapes = {"shape" if alone else f"{name}_shape": shape for name, shape in self.shapes.items()}
        return cls(**shapes, **self.settings, rng=np.random.default_rng(0), device=device)

    @property
    def shapes(self) -> dict[str, tuple[int, int, int]]:
        """The shape of one sample of each array of the data."""
        return dict.fromkeys(MODELS[self.model].needs(**self.settings), self.shape)

    def batch(self, model: Any, batch_size: int) -> dict[str, Any]:
        """Return a random batch on the host, always the same one."""
        return random_batch(model, self.shapes, batch_size, np.random.default_rng(0))

    def ready(self, model: Any, batch_size: int, device: Device) -> Callable[[], Any]:
        """Return a function that runs one step on a batch that is already on the device."""
        rng, now = device.rng(0), next(islice(moments(model), self.phase, None))
        there = {name: device.array(rows) for name, rows in self.batch(model, batch_size).items()}
        return lambda: STEPS[self.step](model, lambda n=None: there, rng, now)

    def parts(self, model: Any) -> tuple[list[Layer], list[Any]]:
        """Return the networks and the optimizers that take part in a step."""
        return list(model.networks.values()), list(model.optimizers.values())

    def macs(self) -> float:
        """Return the multiply-adds of a step's matrix products, for each picture of the batch."""
        return step_macs(self.build(), self.shapes, STEPS[self.step], self.phase)


@dataclass(frozen=True)
class SingleLayer:
    """A layer run forward, and backward to x and the parameters, on samples (H, W, C) or (C,)."""

    make: Callable[[np.random.Generator], Layer]
    shape: tuple[int, ...]
    step: ClassVar[str] = "forward and backward pass"
    batch_size: ClassVar[int] = 64
    size: ClassVar[None] = None  # workloads are compared by picture size only within one model

    def build(self, device: Device | str = "cpu") -> Layer:
        """Return the layer, always with the same weights."""
        return self.make(np.random.default_rng(0)).to(device)

    def ready(self, layer: Layer, batch_size: int, device: Device) -> Callable[[], Any]:
        """Return a function that runs both passes on random x (N, …) and dy, starting from zero gradients."""
        rng = device.rng(0)
        x = rng.standard_normal((batch_size, *self.shape), dtype=np.float32)
        dy = rng.standard_normal(layer.forward(x)[0].shape, dtype=np.float32)

        def step() -> Any:
            layer.parameters().zero_grad()
            _, cache = layer.forward(x)
            return layer.backward(dy, cache, wrt="both")  # (N, …), like x

        return step

    def parts(self, layer: Layer) -> tuple[list[Layer], list[Any]]:
        """Return the layer, and no optimizers."""
        return [layer], []

    def macs(self) -> float:
        """Return the multiply-adds of both passes' matrix products, for each sample of the batch."""
        layer = self.build()
        step = self.ready(layer, PROBE, CPU)
        watch = PassCounter(SimpleNamespace(networks={"layer": layer}))
        step()
        watch.close()
        return sum(watch.macs.values()) / PROBE


Workload = Training | SingleLayer

LAYERS: dict[str, Workload] = {
    "conv4-32": SingleLayer(lambda rng: Conv2D(64, 128, 4, stride=2, padding=1, rng=rng), (32, 32, 64)),
    "conv4-8": SingleLayer(lambda rng: Conv2D(256, 512, 4, stride=2, padding=1, rng=rng), (8, 8, 256)),
    "convt4-16": SingleLayer(lambda rng: ConvTranspose2D(128, 64, 4, stride=2, padding=1, rng=rng), (16, 16, 128)),
    "conv5-14": SingleLayer(lambda rng: Conv2D(64, 128, 5, stride=2, padding=2, rng=rng), (14, 14, 64)),
    "conv3-16": SingleLayer(lambda rng: Conv2D(128, 128, 3, padding=1, rng=rng), (16, 16, 128)),
    "conv3-32": SingleLayer(lambda rng: Conv2D(256, 256, 3, padding=1, rng=rng), (32, 32, 256)),
    "conv3-40": SingleLayer(lambda rng: Conv2D(48, 48, 3, padding=1, rng=rng), (40, 40, 48)),
    "conv4-4": SingleLayer(lambda rng: Conv2D(512, 512, 4, stride=2, padding=1, rng=rng), (4, 4, 512)),
    "convt4-2": SingleLayer(lambda rng: ConvTranspose2D(1024, 512, 4, stride=2, padding=1, rng=rng), (2, 2, 1024)),
    "conv7-64": SingleLayer(lambda rng: Conv2D(32, 3, 7, rng=rng), (70, 70, 32)),
    "instance-64": SingleLayer(lambda rng: Sequential(InstanceNorm(32), ReLU()), (64, 64, 32)),
    "dense-1200": SingleLayer(lambda rng: Dense(1200, 1200, rng=rng), (1200,)),
    "attention-16": SingleLayer(lambda rng: SelfAttention(128, rng=rng), (16, 16, 128)),
    "norm-16": SingleLayer(lambda rng: Sequential(BatchNorm(128), LeakyReLU(0.2)), (16, 16, 128)),
}
WORKLOADS: dict[str, Workload] = {
    "gan-28": Training("gan", (28, 28, 1)),
    "dcgan-16": Training("dcgan", (16, 16, 1)),
    "dcgan-28": Training("dcgan", (28, 28, 1)),
    "dcgan-32": Training("dcgan", (32, 32, 3)),
    "dcgan-64": Training("dcgan", (64, 64, 3)),
    "dcgan-128": Training("dcgan", (128, 128, 3)),
    "wgan-gp-64": Training("wgan-gp", (64, 64, 3), "critic step"),
    "sngan-32": Training("sngan", (32, 32, 3), "discriminator step", {"networks": "resnet"}),
    "stylegan-32": Training("stylegan", (32, 32, 3), batch_size=16),  # of the last phase
    "stylegan2-32": Training("stylegan2", (32, 32, 3), batch_size=16),  # a step with both penalties
    "biggan-32": Training("biggan", (32, 32, 3), settings={"features": 32}),
    "lapgan-32": Training("lapgan", (32, 32, 3)),
    "ganomaly-32": Training("ganomaly", (32, 32, 1)),
    **{
        f"progan-{name}": Training("progan", (32, 32, 1), settings={"growth_samples": 6000}, phase=phase, batch_size=16)
        for name, phase in (("4", 0), ("8", 2), ("16", 4), ("fade-32", 5), ("32", 6))
    },
    "vae-28": Training("vae", (28, 28, 1)),
    "vaegan-64": Training("vaegan", (64, 64, 3), settings={"margin": 10.0}),  # no update is skipped
    "sample-32": Training("dcgan", (32, 32, 3), "sampling pass"),
    "sample-64": Training("dcgan", (64, 64, 3), "sampling pass"),
    "sample-128": Training("dcgan", (128, 128, 3), "sampling pass"),
    "restore-40": Training("restore", (40, 40, 1), batch_size=16),
    "pix2pix-64": Training("pix2pix", (64, 64, 3), batch_size=4),
    "cyclegan-64": Training("cyclegan", (64, 64, 3), batch_size=1),
    "srresnet-x4": Training("srresnet", (96, 96, 3), settings={"scale": 4}, batch_size=16),
    "srgan-x4": Training("srgan", (96, 96, 3), settings={"scale": 4}, batch_size=16),
    "enlarge-x4": Training("srresnet", (2048, 2048, 3), "enlarging pass", {"scale": 4}, batch_size=1),
    **LAYERS,
}
GROUPS = {"layers": list(LAYERS)}


def find(names: Iterable[str]) -> list[str]:
    """Return the names of workloads, each once, with groups replaced by their members.

    Raises MiniganError, with the nearest name, for an unknown one.
    """
    found: dict[str, None] = {}  # a set that keeps the order
    known = [*WORKLOADS, *GROUPS]
    for name in names:
        if name not in known:
            raise MiniganError(f"there is no workload {name!r}: {nearest(name, known)}")
        found.update(dict.fromkeys(GROUPS.get(name, [name])))
    return list(found)
