"""Check that no step waits for the device, but for the reads a model declares, or copies more to it than its batch."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np

from minigan.common.small_models import Small, moments, random_batch
from minigan.selftest.part import Part
from minigan.selftest.small import every_small_model
from minigan.testing import forbid_transfers
from minigan.testing.transfers import transfers


def run(part: Part) -> None:
    """Run a step of every model where waiting is an error, after a first one that compiles kernels."""
    for name, build in every_small_model():
        if part.left() < 0:
            part.fail(f"no time left for {name} and the models after it")
            break
        with part.attempt(name):
            uploads = uploads_of_a_step(build(part.device))
            part.say(f"{name}: no wait" + (f", {uploads} uploads" if part.rehearsal else ""))
            if uploads:
                part.fail(f"{name} copies {uploads} arrays to the device besides its batch")


def uploads_of_a_step(small: Small) -> int:
    """Return how many arrays a step copies to the device, in the phase with the most; only the stand-in counts them.

    Raises ForbiddenTransfer if the step waits for the device and the model doesn't declare it (`Model.reads`).
    """
    model, device, uploads = small.model, small.model.device, [0]
    rows = random_batch(model, small.shapes, 8, np.random.default_rng(0))
    batch = {name: device.array(array) for name, array in rows.items()}
    for now in moments(model):
        model.step(lambda n=None: batch, device.rng([0, 0]), now)
        before = transfers.to_device
        with nullcontext() if model.reads else forbid_transfers():
            model.step(lambda n=None: batch, device.rng([0, 1]), now)
        uploads.append(transfers.to_device - before)
    return max(uploads)
