"""Tiles equal the whole, and the overlap is not larger than it must be."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from minigan.apply.reach import Line, NotLocal, cut, follow
from minigan.errors import ShapeError
from minigan.layers import (
    AvgPool2D,
    BatchNorm,
    BicubicDownsample,
    BicubicUpsample,
    BilinearUpsample,
    Blur,
    Branches,
    Concat,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    GlobalSumPool,
    InstanceNorm,
    Layer,
    LayerNorm,
    LeakyReLU,
    MaxPool2D,
    MinibatchStdDev,
    Parallel,
    PixelShuffle,
    PixelUnshuffle,
    ReflectionPad2D,
    ReplicationPad2D,
    Residual,
    Sequential,
    Skip,
    SpectralNorm,
    Tanh,
    Upsample,
)

RNG = np.random.default_rng(0)


def ones(rng, shape, *_):
    """Weights that let every input be seen."""
    return rng.uniform(0.2, 1, shape).astype(np.float32)


def conv(c, kernel, stride, padding, **more):
    return Conv2D(c, c, kernel, stride, padding, **more, init=ones, rng=RNG)


def conv_to(c, k):
    return Conv2D(c, k, 1, init=ones, rng=RNG)


ENLARGING = ("spread", "enlarge", "bilinear", "bicubic", "shuffle")


@st.composite
def layers(draw, most, c=2):
    """A layer of any local kind, from c to c channels, that enlarges a picture at most `most` times."""
    kinds = (
        "conv",
        "spread",
        "average",
        "largest",
        "enlarge",
        "residual",
        "ways",
        "spectral",
        "frame",
        "bilinear",
        "bicubic",
        "shrink",
        "shuffle",
        "unshuffle",
        "skip",
    )
    kind = draw(st.sampled_from(kinds))
    k = draw(st.integers(1, 4))
    s, p = draw(st.integers(1, min(3, most) if kind in ENLARGING else 3)), draw(st.integers(0, k // 2))
    if kind == "conv":
        more = {"dilation": draw(st.integers(1, 3)), "groups": draw(st.sampled_from((1, c)))}
        return conv(c, (k, draw(st.integers(1, 3))), (s, 1), (p, 0), **more)
    if kind == "spread":
        extra = draw(st.integers(0, s - 1))
        more = {"dilation": draw(st.integers(1, 2)), "groups": draw(st.sampled_from((1, c)))}
        return ConvTranspose2D(c, c, k, s, draw(st.integers(0, k - 1)), extra, **more, init=ones, rng=RNG)
    if kind == "average":
        return AvgPool2D(k, s, p, draw(st.booleans()))
    if kind == "largest":
        return MaxPool2D(k, s, p)
    if kind == "enlarge":
        return Upsample(s)
    if kind == "bilinear":
        return BilinearUpsample(s)
    if kind == "bicubic":
        return BicubicUpsample(s)
    if kind == "shrink":
        return BicubicDownsample(s, draw(st.booleans()))
    if kind == "shuffle":
        return Sequential(conv_to(c, c * s * s), PixelShuffle(s))
    if kind == "unshuffle":
        return Sequential(PixelUnshuffle(s), conv_to(c * s * s, c))
    if kind == "skip":
        down = Sequential(conv(c, 4, 2, 1), ConvTranspose2D(c, c, 4, 2, 1, init=ones, rng=RNG))
        return Sequential(Skip(down), Conv2D(2 * c, c, 1))
    if kind == "residual":
        odd = draw(st.sampled_from([3, 5]))
        return Residual(Sequential(conv(c, odd, 1, odd // 2), BatchNorm(c)), draw(st.sampled_from([None, LeakyReLU()])))
    if kind == "frame":
        return draw(st.sampled_from((ReflectionPad2D, ReplicationPad2D)))((p, draw(st.integers(0, 2))))
    if kind == "ways":
        down = Sequential(conv(c, 4, 2, 1), ConvTranspose2D(c, c, 4, 2, 1, init=ones, rng=RNG))
        return Sequential(Parallel(conv(c, 3, 1, 1), Sequential(AvgPool2D(2), down, Upsample(2))), Conv2D(2 * c, c, 1))
    return SpectralNorm(conv(c, 3, s, 1))


@st.composite
def chains(draw):
    """One to five layers that enlarge a picture at most nine times, so that it fits in memory."""
    chain, room = [], 9
    for _ in range(draw(st.integers(1, 5))):
        chain.append(draw(layers(room)))
        if isinstance(chain[-1], (Upsample, BilinearUpsample)):
            room //= chain[-1].scale_factor
        elif isinstance(chain[-1], ConvTranspose2D):
            room //= chain[-1].stride[0]
    return chain


def output(network, x):
    return network.output(x, train=False)


def in_tiles(network, x, plans):
    """The output of a network, put together of tiles."""
    rows, columns = plans
    out = np.full((1, rows.ends[-1], columns.ends[-1], 2), np.nan, x.dtype)
    for i, top in enumerate(rows.starts):
        for j, left in enumerate(columns.starts):
            y = output(network, x[:, top : top + rows.tile, left : left + columns.tile])
            out[:, rows.target(i), columns.target(j)] = y[:, rows.source(i), columns.source(j)]
    return out


HEIGHTS = st.integers(60, 150) | st.integers(5, 12).map(lambda n: 12 * n)
WIDTHS = st.integers(30, 50) | st.just(36)


@settings(max_examples=min(200, 3 * settings().max_examples))
@given(chains(), HEIGHTS, WIDTHS, st.integers(1, 20))
def test_tiles_equal_the_whole(chain, height, width, least):
    network = Sequential(*chain)
    x = RNG.standard_normal((1, height, width, 2))
    try:
        whole = output(network, x)
    except ShapeError:  # nothing is left of the picture, or two ways don't meet
        return
    plans = cut([network], height, 0, least, radii=3), cut([network], width, 1, least, radii=3)
    event(f"{min(4, len(plans[0].starts))} tiles or more")
    np.testing.assert_allclose(in_tiles(network, x, plans), whole, rtol=1e-9, atol=1e-9 * np.abs(whole).max())


# They enlarge a picture's height only: the test looks at rows
LINEAR = st.one_of(
    st.builds(lambda k, s, p: conv(2, k, s, min(p, k - 1)), st.integers(1, 5), st.integers(1, 3), st.integers(0, 2)),
    st.builds(
        lambda k, s, p: ConvTranspose2D(2, 2, (max(k, s), 1), (s, 1), (min(p, max(k, s) - 1), 0), init=ones, rng=RNG),
        *(st.integers(1, 5), st.integers(1, 3), st.integers(0, 2)),
    ),
    st.builds(Upsample, st.tuples(st.integers(1, 3), st.just(1))),
    st.builds(BilinearUpsample, st.tuples(st.integers(1, 5), st.just(1))),
    st.builds(BicubicUpsample, st.tuples(st.integers(1, 5), st.just(1))),
    st.builds(Blur, st.integers(0, 3)),
    st.builds(lambda: Residual(conv(2, 3, 1, 1))),
    st.builds(ReflectionPad2D, st.integers(0, 2)),
    st.builds(ReplicationPad2D, st.integers(0, 2)),
)


@settings(max_examples=min(200, 10 * settings().max_examples))
@given(st.lists(LINEAR, min_size=1, max_size=4))
def test_an_overlap_that_is_one_entry_smaller_would_be_wrong(chain):
    """The outermost entry that counts as wrong differs from the whole's; the one beside it doesn't."""
    network = Sequential(*chain)
    align = follow(network, Line(60), 0).align
    start, n = align * 30, align * max(8, -(-90 // align))
    x = RNG.uniform(0.5, 1, (1, start + n + 50, 7, 2))
    try:
        whole, tile = output(network, x), output(network, x[:, start : start + n])
    except ShapeError:
        return
    line = follow(network, Line(n), 0)
    first = int(line.jump * start)
    assert tile.shape[1] == line.n
    difference = np.abs(tile - whole[:, first : first + line.n]).max(axis=(0, 2, 3)) / np.abs(whole).max()
    assert difference[line.left : line.n - line.right].max() < 1e-12
    assert all(difference[edge] > 1e-9 for edge in {max(0, line.left - 1)} if line.left)
    assert all(difference[edge] > 1e-9 for edge in {line.n - line.right} if line.right)


@pytest.mark.parametrize("window", [(3, 1, 1), (4, 2, 1), (5, 3, 2), (2, 2, 0)])
def test_figures_on_paper(window):
    """Five 3×3 layers have radius 5; a stride of s makes what follows look s times as far."""
    k, s, p = window
    five = Sequential(*(Conv2D(1, 1, 3, padding=1) for _ in range(5)))
    line = follow(Sequential(conv(1, k, s, p), five), Line(600), 0)
    assert line.jump == Fraction(1, s) and line.align == s
    assert line.left == -(-p // s) + 5


@pytest.mark.parametrize(
    "layer",
    [
        InstanceNorm(2),
        LayerNorm(2),
        Dense(2, 2),
        GlobalSumPool(),
        GlobalAvgPool(),
        Flatten(),
        MinibatchStdDev(),
        Layer(),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_what_looks_at_the_whole_picture_is_not_local(layer):
    with pytest.raises(NotLocal, match=type(layer).__name__):
        cut([Sequential(Tanh(), Residual(layer))], 100, 0)


def test_ways_of_different_strides_are_cut_where_both_may_begin():
    ways = Parallel(*(Sequential(conv(1, s, s, 0), Upsample(s)) for s in (1, 2, 3)))
    cuts = cut([ways], 120, 0, least=14)
    assert len(cuts.starts) > 4 and all(start % 6 == 0 for start in cuts.starts)


def test_ways_that_end_in_different_sizes_are_not_local():
    with pytest.raises(NotLocal, match="different sizes"):
        cut([Parallel(AvgPool2D(2), Tanh())], 100, 0)


def test_a_layer_of_ones_own_says_so():
    class Squared(Layer):
        per_pixel = True

    inputs = Sequential(Branches(Squared(), None), Concat(), Dropout(), Tanh())
    assert cut([inputs, conv(4, 3, 1, 1)], 600, 0).starts == (0, 254, 344)


def test_a_tile_depends_on_the_network_and_not_on_the_picture():
    networks = [Conv2D(3, 3, 3, 2, 1), ConvTranspose2D(3, 3, 4, 2, 1)]
    assert {cut(networks, size, 1).tile for size in range(400, 4000, 8)} == {256}
