"""Pooling as four kernels: the sum over every window, the largest pixel of every window, and their adjoints.

A window of R×S pixels moves over the picture by `stride`. As in convolution.py, x_rs (N, OH, OW, C) is the pixel that
all windows have at place (r, s), a view of the padded picture. Channels don't mix.

**Sums** are linear in x. Each window has every one of its pixels once, so with ⟨a, b⟩ = Σ a·b,

    window_sum      x → y       y = Σ_rs x_rs              ⟨window_sum(x), dy⟩ = Σ_rs ⟨x_rs, dy⟩
    window_spread   dy → dx     dx_rs += dy                                   = ⟨x, window_spread(dy)⟩

**The largest pixel** is linear in x as long as the same pixel wins. `winner` says which one, as the number r·S + s:

    window_max      x → y, winner       y = max_rs x_rs
    window_pick     x, winner → y       y = x_rs where winner is (r, s)
    window_place    dy, winner → dx     dx_rs += dy where winner is (r, s): the adjoint of window_pick in x

Letters: x (N, H, W, C), y (N, OH, OW, C). `kernel`, `stride` and `padding` are pairs (height, width).
"""

from __future__ import annotations

from typing import Any

from minigan.backend import array_module
from minigan.kernels.fast import windows as fast
from minigan.kernels.geometry import Pair, output_size, padded, padded_size, places, unpadded
from minigan.kernels.twin import runs_as


def window_sum(x: Any, kernel: Pair, stride: Pair, padding: Pair = (0, 0)) -> Any:
    """The sum of every window: x (N, H, W, C) → y (N, OH, OW, C)."""
    N, *size, C = x.shape
    out_size = output_size(size, kernel, stride, padding)
    y = array_module(x).zeros((N, *out_size, C), x.dtype)
    for _, _, x_rs in places(padded(x, padding), out_size, kernel, stride):
        y += x_rs  # (N, OH, OW, C)
    return y


@runs_as(fast.window_spread)
def window_spread(dy: Any, size: Pair, kernel: Pair, stride: Pair, padding: Pair = (0, 0)) -> Any:
    """Adjoint of `window_sum`: dy (N, OH, OW, C) → dx (N, H, W, C) for `size` = (H, W)."""
    xp, (N, *out_size, C) = array_module(dy), dy.shape
    dx_padded = xp.zeros((N, *padded_size(size, padding), C), dy.dtype)
    for _, _, dx_rs in places(dx_padded, out_size, kernel, stride):
        dx_rs += dy  # (N, OH, OW, C)
    return xp.ascontiguousarray(unpadded(dx_padded, padding))


@runs_as(fast.window_max)
def window_max(x: Any, kernel: Pair, stride: Pair, padding: Pair = (0, 0)) -> tuple[Any, Any]:
    """The largest pixel of every window: x (N, H, W, C) → y and winner, both (N, OH, OW, C).

    Of equal pixels the first one wins, row by row from the top left. Padding counts as −∞.
    """
    xp, (N, *size, C), (R, S) = array_module(x), x.shape, kernel
    out_size = output_size(size, kernel, stride, padding)
    y = xp.full((N, *out_size, C), -xp.inf, x.dtype)
    winner = xp.zeros(y.shape, "uint8" if R * S <= 256 else "int32")
    for r, s, x_rs in places(padded(x, padding, -xp.inf), out_size, kernel, stride):
        winner[...] = xp.where(x_rs > y, r * S + s, winner)  # a later pixel must be larger, not as large
        xp.maximum(y, x_rs, out=y)
    return y, winner


def window_pick(x: Any, winner: Any, kernel: Pair, stride: Pair, padding: Pair = (0, 0)) -> Any:
    """The pixel at `winner` of every window: x (N, H, W, C), winner (N, OH, OW, C) → y (N, OH, OW, C)."""
    y, S = array_module(x).zeros(winner.shape, x.dtype), kernel[1]
    for r, s, x_rs in places(padded(x, padding), winner.shape[1:3], kernel, stride):
        y += x_rs * (winner == r * S + s)
    return y


def window_place(dy: Any, winner: Any, size: Pair, kernel: Pair, stride: Pair, padding: Pair = (0, 0)) -> Any:
    """Adjoint of `window_pick`: dy and winner (N, OH, OW, C) → dx (N, H, W, C) for `size` = (H, W)."""
    xp, (N, *out_size, C), S = array_module(dy), dy.shape, kernel[1]
    dx_padded = xp.zeros((N, *padded_size(size, padding), C), dy.dtype)
    for r, s, dx_rs in places(dx_padded, out_size, kernel, stride):
        dx_rs += dy * (winner == r * S + s)
    return xp.ascontiguousarray(unpadded(dx_padded, padding))
