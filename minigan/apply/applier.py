"""A trained network on pictures of any size.

    applier = Applier(model)
    y = applier(x)                  x (H, W, C) → y (OH, OW, K), of the same dtype: uint8, uint16, or floats in [−1, 1]

**Size.** Height and width are padded to the next multiple of `model.multiple`, at the bottom and at the right, with
what stands before the edge, mirrored: so the network sees there what it was trained on, structure that goes on. Zeros
would be an edge, and the last row repeated would be stripes. What the padding became is cut off again.

**Memory.** If all layers of the networks in `model.applied` are local, a picture larger than one tile is cut into tiles
of a fixed size, and their middles are put together. They are what the whole gives, up to rounding: see `reach.py`.
On a CPU each thread takes tiles, as many at once as memory allows; the bits of the result don't depend on that. Any
other network gets the whole picture, if memory suffices.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from inspect import signature
from itertools import product
from math import floor, prod
from typing import Any

import numpy as np

from minigan.apply.memory import available, gigabytes, needed, peak
from minigan.apply.picture import from_floats, to_floats, to_grey
from minigan.apply.reach import Cuts, NotLocal, cut
from minigan.backend import to_numpy
from minigan.errors import DataError, ShapeError
from minigan.model import can
from minigan.threads.crew import count, in_parallel

TRIED = (64, 128)  # sides of the pictures that memory is measured with, rounded up to the multiple
ADVICE = "end other programs, or use a machine with more"
Size = tuple[int, int]
Plan = tuple[Cuts, Cuts]


class Applier:
    """Sends pictures through `model.apply`. Raises DataError if the model has none.

    channels: what the network takes, 3 or 1, found by trying unless it is given; None if it takes neither.
    """

    def __init__(self, model: Any, channels: int | None = None) -> None:
        if not can(model, "apply"):
            raise DataError(f"{type(model).__name__} has no apply: it changes no pictures")
        if more := _further_arguments(model.apply):
            needs = f"{type(model).__name__}.apply needs more than a picture: {', '.join(more)}"
            raise DataError(f"{needs}; call it in Python")
        self.model, self.device = model, model.device
        multiple = getattr(model, "multiple", 1)
        self.multiple: Size = tuple(multiple) if isinstance(multiple, (tuple, list)) else (multiple, multiple)
        networks = {**model.networks, **model.frozen}
        applied = getattr(model, "applied", ())
        if unknown := [name for name in applied if name not in networks]:
            there = ", ".join(networks)
            raise DataError(f"{type(model).__name__} names {unknown[0]!r} in `applied`, and its networks are {there}")
        self.networks = [networks[name] for name in applied]
        self._measured: dict[int, dict[Size, int]] = {}
        self.channels = channels or next((c for c in (3, 1) if self._takes(c)), None)

    def __call__(self, pixels: np.ndarray, grey: bool = False, progress: Callable[..., Any] = iter) -> np.ndarray:
        """Send a picture (H, W, C) through. `grey`: what comes out in color becomes grey.

        progress: wraps a list of groups of tiles, to show how far it is. Raises DataError if memory doesn't suffice or
        the result isn't finite, and ShapeError for a size that the network can't take, neither with the file's name.
        """
        size: Size = pixels.shape[:2]
        padding = [-n % m for n, m in zip(size, self.multiple, strict=True)]
        if any(padding):
            pixels = np.pad(pixels, ((0, padding[0]), (0, padding[1]), (0, 0)), mode="reflect")
        plan, why = self._plan(pixels.shape[:2])
        if plan is None or all(cuts.whole for cuts in plan):
            because = f"make the picture smaller, for the network has to see it whole: {why}" if why else ADVICE
            self._check_memory(pixels.shape, "a picture", because)
            out = self._apply(pixels[None], grey)[0]
        else:
            out = self._in_tiles(pixels, plan, grey, progress)
        scales = [cuts.scale for cuts in plan] if plan else map(Fraction, out.shape[:2], pixels.shape[:2])
        height, width = (n - floor(scale * after) for n, scale, after in zip(out.shape, scales, padding, strict=False))
        return out[:height, :width]

    def _plan(self, size: Size) -> tuple[Plan | None, str]:
        """How to cut a picture of that size; or None, and why it can't be cut."""
        if not self.networks:
            return None, f"{type(self.model).__name__} names no networks in `applied`"
        try:
            return (cut(self.networks, size[0], 0), cut(self.networks, size[1], 1)), ""
        except NotLocal as error:
            return None, str(error)

    def _in_tiles(self, pixels: np.ndarray, plan: Plan, grey: bool, progress: Callable[..., Any]) -> np.ndarray:
        rows, columns = plan
        at_once = self._check_memory((rows.tile, columns.tile, pixels.shape[2]), "a tile", ADVICE)
        places = list(product(range(len(rows.starts)), range(len(columns.starts))))

        def work(place: Size | None) -> Any:
            if place is None:
                return None
            top, left = rows.starts[place[0]], columns.starts[place[1]]
            return self._apply(pixels[None, top : top + rows.tile, left : left + columns.tile], grey)[0]

        out: Any = None
        for group in progress([places[i : i + at_once] for i in range(0, len(places), at_once)]):
            # None makes every tile one of several parts, whose products are never split: the same bits in any group
            *tiles, _ = in_parallel(work, [*group, None], on_host=self.device.xp is np)
            for (i, j), tile in zip(group, tiles, strict=True):
                if tile.shape[:2] != (rows.made, columns.made):
                    made = (
                        f"{type(self.model).__name__}.apply makes {tile.shape[:2]} of {rows.tile, columns.tile} pixels"
                    )
                    others = f"the networks in `applied` make {rows.made, columns.made}"
                    raise ShapeError(f"{made}, and {others}: name those that `apply` uses")
                if out is None:
                    out = np.empty((rows.ends[-1], columns.ends[-1], tile.shape[2]), tile.dtype)
                out[rows.target(i), columns.target(j)] = tile[rows.source(i), columns.source(j)]
        return out

    def _apply(self, pixels: np.ndarray, grey: bool = False) -> np.ndarray:
        """(N, H, W, C) of any dtype → what the model makes of it, on the host and of the same dtype."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            y = to_numpy(self.model.apply(self.device.array(to_floats(pixels), np.float32)))
        if y.ndim != 4 or len(y) != len(pixels):
            raise ShapeError(f"{type(self.model).__name__}.apply returned {y.shape} for {pixels.shape}")
        if not np.isfinite(y).all():
            raise DataError("the network makes numbers of it that aren't finite: use an older checkpoint")
        return from_floats(to_grey(y) if grey and y.shape[3] == 3 else y, pixels.dtype)

    def _takes(self, channels: int) -> bool:
        try:
            self._blank(self._tried()[0], channels)
        except (ValueError, IndexError):  # ShapeError is a ValueError; a model's own code may fail otherwise
            return False
        return True

    def _blank(self, size: Size, channels: int) -> None:
        """Send a picture of zeros through."""
        self.model.apply(self.device.array(np.zeros((1, *size, channels), np.float32)))

    def _tried(self) -> list[Size]:
        return [tuple(-(-side // m) * m for m in self.multiple) for side in TRIED]  # type: ignore[misc]

    def _check_memory(self, shape: tuple[int, ...], what: str, advice: str) -> int:
        """How many pictures or tiles of a shape may be worked on at once. Raises DataError if not even one can."""
        height, width, channels = shape
        small, large = self._tried()
        free = available(self.device)
        if free is None or height * width <= prod(large):
            return 1
        if channels not in self._measured:
            self._blank(small, channels)  # what is made only once
            self._measured[channels] = {
                size: peak(partial(self._blank, size, channels), self.device) for size in (small, large)
            }
        bytes_ = needed((height, width), self._measured[channels])
        if bytes_ > free:
            raise DataError(
                f"{what} of {width}x{height} pixels needs about {gigabytes(bytes_)} of memory, and "
                f"{gigabytes(free)} are free: {advice}"
            )
        return max(1, min(count() if self.device.xp is np else 1, free // 2 // bytes_))


def _further_arguments(apply: Callable[..., Any]) -> list[str]:
    """The names of arguments that must be given besides the picture."""
    others = list(signature(apply).parameters.values())[1:]
    return [p.name for p in others if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
