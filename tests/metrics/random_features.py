"""A feature network that costs nothing: ten random projections of a picture's pixels, and probabilities of them."""

import numpy as np

from minigan.backend import array_module
from minigan.metrics import FeatureNetwork


class RandomFeatures(FeatureNetwork):
    """Pictures of 4×4 → 10 features, and 3 probabilities, the last of them "none"."""

    name, describe, resizer, comparable, knows_none = "random", "random projections", "none", True, True
    n_features, classes, weights = 10, ("a", "b"), "of seed 0"

    def __call__(self, pictures):
        xp = array_module(pictures)
        W = xp.asarray(np.random.default_rng(0).standard_normal((16 * pictures.shape[3], 10)).astype(np.float32))
        features = pictures.reshape(len(pictures), -1) @ W
        p = xp.exp(features[:, :3])
        return features, p / p.sum(axis=1, keepdims=True)


def in_batches(pictures, labels=None, size=7):
    """Batches as a generator of samples would yield them."""
    for i in range(0, len(pictures), size):
        yield pictures[i : i + size], None if labels is None else labels[i : i + size]


def pictures(n, seed=0, channels=1):
    """Pictures (n, 4, 4, channels) of noise."""
    return np.random.default_rng(seed).uniform(-1, 1, (n, 4, 4, channels)).astype(np.float32)
