"""Check the gradients of a whole model: of each network at its inputs in a step, and of generators through critics.

This needs no knowledge of the model. The model makes one step in each of its phases, on a random batch, while the
inputs of all networks are recorded. Then copies of the networks are checked at these inputs, with perturbed weights.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from minigan.backend import is_array, to_numpy
from minigan.common.small_models import SAMPLES, Small, moments, random_batch
from minigan.layers import Layer, Sequential
from minigan.model import Phase
from minigan.testing.networks import check_network, check_through
from minigan.testing.points import shake, singular_vectors
from minigan.testing.several import each


class Pass(NamedTuple):
    """A pass through a network: its name, a copy of x, and the arrays x and y themselves, for identity checks."""

    network: str
    x: Any
    given: Any
    y: Any


class Check(NamedTuple):
    """A gradient check: `run` returns its largest relative errors, {array: first order}, {array: second order}."""

    title: str
    run: Any


def checks_of(small: Small, seed: int = 0, entries: int = 3, tolerance: tuple[float, float] = (1e-7, 1e-6)) -> Iterator:
    """Yield a model's checks, for each phase one per network and one per game. The step changes the model's weights.

    Each check raises GradientError for a wrong gradient.
    """
    how: dict[str, Any] = {"seed": seed, "entries": entries}
    rng = np.random.default_rng([seed, 1])
    networks = {name: _perturbed(copy.deepcopy(network), rng) for name, network in small.model.networks.items()}
    for phase, passes in recorded(small, seed):
        where = f", phase {phase.name}" if len(small.model.phases) > 1 else ""
        for name, network in networks.items():
            x = next((one.x for one in passes if one.network == name), None)
            if x is not None:
                of_arrays, x = at_numbers(network, x)
                yield Check(f"{name}{where}", partial(check_network, of_arrays, x, tolerance=tolerance, **how))
        for game in small.model.games:
            path = _path(passes, game.generator, game.critic)
            if path:
                (G, z), *rest = (at_numbers(copy.deepcopy(networks[one.network]), one.x) for one in path)
                D = rest[0][0] if len(rest) == 1 else Sequential(*(network for network, _ in rest))
                title = f"{game.generator} through {game.critic}{where}"
                yield Check(title, lambda G=G, D=D, z=z: (check_through(G, D, z, tolerance=tolerance[0], **how), {}))


class AtNumbers(Layer):
    """A network with its numeric inputs, such as a level, held fixed: a function of its array inputs alone."""

    def __init__(self, network: Layer, x: tuple) -> None:
        self.network, self.given = network, tuple(None if is_array(one) else one for one in x)

    def children(self) -> dict[str, Layer]:
        """The network."""
        return {"network": self.network}

    def forward(self, x: Any, train: bool = True, rng: Any = None) -> tuple[Any, Any]:
        """Return the network's y, with the numbers inserted among the arrays."""
        return self.network.forward(self._with(x, self.given), train, rng)

    def backward(self, dy: Any, cache: Any, wrt: Any = "both") -> Any:
        """Return the gradients of the arrays."""
        return self._without(self.network.backward(dy, cache, wrt))

    def double_backward(self, ddx: Any, dy: Any, cache: Any) -> tuple[Any, Any]:
        """Return the network's ddy and dx2, without entries for the numbers."""
        ddy, dx2 = self.network.double_backward(self._with(ddx, (None,) * len(self.given)), dy, cache)
        return ddy, self._without(dx2)

    def _with(self, x: Any, numbers: tuple) -> tuple:
        arrays = iter(x if isinstance(x, tuple) else (x,))
        return tuple(next(arrays) if one is None else number for one, number in zip(self.given, numbers, strict=True))

    def _without(self, dx: Any) -> Any:
        if dx is None:
            return None
        arrays = tuple(d for d, number in zip(dx, self.given, strict=True) if number is None)
        return arrays if len(arrays) > 1 else arrays[0]


def at_numbers(network: Layer, x: Any) -> tuple[Layer, Any]:
    """Return a network and x; if entries of x are not arrays, a network with these fixed, and the arrays alone."""
    if not isinstance(x, tuple) or all(is_array(one) for one in x):
        return network, x
    fixed = AtNumbers(network, x)
    return fixed, fixed._without(x)


def recorded(small: Small, seed: int = 0) -> Iterator[tuple[Phase, list[Pass]]]:
    """Yield, for a step in each phase, the phase and the passes through whole networks, for a few samples."""
    model, rng = small.model, np.random.default_rng([seed, 2])
    for now in moments(model, seed):
        passes: list[Pass] = []
        hooks = [(network, method) for network in model.networks.values() for method in ("forward", "output")]
        for name, network in model.networks.items():
            _record(name, network, passes)
        try:
            model.step(lambda n=None: random_batch(model, small.shapes, n or SAMPLES, rng), model.device.rng(seed), now)
        finally:
            for network, method in hooks:
                vars(network).pop(method)
        yield now.phase, passes


def _record(name: str, network: Layer, passes: list[Pass]) -> None:
    """Hook a network's forward and output, so that `passes` records every pass."""

    def hook(method: str) -> Any:
        original = getattr(network, method)

        def hooked(x: Any, train: bool = True, rng: Any = None) -> Any:
            before = each(_first_samples, x)
            result = original(x, train, rng)
            passes.append(Pass(name, before, x, result[0] if method == "forward" else result))
            return result

        return hooked

    vars(network).update(forward=hook("forward"), output=hook("output"))


def _first_samples(x: Any) -> Any:
    """Return a copy of an array's first few samples; other values as they are."""
    return to_numpy(x)[:SAMPLES].copy() if is_array(x) and x.ndim else x


def _path(passes: list[Pass], generator: str, critic: str) -> list[Pass]:
    """Return passes from the generator to the critic, each applied to the output of the previous one; [] for none.

    Conditions, such as labels, are supported only if there are two networks, and both got the same.
    """
    for last in passes:
        path = [last] if last.network == critic else []
        while path and path[0].network != generator:
            before = [one for one in passes if one.y is _parts(path[0])[0] and not any(one is other for other in path)]
            path = [before[0], *path] if before else []
        conditions = [tuple(part for part in _parts(one)[1:] if is_array(part)) for one in path]
        same = all(a is b for these in zip(*conditions, strict=False) for a in these for b in these)
        if path and same and len(set(map(len, conditions))) == 1 and not (conditions[0] and len(path) > 2):
            return path
    return []


def _parts(one: Pass) -> tuple:
    """Return the inputs of a pass as a tuple."""
    return one.given if isinstance(one.given, tuple) else (one.given,)


def _perturbed(network: Layer, rng: np.random.Generator) -> Layer:
    """Return the network in float64, with its weights perturbed and spectral norms at their singular vectors.

    Initial values such as γ = 1 and b = 0 would hide errors.
    """
    return singular_vectors(shake(network.to(dtype=np.float64), rng))
