"""Class maps (N, H, W, K) and their pictures, in which each class has a color."""

from __future__ import annotations

from typing import Any

from minigan.backend import array_module, to_numpy


def to_colors(p: Any, colors: Any) -> Any:
    """Return pictures (N, H, W, 3) in [−1, 1] that show the most probable class of p (N, H, W, K).

    colors: of the classes, in bytes (K, 3), on the host
    """
    colors = array_module(p).asarray(colors, p.dtype)
    return colors[p.argmax(axis=-1)] / 127.5 - 1  # (N, H, W) → (N, H, W, 3)


def from_colors(x: Any, colors: Any) -> Any:
    """Return the class map (N, H, W, K) of pictures x (N, H, W, 3) in [−1, 1]: the class of the nearest color.

    Pictures that are gray, with bytes less than K, hold the numbers of the classes instead, as many label files do.
    """
    xp, K = array_module(x), len(colors)
    levels = xp.rint((x + 1) * 127.5)  # bytes
    spread, most = (float(to_numpy(n)) for n in ((levels.max(axis=-1) - levels.min(axis=-1)).max(), levels.max()))
    if spread == 0 and most < K:
        classes = levels[..., 0]  # (N, H, W)
    else:
        distance = [((levels - xp.asarray(color, x.dtype)) ** 2).sum(axis=-1) for color in colors]  # K × (N, H, W)
        classes = xp.stack(distance).argmin(axis=0)
    return (classes[..., None] == xp.arange(K)).astype(x.dtype)  # (N, H, W, 1) == (K,) → (N, H, W, K)
