"""How far a network looks, and where a picture may be cut so that tiles give what the whole gives.

Everything here happens along one axis; height and width don't know of each other. Take a tile, the input pixels
a … a + n − 1 of a longer line, and send it through the network by itself. At its ends the layers see their own padding
where the whole line goes on, so some of what comes out is wrong there. How many entries, `left` at the beginning and
`right` at the end, follows layer by layer. In a tile that begins where the picture begins `left` doesn't count, because
the padding belongs there, and likewise at the end.

**Gathering** (convolution, pooling; kernel k, stride s, padding p). Output o is made of the inputs from o·s − p to
o·s − p + k − 1:

    n'     = ⌊(n + 2p − k)/s⌋ + 1
    right outputs have  o·s − p ≥ left   and   o·s − p + k − 1 ≤ n − 1 − right, so
    left'  = ⌈(left + p)/s⌉
    right' = n' − 1 − ⌊(n − right − k + p)/s⌋

**Spreading** (transposed convolution, enlargement). Input i goes to the outputs from i·s − p to i·s − p + k − 1, so
output o is made of the inputs from ⌈(o + p − k + 1)/s⌉ to ⌊(o + p)/s⌋:

    n'     = (n − 1)·s − 2p + k + extra
    right outputs have  o + p − k + 1 > (left − 1)·s   and   o + p < (n − right)·s, so
    left'  = (left − 1)·s + k − p
    right' = n' − (n − right)·s + p                                                        none of them less than 0

**Several ways** end in one size, or they can't be added. What is wrong in one of them is wrong in the sum: the maximum.

**The jump** j is the number of entries that one input pixel takes: it begins at 1, gathering divides it by s, spreading
multiplies it. If a tile begins a pixels later, its entries stand j·a places later. The network does the same things in
both places only if that is a whole number behind every layer, so a is a multiple of `align`, the least common multiple
of the jumps' denominators. And as ⌊(n + 2p − k)/s⌋ may leave pixels over at the end, n is the picture's size up to a
multiple of `align`: then just as many are left over.

The radius of the receptive field, in input pixels, is left/j or right/j.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor, lcm

from minigan.layers import Chain, Layer, Ways, Window

TILE = 256  # pixels of a tile's side, at least
RADII = 6  # and at least so many radii: of a tile, 2 are overlap


class NotLocal(Exception):
    """An output may depend on the whole picture. The message says because of which layer."""


@dataclass(frozen=True)
class Line:
    """A tile along one axis, somewhere in the network: entries, how many are wrong at either end, the jump, `align`."""

    n: int
    left: int = 0
    right: int = 0
    jump: Fraction = Fraction(1)
    align: int = 1


def follow(layer: Layer | None, line: Line, axis: int) -> Line:
    """A line behind a layer, along axis 0 (height) or 1 (width). Raises NotLocal."""
    reach = Window() if layer is None else layer.reach()
    if isinstance(reach, Chain):
        for inner in reach.layers:
            line = follow(inner, line, axis)
        return line
    if isinstance(reach, Ways):
        ends = [follow(way, line, axis) for way in reach.layers]
        if len({(end.n, end.jump) for end in ends}) > 1:
            raise NotLocal(f"the ways of {layer!r} end in different sizes")
        left, right = max(end.left for end in ends), max(end.right for end in ends)
        return replace(ends[0], left=left, right=right, align=lcm(*(end.align for end in ends)))
    if not isinstance(reach, Window):
        raise NotLocal(f"{type(layer).__name__} looks at the whole picture")
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
    """How one axis is cut. Tiles of `tile` pixels begin at `starts`, and give `made` entries each.

    Tile i makes the outputs from `ends[i]` to `ends[i + 1]` of the whole, and output `firsts[i]` is its first entry.
    """

    tile: int
    made: int
    starts: tuple[int, ...]
    firsts: tuple[int, ...]
    ends: tuple[int, ...]
    scale: Fraction

    @property
    def whole(self) -> bool:
        """Whether there is one tile only."""
        return len(self.starts) == 1

    def target(self, i: int) -> slice:
        """The outputs of the whole that tile i makes."""
        return slice(self.ends[i], self.ends[i + 1])

    def source(self, i: int) -> slice:
        """Where they stand in what tile i gives."""
        return slice(self.ends[i] - self.firsts[i], self.ends[i + 1] - self.firsts[i])


def cut(networks: Sequence[Layer], size: int, axis: int, least: int = TILE, radii: int = RADII) -> Cuts:
    """Cut an axis of `size` pixels. The tile's size depends on the networks and on `size`, and on nothing else.

    Raises NotLocal if a network has a layer that looks at the whole picture.
    """

    def through(n: int) -> Line:
        line = Line(n)
        for network in networks:
            line = follow(network, line, axis)
        return line

    whole = through(size)
    align = whole.align
    far = through(size + align * (1 << 16))  # so long that its ends don't meet
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
