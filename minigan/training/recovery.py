"""When a number of a run is infinite or NaN: find out where it came from, and go back if that was asked for.

By the time that a loss is looked at, every tenth step, a NaN has gone through all layers. So a state is remembered from
a moment when all was well. From it the steps since then are made again, with every layer watched: a seed gives the same
steps every time, so the NaN comes again, and this time each number is looked at as it is made. The step with which it
began is kept in failure.npz, with its data, for `minigan replay`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from minigan.errors import CheckpointError
from minigan.training.checkpoint import Checkpoint, check_finite, load_newest
from minigan.training.failure import Finding, first_not_finite
from minigan.training.failure_file import save_failure
from minigan.training.folder import RunFolder
from minigan.training.stepper import Stepper

SHARE = 0.005  # of the time, at most, goes into remembering


class Memory:
    """A state of a run, kept in memory. `began` is the state before the first step, or where the run went on."""

    def __init__(self, stepper: Stepper) -> None:
        self.stepper = stepper
        self.state: Checkpoint | None = None
        self.began: Checkpoint | None = None
        self._kept, self._took = 0.0, 0.0

    def keep(self) -> None:
        """Remember the present state. Raises NotFiniteError if a number in it isn't finite."""
        start = time.perf_counter()
        state = self.stepper.present()
        check_finite(state.arrays, self.stepper.step)
        self.state, self.began = state, self.began or state
        self._kept = time.perf_counter()
        self._took = self._kept - start

    def keep_now_and_then(self) -> None:
        """Remember the present state, unless that has been done a short while ago."""
        if time.perf_counter() - self._kept > self._took / SHARE:
            self.keep()

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

    def last_good(self, folder: RunFolder, saved: bool) -> Checkpoint:
        """The newest checkpoint in the folder, if this run has saved one, or the state from which the run began."""
        paths = folder.checkpoints()
        try:
            if saved and paths:
                return load_newest(paths, self.stepper.config.model, lambda _: None)
        except CheckpointError:
            pass
        return self.began
