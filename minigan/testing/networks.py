"""Check the gradients of whole networks at random entries, avoiding kinks.

Inside a network the input of a ReLU can't be chosen, so a step of ±h may cross its kink. A larger tolerance would hide
errors. Instead, `slope_and_roughness` detects kinks from the differences themselves, and the error that a kink can
cause in the slope is added to the uncertainty of the comparison (`rounding`). An entry with too large an uncertainty is
replaced by another. If an array has no usable entry (a bias shifts all pixels), x is moved by about 1e-3 and the check
restarts. The step is small, 1e-5, so that kinks are rarely crossed, and larger where rounding requires it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.layers import Layer
from minigan.testing.call import Call, gradient_name
from minigan.testing.differences import GradientError, along, one_entry
from minigan.testing.gradcheck import ORDERS, GradientReport, written_by
from minigan.testing.registered import everything_is_registered
from minigan.testing.rounding import Written
from minigan.testing.several import floats
from minigan.testing.usable import check_layer_and_input

TRIES = 20  # entries tried for each one wanted
NUDGES = 5  # points tried, each about 1e-3 from the previous one in every entry of x
KINK = 7 / 6  # largest error of the slope by one kink, at 2h/7, relative to the roughness. Several may cause more


class NotSmooth(GradientError):
    """No entry of an array can be displaced without crossing a kink."""


def check_network(
    network: Layer,
    x: Any,
    *,
    train: bool = True,
    seed: int = 0,
    order: int = 2,
    entries: int = 5,
    tolerance: tuple[float, float] = (1e-7, 1e-6),
    step: float = 1e-5,
) -> GradientReport:
    """Compare `entries` random entries of dx and of every parameter gradient with finite differences, in float64.

    Like `check_layer`, but for networks: with order=2 also entries of ddy, dx2 and of what double_backward adds to
    parameter gradients. Errors are relative to the largest entry of the array, with allowance for rounding (see
    `rounding`). x may be a tuple, with labels in it: see `check_layer`. Raises GradientError.
    """
    check_layer_and_input(network, x, order)
    call = Call(network, x, train, seed)
    everything_is_registered(call)

    def check() -> GradientReport:
        rng, report = np.random.default_rng(seed + 1), GradientReport({}, {})
        for k, errors in list(enumerate(report, 1))[:order]:
            title = f"{type(network).__name__} {call.x_shape}, train={train}, seed={seed}, {ORDERS[k]} order"
            written = written_by(call, k, tolerance[k - 1], rng)
            errors |= check_entries(written, title, order=k, entries=entries, step=step, rng=rng)
        return report

    return at_a_smooth_point(check, call)


def check_through(
    G: Layer,
    D: Layer,
    z: Any,
    *,
    train: bool = True,
    seed: int = 0,
    entries: int = 5,
    tolerance: float = 1e-7,
    step: float = 1e-5,
) -> dict[str, float]:
    """Check the gradient of a generator through a discriminator, that of ⟨r, D(G(z))⟩ for a random r.

    It is computed as in training, G.backward(D.backward(r, wrt="input"), wrt="params"), and compared with differences
    at `entries` random entries of every parameter of G. D's own gradients must not change. With a condition, z is a
    tuple (z, c), and D gets (G(z), c). Returns the largest relative error of each parameter of G.
    """
    check_layer_and_input(G, z, order=1)
    generator = Call(G, z, train, seed)
    condition = generator.x[1:] if isinstance(generator.x, tuple) else ()
    seen = lambda x: (x, *condition) if condition else x  # noqa: E731  D's input
    check_layer_and_input(D, seen(generator.forward()[0]), order=1)
    discriminator = Call(D, seen(generator.forward()[0]), train, seed)

    def logits() -> tuple[np.ndarray, Any, Any]:
        x, g_cache = generator.forward()
        y, d_cache = discriminator.forward(seen(x))
        return y, g_cache, d_cache

    def gradients() -> dict[str, np.ndarray]:
        _, g_cache, d_cache = logits()
        generator.zero_grad()
        discriminator.zero_grad()
        dx = discriminator.layer.backward(r, d_cache, wrt="input")
        generator.layer.backward(dx[0] if condition else dx, g_cache, wrt="params")
        if discriminator.grads.any():
            raise GradientError("the generator's step changed the discriminator's gradients, in spite of wrt='input'")
        return {name: grad.copy() for name, (_, grad) in generator.named.items()}

    r = discriminator.dy
    title = f"G through D, z {generator.x_shape}, train={train}, seed={seed}"
    moved = {name: value for name, (value, _) in generator.named.items()}

    def check() -> dict[str, float]:
        rng = np.random.default_rng(seed + 1)
        written = Written(gradients, moved, lambda: logits()[0], r, tolerance, rng)
        return check_entries(written, title, entries=entries, step=step, rng=rng)

    return at_a_smooth_point(check, generator)


def at_a_smooth_point(check: Callable[[], Any], call: Call) -> Any:
    """Return the result of `check`, repeated at other points near call.x while it raises NotSmooth."""
    for seed in range(NUDGES):
        try:
            return check()
        except NotSmooth:
            rng = np.random.default_rng(seed)
            for entry in floats("x", call.x).values():
                entry += 1e-3 * rng.standard_normal(entry.shape)
    return check()


def check_entries(
    written: Written, title: str, *, entries: int, step: float, rng: np.random.Generator, order: int = 1
) -> dict[str, float]:
    """Check `entries` entries of each gradient. Returns the largest error of each; raises GradientError.

    The first entry is the largest one, the others are random. Random ones may all be zero: of an embedding, only the
    rows of the labels in the batch have a gradient.
    """
    errors: dict[str, float] = {}
    for name, array in written.moved.items():
        label, wanted = f"{gradient_name(name, order)} of {title}", min(entries, array.size)
        h = written.step(name, step)
        found = _errors(written, name, label, wanted, h, rng)
        while not found and h >= step and written.is_small(name):  # reduce h until there is no kink
            found, h = _errors(written, name, label, wanted, h, rng), h / 10
        if not found and wanted:
            raise NotSmooth(f"{label}: no entry is smooth within ±{h:.0e}, beyond rounding; try another step or input")
        errors |= {name: max(found)} if found else {}
    return errors


def _errors(written: Written, name: str, label: str, wanted: int, h: float, rng: np.random.Generator) -> list[float]:
    """Return the errors of up to `wanted` entries of one gradient; fewer if not enough can be compared."""
    array, gradient, M = written.moved[name], written.gradients[name], written.scale(name)
    first, errors = np.abs(gradient).argmax(keepdims=True).ravel(), []
    for number in np.concatenate([first, rng.permutation(array.size)[: TRIES * wanted]]) if wanted else ():
        index = tuple(int(i) for i in np.unravel_index(number, array.shape))
        y = along(array, one_entry(array.shape, index), written.output)
        slope, roughness = slope_and_roughness(lambda t, y=y: np.vdot(written.weights, y(t) - written.start), h)
        uncertainty = written.uncertainty(name, h) + KINK * roughness
        if not written.can_tell(name, uncertainty):
            continue
        errors.append(written.judge(name, f"at {index}", float(gradient[index]), slope, M, uncertainty, label))
        if len(errors) == wanted:
            break
    return errors


def slope_and_roughness(s: Callable[[float], float], step: float) -> tuple[float, float]:
    """Return s′(0) of a function with s(0) = 0, and its roughness: how far s is from smooth within ±h.

    The slope is that of `differences.derivative`, from D(h) and D(h/2). The roughness is the larger of two differences.
    Where s is smooth they are of order h²; where s′ jumps they are a fixed part of the jump, however small h is:

        odd    D(h/2) − D(h), except for a kink at exactly 0, which affects both equally;
        even   the fourth difference over h, (s(h) + s(−h) − 4 s(h/2) − 4 s(−h/2) + 6 s(0)) / h, except at h/3.
    """
    whole, half = (s(step), s(-step)), (s(step / 2), s(-step / 2))
    coarse, fine = (whole[0] - whole[1]) / (2 * step), (half[0] - half[1]) / step
    even = (sum(whole) - 4 * sum(half)) / step
    return float(4 * fine - coarse) / 3, float(max(abs(fine - coarse), abs(even)))
