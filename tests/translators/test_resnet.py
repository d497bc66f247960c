"""CycleGAN's generator: its size, what it keeps of a picture's size, and its blocks."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.layers import Conv2D, ConvTranspose2D, InstanceNorm, Residual
from minigan.translators.resnet import blocks_for, build_resnet, check_pictures, features_for


def build(*channels, features=2, blocks=2, upsampling="transposed"):
    return build_resnet(*channels, features, blocks, upsampling, rng=np.random.default_rng(0))


def test_the_papers_generator_has_as_many_parameters_as_the_reference_codes():
    """That code prints 11,378,179, among them the biases before instance norms, which have no effect."""
    network = build(3, 3, features=64, blocks=9)
    convolutions = [layer for _, layer in network.walk() if isinstance(layer, (Conv2D, ConvTranspose2D))]
    without_effect = sum(layer.out_channels for layer in convolutions if not layer.bias)
    assert len(network.parameters()) + without_effect == 11_378_179


@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
def test_a_picture_keeps_its_size_and_gets_other_channels(upsampling):
    network = build(1, 3, upsampling=upsampling)
    y = network.output(np.random.default_rng(0).standard_normal((2, 12, 16, 1)), train=False)
    assert y.shape == (2, 12, 16, 3)
    assert np.abs(y).max() < 1


def test_a_pictures_result_does_not_depend_on_the_batch_or_on_training():
    network, x = build(3, 3), np.random.default_rng(0).standard_normal((3, 8, 8, 3))
    together = network.output(x, train=True)
    for one, y in zip(x, together, strict=True):
        np.testing.assert_allclose(network.output(one[None], train=False)[0], y, atol=1e-12)


def test_a_residual_block_adds_and_ends_without_an_activation():
    blocks = [layer for layer in build(3, 3).layers if isinstance(layer, Residual)]
    assert len(blocks) == 2
    for block in blocks:
        assert block.shortcut is None
        assert isinstance(block.body.layers[-1], InstanceNorm)


def test_bilinear_enlargement_treats_all_pixels_alike():
    """From features without texture, a transposed convolution makes a checkerboard, and interpolation doesn't."""
    for upsampling, alike in (("transposed", False), ("bilinear", True)):
        network = build(1, 1, upsampling=upsampling)
        first = next(i for i, layer in enumerate(network.layers) if type(layer).__name__ in ENLARGING)
        ends = first + (1 if upsampling == "transposed" else 3)
        y = np.ones((1, 4, 4, 8))
        for layer in network.layers[first:ends]:
            y = layer.output(y, train=False)
        inside = y[0, 2:-2, 2:-2]
        assert bool(np.ptp(inside, axis=(0, 1)).max() < 1e-6) == alike


ENLARGING = ("ConvTranspose2D", "BilinearUpsample")


def test_an_enlargement_that_there_is_not():
    with pytest.raises(ValueError, match="`upsampling` is 'nearest': choose from transposed, bilinear"):
        build(1, 1, upsampling="nearest")


def test_channels_by_size():
    assert [features_for((n, 300)) for n in (64, 127, 128)] == [32, 32, 64]


def test_blocks_by_size():
    assert [blocks_for((n, 300)) for n in (8, 60, 64, 127, 128, 255, 256)] == [3, 3, 4, 4, 6, 6, 9]


@pytest.mark.parametrize("size", [(30, 32), (32, 30), (4, 64)])
def test_sizes_that_do_not_fit(size):
    with pytest.raises(
        ShapeError, match=f"pictures of a are {size[0]}×{size[1]}: choose `img_size` from the multiples"
    ):
        check_pictures("a", (*size, 3))
    check_pictures("a", (32, 8, 3))
