"""A run that takes a moment: DCGAN with two features on 64 digits."""

import numpy as np

from minigan.backend import to_numpy
from minigan.data import AUGMENTATIONS, Batches
from minigan.training import RunConfig, RunFolder, Trainer, load_checkpoint
from minigan.training.progress import Progress

CONFIG = RunConfig(
    model="dcgan",
    model_args={"latent_dim": 4, "features": 2},
    data="digits",
    shape=(16, 16, 1),
    samples=64,
    limit=64,
    batch_size=8,
    n_steps=12,
    augment=("crop",),
    sample_interval=6,
    checkpoint_interval=5,
)


def make_trainer(folder, config=CONFIG, start=0, device=None):
    gan, dataset = config.build_gan(device), config.open_data()
    augment = [AUGMENTATIONS[name] for name in config.augment]
    batches = Batches(dataset, config.batch_size, config.seed, augment, device=gan.device, start=start)
    return Trainer(gan, dataset, batches, config, RunFolder(folder))


def train(trainer):
    with trainer.batches:
        return trainer.train(Progress(trainer.config.n_steps, quiet=True))


def newest(folder):
    """The newest checkpoint of a run."""
    return load_checkpoint(RunFolder(folder).checkpoints()[-1])


def weights(gan):
    return np.concatenate([to_numpy(network.parameters().values) for network in gan.networks.values()])
