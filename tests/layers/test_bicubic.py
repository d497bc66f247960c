"""Bicubic scaling: Keys's weights, half-pixel centers, repeated edges, antialiasing, bytes, and exact adjoints."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.errors import ShapeError
from minigan.layers import BicubicDownsample, BicubicUpsample
from minigan.layers.bicubic import enlarged, shrunk, weights
from minigan.testing import STRICT, check_adjoint, forbid_transfers

RNG = np.random.default_rng(0)
FACTORS = (2, 3, 4)


def keys(t):
    """h(t), one distance at a time."""
    t = abs(t)
    if t <= 1:
        return 1.5 * t**3 - 2.5 * t**2 + 1
    return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t < 2 else 0


def by_definition(line, n_out, width=1):
    """The value at each new pixel's center: pixels weighted by their distance in units of `width`, edges repeated."""
    n, y = len(line), []
    for o in range(n_out):
        u = (o + 0.5) * n / n_out - 0.5
        places = range(int(u) - 2 * width - 3, int(u) + 2 * width + 4)
        y.append(sum(keys((u - i) / width) / width * line[min(max(i, 0), n - 1)] for i in places))
    return y


def as_row(line):
    return np.array(line, float).reshape(1, 1, -1, 1)


def test_weights_on_paper():
    w, p = weights(2)
    assert p == 3
    np.testing.assert_array_equal(256 * w, [-3, -9, 29, 111, 111, 29, -9, -3])
    w, p = weights(2, antialias=False)
    assert p == 1
    np.testing.assert_array_equal(16 * w, [-1, 9, 9, -1])
    np.testing.assert_array_equal(weights(3, antialias=False)[0], [0, 1, 0])
    assert [weights(f)[1] for f in (1, 2, 3, 4)] == [0, 3, 4, 6]


@pytest.mark.parametrize("factor", [1, *FACTORS, 5])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_a_line_by_definition(factor, n):
    line = RNG.standard_normal(n * factor)
    up = BicubicUpsample((1, factor)).forward(as_row(line[:n]))[0].ravel()
    np.testing.assert_allclose(up, by_definition(line[:n], n * factor), atol=1e-12)
    down = BicubicDownsample((1, factor)).forward(as_row(line))[0].ravel()
    np.testing.assert_allclose(down, by_definition(line, n, factor), atol=1e-12)
    plain = BicubicDownsample((1, factor), antialias=False).forward(as_row(line))[0].ravel()
    np.testing.assert_allclose(plain, by_definition(line, n), atol=1e-12)


@pytest.mark.parametrize("make", [BicubicUpsample, BicubicDownsample, lambda f: BicubicDownsample(f, antialias=False)])
def test_both_axes_one_after_the_other(make):
    x = RNG.standard_normal((2, 6, 4, 3))
    columns = make((3, 1)).forward(x)[0]
    np.testing.assert_allclose(make((3, 2)).forward(x)[0], make((1, 2)).forward(columns)[0], rtol=0, atol=1e-13)


@pytest.mark.parametrize("factor", FACTORS)
def test_a_parabola_stays_one_inside(factor):
    """Keys's interpolation is exact for quadratic functions, away from the edge."""
    i, o = np.arange(9.0), np.arange(9 * factor)
    y = BicubicUpsample((1, factor)).forward(as_row(i**2 - 3 * i))[0].ravel()
    u = (o + 0.5) / factor - 0.5
    inside = (u > 2) & (u < 6)
    np.testing.assert_allclose(y[inside], (u**2 - 3 * u)[inside], atol=1e-12)


@pytest.mark.parametrize("factor", FACTORS)
def test_fine_stripes_vanish_with_antialiasing_and_turn_into_coarse_ones_without(factor):
    """A wave of 5/8 cycle per new pixel can't be drawn by the new pixels: without antialiasing, one of 3/8 is seen."""
    wave = np.cos(2 * np.pi * 5 / 8 / factor * np.arange(64 * factor))
    with_, without = (BicubicDownsample((1, factor), a).forward(as_row(wave))[0].ravel() for a in (True, False))
    assert abs(with_[4:-4]).max() < 0.5 * abs(without[4:-4]).max()
    power = abs(np.fft.rfft(without)) ** 2
    assert abs(power[1:].argmax() + 1 - 3 / 8 * 64) <= 1


@pytest.mark.parametrize("layer", [BicubicUpsample(3), BicubicUpsample((1, 4)), BicubicDownsample(2)])
@pytest.mark.parametrize("shape", [(2, 4, 6, 3), (1, 2, 2, 1), (1, 18, 20, 9)])
def test_backward_is_the_adjoint_of_forward(layer, shape):
    x = RNG.standard_normal(shape)
    y, cache = layer.forward(x)
    check_adjoint(lambda x: layer.forward(x)[0], lambda dy: layer.backward(dy, cache), x, RNG.standard_normal(y.shape))
    ddy, dx2 = layer.double_backward(x, y, cache)
    np.testing.assert_array_equal(ddy, y)
    assert dx2 is None


@pytest.mark.parametrize("factor", FACTORS)
def test_inside_enlarging_is_the_adjoint_of_shrinking(factor):
    """Away from the edges, A of enlarging is F² Aᵀ of shrinking."""
    x = RNG.standard_normal((1, 12, 12, 1))
    down = BicubicDownsample(factor)
    _, cache = down.forward(np.zeros((1, 12 * factor, 12 * factor, 1)))
    cut = slice(3 * factor, 9 * factor)
    expected = factor**2 * down.backward(x, cache)[:, cut, cut]
    np.testing.assert_allclose(BicubicUpsample(factor).forward(x)[0][:, cut, cut], expected, atol=1e-12)


@given(st.sampled_from((1, *FACTORS)), st.integers(1, 5), st.integers(1, 5), st.sampled_from((1, 3)))
def test_functions_of_floats_are_the_layers(factor, h, w, c):
    x = RNG.standard_normal((factor * h, factor * w, c)).astype(np.float32)
    np.testing.assert_array_equal(enlarged(x, factor), BicubicUpsample(factor).output(x[None])[0])
    for antialias in (True, False):
        down = BicubicDownsample(factor, antialias).output(x[None])[0]
        np.testing.assert_array_equal(shrunk(x, factor, antialias), down)
    assert shrunk(x[None], factor).shape == (1, h, w, c) and shrunk(x, factor).dtype == np.float32


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("scale", [enlarged, shrunk])
def test_bytes_are_rounded_and_clipped_after_each_axis(factor, scale):
    x = RNG.choice(np.array([0, 255], np.uint8), (4, 6, 3)).repeat(3 * factor, 0).repeat(3 * factor, 1)
    columns = np.clip(np.floor(scale(x.astype(float), (factor, 1)) + 0.5), 0, 255)
    both = np.clip(np.floor(scale(columns, (1, factor)) + 0.5), 0, 255)
    found = scale(x, factor)
    assert found.dtype == np.uint8 and found.shape[2] == 3
    np.testing.assert_array_equal(found, both)
    floats = scale(x.astype(float), factor)
    assert floats.min() < 0 and floats.max() > 255  # so that clipping is seen


def test_halves_are_rounded_up():
    """Each pixel of the mean of two lines, 0 1 and 1 2, is a half: ½ → 1, 3/2 → 2."""
    assert shrunk(np.array([[0, 1], [1, 2]], np.uint8)[:, :, None].repeat(2, 0).repeat(2, 1), (4, 1)).ravel()[0] == 1


@pytest.mark.parametrize("scale", [enlarged, shrunk])
def test_they_would_run_on_a_gpu(scale):
    for x in (RNG.standard_normal((2, 4, 8, 3)), RNG.integers(0, 256, (4, 8, 3)).astype(np.uint8)):
        with forbid_transfers():
            found = scale(STRICT.array(x), 2)
        np.testing.assert_allclose(found.get(), scale(x, 2), rtol=0, atol=1e-13)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("factor", [2, 4])
def test_reach_is_the_pixels_that_an_output_depends_on(axis, antialias, factor):
    layer = BicubicDownsample((factor, 2 * factor)[:: 1 - 2 * axis], antialias)
    x = np.moveaxis(np.arange(32.0 * factor).reshape(1, 1, -1, 1), 2, axis + 1).repeat(4 * factor, 2 - axis)
    y, cache = layer.forward(x)
    one = np.zeros_like(y)
    one[(0, 10, 0) if axis == 0 else (0, 0, 10)] = 1
    seen = np.flatnonzero(np.moveaxis(layer.backward(one, cache)[0, ..., 0], axis, 0).any(axis=1))
    window = layer.reach()
    first = 10 * window.stride[axis] - window.padding[axis]
    assert (seen[0], seen[-1] + 1) == (first, first + window.kernel[axis])


def test_what_cannot_be_scaled():
    for shape in ((5, 4, 3), (4, 5, 3), (1, 5, 4, 3), (1, 4, 5, 3)):
        with pytest.raises(ShapeError, match="multiples of 2 and 2: cut the picture"):
            shrunk(np.zeros(shape), 2)
    with pytest.raises(ShapeError, match=r"BicubicDownsample\(\).*multiples of 2 and 2"):
        BicubicDownsample(2).forward(np.zeros((1, 4, 5, 3)))
    with pytest.raises(ShapeError, match="at least one pixel"):
        BicubicUpsample(2).forward(np.zeros((1, 0, 4, 3)))
    with pytest.raises(ShapeError, match=r"floats or bytes, got \(4, 4, 3\) of int64"):
        enlarged(np.zeros((4, 4, 3), int), 2)
    with pytest.raises(ShapeError, match=r"floats or bytes, got \(4, 4\)"):
        enlarged(np.zeros((4, 4)), 2)
    with pytest.raises(ShapeError, match="got a list"):
        shrunk([[1.0]], 2)
    with pytest.raises(ShapeError, match="integer of at least 1"):
        BicubicUpsample(0.5)
    assert repr(BicubicDownsample((2, 3), antialias=False)) == "BicubicDownsample(scale_factor=(2, 3), antialias=False)"
