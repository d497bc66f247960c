"""The receptive field of a network, and how to cut a picture into tiles whose results equal that of the whole picture.

Height and width are independent, so everything here concerns one axis. Apply the network to a tile, the input pixels
a … a + n − 1 of a longer line. At the ends of the tile, the layers see their padding instead of the rest of the line.
Outputs near the ends are therefore invalid: `left` of them at the beginning and `right` at the end. These numbers are
computed layer by layer. At the border of the picture, the padding is correct and all outputs of the tile are valid.

**Gathering** (convolution, pooling; kernel k, stride s, padding p). Output o depends on the inputs from o·s − p to
o·s − p + k − 1:

    n'     = ⌊(n + 2p − k)/s⌋ + 1
    valid outputs have  o·s − p ≥ left   and   o·s − p + k − 1 ≤ n − 1 − right, so
    left'  = ⌈(left + p)/s⌉
    right' = n' − 1 − ⌊(n − right − k + p)/s⌋

**Spreading** (transposed convolution, upsampling). Input i contributes to the outputs from i·s − p to i·s − p + k − 1,
so output o depends on the inputs from ⌈(o + p − k + 1)/s⌉ to ⌊(o + p)/s⌋:

    n'     = (n − 1)·s − 2p + k + extra
    valid outputs have  o + p − k + 1 > (left − 1)·s   and   o + p < (n − right)·s, so
    left'  = max(0, (left − 1)·s + k − p)
    right' = max(0, n' − (n − right)·s + p)

**Parallel paths** that are added have the same output size. An output is invalid if it is invalid in any path, so
`left` and `right` are the maxima over the paths.

**The jump** j is the number of entries per input pixel: it is 1 at the input, gathering divides it by s, spreading
multiplies it by s. If a tile starts a pixels later, its entries are shifted by j·a. The results agree only if this is
an integer after every layer, so a must be a multiple of `align`, the least common multiple of the denominators of all
jumps. As ⌊(n + 2p − k)/s⌋ may ignore pixels at the end, the tile and the picture must have the same remainder modulo
`align`, so that the same number of pixels is ignored.

The radius of the receptive field, in input pixels, is left/j or right/j.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor, lcm

from minigan.layers import Chain, Layer, Ways, Window

TILE = 256  # pixels of a tile's side, at least
RADII = 6  # a tile's side, at least, in radii of the receptive field, 2 of which are overlap


class NotLocal(Exception):
    """An output may depend on the whole picture. The message names the layer."""


@dataclass(frozen=True)
class Line:
    """The extent of a tile along one axis after some layer: entries, invalid ones at either end, the jump, `align`."""

    n: int
    left: int = 0
    right: int = 0
    jump: Fraction = Fraction(1)
    align: int = 1


def follow(layer: Layer | None, line: Line, axis: int) -> Line:
    """Return the line after a layer, along axis 0 (height) or 1 (width). Raises NotLocal."""
    reach = Window() if layer is None else layer.reach()
    if isinstance(reach, Chain):
        for inner in reach.layers:
            line = follow(inner, line, axis)
        return line
    if isinstance(reach, Ways):
        ends = [follow(way, line, axis) for way in reach.layers]
        if len({(end.n, end.jump) for end in ends}) > 1:
            raise NotLocal(f"the paths of {layer!r} end in different sizes")
        left, right = max(end.left for end in ends), max(end.right for end in ends)
        return replace(ends[0], left=left, right=right, align=lcm(*(end.align for end in ends)))
    if not isinstance(reach, Window):
        raise NotLocal(f"{type(layer).__name__} depends on the whole picture")
    return _spread(reach, line, axis) if reach.spread else _gather(reach, line, axis)


def _gather(window: Window, line: Line, axis: int) -> Line:
    k, s, p = window.kernel[axis], window.stride[axis], window.padding[axis]
    n = (line.n + 2 * p - k) // s + 1
    last = (line.n - line.right - k + p) // s
    jump = line.jump / s
    return Line(n, -(-(line.left + p) // s), n - 1 - last, jump, lcm(line.align, jump.denominator))


def _spread(window: Window, line: Line, axis: int) -> Line:
    k, s, p = window.kernel[axis], window.stride[axis], window.padding[axis]
    n = (line.n - 1) * s - 2 * p + k + window.extra[axis]
    left, right = (line.left - 1) * s + k - p, n - (line.n - line.right) * s + p
    return replace(line, n=n, left=max(0, left), right=max(0, right), jump=line.jump * s)


@dataclass(frozen=True)
class Cuts:
    """The tiles along one axis. Tiles of `tile` pixels begin at `starts`, and yield `made` entries each.

    Tile i provides the outputs from `ends[i]` to `ends[i + 1]`, and its first entry is output `firsts[i]`.
    """

    tile: int
    made: int
    starts: tuple[int, ...]
    firsts: tuple[int, ...]
    ends: tuple[int, ...]
    scale: Fraction

    @property
    def whole(self) -> bool:
        """Whether there is only one tile."""
        return len(self.starts) == 1

    def target(self, i: int) -> slice:
        """Return the outputs that tile i provides."""
        return slice(self.ends[i], self.ends[i + 1])

    def source(self, i: int) -> slice:
        """Return their position in the result of tile i."""
        return slice(self.ends[i] - self.firsts[i], self.ends[i + 1] - self.firsts[i])


def cut(networks: Sequence[Layer], size: int, axis: int, least: int = TILE, radii: int = RADII) -> Cuts:
    """Cut an axis of `size` pixels into tiles. Raises NotLocal if a layer depends on the whole picture."""

    def through(n: int) -> Line:
        line = Line(n)
        for network in networks:
            line = follow(network, line, axis)
        return line

    whole = through(size)
    align = whole.align
    far = through(size + align * (1 << 16))  # long enough that the invalid ends don't overlap
    radius = max(far.left, far.right) / far.jump
    tile = ceil(Fraction(max(least, ceil(radii * radius)), align)) * align + size % align
    while True:
        if size <= tile:
            return Cuts(size, whole.n, (0,), (0,), (0, whole.n), whole.jump)
        line = through(tile)
        step = floor((line.n - line.left - line.right) / line.jump) // align * align
        if step > 0:
            break
        tile += align
    starts = [*range(0, size - tile, step), size - tile]
    firsts = [int(line.jump * start) for start in starts]
    ends = [0, *(first + line.left for first in firsts[1:]), whole.n]
    return Cuts(tile, line.n, tuple(starts), tuple(firsts), tuple(ends), line.jump)
