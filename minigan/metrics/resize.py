"""Bilinear resizing without antialiasing, as two matrix products.

Pixel i of a row of n pixels covers [i, i + 1), so its center is at i + ½. The center of output pixel o of m is at

    (o + ½)·n/m − ½ = i + t        in input pixels, i an integer, 0 ≤ t < 1

and its value is (1 − t) times pixel i plus t times pixel i + 1. Before the first center and after the last one, it is
the value of the edge pixel. So a row is multiplied by a matrix A (m, n) with at most two nonzero numbers per row:

    y = A_h x A_wᵀ

This is torch.nn.functional.interpolate(mode="bilinear", align_corners=False), by which pytorch-fid resizes pictures for
its network. Shrinking skips pixels instead of averaging them. Metrics of pictures that were resized in another way
differ by more than the methods under comparison (Parmar et al. 2022).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.common.arguments import numbers
from minigan.errors import ShapeError


def resize_bilinear(x: Any, size: int | tuple[int, int]) -> Any:
    """Resize x (N, H, W, C) to (N, OH, OW, C), for `size` = (OH, OW) or the side of a square. The dtype is kept.

    Raises ShapeError for empty pictures, another shape, or a dtype other than float32 and float64, and ValueError for a
    size below 1.
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
    """Return A (m, n) in float64, read-only: the weights of n input pixels in m output pixels. Rows sum to 1."""
    center = np.clip((np.arange(m) + 0.5) * (n / m) - 0.5, 0, n - 1)
    first = center.astype(int)
    second = np.minimum(first + 1, n - 1)
    t = center - first
    A = np.zeros((m, n))
    A[np.arange(m), first] = 1 - t
    A[np.arange(m), second] += t  # at the edge first and second are the same pixel, and t is 0
    A.flags.writeable = False
    return A
