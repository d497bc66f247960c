"""The transforms of the convolution with fewer multiplications (minimal.py), and their adjoints.

Along one axis, a tile of m neighboring outputs y of a correlation with t taps g sees p = m + t − 1 inputs d. With the
tables A, G and B below,

    y = Aᵀ((G g)·(B d))

takes p products in place of m·t (Toom 1963, Cook 1966; Winograd 1980; F(m, t) of Lavin and Gray 2015, "Fast Algorithms
for Convolutional Neural Networks"). docs/fewer-multiplications.md derives the tables.

In two dimensions the tables are applied to the columns of a tile and to its rows: T X Tᵀ for a table T and a tile X.
With channels, product (i, j) of the p² is one of matrices, tiles × channels and channels × outputs: M_ij = U_ij V_ij.

**Stride 2.** A kernel of 4 taps multiplies the even inputs with its even taps, the odd ones with the odd taps: two
correlations with two taps at stride 1, added up. So stride × stride pixels are folded into the channels of one, in the
picture and in the kernel: a 4×4 kernel at stride 2 is a 2×2 kernel at stride 1 on four times as many channels. A 5×5
kernel gets a row and a column of zeros, and is 3×3.

**Blocks.** With many taps the tables would round badly. So a kernel of 7 taps, and zeros up to 9, is cut into three
blocks of 3, whose correlations are added up. Block b begins 3·b inputs later. With tiles of m = 3 outputs this is where
another tile begins, so block b of tile i takes the B d of tile i + b, which is computed once for all blocks. Where they
are added up, blocks are channels as the folded pixels are: row i of U holds the B d of tiles i, i + 1 and i + 2.

Each map is linear, and its adjoint is the product with the transposed matrix:

    inputs    x → U        inputs_adjoint    dU → dx
    weights   W → V        weights_adjoint   dV → dW
    outputs   M → y        outputs_adjoint   dy → dM

Letters: x (N, H, W, C), W (R, S, C, K), y (N, OH, OW, K); TH×TW tiles in a picture, F = blocks²·stride²·C channels.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from minigan.backend import array_module
from minigan.kernels.fast.patches import patches, scatter_patches
from minigan.kernels.geometry import Pair, output_size

# The points of a table with p rows; the last is infinity. With 2/3 and 3/2 the sums of F(4, 3) round half as much as
# with 1 and 2, which are usual because additions suffice for them.
POINTS = {3: (0, 1), 4: (0, 1, -1), 5: (0, 1 / 2, -1, 2), 6: (0, 2 / 3, -2 / 3, 3 / 2, -3 / 2)}

# Rows of a table, and numbers of all tiles: one product with T ⊗ T takes less time than two with T if the table is
# small, or the tiles don't fit in the cache
SMALL, MANY = 3, 1 << 19


def tables(m: int, taps: int) -> tuple[Any, Any, Any]:
    """A (p, m), G (p, taps), B (p, p) for `m` outputs: y = Aᵀ((G g)·(B d))."""
    p = m + taps - 1
    return _powers(p, m), _powers(p, taps), _lagrange(p)


def _powers(p: int, n: int) -> Any:
    """(p, n): the values of 1, a, a², … at the points. At infinity, only the highest power counts."""
    return np.vstack([np.vander(POINTS[p], n, increasing=True), np.eye(n)[-1]])


def _lagrange(p: int) -> Any:
    """(p, p): the inverse of `_powers(p, p)`, transposed. Row i is the polynomial that is 1 at point i and 0 at others.

    Its coefficients, from the constant on, are those of Π (x − b)/(a − b) for a = point i and all other points b. At
    infinity, 1 means that the highest coefficient is 1. An inverse by elimination would be less exact.
    """
    rows = []
    for i, a in enumerate(POINTS[p]):
        others = np.delete(POINTS[p], i)
        rows.append([*(np.poly(others)[::-1] / np.prod(a - others)), 0])
    return np.array([*rows, np.poly(POINTS[p])[::-1]])


@cache
def _rounded(m: int, taps: int, dtype: Any) -> dict[str, tuple[Any, Any]]:
    """By name, each table T and its transpose, and T ⊗ T. In C order: products take them faster so."""
    both = dict(zip("AGB", tables(m, taps), strict=True))
    both |= {name + "ᵀ": table.T for name, table in both.items()}
    as_it_is = lambda table: np.ascontiguousarray(table, dtype)  # noqa: E731
    return {name: (as_it_is(table), as_it_is(np.kron(table, table))) for name, table in both.items()}


class Tiling:
    """The geometry of a convolution in tiles of m×m outputs, and the six transforms.

    `kernel` is square, and `stride` the same for both axes. taps: of a block, along an axis; 0: one block has all.
    Raises ValueError for several blocks unless they have m taps.
    """

    def __init__(self, size: Pair, kernel: int, stride: int, padding: Pair, m: int = 2, taps: int = 0) -> None:
        self.size, self.kernel, self.stride, self.padding, self.m = size, kernel, stride, padding, m
        all_taps = -(-kernel // stride)
        self.taps = taps or all_taps
        self.blocks = -(-all_taps // self.taps)
        if self.blocks > 1 and self.taps != m:
            raise ValueError(f"blocks of {self.taps} taps don't begin where tiles of {m} outputs do")
        self.p = m + self.taps - 1
        self.out_size = output_size(size, (kernel, kernel), (stride, stride), padding)
        self.TH, self.TW = (-(-n // m) for n in self.out_size)

    # Pictures

    def inputs(self, x: Any, rows: slice | None = None) -> Any:
        """x (n, H, W, C) → B d (p², n, h, w, s²·C), or for only some `rows` of the TH rows of tiles; see `_seen`."""
        rows = rows or slice(0, self.TH)
        th = rows.stop - rows.start
        d = self._places(self._framed(x, rows), th).reshape(self.p**2, -1)  # this copies
        return self._times("B", d).reshape(self.p**2, len(x), *self._seen(th), -1)

    def inputs_adjoint(self, dBd: Any, dx: Any) -> None:
        """d(B d) (p², n, h, w, s²·C) → dx (n, H, W, C), which is overwritten. Tiles overlap: their pixels are added."""
        (n, H, W, C), (top, left), m = dx.shape, self.padding, self.m
        framed = array_module(dx).zeros(self._framed_shape(n, self.TH, C), dx.dtype)
        places = self._places(framed, self.TH)  # (p, p, n, TH + blocks − 1, TW + blocks − 1, s, s, C)
        dd = self._times("Bᵀ", dBd.reshape(self.p**2, -1)).reshape(places.shape)
        for i in range(0, self.p, m):  # m×m places of all tiles are different pixels, and can be added at once
            for j in range(0, self.p, m):
                places[i : i + m, j : j + m] += dd[i : i + m, j : j + m]
        seen = framed[:, top : top + H, left : left + W]
        if seen.shape != dx.shape:
            dx.fill(0)  # pixels that no position of the kernel sees
        dx[:, : seen.shape[1], : seen.shape[2]] = seen

    def _places(self, framed: Any, th: int) -> Any:
        """View the p×p places of each tile, s×s pixels of the frame each: (p, p, n, h, w, s, s, C)."""
        p, s, step = self.p, self.stride, self.m * self.stride
        tiles = patches(framed, self._seen(th), (p * s, p * s), (step, step))  # (n, h, w, p·s, p·s, C)
        return tiles.reshape(*tiles.shape[:3], p, s, p, s, -1).transpose(3, 5, 0, 1, 2, 4, 6, 7)

    def _seen(self, th: int) -> Pair:
        """h, w: the tiles of inputs for th rows of TW tiles of outputs, as far as the last block."""
        return th + self.blocks - 1, self.TW + self.blocks - 1

    def rows_of(self, Bd_ij: Any) -> Any:
        """B d of one product, (n, h, w, s²·C) → U_ij (n·th·TW, F): each tile beside those of the other blocks."""
        (n, h, w, _), b = Bd_ij.shape, self.blocks
        windows = patches(Bd_ij, (h - b + 1, w - b + 1), (b, b), (1, 1))  # (n, th, TW, blocks, blocks, s²·C), a view
        return windows.reshape(n * (h - b + 1) * (w - b + 1), -1)  # this copies, if there are several blocks

    def rows_adjoint(self, dU: Any, n: int) -> Any:
        """dU (p², n·TH·TW, F) → d(B d) (p², n, h, w, s²·C): the adjoint of `rows_of` for all products."""
        by_blocks = dU.reshape(self.p**2 * n, self.TH, self.TW, self.blocks, self.blocks, -1)
        dBd = _empty(dU, len(by_blocks), *self._seen(self.TH), by_blocks.shape[-1])
        scatter_patches(by_blocks, dBd, (1, 1))
        return dBd.reshape(self.p**2, n, *dBd.shape[1:])

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
        """(n, s·(m·h + taps − 1), s·(m·w + taps − 1), C): see `_seen`."""
        height, width = (self.stride * (self.m * tiles + self.taps - 1) for tiles in self._seen(th))
        return n, height, width, C

    # Kernels

    def weights(self, by_taps: Any, V: Any) -> None:
        """Some numbers of W `by_taps` (taps, taps, …) → V (p², …), which is overwritten."""
        self._times("G", by_taps.reshape(self.taps**2, -1), V)

    def weights_adjoint(self, dV: Any, by_taps: Any) -> None:
        """dV (p², …) → dW `by_taps` (taps, taps, …), which is overwritten."""
        by_taps[...] = self._times("Gᵀ", dV).reshape(by_taps.shape)

    def with_zeros(self, W: Any) -> Any:
        """W (R, S, C, K), if necessary with zeros up to T = blocks·taps·stride: (T, T, C, K)."""
        T = self.blocks * self.taps * self.stride
        if self.kernel == T:
            return W
        larger = array_module(W).zeros((T, T, *W.shape[2:]), W.dtype)
        larger[: self.kernel, : self.kernel] = W
        return larger

    def by_taps(self, W: Any) -> Any:
        """View W (T, T, C, K) as (taps, taps, blocks, blocks, s, s, C·K)."""
        t, b, s = self.taps, self.blocks, self.stride
        return W.reshape(b, t, s, b, t, s, -1).transpose(1, 4, 0, 3, 2, 5, 6)

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

    def _times(self, name: str, columns: Any, out: Any = None) -> Any:
        """T X Tᵀ of each of the n tiles X (b, b) for a table T (a, b): columns (b², n) → (a², n), `out` if it is given.

        On one thread: the callers' blocks are what several work on.
        """
        xp = array_module(columns)
        T, T_kron_T = _rounded(self.m, self.taps, columns.dtype)[name]
        (a, b), n = T.shape, columns.shape[1]
        out = xp.empty((a * a, n), columns.dtype) if out is None else out
        if self.p <= SMALL or columns.size > MANY:
            return xp.matmul(xp.asarray(T_kron_T), columns, out=out)  # (a², b²) @ (b², n)
        T = xp.asarray(T)
        TX = xp.matmul(T, columns.reshape(b, b * n)).reshape(a, b, n)  # (a, b) @ (b, b·n)
        xp.matmul(T, TX, out=out.reshape(a, a, n))  # a times (a, b) @ (b, n)
        return out


def _empty(like: Any, *shape: int) -> Any:
    return array_module(like).empty(shape, like.dtype)
