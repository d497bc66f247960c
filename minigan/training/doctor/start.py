"""What can be told before the first step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from minigan.layers import BatchNorm
from minigan.model import Phase
from minigan.optim import Adam, RMSprop
from minigan.training.doctor.rule import Case, Seen, is_idle

SMALL_BATCH = 8  # below this, mean and variance of a batch are mostly noise
FEW_PICTURES, VERY_FEW, OFTEN = 1000, 100, 50  # without augmentation, with it; and times that each of them is seen
LARGE_UPDATE = 0.5  # of the weights' size: how far the first update may move them


def small_batch(case: Case, _: Any) -> Iterator[Seen]:
    """Batch norm makes every sample depend on the others of its batch, the more the fewer they are."""

    def size(phase: Phase) -> int:
        return phase.batch_size or case.config.batch_size

    for phase in sorted(case.model.phases, key=size):
        batch = f"a batch of {size(phase)}" + (f" in phase {phase.name}" if phase.batch_size else "")
        for place, layer in case.layers():
            if isinstance(layer, BatchNorm) and not is_idle(place, phase):
                why = (
                    f"{batch} is too small for {layer!r} (layer {place}): mean and variance of so few are mostly noise"
                )
                yield Seen(size(phase) < SMALL_BATCH, why)


def few_pictures(case: Case, _: Any) -> Iterator[Seen]:
    """Few pictures are learned by heart. A critic that knows them all tells its generator only how to copy them."""
    config, games = case.config, case.model.games
    arrays = case.model.needs(**config.model_args)
    drawn = config.n_steps * case.model.batches_per_step * config.batch_size
    few = VERY_FEW if config.augment else FEW_PICTURES
    for feed, n in config.samples.items():
        kinds = [
            kind.what for name, kind in arrays.items() if kind.feed == feed and len(config.shapes.get(name, ())) == 3
        ]
        if "picture" not in kinds and "samples" not in kinds:
            continue
        each = f"each of only {n:,} pictures" + (f" of feed {feed}" if len(config.samples) > 1 else "")
        times = f"{drawn / n:,.0f} times"
        if len(games) == 1 and len(config.samples) == 1:
            critic, generator = games[0].critic, games[0].generator
            why = f"{critic} sees {each} {times}, so it learns them by heart and {generator} to copy them"
        else:
            why = f"{each} is seen {times}, so they are learned by heart"
        yield Seen(n < few and drawn >= OFTEN * n, why, feed)


def large_update(case: Case, _: Any) -> Iterator[Seen]:
    """The first update of Adam moves every weight by lr, that of RMSprop by lr/√(1 − α)."""
    for name, optimizer in case.model.optimizers.items():
        if isinstance(optimizer, (Adam, RMSprop)):
            factor = 1.0 if isinstance(optimizer, Adam) else 1 / math.sqrt(1 - optimizer.alpha)
            move, size = optimizer.lr * factor, case.initial[name]
            why = (
                f"the first update moves each weight of {name} by about {move:.2g}, but they are only {size:.2g} large"
            )
            yield Seen(move > LARGE_UPDATE * size, why, name)
