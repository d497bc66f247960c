"""A step of a model on what a test has at hand."""

import numpy as np

from minigan.model import Now


def make_step(model, data, rng, number=0):
    """Make one step, and return its measures.

    data: a batch as a dict; real samples; (samples, labels); or a function that returns one of these, called for each.
    """

    def next_batch(n=None):
        batch = data() if callable(data) else data
        if isinstance(batch, dict):
            return batch
        return dict(zip(("real", "label"), batch, strict=True)) if isinstance(batch, tuple) else {"real": batch}

    return model.step(next_batch, rng, Now(number, 0, np.random.default_rng(number)))
