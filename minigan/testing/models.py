"""The gradients of a whole model: of each network at what a step gives it, and of a generator through its critic.

Nothing has to be known of a model for that. It makes one step in each of its phases, on a random batch, while the
inputs of all networks are kept; then copies of the networks are checked there, with weights that aren't special.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from minigan.layers import Layer
from minigan.model import Phase
from minigan.testing.networks import check_network, check_through
from minigan.testing.points import shake, singular_vectors
from minigan.testing.several import each
from minigan.trial import Small, moments, random_batch

SAMPLES = 4  # a batch


class Pass(NamedTuple):
    """A pass through a network: its name, x as it was, and the arrays x and y themselves, to be recognised."""

    network: str
    x: Any
    given: Any
    y: Any


class Check(NamedTuple):
    """What is checked: `run` returns the largest relative errors, {array: first order}, {array: second order}."""

    title: str
    run: Any


def checks_of(small: Small, seed: int = 0, entries: int = 3, tolerance: tuple[float, float] = (1e-7, 1e-6)) -> Iterator:
    """Yield the checks of a model, one for each network, then one for each game; its own weights are spoilt.

    Each raises GradientError for a gradient that is wrong.
    """
    how: dict[str, Any] = {"seed": seed, "entries": entries}
    rng = np.random.default_rng([seed, 1])
    networks = {name: _general(copy.deepcopy(network), rng) for name, network in small.model.networks.items()}
    for phase, passes in recorded(small, seed):
        where = f", phase {phase.name}" if len(small.model.phases) > 1 else ""
        for name, network in networks.items():
            x = next((one.x for one in passes if one.network == name), None)
            if x is not None:
                yield Check(f"{name}{where}", lambda network=network, x=x: _check(network, x, tolerance, how))
        for game in small.model.games:
            z = _latent(passes, game.generator, game.critic)
            if z is not None:
                G, D = networks[game.generator], networks[game.critic]
                title = f"{game.generator} through {game.critic}{where}"
                yield Check(title, lambda G=G, D=D, z=z: (check_through(G, D, z, tolerance=tolerance[0], **how), {}))


def recorded(small: Small, seed: int = 0) -> Iterator[tuple[Phase, list[Pass]]]:
    """The passes through whole networks of a step in each phase, of a few samples."""
    model, rng = small.model, np.random.default_rng([seed, 2])
    for now in moments(model, seed):
        passes: list[Pass] = []
        hung = [(network, verb) for network in model.networks.values() for verb in ("forward", "output")]
        for name, network in model.networks.items():
            _listen(name, network, passes)
        try:
            model.step(lambda n=None: random_batch(model, small.shapes, n or SAMPLES, rng), model.device.rng(seed), now)
        finally:
            for network, verb in hung:
                vars(network).pop(verb)
        yield now.phase, passes


def _listen(name: str, network: Layer, passes: list[Pass]) -> None:
    """Have a network note its passes."""
    forward, output = network.forward, network.output

    def noted_forward(x: Any, train: bool = True, rng: Any = None) -> Any:
        before = each(_kept, x)
        y, cache = forward(x, train, rng)
        passes.append(Pass(name, before, x, y))
        return y, cache

    def noted_output(x: Any, train: bool = True, rng: Any = None) -> Any:
        before = each(_kept, x)
        y = output(x, train, rng)
        passes.append(Pass(name, before, x, y))
        return y

    vars(network).update(forward=noted_forward, output=noted_output)


def _kept(x: Any) -> Any:
    """A copy of the first few samples of an array."""
    return np.array(x)[:SAMPLES] if np.ndim(x) else x


def _latent(passes: list[Pass], generator: str, critic: str) -> Any:
    """What the generator made a sample of that the critic was given as it is, with the same condition; or None."""
    for seen in passes:
        x, *condition = seen.given if isinstance(seen.given, tuple) else (seen.given,)
        for made in passes:
            z = made.given[1:] if isinstance(made.given, tuple) else ()
            same = len(z) == len(condition) and all(a is b for a, b in zip(z, condition, strict=True))
            if seen.network == critic and made.network == generator and made.y is x and same:
                return made.x
    return None


def _general(network: Layer, rng: np.random.Generator) -> Layer:
    """The network in float64, with weights that are no longer special, and their singular vectors."""
    return singular_vectors(shake(network.to(dtype=np.float64), rng))


def _check(network: Layer, x: Any, tolerance: tuple[float, float], how: dict[str, Any]) -> tuple[dict, dict]:
    report = check_network(network, x, tolerance=tolerance, **how)
    return report.first, report.second
