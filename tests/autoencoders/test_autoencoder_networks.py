"""The networks of vae and vaegan: sizes, shapes, and where the discriminator is cut in two."""

import numpy as np
import pytest

from minigan.autoencoders.networks import check_shape, decoder, discriminator, encoder, halvings
from minigan.errors import ShapeError
from minigan.layers import BatchNorm, Conv2D, ConvTranspose2D, Dense

RNG = np.random.default_rng(0)


def products(network):
    """The shapes of all weights, and whether there is a bias."""
    kinds = (Conv2D, ConvTranspose2D, Dense)
    return [(*layer.W.shape, layer.b is not None) for layer in network.layers if isinstance(layer, kinds)]


def test_those_of_the_authors_for_64_pixels():
    """An eighth of the channels of architectures.py; convolutions are (5, 5, in, out), transposed ones reversed."""
    assert products(encoder((64, 64, 3), 16, 8, RNG)) == [
        (5, 5, 3, 8, False),
        (5, 5, 8, 16, False),
        (5, 5, 16, 32, False),
        (8 * 8 * 32, 128, False),
        (128, 2 * 16, True),
    ]
    assert products(decoder((64, 64, 3), 16, 8, RNG)) == [
        (16, 8 * 8 * 32, False),
        (5, 5, 32, 32, False),
        (5, 5, 16, 32, False),
        (5, 5, 4, 16, False),
        (5, 5, 4, 3, True),
    ]
    features, verdict = discriminator((64, 64, 3), 8, RNG)
    assert products(features) == [
        (5, 5, 3, 4, True),
        (5, 5, 4, 16, False),
        (5, 5, 16, 32, False),
        (5, 5, 32, 32, False),
    ]
    assert products(verdict) == [(8 * 8 * 32, 64, False), (64, 1, True)]
    assert isinstance(features[-1], Conv2D)
    assert isinstance(verdict[0], BatchNorm)


@pytest.mark.parametrize(
    ("shape", "k", "maps"),
    [
        ((16, 16, 1), 2, (8, 8, 4)),
        ((28, 28, 1), 2, (7, 7, 8)),
        ((32, 32, 3), 3, (8, 8, 8)),
        ((24, 32, 1), 2, (12, 16, 4)),
        ((36, 64, 3), 2, (9, 16, 8)),
        ((64, 56, 3), 3, (8, 7, 8)),
    ],
)
def test_shapes_of_a_size(shape, k, maps):
    """Pictures come out as large as they went in, and features are compared in maps of 7 pixels or more."""
    assert halvings(shape) == k
    x = RNG.normal(size=(3, *shape)).astype(np.float32)
    assert encoder(shape, 5, 2, RNG).output(x).shape == (3, 10)
    decoded = decoder(shape, 5, 2, RNG).output(RNG.normal(size=(3, 5)).astype(np.float32))
    assert decoded.shape == (3, *shape)
    assert abs(decoded).max() <= 1
    features, verdict = discriminator(shape, 2, RNG)
    assert features.output(x).shape == (3, *maps)
    assert verdict.output(features.output(x)).shape == (3, 1)


def test_one_feature_is_enough():
    """The halves of one are one."""
    x = RNG.normal(size=(3, 16, 16, 1)).astype(np.float32)
    assert decoder((16, 16, 1), 2, 1, RNG).output(RNG.normal(size=(3, 2)).astype(np.float32)).shape == x.shape
    features, verdict = discriminator((16, 16, 1), 1, RNG)
    assert verdict.output(features.output(x)).shape == (3, 1)


@pytest.mark.parametrize("shape", [(12, 12, 1), (30, 28, 1), (28, 28, 2), (132, 128, 3), (28, 28), (2,)])
def test_other_shapes_are_refused_in_one_sentence(shape):
    with pytest.raises(ShapeError, match="multiples of 4 from 16 to 128 pixels, not .*: give another `img_size`$") as e:
        check_shape(shape)
    assert "\n" not in str(e.value)
    for shape in ((16, 128, 1), (128, 16, 3)):
        check_shape(shape)
