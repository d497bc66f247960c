"""A small instance of every model, on a device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any

from minigan.backend import Device
from minigan.commands.gradcheck import small_models
from minigan.gans import MODELS


def small_gans() -> Iterator[tuple[str, Callable[..., Any]]]:
    """(what a step of it is called, what builds it on a device and in a dtype): every model, every choice of networks.

    Its weights are the same every time.
    """
    for name, model in MODELS.items():
        for number, (gan, variant) in enumerate(small_models(model)):
            shape = "×".join(map(str, gan.shape)) if len(gan.shape) > 1 else "points"
            yield f"a step of {name} for {shape}{variant}", partial(_built, model, number)


def _built(model: type, number: int, device: Device, dtype: Any = None) -> Any:
    gan, _ = next(islice(small_models(model), number, None))
    gan.device, gan.n_critic, gan.extra_critic = device, 1, False  # with each update of D, rounding errors grow
    for name, network in gan.networks.items():
        values = network.to(device, dtype).parameters().values
        for state in gan.optimizers[name].state_names:
            setattr(gan.optimizers[name], state, device.xp.zeros_like(values))
    return gan
