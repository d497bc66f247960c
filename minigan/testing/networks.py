"""Check the gradients of whole networks: a random choice of entries, and a way around kinks.

In a network the input of a ReLU is what it is, and a step may carry it across its kink. Widening the tolerance would
hide errors. Instead, `slope_and_roughness` tells a kink from the differences themselves, and where there is one within
±h another entry is drawn. That decision doesn't look at the entry under test, so it can't let a wrong one pass. The
step is small, 1e-5, so that crossings are rare; differences are then good to about 1e-9.
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

TRIES = 20  # entries drawn for each one wanted, before giving up


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
    """
    call = Call(network, x, train, seed)
    report, rng = GradientReport(), np.random.default_rng(seed + 1)
    settings = {"entries": entries, "step": step, "rng": rng}

    call.zero_grad()
    written = {"x": call.backward()} | {name: grad.copy() for name, (_, grad) in call.named.items()}
    moved = {"x": call.x} | {name: value for name, (value, _) in call.named.items()}
    title = f"{type(network).__name__} {call.x.shape}, train={train}, seed={seed}"
    report.first = _check_entries(
        written, moved, lambda: call.forward()[0], call.dy, f"{title}, first order", tolerance[0], settings
    )
    if order > 1:
        call.zero_grad()
        ddy, dx2 = call.double_backward()
        written = {"dy": ddy, "x": np.zeros_like(call.x) if dx2 is None else dx2}
        written |= {name: grad.copy() for name, (_, grad) in call.named.items()}
        report.second = _check_entries(
            written,
            {"dy": call.dy} | moved,
            lambda: call.backward("input"),
            call.ddx,
            f"{title}, second order",
            tolerance[1],
            settings,
        )
    return report


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
    Returns the largest relative error of each parameter of G.
    """
    generator = Call(G, z, train, seed)
    discriminator = Call(D, generator.forward()[0], train, seed)

    def logits() -> tuple[np.ndarray, Any, Any]:
        x, g_cache = generator.forward()
        y, d_cache = discriminator.forward(x)
        return y, g_cache, d_cache

    r = discriminator.dy
    _, g_cache, d_cache = logits()
    for call in (generator, discriminator):
        call.zero_grad()
    dx = discriminator.layer.backward(r, d_cache, wrt="input")
    generator.layer.backward(dx, g_cache, wrt="params")
    if discriminator.grads.any():
        raise GradientError("the generator's step changed the discriminator's gradients, in spite of wrt=\"input\"")
    written = {name: grad.copy() for name, (_, grad) in generator.named.items()}
    moved = {name: value for name, (value, _) in generator.named.items()}
    settings = {"entries": entries, "step": step, "rng": np.random.default_rng(seed + 1)}
    title = f"G through D, z {generator.x.shape}, train={train}, seed={seed}"
    return _check_entries(written, moved, lambda: logits()[0], r, title, tolerance, settings)


def _check_entries(
    written: dict[str, np.ndarray],
    moved: dict[str, np.ndarray],
    output: Callable[[], np.ndarray],
    weights: np.ndarray,
    title: str,
    tolerance: float,
    settings: dict[str, Any],
) -> dict[str, float]:
    """Check each gradient in `written` with that of ⟨weights, output()⟩ in `moved`; return the largest errors."""
    largest, errors = magnitude(*written.values()), {}
    for name, array in moved.items():
        scale = max(magnitude(written[name]), FLOOR * largest)
        smooth = _smooth_entries(array, output, weights, scale, tolerance, f"{name} of {title}", **settings)
        for index, numeric in smooth:
            numbers = Comparison(f"at {index}", float(written[name][index]), numeric, max(scale, abs(numeric)))
            require(numbers, tolerance, f"{gradient_name(name)} of {title}")
            errors[name] = max(errors.get(name, 0.0), numbers.error)
    return errors


def _smooth_entries(
    array: np.ndarray,
    output: Callable[[], np.ndarray],
    weights: np.ndarray,
    scale: float,
    tolerance: float,
    what: str,
    entries: int,
    step: float,
    rng: np.random.Generator,
) -> list[tuple[tuple[int, ...], float]]:
    """Up to `entries` random (index, derivative) whose roughness is within a quarter of the tolerance.

    A bias moves every pixel, so each of its few entries may have a kink in reach: then steps 10 and 100 times smaller
    are tried, which rounding still allows.
    """
    wanted, found, start = min(entries, array.size), [], output()
    for h in (step, step / 10, step / 100):
        for flat in rng.permutation(array.size)[: TRIES * wanted]:
            index = tuple(int(i) for i in np.unravel_index(flat, array.shape))
            moved = along(array, one_entry(array.shape, index), output)
            slope, roughness = slope_and_roughness(lambda t, moved=moved: np.vdot(weights, moved(t) - start), h)
            if roughness <= tolerance / 4 * max(scale, abs(slope)):
                found.append((index, slope))
            if len(found) == wanted:
                break
        if found or not wanted:
            return found
    raise GradientError(f"{what}: no entry is smooth within ±{step / 100:g}; try another input")


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
