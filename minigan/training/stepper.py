"""Reproducible training steps: a model, its data, and the complete state that the next step depends on.

A checkpoint stores the state of a Stepper on disk; `rollback.Snapshots` stores it in memory. `restore` loads either: to
resume a run, to search for the origin of a NaN, or to roll back. Random generators are seeded by (seed, step), and the
position in the data is a count of samples, so the generators need no saved state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from minigan.common.model_checks import check_measures
from minigan.data import Feeds
from minigan.errors import CheckpointError
from minigan.model import Now, phase_at
from minigan.threads import blas, crew
from minigan.training.checkpoint import Checkpoint, model_arrays
from minigan.training.doctor import Doctor, Note
from minigan.training.records import Recorder
from minigan.training.settings import DECAYS, HOST, TRAINING, RunConfig


class Stepper:
    """Runs the training steps.

    step      the number of steps so far
    seconds   of training so far
    phase     the name of the phase of the last step
    lr_factor the factor on all learning rates, which decreases with each of the `rollbacks`
    notes     of the doctor and of rollbacks, for the next record
    """

    def __init__(self, model: Any, feeds: Feeds, config: RunConfig, doctor: Doctor) -> None:
        self.model, self.feeds, self.config, self.doctor = model, feeds, config, doctor
        self.step, self.seconds, self.phase = 0, 0.0, model.phases[0].name
        self.lr_factor, self.rollbacks = 1.0, 0
        self.notes: list[Note] = []
        self.recorder = Recorder()
        self._lr = {name: optimizer.lr for name, optimizer in model.optimizers.items()}
        self._decay = DECAYS[config.lr_decay](config.n_steps)
        self._checked: set[tuple[str, ...]] = set()  # combinations of measures that were validated once

    @property
    def finished(self) -> bool:
        """Whether no step is left."""
        return self.step >= self.config.n_steps

    def now(self) -> Now:
        """Return the `Now` of the next step."""
        samples, rng = self.feeds.position, np.random.default_rng([self.config.seed, HOST, self.step])
        return Now(self.step, samples, rng, self.step / self.config.n_steps, phase_at(self.model.phases, samples))

    @property
    def at_boundary(self) -> bool:
        """Whether the next step begins another phase."""
        return not self.finished and phase_at(self.model.phases, self.feeds.position).name != self.phase

    def advance(self) -> None:
        """Run one step and store its measures."""
        self.end_step(self.model.step(self.feeds.next, *self.begin_step()))

    def begin_step(self) -> tuple[Any, Now]:
        """Begin a phase if one is due, and set the batch size and the learning rates of the next step.

        Returns the random generator of the step, on the device, and its `Now`.
        """
        now = self.now()
        if now.phase.name != self.phase:
            self.phase = now.phase.name
            self.model.begin(now.phase, now)
            self.doctor.begin(now.phase)
        self.feeds.batch_size = now.phase.batch_size or self.config.batch_size
        rates = self._lr | self.model.rates(now)
        for name, optimizer in self.model.optimizers.items():
            optimizer.lr = rates[name] * self._decay(self.step) * self.lr_factor
        return self.model.device.rng([self.config.seed, TRAINING, self.step]), now

    def end_step(self, measured: dict[str, Any]) -> None:
        """Validate the measures of a step, update the averages of the weights, and count the step."""
        names = tuple(measured) if isinstance(measured, dict) else ()
        if names not in self._checked or not names:
            check_measures(self.model, measured)
            self._checked.add(names)
        for average in self.model.averages.values():
            average.update()
        self.step += 1
        self.recorder.add(self.step, measured)

    def snapshot(self) -> Checkpoint:
        """Return the current state as a checkpoint in memory."""
        return Checkpoint(Path("memory"), model_arrays(self.model), self.state())

    def state(self) -> dict[str, Any]:
        """Return all state of a checkpoint except arrays. Raises NotFiniteError if a measure isn't finite."""
        return {
            "model": self.config.model,
            "config": asdict(self.config),
            "step": self.step,
            "samples": self.feeds.position,
            "phase": self.phase,
            "seconds": self.seconds,
            "measured": self.recorder.state(),
            "lr_factor": self.lr_factor,
            "rollbacks": self.rollbacks,
            "doctor": self.doctor.state_dict(),
            "notes": [asdict(note) for note in self.notes],
            "threads": crew.count(),
            "blas": str(blas.describe()),
        }

    def restore(self, checkpoint: Checkpoint) -> None:
        """Restore the state from a checkpoint. Raises CheckpointError if it doesn't fit."""
        state = checkpoint.state
        try:
            self.recorder.load(state["measured"])
            self.notes = [Note(**note) for note in state["notes"]]
            self.doctor.load_state_dict(state["doctor"])
            self.lr_factor, self.rollbacks = float(state["lr_factor"]), int(state["rollbacks"])
            if not 0 < self.lr_factor <= 1 or self.rollbacks < 0:
                raise ValueError("lr_factor or rollbacks is out of range")
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise CheckpointError(f"{checkpoint.path} is damaged: its state makes no sense") from error
        checkpoint.restore(self.model)
        self.step, self.seconds, self.phase = state["step"], state["seconds"], state["phase"]
        self.feeds.seek(state["samples"])

    def with_batches(self, step: Callable[..., Any]) -> tuple[Any, list[dict[str, Any]]]:
        """Run the next step as `step(next_batch, rng, now)`; return its result and copies of the batches it took."""
        batches: list[dict[str, Any]] = []

        def hand_out() -> dict[str, Any]:
            batch = self.feeds.next()
            batches.append({name: array.copy() for name, array in batch.items()})  # a step may modify its batch
            return batch

        return step(hand_out, *self.begin_step()), batches
