"""Estimate the rounding errors of hand-written gradients and difference quotients, and choose the step accordingly.

Results differ between processors, BLAS libraries and numbers of threads, because sums are taken in another order, and
each operation has a relative error of up to 1.1e-16. Where terms cancel, only these errors remain: the gradient of a
bias before a batch norm is zero, and its computed value is the rounding error of its terms. A difference quotient also
divides the error by h: 1e-16/1e-5 is 1e-11.

So rounding errors are estimated by experiment. The gradients, and s = ⟨weights, output()⟩, are recomputed several
times, with the last bit of every input changed at random; σ(dW) and σ(s) are their standard deviations (stochastic
arithmetic: Vignes 1993, "A stochastic arithmetic for reliable scientific computation"). The quotient (4 D(h/2) −
D(h))/3 consists of four values of s with independent errors, so its standard deviation is

    σ(s)/h · √(2 (4/3)² + 2 (1/6)²) = 1.9 σ(s)/h.

Let M be the largest entry of a gradient, t the tolerance, and E an estimate of the largest difference that a right
gradient can have: 8 standard deviations of the gradient and of the quotient and, in a network, the effect of a kink
(`networks`). An entry passes if

    |written − numeric| ≤ t M + E.                                                                                  (1)

Only quotients with E ≤ 4 t M are used. Then (1) detects every fault of 10 t M in an entry that is compared alone,
provided that the quotient is within 5 t M of the right gradient: |written + fault − numeric| > 10 t M − 5 t M ≥ t M +
E. Along a direction through all entries, the length of the gradient takes the place of M, so that only a larger fault
in one of many entries is detected. A larger h makes E smaller, so h is the smallest value, from `step` to 1e-2, at
which 8 standard deviations of the quotient are at most 2 t M.

If no entry exceeds 8 σ(dW), the gradient consists of rounding errors. M is then FLOOR times the largest gradient of the
same call, or the largest term of s, because that is the size of its terms. A gradient may also be ten million times
smaller than the others and still exceed its rounding errors: in a minibatch standard deviation over two samples,
(x − μ)/σ is ±1 for every x, except for the effect of ε. But s has the rounding errors of the other gradients, so a
millionth of this gradient is not measurable at any h. If no entry of such an array can be compared
(`is_small`), E may be as large as if M were FLOOR times the largest gradient. (1) stays the same, but can't detect
faults smaller than E.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from minigan.testing.differences import Comparison, GradientError, magnitude, require

SAMPLES = 16  # recomputations: the standard deviation of 16 is rarely less than half the true one
DEVIATIONS = 8  # standard deviations by which a right gradient may differ
QUOTIENT = 1.9  # standard deviations of (4 D(h/2) − D(h))/3, in units of σ(s)/h
LARGEST_STEP = 1e-2
FLOOR = 1e-3


class Written:
    """The hand-written gradients of s = ⟨weights, output()⟩, with the uncertainty of comparisons with them.

    gradients: a function that computes them, {name: array}.
    moved:     their variables, {name: array}, which are changed in place and restored.
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
        """Return M: the largest entry of a gradient, or FLOOR times the largest of all if it is all rounding errors."""
        M = magnitude(self.gradients[name])
        return M if DEVIATIONS * self.sigma[name] < M else FLOOR * self.largest

    def is_small(self, name: str) -> bool:
        """Whether M is less than FLOOR times the largest gradient. If so, allow a larger E for it from now on."""
        if self.scale(name) < FLOOR * self.largest:
            self.small.add(name)
        return name in self.small

    def visible(self, name: str) -> float:
        """Return the scale of the faults that are detected for certain: M, or more for a small gradient."""
        return FLOOR * self.largest if name in self.small else self.scale(name)

    def step(self, name: str, least: float) -> float:
        """Return h for the entries of a gradient."""
        M = self.visible(name)
        enough = DEVIATIONS * QUOTIENT * self.sigma_of_s / (2 * self.tolerance * M) if M else least
        return max(least, min(enough, LARGEST_STEP))

    def uncertainty(self, name: str, step: float, length: float = 1.0) -> float:
        """Return the effect of rounding on the comparison of one entry, or of a direction of this length."""
        return DEVIATIONS * (QUOTIENT * self.sigma_of_s / step + self.sigma[name] * length)

    def can_tell(self, name: str, uncertainty: float) -> bool:
        """Whether a comparison with this E detects a fault of 10 t M, or of 10 t `visible` in a small gradient."""
        return uncertainty <= 4 * self.tolerance * self.visible(name)

    def judge(
        self, name: str, where: str, by_hand: float, numeric: float, scale: float, uncertainty: float, what: str
    ) -> float:
        """Return an error relative to scale + E/t. It is at most t if (1) holds with `scale` as M.

        Raises GradientError otherwise, and if the comparison could miss a fault.
        """
        comparison = Comparison(where, by_hand, numeric, scale + uncertainty / self.tolerance)
        require(comparison, self.tolerance, what)
        if comparison.error and not self.can_tell(name, uncertainty):
            doubt = f"rounding may be {uncertainty:.0e} of it, too much for a gradient of {self.scale(name):.0e}"
            how = "try another input, at which the gradient is larger"
            raise GradientError(f"{what}\n  {comparison}\n  {doubt}: {how}")
        return comparison.error


@contextmanager
def other_last_bits(arrays: dict[str, np.ndarray], rng: np.random.Generator) -> Iterator[None]:
    """Multiply every number by 1 − 2⁻⁵², 1 or 1 + 2⁻⁵², at random, inside this block."""
    before = {name: array.copy() for name, array in arrays.items()}
    for array in arrays.values():
        array *= 1 + np.finfo(array.dtype).eps * rng.integers(-1, 2, array.shape)
    try:
        yield
    finally:
        for name, array in arrays.items():
            array[...] = before[name]
