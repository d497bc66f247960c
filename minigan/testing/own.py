"""Gradient checks of a user's own layers, for `minigan gradcheck my_layers.py:NAME`."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from minigan.common.user_code import definition, short_name
from minigan.errors import LayerError, ShapeError
from minigan.layers import Layer
from minigan.testing.gradcheck import check_layer
from minigan.testing.models import Check
from minigan.testing.points import shake, singular_vectors, smooth_point

TRIED = ((5, 6), (2, 3, 4, 6))  # shapes of x for a layer without its own x: points, and pictures


def own_checks(found: Any, word: str, seed: int = 0, tolerance: tuple[float, float] = (1e-7, 1e-6)) -> Iterator[Check]:
    """Yield a check for each layer and x that `word` names: a class of layers, or a function that returns them.

    A class is instantiated without arguments, and checked with those shapes in TRIED that it accepts. A function
    returns (layer, x), or a list of such pairs. Raises LayerError, with file and line, for anything else.
    """
    place, name = definition(found, word), short_name(word)
    for layer, x in _pairs(found, name, place, seed):
        general = shake(copy.deepcopy(layer).to("cpu", np.float64), np.random.default_rng([seed, 1]))
        shape = ", ".join("×".join(map(str, np.shape(one))) for one in (x if isinstance(x, tuple) else (x,)))
        check = partial(check_layer, singular_vectors(general), x, seed=seed, tolerance=tolerance)
        yield Check(f"{name}: {layer!r} on {shape}", check)


def _pairs(found: Any, name: str, place: str, seed: int) -> list[tuple[Layer, Any]]:
    how = f"write a function, def make(): return {name}(…), x, and give its name instead"
    if isinstance(found, type) and issubclass(found, Layer):
        given = {"rng": np.random.default_rng(seed)} if "rng" in inspect.signature(found).parameters else {}
        try:
            inspect.signature(found).bind(**given)
        except TypeError as error:
            raise LayerError(f"{place}: {name} can't be made without arguments ({error}): {how}") from None
        layer, points = found(**given), [smooth_point(np.random.default_rng([seed, 2]), shape) for shape in TRIED]
        pairs = [(layer, x) for x in points if _takes(layer, x)]
        if not pairs:
            tried = " and ".join("×".join(map(str, shape)) for shape in TRIED)
            raise LayerError(f"{place}: {name} takes neither x of {tried}: {how}")
        return pairs
    if not inspect.isroutine(found):
        raise LayerError(f"{place}: {name} is neither a layer nor a model nor a function that returns a layer")
    made = found()
    pairs = made if isinstance(made, list) else [made]
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[0], Layer):
            raise LayerError(f"{place}: {name} must return (layer, x), or a list of such pairs")
    return pairs


def _takes(layer: Layer, x: np.ndarray) -> bool:
    try:
        copy.deepcopy(layer).to("cpu", np.float64).forward(x, True, np.random.default_rng(0))
    except ShapeError:
        return False
    return True
