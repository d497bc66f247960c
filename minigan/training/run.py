"""The training loop: it runs the steps, and writes records, exhibits, judgements and checkpoints when they are due.

The loop uses only the interface in `minigan.model.Model`. Nothing between two steps changes the course of training.
Writing a record synchronizes with the device; a step doesn't.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from minigan.data import Feeds, NothingHeldOut
from minigan.model import Exhibit, can
from minigan.training.checkpoint import Checkpoint, NotFiniteError, save_checkpoint
from minigan.training.curves import draw_run
from minigan.training.declared import Declared
from minigan.training.doctor import Doctor
from minigan.training.folder import RunFolder
from minigan.training.gallery import Gallery
from minigan.training.judges import Best, describe_modes, modes_judge
from minigan.training.npz_files import load_frozen, save_frozen
from minigan.training.progress import Interrupts, Progress, count_steps, peak_bytes, resume_command
from minigan.training.records import fetch_norms
from minigan.training.report import Report, Status
from minigan.training.rollback import Snapshots
from minigan.training.settings import RunConfig, TrainingError
from minigan.training.stepper import Stepper
from minigan.training.translation_judges import held_out_judges

RECORD_INTERVAL = 10  # steps; a record is the mean over them
EARLY = (20, 50, 100, 200, 400)  # steps with exhibits besides those of `sample_interval`, for an early impression


class Run:
    """Trains `model` on `feeds` and writes all results into `folder`.

    judges:   evaluations that run every `eval_interval` steps, besides those of the model's translations and its own
    held_out: items excluded from training, for these
    """

    def __init__(
        self,
        model: Any,
        feeds: Feeds,
        config: RunConfig,
        folder: RunFolder,
        judges: Sequence[Any] = (),
        held_out: Sequence[dict[str, Any]] = NothingHeldOut(),
    ) -> None:
        self.model, self.feeds, self.config, self.folder = model, feeds, config, folder
        self.judges = [*held_out_judges(model, held_out, config), *judges]
        self.counter = modes_judge(model, feeds, config.seed)
        judgements = {key: one for judge in self.judges for key, one in judge.judgements.items()}
        self.declared = Declared.of(model, judgements | (self.counter.judgements if self.counter else {}))
        centers = self.counter.centers if self.counter else None
        self.gallery = Gallery(model, feeds, config, folder, held_out, centers)
        self.stepper = Stepper(model, feeds, config, Doctor(model, config, self.gallery.real))
        self.snapshots, self.best = Snapshots(self.stepper), Best(judgements)
        self.report = Report(folder, config, self.declared)
        self.created = False  # whether the folder belongs to this run and may be written into
        self.saved_step = 0
        self.record: dict[str, Any] = {}  # the newest one
        self._started, self._record_start, self._record_position = 0.0, 0.0, 0  # the second excludes evaluations

    def train(self, progress: Progress) -> int:
        """Train until `config.n_steps`. Returns 0, or the number of the signal that interrupted training.

        A checkpoint is saved in both cases. After an infinite number or NaN, the run returns to its last checkpoint if
        `on_nan` is "rollback". Otherwise, or after `MOST_ROLLBACKS` rollbacks, TrainingError names the origin of the
        number. The folder is created after the first successful step.
        """
        try:
            with Interrupts() as interrupts, np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                if self.stepper.step == 0 and not self.stepper.rollbacks:
                    self.stepper.notes += self.stepper.doctor.at_start()
                while True:
                    try:
                        self._train(progress, interrupts)
                        break
                    except NotFiniteError as problem:
                        where = self.folder if self.created else None
                        self.snapshots.recover(problem, where, self.saved_step, progress, interrupts)
                        if self.created:
                            self.save()  # the rollback must survive if the process is killed now
            if not self.stepper.finished:
                self._draw_and_report("interrupted")
        except Exception as error:
            if self.created:
                with suppress(OSError):  # the disk may be the cause of the error
                    self.write_report("stopped", str(error))
            raise
        finally:
            self.folder.unlock()
        return 0 if self.stepper.finished else interrupts.signal

    def _train(self, progress: Progress, interrupts: Interrupts) -> None:
        """Run steps until the last one, or until a signal requests the end."""
        first = self.gallery.show() if self.stepper.step == 0 else {}  # drawn now, written after the first step
        self.snapshots.take()
        now = time.perf_counter()
        self._started, self._record_start = now - self.stepper.seconds, now
        self._record_position = self.feeds.position
        new = True
        while not self.stepper.finished:
            self.stepper.advance()
            progress.advance()
            if new:
                self._create_folder(first)
            step, new = self.stepper.step, False
            last = self.stepper.finished or interrupts.signal
            self.stepper.seconds = time.perf_counter() - self._started
            inspecting = self._due(self.config.sample_interval)  # at a constant interval: the doctor counts signs
            showing = inspecting or step in EARLY
            shown = self.gallery.show() if showing else {}
            judged = self.judge(progress) if self._due(self.config.eval_interval) else {}
            if showing or judged or self._due(RECORD_INTERVAL) or self.stepper.at_boundary:
                found = self.inspect(shown, progress) if inspecting else {}
                self.close_record(found | judged, progress)
                if showing or judged:
                    progress.line(self.record)
            self.gallery.keep(shown, step)
            best = self.best.update(judged, step)
            if self.stepper.finished:  # before the last checkpoint, which marks the run as complete
                self.gallery.compare(shown, step)
                self._draw_and_report("finished")
            if self._due(self.config.checkpoint_interval) or last or best or self.stepper.at_boundary:
                self.save(best)
            if showing and not last:
                self.write_report("running")
            if last:
                return

    def _due(self, interval: int | None) -> bool:
        """Whether a periodic task is due. After the last step, every task is due unless `interval` is None."""
        return interval is not None and (self.stepper.step % interval == 0 or self.stepper.finished)

    def inspect(self, shown: dict[str, Exhibit], progress: Progress) -> dict[str, Any]:
        """Return the diversity of the exhibits and, for points, the number of modes; collect the doctor's notes."""
        if not shown:
            return {}
        found = self.counter(self.model) if self.counter else {}
        if self.counter:
            progress.note = describe_modes(found, len(self.counter.centers))
        more, notes = self.stepper.doctor.inspect(self.stepper.step, shown)
        self.stepper.notes += notes
        return found | more

    def judge(self, progress: Progress) -> dict[str, float]:
        """Return the numbers of all judges. The time they take doesn't count for the samples per second."""
        start = time.perf_counter()
        found = {name: value for judge in self.judges for name, value in judge(self.model).items()}
        value = self.best.describe(found)
        progress.note = f"{value} at {self.stepper.step}" if value else ""  # shown until the next evaluation
        self._record_start += time.perf_counter() - start
        return found

    def close_record(self, found: dict[str, Any], progress: Progress) -> None:
        """Append a record: the mean of each measure since the last record, norms, the doctor's notes, and `found`."""
        stepper, now, position = self.stepper, time.perf_counter(), self.feeds.position
        seconds = max(now - self._record_start, 1e-9)
        self.record = {
            "step": stepper.step,
            "epoch": round(position / self.feeds.epoch_length, 3),
            "seconds": round(stepper.seconds, 3),
            **({"phase": stepper.phase} if len(self.model.phases) > 1 else {}),
            **stepper.recorder.close(),
            "pictures_per_second": round((position - self._record_position) / seconds, 1),
            **found,
            **fetch_norms(stepper.doctor.measure(), self.model, stepper.step),
        }
        stepper.notes += stepper.doctor.check(self.record)
        if stepper.notes:
            self.record["notes"] = [asdict(note) for note in stepper.notes]
        for note in stepper.notes:
            progress.warn(stepper.step, note.sentence)
        self.folder.records.add(self.record)
        progress.show(self.record)
        stepper.notes, self._record_start, self._record_position = [], now, position
        self.snapshots.take_if_due()

    def save(self, best: bool = False) -> None:
        """Save a checkpoint, also as best.npz or at the end of a phase, and delete the oldest checkpoints.

        best.npz and the checkpoint of the phase are written first: if the process is killed before the regular
        checkpoint exists, the resumed run reaches this step again. Raises NotFiniteError if a number isn't finite.
        """
        state = self.stepper.state()
        self.folder.records.flush()
        path = self.folder.checkpoint(self.stepper.step)
        others = [self.folder.best] if best else []
        others += [self.folder.phase(self.stepper.phase)] if self.stepper.at_boundary else []
        first, *copies = [*others, path]
        save_checkpoint(first, self.model, state)
        for copy in copies:
            self.folder.copy(first, copy)
        self.saved_step = self.stepper.step
        self.folder.keep_newest(self.config.keep_checkpoints)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Resume from a checkpoint of this folder, and delete records and pictures of later steps.

        Raises CheckpointError if it doesn't fit the model, TrainingError if there is nothing left to do.
        """
        if checkpoint.state["step"] >= self.config.n_steps:
            steps = count_steps(checkpoint.state["step"])
            raise TrainingError(f"{self.folder.path} has already made {steps}: give a larger `n_steps` or `n_epochs`")
        self.folder.lock()
        self.created = True
        declared = Declared.read(self.folder.declared)
        self._declare(replace(self.declared, exhibits=declared.exhibits, tables=declared.tables))
        load_frozen(self.folder, self.model)
        self.stepper.restore(checkpoint)
        self.folder.forget_after(self.stepper.step)
        self.saved_step = self.stepper.step
        self.best.load(self.folder, self.config.model)

    def write_report(self, phase: str, reason: str = "") -> None:
        """Write report.html."""
        resumable = self.saved_step and phase in ("interrupted", "stopped")
        go_on = resume_command(self.folder.path) if resumable else ""
        self.report.write(Status(phase, self.stepper.step, self.stepper.seconds, peak_bytes(), reason, go_on))

    def _create_folder(self, first: dict[str, Exhibit]) -> None:
        """Create the folder after the first step: settings, declarations, frozen networks and the first exhibits."""
        self.stepper.recorder.fetch()
        self.folder.create(self.config)
        if not self.created:
            self._declare(self.declared.showing(first))
            save_frozen(self.folder, self.model)
        self.declared.write(self.folder.declared)
        self.created = True
        self.gallery.keep(first, 0)

    def _declare(self, declared: Declared) -> None:
        """Set the declarations, here and in the report."""
        self.declared = self.report.declared = declared

    def _draw_and_report(self, phase: str) -> None:
        """Draw the curves and the films, and write the page, when a run finishes or is interrupted."""
        config, data = self.config, ", ".join(source.name for source in self.feeds.sources.values())
        samples = f"{config.eval_samples:,} samples, " if can(self.model, "generate") else ""
        judged_by = f"{samples}features of {config.eval_features}"
        draw_run(self.folder, self.declared, f"{config.model} on {data}", judged_by if config.eval_features else "")
        self.write_report(phase)
