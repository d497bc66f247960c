"""Train DCGAN for a minute; and check that a seed gives the same bits again, also after a resume."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from minigan.backend import to_numpy
from minigan.data import Feeds, open_feeds
from minigan.model import Now
from minigan.selftest.part import Part
from minigan.training.build import build_model
from minigan.training.checkpoint import Checkpoint, load_checkpoint
from minigan.training.folder import RunFolder
from minigan.training.pictures import grid, save_image
from minigan.training.progress import Progress
from minigan.training.run import Run
from minigan.training.settings import RunConfig

SHAPE = (28, 28, 1)
DIGITS = RunConfig(
    model="dcgan",
    model_args={},
    data="digits",
    shapes={"real": SHAPE},
    samples={"data": 1797},
    img_size=SHAPE[:2],
    batch_size=64,
    n_steps=0,
)
SMALL = replace(DIGITS, model_args={"features": 4}, batch_size=16)  # for a rehearsal
MINUTE = 60  # seconds
EVERY = 10  # steps between two reads of the losses, as in a run
DIVERSE = 0.1  # threshold for a pixel's standard deviation between pictures, averaged over pixels; digits have 0.26


def run(part: Part) -> None:
    """Compare repeated steps, then train for a minute."""
    with part.attempt("the same bits from the same seed"):
        repeats(part)
    with part.attempt("a minute of DCGAN"):
        train(part, min(MINUTE, max(1.0, part.left() - 5)))


def repeats(part: Part) -> None:
    """Run ten steps twice, and once more with a resume from a checkpoint after five; all weights must be equal."""
    config = replace(SMALL if part.rehearsal else DIGITS, n_steps=10, checkpoint_interval=5, sample_interval=10)
    with TemporaryDirectory() as folder:
        one, other = (_trained(part, config, Path(folder) / name) for name in ("one", "other"))
        half = load_checkpoint(one.folder.checkpoints()[0])
        resumed = _trained(part, config, Path(folder) / "other", half)
    for what, run in {"ten steps made twice": other, "five of ten steps after a resume": resumed}.items():
        same = np.array_equal(_weights(one), _weights(run))
        difference = np.abs(_weights(one) - _weights(run)).max()
        part.say(f"{what}: the same bits" if same else f"{what}: weights differ by up to {difference:.1e}")
        if not same:
            part.fail(f"{what} give other weights")


def _trained(part: Part, config: RunConfig, folder: Path, half: Checkpoint | None = None) -> Run:
    model = build_model(config, device=part.device)
    with _feeds(part, config, model) as feeds:
        run = Run(model, feeds, config, RunFolder(folder))
        if half:
            run.resume(half)
        run.train(Progress(config.n_steps, quiet=True))
    return run


def _feeds(part: Part, config: RunConfig, model: Any) -> Feeds:
    sources = open_feeds(config.data, model.arrays, config.img_size)
    return Feeds(sources, model.arrays, config.batch_size, config.seed, device=part.device)


def _weights(run: Run) -> np.ndarray:
    return np.concatenate([to_numpy(net.parameters().values) for net in run.model.networks.values()])


def train(part: Part, seconds: float) -> None:
    """Train DCGAN on the digits for this many seconds, then save a picture of samples and check their diversity."""
    config = SMALL if part.rehearsal else DIGITS
    gan, steps, said, measured = build_model(config, device=part.device), 0, 0.0, {}
    with _feeds(part, config, gan) as feeds:
        _step(part, gan, feeds, 0)  # compiles kernels
        part.device.synchronize()
        start = time.monotonic()
        elapsed = 0.0
        while elapsed < seconds:
            for step in range(steps, steps + EVERY):
                measured = _step(part, gan, feeds, 1 + step)
            steps += EVERY
            losses = {name: float(to_numpy(value)) for name, value in measured.items()}
            elapsed = time.monotonic() - start
            if not np.isfinite(list(losses.values())).all():
                part.fail(f"a loss isn't finite after {steps} steps: {losses}")
                return
            if elapsed >= said:
                part.say(f"{elapsed:5.1f} s, {steps} steps: " + ", ".join(f"{n} {v:.3f}" for n, v in losses.items()))
                said += seconds / 6
    pictures = to_numpy(gan.generate(gan.latent(64, part.device.rng([0, 2]))))
    digits = feeds.sources["data"].read(np.arange(256))["real"]
    path, diversity = part.out / "dcgan.png", float(pictures.std(axis=0).mean())
    save_image(grid(pictures), path)
    part.say(f"{steps} steps of {config.batch_size} in {elapsed:.1f} s, {1e3 * elapsed / steps:.2f} ms a step; {path}")
    part.say(f"standard deviation between pictures: {diversity:.3f}; between digits: {digits.std(axis=0).mean():.3f}")
    if not part.rehearsal and not diversity > DIVERSE:
        part.fail("the pictures are all alike")


def _step(part: Part, gan: Any, feeds: Feeds, step: int) -> dict[str, Any]:
    """Run a step with its own random generator, as in a run."""
    now = Now(step, feeds.position, np.random.default_rng([0, step]))
    return gan.step(feeds.next, part.device.rng([0, 1, step]), now)
