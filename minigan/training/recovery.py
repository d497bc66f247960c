"""When a number of a run is infinite or NaN: find out where it came from, and go back if that was asked for.

By the time that a loss is looked at, every tenth step, a NaN has gone through all layers. So a state is remembered from
a moment when all was well. From it the steps since then are made again, with every layer watched: a seed gives the same
steps every time, so the NaN comes again, and this time each number is looked at as it is made. The step with which it
began is kept in failure.npz, with its data, for `minigan replay`.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from typing import Any

from minigan.errors import CheckpointError
from minigan.training.checkpoint import Checkpoint, NotFiniteError, check_finite, load_newest
from minigan.training.doctor import Note
from minigan.training.failure import Finding, first_not_finite
from minigan.training.failure_file import save_failure
from minigan.training.folder import RunFolder
from minigan.training.progress import Interrupts, Progress
from minigan.training.settings import TrainingError
from minigan.training.stepper import Stepper

SHARE = 0.005  # of the time, at most, goes into remembering
MOST_ROLLBACKS, SMALLER = 3, 0.3  # times that a run goes back, each time with so much of the learning rate


class Memory:
    """A state of a run, kept in memory. `began` is the state before the first step, or where the run went on."""

    def __init__(self, stepper: Stepper) -> None:
        self.stepper = stepper
        self.state: Any = None  # a Checkpoint, from the first `keep` on
        self.began: Any = None
        self._kept, self._took = 0.0, 0.0

    def keep(self) -> None:
        """Remember the present state.

        Raises NotFiniteError if a number in it isn't finite, TrainingError if that is so from the beginning.
        """
        start = time.perf_counter()
        state = self.stepper.present()
        try:
            check_finite(state.arrays, self.stepper.step)
        except NotFiniteError as problem:
            if self.state is None:
                raise TrainingError(f"{problem}: a model must begin with finite numbers") from problem
            raise
        self.state, self.began = state, self.began or state
        self._kept = time.perf_counter()
        self._took = self._kept - start

    def keep_now_and_then(self) -> None:
        """Remember the present state, unless that has been done a short while ago."""
        if time.perf_counter() - self._kept > self._took / SHARE:
            self.keep()

    def recover(
        self, problem: NotFiniteError, folder: RunFolder | None, saved_step: int, progress: Progress, stop: Interrupts
    ) -> None:
        """Find the beginning of a number that isn't finite, and go back to the last checkpoint if the run is to do so.

        `folder` is None before the run has one, and `saved_step` 0 before its first checkpoint. Raises TrainingError if
        it isn't to go back, or has done so `MOST_ROLLBACKS` times.
        """
        stepper = self.stepper
        factor, rollbacks = stepper.lr_factor * SMALLER, stepper.rollbacks + 1
        progress.say("looking for the layer in which it began")
        finding, saved = self.find_beginning(problem.step, folder, lambda: bool(stop.signal))
        what = f"{problem}: {finding.sentence}" if finding else str(problem)
        if stepper.config.on_nan == "stop" or rollbacks > MOST_ROLLBACKS:
            hint, kept = "try a smaller `lr` or another `seed`", "no checkpoint had been saved yet"
            if folder and saved:
                hint += f", and see minigan replay {shlex.quote(str(folder.failure))}"
            if folder and folder.checkpoints():
                kept = f"the checkpoint of step {saved_step} is kept in {folder.path}"
            raise TrainingError(f"{what}; {hint}; {kept}")
        stepper.restore(self.last_good(folder, saved_step))
        stepper.lr_factor, stepper.rollbacks = factor, rollbacks
        then = f"gone back to step {stepper.step}, to go on with {factor:.2g} of the learning rate"
        stepper.notes.append(Note("not finite", f"{what}; {then}"))
        progress.go_back(stepper.step)
        if folder:
            folder.forget_after(stepper.step)

    def find_beginning(
        self, step: int, folder: RunFolder | None, stopped: Callable[[], bool]
    ) -> tuple[Finding | None, bool]:
        """Make the steps again from the remembered state up to `step`, and look for the first number that isn't finite.

        Returns what was found, and whether failure.npz was written into `folder`. Nothing is found if there is none
        this time, or `stopped` says so. The state of the stepper is spoilt.
        """
        stepper = self.stepper
        stepper.restore(self.state)
        while stepper.step < step and not stopped():
            before = stepper.present()
            outcome, batches = stepper.watched(lambda *step: first_not_finite(stepper.model, *step))
            if isinstance(outcome, Finding):
                return outcome, folder is not None and self._save_failure(folder, before, batches)
            stepper.count(outcome)
        return None, False

    def _save_failure(self, folder: RunFolder, before: Checkpoint, batches: list) -> bool:
        """Write failure.npz; return whether that could be done."""
        try:
            self.stepper.restore(before)
            save_failure(folder.failure, self.stepper.model, before.state, batches)
        except (CheckpointError, OSError):  # the state before the step isn't finite itself; a full disk
            return False
        return True

    def last_good(self, folder: RunFolder | None, saved_step: int) -> Checkpoint:
        """The newest checkpoint in the folder, if this run has saved one, or the state from which the run began."""
        paths = folder.checkpoints() if folder else []
        try:
            if saved_step and paths:
                return load_newest(paths, self.stepper.config.model)
        except CheckpointError:
            pass
        return self.began
