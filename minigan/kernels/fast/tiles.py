"""The transforms of the convolution with fewer multiplications (minimal.py), and their adjoints.

Along one axis, a tile of two neighboring outputs y of a correlation with 2 or 3 taps g sees 3 or 4 inputs d. With the
tables B, G and A below, y = Aᵀ((B d)·(G g)), which takes 3 or 4 products in place of 4 or 6 (Winograd 1980; F(2, 2) and
F(2, 3) of Lavin and Gray 2015, "Fast Algorithms for Convolutional Neural Networks"). docs/fewer-multiplications.md
derives this. In two dimensions the tables are applied to rows, then to columns: 3·3 products in place of 16, or 4·4 in
place of 36. With channels, product (i, j) is one of matrices, tiles × channels and channels × outputs: U_ij V_ij.

**Stride 2.** A kernel of 4 taps multiplies the even inputs with its even taps, the odd ones with the odd taps: two
correlations with two taps at stride 1, added up. So stride × stride pixels are folded into the channels of one, in the
picture and in the kernel: a 4×4 kernel at stride 2 is a 2×2 kernel at stride 1 on four times as many channels.

Each map is linear; its adjoint reads the same table along columns instead of rows:

    inputs    x → U        inputs_adjoint    dU → dx
    weights   W → V        weights_adjoint   dV → dW
    outputs   M → y        outputs_adjoint   dy → dM

Letters: x (N, H, W, C), W (R, S, C, K), y (N, OH, OW, K); TH×TW tiles in a picture, p products along an axis,
F = stride²·C folded channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigan.backend import array_module
from minigan.kernels.geometry import Pair, output_size

# By the number of taps. Row i of B: u_i in terms of d; row i of G: v_i in terms of g; row i of A: y0 and y1 of m_i.
B = {2: ((1, -1, 0), (0, 1, 0), (0, -1, 1)), 3: ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, -1, 0, 1))}
G = {2: ((1, 0), (1, 1), (0, 1)), 3: ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))}
A = {2: ((1, 0), (1, 1), (0, 1)), 3: ((1, 0), (1, 1), (1, -1), (0, 1))}


class Tiling:
    """The geometry of a convolution in tiles of 2×2 outputs, and the six transforms.

    `kernel` is square, and 2 or 3 times as large as `stride`, which is the same for both axes.
    """

    def __init__(self, size: Pair, kernel: int, stride: int, padding: Pair) -> None:
        self.size, self.stride, self.padding, self.taps = size, stride, padding, kernel // stride
        self.B, self.G, self.A = B[self.taps], G[self.taps], A[self.taps]
        self.p = len(self.A)
        self.out_size = output_size(size, (kernel, kernel), (stride, stride), padding)
        self.TH, self.TW = (-(-n // 2) for n in self.out_size)

    # Pictures

    def inputs(self, x: Any) -> Any:
        """x (n, H, W, C) → U (p·p, n·TH·TW, F)."""
        d = self._fold(x)  # (n, 2·TH + taps − 1, 2·TW + taps − 1, F)
        n, F = len(d), d.shape[-1]
        U = _empty(x, self.p, self.p, n, self.TH, self.TW, F)
        rows = [d[:, k : k + 2 * self.TH - 1 : 2] for k in range(self.taps + 1)]
        for i in range(self.p):
            u = combined(self.B[i], rows)  # (n, TH, 2·TW + taps − 1, F)
            columns = [u[:, :, k : k + 2 * self.TW - 1 : 2] for k in range(self.taps + 1)]
            for j in range(self.p):
                combine(U[i, j], self.B[j], columns)
        return U.reshape(self.p**2, n * self.TH * self.TW, F)

    def inputs_adjoint(self, dU: Any, dx: Any) -> None:
        """dU (p·p, n·TH·TW, F) → dx (n, H, W, C), which is overwritten."""
        n, F = len(dx), dU.shape[-1]
        height, width = (2 * tiles + self.taps - 1 for tiles in (self.TH, self.TW))
        dU = dU.reshape(self.p, self.p, n, self.TH, self.TW, F)
        du = _empty(dx, self.p, n, self.TH, width, F)
        for i in range(self.p):
            self._overlapping(du[i], dU[i], axis=2)
        dd = _empty(dx, n, height, width, F)
        self._overlapping(dd, du, axis=1)
        self._unfold(dd, dx)

    def _overlapping(self, d: Any, u: Any, axis: int) -> None:
        """Adjoint of u_i = Σ_k B[i][k] d_k along an axis of d: d2 and d3 of a tile are d0 and d1 of the next."""
        xp = array_module(d)
        d, u = xp.moveaxis(d, axis, 0), [xp.moveaxis(u[i], axis, 0) for i in range(self.p)]
        columns = list(zip(*self.B, strict=True))
        for parity in (0, 1):
            place, here = d[parity::2], columns[parity]  # as many entries as tiles, and one more if tiles overlap in it
            if parity + 2 > self.taps:
                combine(place, here, u)
                continue
            before = columns[parity + 2]
            combine(place[:1], here, [u_i[:1] for u_i in u])
            combine(place[1:-1], (*here, *before), [u_i[1:] for u_i in u] + [u_i[:-1] for u_i in u])
            combine(place[-1:], before, [u_i[-1:] for u_i in u])

    # Kernels

    def weights(self, W: Any, V: Any) -> None:
        """W (R, S, C, K) → V (p·p, stride², C, K), which is overwritten."""
        s, (_, _, C, K) = self.stride, W.shape
        W = W.reshape(self.taps, s, self.taps, s, C, K)
        V = V.reshape(self.p, self.p, s, s, C, K)
        for i in range(self.p):
            v = combined(self.G[i], [W[tap] for tap in range(self.taps)])  # (s, taps, s, C, K)
            for j in range(self.p):
                combine(V[i, j], self.G[j], [v[:, tap] for tap in range(self.taps)])

    def weights_adjoint(self, dV: Any, dW: Any) -> None:
        """dV (p·p, stride², C, K) → dW (R, S, C, K), which is overwritten."""
        s, (_, _, C, K) = self.stride, dW.shape
        dW = dW.reshape(self.taps, s, self.taps, s, C, K)
        dV = dV.reshape(self.p, self.p, s, s, C, K)
        dv = _empty(dW, self.p, s, self.taps, s, C, K)
        for tap, column in enumerate(zip(*self.G, strict=True)):
            combine(dv[:, :, tap], column, [dV[:, j] for j in range(self.p)])
        for tap, column in enumerate(zip(*self.G, strict=True)):
            combine(dW[tap], column, [dv[i] for i in range(self.p)])

    # Outputs

    def outputs(self, M: Any, y: Any) -> None:
        """M (p·p, n·TH·TW, K) → y (n, OH, OW, K), which is overwritten."""
        n, OH, OW, K = y.shape
        M = M.reshape(self.p, self.p, n, self.TH, self.TW, K)
        even = OH % 2 == OW % 2 == 0
        whole = y if even else _empty(y, n, 2 * self.TH, 2 * self.TW, K)
        tiles = whole.reshape(n, self.TH, 2, self.TW, 2, K)
        for a, row in enumerate(zip(*self.A, strict=True)):
            m = combined(row, [M[i] for i in range(self.p)])  # (p, n, TH, TW, K)
            for b, column in enumerate(zip(*self.A, strict=True)):
                combine(tiles[:, :, a, :, b], column, [m[j] for j in range(self.p)])
        if not even:  # the last tiles hang over
            y[...] = whole[:, :OH, :OW]

    def outputs_adjoint(self, dy: Any) -> Any:
        """dy (n, OH, OW, K) → dM (p·p, n·TH·TW, K)."""
        n, OH, OW, K = dy.shape
        if OH % 2 or OW % 2:
            whole = array_module(dy).zeros((n, 2 * self.TH, 2 * self.TW, K), dy.dtype)
            whole[:, :OH, :OW] = dy
            dy = whole
        rows = [dy[:, a::2] for a in (0, 1)]
        dM = _empty(dy, self.p, self.p, n, self.TH, self.TW, K)
        for i in range(self.p):
            dm = combined(self.A[i], rows)  # (n, TH, 2·TW, K)
            for j in range(self.p):
                combine(dM[i, j], self.A[j], [dm[:, :, b::2] for b in (0, 1)])
        return dM.reshape(self.p**2, n * self.TH * self.TW, K)

    # Pixel h of the padded picture goes to row h // stride, and to part h % stride of the folded channels

    def _fold(self, x: Any) -> Any:
        """x (n, H, W, C) → (n, 2·TH + taps − 1, 2·TW + taps − 1, F), padded with zeros."""
        s, height, width = self.stride, 2 * self.TH + self.taps - 1, 2 * self.TW + self.taps - 1
        folded = _empty(x, len(x), height, width, s, s, x.shape[-1])
        for a, b, rows, columns, pixels in self._parts(height, width):
            part = folded[:, :, :, a, b]
            part[:, : rows.start] = part[:, rows.stop :] = 0
            part[:, rows, : columns.start] = part[:, rows, columns.stop :] = 0
            part[:, rows, columns] = x[pixels]
        return folded.reshape(len(x), height, width, s * s * x.shape[-1])

    def _unfold(self, folded: Any, x: Any) -> None:
        """Adjoint of `_fold`: pixels that no position of the kernel sees become zero."""
        s, (n, height, width, _) = self.stride, folded.shape
        folded = folded.reshape(n, height, width, s, s, x.shape[-1])
        parts = self._parts(height, width)
        if sum(x[:1][pixels].size for *_, pixels in parts) < x[:1].size:
            x.fill(0)
        for a, b, rows, columns, pixels in parts:
            x[pixels] = folded[:, rows, columns, a, b]

    def _parts(self, height: int, width: int) -> list[tuple[int, int, slice, slice, Any]]:
        """For each part of the folded channels: its two numbers, rows and columns of `folded`, and the pixels of x."""
        phases = range(self.stride)
        rows = [self._line(phase, height, self.size[0], self.padding[0]) for phase in phases]
        columns = [self._line(phase, width, self.size[1], self.padding[1]) for phase in phases]
        everything = slice(None)
        return [
            (a, b, rows[a][0], columns[b][0], (everything, rows[a][1], columns[b][1])) for a in phases for b in phases
        ]

    def _line(self, phase: int, length: int, size: int, padding: int) -> tuple[slice, slice]:
        """Along an axis: which entries of a folded line of `length` are which pixels of the picture."""
        first = (phase - padding) % self.stride  # the first pixel of this phase
        start = (first + padding) // self.stride
        n = max(0, min(length - start, -(-(size - first) // self.stride)))
        return slice(start, start + n), slice(first, first + n * self.stride, self.stride)


def combine(out: Any, coefficients: Sequence[float], arrays: Sequence[Any]) -> None:
    """out = Σ coefficient · array. A coefficient of 1 or −1 costs no multiplication."""
    xp = array_module(out)
    terms = [(c, a) for c, a in zip(coefficients, arrays, strict=True) if c]
    terms.sort(key=lambda term: -term[0])  # a positive one first, if there is one
    (c, total), *terms = terms
    if c != 1 or not terms:
        xp.multiply(total, c, out=out)
        total = out
    for c, a in terms:
        if abs(c) != 1:
            a = abs(c) * a
        (xp.add if c > 0 else xp.subtract)(total, a, out=out)
        total = out


def combined(coefficients: Sequence[float], arrays: Sequence[Any]) -> Any:
    """Σ coefficient · array, as a new array, or as a view where the sum is one of them."""
    if sorted(coefficients) == [0] * (len(coefficients) - 1) + [1]:
        return arrays[list(coefficients).index(1)]
    out = _empty(arrays[0], *arrays[0].shape)
    combine(out, coefficients, arrays)
    return out


def _empty(like: Any, *shape: int) -> Any:
    return array_module(like).empty(shape, like.dtype)
