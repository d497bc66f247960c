"""What guards the penalties: every check here can be failed on purpose, and test_penalty_faults.py does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minigan.penalties import DRAGAN, R1, R2, GradientPenalty, Penalty
from minigan.testing import GradientError
from minigan.testing.networks import NotSmooth, check_entries
from minigan.testing.rounding import Written


@dataclass
class Expected:
    """A penalty written down a second time, from the papers: its points, and P as the mean of f(‖∇‖)."""

    points: Callable
    f: Callable

    def value(self, critic, real, fake, rng, labels=None):
        """P, by forward and backward alone."""
        x = self.points(real, fake, rng)
        logits, cache = critic.forward(x if labels is None else (x, labels), True, rng)
        dx = critic.backward(np.ones_like(logits), cache, wrt="input")
        dx = dx if labels is None else dx[0]
        return np.mean([self.f(np.linalg.norm(one)) for one in dx.reshape(len(dx), -1)])


def between(real, fake, rng):
    epsilon = rng.random(len(real))
    return np.stack([e * r + (1 - e) * f for e, r, f in zip(epsilon, real, fake, strict=True)])


def around(real, fake, rng):
    u = rng.random(real.shape)
    interval = 0.5 * np.sqrt(np.mean((real - real.mean()) ** 2))
    return np.stack([r + alpha * interval * v for alpha, r, v in zip(rng.random(len(real)), real, u, strict=True)])


PENALTIES: dict[str, tuple[Penalty, Expected]] = {
    "WGAN-GP": (GradientPenalty(10.0), Expected(between, lambda n: 10 * (n - 1) ** 2)),
    "one-sided": (GradientPenalty(3.0, one_sided=True), Expected(between, lambda n: 3 * max(0, n - 1) ** 2)),
    "DRAGAN": (DRAGAN(10.0), Expected(around, lambda n: 10 * (n - 1) ** 2)),
    "R1": (R1(10.0), Expected(lambda real, fake, rng: real, lambda n: 5 * n**2)),
    "R2": (R2(4.0), Expected(lambda real, fake, rng: fake, lambda n: 2 * n**2)),
}


def check_penalty(penalty, expected, case, *, entries=3, tolerance=1e-6, step=1e-5):
    """P is the expected one, and the gradient that the penalty adds is that of P by central differences.

    Where a kink of the critic is within reach of a parameter's step, another entry is taken; where one is for every
    entry, the samples are moved a little (see minigan.testing.networks). Returns the largest error, relative to the
    largest magnitude in the parameter's gradient, or to a thousandth of the largest of all and of P: where a parameter
    has no influence, differences are the rounding of P.
    """
    for seed in range(8):
        rng = np.random.default_rng(seed)
        try:
            return _check_here(penalty, expected, case, rng, tolerance, entries=entries, step=step)
        except NotSmooth:
            case.real, case.fake = (a + 0.01 * rng.standard_normal(a.shape) for a in (case.real, case.fake))
    return _check_here(penalty, expected, case, rng, tolerance, entries=entries, step=step)


def _check_here(penalty, expected, case, rng, tolerance, **settings):
    evaluate, flat = repeatable(case), case.critic.parameters()
    value, wanted = evaluate(penalty), evaluate(expected.value)
    if not abs(value - wanted) <= 1e-12 * max(1, abs(wanted)):
        raise GradientError(f"{penalty!r} has the value {value}, not {wanted}, on {case!r}")

    def gradients():
        flat.zero_grad()
        evaluate(penalty)
        return {name: gradient.copy() for name, (_, gradient) in flat.named().items()}

    moved = {name: values for name, (values, _) in flat.named().items()}
    written = Written(gradients, moved, lambda: np.asarray(evaluate(expected.value)), np.ones(()), tolerance, rng)
    return max(check_entries(written, f"{penalty!r} on {case!r}", rng=rng, **settings).values())


def repeatable(case):
    """A function that calls a penalty on the case with the same draws and the same states every time."""
    states = [(layer, name) for _, layer in case.critic.walk() for name in layer.state_names]
    before = [getattr(layer, name).copy() for layer, name in states]

    def evaluate(function):
        result = function(case.critic, case.real, case.fake, case.rng(), case.labels)
        for (layer, name), value in zip(states, before, strict=True):
            getattr(layer, name)[...] = value
        return result

    return evaluate
