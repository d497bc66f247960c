"""A smooth filling of holes: each unknown pixel is about the mean of its four neighbors, a membrane over the hole.

Solving that equation by repetition takes long for large holes, because a value moves by one pixel each time. So it is
solved on several scales, coarse to fine, which begin with pull-push (Gortler et al. 1996, "The Lumigraph"):

    pull    halve the picture until a single pixel is left; a new pixel is the mean of the known ones among four
    push    enlarge the small filled picture bilinearly, and take the unknown pixels from it; then replace these by the
            mean of their neighbors, 8 times

Measured in holes of 20 to 30 % of 64×64 pixels (100 squares of t91): pull-push alone 23.3 dB, with the repetitions
24.1 dB, 24.2 dB if the equation is solved exactly.
"""

from __future__ import annotations

from typing import Any

from minigan.backend import array_module
from minigan.layers import BilinearUpsample

DOUBLE = BilinearUpsample(2)
REPETITIONS = 8


def filled(x: Any, unknown: Any) -> Any:
    """Return pictures x (N, H, W, C) with smoothly filled holes. `unknown` (N, H, W, 1) is 1 in holes and 0 elsewhere.

    Values of x in the holes have no effect, not even NaN. Pictures without a known pixel become 0.
    """
    xp = array_module(x)
    return _filled(xp.where(unknown > 0, xp.zeros_like(x), x), 1 - unknown)  # NaN · 0 would be NaN


def _filled(x: Any, known: Any) -> Any:
    """As `filled`, for x that is 0 where `known` (N, H, W, 1) is 0."""
    xp, (N, H, W) = array_module(x), x.shape[:3]
    if H == W == 1:
        return x
    rows, columns = (H + 1) // 2, (W + 1) // 2
    odd = (0, 0), (0, 2 * rows - H), (0, 2 * columns - W), (0, 0)  # a row and a column of unknown pixels
    fours = (N, rows, 2, columns, 2, -1)
    total = xp.pad(x, odd).reshape(fours).sum(axis=(2, 4))  # (N, 2·rows, 2·columns, C) → (N, rows, columns, C)
    count = xp.pad(known, odd).reshape(fours).sum(axis=(2, 4))  # → (N, rows, columns, 1)
    coarse = _filled(total / xp.maximum(count, 1), (count > 0).astype(x.dtype))
    unknown = 1 - known
    y = x + unknown * DOUBLE.output(coarse)[:, :H, :W]
    for _ in range(REPETITIONS):
        y = x + unknown * _mean_of_neighbors(y)
    return y


def _mean_of_neighbors(x: Any) -> Any:
    """Return the mean of the pixels above, below, left and right; at the border, a pixel is its own neighbor."""
    x = array_module(x).pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    return (x[:, :-2, 1:-1] + x[:, 2:, 1:-1] + x[:, 1:-1, :-2] + x[:, 1:-1, 2:]) / 4
