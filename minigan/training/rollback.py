"""Recovery from NaN and infinity: finds their origin, and rolls the run back if that was requested.

Losses are checked only every tenth step, when a NaN has already spread through all layers. Therefore snapshots of the
state are taken while all numbers are finite. To find the origin, the steps since the last snapshot are repeated with
every array checked. Steps are deterministic, so the NaN occurs again. The failed step is saved to failure.npz, with its
data, for `minigan replay`.
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
from minigan.training.folder import RunFolder
from minigan.training.npz_files import save_failure
from minigan.training.progress import Interrupts, Progress
from minigan.training.settings import TrainingError
from minigan.training.stepper import Stepper

SHARE = 0.005  # of the running time that snapshots may take
MOST_ROLLBACKS, SMALLER = 3, 0.3  # rollbacks of a run, and the factor on the learning rate with each of them


class Snapshots:
    """Snapshots of the state of a run in memory: `latest`, and `initial`, where the run was started or resumed."""

    def __init__(self, stepper: Stepper) -> None:
        self.stepper = stepper
        self.latest: Any = None  # a Checkpoint, after the first `take`
        self.initial: Any = None
        self._taken, self._duration = 0.0, 0.0

    def take(self) -> None:
        """Take a snapshot. Raises NotFiniteError if a number isn't finite, TrainingError for the first snapshot."""
        start = time.perf_counter()
        state = self.stepper.snapshot()
        try:
            check_finite(state.arrays, self.stepper.step)
        except NotFiniteError as problem:
            if self.latest is None:
                raise TrainingError(f"{problem}: a model must begin with finite numbers") from problem
            raise
        self.latest, self.initial = state, self.initial or state
        self._taken = time.perf_counter()
        self._duration = self._taken - start

    def take_if_due(self) -> None:
        """Take a snapshot, unless snapshots would then take more than SHARE of the time."""
        if time.perf_counter() - self._taken > self._duration / SHARE:
            self.take()

    def recover(
        self, problem: NotFiniteError, folder: RunFolder | None, saved_step: int, progress: Progress, stop: Interrupts
    ) -> None:
        """Find the origin of a number that isn't finite, and roll back to the last checkpoint if `on_nan` requests it.

        `folder` is None before the folder is created, and `saved_step` is 0 before the first checkpoint. Raises
        TrainingError with `on_nan="stop"`, and after `MOST_ROLLBACKS` rollbacks.
        """
        stepper = self.stepper
        factor, rollbacks = stepper.lr_factor * SMALLER, stepper.rollbacks + 1
        progress.say("searching for the layer in which it began")
        finding, saved = self.find_origin(problem.step, folder, lambda: bool(stop.signal))
        what = f"{problem}: {finding.sentence}" if finding else str(problem)
        if stepper.config.on_nan == "stop" or rollbacks > MOST_ROLLBACKS:
            hint, kept = "try a smaller `lr` or another `seed`", "no checkpoint had been saved yet"
            if folder and saved:
                hint += f", and see minigan replay {shlex.quote(str(folder.failure))}"
            if folder and folder.checkpoints():
                kept = f"the checkpoint of step {saved_step} is kept in {folder.path}"
            raise TrainingError(f"{what}; {hint}; {kept}")
        stepper.restore(self.newest_good(folder, saved_step))
        stepper.lr_factor, stepper.rollbacks = factor, rollbacks
        then = f"rolled back to step {stepper.step}, with the learning rate reduced to {factor:.2g} of its value"
        stepper.notes.append(Note("not finite", f"{what}; {then}"))
        progress.go_back(stepper.step)
        if folder:
            folder.forget_after(stepper.step)

    def find_origin(
        self, step: int, folder: RunFolder | None, stopped: Callable[[], bool]
    ) -> tuple[Finding | None, bool]:
        """Repeat the steps from the latest snapshot up to `step`, and search for the first number that isn't finite.

        Returns the finding, and whether failure.npz was written into `folder`. The finding is None if all numbers are
        finite this time, or once `stopped()` is true. The stepper is left in an undefined state.
        """
        stepper = self.stepper
        stepper.restore(self.latest)
        while stepper.step < step and not stopped():
            before = stepper.snapshot()
            outcome, batches = stepper.with_batches(lambda *step: first_not_finite(stepper.model, *step))
            if isinstance(outcome, Finding):
                return outcome, folder is not None and self._save_failure(folder, before, batches)
            stepper.end_step(outcome)
        return None, False

    def _save_failure(self, folder: RunFolder, before: Checkpoint, batches: list) -> bool:
        """Write failure.npz; return whether that succeeded."""
        try:
            self.stepper.restore(before)
            save_failure(folder.failure, self.stepper.model, before.state, batches)
        except (CheckpointError, OSError):  # the state before the step isn't finite, or the disk is full
            return False
        return True

    def newest_good(self, folder: RunFolder | None, saved_step: int) -> Checkpoint:
        """Return the newest checkpoint if this run has saved one, else the initial snapshot."""
        paths = folder.checkpoints() if folder else []
        try:
            if saved_step and paths:
                return load_newest(paths, self.stepper.config.model)
        except CheckpointError:
            pass
        return self.initial
