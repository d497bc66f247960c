"""The loop around a model: it makes steps, and records, shows, judges and saves what is due.

It knows of a model what `minigan.model.Model` declares and no more. Nothing that it does between two steps acts on
training: a record waits for the device, a step doesn't.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from minigan.data import Feeds, NothingHeldOut
from minigan.model import Exhibit
from minigan.training.checkpoint import Checkpoint, NotFiniteError, save_checkpoint
from minigan.training.curves import draw_run
from minigan.training.declared import Declared
from minigan.training.doctor import Doctor
from minigan.training.folder import RunFolder
from minigan.training.frozen import load_frozen, save_frozen
from minigan.training.gallery import Gallery
from minigan.training.judges import Best, OwnJudge, modes_found, modes_judge
from minigan.training.progress import Interrupts, Progress, count_steps, peak_bytes, resume_command
from minigan.training.recorder import fetch_norms
from minigan.training.recovery import Memory
from minigan.training.report import Report, Status
from minigan.training.settings import RunConfig, TrainingError
from minigan.training.stepper import Stepper

RECORD_INTERVAL = 10  # steps; a record is the mean over them
EARLY = (20, 50, 100, 200, 400)  # steps that are shown however far apart other exhibits are: a first look soon


class Run:
    """Trains `model` on `feeds` and keeps everything in `folder`.

    judges: asked every `eval_interval` steps, besides the model's own judgements on `held_out`, items that training
    doesn't see. A doctor looks at the measures and the exhibits as they come.
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
        own = [OwnJudge(model, held_out, config.seed)] if model.judgements else []
        self.judges, self.counter = [*own, *judges], modes_judge(model, feeds, config.seed)
        judgements = {key: one for judge in self.judges for key, one in judge.judgements.items()}
        told = judgements | (self.counter.judgements if self.counter else {})
        self.declared = Declared.of(model, told)
        centers = self.counter.centers if self.counter else None
        self.gallery = Gallery(model, feeds, config, folder, held_out, centers)
        self.stepper = Stepper(model, feeds, config, Doctor(model, config, self.gallery.real))
        self.memory, self.best = Memory(self.stepper), Best(judgements)
        self.report = Report(folder, config, self.declared)
        self.begun = False  # whether the folder is this run's, to be written into
        self.saved_step = 0
        self.record: dict[str, Any] = {}  # the newest one
        self._started = self._record_start = 0.0  # times; the second is moved by what isn't training
        self._record_position = 0

    def train(self, progress: Progress) -> int:
        """Train until `config.n_steps`. Returns 0, or the number of the signal that ended it before.

        Whether it ends or is ended, a checkpoint is saved. If a number isn't finite any more, the run goes back to the
        last checkpoint with `on_nan="rollback"`; else, or after some times, TrainingError is raised, which says where
        the number came from. The folder is made when the first step has gone well.
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
                        where = self.folder if self.begun else None
                        self.memory.recover(problem, where, self.saved_step, progress, interrupts)
                        if self.begun:
                            self.save()  # so that a run that is killed now remembers it, too
            if not self.stepper.finished:
                self._conclude("interrupted")
        except Exception as error:
            if self.begun:
                with suppress(OSError):  # the disk may be what is wrong
                    self.write_report("stopped", str(error))
            raise
        finally:
            self.folder.unlock()
        return 0 if self.stepper.finished else interrupts.signal

    def _train(self, progress: Progress, interrupts: Interrupts) -> None:
        """Make steps until the last one, or until a signal asks for an end."""
        first = self.gallery.show() if self.stepper.step == 0 else {}  # shown now, written after the first step
        self.memory.keep()
        now = time.perf_counter()
        self._started, self._record_start = now - self.stepper.seconds, now
        self._record_position = self.feeds.position
        new = True
        while not self.stepper.finished:
            self.stepper.advance()
            progress.advance()
            if new:
                self._begin(first)
            step, new = self.stepper.step, False
            last = self.stepper.finished or interrupts.signal
            self.stepper.seconds = time.perf_counter() - self._started
            looking = self._due(self.config.sample_interval)  # at equal distances, because the doctor counts signs
            showing = looking or step in EARLY
            shown = self.gallery.show() if showing else {}
            judged = self.judge(progress) if self._due(self.config.eval_interval) else {}
            if showing or judged or self._due(RECORD_INTERVAL) or self.stepper.at_boundary:
                found = self.look_at(shown, progress) if looking else {}
                self.close_record(found | judged, progress)
                if showing or judged:
                    progress.line(self.record)
            self.gallery.keep(shown, step)
            best = self.best.update(judged, step)
            if self.stepper.finished:  # before the last checkpoint: with that, nothing is left to be done
                self._conclude("finished")
            if self._due(self.config.checkpoint_interval) or last or best or self.stepper.at_boundary:
                self.save(best)
            if showing and not last:
                self.write_report("running")
            if last:
                return

    def _due(self, interval: int | None) -> bool:
        """Whether a task that is done every `interval` steps is due. After the last step, every task is."""
        return interval is not None and (self.stepper.step % interval == 0 or self.stepper.finished)

    def look_at(self, shown: dict[str, Exhibit], progress: Progress) -> dict[str, Any]:
        """What can be told of exhibits: their diversity, and the modes among points."""
        if not shown:
            return {}
        found = self.counter(self.model) if self.counter else {}
        if self.counter:
            progress.note = modes_found(found, len(self.counter.centers))
        more, notes = self.stepper.doctor.look_at(self.stepper.step, shown)
        self.stepper.notes += notes
        return found | more

    def judge(self, progress: Progress) -> dict[str, float]:
        """Ask all judges. The time that it takes doesn't count as time of training on samples."""
        start = time.perf_counter()
        found = {name: value for judge in self.judges for name, value in judge(self.model).items()}
        progress.note = f"{self.best.describe(found)} at {self.stepper.step}"  # it stays while others come
        self._record_start += time.perf_counter() - start
        return found

    def close_record(self, found: dict[str, Any], progress: Progress) -> None:
        """Write down the means of the measures of the steps since the last record, and what else was found."""
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
        self.memory.keep_now_and_then()

    def save(self, best: bool = False) -> None:
        """Save a checkpoint, two if it is the best or ends a phase, and delete the oldest.

        Those come first: a run that is killed before the other is there will find them again. Raises NotFiniteError if
        a number isn't finite.
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
        """Go on from a checkpoint of this folder. Whatever came after it there is forgotten.

        Raises CheckpointError if it doesn't fit the model, TrainingError if there is nothing left to do.
        """
        if checkpoint.state["step"] >= self.config.n_steps:
            steps = count_steps(checkpoint.state["step"])
            raise TrainingError(f"{self.folder.path} has {steps} behind it: give a larger `n_steps` or `n_epochs`")
        self.folder.lock()
        self.begun = True
        self._declare(Declared.read(self.folder.declared).exhibits)
        load_frozen(self.folder, self.model)
        self.stepper.restore(checkpoint)
        self.folder.forget_after(self.stepper.step)
        self.saved_step = self.stepper.step
        self.best.load(self.folder, self.config.model)

    def write_report(self, phase: str, reason: str = "") -> None:
        """Write report.html."""
        goes_on = self.saved_step and phase in ("interrupted", "stopped")
        go_on = resume_command(self.folder.path) if goes_on else ""
        self.report.write(Status(phase, self.stepper.step, self.stepper.seconds, peak_bytes(), reason, go_on))

    def _begin(self, first: dict[str, Exhibit]) -> None:
        """After the first step: write the settings, and what the folder has from its beginning."""
        self.stepper.recorder.fetch()
        self.folder.create(self.config)
        if not self.begun:
            self._declare(first)
            save_frozen(self.folder, self.model)
        self.declared.write(self.folder.declared)
        self.begun = True
        self.gallery.keep(first, 0)

    def _declare(self, exhibits: Iterable[str]) -> None:
        """Remember the names of the exhibits, for the page."""
        self.declared = self.report.declared = replace(self.declared, exhibits=tuple(exhibits))

    def _conclude(self, phase: str) -> None:
        """Draw the curves and the films, and write the page, at the end of a run or of a part of it."""
        config, data = self.config, ", ".join(source.name for source in self.feeds.sources.values())
        judged_by = f"{config.eval_samples:,} samples, features of {config.eval_features}"
        draw_run(self.folder, self.declared, f"{config.model} on {data}", judged_by if config.eval_features else "")
        self.write_report(phase)
