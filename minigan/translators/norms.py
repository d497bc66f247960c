"""The norms that translators choose by name."""

from __future__ import annotations

from functools import partial

import numpy as np

from minigan.gans.base import choose
from minigan.layers import BatchNorm, InstanceNorm, normal
from minigan.layers.blocks import Norm

NORMS = ("instance", "batch", "none")


def norm_of(name: str, rng: np.random.Generator) -> Norm | None:
    """Return a function that makes a norm for a number of channels; None for "none".

    "batch"     batch norm; γ from N(1, .02)
    "instance"  each picture's own statistics; γ from N(1, .02). In training, it equals batch norm of a batch of one

    Raises ValueError for another name.
    """
    W = {"init": normal(0.02, mean=1.0), "rng": rng}
    kinds = {"instance": partial(InstanceNorm, affine=True, **W), "batch": partial(BatchNorm, **W), "none": None}
    return choose("norm", name, kinds)
