"""Small instances of models, and random batches, for dry runs, benchmarks, self-tests and gradient checks."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from minigan.backend import Device
from minigan.common.model_checks import check_arrays, check_model
from minigan.errors import MiniganError, ModelError
from minigan.model import Kind, Now, can
from minigan.options import arguments_of

SIZES = (4, 8, 16, 28, 32, 64)  # picture sizes; a model is built for the first one that it supports
SMALL = {"latent_dim": 6, "features": 2, "critic_features": 2, "blocks": 2}  # arguments, for models that have them
CLASSES = 3  # of conditional models, and of class maps
COLORS = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)  # of the classes of a map
POINT, NUMBERS = (2,), (4,)  # shapes of a point, and of other numbers
PLANNED = 1000  # samples in the planned run, from which phase boundaries follow
SAMPLES = 4  # in a batch
MOST_VARIANTS = 8  # of which all combinations of options are tried


class Small(NamedTuple):
    """A small model, the shapes of one sample of each of its arrays, and its options that differ from the defaults."""

    model: Any
    shapes: dict[str, tuple[int, ...]]
    variant: str  # such as ", networks resnet, labels"

    @property
    def title(self) -> str:
        """The shape of its first array that isn't a label, and the variant, for display."""
        shape = next(shape for shape in self.shapes.values() if shape)
        return "×".join(map(str, shape)) + self.variant


def random_batch(model: Any, shapes: dict[str, tuple[int, ...]], n: int, rng: np.random.Generator) -> dict[str, Any]:
    """Return n samples of each array, on the host: numbers in [−1, 1], cyclic labels, masks of 0 and 1, maps.

    shapes: the shape of one sample of each array. The arrays returned by the model's `damage` are added.
    """
    batch = {name: _rows(model, model.arrays[name], (n, *shape), rng) for name, shape in shapes.items()}
    if not can(model, "damage"):
        return batch
    made = [model.damage({name: rows[i] for name, rows in batch.items()}, rng) for i in range(n)]
    return batch | {name: np.stack([item[name] for item in made]) for name in made[0]}


def _rows(model: Any, kind: Kind, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if kind.what == "label":
        return np.arange(shape[0]) % (model.n_classes or CLASSES)
    if kind.what == "mask":
        return rng.integers(2, size=shape, dtype=np.uint8)
    if kind.what == "map":  # class K: unknown
        return (rng.integers(shape[-1] + 1, size=(*shape[:-1], 1)) == np.arange(shape[-1])).astype(np.float32)
    return 2 * rng.random(shape, dtype=np.float32) - 1


def moments(model: Any, seed: int = 0) -> Iterator[Now]:
    """Step through the phases of a model as a run does, calling `begin`; yield the `Now` at the start of each."""
    for i, phase in enumerate(model.phases):
        now = Now(0, phase.begins, np.random.default_rng([seed, i]), phase=phase)
        if i:
            model.begin(phase, now)
        yield now


def small_models(cls: type[Any], seed: int = 0, step: bool = False, device: Device | str = "cpu") -> Iterator[Small]:
    """Yield small instances of a model, for pictures and for points if it supports both, on a device.

    All combinations of options are built, such as with and without labels; duplicates with the same layers are skipped.
    With `step`, an instance must also complete a training step. Raises ModelError if a model violates its contract, or
    if no instance can be built.
    """
    seen, refusals = set(), []
    for variant in _variants(cls):
        check_arrays(cls, cls.needs(**variant))
        for options in _shapes(cls.needs(**variant)):
            for shapes in options:
                small = Small(None, shapes, "".join(f", {_spelled(*item)}" for item in variant.items()))
                try:
                    model = cls(**_given(cls, shapes, variant, seed, device))
                    check_model(model)
                    if step:
                        make_steps(small._replace(model=cls(**_given(cls, shapes, variant, seed, "cpu"))))
                except ModelError:  # independent of the shape
                    raise
                except Exception as error:  # the model may not support this shape
                    refusals.append(error)
                    continue
                layers = tuple(repr(layer) for network in model.networks.values() for _, layer in network.walk())
                if layers not in seen:
                    seen.add(layers)
                    yield small._replace(model=model)
                break
    if not seen:
        last = refusals[-1]
        what = f"{last}" if isinstance(last, MiniganError) else f"{type(last).__name__}: {last}"
        raise ModelError(f"no small {cls.__name__} works with pictures of 4 to 64 pixels or points: {what}") from last


def make_steps(small: Small) -> None:
    """Run a step in each phase of a model, on a few samples on the host."""
    rng = np.random.default_rng(0)
    for now in moments(small.model):
        small.model.step(lambda n=None: random_batch(small.model, small.shapes, n or SAMPLES, rng), rng, now)


def _shapes(arrays: dict[str, Kind]) -> list[list[dict[str, tuple[int, ...]]]]:
    """Return candidate shapes of all arrays, in groups. The first shapes of a group that a model accepts are used."""
    of_points = {"points": POINT, "samples": POINT, "numbers": NUMBERS, "label": ()}
    groups = []
    if {"picture", "samples", "mask", "map"} & {kind.what for kind in arrays.values()}:
        groups.append([{n: _shape(kind, size, C) for n, kind in arrays.items()} for C in (1, 3) for size in SIZES])
    if all(kind.what in of_points for kind in arrays.values()):
        groups.append([{name: of_points[kind.what] for name, kind in arrays.items()}])
    return groups


def _shape(kind: Kind, size: int, channels: int) -> tuple[int, ...]:
    own = {"points": POINT, "numbers": NUMBERS, "label": (), "mask": (size, size, 1), "map": (size, size, CLASSES)}
    return own.get(kind.what, (size, size, channels))


def _given(
    cls: type[Any], shapes: dict[str, tuple[int, ...]], variant: dict[str, Any], seed: int, device: Device | str
) -> dict[str, Any]:
    """Return the arguments of the constructor."""
    labels = any(kind.what == "label" for kind in cls.needs(**variant).values())
    given: dict[str, Any] = SMALL | {f"{name}_shape": shape for name, shape in shapes.items()}
    given |= {"shape": next((shape for shape in shapes.values() if shape), ()), "rng": np.random.default_rng(seed)}
    given["device"] = device
    given |= {f"{name}_colors": COLORS for name, kind in cls.needs(**variant).items() if kind.what == "map"}
    given |= cls.planned(PLANNED, variant) | ({"n_classes": CLASSES} if labels else {})
    takes = inspect.signature(cls).parameters
    return {name: value for name, value in given.items() if name in takes}


def _variants(cls: type[Any]) -> Iterator[dict[str, Any]]:
    """Yield the combinations of the options with choices, defaults first and without naming the defaults.

    All of them, up to MOST_VARIANTS; of more, those that change one option, or every option.
    """
    choices = []
    for name, argument in arguments_of(cls).items():
        values = argument.choices or ((False, True) if argument.type is bool else ())
        others = [{name: value} for value in values if value != argument.default]
        choices += [[{}, *others]] if others else []
    variants = [{name: value for part in parts for name, value in part.items()} for parts in product(*choices)]
    few = len(variants) <= MOST_VARIANTS
    yield from (variant for variant in variants if few or len(variant) in (0, 1, len(choices)))


def _spelled(name: str, value: Any) -> str:
    return f"{name} {value}" if isinstance(value, str) else name if value else f"no {name}"
