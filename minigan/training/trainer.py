"""The loop around a GAN.

It knows of a GAN what docs/architecture.md promises and no more: `step` makes one update and returns its measures as
0-d arrays, which stay on the device until a record is made of them.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from minigan.backend import array_module, to_numpy
from minigan.data import Batches, Dataset, PointDataset
from minigan.errors import CheckpointError
from minigan.metrics import modes_and_quality
from minigan.training import pictures
from minigan.training.checkpoint import Checkpoint, load_checkpoint, load_rng, save_checkpoint, save_rng
from minigan.training.evaluation import Judge
from minigan.training.progress import Interrupts, Progress, count_steps
from minigan.training.run import (
    COUNTED_LATENTS,
    DECAYS,
    FIXED_LATENTS,
    JUDGED_LATENTS,
    TRAINING,
    RunConfig,
    RunFolder,
    TrainingError,
)

RECORD_INTERVAL = 10  # steps; a record is the mean over them
PICTURES, POINTS = 64, 1000  # samples in a picture of the run
ROWS, MOST_COLUMNS = 8, 16  # of the picture of a conditional run, which has a column for every class if they are few
COUNTED = 10_000  # points among which modes are counted
LOSS_NAMES = {"d_loss": "the discriminator's loss", "g_loss": "the generator's loss"}


class Trainer:
    """Trains `gan` on `batches` and keeps everything in `folder`.

    `step` counts the generator's updates since the beginning of the run. `dataset` is what the batches are made of:
    points are drawn over some of it. A conditional GAN gets labels with its batches. If the GAN averages its weights,
    the average follows every step, and draws the pictures. A judge measures them every `eval_interval` steps.
    """

    def __init__(
        self,
        gan: Any,
        dataset: Dataset,
        batches: Batches,
        config: RunConfig,
        folder: RunFolder,
        judge: Judge | None = None,
    ) -> None:
        self.gan, self.dataset, self.batches, self.config, self.folder = gan, dataset, batches, config, folder
        self.judge, self.best_fid, self.best_step = judge, float("inf"), 0
        self.rng = gan.device.rng([config.seed, TRAINING])
        self._next_batch = batches.next_with_labels if gan.n_classes else batches.__next__
        self.columns = class_columns(gan)
        latents = POINTS if len(config.shape) == 1 else ROWS * self.columns if self.columns else PICTURES
        self.latents = gan.latent(latents, gan.device.rng([config.seed, FIXED_LATENTS]))
        self._lr = {name: optimizer.lr for name, optimizer in gan.optimizers.items()}
        self._decay = DECAYS[config.lr_decay](config.n_steps)
        self.step, self.saved_step, self.seconds = 0, 0, 0.0
        self.record: dict[str, Any] = {}  # the newest one
        self._measured: list[dict[str, Any]] = []  # what the steps since then returned
        self._record_start = (time.perf_counter(), batches.position)

    def train(self, progress: Progress) -> int:
        """Train until `config.n_steps`. Returns 0, or the number of the signal that ended it before.

        Whether it ends or is ended, a checkpoint is saved. Raises TrainingError if a loss isn't finite any more; then
        the last checkpoint is left as it is. The folder is made when the first step has gone well.
        """
        with Interrupts() as interrupts, np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            start = time.perf_counter() - self.seconds
            before = self.picture() if self.step == 0 else None
            self._record_start = (time.perf_counter(), self.batches.position)
            self._advance(progress)
            self._check_finite(*self._fetch())
            self.folder.create(self.config)
            if before is not None:
                self.folder.add_sample(0, before)
            while True:
                last = self.step >= self.config.n_steps or interrupts.signal
                self.seconds = time.perf_counter() - start
                self._write(progress, last)
                if last:
                    break
                self._advance(progress)
            judged_by = f"{self.config.eval_samples:,} samples, features of {self.config.eval_features}"
            self.folder.draw(f"{self.config.model} on {self.dataset.name}", judged_by)
        return interrupts.signal

    def _advance(self, progress: Progress) -> None:
        for name, optimizer in self.gan.optimizers.items():
            optimizer.lr = self._lr[name] * self._decay(self.step)
        self._measured.append(self.gan.step(self._next_batch, self.rng))
        if self.gan.average is not None:
            self.gan.average.update()
        self.step += 1
        progress.advance()

    def _write(self, progress: Progress, last: bool | int) -> None:
        """Record, draw and save whatever is due at this step."""
        finished = self.step >= self.config.n_steps
        sample = self.step % self.config.sample_interval == 0 or finished
        checkpoint = self.step % self.config.checkpoint_interval == 0 or last
        judge = self.judge and (self.step % self.config.eval_interval == 0 or finished)
        if self.step % RECORD_INTERVAL == 0 or sample or checkpoint or judge:
            found = self._count_modes() if sample else {}
            if found:
                progress.note = modes_found(found, len(self.dataset.centers))
            if judge:
                found = self._evaluate()
                progress.note = f"FID {found['fid']:.2f}"
            self._record(found)
            progress.show(self.record)
        if sample or judge:
            progress.line(self.record)
        if sample:
            self.folder.add_sample(self.step, self.picture())
        best = judge and self.record["fid"] < self.best_fid
        if checkpoint or best:
            self.save()
        if best:
            self.best_fid, self.best_step = self.record["fid"], self.step
            self.folder.keep_best()

    def _record(self, found: dict[str, Any]) -> None:
        """Write down the means of the measures of the steps since the last record, and what else was found."""
        names, values = self._fetch()
        self._check_finite(names, values)
        now, position = time.perf_counter(), self.batches.position
        samples = (position - self._record_start[1]) * self.config.batch_size
        self.record = {
            "step": self.step,
            "epoch": round(position / self.batches.batches_per_epoch, 3),
            "seconds": round(self.seconds, 3),
            **{name: float(mean) for name, mean in zip(names, values.mean(axis=0), strict=True)},
            "pictures_per_second": round(samples / max(now - self._record_start[0], 1e-9), 1),
            **found,
        }
        self.folder.add_record(self.record)
        self._measured, self._record_start = [], (now, position)

    def _fetch(self) -> tuple[list[str], np.ndarray]:
        """Fetch the measures of the steps since the last record from the device: names, values (steps, names)."""
        names = list(self._measured[0])
        arrays = [measured[name] for measured in self._measured for name in names]
        return names, to_numpy(array_module(arrays[0]).stack(arrays)).reshape(-1, len(names))

    def _check_finite(self, names: list[str], values: np.ndarray) -> None:
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            row, column = bad[0]
            step, name = self.step - len(values) + 1 + row, LOSS_NAMES.get(names[column], names[column])
            kept = f"the checkpoint of step {self.saved_step} is kept in {self.folder.path}"
            raise TrainingError(
                f"{name} became {values[row, column]:.0f} at step {step}: try a smaller --lr or another --seed; "
                + (kept if self.saved_step else "no checkpoint had been saved yet")
            )

    def picture(self) -> Any:
        """Draw what the generator makes of the fixed latents."""
        samples = to_numpy(self.gan.generate(self.latents))
        if samples.ndim == 4:
            return pictures.grid(samples, self.columns)
        real = self.dataset.batch(np.arange(min(POINTS, len(self.dataset))))
        return pictures.scatter(samples, real, getattr(self.dataset, "centers", None))

    def _count_modes(self) -> dict[str, Any]:
        """Count modes among points from latents that are the same every time; nothing where there are none to count."""
        if not isinstance(self.dataset, PointDataset):
            return {}
        z = self.gan.latent(COUNTED, self.gan.device.rng([self.config.seed, COUNTED_LATENTS]))
        points = to_numpy(self.gan.generate(z))
        modes, quality = modes_and_quality(points, self.dataset.centers, self.dataset.std)
        return {"modes": modes, "quality": round(quality, 4)}

    def _best_before(self) -> tuple[float, int]:
        """FID and step of best.npz; if there is none, or it can't be read, there has been no best one."""
        try:
            step = load_checkpoint(self.folder.best, self.config.model).state["step"]
        except CheckpointError:
            return float("inf"), 0
        fids = [record["fid"] for record in self.folder.records() if record["step"] == step and "fid" in record]
        return (fids[0], step) if fids else (float("inf"), 0)

    def _evaluate(self) -> dict[str, float]:
        """Measure the generator. The time that it takes doesn't count as time of training on pictures."""
        start = time.perf_counter()
        found = self.judge(self.gan, [self.config.seed, JUDGED_LATENTS])
        began, position = self._record_start
        self._record_start = (began + time.perf_counter() - start, position)
        return found

    def save(self) -> None:
        """Save a checkpoint."""
        self.rng, rng_state = save_rng(self.rng, self.gan.device, [self.config.seed, TRAINING, self.step])
        state = {
            "model": self.config.model,
            "step": self.step,
            "position": self.batches.position,
            "seconds": self.seconds,
            "rng": rng_state,
        }
        save_checkpoint(self.folder.checkpoint, self.gan, state)
        self.saved_step = self.step

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint; the batches must start at its position.

        Raises CheckpointError if it doesn't fit the model, TrainingError if there is nothing left to do.
        """
        state = checkpoint.state
        if state["step"] >= self.config.n_steps:
            steps = count_steps(state["step"])
            raise TrainingError(f"{self.folder.path} has {steps} behind it: give a larger --n-steps or --n-epochs")
        checkpoint.restore(self.gan)
        self.rng = load_rng(state["rng"], self.gan.device)
        self.step = self.saved_step = state["step"]
        self.seconds = state["seconds"]
        self.folder.forget_after(self.step)
        self.best_fid, self.best_step = self._best_before()


def class_columns(gan: Any) -> int | None:
    """The columns of a grid in which each holds one class; None for a grid that is about square."""
    return gan.n_classes if 0 < gan.n_classes <= MOST_COLUMNS else None


def modes_found(found: dict[str, Any], of: int) -> str:
    """The modes and the quality of points, for people."""
    return f"modes {found['modes']} of {of}, good {100 * found['quality']:.0f} %"
