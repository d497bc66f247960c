"""`minigan gradcheck`: every gradient of the layers and of the models against differences, in float64."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from minigan.cli import Parser, UsageError, nearest
from minigan.commands.options import is_conditional, model_options, whole_number
from minigan.errors import ShapeError
from minigan.gans import MODELS
from minigan.layers import Layer
from minigan.testing import GradientError, check_cases, check_network, check_through, shake, standard_cases
from minigan.testing.points import singular_vectors

LIMITS = (1e-7, 1e-6)  # largest relative errors, of first and of second order
SIZES = (4, 8, 16, 28, 32, 64)  # pictures of the first of these sizes that a model can draw; and points
SMALL = {"latent_dim": 6, "features": 2}  # sizes of the models, where they have such arguments
CLASSES = 3  # of conditional models
SAMPLES, ENTRIES = 4, 3  # a batch, and the entries of each gradient that are compared


class Result(NamedTuple):
    """The largest relative errors of one array's gradients; None where there is no such gradient."""

    array: str
    first: float | None
    second: float | None


def add_arguments(parser: Parser) -> None:
    """Add the options."""
    what = (
        f"layers such as Conv2D, or models ({', '.join(MODELS)}); default: all of them. "
        "All layers take about five seconds, all models half a minute, on one core"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=what)
    parser.add_argument(
        "--seed", type=whole_number, default=0, metavar="N", help="draws weights, inputs and entries (default: 0)"
    )


def main(args: argparse.Namespace) -> int:
    """Print the table. Returns 1 if any gradient is wrong."""
    layers = sorted({type(case.layer).__name__ for case in standard_cases()})
    for name in args.names:
        if name not in layers and name not in MODELS:
            raise UsageError(f"there is no layer or model called {name!r}: {nearest(name, [*layers, *MODELS])}")
    print(f"relative errors                              first   second   (at most {LIMITS[0]:g} and {LIMITS[1]:g})")
    worst, wrong = [0.0, 0.0], 0
    for title, check in _checks(args.names or [*layers, *MODELS], args.seed):
        print(title)
        try:
            for result in check():
                failed = _print(result)
                wrong += failed
                worst = [max(w, e or 0.0) for w, e in zip(worst, result[1:], strict=True)]
        except GradientError as error:
            print(f"  WRONG: {error}")
            wrong += 1
    print(f"largest: {worst[0]:.1e} first order, {worst[1]:.1e} second order; {wrong or 'nothing'} wrong")
    return 1 if wrong else 0


def _print(result: Result) -> bool:
    """Print one line; return whether an error is above its limit."""
    failed = any(error is not None and not error <= limit for error, limit in zip(result[1:], LIMITS, strict=True))
    cells = ["        " if error is None else f"{error:8.1e}" for error in result[1:]]
    print(f"  {result.array:40}{cells[0]} {cells[1]}{'   WRONG' if failed else ''}".rstrip(), flush=True)
    return failed


def _checks(names: list[str], seed: int = 0) -> Iterator[tuple[str, Callable[[], Iterator[Result]]]]:
    """Yield `(title, check)`; a check yields its results, and raises GradientError for what is badly wrong."""
    for name in names:
        if name not in MODELS:
            yield name, lambda name=name: _layer(name, seed)
            continue
        for gan, variant in small_models(MODELS[name], seed):
            rng = np.random.default_rng([seed, 1])
            G, D = (_general(network, rng) for network in gan.networks.values())
            z, x = rng.standard_normal((SAMPLES, gan.latent_dim)), rng.uniform(-1, 1, (SAMPLES, *gan.shape))
            if gan.n_classes:
                z, x = (z, gan.labels(SAMPLES)), (x, gan.labels(SAMPLES))
            title = f"{name} for {'×'.join(map(str, gan.shape))}{variant}"
            yield f"{title}: D", lambda D=D, x=x: _network(D, x, seed)
            yield f"{title}: G", lambda G=G, z=z: _network(G, z, seed)
            yield f"{title}: G through D", lambda G=G, D=D, z=z: _through(G, D, z, seed)


def _general(network: Layer, rng: np.random.Generator) -> Layer:
    """The network in float64, with weights that are no longer special, and their singular vectors."""
    return singular_vectors(shake(network.to(dtype=np.float64), rng))


def _layer(name: str, seed: int) -> Iterator[Result]:
    """All cases of one kind of layer: the largest error of each array."""
    worst: dict[str, list[float | None]] = {}
    for row in check_cases([name], seed):
        before = worst.setdefault(row.array, [None, None])
        worst[row.array] = [_larger(a, b) for a, b in zip(before, (row.first, row.second), strict=True)]
    for array, (first, second) in worst.items():
        yield Result(array, first, second)


def _larger(a: float | None, b: float | None) -> float | None:
    return max((e for e in (a, b) if e is not None), default=None)


def small_models(model: type, seed: int = 0) -> Iterator[tuple[Any, str]]:
    """Build small instances of a model, for pictures and for points as far as it takes them.

    Every choice of networks is built, such as with and without labels; and every network is built once.
    """
    arguments = {name: value for name, value in SMALL.items() if name in inspect.signature(model).parameters}
    seen = set()
    for variant in _variants(model):
        classes = {"n_classes": CLASSES} if is_conditional(model, variant) else {}
        for shapes in ([(size, size, 1) for size in SIZES], [(2,)]):
            for shape in shapes:
                with suppress(ShapeError):
                    gan = model(shape, **arguments, **variant, **classes, rng=np.random.default_rng(seed))
                    layers = tuple(repr(layer) for network in gan.networks.values() for _, layer in network.walk())
                    if layers not in seen:
                        seen.add(layers)
                        yield gan, "".join(f", {_spelt(*item)}" for item in variant.items())
                    break


def _variants(model: type) -> Iterator[dict[str, Any]]:
    """All combinations of the options that offer a choice, the defaults first; only what isn't a default is named."""
    choices = []
    for option in model_options(model).values():
        values = option.choices or ((False, True) if option.kind is bool else ())
        others = [{option.name: value} for value in values if value != option.default]
        choices += [[{}, *others]] if others else []
    for combination in product(*choices):
        yield {name: value for part in combination for name, value in part.items()}


def _spelt(name: str, value: Any) -> str:
    return f"{name} {value}" if isinstance(value, str) else name if value else f"no {name}"


def _network(network: Layer, x: np.ndarray, seed: int) -> Iterator[Result]:
    report = check_network(network, x, seed=seed, entries=ENTRIES, tolerance=LIMITS)
    for array in report.first | report.second:
        yield Result(array, report.first.get(array), report.second.get(array))


def _through(G: Layer, D: Layer, z: np.ndarray, seed: int) -> Iterator[Result]:
    for array, error in check_through(G, D, z, seed=seed, entries=ENTRIES, tolerance=LIMITS[0]).items():
        yield Result(array, error, None)
