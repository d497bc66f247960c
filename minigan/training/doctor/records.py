"""What can be told from a record of metrics.jsonl. A measure that a record lacks is no sign, and clears none."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from minigan.losses import Hinge, LeastSquares, Minimax, Wasserstein
from minigan.training.doctor.rule import SINCE, Case, Seen, is_idle

TRUE, FALSE = 0.995, 0.005  # probabilities of a critic that is certain
CERTAIN = 0.01  # the loss of one, beside that of a critic that can't tell
GROWN, LARGE = 30.0, 1.0  # weights: rms beside that at the beginning, and as such
VANISHED = 4.0  # powers of ten that a generator's gradient has lost
KEPT = 0.9  # by the running mean of its logarithm
STEEP = 100.0  # a gradient penalty for each unit of its weight: slopes of 11 where 1 is asked for
RUNAWAY = 100.0  # losses that are nothing but divergence: beside that of a critic that can't tell

Record = dict[str, Any]


def certain_critic(case: Case, record: Record) -> Iterator[Seen]:
    """A critic that tells all real samples from all generated ones. One of Wasserstein's gives no probabilities."""
    for game in case.model.games:
        loss, real, fake = (record.get(name) for name in (game.critic_loss, game.real, game.fake))
        if isinstance(game.objective, Minimax) and real is not None and fake is not None:
            there = real > TRUE * (1 - game.objective.label_smoothing) and fake < FALSE
            seen = f"it gives real ones {real:.3f}, fakes {fake:.3f}"
        elif not isinstance(game.objective, Minimax) and loss is not None:
            there = loss < CERTAIN * _undecided(game.objective) < math.inf
            seen = f"its loss is {loss:.2g}"
        else:
            continue
        why = f"{game.critic} has told all real samples from all fakes {SINCE} ({seen})"
        yield Seen(there, f"{why}, so {game.generator} learns little from it", game.critic_loss)


def vanishing_gradient(case: Case, record: Record) -> Iterator[Seen]:
    """A generator's gradient that has lost almost all it was; its logarithm, because it varies by large factors."""
    for name in dict.fromkeys(game.generator for game in case.model.games):
        places = record.get("gradients", {})
        norm = math.hypot(*(places[place] for place in places if place.partition(".")[0] == name))
        if not 0 < norm < math.inf:
            continue
        mean, most = case.trends.get(name) or [math.log10(norm)] * 2
        mean = KEPT * mean + (1 - KEPT) * math.log10(norm)
        case.trends[name] = [mean, max(most, mean)]
        size = f"its norm is {norm:.1g}, {SINCE}, and was {10**most:.1g} before"
        yield Seen(mean < most - VANISHED, f"{name}'s gradient has vanished: {size}", name)


def silent_layer(case: Case, record: Record) -> Iterator[Seen]:
    """A layer whose gradient is exactly zero learns nothing, for instance because its ReLUs are all off."""
    for place, norm in record.get("gradients", {}).items():
        if not is_idle(place, case.phase):
            why = f"nothing comes down to layer {place}, whose gradient has been zero {SINCE}"
            yield Seen(norm == 0, why, place)


def exploding_weights(case: Case, record: Record) -> Iterator[Seen]:
    """Weights that are many times as large as at the beginning."""
    for name, rms in record.get("weights", {}).items():
        grown = rms / max(case.initial.get(name, rms), 1e-30)
        size = f"they are {rms:.2g} in root mean square {SINCE}, {grown:.0f} times as much as at the beginning"
        yield Seen(grown > GROWN and rms > LARGE, f"the weights of {name} explode: {size}", name)


def runaway_loss(case: Case, record: Record) -> Iterator[Seen]:
    """Losses that are finite, but larger than an objective can be while neither network diverges."""
    for game in case.model.games:
        bound = RUNAWAY * _undecided(game.objective)
        bounds = {game.critic_loss: (game.critic, bound), game.generator_loss: (game.generator, bound)}
        if isinstance(game.objective, Wasserstein):
            # Samples in [−1, 1] are no further apart than 2 √(H·W·C), so a slope of 1 makes no larger difference. The
            # generator's is −mean score: a constant added to all scores changes nothing, so it may drift.
            furthest = 2 * math.sqrt(max(map(math.prod, case.config.shapes.values()), default=math.inf))
            bounds = {game.critic_loss: (game.critic, RUNAWAY * furthest)}
        for measure, (network, bound) in bounds.items():
            loss = record.get(measure)
            if loss is not None:
                why = f"the loss of {network} has run away {SINCE}: it is {loss:.3g} now"
                yield Seen(abs(loss) > bound, why, measure)


def steep_critic(case: Case, record: Record) -> Iterator[Seen]:
    """A critic far steeper than its gradient penalty asks for."""
    for game in case.model.games:
        penalty = record.get(game.penalty)
        if penalty is not None and game.penalty_weight > 0:
            slope = math.sqrt(max(penalty, 0) / game.penalty_weight)
            why = f"the slope of {game.critic} is about {slope:.0f} {SINCE}, far steeper than its penalty asks for"
            yield Seen(penalty > STEEP * game.penalty_weight, why, game.penalty)


def unhealthy_measure(case: Case, record: Record) -> Iterator[Seen]:
    """A measure outside of the range that the model declares for it."""
    for name, measure in case.model.measures.items():
        value = record.get(name)
        if measure.healthy and value is not None:
            low, high = measure.healthy
            ends = [f"{low:g} or more"] * (low > -math.inf) + [f"{high:g} or less"] * (high < math.inf)
            healthy = f"{low:g} to {high:g}" if len(ends) == 2 else "".join(ends)
            why = f"{measure.words} ({name}) has been outside of its healthy range, {healthy}, {SINCE}"
            yield Seen(not low <= value <= high, f"{why}: it is {value:.3g} now", name)


def _undecided(objective: Any) -> float:
    """A critic's loss when all its logits are in the middle; infinite for an objective that has no middle."""
    if isinstance(objective, Minimax):
        return 2 * math.log(2)
    if isinstance(objective, LeastSquares):
        return (objective.b - objective.a) ** 2 / 4
    return 2.0 if isinstance(objective, Hinge) else math.inf
