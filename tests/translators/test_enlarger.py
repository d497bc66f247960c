"""The networks of super-resolution: sizes, their start, and that tiles suffice for them."""

import numpy as np
import pytest

from minigan.apply.reach import cut
from minigan.layers.bicubic import enlarged
from minigan.translators.enlarger import PRESETS, SCALES, Preset, build_enlarger
from minigan.translators.large_critic import build_critic

SMALL, AS_IN_PAPER = Preset(4, 2), Preset(4, 2, True)


def build(channels, scale, preset, *options):
    return build_enlarger(channels, scale, preset, *options, rng=np.random.default_rng(0))


def test_numbers_of_weights():
    """3×3 convolutions with bias and a slope per channel, counted by hand; the paper's network: about 1.5 million."""

    def count(F, blocks, C, scale):
        head, block = 9 * C * F + F + F, 2 * (9 * F * F + F) + F
        return head + blocks * block + 9 * F * F + F + 9 * F * scale**2 * C + scale**2 * C

    assert len(build(3, 2, PRESETS["small"]).parameters()) == count(16, 5, 3, 2) == 27_804
    assert len(build(1, 4, PRESETS["default"]).parameters()) == count(32, 8, 1, 4)
    assert len(build(3, 4, PRESETS["paper"]).parameters()) == 1_546_435


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("preset", [SMALL, AS_IN_PAPER])
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_every_network_enlarges_pictures_of_any_size_and_can_be_tiled(scale, preset, norm):
    G = build(3, scale, preset, norm)
    x = np.zeros((1, 5, 7, 3), np.float32)
    assert G.output(x, train=False).shape == (1, 5 * scale, 7 * scale, 3)
    assert cut([G], 1000, 0).scale == scale
    assert ("BatchNorm" in repr(G)) == (norm == "batch")


def test_an_untrained_network_is_close_to_the_bicubic_enlargement():
    x = np.tanh(np.random.default_rng(0).standard_normal((1, 12, 12, 3), np.float32))
    y, bicubic = build(3, 2, PRESETS["small"]).output(x, train=False), enlarged(x, 2)
    assert 0 < np.abs(y - bicubic).mean() < 0.2 * np.abs(x).mean()


@pytest.mark.parametrize("preset", [SMALL, AS_IN_PAPER])
def test_it_starts_without_a_checkerboard(preset):
    """At the start, the scale² pixels that come from one have the same values, here before the last convolution."""
    G = build(3, 2, preset, "none", False)
    x = np.random.default_rng(0).standard_normal((1, 6, 6, 3)).astype(np.float32)
    for layer in G.layers if preset == SMALL else G.layers[:-1]:
        x = layer.output(x, train=False)
    blocks = x.reshape(1, 6, 2, 6, 2, -1)
    assert np.ptp(blocks, axis=(2, 4)).max() < 1e-6 < np.ptp(blocks, axis=(1, 3)).max()


def test_another_norm_is_refused():
    with pytest.raises(ValueError, match="`norm` is 'instance': choose from none, batch"):
        build(3, 2, SMALL, "instance")


def test_the_critic_is_the_papers():
    """F, F, 2F, 2F, … 8F channels; every second convolution halves; the paper's, F = 64, has 1024 numbers at last."""
    D = build_critic((96, 96), 3, 64, rng=np.random.default_rng(0))
    convolutions = [layer for layer in D.layers if type(layer).__name__ == "Conv2D"]
    assert [layer.out_channels for layer in convolutions] == [64, 64, 128, 128, 256, 256, 512, 512]
    assert [layer.stride[0] for layer in convolutions] == [1, 2] * 4
    assert [layer.bias for layer in convolutions] == [True] + [False] * 7
    assert D.layers[-3].W.shape == (6 * 6 * 512, 1024)
    for size in ((17, 33), (1, 1)):
        small = build_critic(size, 1, 2, rng=np.random.default_rng(0))
        assert small.output(np.zeros((3, *size, 1), np.float32)).shape == (3, 1)
