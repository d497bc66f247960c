"""The members of the family, small, and what to feed them."""

import numpy as np

from minigan.gans import CDCGAN, CGAN, LSGAN, SNGAN, WGAN, WGANGP, BigGAN
from minigan.layers import Gain

SMALL = {"latent_dim": 5, "features": 4}
DENSE = {"latent_dim": 5}
MEMBERS = {  # name: (class, shape, options)
    "lsgan-points": (LSGAN, (2,), DENSE),
    "lsgan-16": (LSGAN, (16, 16, 1), SMALL),
    "lsgan-28-pearson": (LSGAN, (28, 28, 3), SMALL | {"coding": "pearson"}),
    "wgan-points": (WGAN, (2,), DENSE | {"extra_critic": False, "n_critic": 1}),
    "wgan-28": (WGAN, (28, 28, 1), SMALL | {"extra_critic": False, "n_critic": 1}),
    "wgan-gp-points": (WGANGP, (2,), SMALL | {"n_critic": 1, "features": 16}),
    "wgan-gp-16": (WGANGP, (16, 16, 3), SMALL | {"n_critic": 1}),
    "wgan-gp-28": (WGANGP, (28, 28, 1), SMALL | {"n_critic": 1}),
    "wgan-gp-32-resnet": (WGANGP, (32, 32, 3), SMALL | {"n_critic": 1, "networks": "resnet"}),
    "sngan-points": (SNGAN, (2,), SMALL | {"features": 16}),
    "sngan-points-labels": (SNGAN, (2,), SMALL | {"features": 16, "labels": True, "n_classes": 3}),
    "sngan-16": (SNGAN, (16, 16, 1), SMALL),
    "sngan-16-attention": (SNGAN, (16, 16, 1), SMALL | {"attention": 8}),
    "sngan-28-labels": (SNGAN, (28, 28, 1), SMALL | {"labels": True, "n_classes": 3}),
    "sngan-32-resnet": (SNGAN, (32, 32, 1), SMALL | {"n_critic": 1, "networks": "resnet"}),
    "sngan-32-resnet-labels": (
        SNGAN,
        (32, 32, 3),
        SMALL | {"n_critic": 1, "networks": "resnet", "labels": True, "n_classes": 3},
    ),
    "biggan-32-labels": (
        BigGAN,
        (32, 32, 1),
        {"latent_dim": 5, "features": 1, "labels": True, "n_classes": 3},  # four times as many channels
    ),
    "cgan-points": (CGAN, (2,), DENSE | {"n_classes": 3}),
    "cgan-pictures": (CGAN, (6, 5, 1), DENSE | {"n_classes": 3}),
    "cdcgan-16": (CDCGAN, (16, 16, 1), SMALL | {"n_classes": 3}),
    "cdcgan-28": (CDCGAN, (28, 28, 1), SMALL | {"n_classes": 3}),
    "cdcgan-28-projection": (CDCGAN, (28, 28, 1), SMALL | {"n_classes": 3, "projection": True}),
    "cdcgan-64-projection": (CDCGAN, (64, 64, 3), SMALL | {"n_classes": 3, "projection": True}),
}


def make(name, seed=0, **options):
    """A small member of the family."""
    cls, shape, own = MEMBERS[name]
    gan = cls(shape, **own | options, rng=np.random.default_rng(seed))
    for network in gan.networks.values():
        for _, layer in network.walk():
            if isinstance(layer, Gain):
                layer.gamma += 0.5  # at 0, only γ itself would have a gradient
    return gan


def real_data(gan, n=6, seed=1, dtype=np.float32):
    """Samples (n, …), or (samples, labels) for a conditional GAN, on its device."""
    rng = np.random.default_rng(seed)
    x = gan.device.array(np.tanh(rng.normal(size=(n, *gan.shape))).astype(dtype))
    return (x, gan.device.array(rng.integers(gan.n_classes, size=n))) if gan.n_classes else x
