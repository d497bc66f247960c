"""The adjoint of the sum over windows. Where windows lie side by side, each pixel is written once.

The reference adds one place of the window after the other to a picture of zeros; here a tile of places goes at once.
"""

from __future__ import annotations

from typing import Any

from minigan.backend import array_module
from minigan.kernels.fast.patches import scatter_patches
from minigan.kernels.geometry import Pair, padded_size, unpadded


def window_spread(dy: Any, size: Pair, kernel: Pair, stride: Pair, padding: Pair = (0, 0)) -> Any:
    """dy (N, OH, OW, C) → dx (N, H, W, C) for `size` = (H, W)."""
    xp, (N, OH, OW, C), (R, S) = array_module(dy), dy.shape, kernel
    windows = xp.broadcast_to(dy[:, :, :, None, None, :], (N, OH, OW, R, S, C))
    dx_padded = xp.empty((N, *padded_size(size, padding), C), dy.dtype)
    scatter_patches(windows, dx_padded, stride)
    return xp.ascontiguousarray(unpadded(dx_padded, padding))
