"""Check that every array a layer computes with is registered: as a parameter, as state, or in an inner layer.

An array that isn't registered is in no parameter vector: optimizers don't train it, it is neither saved nor moved to
another device, and its gradient is never checked.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from minigan.backend import is_array
from minigan.layers import Layer
from minigan.testing.call import Call
from minigan.testing.differences import GradientError
from minigan.testing.several import flat, is_float


def everything_is_registered(call: Call, order: int = 2) -> None:
    """Every array that forward computes with is a parameter or state, and every inner layer is among the children."""
    walked = [layer for _, layer in call.layer.walk()]
    for prefix, layer in call.layer.walk():
        _no_hidden_layers(call, layer, walked)
        own = _attributes(layer)
        known = {*layer.state_names, *layer.parameter_names, *(f"d{name}" for name in layer.parameter_names)}
        for name, value in own.items():
            if any(type(item).__module__.partition(".")[0] == "torch" for item in _items(value)):
                raise GradientError(f"{call}: {prefix}{name} is of torch, which can't be checked: make it an array")
        unknown = [name for name in own if name not in known]
        for name in unknown:
            if _numbers(own[name]) and _numbers(own.get("d" + name)) and "d" + name not in known:
                how = f"call self.add_parameters({name}=…) in the constructor of {type(layer).__name__}"
                raise GradientError(f"{call}: {prefix}{name} and its gradient d{name} are not registered: {how}")
        for name in unknown:
            if _arrays(own[name]) and _changes_y(call, layer, name, own[name]):
                what = f"{call}: forward computes with the numbers in {prefix}{name}, which are not registered"
                how = f"call self.add_parameters({name}=…) if they are learned, else name it in state_names"
                raise GradientError(f"{what}: {how}")


def _no_hidden_layers(call: Call, layer: Layer, walked: list[Layer]) -> None:
    for name, value in _attributes(layer).items():
        for inner in _items(value):
            hidden = isinstance(inner, Layer) and not any(inner is known for known in walked)
            if hidden and any(found.parameter_names for _, found in inner.walk()):
                what = f"{call}: the layer in {name} is not among the children of {type(layer).__name__}"
                raise GradientError(f"{what}: write children(self), which returns all inner layers by name")


def _attributes(layer: Layer) -> dict[str, Any]:
    """Return the attributes of a layer and its classes, below Layer, without special methods."""
    classes = type(layer).__mro__[: type(layer).__mro__.index(Layer)]
    of_classes = {name: value for kind in reversed(classes) for name, value in vars(kind).items()}
    found = {name: value for name, value in (of_classes | vars(layer)).items() if name[:2] != "__"}
    found.pop("_vector", None)
    return found


def _items(value: Any) -> list[Any]:
    """Return the entries of a list, tuple or dict; of any other value, a list of itself."""
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _arrays(value: Any) -> list[np.ndarray]:
    return [item for item in _items(value) if isinstance(item, np.ndarray) and is_float(item)]


def _numbers(value: Any) -> bool:
    """Whether a value could be a parameter or its gradient: a float, or an array of floats."""
    return isinstance(value, float) or (is_array(value) and is_float(value))


def _changes_y(call: Call, layer: Layer, name: str, value: Any) -> bool:
    """Whether y changes if the numbers in this attribute do."""
    other, y = copy.deepcopy(value), flat(call.forward()[0])
    for array in _arrays(other):
        array[...] = 1.01 * array + 0.01
    before = vars(layer).get(name, layer)
    vars(layer)[name] = other
    try:
        return not np.array_equal(flat(call.forward()[0]), y, equal_nan=True)
    finally:
        if before is layer:  # an attribute of the class
            del vars(layer)[name]
        else:
            vars(layer)[name] = before
