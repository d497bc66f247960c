"""`minigan gradcheck`: compares all gradients of layers and models with finite differences, in float64."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from minigan.commands.cli import Parser, UsageError
from minigan.commands.options import add_seed
from minigan.common.small_models import small_models
from minigan.common.user_code import is_own, load_own, short_name
from minigan.common.words import nearest
from minigan.model import Model
from minigan.models import MODELS
from minigan.testing import GradientError, check_cases, standard_cases
from minigan.testing.models import Check, checks_of
from minigan.testing.own import own_checks

LIMITS = (1e-7, 1e-6)  # largest relative errors, of first and of second order


def add_arguments(parser: Parser) -> None:
    """Add the options."""
    what = (
        f"layers such as Conv2D, or models ({', '.join(MODELS)}); default: all of them. All layers take about five "
        "seconds, all models half a minute, on one core. Or your own: my_gan.py:MyGAN; my_layers.py:MyLayer, a layer "
        "that is made without arguments; my_layers.py:make, a function that returns (layer, x) or a list of such pairs"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=what)
    add_seed(parser, "draws weights, inputs and entries")


def main(args: argparse.Namespace) -> int:
    """Print the errors of all gradients. Returns 1 if any gradient is wrong."""
    layers = sorted({type(case.layer).__name__ for case in standard_cases()})
    for name in args.names:
        if name not in layers and name not in MODELS and not is_own(name):
            raise UsageError(f"there is no layer or model called {name!r}: {nearest(name, [*layers, *MODELS])}")
    title = f"relative errors                              first   second   (at most {LIMITS[0]:g} and {LIMITS[1]:g})"
    worst, wrong = [0.0, 0.0], 0
    for number, check in enumerate(checks(args.names or [*layers, *MODELS], args.seed)):
        print(check.title if number else f"{title}\n{check.title}")  # no table header before an early error
        try:
            first, second = check.run()
            for array in first | second:
                errors = [first.get(array, 0.0), second.get(array, 0.0)]
                wrong += _print(array, first.get(array), second.get(array))
                worst = [max(w, e) for w, e in zip(worst, errors, strict=True)]
        except GradientError as error:
            print(f"  WRONG: {error}")
            wrong += 1
    print(f"largest: {worst[0]:.1e} first order, {worst[1]:.1e} second order; {wrong or 'nothing'} wrong")
    if any(is_own(name) for name in args.names):
        print("checked are layers and networks; how a model's step puts them together is for a test of your own")
    return 1 if wrong else 0


def checks(names: list[str], seed: int = 0) -> Iterator[Check]:
    """Yield the checks of layers and models by name, built-in and user-defined."""
    for name in names:
        found = load_own(name)[0] if is_own(name) else MODELS.get(name, name)
        if isinstance(found, str):
            yield Check(name, lambda name=name: _layer(name, seed))
        elif isinstance(found, type) and issubclass(found, Model):
            for small in small_models(found, seed, step=found not in MODELS.values()):
                for check in checks_of(small, seed, tolerance=LIMITS):
                    yield Check(f"{short_name(name)} for {small.title}: {check.title}", check.run)
        else:
            yield from own_checks(found, name, seed, LIMITS)


def _layer(name: str, seed: int) -> tuple[dict[str, float], dict[str, float]]:
    """Run all cases of a layer type; return the largest first-order and second-order error of each array."""
    first: dict[str, float] = {}
    second: dict[str, float] = {}
    for row in check_cases([name], seed):
        for errors, error in ((first, row.first), (second, row.second)):
            if error is not None:
                errors[row.array] = max(errors.get(row.array, 0.0), error)
    return first, second


def _print(array: str, *errors: float | None) -> bool:
    """Print the errors of an array's gradients (None: no such gradient); return whether one exceeds its limit."""
    failed = any(error is not None and not error <= limit for error, limit in zip(errors, LIMITS, strict=True))
    cells = ["        " if error is None else f"{error:8.1e}" for error in errors]
    print(f"  {array:40}{cells[0]} {cells[1]}{'   WRONG' if failed else ''}".rstrip(), flush=True)
    return failed
