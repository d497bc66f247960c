"""Applies a trained network to pictures of any size.

    applier = Applier(model)
    y = applier(x)                  x (H, W, C) → y (OH, OW, K), of the same dtype: uint8, uint16, or floats in [−1, 1]

**Size.** Height and width are padded to the next multiple of `model.multiple`, at the bottom and on the right, by
reflection. Reflected structure resembles the training data; zeros would introduce an edge, and a repeated last row
would introduce stripes. The output of the padding is cropped.

**Memory.** If all layers of the networks in `model.applied` are local, a picture larger than one tile is cut into
overlapping tiles of a fixed size, and the valid part of each result is kept. The result equals that of the whole
picture up to rounding (see `reach.py`). On a CPU, tiles are processed on several threads, as many at once as memory
permits; the bits of the result don't depend on their number. Other networks, such as those with instance norm, process
the whole picture, if memory suffices.

**Several translations.** A model such as CycleGAN has one for each of its sets: `Applier(model, to="b")`.

**Strength.** A model that was trained in two stages, first for a small error and then for texture, may blend the
weights of both: `Applier(model, strength=0.5)`. 0 are the weights of the first stage, 1 those of the last.

**Holes.** A model that fills holes also needs a mask: `applier(x, mask=mask)`, with 1 where pixels are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import partial
from inspect import Parameter, signature
from itertools import product
from math import floor, prod
from time import perf_counter
from typing import Any

import numpy as np

from minigan.apply.memory import available, gigabytes, needed, peak
from minigan.apply.picture import from_floats, to_floats, to_gray
from minigan.apply.reach import Cuts, NotLocal, cut
from minigan.backend import to_numpy
from minigan.errors import DataError, ShapeError
from minigan.layers import Layer
from minigan.model import can
from minigan.threads.crew import count, in_parallel
from minigan.training.hooks import Call, LayerHooks, places

TRIED = (128, 256)  # sides of the pictures for the measurement of memory, rounded up to the multiple
GIVEN = ("to", "mask")  # arguments of `apply` beside the picture that are given here
NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
ADVICE = "end other programs, or use a machine with more"
Size = tuple[int, int]
Plan = tuple[Cuts, Cuts]


def _target(model: Any, to: str, parameter: Parameter) -> str:
    """Return the target of a translation, by default that of `apply`. Raises DataError if there is no such one."""
    targets = [translation.target for translation in model.translations]
    to = to or (targets[0] if parameter.default is parameter.empty else parameter.default)
    if to not in targets:
        raise DataError(
            f"{type(model).__name__} translates to {' and '.join(targets)}, not to {to!r}: use one of these as `to`"
        )
    return to


def _blend(model: Any, strength: float) -> None:
    """Let a model blend its stages. Raises DataError if it has one only, or for a strength that isn't in 0…1."""
    if not can(model, "set_strength"):
        raise DataError(f"{type(model).__name__} has one stage of training, and nothing to blend: leave out `strength`")
    if not 0 <= strength <= 1:
        raise DataError(f"`strength` {strength:g} isn't in the range from 0, the first stage, to 1, the last")
    try:
        model.set_strength(strength)
    except ValueError as error:
        raise DataError(f"`strength` {strength:g} can't be set: {error}") from error


def _padded(a: np.ndarray, padding: list[int]) -> np.ndarray:
    return np.pad(a, ((0, padding[0]), (0, padding[1]), (0, 0)), mode="reflect")


class _Layers(LayerHooks):
    """Calls `progress` with the layers without inner layers, and takes one after each of them has run."""

    def __init__(self, networks: dict[str, Layer], progress: Callable[..., Any]) -> None:
        layers = [place.name for place in places(networks) if not place.layer.children()]
        self._ticks = iter(progress(layers)) if progress is not iter else iter(())
        super().__init__(networks if progress is not iter else {})

    def around(self, call: Call) -> Any:
        """Run the layer, and advance."""
        y = call.proceed()
        if not call.place.layer.children():
            next(self._ticks, None)
        return y

    def close(self) -> None:
        """Restore the layers, and end the progress."""
        super().close()
        for _ in self._ticks:
            pass


class Applier:
    """Calls `model.apply` on pictures. Raises DataError if the model has no `apply`.

    channels: the number of input channels, 3 or 1, determined by trial if it isn't given; None if neither works
    to:       the target of the translation, for a model that has several; "" for its default
    strength: 0…1, for a model that blends the weights of two stages; None for those of the last. The model keeps them
    """

    def __init__(self, model: Any, channels: int | None = None, to: str = "", strength: float | None = None) -> None:
        if not can(model, "apply"):
            raise DataError(f"{type(model).__name__} has no apply: it doesn't transform pictures")
        others = {p.name: p for p in list(signature(model.apply).parameters.values())[1:]}
        more = [p.name for p in others.values() if p.default is p.empty and p.kind in NAMED and p.name not in GIVEN]
        if more:
            name = type(model).__name__
            raise DataError(f"{name}.apply needs more than a picture: {', '.join(more)}; call it in Python")
        if strength is not None:
            _blend(model, strength)
        self.model, self.device = model, model.device
        self.arguments = {"to": _target(model, to, others["to"])} if "to" in others else {}
        if to and "to" not in others:
            raise DataError(f"{type(model).__name__} has one translation only: leave out `to`")
        self.fills = "mask" in others and getattr(model, "masked", True)
        multiple = getattr(model, "multiple", 1)
        self.multiple: Size = tuple(multiple) if isinstance(multiple, (tuple, list)) else (multiple, multiple)
        networks = {**model.networks, **model.frozen}
        applied = self._applied()
        if unknown := [name for name in applied if name not in networks]:
            there = ", ".join(networks)
            raise DataError(f"{type(model).__name__} names {unknown[0]!r} in `applied`, and its networks are {there}")
        averages = getattr(model, "averages", {})
        self.networks = [averages[name].average if name in averages else networks[name] for name in applied]
        self._measured: dict[int, dict[Size, int]] = {}
        self.channels = channels or next((c for c in (3, 1) if self._takes(c)), None)

    def __call__(
        self,
        pixels: np.ndarray,
        gray: bool = False,
        progress: Callable[..., Any] = iter,
        mask: np.ndarray | None = None,
    ) -> np.ndarray:
        """Apply the model to a picture (H, W, C). `gray` converts a result in color to gray.

        mask: (H, W, 1) uint8, 1 where pixels are known, for a model that fills holes, and only for such a one
        progress: wraps a list whose elements are processed one after the other: groups of tiles, or the layers

        Raises DataError if memory doesn't suffice, the result isn't finite, or the mask is missing or in excess, and
        ShapeError for a size that the network doesn't accept.
        """
        if (mask is not None) != self.fills:
            name, what = type(self.model).__name__, "fills holes: give a mask" if self.fills else "takes no mask"
            raise DataError(f"{name} {what}")
        if mask is not None and mask.shape != (*pixels.shape[:2], 1):
            raise ShapeError(f"the mask is {mask.shape}, and must be {(*pixels.shape[:2], 1)}")
        size: Size = pixels.shape[:2]
        padding = [-n % m for n, m in zip(size, self.multiple, strict=True)]
        if any(padding):
            pixels, mask = (a if a is None else _padded(a, padding) for a in (pixels, mask))
        plan, why = self._plan(pixels.shape[:2])
        if plan is None or all(cuts.whole for cuts in plan):
            because = f"make the picture smaller, for the network has to see it whole: {why}" if why else ADVICE
            self._check_memory(pixels.shape, "a picture", because)
            with self._watched(progress):
                out = self._apply(pixels[None], gray, mask)[0]
        else:
            out = self._in_tiles(pixels, plan, gray, progress, mask)
        scales = [cuts.scale for cuts in plan] if plan else map(Fraction, out.shape[:2], pixels.shape[:2])
        height, width = (n - floor(scale * after) for n, scale, after in zip(out.shape, scales, padding, strict=False))
        return out[:height, :width]

    def seconds(self, sizes: Iterable[Size]) -> float:
        """Predict the time for pictures (H, W), by that of a small one: the time for a pixel is about the same."""
        small = self._tried()[0]
        x = np.zeros((1, *small, self.channels or 3), np.float32)
        mask = np.ones((*small, 1), np.uint8) if self.fills else None
        times = []
        for _ in range(3):  # the first one includes allocations that are made once
            began = perf_counter()
            self._apply(x, mask=mask)
            times.append(perf_counter() - began)
        return min(times) / prod(small) * sum(map(self._pixels, sizes))

    def _pixels(self, size: Size) -> int:
        """Return how many pixels are worked on for a picture of this size, with padding and the overlap of tiles."""
        height, width = (n + -n % m for n, m in zip(size, self.multiple, strict=True))
        plan, _ = self._plan((height, width))
        return height * width if plan is None else prod(len(cuts.starts) * cuts.tile for cuts in plan)

    def _plan(self, size: Size) -> tuple[Plan | None, str]:
        """Return how to cut a picture of this size into tiles, or None and the reason why that is impossible."""
        if not self.networks:
            return None, f"{type(self.model).__name__} names no networks in `applied`"
        try:
            return (cut(self.networks, size[0], 0), cut(self.networks, size[1], 1)), ""
        except NotLocal as error:
            return None, str(error)

    def _in_tiles(
        self, pixels: np.ndarray, plan: Plan, gray: bool, progress: Callable[..., Any], mask: np.ndarray | None
    ) -> np.ndarray:
        rows, columns = plan
        at_once = self._check_memory((rows.tile, columns.tile, pixels.shape[2]), "a tile", ADVICE)
        places = list(product(range(len(rows.starts)), range(len(columns.starts))))

        def work(place: Size | None) -> Any:
            if place is None:
                return None
            top, left = rows.starts[place[0]], columns.starts[place[1]]
            tile = slice(top, top + rows.tile), slice(left, left + columns.tile)
            return self._apply(pixels[tile][None], gray, None if mask is None else mask[tile])[0]

        out: Any = None
        for group in progress([places[i : i + at_once] for i in range(0, len(places), at_once)]):
            # with None there are always at least two parts, so products in them are never split over threads: a group
            # of one tile gives the same bits as a larger one
            *tiles, _ = in_parallel(work, [*group, None], on_host=self.device.xp is np)
            for (i, j), tile in zip(group, tiles, strict=True):
                if tile.shape[:2] != (rows.made, columns.made):
                    made, name = tile.shape[:2], type(self.model).__name__
                    others = f"the networks in `applied` make {rows.made, columns.made}: name those that `apply` uses"
                    raise ShapeError(f"{name}.apply makes {made} of {rows.tile, columns.tile} pixels, and {others}")
                if out is None:
                    out = np.empty((rows.ends[-1], columns.ends[-1], tile.shape[2]), tile.dtype)
                out[rows.target(i), columns.target(j)] = tile[rows.source(i), columns.source(j)]
        return out

    def _apply(self, pixels: np.ndarray, gray: bool = False, mask: np.ndarray | None = None) -> np.ndarray:
        """Apply the model to (1, H, W, C) of any dtype; return the result on the host, of the same dtype."""
        arguments = self.arguments if mask is None else self.arguments | {"mask": self.device.array(mask[None])}
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            y = to_numpy(self.model.apply(self.device.array(to_floats(pixels), np.float32), **arguments))
        if y.ndim != 4 or len(y) != len(pixels):
            raise ShapeError(f"{type(self.model).__name__}.apply returned {y.shape} for {pixels.shape}")
        if not np.isfinite(y).all():
            raise DataError("the network's output has numbers that aren't finite: use an older checkpoint")
        return from_floats(to_gray(y) if gray and y.shape[3] == 3 else y, pixels.dtype)

    def _takes(self, channels: int) -> bool:
        try:
            self._blank(self._tried()[0], channels)
        except (ValueError, IndexError):  # ShapeError is a ValueError; a user's model may raise others
            return False
        return True

    def _blank(self, size: Size, channels: int) -> None:
        """Apply the model to a picture of zeros, half of which is a hole if the model fills holes."""
        mask = np.zeros((*size, 1), np.uint8)
        mask[: size[0] // 2] = 1
        x = self.device.array(np.zeros((1, *size, channels), np.float32))
        self.model.apply(x, **self.arguments, **({"mask": self.device.array(mask[None])} if self.fills else {}))

    def _tried(self) -> tuple[Size, Size]:
        """Return two sizes, of which the second is larger."""
        small, large = (tuple(-(-side // m) * m for m in self.multiple) for side in TRIED)
        return small, large if prod(large) > prod(small) else (2 * small[0], 2 * small[1])  # type: ignore[return-value]

    def _applied(self) -> tuple[str, ...]:
        """Return the names of the networks that `apply` uses."""
        to = self.arguments.get("to")
        of_target = [t.networks for t in getattr(self.model, "translations", ()) if t.target == to]
        return next(filter(None, of_target), getattr(self.model, "applied", ()))

    def _watched(self, progress: Callable[..., Any]) -> Any:
        """Return a context in which `progress` advances with each layer of the networks."""
        return _Layers({str(i): network for i, network in enumerate(self.networks)}, progress)

    def _check_memory(self, shape: tuple[int, ...], what: str, advice: str) -> int:
        """Return how many pictures or tiles of a shape fit into memory at once. Raises DataError if none does."""
        height, width, channels = shape
        small, large = self._tried()
        free = available(self.device)
        if free is None or height * width < prod(large):
            return 1
        if channels not in self._measured:
            self._blank(small, channels)  # one-time allocations
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
