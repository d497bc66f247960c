"""A smooth filling of holes, from the pixels around them: pull-push (Gortler et al. 1996, "The Lumigraph").

    pull    halve the picture, each pixel the mean of the known ones among four, until no pixel is unknown
    push    enlarge the result bilinearly, and put it where pixels are unknown, level by level

A hole gets the mean of its near surroundings; wide parts of it, deep in the hole, that of wider surroundings. It takes
about as long as one convolution with few channels, in place of solving an equation for each hole.
"""

from __future__ import annotations

from typing import Any

from minigan.backend import array_module
from minigan.layers import BilinearUpsample

DOUBLE = BilinearUpsample(2)


def filled(x: Any, unknown: Any) -> Any:
    """Return pictures x (N, H, W, C) with smoothly filled holes: where `unknown` (N, H, W, 1) is 1, not 0.

    What x has in the holes isn't looked at. Pictures without a known pixel become 0.
    """
    return _filled(x * (1 - unknown), 1 - unknown)


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
    return x + (1 - known) * DOUBLE.output(coarse)[:, :H, :W]
