"""The items to compare: every layer, loss, penalty and optimizer, and a step of every model."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np

from minigan import losses, optim, penalties
from minigan.backend import Device, to_numpy
from minigan.common.small_models import Small, moments, random_batch
from minigan.layers import Conv2D, Dense, Flatten, Layer, LayerNorm, Sequential, Softplus
from minigan.layers.parameters import Parameters
from minigan.selftest.small import every_small_model
from minigan.testing import standard_cases
from minigan.testing.several import each, entries, is_float

Found = dict[tuple[str, str], np.ndarray]  # {(order, array): numbers}; an order is one of ORDERS
Item = tuple[str, Callable[[Device, Any], Found]]  # its name, and a function that computes it on a device in a dtype
ORDERS = ("value", "first order", "second order")
RULES: dict[str, Callable[[Parameters], optim.Optimizer]] = {
    "SGD": lambda p: optim.SGD(p, 0.1),
    "SGD, momentum": lambda p: optim.SGD(p, 0.1, 0.9),
    "SGD, Nesterov": lambda p: optim.SGD(p, 0.1, 0.9, nesterov=True),
    "RMSprop": lambda p: optim.RMSprop(p, 1e-2, eps=1e-3),
    "Adam": lambda p: optim.Adam(p, 1e-2, eps=1e-3),
    "Adam, ε̂": lambda p: optim.Adam(p, 1e-2, eps=1e-3, epsilon_hat=True),
}
OBJECTIVES = {
    "Minimax": losses.Minimax(label_smoothing=0.1),
    "Minimax, saturating": losses.Minimax(saturating=True),
    "LeastSquares": losses.LeastSquares(),
    "Wasserstein": losses.Wasserstein(),
    "Hinge": losses.Hinge(),
}
PENALTIES = [
    penalties.GradientPenalty(),
    penalties.GradientPenalty(one_sided=True),
    penalties.DRAGAN(),
    penalties.R1(),
    penalties.R2(),
]


@cache
def every_item() -> list[Item]:
    """Return all items."""
    return [*layers(), *objectives(), *regressions(), *all_penalties(), *rules(), *steps()]


class SameDraws:
    """A generator that draws on the host in float64, then moves the numbers: equal for all devices and dtypes."""

    def __init__(self, device: Device, dtype: Any, seed: int = 0) -> None:
        self._device, self._dtype, self._rng = device, dtype, np.random.default_rng(seed)

    def random(self, size: Any = None, dtype: Any = None) -> Any:
        """Draw uniform numbers in [0, 1)."""
        return self._device.array(self._rng.random(size), self._dtype)

    def standard_normal(self, size: Any = None, dtype: Any = None) -> Any:
        """Draw normal numbers."""
        return self._device.array(self._rng.standard_normal(size), self._dtype)

    def integers(self, *args: Any, **kwargs: Any) -> Any:
        """Draw integers."""
        return self._device.array(self._rng.integers(*args, **kwargs))


def layers() -> Iterator[Item]:
    """Yield the cases of `minigan gradcheck`."""
    for case in standard_cases():
        yield case.name, partial(_three_verbs, case.layer.to(dtype=np.float32), case.x, case.train)


def _three_verbs(layer: Layer, x: Any, train: bool, device: Device, dtype: Any) -> Found:
    layer = copy.deepcopy(layer).to(device, dtype)
    to_device = lambda a: device.array(a.astype(np.float32) if is_float(a) else a, dtype if is_float(a) else None)  # noqa: E731
    rng, x = np.random.default_rng(0), each(to_device, x)
    draw = lambda a: device.array(rng.standard_normal(a.shape), dtype) if is_float(a) else None  # noqa: E731
    parameters = layer.parameters()
    parameters.zero_grad()
    y, cache = layer.forward(x, train, SameDraws(device, dtype))
    dy, ddx = each(draw, y), each(draw, x)
    found = _named("value", entries("y", y) | layer.state_dict())
    found |= _named("first order", entries("dx", layer.backward(dy, cache)) | {"parameters": parameters.grads})
    parameters.zero_grad()
    ddy, dx2 = layer.double_backward(ddx, dy, cache)
    second = entries("ddy", ddy) | entries("dx2", dx2) | {"parameters": parameters.grads}
    return found | _named("second order", second)


def _named(order: str, arrays: dict[str, Any]) -> Found:
    return {(order, name): to_numpy(array).copy() for name, array in arrays.items() if array is not None}


def objectives() -> Iterator[Item]:
    """Yield the losses of D and G."""

    def compute(objective: Any, device: Device, dtype: Any) -> Found:
        logits = SameDraws(device, dtype).standard_normal((64, 1)) * 3
        found: Found = {}
        for kind in ("real", "fake", "generator"):
            value, dlogits = getattr(objective, kind)(logits)
            found |= _named("value", {kind: value}) | _named("first order", {kind: dlogits})
        return found

    for name, objective in OBJECTIVES.items():
        yield name, partial(compute, objective)


def regressions() -> Iterator[Item]:
    """Yield the losses that compare with a target."""

    def compute(loss: Callable[[Any, Any], tuple[Any, Any]], labels: bool, device: Device, dtype: Any) -> Found:
        rng = SameDraws(device, dtype)
        y, target = rng.standard_normal((64, 10)), rng.standard_normal((64, 10))
        value, dy = loss(y, rng.integers(10, size=64) if labels else target)
        return _named("value", {"value": value}) | _named("first order", {"dy": dy})

    yield "l1", partial(compute, losses.l1, False)
    yield "l2", partial(compute, losses.l2, False)
    yield "softmax_cross_entropy", partial(compute, losses.softmax_cross_entropy, True)


def all_penalties() -> Iterator[Item]:
    """Yield all penalties, on a curved critic, for which all four sweeps are nonzero."""

    def compute(penalty: penalties.Penalty, device: Device, dtype: Any) -> Found:
        weights = np.random.default_rng(0)
        convolution, dense = Conv2D(2, 3, 4, stride=2, padding=1, rng=weights), Dense(48, 1, rng=weights)
        critic = Sequential(convolution, LayerNorm((4, 4, 3)), Softplus(), Flatten(), dense).to(device, dtype)
        rng = SameDraws(device, dtype)
        critic.parameters().zero_grad()
        value = penalty(critic, rng.standard_normal((8, 8, 8, 2)), rng.standard_normal((8, 8, 8, 2)), rng)
        return _named("value", {"P": value}) | _named("second order", {"parameters": critic.parameters().grads})

    for penalty in PENALTIES:
        yield repr(penalty), partial(compute, penalty)


def rules() -> Iterator[Item]:
    """Yield five steps of every optimizer, with gradient clipping, weight averaging and weight clipping."""

    def compute(make: Callable[[Parameters], optim.Optimizer], device: Device, dtype: Any) -> Found:
        network = Dense(30, 20, rng=np.random.default_rng(0)).to(device, dtype)
        parameters, rng = network.parameters(), SameDraws(device, dtype)
        optimizer, average = make(parameters), optim.WeightAverage(network, 0.9)
        for _ in range(5):
            parameters.grads[...] = rng.standard_normal(len(parameters))
            norm = optim.clip_grad_norm(parameters, 20.0)
            optimizer.step()
            optim.clip_weights(parameters, 0.5)
            average.update()
        arrays = {"parameters": parameters.values, "average": average.average.parameters().values, "norm": norm}
        return _named("value", arrays)

    for name, make in RULES.items():
        yield name, partial(compute, make)


def steps() -> Iterator[Item]:
    """Yield one step of every model in a small form: its measures, and the gradients that it leaves.

    In float32 these differ more than elsewhere: Adam's first update of a weight is as large as its learning rate, even
    where the gradient is nothing but rounding, and later gradients of the step depend on the updated weights.
    """

    def compute(build: Callable[..., Small], device: Device, dtype: Any) -> Found:
        small = build(device, dtype)
        rows = random_batch(small.model, small.shapes, 8, np.random.default_rng(1))
        batch = {name: device.array(array, dtype if is_float(array) else None) for name, array in rows.items()}
        now = next(moments(small.model))
        measured = small.model.step(lambda n=None: batch, SameDraws(device, dtype), now)
        grads = {name: network.parameters().grads for name, network in small.model.networks.items()}
        return _named("value", {"measures": device.xp.stack(list(measured.values()))}) | _named("first order", grads)

    for name, build in every_small_model():
        yield name, partial(compute, build)
