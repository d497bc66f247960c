"""Check the gradients of whole networks: a random choice of entries, and a way around kinks.

In a network the input of a ReLU is what it is, and a step may carry it across its kink. Widening the tolerance would
hide errors. Instead, `slope_and_roughness` tells a kink from the differences themselves, and where there is one within
±h another entry is drawn; where every entry has one in reach (a bias moves all pixels), x is moved a little and the
check begins again. Neither decision looks at the entry under test, so they can't let a wrong one pass. The step is
small, 1e-5, so that crossings are rare; differences are then good to about 1e-9.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.layers import Layer
from minigan.testing.call import Call, gradient_name
from minigan.testing.differences import (
    FLOOR,
    Comparison,
    GradientError,
    along,
    magnitude,
    one_entry,
)
from minigan.testing.gradcheck import GradientReport, require
from minigan.testing.registered import everything_is_registered
from minigan.testing.several import flat, floats
from minigan.testing.usable import check_layer_and_input

TRIES = 20  # entries drawn for each one wanted, before giving up
NUDGES = 5  # other points tried, each 1e-3 away in every number of x


class NotSmooth(GradientError):
    """No entry of an array can be moved without meeting a kink."""


def check_network(
    network: Layer,
    x: Any,
    *,
    train: bool = True,
    seed: int = 0,
    order: int = 2,
    entries: int = 5,
    tolerance: tuple[float, float] = (1e-6, 1e-6),
    step: float = 1e-5,
) -> GradientReport:
    """Compare `entries` random entries of dx and of every parameter's gradient with differences, in float64.

    As `check_layer`, but for networks: with order=2 also those of ddy, dx2 and what double_backward adds to the
    parameters' gradients. Errors are relative to the largest magnitude of the array. Raises GradientError.
    x may be a tuple, with labels in it: see `check_layer`.
    """
    check_layer_and_input(network, x, order)
    call = Call(network, x, train, seed)
    everything_is_registered(call)
    settings = {"entries": entries, "step": step, "rng": np.random.default_rng(seed + 1)}
    title = f"{type(network).__name__} {call.x_shape}, train={train}, seed={seed}"
    forward, backward = (lambda: flat(call.forward()[0])), (lambda: flat(call.backward("input")))

    def check() -> GradientReport:
        report = GradientReport()
        report.first = _check_entries(
            1, *call.first_order(), forward, flat(call.dy), f"{title}, first order", tolerance[0], **settings
        )
        if order > 1:
            report.second = _check_entries(
                2, *call.second_order(), backward, flat(call.ddx), f"{title}, second order", tolerance[1], **settings
            )
        return report

    return _at_a_smooth_point(check, call)


def check_through(
    G: Layer,
    D: Layer,
    z: Any,
    *,
    train: bool = True,
    seed: int = 0,
    entries: int = 5,
    tolerance: float = 1e-6,
    step: float = 1e-5,
) -> dict[str, float]:
    """Check the generator's gradient through the discriminator: that of ⟨r, D(G(z))⟩ for a random r.

    It is computed as in training, G.backward(D.backward(r, wrt="input"), wrt="params"), and compared with differences
    at `entries` random entries of every parameter of G. D's own gradients must stay as they are.
    With a condition, z is a tuple (z, c), of which D gets (G(z, c), c).
    Returns the largest relative error of each parameter of G.
    """
    generator = Call(G, z, train, seed)
    condition = generator.x[1:] if isinstance(generator.x, tuple) else ()
    seen = lambda x: (x, *condition) if condition else x  # noqa: E731  what D gets
    discriminator = Call(D, seen(generator.forward()[0]), train, seed)

    def logits() -> tuple[np.ndarray, Any, Any]:
        x, g_cache = generator.forward()
        y, d_cache = discriminator.forward(seen(x))
        return y, g_cache, d_cache

    r = discriminator.dy
    title = f"G through D, z {generator.x_shape}, train={train}, seed={seed}"
    rng = np.random.default_rng(seed + 1)

    def check() -> dict[str, float]:
        _, g_cache, d_cache = logits()
        generator.zero_grad()
        discriminator.zero_grad()
        dx = discriminator.layer.backward(r, d_cache, wrt="input")
        generator.layer.backward(dx[0] if condition else dx, g_cache, wrt="params")
        if discriminator.grads.any():
            raise GradientError("the generator's step changed the discriminator's gradients, in spite of wrt='input'")
        written = {name: grad.copy() for name, (_, grad) in generator.named.items()}
        moved = {name: value for name, (value, _) in generator.named.items()}
        return _check_entries(1, written, moved, lambda: logits()[0], r, title, tolerance, entries, step, rng)

    return _at_a_smooth_point(check, generator)


def _at_a_smooth_point(check: Callable[[], Any], call: Call) -> Any:
    """The result of `check`, which is tried at other points near call.x if it doesn't find this one smooth."""
    for seed in range(NUDGES):
        try:
            return check()
        except NotSmooth:
            rng = np.random.default_rng(seed)
            for entry in floats("x", call.x).values():
                entry += 1e-3 * rng.standard_normal(entry.shape)
    return check()


def _check_entries(
    order: int,
    written: dict[str, np.ndarray],
    moved: dict[str, np.ndarray],
    output: Callable[[], np.ndarray],
    weights: np.ndarray,
    title: str,
    tolerance: float,
    entries: int,
    step: float,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Check each gradient in `written`: that of ⟨weights, output()⟩ in the array of `moved` with the same name.

    The first entry is the one with the largest gradient, because random ones may all be zero: of an embedding only the
    rows of the labels at hand have a gradient. The others are random. Entries are used if their roughness is within a
    quarter of the tolerance. Returns the largest error of each array.
    """
    largest, start, errors = magnitude(*written.values()), output(), {}
    for name, array in moved.items():
        label = f"{gradient_name(name, order)} of {title}"
        scale, wanted, used = max(magnitude(written[name]), FLOOR * largest), min(entries, array.size), 0
        first = np.abs(written[name]).argmax(keepdims=True).ravel()
        for number in np.concatenate([first, rng.permutation(array.size)[: TRIES * wanted]]):
            index = tuple(int(i) for i in np.unravel_index(number, array.shape))
            y = along(array, one_entry(array.shape, index), output)
            slope, roughness = slope_and_roughness(lambda t, y=y: np.vdot(weights, y(t) - start), step)
            size = max(scale, abs(slope))
            if roughness > tolerance / 4 * size:
                continue
            numbers = Comparison(f"at {index}", float(written[name][index]), slope, size)
            require(numbers, tolerance, label)
            errors[name] = max(errors.get(name, 0.0), numbers.error)
            used += 1
            if used == wanted:
                break
        if used == 0 < wanted:
            raise NotSmooth(f"{label}: no entry is smooth within ±{step:g}; try a smaller step or another input")
    return errors


def slope_and_roughness(s: Callable[[float], float], step: float) -> tuple[float, float]:
    """s′(0) of a function with s(0) = 0, and how far s is from smooth within ±h.

    The slope is that of `differences.derivative`, made of D(h) and D(h/2). Two things are of the order h² where s is
    smooth, but a fixed part of the jump in s′ where it has a kink, however small h is:

        odd    D(h/2) − D(h), except for a kink at exactly 0, of which both see half;
        even   the fourth difference over h, (s(h) + s(−h) − 4 s(h/2) − 4 s(−h/2) + 6 s(0)) / h, except at h/3.

    The larger of the two is the roughness.
    """
    whole, half = (s(step), s(-step)), (s(step / 2), s(-step / 2))
    coarse, fine = (whole[0] - whole[1]) / (2 * step), (half[0] - half[1]) / step
    even = (sum(whole) - 4 * sum(half)) / step
    return float(4 * fine - coarse) / 3, float(max(abs(fine - coarse), abs(even)))
