"""Check what every layer promises besides correct gradients: see `Layer` in layers/base.py.

Each function checks one promise; its docstring says what the promise is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import numpy as np

from minigan.errors import ShapeError
from minigan.layers import Layer
from minigan.layers.composite import is_zero
from minigan.testing.call import Call
from minigan.testing.differences import GradientError, magnitude
from minigan.testing.points import non_contiguous
from minigan.testing.registered import everything_is_registered
from minigan.testing.several import each, entries, floats, form, is_float
from minigan.testing.usable import check_layer_and_input

_IN_CACHE = "keep what backward needs in the cache, not on the layer, and don't write to the cache"


def check_promises(layer: Layer, x: Any, *, train: bool = True, seed: int = 0, order: int = 2) -> None:
    """Check all promises at `x`. Raises GradientError for the first that is broken."""
    check_layer_and_input(layer, x, order)
    promises = (everything_is_registered, shapes_are_right, results_are_finite, inputs_are_not_modified)
    promises += (forward_is_repeatable, output_equals_forward, outputs_are_new_arrays, gradients_accumulate)
    promises += (wrt_is_respected, caches_are_independent, strides_are_irrelevant, wrong_shapes_are_rejected)
    for promise in promises:
        promise(Call(layer, x, train, seed), order)
    dtype_follows_the_input(layer, x, train, seed, order)


def shapes_are_right(call: Call, order: int) -> None:
    """`shapes` returns the shapes of x and y, None for labels: dy and ddx are checked against them."""
    if type(call.layer).shapes is not Layer.shapes:
        y, cache = call.forward()
        found = call.layer.shapes(cache)
        wanted = tuple(each(lambda a: a.shape if is_float(a) else None, a) for a in (call.x, y))
        _require(found == wanted, call, f"shapes returns {found}: the shapes of x and y are {wanted}")


def results_are_finite(call: Call, order: int) -> None:
    """Finite inputs give finite results. Checked early, because NaN would look like any other broken promise."""
    for name, array in _all_results(call, order).items():
        finite = not is_float(array) or np.isfinite(array).all()
        _require(finite, call, f"{name} has NaN or infinity in it, at an x that has none: choose x where y is smooth")


def inputs_are_not_modified(call: Call, order: int) -> None:
    """No method writes to x, dy, ddx or a parameter: the caller still needs them."""
    arrays = entries("x", call.x) | floats("dy", call.dy) | floats("ddx", call.ddx)
    arrays |= {name: value for name, (value, _) in call.named.items()}
    before = {name: array.copy() for name, array in arrays.items()}
    for method in _methods(call, order):
        method()
        for name, array in arrays.items():
            _require(np.array_equal(array, before[name]), call, f"{method.__name__} writes to {name}: make a new array")


def forward_is_repeatable(call: Call, order: int) -> None:
    """Equal x, draws and state give equal y: the layer keeps nothing of a call."""
    complaint = "differs in a second forward: keep nothing of a call on the layer, draw from rng alone"
    _same(call, {"y": call.forward()[0]}, {"y": call.forward()[0]}, complaint)


def output_equals_forward(call: Call, order: int) -> None:
    """`output`, which needs no cache, returns the y of `forward`."""
    _same(call, {"y": call.forward()[0]}, {"y": call.output()}, "differs between output and forward: change both")


def outputs_are_new_arrays(call: Call, order: int) -> None:
    """No output shares memory with an input or another output, and all have the right shapes. Labels have no dx."""
    y, cache = call.forward()
    dx = call.layer.backward(call.dy, cache)
    _require_gradient(call, "dx", dx, "x", call.x, may_be_none=False)
    outputs = [floats("y", y) | entries("x", call.x), floats("dx", dx) | floats("dy", call.dy)]
    if order > 1:
        ddy, dx2 = call.layer.double_backward(call.ddx, call.dy, cache)
        _require_gradient(call, "ddy", ddy, "y", y, may_be_none=isinstance(y, tuple) or is_zero(call.ddx))
        _require_gradient(call, "dx2", dx2, "x", call.x, may_be_none=True)
        outputs.append(floats("ddy", ddy) | floats("dx2", dx2) | floats("ddx", call.ddx) | floats("dy", call.dy))
    for arrays in outputs:
        for (name, array), (other_name, other) in combinations(arrays.items(), 2):
            apart = not np.may_share_memory(array, other)
            _require(apart, call, f"{name} shares memory with {other_name}: return a copy")


def gradients_accumulate(call: Call, order: int) -> None:
    """A second backward adds to the gradients of the first, because those of real and fake pictures add up."""
    for method in _methods(call, order)[1:]:
        call.zero_grad()
        method()
        once = call.grads
        method()
        complaint = f"are not added by {method.__name__}: write += for ="
        _same(call, {"gradients": 2 * once}, {"gradients": call.grads}, complaint)


def wrt_is_respected(call: Call, order: int) -> None:
    """wrt="input" leaves parameter gradients alone, wrt="params" returns no dx; everything else is unchanged."""
    call.zero_grad()
    dx, grads = call.backward(), call.grads
    marks = np.random.default_rng(call.seed).standard_normal(grads.shape)
    call.layer.parameters().grads[...] = marks
    _same(call, {"dx": dx}, {"dx": call.backward("input")}, 'differs with wrt="input"')
    kept = np.array_equal(call.grads, marks)
    _require(kept, call, 'backward with wrt="input" changes parameter gradients: leave them alone')
    call.zero_grad()
    _require(call.backward("params") is None, call, 'backward with wrt="params" returns something: return None')
    _same(call, {"gradients": grads}, {"gradients": call.grads}, 'differ with wrt="params"')
    try:
        call.backward("weights")
    except ValueError:
        return
    raise GradientError(f"{call}: backward accepts wrt='weights': begin it with self.check_dy(dy, y.shape, wrt)")


def caches_are_independent(call: Call, order: int) -> None:
    """Caches of several passes (real, fake, interpolated) exist at the same time, and a cache may be used again.

    Another forward between forward and backward changes nothing, nor does a backward before double_backward.
    """
    expected = _all_results(call, order)
    _, cache = call.forward()
    call.forward(each(lambda a: a[..., ::-1] + 0.5 if is_float(a) else a[::-1], call.x))  # other pictures
    call.zero_grad()
    for _ in range(2):
        results = {"dx": call.layer.backward(call.dy, cache, "input")}
        _same(call, expected, results, f"changes after a forward of other pictures, or in a second call: {_IN_CACHE}")
    if order > 1:
        results = dict(zip(("ddy", "dx2"), call.layer.double_backward(call.ddx, call.dy, cache), strict=True))
        results["second gradients"] = call.grads
        _same(call, expected, results, f"depends on whether backward ran before: {_IN_CACHE}")


def strides_are_irrelevant(call: Call, order: int) -> None:
    """x, dy and ddx may have negative strides and gaps in memory; the results are equal up to rounding."""
    expected = _all_results(call, order)
    call.x, call.dy, call.ddx = (each(non_contiguous, a) for a in (call.x, call.dy, call.ddx))
    _same(call, expected, _all_results(call, order), "differs for a non-contiguous input")


def wrong_shapes_are_rejected(call: Call, order: int) -> None:
    """A dy or ddx of another shape that would broadcast raises ShapeError, instead of giving a wrong gradient."""
    _, cache = call.forward()
    for what, dy in _wrong("dy", call.dy):
        _refused(call, what, "self.check_dy(dy, y.shape, wrt)", "backward", dy, cache)
    if order > 1:
        check = "self.check_second(ddx, dy, cache)"
        for what, ddx in _wrong("ddx", call.ddx):
            _refused(call, what, check, "double_backward", ddx, call.dy, cache)
        for what, dy in _wrong("dy", call.dy):
            _refused(call, what, check, "double_backward", call.ddx, dy, cache)


def dtype_follows_the_input(layer: Layer, x: Any, train: bool, seed: int, order: int) -> None:
    """float32 input gives float32 results, whatever the parameters' dtype; likewise float64. Gradients keep theirs.

    The dtype of labels has no effect. A result that depends on labels but on no float may have the parameters' dtype.
    """
    for of_layer in (np.float32, np.float64):
        for of_input in (np.float32, np.float64):
            call = Call(layer, x, train, seed, of_layer)
            to_input = lambda a, dtype=of_input: a.astype(dtype) if is_float(a) else a  # noqa: E731
            call.x, call.dy, call.ddx = (each(to_input, a) for a in (call.x, call.dy, call.ddx))
            mixture = f"for {np.dtype(of_input)} input and {np.dtype(of_layer)} parameters"
            numbers, both = floats("x", call.x), entries("x", call.x)
            y_of_labels = not numbers or (len(numbers) < len(both) and isinstance(call.dy, tuple))
            for name, array in _all_results(call, order).items():
                wanted = [of_layer if "gradients" in name else of_input]
                if name.startswith(("y", "ddy")) and y_of_labels:
                    wanted.append(of_layer)
                kept = not is_float(array) or array.dtype in wanted
                _require(kept, call, f"{name} is not {np.dtype(wanted[0])} {mixture}: compute with W.astype(x.dtype)")


def _methods(call: Call, order: int) -> list[Callable]:
    return [call.forward, call.backward, call.double_backward][: order + 1]


def _all_results(call: Call, order: int) -> dict[str, np.ndarray | None]:
    """Return the results of all methods, each from a new cache; double_backward first, without a backward."""
    results = {}
    if order > 1:
        call.zero_grad()
        results |= dict(zip(("ddy", "dx2"), call.double_backward(), strict=True))
        results["second gradients"] = call.grads
    call.zero_grad()
    results |= {"y": call.forward()[0], "dx": call.backward(), "gradients": call.grads}
    return {name: array for whole, result in results.items() for name, array in entries(whole, result).items()}


def _same(call: Call, expected: dict[str, Any], found: dict[str, Any], complaint: str) -> None:
    """Require equality up to rounding, relative to the largest magnitude; None only where None is expected."""
    expected, found = (
        {name: array for whole, result in results.items() for name, array in entries(whole, result).items()}
        for results in (expected, found)
    )
    for name, array in found.items():
        wanted = expected.get(name)
        equal = array is wanted is None
        if array is not None and wanted is not None and array.shape == wanted.shape:
            equal = magnitude(array - wanted) <= 1e-10 * max(magnitude(wanted), 1e-3)
        _require(equal, call, f"{name} {complaint}")


def _require_gradient(call: Call, name: str, gradient: Any, of_name: str, of: Any, may_be_none: bool) -> None:
    """Require that a gradient has the shape of its variable, entry by entry; for labels it must be None."""
    if gradient is None and may_be_none:
        return
    _require(form(gradient) == form(of), call, f"{name} is {form(gradient)}, but {of_name} is {form(of)}")
    for (entry, found), array in zip(entries(name, gradient).items(), entries(of_name, of).values(), strict=True):
        if found is None:
            _require(may_be_none or not is_float(array), call, f"{entry} is None: return it")
        else:
            _require(is_float(array), call, f"{entry} is a gradient at labels")
            _require(found.shape == array.shape, call, f"{entry} has shape {found.shape} instead of {array.shape}")


def _wrong(name: str, a: Any) -> Iterator[tuple[str, Any]]:
    """Yield `("dy of (1, 3)", a wrong dy)`: arrays of other shapes that broadcast with `a`, one entry at a time.

    They have an axis reduced to length 1, a new leading axis, or one axis less. A tuple also loses its last entry.
    """
    if isinstance(a, tuple):
        yield f"{name} of {len(a) - 1} entries", a[:-1]
        for i, inner in enumerate(a):
            for what, wrong in _wrong(f"{name}[{i}]", inner):
                yield what, (*a[:i], wrong, *a[i + 1 :])
    elif a is not None:
        others = [np.take(a, [0], axis) for axis, length in enumerate(a.shape) if length > 1]
        for wrong in (*others, a[None], a[0]):
            yield f"{name} of {wrong.shape}", wrong


def _refused(call: Call, what: str, check: str, verb: str, *arguments: Any) -> None:
    try:
        getattr(call.layer, verb)(*arguments)
        error = None
    except ShapeError:
        return
    except Exception as raised:
        error = raised
    far = "" if error is None else f" as far as {type(error).__name__} ({error})"
    raise GradientError(f"{call}: {verb} accepts a {what}{far}: begin with {check}, which refuses it") from error


def _require(kept: bool, call: Call, complaint: str) -> None:
    if not kept:
        raise GradientError(f"{call}: {complaint}")
