"""All rules of the doctor. The list of them is at the end."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from minigan.layers import BatchNorm
from minigan.losses import Hinge, LeastSquares, Minimax, Wasserstein
from minigan.model import can
from minigan.optim import Adam, RMSprop
from minigan.training.doctor.likeness import neighbour_correlation
from minigan.training.doctor.rule import SINCE, Case, Drawn, Rule, Seen, is_idle
from minigan.training.length import samples_after

SMALL_BATCH = 8  # below this, mean and variance of a batch are mostly noise
FEW_PICTURES, VERY_FEW, OFTEN = 1000, 100, 50  # without augmentation, with it; and times that each of them is seen
LARGE_UPDATE = 0.5  # of the weights' size: how far the first update may move them
TRUE, FALSE, CERTAIN = 0.995, 0.005, 0.01  # a certain critic's probabilities; its loss, beside one that can't tell
GROWN, LARGE = 30.0, 1.0  # weights: rms beside that at the beginning, and as such
VANISHED, KEPT = 4.0, 0.9  # powers of ten that a generator's gradient has lost, by the running mean of its logarithm
STEEP = 100.0  # a gradient penalty for each unit of its weight: slopes of 11 where 1 is asked for
RUNAWAY = 100.0  # losses that are nothing but divergence: beside that of a critic that can't tell
DIVERSE, NEVER = 0.6, 0.03  # diversities: of one that has learned to draw different samples; of none, after GRACE
GRACE, LATE = 1000, 5000  # steps in which it may not have, and in which it hardly may not
SETTLED = 3000  # steps after which points keep to their modes; the slowest default takes 1,100 on the grid
NOISE, PLAIN = 0.5, 0.3  # correlation of neighbouring pixels: in samples beside the data's, and in data that has any
NOISY = 2000  # steps in which samples may be noise
FEW_STEPS = 1000  # hardly any picture is learned in fewer


def small_batch(case: Case, _: Any) -> Iterator[Seen]:
    """Batch norm makes every sample depend on the others of its batch, the more the fewer they are."""
    sizes = {phase: phase.batch_size or case.config.batch_size for phase in case.model.phases}
    for phase, size in sorted(sizes.items(), key=lambda item: item[1]):
        batch = f"a batch of {size}" + (f" in phase {phase.name}" if phase.batch_size else "")
        for place, layer in case.layers():
            if isinstance(layer, BatchNorm) and not is_idle(place, phase):
                why = f"{batch} is too small for {layer!r} (layer {place})"
                yield Seen(size < SMALL_BATCH, f"{why}: mean and variance of so few are mostly noise")


def few_pictures(case: Case, _: Any) -> Iterator[Seen]:
    """Few pictures are learned by heart. A critic that knows them all tells its generator only how to copy them.

    A model without a game isn't told so, nor one that damages its pictures anew each time.
    """
    if not case.model.games or can(case.model, "damage"):
        return
    config, kinds, shapes = case.config, case.model.arrays.items(), case.config.shapes
    feeds = {k.feed for name, k in kinds if k.what in ("picture", "samples") and len(shapes.get(name, ())) == 3}
    drawn = samples_after(config.n_steps, config, case.model)
    for feed in sorted(feeds):
        n = config.samples[feed]
        of = f" of feed {feed}" if len(config.samples) > 1 else ""
        why = f"each of only {n:,} pictures{of} is seen {drawn / n:,.0f} times, so they are learned by heart"
        few = n < (VERY_FEW if config.augment else FEW_PICTURES)
        yield Seen(few and drawn >= OFTEN * n, why, feed)


def large_update(case: Case, _: Any) -> Iterator[Seen]:
    """The first update of Adam moves every weight by lr, that of RMSprop by lr/√(1 − α)."""
    for name, optimizer in case.model.optimizers.items():
        if isinstance(optimizer, (Adam, RMSprop)):
            factor = 1.0 if isinstance(optimizer, Adam) else 1 / math.sqrt(1 - optimizer.alpha)
            move, size = optimizer.lr * factor, case.initial[name]
            why = f"the first update moves each weight of {name} by about {move:.2g}"
            yield Seen(move > LARGE_UPDATE * size, f"{why}, but they are only {size:.2g} large", name)


def never_updated(case: Case, _: dict[str, Any]) -> Iterator[Seen]:
    """An optimiser that a step has forgotten: its network stays as it was made."""
    for name, optimizer in case.model.optimizers.items():
        why = f"the weights of {name} have never been updated: let step call self.optimizers[{name!r}].step()"
        yield Seen(optimizer.t == 0 and not is_idle(name, case.phase), why, name)


def certain_critic(case: Case, record: dict[str, Any]) -> Iterator[Seen]:
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


def vanishing_gradient(case: Case, record: dict[str, Any]) -> Iterator[Seen]:
    """A generator's gradient that has lost almost all it was; its logarithm, because it varies by large factors."""
    for name in dict.fromkeys(game.generator for game in case.model.games):
        places = record.get("gradients", {})
        norm = math.hypot(*(places[place] for place in places if place.partition(".")[0] == name))
        if 0 < norm < math.inf:
            mean, most = case.trends.get(name) or [math.log10(norm)] * 2
            mean = KEPT * mean + (1 - KEPT) * math.log10(norm)
            case.trends[name] = [mean, max(most, mean)]
            size = f"its norm is {norm:.1g}, {SINCE}, and was {10 ** min(most, 308):.1g} before"
            yield Seen(mean < most - VANISHED, f"{name}'s gradient has vanished: {size}", name)


def silent_layer(case: Case, record: dict[str, Any]) -> Iterator[Seen]:
    """A layer whose gradient is exactly zero learns nothing, for instance because its ReLUs are all off."""
    for place, norm in record.get("gradients", {}).items():
        if not is_idle(place, case.phase):
            why = f"nothing comes down to layer {place}, whose gradient has been zero {SINCE}"
            yield Seen(norm == 0, why, place)


def exploding_weights(case: Case, record: dict[str, Any]) -> Iterator[Seen]:
    """Weights that are many times as large as at the beginning."""
    for name, rms in record.get("weights", {}).items():
        grown = rms / max(case.initial.get(name, rms), 1e-30)
        size = f"they are {rms:.2g} in root mean square {SINCE}, {grown:.0f} times as much as at the beginning"
        yield Seen(grown > GROWN and rms > LARGE, f"the weights of {name} explode: {size}", name)


def runaway_loss(case: Case, record: dict[str, Any]) -> Iterator[Seen]:
    """Losses that are finite, but larger than an objective can be while neither network diverges."""
    for game in case.model.games:
        bounds = dict.fromkeys((game.critic_loss, game.generator_loss), RUNAWAY * _undecided(game.objective))
        if isinstance(game.objective, Wasserstein):
            # Samples in [−1, 1] are no further apart than 2 √(H·W·C), so a slope of 1 makes no larger difference. The
            # generator's is −mean score: a constant added to all scores changes nothing, so it may drift.
            bounds = {game.critic_loss: RUNAWAY * 2 * math.sqrt(max(map(math.prod, case.config.shapes.values())))}
        for measure, bound in bounds.items():
            if (loss := record.get(measure)) is not None:
                network = game.critic if measure == game.critic_loss else game.generator
                why = f"the loss of {network} has run away {SINCE}: it is {loss:.3g} now"
                yield Seen(abs(loss) > bound, why, measure)


def steep_critic(case: Case, record: dict[str, Any]) -> Iterator[Seen]:
    """A critic far steeper than its gradient penalty asks for."""
    for game in case.model.games:
        if (penalty := record.get(game.penalty)) is not None and game.penalty_weight > 0:
            slope = math.sqrt(max(penalty, 0) / game.penalty_weight)
            why = f"the slope of {game.critic} is about {slope:.0f} {SINCE}, far steeper than its penalty asks for"
            yield Seen(penalty > STEEP * game.penalty_weight, why, game.penalty)


def unhealthy_measure(case: Case, record: dict[str, Any]) -> Iterator[Seen]:
    """A measure outside of the range that the model declares for it."""
    for name, measure in case.model.measures.items():
        if measure.healthy and (value := record.get(name)) is not None:
            low, high = measure.healthy
            why = f"{measure.words} ({name}) has been outside of its healthy range, {low:g} to {high:g}, {SINCE}"
            yield Seen(not low <= value <= high, f"{why}: it is {value:.3g} now", name)


def collapse(case: Case, drawn: Drawn) -> Iterator[Seen]:
    """Samples that are too much alike.

    A generator that has learned nothing yet draws almost the same for every z: before samples have once differed, or
    GRACE steps have passed (points: SETTLED), only one counts that draws the very same again and again.
    """
    look, step = drawn.look, drawn.step
    if math.isnan(look.diversity):
        return
    if look.diversity >= DIVERSE:
        case.diverse.add(drawn.exhibit)
    if drawn.samples.ndim == 2:  # points wander from mode to mode before they settle
        learned = step >= SETTLED
    else:
        learned = drawn.exhibit in case.diverse or step >= LATE or (step >= GRACE and look.diversity < NEVER)
    there = step > 0 and look.low and (look.twins or learned)
    yield Seen(there, f"mode collapse{drawn.which}: {look.what}, {SINCE}", drawn.exhibit)


def short_run(case: Case, drawn: Drawn) -> Iterator[Seen]:
    """A run on pictures that ends early. One that went on from another one's weights has that one's steps, too."""
    if _ends_early(case, drawn):
        noisy, why = _noise(drawn)
        few = f"{drawn.step} steps are few for pictures, however few of those there are"
        yield Seen(True, f"{few}, and {why}" if noisy else few, str(drawn.step))  # said at each end


def noise(case: Case, drawn: Drawn) -> Iterator[Seen]:
    """Pictures that are noise, though the data isn't, from NOISY steps on; at the end, one look is enough."""
    if not _ends_early(case, drawn):
        noisy, why = _noise(drawn)
        counts = LOOKS if drawn.step >= case.config.n_steps else drawn.step >= NOISY
        yield Seen(noisy * counts, f"after {drawn.step} steps {why}", drawn.exhibit)


def _ends_early(case: Case, drawn: Drawn) -> bool:
    return case.config.n_steps <= drawn.step < FEW_STEPS and drawn.samples.ndim == 4 and not case.config.init_from


def _noise(drawn: Drawn) -> tuple[bool, str]:
    found, real = neighbour_correlation(drawn.samples), neighbour_correlation(drawn.real)
    beside = f"neighbouring pixels correlate by {found:.2f}, in the data by {real:.2f}"
    return real > PLAIN and found < NOISE * real, f"the samples{drawn.which} are still noise ({beside})"  # no NaN is


def _undecided(objective: Any) -> float:
    """A critic's loss when all its logits are in the middle; infinite for an objective that has no middle."""
    if isinstance(objective, LeastSquares):
        return (objective.b - objective.a) ** 2 / 4
    return {Minimax: 2 * math.log(2), Hinge: 2.0}.get(type(objective), math.inf)


SOON, PATIENCE, LOOKS = 2, 20, 3  # records, of ten steps each, of what is past doubt; of the rest; looks at exhibits
SURER = ("smoothing", "weaker_critic", "smaller_lr", "seed")  # against a critic that is too good for its generator

# name in a note, patience, function, what to try
AT_START = (
    Rule("batch-norm", 1, small_batch, ("batch",)),
    Rule("pictures", 1, few_pictures, ("augmentation", "more_pictures")),
    Rule("lr", 1, large_update, ("much_smaller_lr",)),
)
OF_RECORDS = (
    Rule("saturated", PATIENCE, certain_critic, SURER),
    Rule("vanishing", PATIENCE, vanishing_gradient, SURER),
    Rule("silent", PATIENCE, silent_layer, ("smaller_lr", "seed"), only_one=True),  # it silences its neighbours
    Rule("updates", PATIENCE, never_updated),
    Rule("weights", SOON, exploding_weights, ("much_smaller_lr", "seed")),
    Rule("loss", PATIENCE, runaway_loss, ("smaller_lr", "penalty", "seed")),
    Rule("penalty", PATIENCE, steep_critic, ("penalty", "smaller_lr", "seed")),
    Rule("range", PATIENCE, unhealthy_measure),
)
OF_SAMPLES = (
    Rule("collapse", LOOKS, collapse, ("smaller_lr", "smoothing", "stronger_critic", "seed")),
    Rule("steps", 1, short_run, ("go_on",)),
    Rule("noise", LOOKS, noise, ("longer", "smaller_lr", "seed")),
)
