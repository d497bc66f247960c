"""`trace`: the samples of latents, and the gradient by them, which `minigan project` follows."""

import numpy as np
import pytest
from family import make

from minigan.gans import GAN

MEMBERS = ("wgan-points", "lsgan-16", "sngan-28-labels", "sngan-32-resnet", "cgan-pictures", "gan")


def member(name):
    """A small GAN in float64, whose running statistics aren't those of the start."""
    gan = GAN((6, 5, 1), latent_dim=5, rng=np.random.default_rng(0)) if name == "gan" else make(name)
    rng = np.random.default_rng(1)
    G = gan.networks["G"].to(dtype=np.float64)
    for _ in range(3):
        z, labels = rng.normal(size=(6, gan.latent_dim)), np.arange(6) % (gan.n_classes or 1)
        G.output((z, labels) if gan.n_classes else z, train=True, rng=rng)
    return gan, z[:3], labels[:3] if gan.n_classes else None


@pytest.mark.parametrize("name", MEMBERS)
def test_the_gradient_by_z_is_that_of_differences(name):
    gan, z, labels = member(name)
    parameters, rng = gan.networks["G"].parameters(), np.random.default_rng(2)
    samples, backward = gan.trace(z, labels)
    np.testing.assert_allclose(samples, gan.generate(z, labels), atol=1e-12)
    dsamples, direction = rng.normal(size=samples.shape), rng.normal(size=z.shape)
    dz = backward(dsamples)
    ahead, behind = (gan.trace(z + side * 1e-7 * direction, labels)[0] for side in (1, -1))
    slope = ((ahead - behind) / 2e-7 * dsamples).sum()
    assert slope == pytest.approx((dz * direction).sum(), rel=1e-6)
    assert not parameters.grads.any()


def test_it_is_the_average_that_is_traced():
    gan, z, _ = member("lsgan-16")
    gan.average_weights(0.9)
    gan.networks["G"].parameters().values[:] = 0
    np.testing.assert_allclose(gan.trace(z)[0], gan.generate(z), atol=1e-12)
    assert gan.trace(z)[0].any()
