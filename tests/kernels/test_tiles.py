"""The transforms of the convolution with fewer multiplications: exact tables, adjoint pairs, every pixel in place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.kernels.fast import tiles
from minigan.kernels.fast.tiles import Tiling
from minigan.testing import check_adjoint
from minigan.testing.strategies import seeds, sizes

KERNELS = ((4, 2), (3, 1), (2, 1), (6, 2))  # kernel and stride: two or three taps, folded or not


@st.composite
def tilings(draw):
    """From the output back to the input; `left_over` rows and columns at the end are seen by no kernel position."""
    kernel, stride = draw(st.sampled_from(KERNELS))
    axes = []
    for _ in range(2):
        left_over = draw(sizes(0, stride - 1))
        padded = (draw(sizes(1, 5)) - 1) * stride + kernel + left_over
        padding = draw(sizes(0, min(3, (padded - 1) // 2)))
        axes.append((padded - 2 * padding, padding))
    size, padding = zip(*axes, strict=True)
    return Tiling(size, kernel, stride, padding, draw(st.sampled_from((2, 4))) if kernel == 3 * stride else 2)


def shapes_of(tiling, n, C, K):
    """Those of x and U, W by taps and V for one of the folded pixels, M and y."""
    kinds, n_tiles, s = tiling.p**2, n * tiling.TH * tiling.TW, tiling.stride
    x, W, y = (n, *tiling.size, C), (tiling.taps, tiling.taps, C * K), (n, *tiling.out_size, K)
    return x, (kinds, n_tiles, s * s * C), W, (kinds, C * K), (kinds, n_tiles, K), y


def returned(transform, shape):
    """`transform(a, out)` as a function of a alone. Before it, out is full of what must not stay there."""

    def function(a):
        out = np.full(shape, np.nan)
        transform(a, out)
        return out

    return function


@pytest.mark.parametrize(("m", "taps"), [(2, 2), (2, 3), (4, 3)])
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
    U = tiling.inputs(x).reshape(tiling.p**2, n, tiling.TH, tiling.TW, -1)
    y = returned(tiling.outputs, (n, *tiling.out_size, C))(M.reshape(tiling.p**2, -1, C))
    for rows in [slice(0, cut), slice(cut, tiling.TH)][cut == 0 :]:
        np.testing.assert_allclose(tiling.inputs(x, rows).reshape(U[:, :, rows].shape), U[:, :, rows], atol=1e-13)
        some = y[:, tiling.m * rows.start : tiling.m * rows.stop]
        found = returned(tiling.outputs, some.shape)(M[:, :, rows].reshape(tiling.p**2, -1, C))
        np.testing.assert_allclose(found, some, atol=1e-13)


@given(tilings(), sizes(1, 3), sizes(1, 3), sizes(1, 3), seeds())
def test_each_transform_and_its_adjoint(tiling, n, C, K, seed):
    x, U, W, V, M, y = (np.random.default_rng(seed).standard_normal(s) for s in shapes_of(tiling, n, C, K))
    check_adjoint(tiling.inputs, returned(tiling.inputs_adjoint, x.shape), x, U)
    check_adjoint(returned(tiling.weights, V.shape), returned(tiling.weights_adjoint, W.shape), W, V)
    check_adjoint(returned(tiling.outputs, y.shape), tiling.outputs_adjoint, M, y)


@given(tilings(), sizes(1, 3), sizes(1, 3), sizes(1, 3), seeds())
def test_float32_stays_float32_and_no_argument_is_written_to(tiling, n, C, K, seed):
    shapes = shapes_of(tiling, n, C, K)
    x, U, W, V, M, y = arrays = [np.random.default_rng(seed).standard_normal(s, np.float32) for s in shapes]
    before = [a.copy() for a in arrays]
    for a in arrays:
        a.flags.writeable = False
    assert tiling.inputs(x).dtype == tiling.outputs_adjoint(y).dtype == np.float32
    tiling.inputs_adjoint(U, np.empty_like(x))
    tiling.weights(W, np.empty_like(V))
    tiling.weights_adjoint(V, np.empty_like(W))
    tiling.outputs(M, np.empty_like(y))
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))


def test_pixels_that_no_position_of_the_kernel_sees_get_zero():
    tiling = Tiling((7, 7), 4, 2, (0, 0))  # two outputs an axis, which see the pixels 0 to 5
    dx = np.full((1, 7, 7, 1), np.nan)
    tiling.inputs_adjoint(np.ones((9, 1, 4)), dx)
    assert not dx[:, 6].any()
    assert not dx[:, :, 6].any()
