"""Bilinear resizing without antialiasing, as two matrix products.

Pixel i of a row of n pixels covers [i, i + 1), so its centre lies at i + ½. The centre of output pixel o of m lies at

    (o + ½)·n/m − ½ = i + t        in pixels of the input, i whole, 0 ≤ t < 1

and takes (1 − t) of pixel i and t of pixel i + 1. Before the first centre and after the last one there is nothing to
mix, and the pixel at the edge is taken whole. That is a matrix A (m, n) with at most two numbers in a row:

    y = A_h x A_wᵀ

This is torch.nn.functional.interpolate(mode="bilinear", align_corners=False), and how pytorch-fid brings pictures to
the size of its network. A picture that gets smaller loses the pixels between the two: there is no averaging. Numbers
that come from pictures resized in another way differ by more than the methods that are compared (Parmar et al. 2022).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.common.arguments import numbers
from minigan.errors import ShapeError


def resize_bilinear(x: Any, size: int | tuple[int, int]) -> Any:
    """x (N, H, W, C) → (N, OH, OW, C) for `size` = (OH, OW), or the side of a square. Same dtype, float32 or float64.

    Raises ShapeError for pictures of no pixels or of another form, and ValueError for a size below 1.
    """
    x = numbers(x, "resizing", "pictures")
    OH, OW = (size, size) if isinstance(size, int) else size
    if min(OH, OW) < 1:
        raise ValueError(f"pictures can't be resized to {OH}×{OW}")
    if x.ndim != 4 or 0 in x.shape[1:] or x.dtype not in (np.float32, np.float64):
        raise ShapeError(f"expected pictures (N, H, W, C) of float32 or float64, got {tuple(x.shape)} of {x.dtype}")
    xp, (N, H, W, C) = array_module(x), x.shape
    if (OH, OW) == (H, W):
        return x.copy()
    A_h, A_w = (xp.asarray(weights(n, m), x.dtype) for n, m in ((H, OH), (W, OW)))
    y = xp.matmul(A_w, x)  # (OW, W) @ (N, H, W, C) → (N, H, OW, C)
    return xp.matmul(A_h, y.reshape(N, H, OW * C)).reshape(N, OH, OW, C)  # (OH, H) @ (N, H, OW·C)


@lru_cache(maxsize=16)
def weights(n: int, m: int) -> np.ndarray:
    """A (m, n) in float64, read-only: what each of m output pixels takes of n input pixels. Rows sum to 1."""
    centre = np.clip((np.arange(m) + 0.5) * (n / m) - 0.5, 0, n - 1)
    first = centre.astype(int)
    second = np.minimum(first + 1, n - 1)
    t = centre - first
    A = np.zeros((m, n))
    A[np.arange(m), first] = 1 - t
    A[np.arange(m), second] += t  # at the edge first and second are the same pixel, and t is 0
    A.flags.writeable = False
    return A
