"""The transforms of the convolution with fewer multiplications: exact tables, adjoint pairs, every pixel in place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.kernels.fast import tiles
from minigan.kernels.fast.tiles import Tiling
from minigan.testing import check_adjoint
from minigan.testing.strategies import seeds, sizes

FORMS = [  # kernel, stride, m and taps: all taps in one block, folded or not; with zeros; and in several blocks
    *((4, 2, 2, 2), (2, 1, 2, 2), (3, 1, 2, 3), (3, 1, 4, 3), (6, 2, 4, 3), (4, 1, 3, 4), (5, 1, 2, 5)),
    *((5, 2, 2, 3), (5, 1, 3, 3), (7, 1, 3, 3), (4, 1, 2, 2), (7, 2, 2, 2)),
]


@st.composite
def tilings(draw):
    """From the output back to the input; `left_over` rows and columns at the end are seen by no kernel position."""
    kernel, stride, m, taps = draw(st.sampled_from(FORMS))
    axes = []
    for _ in range(2):
        left_over = draw(sizes(0, stride - 1))
        padded = (draw(sizes(1, 5)) - 1) * stride + kernel + left_over
        padding = draw(sizes(0, min(3, (padded - 1) // 2)))
        axes.append((padded - 2 * padding, padding))
    size, padding = zip(*axes, strict=True)
    return Tiling(size, kernel, stride, padding, m, taps)


def shapes_of(tiling, n, C, K):
    """Those of x and B d, W by taps and V for one block and folded pixel, M and y."""
    kinds, n_tiles, s, more = tiling.p**2, n * tiling.TH * tiling.TW, tiling.stride, tiling.blocks - 1
    x, W, y = (n, *tiling.size, C), (tiling.taps, tiling.taps, C * K), (n, *tiling.out_size, K)
    return x, (kinds, n, tiling.TH + more, tiling.TW + more, s * s * C), W, (kinds, C * K), (kinds, n_tiles, K), y


def returned(transform, shape):
    """`transform(a, out)` as a function of a alone. Before it, out is full of what must not stay there."""

    def function(a):
        out = np.full(shape, np.nan)
        transform(a, out)
        return out

    return function


@pytest.mark.parametrize(("m", "taps"), [(2, 2), (2, 3), (3, 3), (4, 3), (3, 4), (2, 5)])
def test_the_tables_are_a_correlation(m, taps):
    """y_a = Σ_t d_{a + t} g_t: Σ_i A[i, a] B[i, k] G[i, t] is 1 where k = a + t, else 0."""
    A, G, B = tiles.tables(m, taps)
    assert len(A) == len(B) == len(G) == m + taps - 1  # in place of m·taps products
    a, k, t = np.ogrid[:m, : m + taps - 1, :taps]
    np.testing.assert_allclose(np.einsum("ia,ik,it->akt", A, B, G), k == a + t, rtol=0, atol=1e-15)


@given(tilings(), sizes(1, 3), sizes(1, 3), seeds())
def test_rows_of_tiles_apart_are_those_of_the_whole(tiling, n, C, seed):
    rng, cut = np.random.default_rng(seed), tiling.TH // 2
    x, M = rng.standard_normal((n, *tiling.size, C)), rng.standard_normal((tiling.p**2, n, tiling.TH, tiling.TW, C))
    Bd = tiling.inputs(x)
    y = returned(tiling.outputs, (n, *tiling.out_size, C))(M.reshape(tiling.p**2, -1, C))
    for rows in [slice(0, cut), slice(cut, tiling.TH)][cut == 0 :]:
        seen = slice(rows.start, rows.stop + tiling.blocks - 1)  # the last block begins in a later tile
        np.testing.assert_allclose(tiling.inputs(x, rows), Bd[:, :, seen], atol=1e-13)
        some = y[:, tiling.m * rows.start : tiling.m * rows.stop]
        found = returned(tiling.outputs, some.shape)(M[:, :, rows].reshape(tiling.p**2, -1, C))
        np.testing.assert_allclose(found, some, atol=1e-13)


@given(tilings(), sizes(1, 3), sizes(1, 3), sizes(1, 3), seeds())
def test_each_transform_and_its_adjoint(tiling, n, C, K, seed):
    x, Bd, W, V, M, y = (np.random.default_rng(seed).standard_normal(s) for s in shapes_of(tiling, n, C, K))
    check_adjoint(tiling.inputs, returned(tiling.inputs_adjoint, x.shape), x, Bd)
    check_adjoint(returned(tiling.weights, V.shape), returned(tiling.weights_adjoint, W.shape), W, V)
    check_adjoint(returned(tiling.outputs, y.shape), tiling.outputs_adjoint, M, y)


@given(tilings(), sizes(1, 3), sizes(1, 3), seeds())
def test_blocks_stand_side_by_side_and_go_back(tiling, n, C, seed):
    """Row (n, i, j) of U_ij has the tiles (i + a, j + b) of all blocks (a, b)."""
    _, shape, *_ = shapes_of(tiling, n, C, 1)
    rng, b, (TH, TW) = np.random.default_rng(seed), tiling.blocks, (tiling.TH, tiling.TW)
    Bd, dU = rng.standard_normal(shape), rng.standard_normal((shape[0], n * TH * TW, b * b * shape[-1]))
    rows_of_all = lambda Bd: np.stack([tiling.rows_of(one) for one in Bd])  # noqa: E731
    places = [Bd[:, :, i : i + TH, j : j + TW] for i in range(b) for j in range(b)]
    assert np.array_equal(rows_of_all(Bd), np.concatenate(places, axis=-1).reshape(dU.shape))
    check_adjoint(rows_of_all, lambda dU: tiling.rows_adjoint(dU, n), Bd, dU)


def test_blocks_begin_where_tiles_do():
    with pytest.raises(ValueError, match="blocks of 2 taps"):
        Tiling((9, 9), 7, 1, (0, 0), 3, 2)


@given(tilings(), sizes(1, 3), sizes(1, 3), sizes(1, 3), seeds())
def test_float32_stays_float32_and_no_argument_is_written_to(tiling, n, C, K, seed):
    shapes = shapes_of(tiling, n, C, K)
    x, Bd, W, V, M, y = arrays = [np.random.default_rng(seed).standard_normal(s, np.float32) for s in shapes]
    before = [a.copy() for a in arrays]
    for a in arrays:
        a.flags.writeable = False
    assert tiling.inputs(x).dtype == tiling.outputs_adjoint(y).dtype == np.float32
    tiling.inputs_adjoint(Bd, np.empty_like(x))
    tiling.weights(W, np.empty_like(V))
    tiling.weights_adjoint(V, np.empty_like(W))
    tiling.outputs(M, np.empty_like(y))
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))


def test_pixels_that_no_position_of_the_kernel_sees_get_zero():
    tiling = Tiling((7, 7), 4, 2, (0, 0))  # two outputs an axis, which see the pixels 0 to 5
    dx = np.full((1, 7, 7, 1), np.nan)
    tiling.inputs_adjoint(np.ones((9, 1, 1, 1, 4)), dx)
    assert not dx[:, 6].any()
    assert not dx[:, :, 6].any()
