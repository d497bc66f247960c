"""Windows: the adjoint of the sum with each pixel written once, and the largest pixel by parts of the batch.

`window_spread`: the reference adds one place of the window after the other to a picture of zeros; here a tile of places
goes at once. `window_max`: a few pictures at a time stay in the cache, and several threads work on them.
"""

from __future__ import annotations

from typing import Any

from minigan.backend import array_module
from minigan.kernels.fast.patches import scatter_patches
from minigan.kernels.geometry import Pair, output_size, padded, padded_size, places, unpadded
from minigan.threads.partition import over_rows


def window_spread(dy: Any, size: Pair, kernel: Pair, stride: Pair, padding: Pair = (0, 0)) -> Any:
    """dy (N, OH, OW, C) → dx (N, H, W, C) for `size` = (H, W)."""
    xp, (N, OH, OW, C), (R, S) = array_module(dy), dy.shape, kernel
    windows = xp.broadcast_to(dy[:, :, :, None, None, :], (N, OH, OW, R, S, C))
    dx_padded = xp.empty((N, *padded_size(size, padding), C), dy.dtype)
    scatter_patches(windows, dx_padded, stride)
    return xp.ascontiguousarray(unpadded(dx_padded, padding))


def window_max(x: Any, kernel: Pair, stride: Pair, padding: Pair = (0, 0)) -> tuple[Any, Any]:
    """The largest pixel of every window: x (N, H, W, C) → y and winner, both (N, OH, OW, C)."""
    xp, (N, *size, C), (R, S) = array_module(x), x.shape, kernel
    out_size = output_size(size, kernel, stride, padding)
    y = xp.empty((N, *out_size, C), x.dtype)
    winner = xp.empty(y.shape, "uint8" if R * S <= 256 else "int32")

    def work(rows: slice) -> None:
        largest, place = y[rows], winner[rows]
        for r, s, x_rs in places(padded(x[rows], padding, -xp.inf), out_size, kernel, stride):
            if r == s == 0:
                largest[...], place[...] = x_rs, 0
                continue
            larger = x_rs > largest  # a later pixel must be larger, not as large
            place[...] = xp.where(larger, place.dtype.type(r * S + s), place)
            xp.maximum(largest, x_rs, out=largest)

    over_rows(work, x)
    return y, winner
