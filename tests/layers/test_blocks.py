"""Residual blocks that resample: against their definition in the papers, and gradients to second order."""

from functools import partial
from math import sqrt

import numpy as np
import pytest

from minigan.layers import (
    AvgPool2D,
    BatchNorm,
    ConditionalBatchNorm,
    Conv2D,
    LayerNorm,
    SpectralNorm,
    Upsample,
    down_block,
    first_down_block,
    he_uniform,
    up_block,
)
from minigan.testing import check_network, shake, smooth_point

BLOCKS = {
    "up": (up_block, 2),
    "down": (down_block, 0.5),
    "down with a norm": (partial(down_block, norm=BatchNorm), 0.5),
    "same size": (partial(down_block, downsample=False), 1),
    "first down": (first_down_block, 0.5),
}
PICTURE = (2, 4, 6, 3)


def shaken(block, *channels):
    rng = np.random.default_rng(0)
    return shake(block(*channels, rng=rng), rng).to(dtype=np.float64)


@pytest.mark.parametrize("block", [up_block, down_block, first_down_block])
def test_the_generator_that_is_given_draws_the_weights(block):
    first, second = (block(3, 4, rng=np.random.default_rng(0)).parameters().values for _ in range(2))
    np.testing.assert_array_equal(first, second)


def a_picture():
    return smooth_point(np.random.default_rng(1), PICTURE)


def run(x, *layers):
    """The layers one after the other; "relu" is written out."""
    for layer in layers:
        x = np.maximum(x, 0) if layer == "relu" else layer.forward(x)[0]
    return x


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("channels", [(3, 5), (3, 3)])
def test_sizes(name, channels):
    block, factor = BLOCKS[name]
    y = run(a_picture(), shaken(block, *channels))
    assert y.shape == (2, int(4 * factor), int(6 * factor), channels[1])


@pytest.mark.parametrize("name", BLOCKS)
def test_gradients_to_second_order(name):
    block, _ = BLOCKS[name]
    check_network(shaken(block, 3, 2), a_picture(), entries=3)
    check_network(shaken(block, 3, 3), a_picture(), train=False, entries=3)


def test_up_block_is_that_of_the_papers():
    block, x = shaken(up_block, 3, 5), a_picture()
    norm1, _, _, conv1, norm2, _, conv2 = block.body
    body = run(x, norm1, "relu", Upsample(2), conv1, norm2, "relu", conv2)
    np.testing.assert_allclose(run(x, block), body + run(x, Upsample(2), block.shortcut[0]), atol=1e-12)
    assert conv1.W.shape == (3, 3, 3, 5)
    assert conv2.W.shape == (3, 3, 5, 5)


def test_down_block_is_that_of_the_papers():
    block, x = shaken(partial(down_block, norm=BatchNorm), 3, 5), a_picture()
    norm1, _, conv1, norm2, _, conv2, _ = block.body
    body = run(x, norm1, "relu", conv1, norm2, "relu", conv2, AvgPool2D(2))
    np.testing.assert_allclose(run(x, block), body + run(x, block.shortcut[1], AvgPool2D(2)), atol=1e-12)
    assert conv1.W.shape == (3, 3, 3, 3)
    assert conv2.W.shape == (3, 3, 3, 5)


def test_first_down_block_is_that_of_the_papers():
    block, x = shaken(first_down_block, 3, 5), a_picture()
    conv1, _, conv2, _ = block.body
    body = run(x, conv1, "relu", conv2, AvgPool2D(2))
    np.testing.assert_allclose(run(x, block), body + run(x, AvgPool2D(2), block.shortcut[1]), atol=1e-12)


def test_where_nothing_changes_the_shortcut_is_x_itself():
    block, x = shaken(partial(down_block, downsample=False), 3, 3), a_picture()
    _, conv1, _, conv2 = block.body
    assert block.shortcut is None
    np.testing.assert_allclose(run(x, block), x + run(x, "relu", conv1, "relu", conv2), atol=1e-12)


def test_without_norms_a_block_is_piecewise_linear():
    for block in (down_block, first_down_block):
        block, x = shaken(block, 3, 2), a_picture()
        y, cache = block.forward(x)
        assert block.double_backward(x, np.ones_like(y), cache)[1] is None


def test_a_conditional_norm_makes_the_block_conditional():
    """What the labels do is what the plain block does with the row of gamma and beta that they choose."""
    conditional = shaken(partial(up_block, norm=lambda c: ConditionalBatchNorm(c, 4)), 3, 2)
    plain = shaken(up_block, 3, 2)
    assert conditional.conditional
    assert not plain.conditional
    arrays = conditional.state_dict()
    plain_name = lambda name: name.replace("norm.", "").replace("affine.", "")  # noqa: E731
    chosen = {name: a[2] if name.endswith(("gamma", "beta")) else a for name, a in arrays.items()}
    plain.load_state_dict({plain_name(name): a for name, a in chosen.items()})
    x, labels = a_picture(), np.array([2, 2])
    (y, cache), (expected, plain_cache) = conditional.forward((x, labels)), plain.forward(x)
    np.testing.assert_allclose(y, expected, atol=1e-12)
    dy, ddx = (np.random.default_rng(2).standard_normal(a.shape) for a in (y, x))
    np.testing.assert_allclose(conditional.backward(dy, cache)[0], plain.backward(dy, plain_cache), atol=1e-12)
    ddy, (dx2, _) = conditional.double_backward((ddx, None), dy, cache)
    for found, wanted in zip((ddy, dx2), plain.double_backward(ddx, dy, plain_cache), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-12)
    plain_gradients = plain.parameters().named()
    for name, (_, gradient) in conditional.parameters().named().items():
        if name.endswith(("gamma", "beta")):
            assert not gradient[[0, 1, 3]].any()
            gradient = gradient[2]
        np.testing.assert_allclose(gradient, plain_gradients[plain_name(name)][1], atol=1e-12, err_msg=name)


@pytest.mark.parametrize("block", [down_block, first_down_block])
def test_wrap_is_put_around_every_convolution(block):
    rng = np.random.default_rng(0)
    network = block(3, 5, wrap=partial(SpectralNorm, rng=rng), rng=rng)
    wrapped = [layer.layer for _, layer in network.walk() if isinstance(layer, SpectralNorm)]
    assert len(wrapped) == sum(isinstance(layer, Conv2D) for _, layer in network.walk()) == 3
    check_network(network, a_picture(), train=False, entries=3)


def test_norms_that_need_the_size_of_the_picture_fit_both_places():
    block = shaken(partial(down_block, norm=lambda c: LayerNorm((4, 6, c))), 3, 2)
    check_network(block, a_picture(), entries=3)


def test_initial_weights():
    """√2 times Glorot's bound before a ReLU, once Glorot's in a shortcut, and what is asked for."""
    for block in (up_block, down_block, first_down_block):
        rng = np.random.default_rng(0)
        for _, layer in block(8, 16, rng=rng).walk():
            if isinstance(layer, Conv2D):
                area, gain = layer.kernel_size[0] ** 2, sqrt(2) if layer.kernel_size == (3, 3) else 1
                bound = gain * sqrt(6 / (area * (layer.in_channels + layer.out_channels)))
                assert 0.95 * bound < abs(layer.W).max() <= bound
        he = block(8, 16, init=he_uniform(), rng=rng)
        *_, last = (layer for layer in he.body if isinstance(layer, Conv2D))
        bound = sqrt(6 / (9 * last.in_channels))
        assert 0.95 * bound < abs(last.W).max() <= bound
