"""Sums and maxima over windows: their definition, their adjoints, and the fast way of spreading."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.kernels.geometry import output_size
from minigan.kernels.windows import window_max, window_pick, window_place, window_spread, window_sum
from minigan.testing import STRICT, check_adjoint, forbid_transfers
from minigan.testing.strategies import conv_geometries, seeds
from minigan.threads import partition

geometries = conv_geometries(most_dilation=1, most_groups=1)


def arrays_of(g, seed, dtype=np.float64):
    """x, dy, and kernel, stride and padding."""
    rng, how = np.random.default_rng(seed), (g.kernel_size, g.stride, g.padding)
    y_shape = (g.batch, *output_size(g.size, *how), g.in_channels)
    return rng.standard_normal(g.x_shape).astype(dtype), rng.standard_normal(y_shape).astype(dtype), how


def windows(g, x, outside):
    """Yield `((i, j), window (i, j): (N, R, S, C))`, cut out one by one."""
    (ph, pw), (R, S) = g.padding, g.kernel_size
    padded = np.pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0)), constant_values=outside)
    for i, j in np.ndindex(output_size(g.size, g.kernel_size, g.stride, g.padding)):
        top, left = i * g.stride[0], j * g.stride[1]
        yield (i, j), padded[:, top : top + R, left : left + S]


@given(geometries, seeds())
def test_window_sum_adds_up_the_pixels_of_every_window(g, seed):
    x, _, how = arrays_of(g, seed)
    y = window_sum(x, *how)
    for (i, j), window in windows(g, x, 0):
        np.testing.assert_allclose(y[:, i, j], window.sum(axis=(1, 2)), rtol=0, atol=1e-12)


@given(geometries, seeds(), st.sampled_from((window_spread.reference, window_spread.fast)))
def test_window_spread_is_the_adjoint_of_window_sum(g, seed, spread):
    x, dy, how = arrays_of(g, seed)
    check_adjoint(lambda x: window_sum(x, *how), lambda dy: spread(dy, g.size, *how), x, dy)


@given(geometries, seeds(), st.sampled_from((np.float32, np.float64)))
def test_the_fast_way_of_spreading_gives_the_same_bits(g, seed, dtype):
    _, dy, how = arrays_of(g, seed, dtype)
    fast = window_spread.fast(dy, g.size, *how)
    assert fast.dtype == dtype
    np.testing.assert_array_equal(fast, window_spread.reference(dy, g.size, *how))


@given(geometries, seeds(), st.sampled_from((1, 1 << 20)))
def test_the_fast_way_to_the_largest_gives_the_same_bits(g, seed, most):
    """In any number of parts, and of equal pixels the same one wins."""
    x, _, how = arrays_of(g, seed, np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition, "ROWS_BYTES", most)
        for found, expected in zip(
            *(way(x.round(), *how) for way in (window_max.fast, window_max.reference)), strict=True
        ):
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)


@given(geometries, seeds())
def test_window_max_is_the_largest_pixel_and_winner_the_first_such(g, seed):
    x, _, how = arrays_of(g, seed)
    x = x.round()  # there are equal pixels, and pixels of 0
    y, winner = window_max(x, *how)
    for (i, j), window in windows(g, x, -np.inf):
        pixels = window.reshape(len(x), -1, x.shape[-1])
        np.testing.assert_array_equal(y[:, i, j], pixels.max(axis=1))
        np.testing.assert_array_equal(winner[:, i, j], np.where(np.isinf(y[:, i, j]), 0, pixels.argmax(axis=1)))


@given(geometries, seeds())
def test_pick_takes_the_winners_and_place_is_its_adjoint(g, seed):
    x, dy, how = arrays_of(g, seed)
    y, winner = window_max(x, *how)
    np.testing.assert_array_equal(window_pick(x, winner, *how), np.where(np.isinf(y), 0, y))
    check_adjoint(lambda x: window_pick(x, winner, *how), lambda dy: window_place(dy, winner, g.size, *how), x, dy)


@given(geometries, seeds(), st.sampled_from((window_spread.reference, window_spread.fast)))
def test_they_would_run_on_a_gpu(g, seed, spread):
    x, dy, how = arrays_of(g, seed)

    def everything(x, dy):
        y, winner = window_max(x, *how)
        of_winners = window_pick(x, winner, *how), window_place(dy, winner, g.size, *how)
        return y, winner, *of_winners, window_sum(x, *how), spread(dy, g.size, *how)

    with forbid_transfers():
        found = everything(STRICT.array(x), STRICT.array(dy))
    for there, host in zip(found, everything(x, dy), strict=True):
        np.testing.assert_array_equal(there.get(), host)


@pytest.mark.parametrize("spread", [window_spread.reference, window_spread.fast])
def test_no_pictures_give_no_pictures(spread):
    nothing = np.zeros((0, 4, 4, 2))
    assert window_sum(nothing, (2, 2), (2, 2)).shape == (0, 2, 2, 2)
    assert spread(np.zeros((0, 2, 2, 2)), (4, 4), (2, 2), (2, 2)).shape == nothing.shape
    assert [a.shape for a in window_max(nothing, (2, 2), (2, 2))] == [(0, 2, 2, 2)] * 2
