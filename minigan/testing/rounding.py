"""What rounding leaves of a gradient that is written by hand, and of a difference quotient; and how far to step.

Results differ between processors, BLAS libraries and numbers of threads, because sums are taken in another order, and
each operation has a relative error of up to 1.1e-16. Where terms cancel, that is all that remains: the gradient of a
bias before a batch norm is zero, and what is computed is the rounding of its terms. A difference quotient divides it by
h besides: 1e-16/1e-5 is 1e-11.

So rounding is estimated, where it occurs. The gradients, and s = ⟨weights, output()⟩, are computed again a few times,
with the last bit of everything that they depend on changed at random; σ(dW) and σ(s) are their standard deviations
(stochastic arithmetic: Vignes 1993, "A stochastic arithmetic for reliable scientific computation"). The quotient
(4 D(h/2) − D(h))/3 is made of four values of s, with independent errors, so rounding makes it uncertain by

    σ(s)/h · √(2 (4/3)² + 2 (1/6)²) = 1.9 σ(s)/h.

Let M be the largest entry of a gradient, t the tolerance, and E the estimate of the largest error of a comparison when
the gradient is right: 8 standard deviations of either, and, in a network, what a kink can do (`networks`). An entry
passes if

    |written − numeric| ≤ t M + E.                                                                                  (1)

Only quotients with E ≤ 4 t M are used. Then (1) rejects every fault of 10 t M in an entry that is compared alone,
provided that the quotient is within 5 t M of the right gradient: |written + fault − numeric| > 10 t M − 5 t M ≥ t M +
E. Along a direction through all entries, the length of the gradient stands for M, so that a fault in one of many
entries must be larger. A larger h makes E smaller, so h is the least, from `step` to 1e-2, that brings the quotient's 8
standard deviations down to 2 t M.

Where no entry exceeds 8 σ(dW), the gradient is nothing but rounding. M is then FLOOR times the largest gradient of the
same call, or the largest term of s, because that is where its terms come from. A gradient may also be a ten-millionth
of the others and yet more than rounding: two samples in a group of the minibatch standard deviation are ±1, whatever
they are, but for ε. s has the rounding of the others, so a millionth of this gradient can't be seen at any
h. Where no entry of such an array can be compared (`is_small`), E may be as large as if M were FLOOR times the largest.
(1) stays as it is, but it can't see faults that are smaller than E.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from minigan.testing.differences import Comparison, GradientError, magnitude, require

SAMPLES = 16  # computations with other last bits: the standard deviation of 16 is rarely less than half the true one
DEVIATIONS = 8  # standard deviations that a right gradient may be off by
QUOTIENT = 1.9  # standard deviations of (4 D(h/2) − D(h))/3, in units of σ(s)/h
LARGEST_STEP = 1e-2
FLOOR = 1e-3


class Written:
    """The gradients of s = ⟨weights, output()⟩ as they are written by hand, and how exact comparisons with them are.

    gradients: computes them, {name: array}.
    moved:     what they are the gradients of, {name: array}; changed in place, and put back.
    tolerance: t, see above.
    """

    def __init__(
        self,
        gradients: Callable[[], dict[str, np.ndarray]],
        moved: dict[str, np.ndarray],
        output: Callable[[], np.ndarray],
        weights: np.ndarray,
        tolerance: float,
        rng: np.random.Generator,
    ) -> None:
        self.gradients, self.moved, self.tolerance = gradients(), moved, tolerance
        self.output, self.weights, self.start = output, weights, output()
        self.largest = magnitude(*self.gradients.values(), weights * self.start)
        sums, again = [], []
        for _ in range(SAMPLES):
            with other_last_bits(moved, rng):
                sums.append(np.vdot(weights, output() - self.start))
                again.append(gradients())
        self.small: set[str] = set()
        self.sigma_of_s = float(np.std(sums, ddof=1))
        self.sigma = {name: magnitude(np.std([one[name] for one in again], axis=0, ddof=1)) for name in moved}

    def scale(self, name: str) -> float:
        """M: the largest entry of a gradient, or FLOOR times the largest of all if this one is nothing but rounding."""
        M = magnitude(self.gradients[name])
        return M if DEVIATIONS * self.sigma[name] < M else FLOOR * self.largest

    def is_small(self, name: str) -> bool:
        """Whether M is less than FLOOR times the largest; from here on a larger E will do for this gradient."""
        if self.scale(name) < FLOOR * self.largest:
            self.small.add(name)
        return name in self.small

    def visible(self, name: str) -> float:
        """What faults that are seen for certain are relative to: M, or more for a small gradient."""
        return FLOOR * self.largest if name in self.small else self.scale(name)

    def step(self, name: str, least: float) -> float:
        """h, for the entries of a gradient."""
        M = self.visible(name)
        enough = DEVIATIONS * QUOTIENT * self.sigma_of_s / (2 * self.tolerance * M) if M else least
        return max(least, min(enough, LARGEST_STEP))

    def uncertainty(self, name: str, step: float, length: float = 1.0) -> float:
        """What rounding may do to the comparison of one entry, or of a direction of some length."""
        return DEVIATIONS * (QUOTIENT * self.sigma_of_s / step + self.sigma[name] * length)

    def can_tell(self, name: str, uncertainty: float) -> bool:
        """Whether a comparison with this E can't miss a fault of 10 t M; in a small gradient, 10 t `visible`."""
        return uncertainty <= 4 * self.tolerance * self.visible(name)

    def judge(
        self, name: str, where: str, by_hand: float, numeric: float, scale: float, uncertainty: float, what: str
    ) -> float:
        """Return an error relative to scale + E/t, which is at most t if (1) holds with `scale` for M; else raise.

        Raises GradientError, too, if the comparison could miss a fault.
        """
        comparison = Comparison(where, by_hand, numeric, scale + uncertainty / self.tolerance)
        require(comparison, self.tolerance, what)
        if comparison.error and not self.can_tell(name, uncertainty):
            raise GradientError(
                f"{what}\n  {comparison}\n  rounding may be {uncertainty:.0e} of it, too much for a gradient of "
                f"{self.scale(name):.0e} at most: try another input, at which the gradient is larger"
            )
        return comparison.error


@contextmanager
def other_last_bits(arrays: dict[str, np.ndarray], rng: np.random.Generator) -> Iterator[None]:
    """Multiply every number by 1 − 2⁻⁵², 1 or 1 + 2⁻⁵², at random, for the length of a block."""
    before = {name: array.copy() for name, array in arrays.items()}
    for array in arrays.values():
        array *= 1 + np.finfo(array.dtype).eps * rng.integers(-1, 2, array.shape)
    try:
        yield
    finally:
        for name, array in arrays.items():
            array[...] = before[name]
