"""No step waits for the device, and none copies anything to it but its batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigan.selftest.part import Part
from minigan.selftest.small import small_gans
from minigan.testing import forbid_transfers
from minigan.testing.strict import transfers


def run(part: Part) -> None:
    """Make a step of every model where waiting is an error, after one in which kernels were compiled."""
    for name, build in small_gans():
        if part.left() < 0:
            part.fail(f"no time left for {name} and what comes after it")
            break
        with part.attempt(name):
            uploads = uploads_of_a_step(build(part.device))
            part.say(f"{name}: no wait" + (f", {uploads} uploads" if part.rehearsal else ""))
            if uploads:
                part.fail(f"{name} copies {uploads} arrays to the device that aren't its batch")


def uploads_of_a_step(gan: Any) -> int:
    """How many arrays a step copied to the device, which only the stand-in counts.

    Raises ForbiddenTransfer if it waits for it.
    """
    rng = gan.device.rng(0)
    x = rng.random((8, *gan.shape), dtype=np.float32) * 2 - 1
    batch = (x, gan.labels(8)) if gan.n_classes else x
    gan.step(lambda: batch, rng)
    before = transfers.to_device
    with forbid_transfers():
        gan.step(lambda: batch, rng)
    return transfers.to_device - before
