"""Weighted sums along one axis: their definition, their adjoint, and both kernels alike."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.kernels.fast import lines as fast
from minigan.kernels.lines import line_spread, line_sum
from minigan.testing import STRICT, check_adjoint, forbid_transfers
from minigan.testing.strategies import seeds
from minigan.threads import partition

KERNELS = {"reference": (line_sum.reference, line_spread.reference), "fast": (line_sum.fast, line_spread.fast)}


@st.composite
def cases(draw):
    """x, weights, stride and axis. The windows fill one block, several, or several and a part of one."""
    rng, axis = np.random.default_rng(draw(seeds())), draw(st.sampled_from((1, 2)))
    stride, K, m = draw(st.integers(1, 4)), draw(st.integers(1, 9)), draw(st.integers(1, 20))
    shape = [draw(st.integers(1, 2)), 3, 3, draw(st.sampled_from((1, 3, 8, 9)))]
    shape[axis] = (m - 1) * stride + K
    return rng.standard_normal(shape), rng.standard_normal(K), stride, axis


@given(cases(), st.sampled_from(list(KERNELS)), st.integers(0, 3))
def test_line_sum_is_the_sum_over_each_window(case, kind, left_over):
    x, w, stride, axis = case
    x = np.concatenate([x, x[:, :left_over] if axis == 1 else x[:, :, :left_over]], axis)
    m = (x.shape[axis] - len(w)) // stride + 1
    y = KERNELS[kind][0](x, w, stride, axis)
    windows = [np.tensordot(w, np.moveaxis(x, axis, 0)[o * stride : o * stride + len(w)], 1) for o in range(m)]
    np.testing.assert_allclose(y, np.moveaxis(windows, 0, axis), rtol=0, atol=1e-12)


@given(cases(), st.sampled_from(list(KERNELS)))
def test_line_spread_is_its_adjoint(case, kind):
    x, w, stride, axis = case
    along, spread = KERNELS[kind]
    y = along(x, w, stride, axis)[::-1]
    check_adjoint(lambda x: along(x, w, stride, axis), lambda y: spread(y, w, stride, axis), x, y)
    assert spread(y, w, stride, axis).shape == x.shape


@given(cases(), st.sampled_from((np.float32, np.float64)), st.sampled_from((line_sum, line_spread)))
def test_the_fast_kernel_computes_the_same(case, dtype, kernel):
    x, w, stride, axis = case
    before = x = np.asarray(x, dtype)
    found, expected = kernel.fast(x, w, stride, axis), kernel.reference(x, w, stride, axis)
    assert found.dtype == expected.dtype == dtype and found.flags.c_contiguous and expected.flags.c_contiguous
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 if dtype == np.float32 else 1e-12)
    np.testing.assert_array_equal(x, before)


@given(cases(), st.sampled_from((line_sum, line_spread)))
def test_any_strides(case, kernel):
    x, w, stride, axis = case
    turned = np.asfortranarray(x[::-1])
    np.testing.assert_allclose(
        kernel.fast(turned, w, stride, axis), kernel.reference(turned.copy("C"), w, stride, axis), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("kernel", [line_sum, line_spread])
@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("channels", [3, 20])
def test_several_threads_compute_the_same(monkeypatch, kernel, axis, channels):
    x, w = np.random.default_rng(0).standard_normal((2, 40, 40, channels)), np.array([0.5, 1, 2, -1])
    one = kernel.fast(x, w, 2, axis)
    monkeypatch.setattr(partition, "ROWS_BYTES", 1)
    monkeypatch.setattr(fast, "pieces", lambda n: [slice(0, n // 3), slice(n // 3, n)])
    np.testing.assert_allclose(kernel.fast(x, w, 2, axis), one, rtol=0, atol=1e-13)


@given(cases(), st.sampled_from((line_sum, line_spread)), st.sampled_from(("reference", "fast")))
def test_they_would_run_on_a_gpu(case, kernel, kind):
    x, w, stride, axis = case
    kernel = getattr(kernel, kind)
    with forbid_transfers():
        found = kernel(STRICT.array(x), w, stride, axis)
    np.testing.assert_allclose(found.get(), kernel(x, w, stride, axis), rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", KERNELS)
def test_no_pictures_give_no_pictures(kind):
    nothing, w = np.zeros((0, 4, 4, 2)), np.ones(2)
    assert KERNELS[kind][0](nothing, w, 2, 1).shape == (0, 2, 4, 2)
    assert KERNELS[kind][1](nothing, w, 2, 2).shape == (0, 4, 8, 2)


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("channels", [3, 20])
@pytest.mark.parametrize("m", [1, 8, 11])
def test_nothing_beyond_the_last_pixel_is_read(axis, channels, m):
    """A zero in the matrix times NaN would be NaN."""
    shape = (1, 2 * m + 2, 1, channels) if axis == 1 else (1, 1, 2 * m + 2, channels)
    memory = np.full(np.prod(shape) + 500 * channels, np.nan)
    memory[: np.prod(shape)] = 1
    x = memory[: np.prod(shape)].reshape(shape)
    assert np.isfinite(line_sum.fast(x, np.ones(4), 2, axis)).all()
    assert np.isfinite(line_spread.fast(x, np.ones(4), 2, axis)).all()
