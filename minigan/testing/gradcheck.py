"""Check the gradients of a layer or a loss against finite differences, to second order.

    from minigan.testing import check_layer
    check_layer(MyLayer(3, 5), x)

* First order: dx and all parameter gradients are compared with the gradients of ⟨dy, forward(x)⟩ for a random dy.
* Second order: ddy, dx2 and what `double_backward` adds to parameter gradients are compared with the gradients of ⟨ddx,
  backward(dy)⟩ for a random ddx. By then, backward itself has been checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from minigan.backend import is_array, to_numpy
from minigan.layers import Layer
from minigan.testing.call import Call, gradient_name
from minigan.testing.differences import Comparison, GradientError, along, derivative, directions, require
from minigan.testing.promises import check_promises
from minigan.testing.rounding import Written
from minigan.testing.several import flat
from minigan.testing.usable import check_layer_and_input, check_point

ORDERS = {1: "first", 2: "second"}

ENTRY_FLOOR = 1e-2  # errors are relative to the entry, but at least to this part of the array's largest


class GradientReport(NamedTuple):
    """The largest relative error of every gradient, keyed by its variable.

    first:  {"x": error of dx, "W": of dW, …}
    second: {"dy": error of ddy, "x": of dx2, "W": of what double_backward adds to dW, …}

    If x is a tuple, its entries are named "x[0]", "x[1]", …; labels are left out.
    """

    first: dict[str, float]
    second: dict[str, float]

    def worst(self) -> tuple[float, float]:
        """Return the largest relative errors of first and second order; 0 if nothing was compared."""
        return max(self.first.values(), default=0.0), max(self.second.values(), default=0.0)


def check_layer(
    layer: Layer,
    x: Any,
    *,
    train: bool = True,
    seed: int = 0,
    order: int = 2,
    tolerance: float | tuple[float, float] = (1e-7, 1e-6),
    step: float = 1e-4,
    entries: int = 16,
    promises: bool = True,
) -> GradientReport:
    """Compare every gradient of `layer` at `x` with finite differences. Raises GradientError for the first wrong one.

    The check uses a float64 copy of the layer, on the host. Initial parameters (γ = 1, b = 0) hide some errors:
    `points.shake` changes them. Raises LayerError or ShapeError if there is nothing to compare: no layer, no array, an
    empty batch, NaN in x.

    x:         the layer must be smooth within `step` of x (see `points.smooth_point`). A tuple if the layer has several
               inputs. Integer arrays are labels: they are passed on unchanged, and not differentiated.
    order:     2, or 1 to skip double_backward.
    tolerance: largest relative error at first and second order, or one for both. An entry's error is relative to the
               entry, but at least to 1/100 of the largest entry of its array, with allowance for rounding errors (see
               `rounding`). Relative to the largest entry, an error of ten times the tolerance is always detected in an
               entry that is compared alone.
    entries:   arrays of up to this many numbers are compared entry by entry; larger ones at this many random entries,
               and along two random directions (see `differences`).
    promises:  also check what every layer promises besides its gradients (see `promises`).
    """
    check_layer_and_input(layer, x, order)
    allowed = (tolerance, tolerance) if isinstance(tolerance, (int, float)) else tolerance
    call = Call(layer, x, train, seed)
    if promises:
        check_promises(layer, x, train=train, seed=seed, order=order)
    rng, report = np.random.default_rng(seed + 1), GradientReport({}, {})
    for k, errors in list(enumerate(report, 1))[:order]:
        written = written_by(call, k, allowed[k - 1], rng)
        for name in written.moved:
            what = f"{gradient_name(name, k)} of {call}, {ORDERS[k]} order"
            errors[name] = compare(written, name, what, step=step, entries=entries, rng=rng)
    return report


def written_by(call: Call, order: int, tolerance: float, rng: np.random.Generator) -> Written:
    """Return the layer's gradients of ⟨dy, forward(x)⟩ for order 1, and of ⟨ddx, backward(dy)⟩ for order 2."""
    if order == 1:
        both, output, weights = call.first_order, lambda: flat(call.forward()[0]), flat(call.dy)
    else:
        both, output, weights = call.second_order, lambda: flat(call.backward("input")), flat(call.ddx)
    return Written(lambda: both()[0], both()[1], output, weights, tolerance, rng)


def compare(written: Written, name: str, what: str, *, step: float, entries: int, rng: np.random.Generator) -> float:
    """Compare one gradient with differences, and return its largest error. Raises GradientError if it is wrong.

    An entry's error is relative to the entry (see ENTRY_FLOOR), a direction's error to the length of the gradient.
    """
    array, gradient, M, largest = written.moved[name], written.gradients[name], written.scale(name), 0.0
    for where, direction in directions(array.shape, entries, rng):
        length, by_hand = float(np.linalg.norm(direction)), float(np.vdot(gradient, direction))
        entry = max(abs(by_hand), ENTRY_FLOOR * M)
        scale = entry if where.startswith("at") else max(M, float(np.linalg.norm(gradient)))
        for last in (False, True):
            h = written.step(name, step)
            numeric = float(np.vdot(written.weights, derivative(along(array, direction, written.output), h)))
            uncertainty = written.uncertainty(name, h, length)
            try:
                error = written.judge(name, where, by_hand, numeric, scale, uncertainty, what)
                break
            except GradientError:  # the step for a tiny gradient may be too large: retry with one for small gradients
                if last or not written.is_small(name):
                    raise
        largest = max(largest, error)
    return largest


def check_loss(
    loss: Callable[..., tuple[Any, Any]], *arrays: Any, tolerance: float = 1e-7, step: float = 1e-3, seed: int = 0
) -> list[float]:
    """Compare the gradients of `value, gradient = loss(*arrays)` with finite differences, entry by entry.

    With several arrays, `gradient` is a tuple with one for each. Also checked: the value is one number, each gradient
    has the shape and dtype of its array, float32 stays float32, and the arrays are not modified. Returns the largest
    relative error for each array.
    """
    for i, array in enumerate(arrays):
        check_point(f"array {i} of {_name(loss)}", array)
    points = [to_numpy(a).astype(np.float64) for a in arrays]
    before = [p.copy() for p in points]
    _gradients_of(loss, points)
    for p, b in zip(points, before, strict=True):
        if not np.array_equal(p, b):
            raise GradientError(f"{_name(loss)} wrote to its input")
    _gradients_of(loss, [p.astype(np.float32) for p in points])
    rng, moved = np.random.default_rng(seed), _named(points)
    value = lambda: np.asarray(loss(*points)[0])  # noqa: E731
    written = Written(lambda: _named(_gradients_of(loss, points)), moved, value, np.ones(()), tolerance, rng)
    return [
        compare(written, name, f"gradient {name} of {_name(loss)} at {p.shape}", step=step, entries=p.size, rng=rng)
        for name, p in moved.items()
    ]


def _gradients_of(loss: Callable[..., tuple[Any, Any]], points: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    result = loss(*points)
    if not isinstance(result, tuple) or len(result) != 2:
        raise GradientError(f"{_name(loss)} returns a {type(result).__name__}: it must return (value, gradient)")
    value, gradients = result
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    if np.shape(value) != ():
        raise GradientError(f"{_name(loss)} has a value of shape {np.shape(value)}: it must be one number")
    for what, a in (("value", value), *(("gradient", g) for g in gradients)):
        if not is_array(a):
            raise GradientError(f"{_name(loss)} has a {what} that is a {type(a).__name__}: return NumPy's result")
    if value.dtype != points[0].dtype:
        raise GradientError(f"{_name(loss)} turned {points[0].dtype} into a value of {value.dtype}")
    if len(gradients) != len(points):
        raise GradientError(f"{_name(loss)} has {len(points)} arguments and {len(gradients)} gradients")
    for p, g in zip(points, gradients, strict=True):
        if g.shape != p.shape or g.dtype != p.dtype:
            raise GradientError(f"{_name(loss)}: {p.dtype} {p.shape} has a gradient {g.dtype} {g.shape}")
        if np.may_share_memory(g, p):
            raise GradientError(f"{_name(loss)}: the gradient shares memory with the input")
    return gradients


def _named(arrays: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    return {str(i): array for i, array in enumerate(arrays)}


def check_adjoint(
    A: Callable[[Any], Any], At: Callable[[Any], Any], x: np.ndarray, y: np.ndarray, tolerance: float = 1e-12
) -> float:
    """Check that ⟨A x, y⟩ = ⟨x, Aᵀ y⟩ up to rounding, relative to |A x| · |y|. No differences: A is linear."""
    check_point("x", x)
    check_point("y", y)
    Ax, Aty = A(x), At(y)
    if Ax.shape != y.shape or Aty.shape != x.shape:
        raise GradientError(f"A: {x.shape} → {Ax.shape}, but its adjoint: {y.shape} → {Aty.shape}")
    length = float(np.linalg.norm(Ax) * np.linalg.norm(y)) or 1.0
    comparison = Comparison("⟨x, Aᵀ y⟩", float(np.vdot(x, Aty)), float(np.vdot(Ax, y)), length)
    require(comparison, tolerance, "adjoint")
    return comparison.error


def _name(loss: Any) -> str:
    return getattr(loss, "__name__", repr(loss))
