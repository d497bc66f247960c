"""With the weights copied, the benchmark's peers of StyleGAN2's networks compute what minigan's do."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from test_bench_torch import copied, pictures_first, relative  # noqa: E402

from minigan.gans.style_networks import Synthesis, discriminator, mapping  # noqa: E402
from minigan.layers import Sequential  # noqa: E402

pytestmark = pytest.mark.oracle
RNG = np.random.default_rng(0)


def same(network, x, **options):
    network.to(dtype=np.float64)
    for name, (value, _) in network.parameters().named().items():
        if name.endswith("strength"):
            value[...] = 0  # each draws other noise
    y, cache = network.forward(x, rng=RNG)
    dy = RNG.standard_normal(y.shape)
    dx = network.backward(dy, cache)
    x_there = pictures_first(x).requires_grad_()
    y_there = copied(network)(x_there)
    y_there.backward(pictures_first(dy))
    assert relative(pictures_first(y).numpy(), y_there.detach().numpy()) < 1e-12
    assert relative(pictures_first(dx).numpy(), x_there.grad.numpy()) < 1e-12


def test_mapping():
    same(mapping(5, 2, RNG), RNG.standard_normal((3, 5)))


def test_synthesis():
    network = Synthesis((16, 16, 2), 3, 2, 4, rng=RNG)
    network.constant.W = np.ones((4, 4, 4))  # `copied` would exchange its height and width
    same(network, RNG.standard_normal((3, 6, 3)))


def test_discriminator_up_to_its_dense_layers():
    """These read the pixels in another order."""
    D = discriminator((16, 16, 2), 2, 4, 2, rng=RNG)
    same(Sequential(*D.layers[:7]), RNG.standard_normal((4, 16, 16, 2)))
