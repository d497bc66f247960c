"""The loop around a GAN.

It knows of a GAN what docs/architecture.md promises and no more: `step` makes one update and returns its measures as
0-d arrays, which stay on the device until a record is made of them.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np

from minigan import blas, threads
from minigan.backend import array_module, to_numpy
from minigan.data import Batches, Dataset, PointDataset
from minigan.errors import CheckpointError
from minigan.metrics import modes_and_quality
from minigan.training import pictures
from minigan.training.checkpoint import (
    Checkpoint,
    NotFiniteError,
    load_checkpoint,
    load_rng,
    save_checkpoint,
    save_rng,
)
from minigan.training.doctor import Doctor, Note
from minigan.training.evaluation import Judge
from minigan.training.progress import Interrupts, Progress, count_steps, peak_bytes, resume_command
from minigan.training.recovery import Memory, recover
from minigan.training.report import Report, Status, layer_names
from minigan.training.run import (
    COUNTED_LATENTS,
    DECAYS,
    FIXED_LATENTS,
    JUDGED_LATENTS,
    REAL_SAMPLES,
    TRAINING,
    RunConfig,
    RunFolder,
    TrainingError,
)

RECORD_INTERVAL = 10  # steps; a record is the mean over them
EARLY = (20, 50, 100, 200, 400)  # steps that are drawn however far apart other pictures are: a first look soon
PICTURES, POINTS = 64, 1000  # samples in a picture of the run
ROWS, MOST_COLUMNS = 8, 16  # of the picture of a conditional run, which has a column for every class if they are few
COUNTED = 10_000  # points among which modes are counted
STATES, MOMENTS = "running statistics", "optimiser's vectors"
LOSS_NAMES = {"d_loss": "the discriminator's loss", "g_loss": "the generator's loss"}


class Trainer:
    """Trains `gan` on `batches` and keeps everything in `folder`.

    `step` counts the generator's updates since the beginning of the run. `dataset` is what the batches are made of:
    points are drawn over some of it. A conditional GAN gets labels with its batches. If the GAN averages its weights,
    the average follows every step, and draws the pictures. A judge measures them every `eval_interval` steps, and a
    doctor looks at the measures and the pictures as they come.
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
        self.next_batch = batches.next_with_labels if gan.n_classes else batches.__next__
        self.columns = class_columns(gan)
        latents = POINTS if len(config.shape) == 1 else ROWS * self.columns if self.columns else PICTURES
        self.latents = gan.latent(latents, gan.device.rng([config.seed, FIXED_LATENTS]))
        self.doctor = Doctor(gan, config, self._some_real(latents))
        self.report = Report(folder, config, layer_names(gan))
        self.step, self.saved_step, self.seconds = 0, 0, 0.0
        self.begun = False  # whether the folder is this run's, to be written into
        self.lr_factor, self.rollbacks = 1.0, 0  # the factor falls with every rollback
        self.record: dict[str, Any] = {}  # the newest one
        self.notes: list[Note] = []  # for the next record
        self._lr = {name: optimizer.lr for name, optimizer in gan.optimizers.items()}
        self._decay = DECAYS[config.lr_decay](config.n_steps)
        self._measured: list[dict[str, Any]] = []  # what the steps since the newest record returned
        self._record_start = (time.perf_counter(), batches.position)
        self.memory = Memory(self)

    def train(self, progress: Progress) -> int:
        """Train until `config.n_steps`. Returns 0, or the number of the signal that ended it before.

        Whether it ends or is ended, a checkpoint is saved. If a number isn't finite any more, the run goes back to the
        last checkpoint with `on_nan="rollback"`; else, or after some times, TrainingError is raised, which says where
        the number came from. The folder is made when the first step has gone well.
        """
        try:
            with Interrupts() as interrupts, np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                if self.step == 0 and not self.rollbacks:
                    self.notes += self.doctor.at_start()
                while True:
                    try:
                        self._train(progress, interrupts)
                        break
                    except NotFiniteError as problem:
                        recover(self, problem, progress, interrupts)
            if self.step < self.config.n_steps:
                self._conclude("interrupted")
        except Exception as error:
            if self.begun:
                with suppress(OSError):  # the disk may be what is wrong
                    self.write_report("stopped", str(error))
            raise
        finally:
            self.folder.unlock()
        return interrupts.signal if self.step < self.config.n_steps else 0

    def _train(self, progress: Progress, interrupts: Interrupts) -> None:
        """Make steps until the last one, or until a signal asks for an end."""
        start = time.perf_counter() - self.seconds
        before = self.samples() if self.step == 0 else None
        self._record_start = (time.perf_counter(), self.batches.position)
        self.memory.keep()
        self.advance()
        progress.advance()
        self._check_finite(*self._fetch())
        self.folder.create(self.config)
        self.begun = True
        if before is not None:
            self.folder.add_sample(0, self.draw(before))
        while True:
            last = self.step >= self.config.n_steps or interrupts.signal
            self.seconds = time.perf_counter() - start
            self._write(progress, last)
            if last:
                break
            self.advance()
            progress.advance()

    def advance(self) -> None:
        """Make one step."""
        self.set_learning_rates()
        self._measured.append(self.gan.step(self.next_batch, self.rng))
        self.count_step()

    def set_learning_rates(self) -> None:
        """Give every optimiser its learning rate for the next step."""
        for name, optimizer in self.gan.optimizers.items():
            optimizer.lr = self._lr[name] * self._decay(self.step) * self.lr_factor

    def count_step(self) -> None:
        """What follows an update: the average of the weights, and the count."""
        if self.gan.average is not None:
            self.gan.average.update()
        self.step += 1

    def _write(self, progress: Progress, last: bool | int) -> None:
        """Record, draw and save whatever is due at this step."""
        finished = self.step >= self.config.n_steps
        regular = self.step % self.config.sample_interval == 0 or finished
        sample = regular or self.step in EARLY
        judge = self.judge and (self.step % self.config.eval_interval == 0 or finished)
        if self.step % RECORD_INTERVAL == 0 or sample or judge:
            samples = self.samples() if sample else None
            found = self._look_at(samples, progress) if regular else {}  # a sign is counted at equal distances
            if judge:
                found |= self._evaluate()
                progress.note = f"FID {found['fid']:.2f}"
            self._record(found, progress)
            if sample or judge:
                progress.line(self.record)
            if sample:
                self.folder.add_sample(self.step, self.draw(samples))
            self.memory.keep_now_and_then()
        best = judge and self.record["fid"] < self.best_fid
        if best:
            self.best_fid, self.best_step = self.record["fid"], self.step
        if finished:  # before the last checkpoint: with that, nothing is left to be done
            self._conclude("finished")
        if self.step % self.config.checkpoint_interval == 0 or last or best:
            self.save(best)
        if sample and not last:
            self.write_report("running")

    def _conclude(self, phase: str) -> None:
        """Draw the curves and the film, and write the page, at the end of a run or of a part of it."""
        judged_by = f"{self.config.eval_samples:,} samples, features of {self.config.eval_features}"
        self.folder.draw(f"{self.config.model} on {self.dataset.name}", judged_by)
        self.write_report(phase)

    def _look_at(self, samples: np.ndarray, progress: Progress) -> dict[str, Any]:
        """What can be told of the samples of the run's picture: their diversity, and the modes among points."""
        found = self._count_modes()
        if found:
            progress.note = modes_found(found, len(self.dataset.centers))
        diversity, notes = self.doctor.look_at(self.step, samples)
        self.notes += notes
        return found | ({"diversity": round(diversity, 4)} if np.isfinite(diversity) else {})

    def _record(self, found: dict[str, Any], progress: Progress) -> None:
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
            **self._fetch_norms(),
        }
        self.notes += self.doctor.check(self.record)
        if self.notes:
            self.record["notes"] = [asdict(note) for note in self.notes]
        for note in self.notes:
            progress.warn(self.step, note.sentence)
        self.folder.add_record(self.record)
        progress.show(self.record)
        self.notes, self._measured, self._record_start = [], [], (now, position)

    def _fetch(self) -> tuple[list[str], np.ndarray]:
        """Fetch the measures of the steps since the last record from the device: names, values (steps, names)."""
        names = list(self._measured[0])
        arrays = [measured[name] for measured in self._measured for name in names]
        return names, to_numpy(array_module(arrays[0]).stack(arrays)).reshape(-1, len(names))

    def _fetch_norms(self) -> dict[str, dict[str, float]]:
        """Fetch the norms of the last gradients by layer, and the sizes of the weights by network.

        Raises NotFiniteError if one isn't finite, or a running statistic or a moment, which no loss need know of.
        """
        measured = self.doctor.measure() | self._measure_states()
        arrays = list(measured.values())
        values = to_numpy(array_module(arrays[0]).stack(arrays))
        tables: dict[str, dict[str, float]] = {}
        for key, value in zip(measured, values, strict=True):
            table, _, name = key.partition(".")
            if not np.isfinite(value):
                raise NotFiniteError(f"the {table} of {name} became {value:.0f} by step {self.step}", self.step)
            if table not in (STATES, MOMENTS):
                tables.setdefault(table, {})[name] = float(f"{value:.4g}")
        return tables

    def _measure_states(self) -> dict[str, Any]:
        """A number for each network that is finite if all arrays are that its layers keep besides parameters.

        And one for the vectors of each optimiser: an infinite one of Adam's stops its weight without a word.
        """
        found = {}
        for name, network in self.gan.networks.items():
            states = [getattr(layer, state) for _, layer in network.walk() for state in layer.state_names]
            if states:
                found[f"{STATES}.{name}"] = sum(state.sum() for state in states)
        for name, optimizer in self.gan.optimizers.items():
            if optimizer.state_names:
                found[f"{MOMENTS}.{name}"] = sum(getattr(optimizer, state).sum() for state in optimizer.state_names)
        return found

    def _check_finite(self, names: list[str], values: np.ndarray) -> None:
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            row, column = bad[0]
            step, name = self.step - len(values) + 1 + int(row), LOSS_NAMES.get(names[column], names[column])
            raise NotFiniteError(f"{name} became {values[row, column]:.0f} at step {step}", step)

    def samples(self) -> np.ndarray:
        """What the generator makes of the fixed latents."""
        return to_numpy(self.gan.generate(self.latents))

    def draw(self, samples: np.ndarray) -> Any:
        """A picture of samples: a grid of pictures, or points over real ones."""
        if samples.ndim == 4:
            return pictures.grid(samples, self.columns)
        real = self.dataset.batch(np.arange(min(POINTS, len(self.dataset))))
        return pictures.scatter(samples, real, getattr(self.dataset, "centers", None))

    def _some_real(self, n: int) -> np.ndarray:
        """As many real samples as are drawn, from all over the data set: a folder may be sorted by class."""
        order = np.random.default_rng([self.config.seed, REAL_SAMPLES]).permutation(len(self.dataset))
        return self.dataset.batch(order[:n])

    def _count_modes(self) -> dict[str, Any]:
        """Count modes among points from latents that are the same every time; nothing where there are none to count."""
        if not isinstance(self.dataset, PointDataset):
            return {}
        z = self.gan.latent(COUNTED, self.gan.device.rng([self.config.seed, COUNTED_LATENTS]))
        points = to_numpy(self.gan.generate(z))
        modes, quality = modes_and_quality(points, self.dataset.centers, self.dataset.std)
        return {"modes": modes, "quality": round(quality, 4)}

    def _best_before(self) -> tuple[float, int]:
        """The lowest FID so far and its step; if best.npz can't be read, there has been no best one."""
        try:
            load_checkpoint(self.folder.best, self.config.model)
        except CheckpointError:
            return float("inf"), 0
        fids = [(record["fid"], record["step"]) for record in self.folder.records() if "fid" in record]
        return min(fids, default=(float("inf"), 0))

    def _evaluate(self) -> dict[str, float]:
        """Measure the generator. The time that it takes doesn't count as time of training on pictures."""
        start = time.perf_counter()
        found = self.judge(self.gan, [self.config.seed, JUDGED_LATENTS])
        began, position = self._record_start
        self._record_start = (began + time.perf_counter() - start, position)
        return found

    def state(self) -> dict[str, Any]:
        """Everything that a checkpoint holds besides arrays."""
        names, values = self._fetch() if self._measured else ([], np.empty((0, 0), np.float32))
        return {
            "model": self.config.model,
            "config": asdict(self.config),
            "step": self.step,
            "position": self.batches.position,
            "seconds": self.seconds,
            "rng": save_rng(self.rng, [self.config.seed, TRAINING, self.step]),
            "measured": {"names": names, "values": values.tolist(), "dtype": values.dtype.str},
            "lr_factor": self.lr_factor,
            "rollbacks": self.rollbacks,
            "doctor": self.doctor.state_dict(),
            "notes": [asdict(note) for note in self.notes],
            "threads": threads.count(),
            "blas": str(blas.describe()),
        }

    def save(self, best: bool = False) -> None:
        """Save a checkpoint, or two if it is the best, and delete the oldest.

        The best one comes first: a run that is killed before the other is there will find it the best again. Raises
        NotFiniteError if a number isn't finite.
        """
        if self._measured:
            self._check_finite(*self._fetch())
        self.folder.flush_records()
        path = self.folder.checkpoint(self.step)
        save_checkpoint(self.folder.best if best else path, self.gan, self.state())
        if best:
            self.folder.copy_best(path)
        self.saved_step = self.step
        self.folder.keep_newest(self.config.keep_checkpoints)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of this folder. Whatever came after it there is forgotten.

        Raises CheckpointError if it doesn't fit the model, TrainingError if there is nothing left to do.
        """
        if checkpoint.state["step"] >= self.config.n_steps:
            steps = count_steps(checkpoint.state["step"])
            raise TrainingError(f"{self.folder.path} has {steps} behind it: give a larger --n-steps or --n-epochs")
        self.folder.lock()
        self.begun = True
        self.restore(checkpoint)
        self.folder.forget_after(self.step)
        self.saved_step = self.step
        self.best_fid, self.best_step = self._best_before()

    def restore(self, checkpoint: Checkpoint) -> None:
        """Be where the run was when this checkpoint was made. Raises CheckpointError if it doesn't fit."""
        state = checkpoint.state
        try:
            measured = state["measured"]
            to_device = self.gan.device.array
            rows = [map(to_device, np.array(row, measured["dtype"])) for row in measured["values"]]
            self._measured = [dict(zip(measured["names"], row, strict=True)) for row in rows]
            self.notes = [Note(**note) for note in state["notes"]]
            self.doctor.load_state_dict(state["doctor"])
            self.lr_factor, self.rollbacks = float(state["lr_factor"]), int(state["rollbacks"])
            position = self._position(state)
        except (KeyError, TypeError, ValueError, AttributeError, CheckpointError) as error:
            raise CheckpointError(f"{checkpoint.path} is damaged: its state makes no sense") from error
        rng = load_rng(state["rng"], self.gan.device)
        checkpoint.restore(self.gan)
        self.rng = rng
        self.step, self.seconds = state["step"], state["seconds"]
        self.batches.seek(position)

    def _position(self, state: dict[str, Any]) -> int:
        """The batch to go on with: as many epochs on as at the checkpoint, which may have had another batch size."""
        before = max(1, state["config"]["samples"] // state["config"]["batch_size"])
        return int(state["position"]) * self.batches.batches_per_epoch // before

    def write_report(self, phase: str, reason: str = "") -> None:
        """Write report.html."""
        goes_on = self.saved_step and phase in ("interrupted", "stopped")
        go_on = resume_command(self.folder.path) if goes_on else ""
        self.report.write(Status(phase, self.step, self.seconds, peak_bytes(), reason, go_on))


def class_columns(gan: Any) -> int | None:
    """The columns of a grid in which each holds one class; None for a grid that is about square."""
    return gan.n_classes if 0 < gan.n_classes <= MOST_COLUMNS else None


def modes_found(found: dict[str, Any], of: int) -> str:
    """The modes and the quality of points, for people."""
    return f"modes {found['modes']} of {of}, good {100 * found['quality']:.0f} %"
