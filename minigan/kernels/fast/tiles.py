"""The transforms of the convolution with fewer multiplications (minimal.py), and their adjoints.

Along one axis, a tile of m neighboring outputs y of a correlation with t taps g sees p = m + t − 1 inputs d. With the
tables A, G and B below,

    y = Aᵀ((G g)·(B d))

takes p products in place of m·t (Toom 1963, Cook 1966; Winograd 1980; F(m, t) of Lavin and Gray 2015, "Fast Algorithms
for Convolutional Neural Networks"). docs/fewer-multiplications.md derives the tables.

In two dimensions the tables are applied to rows and to columns, which is one product with the Kronecker product of a
table with itself: a matrix of p²×p² numbers times the inputs of all tiles. With channels, product (i, j) of the p² is
one of matrices, tiles × channels and channels × outputs: M_ij = U_ij V_ij.

**Stride 2.** A kernel of 4 taps multiplies the even inputs with its even taps, the odd ones with the odd taps: two
correlations with two taps at stride 1, added up. So stride × stride pixels are folded into the channels of one, in the
picture and in the kernel: a 4×4 kernel at stride 2 is a 2×2 kernel at stride 1 on four times as many channels.

Each map is linear, and its adjoint is the product with the transposed matrix:

    inputs    x → U        inputs_adjoint    dU → dx
    weights   W → V        weights_adjoint   dV → dW
    outputs   M → y        outputs_adjoint   dy → dM

Letters: x (N, H, W, C), W (R, S, C, K), y (N, OH, OW, K); TH×TW tiles in a picture, F = stride²·C folded channels.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.kernels.fast.patches import patches
from minigan.kernels.geometry import Pair, output_size

# The points of a table with p rows; the last is infinity. With 2/3 and 3/2 the sums of F(4, 3) round half as much as
# with 1 and 2, which are usual because additions suffice for them.
POINTS = {3: (0, 1), 4: (0, 1, -1), 6: (0, 2 / 3, -2 / 3, 3 / 2, -3 / 2)}


def tables(m: int, taps: int) -> tuple[Any, Any, Any]:
    """A (p, m), G (p, taps), B (p, p) for `m` outputs: y = Aᵀ((G g)·(B d))."""
    p = m + taps - 1
    return _powers(p, m), _powers(p, taps), np.linalg.inv(_powers(p, p)).T


def _powers(p: int, n: int) -> Any:
    """(p, n): the values of 1, a, a², … at the points. At infinity, only the highest power counts."""
    return np.vstack([np.vander(POINTS[p], n, increasing=True), np.eye(n)[-1]])


@cache
def _tables_2d(m: int, taps: int, dtype: Any) -> tuple[Any, ...]:
    """A (p², m²), G (p², taps²), B (p², p²) and their transposes, all in C order: products take them faster so."""
    both = [np.kron(table, table).astype(dtype) for table in tables(m, taps)]
    return tuple(np.ascontiguousarray(table) for one in both for table in (one, one.T))


class Tiling:
    """The geometry of a convolution in tiles of m×m outputs, and the six transforms.

    `kernel` is square, and 2 or 3 times as large as `stride`, which is the same for both axes.
    """

    def __init__(self, size: Pair, kernel: int, stride: int, padding: Pair, m: int = 2) -> None:
        self.size, self.stride, self.padding, self.taps, self.m = size, stride, padding, kernel // stride, m
        self.p = m + self.taps - 1
        self.out_size = output_size(size, (kernel, kernel), (stride, stride), padding)
        self.TH, self.TW = (-(-n // m) for n in self.out_size)

    # Pictures

    def inputs(self, x: Any, rows: slice | None = None) -> Any:
        """x (n, H, W, C) → U (p², n·TH·TW, F), or only `rows` of the TH rows of tiles."""
        rows = rows or slice(0, self.TH)
        th = rows.stop - rows.start
        d = self._places(self._framed(x, rows), th).reshape(self.p**2, -1)  # this copies
        return self._times("B", d).reshape(self.p**2, len(x) * th * self.TW, -1)

    def inputs_adjoint(self, dU: Any, dx: Any) -> None:
        """dU (p², n·TH·TW, F) → dx (n, H, W, C), which is overwritten. Tiles overlap, so their pixels are added up."""
        (n, H, W, C), (top, left), m = dx.shape, self.padding, self.m
        framed = array_module(dx).zeros(self._framed_shape(n, self.TH, C), dx.dtype)
        places = self._places(framed, self.TH)  # (p, p, n, TH, TW, s, s, C)
        dd = self._times("Bᵀ", dU.reshape(self.p**2, -1)).reshape(places.shape)
        for i in range(0, self.p, m):  # m×m places of all tiles are different pixels, and can be added at once
            for j in range(0, self.p, m):
                places[i : i + m, j : j + m] += dd[i : i + m, j : j + m]
        seen = framed[:, top : top + H, left : left + W]
        if seen.shape != dx.shape:
            dx.fill(0)  # pixels that no position of the kernel sees
        dx[:, : seen.shape[1], : seen.shape[2]] = seen

    def _places(self, framed: Any, th: int) -> Any:
        """View the p×p places of each tile, s×s pixels of the frame each: (p, p, n, th, TW, s, s, C)."""
        p, s, step = self.p, self.stride, self.m * self.stride
        tiles = patches(framed, (th, self.TW), (p * s, p * s), (step, step))  # (n, th, TW, p·s, p·s, C)
        return tiles.reshape(*tiles.shape[:3], p, s, p, s, -1).transpose(3, 5, 0, 1, 2, 4, 6, 7)

    def _framed(self, x: Any, rows: slice) -> Any:
        """The pixels that these rows of tiles see, with zeros around the picture: see `_framed_shape`."""
        (n, H, W, C), (top, left) = x.shape, self.padding
        framed = _empty(x, *self._framed_shape(n, rows.stop - rows.start, C))
        _, height, width, _ = framed.shape
        start = rows.start * self.m * self.stride - top  # of the rows of pixels; it may be negative
        first, last = (min(max(0, edge - start), height) for edge in (0, H))
        end = min(left + W, width)
        framed[:, :first] = framed[:, last:] = framed[:, first:last, :left] = framed[:, first:last, end:] = 0
        framed[:, first:last, left:end] = x[:, first + start : last + start, : max(0, end - left)]
        return framed

    def _framed_shape(self, n: int, th: int, C: int) -> tuple[int, int, int, int]:
        """(n, s·(m·th + taps − 1), s·(m·TW + taps − 1), C)."""
        height, width = (self.stride * (self.m * tiles + self.taps - 1) for tiles in (th, self.TW))
        return n, height, width, C

    # Kernels

    def weights(self, by_taps: Any, V: Any) -> None:
        """Some numbers of W `by_taps` (taps, taps, …) → V (p², …), which is overwritten."""
        array_module(V).matmul(self._table("G", V), by_taps.reshape(self.taps**2, -1), out=V)

    def weights_adjoint(self, dV: Any, by_taps: Any) -> None:
        """dV (p², …) → dW `by_taps` (taps, taps, …), which is overwritten."""
        by_taps[...] = self._times("Gᵀ", dV).reshape(by_taps.shape)

    def by_taps(self, W: Any) -> Any:
        """View W (R, S, C, K) as (taps, taps, s, s, C·K)."""
        s, taps = self.stride, self.taps
        return W.reshape(taps, s, taps, s, -1).swapaxes(1, 2)

    # Outputs

    def outputs(self, M: Any, y: Any) -> None:
        """M (p², n·th·TW, K) → y (n, oh, OW, K), which is overwritten: some rows of tiles, or all."""
        whole = y if self._is_whole(y) else _empty(y, *self._whole_shape(y))
        tiles = self._outputs_of_tiles(whole)
        tiles[...] = self._times("Aᵀ", M.reshape(self.p**2, -1)).reshape(tiles.shape)
        if whole is not y:  # the last tiles hang over
            y[...] = whole[:, : y.shape[1], : y.shape[2]]

    def outputs_adjoint(self, dy: Any) -> Any:
        """dy (n, oh, OW, K) → dM (p², n·th·TW, K)."""
        whole = dy
        if not self._is_whole(dy):
            whole = array_module(dy).zeros(self._whole_shape(dy), dy.dtype)
            whole[:, : dy.shape[1], : dy.shape[2]] = dy
        tiles = self._outputs_of_tiles(whole).reshape(self.m**2, -1)  # this copies
        return self._times("A", tiles).reshape(self.p**2, -1, dy.shape[3])

    def _outputs_of_tiles(self, y: Any) -> Any:
        """View y (n, m·th, m·TW, K) as (m, m, n, th, TW, K)."""
        m = self.m
        return patches(y, (y.shape[1] // m, self.TW), (m, m), (m, m)).transpose(3, 4, 0, 1, 2, 5)

    def _is_whole(self, y: Any) -> bool:
        return y.shape == self._whole_shape(y)

    def _whole_shape(self, y: Any) -> tuple[int, int, int, int]:
        n, oh, _, K = y.shape
        return n, -(-oh // self.m) * self.m, self.TW * self.m, K

    def _times(self, table: str, columns: Any) -> Any:
        """table (a, b) @ columns (b, many), on one thread: the callers' blocks are what several threads work on."""
        return array_module(columns).matmul(self._table(table, columns), columns)

    def _table(self, name: str, like: Any) -> Any:
        names = "A", "Aᵀ", "G", "Gᵀ", "B", "Bᵀ"
        table = dict(zip(names, _tables_2d(self.m, self.taps, like.dtype), strict=True))[name]
        return array_module(like).asarray(table)


def _empty(like: Any, *shape: int) -> Any:
    return array_module(like).empty(shape, like.dtype)
