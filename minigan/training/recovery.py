"""When a number of a run is infinite or NaN: find out where it came from, and go back if that was asked for.

By the time that a loss is looked at, every tenth step, a NaN has gone through all layers. So the trainer remembers a
state from a moment when all was well, goes back to it, and makes the steps since then again, with every layer watched:
a seed gives the same steps every time, so the NaN comes again, and this time each number is looked at as it is made.
The step with which it began is kept in failure.npz, with its data, for `minigan replay`.
"""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

from minigan.errors import CheckpointError
from minigan.training.checkpoint import Checkpoint, NotFiniteError, check_finite, gan_arrays, load_newest
from minigan.training.doctor import Note
from minigan.training.failure import Finding, first_not_finite, save_failure
from minigan.training.progress import Interrupts, Progress
from minigan.training.run import TrainingError

SHARE = 0.005  # of the time, at most, goes into remembering
MOST_ROLLBACKS, SMALLER = 3, 0.3  # times that a run goes back, each time with so much of the learning rate


class Memory:
    """A state of a run, kept in memory. `began` is the state before the first step, or where the run went on."""

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer
        self.state: Checkpoint | None = None
        self.began: Checkpoint | None = None
        self._kept, self._took = 0.0, 0.0

    def keep(self) -> None:
        """Remember the present state. Raises NotFiniteError if a number in it isn't finite."""
        start = time.perf_counter()
        state = present(self.trainer)
        check_finite(state.arrays, self.trainer.step)
        self.state, self.began = state, self.began or state
        self._kept = time.perf_counter()
        self._took = self._kept - start

    def keep_now_and_then(self) -> None:
        """Remember the present state, unless that has been done a short while ago."""
        if time.perf_counter() - self._kept > self._took / SHARE:
            self.keep()


def present(trainer: Any) -> Checkpoint:
    """What a checkpoint would hold now."""
    return Checkpoint(Path("memory"), gan_arrays(trainer.gan), trainer.state())


def recover(trainer: Any, problem: NotFiniteError, progress: Progress, interrupts: Interrupts) -> None:
    """Find the beginning of a number that isn't finite, and go back to the last checkpoint if the run is to do so.

    Raises TrainingError if it isn't, or has done it `MOST_ROLLBACKS` times.
    """
    folder, factor, rollbacks = trainer.folder, trainer.lr_factor * SMALLER, trainer.rollbacks + 1
    progress.say("looking for the layer in which it began")
    finding, saved = find_beginning(trainer, problem.step, interrupts)
    what = f"{problem}: {finding.sentence}" if finding else str(problem)
    hint = "try a smaller --lr or another --seed"
    if saved:
        hint += f", and see minigan replay {shlex.quote(str(folder.failure))}"
    if trainer.config.on_nan == "stop" or rollbacks > MOST_ROLLBACKS:
        kept = "no checkpoint had been saved yet"
        if folder.checkpoints():
            kept = f"the checkpoint of step {trainer.saved_step} is kept in {folder.path}"
        raise TrainingError(f"{what}; {hint}; {kept}")
    trainer.restore(_last_good(trainer))
    trainer.lr_factor, trainer.rollbacks = factor, rollbacks
    then = f"gone back to step {trainer.step}, to go on with {factor:.2g} of the learning rate"
    trainer.notes.append(Note("not finite", f"{what}; {then}"))
    progress.go_back(trainer.step)
    if trainer.begun:
        folder.forget_after(trainer.step)
        trainer.save()  # so that a run that is killed now remembers it, too


def find_beginning(trainer: Any, step: int, interrupts: Interrupts) -> tuple[Finding | None, bool]:
    """Make the steps again from the remembered state up to `step`, and look for the first number that isn't finite.

    Returns what was found, and whether failure.npz was written. Nothing is found if there is none this time, or Ctrl-C
    is pressed. The trainer's state is spoilt.
    """
    before = trainer.memory.state
    trainer.restore(before)
    while trainer.step < step and not interrupts.signal:
        batches: list[tuple[Any, Any]] = []

        def hand_out(batches: list[tuple[Any, Any]] = batches) -> Any:
            handed = trainer.next_batch()
            batches.append(handed if isinstance(handed, tuple) else (handed, None))
            return handed

        trainer.set_learning_rates()
        before = present(trainer)
        finding = first_not_finite(trainer.gan, hand_out, trainer.rng)
        if finding:
            return finding, _save_failure(trainer, before, batches)
        trainer.count_step()
    return None, False


def _save_failure(trainer: Any, before: Checkpoint, batches: list[tuple[Any, Any]]) -> bool:
    """Write failure.npz; return whether that could be done."""
    if not trainer.begun:
        return False
    try:
        trainer.restore(before)
        save_failure(trainer.folder.failure, trainer.gan, before.state, batches)
    except (CheckpointError, OSError):  # the state before the step isn't finite itself; a full disk
        return False
    return True


def _last_good(trainer: Any) -> Checkpoint:
    """The newest checkpoint in the folder, or the state from which the run began."""
    paths = trainer.folder.checkpoints()
    try:
        if trainer.saved_step and paths:
            return load_newest(paths, trainer.config.model, lambda _: None)
    except CheckpointError:
        pass
    return trainer.memory.began
