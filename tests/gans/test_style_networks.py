"""The networks of StyleGAN2: sizes, channels, which style enters where, and derivatives through both streams of G."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.gans.style_networks import Synthesis, discriminator, mapping
from minigan.layers import MinibatchStdDev
from minigan.testing import check_network, shake

RNG = np.random.default_rng(0)


def synthesis(size=16, Z=3, C=1, features=2, most=3):
    return Synthesis((size, size, C), Z, features, most, rng=np.random.default_rng(1))


def test_a_style_for_each_layer_and_the_channels_of_each_size():
    assert [synthesis(size).n_layers for size in (8, 16, 32, 64)] == [4, 6, 8, 10]
    G = synthesis(32, features=2, most=10)
    W = {name: layer.layers[1].W.shape for name, layer in G.children().items() if hasattr(layer, "layers")}
    assert {name: shape[2:] for name, shape in W.items()} == {
        "conv4": (10, 10),
        "up8": (10, 8),
        "conv8": (8, 8),
        "up16": (8, 4),
        "conv16": (4, 4),
        "up32": (4, 2),
        "conv32": (2, 2),
        "picture4": (10, 1),
        "picture8": (8, 1),
        "picture16": (4, 1),
        "picture32": (2, 1),
    }
    assert G.output(RNG.standard_normal((2, 8, 3)), rng=RNG).shape == (2, 32, 32, 1)


def test_gradients_to_second_order():
    """And for a dy that `backward` hasn't seen: then double_backward repeats that sweep."""
    G = shake(synthesis(8, C=2), RNG)
    check_network(G, RNG.standard_normal((2, 4, 3)), entries=2)
    G.to(dtype=np.float64)
    ws, v = RNG.standard_normal((2, 2, 4, 3))
    y, cache = G.forward(ws, train=False)
    G.backward(0 * y, cache, wrt="input")
    G.parameters().zero_grad()
    again = G.double_backward(v, y, cache)
    y, cache = G.forward(ws, train=False)
    for one, other in zip(again, G.double_backward(v, y, cache), strict=True):
        np.testing.assert_array_equal(one, other)


def test_layer_i_has_style_i():
    """The gradient of ws[:, i] is not zero for any i; a fine style changes nothing that coarse layers have made."""
    G, ws = synthesis(16), RNG.standard_normal((1, 6, 3))
    y, cache = G.forward(ws, train=False)
    dws = G.backward(RNG.standard_normal(y.shape), cache, wrt="input")
    assert abs(dws).max(axis=(0, 2)).all()
    seen = {}
    for i in range(6):
        other = ws.copy()
        other[:, i] += 1
        changed = [np.abs(a - b).max() > 0 for a, b in zip(features(G, ws), features(G, other), strict=True)]
        seen[i] = changed.index(True)
    assert seen == {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 5}


def features(G, ws):
    """What each convolution makes, then the picture."""
    made, x = [], G.constant.output(ws)
    convolutions = [layer for stage in G.stages for layer in stage.convolutions]
    for i, layer in enumerate(convolutions):
        x = layer.output((x, ws[:, i]), train=False)
        made.append(x)
    return [*made, G.output(ws, train=False)]


def test_a_picture_is_a_sum_of_enlarged_pictures():
    G, ws = synthesis(8), RNG.standard_normal((2, 4, 3))
    made = features(G, ws)
    coarse = G.stages[0].to_picture.output((made[0], ws[:, 1]), train=False)
    fine = G.stages[1].to_picture.output((made[2], ws[:, 3]), train=False)
    np.testing.assert_allclose(made[3], G.up.output(coarse) + fine, rtol=0, atol=1e-12)


def test_no_layer_changes_the_scale_much_at_first():
    G = Synthesis((32, 32, 3), 64, 16, 64, rng=np.random.default_rng(0))
    w = np.repeat(mapping(64, 2, np.random.default_rng(0)).output(RNG.standard_normal((8, 64)))[:, None], 8, axis=1)
    made = features(G, w)
    assert all(0.3 < np.sqrt(np.mean(x**2)) < 1.2 for x in made[:-1])
    D = discriminator((32, 32, 3), 16, 64, 4, rng=np.random.default_rng(0))
    x = RNG.standard_normal((8, 32, 32, 3))
    for layer in D.layers[:-1]:
        x = layer.output(x)
        assert 0.3 < np.sqrt(np.mean(x**2)) < 1.2, layer


def test_the_length_of_z_does_not_matter():
    network, z = mapping(5, 2, RNG), RNG.standard_normal((3, 5))
    np.testing.assert_allclose(network.output(7 * z), network.output(z), rtol=1e-6, atol=1e-9)
    assert len(mapping(5, 8, RNG)) == 17


@pytest.mark.slow
def test_the_discriminator_halves_to_four_pixels(size=16):
    D = shake(discriminator((size, size, 1), 2, 4, 2, rng=RNG), RNG)
    check_network(D, RNG.standard_normal((4, size, size, 1)), entries=1)
    assert sum(isinstance(layer, MinibatchStdDev) for layer in D.layers) == 1
    without = discriminator((size, size, 1), 2, 4, 0, rng=RNG)
    assert not any(isinstance(layer, MinibatchStdDev) for layer in without.layers)
    assert without.output(np.zeros((3, size, size, 1))).shape == (3, 1)


def test_what_is_refused():
    for shape in ((4, 4, 1), (12, 12, 1), (16, 8, 1), (16, 16)):
        with pytest.raises(ShapeError, match="makes square pictures of 8, 16, 32, 64 … pixels, not of shape"):
            Synthesis(shape, 3, 2, 2, rng=RNG)
    for shape in ((2, 5, 3), (2, 3), (2, 6, 4)):
        with pytest.raises(ShapeError, match=r"^Synthesis\(\(16, 16, 1\), 3\) takes an input of shape"):
            synthesis().forward(np.zeros(shape), rng=RNG)
