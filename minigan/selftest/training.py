"""A minute of DCGAN and its picture; and whether a seed gives the same bits again, after a resume as well."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from minigan.backend import to_numpy
from minigan.data import Batches
from minigan.selftest.part import Part
from minigan.training import RunConfig, RunFolder, Trainer, load_checkpoint
from minigan.training.pictures import grid, save_image
from minigan.training.progress import Progress

DIGITS = RunConfig(
    model="dcgan", model_args={}, data="digits", shape=(28, 28, 1), samples=1797, img_size=28, batch_size=64, n_steps=0
)
SMALL = replace(DIGITS, model_args={"features": 4}, batch_size=16)  # for a rehearsal
MINUTE = 60  # seconds
EVERY = 10  # steps, after which the losses are fetched, as in a run
DIVERSE = 0.1  # the standard deviation of a pixel over the pictures, in the mean over all pixels; of digits it is 0.26


def run(part: Part) -> None:
    """Repeat a few steps, then train for a minute."""
    with part.attempt("the same bits from the same seed"):
        repeats(part)
    with part.attempt("a minute of DCGAN"):
        train(part, min(MINUTE, max(1.0, part.left() - 5)))


def repeats(part: Part) -> None:
    """Ten steps, twice; and once more, five of them after a resume from a checkpoint."""
    config = replace(SMALL if part.rehearsal else DIGITS, n_steps=10, checkpoint_interval=5, sample_interval=10)
    with TemporaryDirectory() as folder:
        one, other = (_trained(part, config, Path(folder) / name) for name in ("one", "other"))
        half = load_checkpoint(one.folder.checkpoints()[0])
        resumed = _trained(part, config, Path(folder) / "other", half)
    for what, trainer in {"ten steps made twice": other, "five of ten steps after a resume": resumed}.items():
        same = np.array_equal(_weights(one), _weights(trainer))
        difference = np.abs(_weights(one) - _weights(trainer)).max()
        part.say(f"{what}: the same bits" if same else f"{what}: weights differ by up to {difference:.1e}")
        if not same:
            part.fail(f"{what} give other weights")


def _trained(part: Part, config: RunConfig, folder: Path, half: object = None) -> Trainer:
    gan, dataset = config.build_gan(part.device), config.open_data()
    start = half.state["position"] if half else 0
    batches = Batches(dataset, config.batch_size, config.seed, device=part.device, start=start)
    trainer = Trainer(gan, dataset, batches, config, RunFolder(folder))
    with batches:
        if half:
            trainer.resume(half)
        trainer.train(Progress(config.n_steps, quiet=True))
    return trainer


def _weights(trainer: Trainer) -> np.ndarray:
    return np.concatenate([to_numpy(net.parameters().values) for net in trainer.gan.networks.values()])


def train(part: Part, seconds: float) -> None:
    """Train DCGAN on the digits for so long, and draw what it has learned."""
    config = SMALL if part.rehearsal else DIGITS
    gan, dataset = config.build_gan(part.device), config.open_data()
    rng, z = part.device.rng([0, 1]), gan.latent(64, part.device.rng([0, 2]))
    steps, said, measured = 0, 0.0, {}
    with Batches(dataset, config.batch_size, 0, device=part.device) as batches:
        gan.step(batches.__next__, rng)  # in which kernels are compiled
        part.device.synchronize()
        start = time.monotonic()
        elapsed = 0.0
        while elapsed < seconds:
            for _ in range(EVERY):
                measured = gan.step(batches.__next__, rng)
            steps += EVERY
            losses = {name: float(to_numpy(value)) for name, value in measured.items()}
            elapsed = time.monotonic() - start
            if not np.isfinite(list(losses.values())).all():
                part.fail(f"a loss isn't finite after {steps} steps: {losses}")
                return
            if elapsed >= said:
                part.say(f"{elapsed:5.1f} s, {steps} steps: " + ", ".join(f"{n} {v:.3f}" for n, v in losses.items()))
                said += seconds / 6
    pictures = to_numpy(gan.generate(z))
    path, diversity = part.out / "dcgan.png", float(pictures.std(axis=0).mean())
    save_image(grid(pictures), path)
    part.say(f"{steps} steps of {config.batch_size} in {elapsed:.1f} s, {1e3 * elapsed / steps:.2f} ms a step; {path}")
    part.say(f"standard deviation between pictures: {diversity:.3f}; between digits: {_of_digits(dataset):.3f}")
    if not part.rehearsal and not diversity > DIVERSE:
        part.fail("the pictures are all alike")


def _of_digits(dataset: object) -> float:
    return float(dataset.batch(np.arange(256)).std(axis=0).mean())
