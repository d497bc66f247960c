"""The rules of the doctor, which are listed at the end.

Each yields an Observation for every network, layer, measure or exhibit to which it applies.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from minigan.layers import BatchNorm
from minigan.losses import Hinge, LeastSquares, Minimax, RelativisticAverage, Wasserstein
from minigan.model import can
from minigan.optim import Adam, RMSprop
from minigan.training.doctor.likeness import neighbor_correlation
from minigan.training.doctor.rule import SINCE, Context, Observation, Rule, SampledExhibit, is_idle
from minigan.training.length import samples_after

SMALL_BATCH = 8  # below this, mean and variance of a batch are mostly noise
FEW_PICTURES, VERY_FEW, OFTEN = 1000, 100, 50  # pictures without and with augmentation; epochs
LARGE_UPDATE = 0.5  # the first update, relative to the size of the weights
TRUE, FALSE, CERTAIN = 0.995, 0.005, 0.01  # probabilities of a certain critic; its loss relative to an undecided one
GROWN, LARGE = 30.0, 1.0  # rms of the weights: relative to the initial one, and absolute
VANISHED, KEPT = 4.0, 0.9  # powers of ten by which a gradient has decreased; decay of the mean of its logarithm
STEEP = 100.0  # gradient penalty divided by its weight: 100 is a slope of 11 instead of 1
NEGATIVE = -0.3  # correlation of luminance before and after a translation; that of a negative is about -0.8
RUNAWAY = 100.0  # loss of a diverged network, relative to that of an undecided critic
DIVERSE, NEVER = 0.6, 0.03  # diversity that proves that a generator works; diversity that disproves it after GRACE
GRACE, LATE = 1000, 5000  # steps in which low diversity is ignored; steps after which it is always reported
SETTLED = 3000  # steps after which points keep to their modes; the slowest default takes 1,100 on the grid
NOISE, PLAIN = 0.5, 0.3  # correlation of neighboring pixels: of samples, relative to the data; and of the data itself
NOISY = 2000  # steps in which samples may be noise
FEW_STEPS = 1000  # too few for almost all picture data sets


def small_batch(context: Context, _: Any) -> Iterator[Observation]:
    """Batch norm in small batches: the mean and the variance of a few samples are mostly noise."""
    sizes = {phase: phase.batch_size or context.config.batch_size for phase in context.model.phases}
    for phase, size in sorted(sizes.items(), key=lambda item: item[1]):
        batch = f"a batch of {size}" + (f" in phase {phase.name}" if phase.batch_size else "")
        for place, layer in context.layers():
            if isinstance(layer, BatchNorm) and not is_idle(place, phase):
                why = f"{batch} is too small for {layer!r} (layer {place})"
                yield Observation(size < SMALL_BATCH, f"{why}: mean and variance of so few are mostly noise")


def few_pictures(context: Context, _: Any) -> Iterator[Observation]:
    """Few pictures: a critic memorizes them, and then teaches its generator to copy them.

    Models without a game, and models that damage their pictures anew each time, are exempt.
    """
    if not context.model.games or can(context.model, "damage"):
        return
    config, kinds, shapes = context.config, context.model.arrays.items(), context.config.shapes
    feeds = {k.feed for name, k in kinds if k.what in ("picture", "samples") and len(shapes.get(name, ())) == 3}
    drawn = samples_after(config.n_steps, config, context.model)
    for feed in sorted(feeds):
        n = config.samples[feed]
        of = f" of feed {feed}" if len(config.samples) > 1 else ""
        why = f"each of only {n:,} pictures{of} is seen {drawn / n:,.0f} times, so they are memorized"
        few = n < (VERY_FEW if config.augment else FEW_PICTURES)
        yield Observation(few and drawn >= OFTEN * n, why, feed)


def large_update(context: Context, _: Any) -> Iterator[Observation]:
    """A large first update: Adam moves each weight by lr, RMSprop by lr/√(1 − α)."""
    for name, optimizer in context.model.optimizers.items():
        if isinstance(optimizer, (Adam, RMSprop)):
            factor = 1.0 if isinstance(optimizer, Adam) else 1 / math.sqrt(1 - optimizer.alpha)
            move, size = optimizer.lr * factor, context.initial[name]
            why = f"the first update moves each weight of {name} by about {move:.2g}"
            yield Observation(move > LARGE_UPDATE * size, f"{why}, but they are only {size:.2g} large", name)


def never_updated(context: Context, _: dict[str, Any]) -> Iterator[Observation]:
    """An optimizer that the model's step never calls, so that its network stays untrained."""
    for name, optimizer in context.model.optimizers.items():
        why = f"the weights of {name} have never been updated: let step call self.optimizers[{name!r}].step()"
        yield Observation(optimizer.t == 0 and not is_idle(name, context.phase), why, name)


def certain_critic(context: Context, record: dict[str, Any]) -> Iterator[Observation]:
    """A critic that separates all real samples from all generated ones. Wasserstein critics have no probabilities."""
    for game in context.model.games:
        loss, real, fake = (record.get(name) for name in (game.critic_loss, game.real, game.fake))
        if isinstance(game.objective, Minimax) and real is not None and fake is not None:
            there = real > TRUE * (1 - game.objective.label_smoothing) and fake < FALSE
            seen = f"it gives real ones {real:.3f}, fakes {fake:.3f}"
        elif not isinstance(game.objective, Minimax) and loss is not None:
            there = loss < CERTAIN * _undecided(game.objective) < math.inf
            seen = f"its loss is {loss:.2g}"
        else:
            continue
        why = f"{game.critic} has separated all real samples from all fakes {SINCE} ({seen})"
        yield Observation(there, f"{why}, so {game.generator} learns little from it", game.critic_loss)


def vanishing_gradient(context: Context, record: dict[str, Any]) -> Iterator[Observation]:
    """A generator's gradient that has decreased by orders of magnitude, by the running mean of its logarithm."""
    for name in dict.fromkeys(game.generator for game in context.model.games):
        places = record.get("gradients", {})
        norm = math.hypot(*(places[place] for place in places if place.partition(".")[0] == name))
        if 0 < norm < math.inf:
            mean, most = context.trends.get(name) or [math.log10(norm)] * 2
            mean = KEPT * mean + (1 - KEPT) * math.log10(norm)
            context.trends[name] = [mean, max(most, mean)]
            size = f"its norm is {norm:.1g}, {SINCE}, and was {10 ** min(most, 308):.1g} before"
            yield Observation(mean < most - VANISHED, f"{name}'s gradient has vanished: {size}", name)


def silent_layer(context: Context, record: dict[str, Any]) -> Iterator[Observation]:
    """A layer whose gradient is exactly zero, for example because all ReLUs after it are inactive."""
    for place, norm in record.get("gradients", {}).items():
        if not is_idle(place, context.phase):
            why = f"no gradient reaches layer {place}: it has been zero {SINCE}"
            yield Observation(norm == 0, why, place)


def exploding_weights(context: Context, record: dict[str, Any]) -> Iterator[Observation]:
    """Weights that have grown to many times their initial size."""
    for name, rms in record.get("weights", {}).items():
        grown = rms / max(context.initial.get(name, rms), 1e-30)
        size = f"they are {rms:.2g} in root mean square {SINCE}, {grown:.0f} times as much as at the beginning"
        yield Observation(grown > GROWN and rms > LARGE, f"the weights of {name} explode: {size}", name)


def runaway_loss(context: Context, record: dict[str, Any]) -> Iterator[Observation]:
    """Losses that are finite, but so large that one of the networks must have diverged."""
    for game in context.model.games:
        bounds = dict.fromkeys((game.critic_loss, game.generator_loss), RUNAWAY * _undecided(game.objective))
        if isinstance(game.objective, Wasserstein):
            # Samples in [−1, 1] are at most 2 √(H·W·C) apart, which bounds the difference of scores at a slope of 1.
            # The generator's loss, −mean score, is unbounded: a constant offset of all scores is arbitrary.
            bounds = {game.critic_loss: RUNAWAY * 2 * math.sqrt(max(map(math.prod, context.config.shapes.values())))}
        for measure, bound in bounds.items():
            if (loss := record.get(measure)) is not None:
                network = game.critic if measure == game.critic_loss else game.generator
                why = f"the loss of {network} has run away {SINCE}: it is {loss:.3g} now"
                yield Observation(abs(loss) > bound, why, measure)


def steep_critic(context: Context, record: dict[str, Any]) -> Iterator[Observation]:
    """A critic with a slope far above the target of its gradient penalty."""
    for game in context.model.games:
        if (penalty := record.get(game.penalty)) is not None and game.penalty_weight > 0:
            slope = math.sqrt(max(penalty, 0) / game.penalty_weight)
            why = f"the slope of {game.critic} is about {slope:.0f} {SINCE}, far above the target of its penalty"
            yield Observation(penalty > STEEP * game.penalty_weight, why, game.penalty)


def inverted_colors(context: Context, record: dict[str, Any]) -> Iterator[Observation]:
    """A translator that exchanges light and dark: CycleGAN rarely returns from there, because its cycle is closed."""
    for one in context.model.translations:
        if (correlation := record.get(one.luminance)) is not None:
            why = f"light and dark are exchanged from {one.source} to {one.target} {SINCE}"
            seen = f"the luminance before and after correlates by {correlation:.2f}"
            yield Observation(correlation < NEGATIVE, f"{why}: {seen}", one.luminance)


def unhealthy_measure(context: Context, record: dict[str, Any]) -> Iterator[Observation]:
    """A measure outside of the healthy range that the model declares."""
    for name, measure in context.model.measures.items():
        if measure.healthy and (value := record.get(name)) is not None:
            low, high = measure.healthy
            why = f"{measure.words} ({name}) has been outside of its healthy range, {low:g} to {high:g}, {SINCE}"
            yield Observation(not low <= value <= high, f"{why}: it is {value:.3g} now", name)


def collapse(context: Context, drawn: SampledExhibit) -> Iterator[Observation]:
    """Mode collapse: samples that are too similar.

    An untrained generator draws almost the same sample for every z. Therefore, until the samples have once been
    diverse, or GRACE steps have passed (for points: SETTLED), only near-duplicates count as a collapse.
    """
    look, step = drawn.comparison, drawn.step
    if math.isnan(look.diversity):
        return
    if look.diversity >= DIVERSE:
        context.diverse.add(drawn.exhibit)
    if drawn.samples.ndim == 2:  # points move between modes before they settle
        learned = step >= SETTLED
    else:
        learned = drawn.exhibit in context.diverse or step >= LATE or (step >= GRACE and look.diversity < NEVER)
    there = step > 0 and look.low and (look.twins or learned)
    yield Observation(there, f"mode collapse{drawn.which}: {look.what}, {SINCE}", drawn.exhibit)


def short_run(context: Context, drawn: SampledExhibit) -> Iterator[Observation]:
    """A run on pictures that ends after few steps. Runs that start from the weights of another run are exempt."""
    if _ends_early(context, drawn):
        noisy, why = _noise(drawn)
        few = f"{drawn.step} steps are few for pictures, however few of those there are"
        yield Observation(True, f"{few}, and {why}" if noisy else few, str(drawn.step))  # reported at each end


def noise(context: Context, drawn: SampledExhibit) -> Iterator[Observation]:
    """Pictures that are still noise after NOISY steps, unlike the data; at the end, one observation suffices."""
    if not _ends_early(context, drawn):
        noisy, why = _noise(drawn)
        counts = LOOKS if drawn.step >= context.config.n_steps else drawn.step >= NOISY
        yield Observation(noisy * counts, f"after {drawn.step} steps {why}", drawn.exhibit)


def _ends_early(context: Context, drawn: SampledExhibit) -> bool:
    return context.config.n_steps <= drawn.step < FEW_STEPS and drawn.samples.ndim == 4 and not context.config.init_from


def _noise(drawn: SampledExhibit) -> tuple[bool, str]:
    found, real = neighbor_correlation(drawn.samples), neighbor_correlation(drawn.real)
    beside = f"neighboring pixels correlate by {found:.2f}, in the data by {real:.2f}"
    # both comparisons are false for NaN
    return real > PLAIN and found < NOISE * real, f"the samples{drawn.which} are still noise ({beside})"


def _undecided(objective: Any) -> float:
    """Return the loss of a critic that outputs the midpoint for all samples; infinite if the objective has none."""
    if isinstance(objective, LeastSquares):
        return (objective.b - objective.a) ** 2 / 4
    return {Minimax: 2 * math.log(2), RelativisticAverage: 2 * math.log(2), Hinge: 2.0}.get(type(objective), math.inf)


SOON, PATIENCE, LOOKS = 2, 20, 3  # patience: records for unambiguous signs, for other signs; exhibits
LASTING = 50  # patience, in records, for what an untrained network may show
SURER = ("smoothing", "weaker_critic", "smaller_lr", "seed")  # remedies for a critic too strong for its generator

# name in a note, patience, function, remedies
AT_START = (
    Rule("batch-norm", 1, small_batch, ("batch",)),
    Rule("pictures", 1, few_pictures, ("augmentation", "more_pictures")),
    Rule("lr", 1, large_update, ("much_smaller_lr",)),
)
OF_RECORDS = (
    Rule("saturated", PATIENCE, certain_critic, SURER),
    Rule("vanishing", PATIENCE, vanishing_gradient, SURER),
    Rule("silent", PATIENCE, silent_layer, ("smaller_lr", "seed"), only_one=True),  # it silences its neighbors
    Rule("updates", PATIENCE, never_updated),
    Rule("weights", SOON, exploding_weights, ("much_smaller_lr", "seed")),
    Rule("loss", PATIENCE, runaway_loss, ("smaller_lr", "penalty", "seed")),
    Rule("penalty", PATIENCE, steep_critic, ("penalty", "smaller_lr", "seed")),
    Rule("colors", LASTING, inverted_colors, ("identity", "seed")),
    Rule("range", PATIENCE, unhealthy_measure),
)
OF_SAMPLES = (
    Rule("collapse", LOOKS, collapse, ("smaller_lr", "smoothing", "stronger_critic", "seed")),
    Rule("steps", 1, short_run, ("go_on",)),
    Rule("noise", LOOKS, noise, ("longer", "smaller_lr", "seed")),
)
