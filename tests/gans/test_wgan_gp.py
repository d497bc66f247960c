"""WGAN-GP: what the critic is made of, and that the penalty does what it is for."""

import numpy as np
import pytest
from family import make, real_data
from steps import make_step

from minigan.data import grid
from minigan.gans import WGANGP
from minigan.layers import AvgPool2D, BatchNorm, Conv2D, Residual, Upsample
from minigan.metrics.mixture import modes_and_quality

KINDS = ["wgan-gp-points", "wgan-gp-16", "wgan-gp-28", "wgan-gp-32-resnet"]


def norms(network):
    return [layer for _, layer in network.walk() if isinstance(layer, BatchNorm)]


@pytest.mark.parametrize("name", KINDS)
def test_no_batch_norm_in_the_critic(name):
    gan = make(name)
    assert not norms(gan.networks["D"])
    assert bool(norms(gan.networks["G"])) == ("points" not in name)


def test_resnets_are_those_of_the_table():
    """Three blocks that double the size; two that halve it and two that keep it, and the mean over what is left."""
    gan = WGANGP((32, 32, 3), networks="resnet", rng=np.random.default_rng(0))
    G, D = gan.networks["G"], gan.networks["D"]
    blocks = [layer for layer in G.layers if isinstance(layer, Residual)]
    assert [sum(isinstance(inner, Upsample) for _, inner in block.body.walk()) for block in blocks] == [1, 1, 1]
    blocks = [layer for layer in D.layers if isinstance(layer, Residual)]
    assert [sum(isinstance(inner, AvgPool2D) for _, inner in block.body.walk()) for block in blocks] == [1, 1, 0, 0]
    assert {inner.out_channels for network in (G, D) for _, inner in network.walk() if isinstance(inner, Conv2D)} == {
        128,
        3,
    }
    x = gan.generate(gan.latent(2, np.random.default_rng(0)))
    assert x.shape == (2, 32, 32, 3)
    assert D.forward(x)[0].shape == (2, 1)


@pytest.mark.parametrize(
    ("shape", "options", "adam", "weight"),
    [
        ((28, 28, 1), {}, (1e-4, (0.5, 0.9)), 10.0),
        ((32, 32, 3), {"networks": "resnet"}, (2e-4, (0.0, 0.9)), 10.0),
        ((2,), {}, (4e-3, (0.5, 0.9)), 0.2),
        ((28, 28, 1), {"lr": 3e-4, "b1": 0.1, "b2": 0.8, "lambda_gp": 3.0}, (3e-4, (0.1, 0.8)), 3.0),
    ],
)
def test_defaults_and_options(shape, options, adam, weight):
    gan = WGANGP(shape, features=4, rng=np.random.default_rng(0), **options)
    assert [(o.lr, o.betas) for o in gan.optimizers.values()] == [adam] * 2
    assert gan.penalty.weight == weight
    assert not gan.penalty.one_sided
    assert gan.n_critic == 5


@pytest.mark.parametrize("name", KINDS[:3])
def test_the_penalty_brings_the_slope_to_one(name):
    """The critic alone, against a fixed generator: the slopes between real and fake samples approach 1."""
    gan = make(name, lr=1e-3, lambda_gp=100.0, b1=0.5)
    gan.optimizers["G"].lr = 0.0
    real, rng = real_data(gan, n=16), np.random.default_rng(0)
    first, last = [], []
    for step in range(60):
        penalty = float(gan.critic_step(real, rng)["penalty"])
        (first if step < 5 else last if step >= 50 else []).append(penalty / 100)
    assert np.mean(last) < 0.15, f"mean (‖∇‖ − 1)² was {np.mean(first):.2f}, is {np.mean(last):.2f}"


@pytest.mark.slow
def test_it_finds_the_modes_of_the_grid():
    """A short run, a fifth of the length of that on the results page: most Gaussians are found, and points lie on them.

    After as many steps, the GAN of 2014 has found next to none.
    """
    data, steps = grid(20_000), 2000
    gan, rng = WGANGP((2,), rng=np.random.default_rng(0)), np.random.default_rng(1)
    for step in range(steps):
        for optimizer in gan.optimizers.values():
            optimizer.lr = 4e-3 * (1 - step / steps)
        make_step(gan, lambda: data.samples[rng.integers(len(data), size=128)], rng)
    modes, quality = modes_and_quality(gan.generate(gan.latent(10_000, rng)), data.centers, data.std)
    assert modes >= 15
    assert quality > 0.35
