"""A small instance of every model, on a device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any

from minigan.backend import Device
from minigan.common.small_models import Small, small_models
from minigan.models import MODELS


def every_small_model() -> Iterator[tuple[str, Callable[..., Small]]]:
    """Yield (name of a step, function that builds the model on a device in a dtype) for every model and its variants.

    The weights are the same every time.
    """
    for name, cls in MODELS.items():
        for number, small in enumerate(small_models(cls)):
            yield f"a step of {name} for {small.title}", partial(_built, cls, number)


def _built(cls: type, number: int, device: Device, dtype: Any = None) -> Small:
    small = next(islice(small_models(cls, device=device), number, None))
    model = small.model
    model.device, model.n_critic, model.extra_critic = device, 1, False  # one update: rounding errors grow with each
    for name, network in model.networks.items():
        values = network.to(device, dtype).parameters().values
        for state in model.optimizers[name].state_names:
            setattr(model.optimizers[name], state, device.xp.zeros_like(values))
    return small
