"""A run that takes a moment: DCGAN with two features on 64 digits."""

import signal

import numpy as np

from minigan.backend import to_numpy
from minigan.data import AUGMENTATIONS, Feeds, open_feeds
from minigan.training import Run, RunConfig, RunFolder, build_model, load_checkpoint
from minigan.training.progress import Progress

CONFIG = RunConfig(
    model="dcgan",
    model_args={"latent_dim": 4, "features": 2},
    data="digits",
    shapes={"real": (16, 16, 1)},
    samples={"data": 64},
    limit=64,
    batch_size=8,
    n_steps=12,
    augment=("crop",),
    sample_interval=6,
    checkpoint_interval=5,
)


def make_run(folder, config=CONFIG, device=None, cls=None, data=None, **more):
    """A run that is about to begin. `cls` is a model of one's own, `data` its arrays."""
    model = build_model(config, cls, device)
    sources = open_feeds(config.data if data is None else data, model.arrays, limit=config.limit)
    augment = [AUGMENTATIONS[name] for name in config.augment]
    feeds = Feeds(sources, model.arrays, config.batch_size, config.seed, augment, device=model.device)
    return Run(model, feeds, config, RunFolder(folder), **more)


def resume_run(folder, config=CONFIG, device=None, **more):
    """A run that goes on from its newest checkpoint."""
    run = make_run(folder, config, device, **more)
    run.resume(newest(folder))
    return run


def train(run):
    """Train to the end; the exit status."""
    with run.feeds:
        return run.train(Progress(run.config.n_steps, run.stepper.step, quiet=True))


def newest(folder):
    """The newest checkpoint of a run."""
    return load_checkpoint(RunFolder(folder).checkpoints()[-1])


def weights(model):
    """The parameters of all networks in one vector."""
    return np.concatenate([to_numpy(network.parameters().values) for network in model.networks.values()])


def arrays_of(run):
    """Everything that the model of a run would keep in a checkpoint."""
    return run.stepper.snapshot().arrays


def assert_same(one, other):
    """Arrays by name, equal to the last bit."""
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


def before_step(run, number, act):
    """Call `act()` in the midst of step `number`, each time that it is made."""
    step = run.model.step

    def acting(next_batch, rng, now):
        if now.step == number - 1:
            act()
        return step(next_batch, rng, now)

    run.model.step = acting


def interrupt_at(run, number):
    """Press Ctrl-C in the midst of step `number`."""
    before_step(run, number, lambda: signal.raise_signal(signal.SIGINT))
