"""Check a layer's or a loss's gradient against differences, to second order.

    from minigan.testing import check_layer
    check_layer(MyLayer(3, 5), x)

First order: dx and every parameter's gradient are those of ⟨dy, forward(x)⟩ for a random dy.
Second order: ddy, dx2 and what `double_backward` adds to the parameters' gradients are those of ⟨ddx, backward(dy)⟩ for
a random ddx; backward itself has been checked by then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigan.backend import to_numpy
from minigan.layers import Layer
from minigan.testing.call import Call, gradient_name
from minigan.testing.differences import Comparison, GradientError, compare, magnitude
from minigan.testing.promises import check_promises
from minigan.testing.several import flat
from minigan.testing.usable import check_layer_and_input


@dataclass
class GradientReport:
    """The largest relative error of every gradient, by the variable that it belongs to.

    first:  {"x": error of dx, "W": of dW, …}
    second: {"dy": error of ddy, "x": of dx2, "W": of what double_backward adds to dW, …}

    Where x is a tuple its entries are called "x[0]", "x[1]", …; labels have no entry.
    """

    first: dict[str, float] = field(default_factory=dict)
    second: dict[str, float] = field(default_factory=dict)

    def worst(self) -> tuple[float, float]:
        """The largest relative error of the first and of the second order; 0 where nothing was compared."""
        return max(self.first.values(), default=0.0), max(self.second.values(), default=0.0)


def check_layer(
    layer: Layer,
    x: Any,
    *,
    train: bool = True,
    seed: int = 0,
    order: int = 2,
    tolerance: tuple[float, float] = (1e-7, 1e-6),
    step: float = 1e-3,
    entries: int = 16,
    promises: bool = True,
) -> GradientReport:
    """Compare every gradient of `layer` at `x` with differences; raise GradientError at the first that is wrong.

    Raises LayerError or ShapeError where nothing can be compared: no layer, no array, an empty batch, NaN in x.

    The check works on a float64 copy of the layer, on the host. A layer whose parameters have their initial values
    (γ = 1, b = 0) hides some errors: `points.shake` moves them.

    x:         where; the layer must be smooth within `step` of it (see `points.smooth_point`). For a layer with several
               inputs a tuple. Arrays of integers are labels: they are passed on as they are, and not differentiated.
    order:     2, or 1 to leave double_backward alone.
    tolerance: largest relative error at first and second order. An entry's error is relative to the entry, or to 1/100
               of the largest in its array, or to 1/1000 of the largest in any array of the call, if that is more.
               Differences in float64 are good to about 1e-10 here; a wrong term is off by far more than 1e-6.
    entries:   arrays of up to so many numbers are compared entry by entry, larger ones at so many random entries and
               along two random directions (see `differences`).
    promises:  also check what every layer promises besides its numbers (see `promises`).
    """
    check_layer_and_input(layer, x, order)
    call = Call(layer, x, train, seed)
    if promises:
        check_promises(layer, x, train=train, seed=seed, order=order)
    settings = {"step": step, "entries": entries, "rng": np.random.default_rng(seed + 1)}
    report = GradientReport()
    forward, backward = (lambda: flat(call.forward()[0])), (lambda: flat(call.backward("input")))
    report.first = _check_all(1, *call.first_order(), forward, flat(call.dy), call, tolerance[0], settings)
    if order > 1:
        report.second = _check_all(2, *call.second_order(), backward, flat(call.ddx), call, tolerance[1], settings)
    return report


def _check_all(
    order: int,
    written: dict[str, np.ndarray],
    moved: dict[str, np.ndarray],
    output: Callable[[], np.ndarray],
    weights: np.ndarray,
    call: Call,
    tolerance: float,
    settings: dict[str, Any],
) -> dict[str, float]:
    """Check each gradient in `written`: that of ⟨weights, output()⟩ in the array of `moved` with the same name."""
    largest, errors = magnitude(*written.values()), {}
    for name, array in moved.items():
        worst = compare(written[name], array, output, weights, largest=largest, **settings)
        errors[name] = worst.error
        require(worst, tolerance, f"{gradient_name(name, order)} of {call}, {('first', 'second')[order - 1]} order")
    return errors


def check_loss(
    loss: Callable[..., tuple[Any, Any]], *arrays: Any, tolerance: float = 1e-7, step: float = 1e-3, seed: int = 0
) -> list[float]:
    """Compare the gradients of `value, gradient = loss(*arrays)` with differences, entry by entry.

    With several arrays the gradient is a tuple, one for each. Also: the value is one number, a gradient has its array's
    shape and dtype, float32 stays float32, the arrays are not written to. Returns the largest relative error for each.
    """
    points = [to_numpy(a).astype(np.float64) for a in arrays]
    before = [p.copy() for p in points]
    gradients = _gradients_of(loss, points)
    for p, b in zip(points, before, strict=True):
        if not np.array_equal(p, b):
            raise GradientError(f"{_name(loss)} wrote to its input")
    _gradients_of(loss, [p.astype(np.float32) for p in points])
    rng, errors = np.random.default_rng(seed), []
    for i, (p, gradient) in enumerate(zip(points, gradients, strict=True)):
        worst = compare(
            gradient,
            p,
            lambda: np.asarray(loss(*points)[0]),
            np.ones(()),
            largest=magnitude(*gradients),
            step=step,
            entries=max(p.size, 1),
            rng=rng,
        )
        require(worst, tolerance, f"gradient {i} of {_name(loss)} at {p.shape}")
        errors.append(worst.error)
    return errors


def _gradients_of(loss: Callable[..., tuple[Any, Any]], points: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    value, gradients = loss(*points)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    if np.shape(value) != ():
        raise GradientError(f"{_name(loss)} has a value of shape {np.shape(value)}: it must be one number")
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


def check_adjoint(
    A: Callable[[Any], Any], At: Callable[[Any], Any], x: np.ndarray, y: np.ndarray, tolerance: float = 1e-12
) -> float:
    """Check that ⟨A x, y⟩ = ⟨x, Aᵀ y⟩ to rounding: relative to |A x| · |y|. It needs no differences, A is linear."""
    Ax, Aty = A(x), At(y)
    if Ax.shape != y.shape or Aty.shape != x.shape:
        raise GradientError(f"A: {x.shape} → {Ax.shape}, but its adjoint: {y.shape} → {Aty.shape}")
    length = float(np.linalg.norm(Ax) * np.linalg.norm(y)) or 1.0
    comparison = Comparison("⟨x, Aᵀ y⟩", float(np.vdot(x, Aty)), float(np.vdot(Ax, y)), length)
    require(comparison, tolerance, "adjoint")
    return comparison.error


def require(worst: Comparison, tolerance: float, what: str) -> None:
    """Raise GradientError, saying what and where, if the worst comparison is beyond the tolerance."""
    if not worst.error <= tolerance:
        raise GradientError(f"{what}\n  {worst}\n  relative error {worst.error:.2e}, allowed {tolerance:.0e}")


def _name(loss: Any) -> str:
    return getattr(loss, "__name__", repr(loss))
