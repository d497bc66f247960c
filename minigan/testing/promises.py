"""What every layer promises besides its numbers.

Each function here checks one promise of `docs/architecture.md` and says in its docstring what goes wrong without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigan.errors import ShapeError
from minigan.layers import Layer
from minigan.testing.call import Call
from minigan.testing.differences import GradientError, magnitude
from minigan.testing.points import non_contiguous


def check_promises(layer: Layer, x: Any, *, train: bool = True, seed: int = 0, order: int = 2) -> None:
    """Check all of them at `x`; raise GradientError at the first that is broken."""
    promises = [inputs_stay_as_they_are, forward_repeats_itself, outputs_are_new_arrays, gradients_are_added]
    promises += [wrt_is_kept_to, caches_are_apart, any_strides_will_do, wrong_shapes_are_refused]
    for promise in promises:
        promise(Call(layer, x, train, seed), order)
    dtype_of_the_input_decides(layer, x, train, seed, order)


def inputs_stay_as_they_are(call: Call, order: int) -> None:
    """No verb writes to x, dy, ddx or a parameter: the caller still needs them."""
    arrays = {"x": call.x, "dy": call.dy, "ddx": call.ddx} | {name: value for name, (value, _) in call.named.items()}
    before = {name: array.copy() for name, array in arrays.items()}
    for verb in _verbs(call, order):
        verb()
        for name, array in arrays.items():
            _require(np.array_equal(array, before[name]), call, f"{verb.__name__} writes to {name}")


def forward_repeats_itself(call: Call, order: int) -> None:
    """The same x, draws and state give the same y: nothing of a call stays on the layer."""
    _same(call, {"y": call.forward()[0]}, {"y": call.forward()[0]}, "differs in a second forward")


def outputs_are_new_arrays(call: Call, order: int) -> None:
    """No output shares memory with an input, and all have the right shapes."""
    y, cache = call.forward()
    dx = call.layer.backward(call.dy, cache)
    _require(dx.shape == call.x.shape, call, f"dx has shape {dx.shape}")
    pairs = [("y", y, "x", call.x), ("dx", dx, "dy", call.dy)]
    if order > 1:
        ddy, dx2 = call.layer.double_backward(call.ddx, call.dy, cache)
        _require(ddy.shape == y.shape, call, f"ddy has shape {ddy.shape}, but the output has {y.shape}")
        pairs += [("ddy", ddy, "ddx", call.ddx), ("ddy", ddy, "dy", call.dy)]
        if dx2 is not None:
            _require(dx2.shape == call.x.shape, call, f"dx2 has shape {dx2.shape}")
            pairs += [("dx2", dx2, "ddx", call.ddx), ("dx2", dx2, "dy", call.dy), ("dx2", dx2, "ddy", ddy)]
    for name, array, other_name, other in pairs:
        _require(not np.may_share_memory(array, other), call, f"{name} shares memory with {other_name}")


def gradients_are_added(call: Call, order: int) -> None:
    """Gradients of real and fake pictures add up, so a second backward adds to the first."""
    for verb in _verbs(call, order)[1:]:
        call.zero_grad()
        verb()
        once = call.grads
        verb()
        _same(call, {"gradients": 2 * once}, {"gradients": call.grads}, f"are not added by {verb.__name__}")


def wrt_is_kept_to(call: Call, order: int) -> None:
    """wrt="input" leaves parameter gradients alone, wrt="params" returns no dx, and what is left is the same."""
    call.zero_grad()
    dx, grads = call.backward(), call.grads
    marks = np.random.default_rng(call.seed).standard_normal(grads.shape)
    call.layer.parameters().grads[...] = marks
    _same(call, {"dx": dx}, {"dx": call.backward("input")}, 'is another with wrt="input"')
    _require(np.array_equal(call.grads, marks), call, 'backward with wrt="input" changes parameter gradients')
    call.zero_grad()
    _require(call.backward("params") is None, call, 'backward with wrt="params" returns something')
    _same(call, {"gradients": grads}, {"gradients": call.grads}, 'are others with wrt="params"')
    try:
        call.backward("weights")
    except ValueError:
        return
    raise GradientError(f"{call}: backward accepts wrt='weights'")


def caches_are_apart(call: Call, order: int) -> None:
    """Passes over real, fake and interpolated pictures are alive together, and a cache may be used again.

    Another forward between forward and backward changes nothing, nor does backward before double_backward.
    """
    expected = _all_results(call, order)
    _, cache = call.forward()
    call.forward(call.x[..., ::-1] + 0.5)  # other pictures
    call.zero_grad()
    for _ in range(2):
        results = {"dx": call.layer.backward(call.dy, cache, "input")}
        _same(call, expected, results, "changes when other pictures went through, or when asked twice")
    if order > 1:
        results = dict(zip(("ddy", "dx2"), call.layer.double_backward(call.ddx, call.dy, cache), strict=True))
        results["second gradients"] = call.grads
        _same(call, expected, results, "depends on whether backward ran before")


def any_strides_will_do(call: Call, order: int) -> None:
    """x, dy and ddx may lie in memory backwards and with gaps; the results are the same to rounding."""
    expected = _all_results(call, order)
    call.x, call.dy, call.ddx = non_contiguous(call.x), non_contiguous(call.dy), non_contiguous(call.ddx)
    _same(call, expected, _all_results(call, order), "differs for a non-contiguous input")


def wrong_shapes_are_refused(call: Call, order: int) -> None:
    """dy or ddx of another shape that NumPy would broadcast is an error (ShapeError), not a wrong gradient."""
    _, cache = call.forward()
    for dy in _broadcastable(call.dy):
        _refused(call, lambda dy=dy: call.layer.backward(dy, cache), f"backward accepts a dy of {dy.shape}")
    for ddx in _broadcastable(call.ddx) if order > 1 else ():
        verb = lambda ddx=ddx: call.layer.double_backward(ddx, call.dy, cache)  # noqa: E731
        _refused(call, verb, f"double_backward accepts a ddx of {ddx.shape}")
    for dy in _broadcastable(call.dy) if order > 1 else ():
        verb = lambda dy=dy: call.layer.double_backward(call.ddx, dy, cache)  # noqa: E731
        _refused(call, verb, f"double_backward accepts a dy of {dy.shape}")


def dtype_of_the_input_decides(layer: Layer, x: Any, train: bool, seed: int, order: int) -> None:
    """float32 in, float32 out, whatever dtype the parameters have, and so for float64. Gradients keep their dtype."""
    for of_layer in (np.float32, np.float64):
        for of_input in (np.float32, np.float64):
            call = Call(layer, x, train, seed, of_layer)
            call.x, call.dy, call.ddx = (a.astype(of_input) for a in (call.x, call.dy, call.ddx))
            mixture = f"for {np.dtype(of_input)} input and {np.dtype(of_layer)} parameters"
            for name, array in _all_results(call, order).items():
                wanted = of_layer if "gradients" in name else of_input
                _require(array is None or array.dtype == wanted, call, f"{name} is not {np.dtype(wanted)} {mixture}")


def _verbs(call: Call, order: int) -> list[Callable]:
    return [call.forward, call.backward, call.double_backward][: order + 1]


def _all_results(call: Call, order: int) -> dict[str, np.ndarray | None]:
    """Of each verb with a fresh cache; double_backward goes first, because it may not lean on backward."""
    results = {}
    if order > 1:
        call.zero_grad()
        results |= dict(zip(("ddy", "dx2"), call.double_backward(), strict=True))
        results["second gradients"] = call.grads
    call.zero_grad()
    return results | {"y": call.forward()[0], "dx": call.backward(), "gradients": call.grads}


def _same(call: Call, expected: dict[str, Any], found: dict[str, Any], complaint: str) -> None:
    """Equal to rounding, relative to the largest magnitude; None only where None is expected."""
    for name, array in found.items():
        wanted = expected[name]
        equal = array is wanted is None
        if array is not None and wanted is not None and array.shape == wanted.shape:
            equal = magnitude(array - wanted) <= 1e-10 * max(magnitude(wanted), 1e-3)
        _require(equal, call, f"{name} {complaint}")


def _broadcastable(a: np.ndarray) -> Iterator[np.ndarray]:
    """Arrays of other shapes that broadcast with `a`: an axis of length 1, a new axis in front, an axis missing."""
    for axis, length in enumerate(a.shape):
        if length > 1:
            yield np.take(a, [0], axis)
    yield a[None]
    yield a[0]


def _refused(call: Call, verb: Callable[[], Any], complaint: str) -> None:
    try:
        verb()
    except ShapeError:
        return
    except Exception as error:
        raise GradientError(f"{call}: {complaint} as far as {type(error).__name__}: {error}") from error
    raise GradientError(f"{call}: {complaint}")


def _require(kept: bool, call: Call, complaint: str) -> None:
    if not kept:
        raise GradientError(f"{call}: {complaint}")
