"""The U-Net is the table in its docstring, goes with every size that it says, and looks at the whole picture."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.layers import BatchNorm, Conv2D, ConvTranspose2D, Dropout, InstanceNorm, Skip
from minigan.testing import shake
from minigan.testing.networks import check_network
from minigan.translators.norms import norm_of
from minigan.translators.unet import build_unet, depth_of, output_of

RNG = np.random.default_rng(0)


def of_type(network, *kinds):
    return [layer for _, layer in network.walk() if isinstance(layer, kinds)]


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_the_widths_of_the_paper(norm):
    """U-Net-256: C64-128-256-512-512-512-512-512, and up again with twice the channels in, after each skip."""
    G = build_unet(3, 2, 8, 64, norm_of(norm, RNG), rng=RNG)
    down, up = ([(c.in_channels, c.out_channels) for c in of_type(G, kind)] for kind in (Conv2D, ConvTranspose2D))
    assert down == [(3, 64), (64, 128), (128, 256), (256, 512), *[(512, 512)] * 4]
    assert up == [(512, 512), *[(1024, 512)] * 3, (1024, 256), (512, 128), (256, 64), (128, 2)]
    normed = of_type(G, InstanceNorm, BatchNorm)
    assert len(normed) == (0 if norm == "none" else 13)  # all of the 16 but the first, the innermost and the last
    assert len(of_type(G, Skip)) == 7


def test_a_bias_where_there_is_no_norm():
    biased = lambda norm: [c.bias for c in of_type(build_unet(1, 1, 3, 2, norm, rng=RNG), Conv2D, ConvTranspose2D)]  # noqa: E731
    assert biased(InstanceNorm) == [True, False, True, False, False, True]
    assert all(biased(None))


@pytest.mark.parametrize(("depth", "expected"), [(2, 1), (3, 2), (4, 3), (6, 3)])
def test_dropout_in_the_three_innermost_levels(depth, expected):
    G = build_unet(1, 1, depth, 2, rng=RNG)
    assert len(of_type(G, Dropout)) == expected
    assert not of_type(build_unet(1, 1, depth, 2, dropout=0, rng=RNG), Dropout)
    level = G
    for k in range(1, depth):
        level = next(layer for layer in level.layers if isinstance(layer, Skip)).body
        assert isinstance(level[-1], Dropout) == (k >= depth - 3)


@pytest.mark.parametrize(
    ("size", "depth"), [((64, 64), 6), ((256, 256), 8), ((512, 512), 8), ((96, 128), 5), ((4, 12), 2)]
)
def test_depth_follows_the_size(size, depth):
    assert depth_of(size) == depth
    y = build_unet(3, 1, depth, 1, norm_of("instance", RNG), rng=RNG).output(np.ones((1, *size, 3)), train=False)
    assert y.shape == (1, *size, 1)


@pytest.mark.parametrize("size", [(30, 32), (64, 5)])
def test_a_size_that_cannot_be_halved_is_refused(size):
    with pytest.raises(ShapeError, match=f"{size[0]}×{size[1]} pixels aren't multiples of 4: give an `img_size`"):
        depth_of(size)
    with pytest.raises(ValueError, match="`depth` is 0"):
        build_unet(1, 1, 0, rng=RNG)


@pytest.mark.parametrize("norm", ["instance", "batch", "none"])
def test_gradients_of_both_orders(norm):
    G = shake(build_unet(2, 1, 3, 2, norm_of(norm, RNG), dropout=0.4, rng=RNG), RNG).to(dtype=np.float64)
    check_network(G, RNG.standard_normal((2, 8, 16, 2)))


def test_every_output_sees_the_whole_picture():
    rng = np.random.default_rng(0)
    G = build_unet(1, 1, 4, 16, rng=rng)  # so many channels that dropout can't cut all paths
    y, cache = G.forward(rng.standard_normal((1, 16, 16, 1)), rng=rng)
    dy = np.zeros_like(y)
    dy[0, 3, 5] = 1
    assert G.backward(dy, cache, wrt="input").all()


@pytest.mark.parametrize("size", [(16, 16), (13, 7), (3, 30)])
def test_any_size_by_reflection(size):
    G = build_unet(1, 1, 3, 2, norm_of("instance", RNG), rng=RNG)
    x = RNG.standard_normal((1, *size, 1))
    padded = np.pad(x, ((0, 0), (0, -size[0] % 8), (0, -size[1] % 8), (0, 0)), mode="reflect")
    y = output_of(G, x, 8)
    assert y.shape == (1, *size, 1)
    np.testing.assert_array_equal(y, G.output(padded, train=False)[:, : size[0], : size[1]])
