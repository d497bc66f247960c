"""How a layer looks around in a picture at inference, so that large pictures can be worked on in tiles.

`Layer.reach` returns one of these, or None, the default: an output may depend on the whole picture, as after a dense
layer, an instance norm or a sum over all pixels. `minigan.apply` puts them together for whole networks.

    Window()                    each output pixel depends on the input pixel in the same place: activations, batch norm
    Window(3, 1, 1)             a convolution or a pooling: kernel, stride, padding
    Window(4, 2, 1, spread=True)  a transposed convolution or an enlargement
    Chain((first, second))      layers one after the other
    Ways((body, None))          layers beside each other, whose outputs are added or joined; None hands its input on
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minigan.kernels.geometry import Pair


@dataclass(frozen=True)
class Window:
    """A window that moves over the picture. Pairs are (height, width).

    A gathering layer computes output o from the inputs o·stride − padding + r, 0 ≤ r < kernel. `kernel` is the whole
    extent of a dilated window. A spreading layer is the adjoint of one: input i goes to the outputs
    i·stride − padding + r, and n inputs make (n − 1)·stride − 2·padding + kernel + extra outputs.
    """

    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    spread: bool = False
    extra: Pair = (0, 0)


@dataclass(frozen=True)
class Chain:
    """Layers one after the other."""

    layers: tuple[Any, ...]


@dataclass(frozen=True)
class Ways:
    """Layers that all get the picture; None hands it on unchanged."""

    layers: tuple[Any, ...]


Reach = Window | Chain | Ways
