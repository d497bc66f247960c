"""The length of a run: converts samples to steps and back, with phases that may have their own batch sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import ceil

from minigan.backend import CPU
from minigan.common.words import either
from minigan.model import Model
from minigan.options import Samples, arguments_of
from minigan.training.build import build_model
from minigan.training.settings import RunConfig, TrainingError

TRIES = 20  # iterations for phase boundaries that depend on the number of steps; each at least halves the error


def samples_after(n_steps: int, config: RunConfig, model: Model) -> int:
    """Return how many samples of each feed `n_steps` steps use."""
    samples = 0
    for end, a_step in _phase_ends(config, model):
        steps = n_steps if end is None else min(n_steps, max(0, ceil((end - samples) / a_step)))
        samples, n_steps = samples + steps * a_step, n_steps - steps
    return samples


def steps_for(samples: float, config: RunConfig, model: Model) -> int:
    """Return how many steps use `samples` samples of each feed; at least one."""
    steps, reached = 0, 0
    for end, a_step in _phase_ends(config, model):
        some = max(0, ceil((min(samples, samples if end is None else end) - reached) / a_step))
        steps, reached = steps + some, reached + some * a_step
    return max(1, steps)


def steps_per_epoch(config: RunConfig, model: Model) -> float:
    """Return the mean number of steps in one pass through the longest feed."""
    return config.n_steps * max(config.samples.values()) / samples_after(config.n_steps, config, model)


def planned(
    config: RunConfig, cls: type[Model], length: Callable[[RunConfig, Model], int], samples: int
) -> tuple[RunConfig, Model]:
    """Return the settings of a run of `length(settings, model)` steps, and its model.

    Phase boundaries that are None are computed by fixed-point iteration, starting from a run of `samples` samples: the
    boundaries depend on the length in samples, and the length depends on the batch sizes between the boundaries.
    Raises TrainingError if a phase would begin after the end of the run.
    """
    asked = config.model_args
    for _ in range(TRIES):
        planned_args = cls.planned(samples, asked | {"batch_size": config.batch_size})
        config = replace(config, model_args={name: planned_args[name] for name in planned_args if name != "batch_size"})
        model = build_model(config, cls, CPU)
        config = replace(config, n_steps=length(config, model))
        before, samples = samples, samples_after(config.n_steps, config, model)
        if samples == before or config.model_args == asked:
            break
    for phase in model.phases[1:]:
        if phase.begins >= samples:
            names = [f"`{name}`" for name, a in arguments_of(cls).items() if isinstance(a.option, Samples)]
            raise TrainingError(
                f"the phase {phase.name} of {config.model} begins after {phase.begins:,} samples, the run ends after "
                f"{samples:,}: give more `n_steps`, or a smaller {either(names) if names else 'boundary'}"
            )
    return config, model


def _phase_ends(config: RunConfig, model: Model) -> Iterator[tuple[int | None, int]]:
    """Yield for each phase the sample count at which it ends (None for the last), and the samples per step."""
    ends = [phase.begins for phase in model.phases[1:]]
    for phase, end in zip(model.phases, [*ends, None], strict=True):
        yield end, (phase.batch_size or config.batch_size) * model.batches_per_step
