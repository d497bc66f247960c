"""Windows that move over a picture: their sizes, the frame of zeros around the picture, and the pixels they see.

    kernel      R × S places in a window
    stride      how far the window moves from one output to the next
    padding     rows and columns of zeros on each side of the picture
    dilation    distance between neighboring places of a window: 1 for neighboring pixels

All four are pairs (height, width). Arrays are (N, H, W, C): pictures, height, width, channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.errors import ShapeError

Pair = tuple[int, int]


def pair(value: int | Pair, least: int) -> Pair:
    """A number n as (n, n), a pair as it is. Raises ShapeError unless these are integers of at least `least`."""
    both = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(both) != 2 or any(not isinstance(v, (int, np.integer)) or v < least for v in both):
        raise ShapeError(f"expected an integer of at least {least}, or a pair of them, got {value!r}")
    return int(both[0]), int(both[1])


def extent(kernel: Pair, dilation: Pair) -> Pair:
    """Height and width of a window, the pixels between its places included: dilation·(kernel − 1) + 1."""
    return dilation[0] * (kernel[0] - 1) + 1, dilation[1] * (kernel[1] - 1) + 1


def output_size(size: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)) -> Pair:
    """(OH, OW), the number of windows: ⌊(size + 2·padding − extent)/stride⌋ + 1.

    Where the stride doesn't divide, the last rows and columns are in no window.
    """
    (H, W), (h, w) = size, extent(kernel, dilation)
    return (H + 2 * padding[0] - h) // stride[0] + 1, (W + 2 * padding[1] - w) // stride[1] + 1


def padded_size(size: Pair, padding: Pair) -> Pair:
    """(H + 2·padding, W + 2·padding)."""
    return size[0] + 2 * padding[0], size[1] + 2 * padding[1]


def padded(x: Any, padding: Pair, value: float = 0) -> Any:
    """x (N, H, W, C) in a frame of `value`: (N, H + 2p, W + 2p, C). Without padding, x itself."""
    if padding == (0, 0):
        return x
    N, H, W, C = x.shape
    xp, shape = array_module(x), (N, *padded_size((H, W), padding), C)
    framed = xp.full(shape, value, x.dtype) if value else xp.zeros(shape, x.dtype)  # zeros cost the system no pass
    unpadded(framed, padding)[...] = x
    return framed


def unpadded(x_padded: Any, padding: Pair) -> Any:
    """The picture in its frame, as a view: (N, H + 2p, W + 2p, C) → (N, H, W, C). The adjoint of `padded`."""
    (ph, pw), (_, H, W, _) = padding, x_padded.shape
    return x_padded[:, ph : H - ph, pw : W - pw]


def places(
    x_padded: Any, out_size: Pair, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)
) -> Iterator[tuple[int, int, Any]]:
    """Yield r, s, x_rs for each place (r, s) of the window: the pixel that each of the OH × OW windows has there.

    x_rs (N, OH, OW, C) is a view, x_rs[n, i, j] = x_padded[n, i·stride + r·dilation, j·stride + s·dilation].
    """
    (R, S), (OH, OW) = kernel, out_size
    for r in range(R):
        for s in range(S):
            from_rs = x_padded[:, r * dilation[0] :: stride[0], s * dilation[1] :: stride[1]]
            yield r, s, from_rs[:, :OH, :OW]


def channel_groups(C: int, K: int, groups: int) -> list[tuple[slice, slice]]:
    """For each group, which of the C input channels and which of the K output channels are in it."""
    c, k = C // groups, K // groups
    return [(slice(g * c, (g + 1) * c), slice(g * k, (g + 1) * k)) for g in range(groups)]
