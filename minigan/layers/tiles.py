"""The transforms of the convolution that needs fewer multiplications (`minimal.py`), and their adjoints.

**One dimension.** Two neighbouring outputs of a correlation with two taps g see three inputs d:

    y0 = d0 g0 + d1 g1        y1 = d1 g0 + d2 g1                                     four multiplications

    y0 = (d0 − d1) g0 + d1 (g0 + g1)        y1 = d1 (g0 + g1) − (d1 − d2) g1         three different ones

because d1 (g0 + g1) stands in both. So there are products m_i = u_i v_i, u made of d alone and v of g alone, and the
outputs are sums of them. For three taps, four products do what six did:

    two taps:    u = d0 − d1            v = g0                    y0 = m0 + m1
                     d1                     g0 + g1               y1 = m1 − m2
                     d1 − d2                g1

    three taps:  u = d0 − d2            v = g0                    y0 = m0 + m1 + m2
                     d1 + d2                (g0 + g1 + g2)/2      y1 = m1 − m2 − m3
                     d2 − d1                (g0 − g1 + g2)/2
                     d1 − d3                g2

(Winograd 1980; Lavin and Gray 2015, "Fast Algorithms for Convolutional Neural Networks", who call them F(2, 2) and
F(2, 3).) In matrices, u = B d, v = G g, y = Aᵀ m.

**Two dimensions.** Rows first, then columns. A tile of 2×2 outputs takes 3·3 products instead of 16, or 4·4 instead of
36. A product of two numbers becomes one of two matrices, tiles × channels and channels × outputs: U_ij V_ij.

**Stride 2.** Output i of a kernel of 4 taps sees inputs 2i … 2i + 3: the even inputs with the even taps, the odd ones
with the odd taps. That is two correlations with two taps each, at stride 1, added up; in two dimensions it is four. So
the picture is folded, stride × stride pixels into the channels of one, and the kernel in the same way: a 4×4 kernel at
stride 2 is a 2×2 kernel at stride 1 on four times as many channels.

Each of the maps is linear, so it has an adjoint, which reads the same table along its columns instead of its rows:

    inputs    x → U        inputs_adjoint    dU → dx
    weights   W → V        weights_adjoint   dV → dW
    outputs   M → y        outputs_adjoint   dy → dM

Letters: x (N, H, W, C), W (R, S, C, K), y (N, OH, OW, K); TH×TW tiles a picture, p products along an axis,
F = stride²·C folded channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigan.backend import array_module
from minigan.layers.kernels import Pair, output_size

# By the number of taps. Row i of B: u_i in terms of d; row i of G: v_i in terms of g; row i of A: y0 and y1 of m_i.
B = {2: ((1, -1, 0), (0, 1, 0), (0, 1, -1)), 3: ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))}
G = {2: ((1, 0), (1, 1), (0, 1)), 3: ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))}
A = {2: ((1, 0), (1, 1), (0, -1)), 3: ((1, 0), (1, 1), (1, -1), (0, -1))}


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
        folded = self._fold(x)  # (n, 2·TH + taps − 1, 2·TW + taps − 1, F)
        n, _, width, F = folded.shape
        along_rows = _empty(x, self.p, n, self.TH, width, F)
        for i, row in enumerate(self.B):
            combine(along_rows[i], row, [folded[:, k : k + 2 * self.TH - 1 : 2] for k in range(len(row))])
        U = _empty(x, self.p, self.p, n, self.TH, self.TW, F)
        for j, row in enumerate(self.B):
            combine(U[:, j], row, [along_rows[:, :, :, k : k + 2 * self.TW - 1 : 2] for k in range(len(row))])
        return U.reshape(self.p**2, n * self.TH * self.TW, F)

    def inputs_adjoint(self, dU: Any, dx: Any) -> None:
        """dU (p·p, n·TH·TW, F) → dx (n, H, W, C), which is overwritten."""
        n, F = len(dx), dU.shape[-1]
        height, width = (2 * tiles + self.taps - 1 for tiles in (self.TH, self.TW))
        dU = dU.reshape(self.p, self.p, n, self.TH, self.TW, F)
        dalong_rows = _empty(dx, self.p, n, self.TH, width, F)
        dalong_rows[:, :, :, 2 * self.TW :] = 0
        for k, column in enumerate(zip(*self.B, strict=True)):  # d2 of a tile is d0 of the next, so it is added
            place = dalong_rows[:, :, :, k : k + 2 * self.TW - 1 : 2]
            combine(place, column, [dU[:, j] for j in range(self.p)], add=k >= 2)
        dfolded = _empty(dx, n, height, width, F)
        dfolded[:, 2 * self.TH :] = 0
        for k, column in enumerate(zip(*self.B, strict=True)):
            combine(dfolded[:, k : k + 2 * self.TH - 1 : 2], column, dalong_rows, add=k >= 2)
        self._unfold(dfolded, dx)

    # Kernels

    def weights(self, W: Any, V: Any) -> None:
        """W (R, S, C, K) → V (p·p, stride², C, K), which is overwritten."""
        s, (_, _, C, K) = self.stride, W.shape
        W = W.reshape(self.taps, s, self.taps, s, C, K)
        V = V.reshape(self.p, self.p, s, s, C, K)
        along_rows = _empty(W, s, self.taps, s, C, K)
        for i, row in enumerate(self.G):
            combine(along_rows, row, W)
            for j, column in enumerate(self.G):
                combine(V[i, j], column, [along_rows[:, tap] for tap in range(self.taps)])

    def weights_adjoint(self, dV: Any, dW: Any) -> None:
        """dV (p·p, stride², C, K) → dW (R, S, C, K), which is overwritten."""
        s, (_, _, C, K) = self.stride, dW.shape
        dW = dW.reshape(self.taps, s, self.taps, s, C, K)
        dV = dV.reshape(self.p, self.p, s, s, C, K)
        dalong_rows = _empty(dW, self.p, s, self.taps, s, C, K)
        for tap, column in enumerate(zip(*self.G, strict=True)):
            combine(dalong_rows[:, :, tap], column, [dV[:, j] for j in range(self.p)])
        for tap, column in enumerate(zip(*self.G, strict=True)):
            combine(dW[tap], column, dalong_rows)

    # Outputs

    def outputs(self, M: Any, y: Any) -> None:
        """M (p·p, n·TH·TW, K) → y (n, OH, OW, K), which is overwritten."""
        n, OH, OW, K = y.shape
        M = M.reshape(self.p, self.p, n, self.TH, self.TW, K)
        along_rows = _empty(y, 2, self.p, n, self.TH, self.TW, K)
        for a, column in enumerate(zip(*self.A, strict=True)):
            combine(along_rows[a], column, M)
        even = OH % 2 == OW % 2 == 0
        whole = y if even else _empty(y, n, 2 * self.TH, 2 * self.TW, K)
        tiles = whole.reshape(n, self.TH, 2, self.TW, 2, K).transpose(4, 2, 0, 1, 3, 5)  # (b, a, n, TH, TW, K)
        for b, column in enumerate(zip(*self.A, strict=True)):
            combine(tiles[b], column, [along_rows[:, j] for j in range(self.p)])
        if not even:  # the last tiles hang over
            y[...] = whole[:, :OH, :OW]

    def outputs_adjoint(self, dy: Any) -> Any:
        """dy (n, OH, OW, K) → dM (p·p, n·TH·TW, K)."""
        n, OH, OW, K = dy.shape
        if OH % 2 or OW % 2:
            whole = array_module(dy).zeros((n, 2 * self.TH, 2 * self.TW, K), dy.dtype)
            whole[:, :OH, :OW] = dy
            dy = whole
        tiles = dy.reshape(n, self.TH, 2, self.TW, 2, K).transpose(2, 4, 0, 1, 3, 5)  # (a, b, n, TH, TW, K)
        along_rows = _empty(dy, self.p, 2, n, self.TH, self.TW, K)
        for i, row in enumerate(self.A):
            combine(along_rows[i], row, tiles)
        dM = _empty(dy, self.p, self.p, n, self.TH, self.TW, K)
        for j, row in enumerate(self.A):
            combine(dM[:, j], row, [along_rows[:, 0], along_rows[:, 1]])
        return dM.reshape(self.p**2, n * self.TH * self.TW, K)

    # Pixel h of the padded picture goes to row h // stride, and to part h % stride of the folded channels

    def _fold(self, x: Any) -> Any:
        """x (n, H, W, C) → (n, 2·TH + taps − 1, 2·TW + taps − 1, F), padded with zeros."""
        s, height, width = self.stride, 2 * self.TH + self.taps - 1, 2 * self.TW + self.taps - 1
        folded = array_module(x).zeros((len(x), height, width, s, s, x.shape[-1]), x.dtype)
        for place, pixels in self._places(folded, x):
            place[...] = pixels
        return folded.reshape(len(x), height, width, -1)

    def _unfold(self, folded: Any, x: Any) -> None:
        """Adjoint of `_fold`. Pixels that no position of the kernel sees become zero."""
        s, (n, height, width, _) = self.stride, folded.shape
        x.fill(0)
        for place, pixels in self._places(folded.reshape(n, height, width, s, s, x.shape[-1]), x):
            pixels[...] = place

    def _places(self, folded: Any, x: Any) -> list[tuple[Any, Any]]:
        """The same pixels as a view of `folded` (n, height, width, s, s, C) and as one of x, for each part."""
        (ph, pw), s, views = self.padding, self.stride, []
        for a in range(s):
            for b in range(s):
                top, left = (a - ph) % s, (b - pw) % s  # the first pixel of x that belongs to this part
                place = folded[:, (top + ph) // s :, (left + pw) // s :, a, b]
                pixels = x[:, top::s, left::s]
                h, w = min(place.shape[1], pixels.shape[1]), min(place.shape[2], pixels.shape[2])
                views.append((place[:, :h, :w], pixels[:, :h, :w]))
        return views


def combine(out: Any, coefficients: Sequence[float], arrays: Sequence[Any], add: bool = False) -> None:
    """out = Σ coefficient · array, or out += that. A coefficient of 1 or −1 costs no multiplication."""
    xp = array_module(out)
    terms = [(c, a) for c, a in zip(coefficients, arrays, strict=True) if c]
    terms.sort(key=lambda term: -term[0])  # a positive one first, if there is one
    if not add:
        (c, first), *terms = terms
        if c == 1 and terms and abs(terms[0][0]) == 1:
            (c, second), *terms = terms
            (xp.add if c == 1 else xp.subtract)(first, second, out=out)
        else:
            xp.multiply(first, c, out=out)
    for c, a in terms:
        if abs(c) == 1:
            (xp.add if c == 1 else xp.subtract)(out, a, out=out)
        else:
            out += c * a


def _empty(like: Any, *shape: int) -> Any:
    return array_module(like).empty(shape, like.dtype)
