"""Check that a layer and an input can be checked at all; each mistake is reported in one sentence.

This comes first, because NaN in x, or a list in place of an array, would otherwise be reported as something else.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from minigan.backend import is_array, to_numpy
from minigan.errors import LayerError, ShapeError, described
from minigan.layers import Layer
from minigan.testing.several import entries, is_float

# {method: (arguments of a call, declaration)}
METHODS = {
    "forward": (("x", True, None), "forward(self, x, train=True, rng=None)"),
    "backward": (("dy", "cache", "both"), 'backward(self, dy, cache, wrt="both")'),
    "backward_input": (("dy", "cache"), "backward_input(self, dy, cache)"),
    "backward_params": (("dy", "cache"), "backward_params(self, dy, cache)"),
    "shapes": (("cache",), "shapes(self, cache)"),
    "double_backward": (("ddx", "dy", "cache"), "double_backward(self, ddx, dy, cache)"),
}


def check_layer_and_input(layer: Any, x: Any, order: int = 2) -> None:
    """Raise LayerError for a layer, and ShapeError for an input, whose gradients can't be checked."""
    if not isinstance(layer, Layer):
        what = f"the class {layer.__name__}" if isinstance(layer, type) else f"a {type(layer).__name__}"
        how = f"make one, {layer.__name__}(…)" if isinstance(layer, type) else "derive it from minigan.layers.Layer"
        raise LayerError(f"only a layer can be checked, not {what}: {how}")
    if order not in (1, 2):
        raise LayerError(f"order is {order!r}: 1 checks backward, 2 checks double_backward, too")
    for prefix, inner in layer.walk():
        for method, (arguments, declaration) in list(METHODS.items())[: len(METHODS) - (order == 1)]:
            try:
                inspect.signature(getattr(inner, method)).bind(*arguments)
            except TypeError as error:
                found = f"{method} of {type(inner).__name__} can't be called as every layer's is ({error})"
                raise LayerError(f"{found}: declare {declaration}") from None
        for name in inner.parameter_names:
            array = getattr(inner, name, None)
            if is_array(array) and not np.isfinite(to_numpy(array)).all():
                raise LayerError(f"parameter {prefix}{name} of {layer!r} has NaN or infinity in it: give it numbers")
        for name in inner.state_names:
            inner.state_array(name)
    if isinstance(x, tuple) and not x:
        raise ShapeError("x is an empty tuple: give an array, or one for each input of the layer")
    for name, entry in entries("x", x).items():
        check_point(name, entry)


def check_point(name: str, a: Any) -> None:
    """Raise ShapeError unless `a` is an array of finite numbers with at least one sample."""
    if not is_array(a):
        raise ShapeError(f"{name} must be an array, got {described(a)}")
    if a.dtype.kind not in "fiub":
        raise ShapeError(f"{name} is {a.dtype}: give floats, or integers for labels")
    if a.ndim == 0 or not a.size:
        raise ShapeError(f"{name} has shape {tuple(a.shape)}, so nothing can be checked: give a batch of a few samples")
    finite = np.isfinite(to_numpy(a))
    if is_float(a) and not finite.all():
        where = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ShapeError(f"{name} has NaN or infinity in it, at {where}: gradients are checked at finite numbers")
