"""Small models with an `apply`, and pictures of every kind, for the tests of minigan.apply."""

import numpy as np
from PIL import Image

from minigan.backend import CPU
from minigan.layers import BatchNorm, Conv2D, InstanceNorm, ReLU, Sequential, Upsample
from minigan.model import Model


class Changes(Model):
    """A model that sends pictures through its network."""

    def __init__(self, *layers, applied=("F",), multiple=1):
        self.device, self.networks = CPU, {"F": Sequential(*layers)}
        self.applied, self.multiple = applied, multiple
        self.batches = []

    def apply(self, x):
        self.batches.append(x.shape)
        return self.networks["F"].output(x, train=False)


def identity(channels):
    """A 1×1 convolution that changes nothing."""
    layer = Conv2D(channels, channels, 1)
    layer.W[...] = np.eye(channels)
    return layer


def smoother(channels=3, width=8, depth=3, rng=None, seed=0):
    """Some 3×3 convolutions, like a denoiser."""
    rng = rng or np.random.default_rng(seed)
    inner = [
        layer
        for _ in range(depth - 2)
        for layer in (Conv2D(width, width, 3, padding=1, rng=rng), BatchNorm(width), ReLU())
    ]
    first, last = Conv2D(channels, width, 3, padding=1, rng=rng), Conv2D(width, channels, 3, padding=1, rng=rng)
    return Sequential(first, ReLU(), *inner, last)


def twice(channels=3):
    """Twice as high and wide."""
    return Sequential(smoother(channels), Upsample(2))


def global_one(channels=3):
    """A network that looks at the whole picture."""
    return Sequential(smoother(channels), InstanceNorm(channels))


def photo(height=75, width=101, channels=3, bits=8, seed=0):
    """Smooth shapes with some noise, uint8 or uint16 (H, W, C)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 30
    waves = np.stack([np.sin((c + 1) * x + y) * np.cos(y - c * x) for c in range(channels)], axis=-1)
    waves = 0.5 + 0.4 * waves + 0.05 * rng.standard_normal(waves.shape)
    return np.rint(np.clip(waves, 0, 1) * (2**bits - 1)).astype(f"uint{bits}")


def save(path, pixels, **options):
    """Write uint8 pixels (H, W, C) with Pillow; return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(path, **options)
    return path
