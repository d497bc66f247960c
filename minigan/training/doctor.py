"""Cheap checks while a GAN trains, which say in one sentence what is wrong and what to try.

The loss of a GAN doesn't fall as it gets better, so a run that has gone wrong looks like one that goes well. But some
things are sure signs, and cost next to nothing to look for: the norms of the gradients, the size of the weights, what D
makes of real data and of fakes, and how different the samples are from one another.

A false alarm is worse than a late one. So every sign has to stay for a while before it is spoken of; it is spoken of
once, and again only when it has been gone for a while. The bounds are where no run of any model with its defaults came
near (tests/training/test_doctor_runs.py).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from minigan.backend import array_module, to_numpy
from minigan.errors import CheckpointError
from minigan.layers import BatchNorm
from minigan.losses import Hinge, LeastSquares, Minimax, Wasserstein
from minigan.optim import Adam, RMSprop
from minigan.training.advice import Advice
from minigan.training.diversity import Likeness
from minigan.training.noise import neighbour_correlation
from minigan.training.run import RunConfig

PATIENCE = 20  # records, of ten steps each, in which a sign must be there before it is spoken of
SOON = 2  # likewise, of what is past doubt
LOOKS = 3  # pictures of the run, likewise
WELL = 50  # records or pictures without it before it may be spoken of again
SMALL_BATCH = 8  # below this, mean and variance of a batch are mostly noise
LEAP = 0.5  # of the weights' size: how far the first update may move them
TRUE, FALSE = 0.995, 0.005  # D's probabilities when it has no doubt
CERTAIN = 0.01  # D's loss, beside that of a D that can't tell, when it has no doubt
GROWN, LARGE = 30.0, 1.0  # weights: rms beside that at the beginning, and as such
VANISHED = 4.0  # powers of ten that G's gradient has lost
KEPT = 0.9  # by the running mean of its logarithm
STEEP = 100.0  # a gradient penalty for each unit of its weight: slopes of 11 where 1 is asked for
RUNAWAY = 100.0  # losses that are nothing but divergence: beside that of a D that can't tell
DIVERSE = 0.6  # a diversity at which a generator has learned to draw different samples
GRACE, LATE = 1000, 5000  # steps in which it may not have, and in which it hardly may not
SETTLED = 3000  # steps after which points keep to their modes; the slowest default takes 1,100 on the grid
NEVER = 0.03  # a diversity that is less than that of any generator after GRACE steps
NOISE, PLAIN = 0.5, 0.3  # correlation of neighbouring pixels: in samples beside the data's, and in data that has any
NOISY = 2000  # steps in which samples may be noise
FEW_STEPS = 1000  # hardly any picture is learned in fewer
FEW_PICTURES, VERY_FEW, OFTEN = 1000, 100, 50  # without augmentation, with it; and times that D sees each of them


@dataclass(frozen=True)
class Note:
    """What a check has to say: the name of the check, and one sentence."""

    check: str
    sentence: str


@dataclass
class Sign:
    """How long something has been seen, or not been seen any more."""

    seen: int = 0  # times in a row
    since: int = 0  # the step of the first of them
    gone: int = 0  # times in a row, after it was said
    said: bool = False

    def watch(self, there: bool, step: int, patience: int) -> bool:
        """Count; return whether it is to be said now."""
        if not there:
            self.seen, self.gone = 0, self.gone + 1
            self.said = self.said and self.gone < WELL
            return False
        self.since = self.since if self.seen else step
        self.seen, self.gone = self.seen + 1, 0
        first, self.said = not self.said and self.seen >= patience, self.said or self.seen >= patience
        return first


class Doctor:
    """Looks after one run of `gan`, and remembers what it has to.

    real: as many real samples (n, H, W, C) or (n, 2), in [−1, 1], as are drawn for a picture of the run. With None,
          samples are compared with the most different ones of the run so far.
    """

    def __init__(self, gan: Any, config: RunConfig, real: np.ndarray | None) -> None:
        self.gan, self.config, self.advice = gan, config, Advice(gan, config)
        self.initial = {name: float(to_numpy(_rms(net.parameters().values))) for name, net in gan.networks.items()}
        self.signs: dict[str, Sign] = {}
        self.gradient: list[float] = []  # log10 of the norm of G's gradient: its running mean, and the most that was
        self.diverse = False  # whether samples have ever been
        self.likeness = Likeness(real)
        pictures = len(config.shape) == 3
        self.smoothness = neighbour_correlation(real) if pictures and real is not None and len(real) else math.nan
        self.objective = getattr(gan, "loss", None)

    def at_start(self) -> list[Note]:
        """What can be told before the first step."""
        notes = [self._small_batch(), self._few_pictures(), *(self._leap(name) for name in self.gan.networks)]
        return [note for note in notes if note]

    def measure(self) -> dict[str, Any]:
        """Right after a step: the norms of the gradients of every layer, and the rms of every network's weights.

        0-d arrays by name, "gradients.G.0", "weights.G", which stay on the device. One pass over each vector.
        """
        found = {}
        for name, network in self.gan.networks.items():
            for prefix, layer in network.walk():
                if layer.parameter_names:
                    own = sum(getattr(layer, parameter).size for parameter in layer.parameter_names)
                    grads = layer.parameters().grads[:own]  # its own come before those of inner layers
                    place = f"{name}.{prefix}".rstrip(".")
                    found[f"gradients.{place}"] = array_module(grads).sqrt(array_module(grads).vdot(grads, grads))
            found[f"weights.{name}"] = _rms(network.parameters().values)
        return found

    def check(self, record: dict[str, Any]) -> list[Note]:
        """Look at a record of metrics.jsonl; what is missing in it isn't looked at."""
        checks = (self._saturated, self._vanishing, self._silent, self._weights, self._losses, self._penalty)
        return [note for check in checks for note in check(record)]

    def look_at(self, step: int, samples: np.ndarray) -> tuple[float, list[Note]]:
        """Look at the samples of the run's picture (always of the same latents): their diversity, and notes."""
        diversity, notes = self._collapse(step, samples)
        return diversity, notes + (self._unfinished(step, samples) if len(self.config.shape) == 3 else [])

    def _collapse(self, step: int, samples: np.ndarray) -> tuple[float, list[Note]]:
        """The diversity of samples, and a note if they are too much alike.

        A generator that hasn't learned anything draws almost the same for every z. So until samples have once differed,
        or for GRACE steps (points: SETTLED), only one counts that draws the very same again and again.
        """
        look = self.likeness(samples)
        self.diverse = self.diverse or look.diversity >= DIVERSE
        if len(self.config.shape) == 1:  # points wander from mode to mode before they settle
            learned = step >= SETTLED
        else:
            learned = self.diverse or step >= LATE or (step >= GRACE and look.diversity < NEVER)
        since = self._due("collapse", step > 0 and look.low and (look.twins or learned), step, LOOKS)
        if since is None:
            return look.diversity, []
        tried = self.advice("smaller_lr", "smoothing", "stronger_critic", "seed")
        return look.diversity, [Note("collapse", f"mode collapse: {look.what}, since step {since}: try {tried}")]

    def _unfinished(self, step: int, samples: np.ndarray) -> list[Note]:
        """Pictures that are noise still, from NOISY steps on or at the end; and a run that ends early.

        A run that went on from another one's weights has that one's steps behind it, too.
        """
        last, found = step >= self.config.n_steps, neighbour_correlation(samples)
        noise = self.smoothness > PLAIN and found < NOISE * self.smoothness  # never, if either can't be told
        beside = f"neighbouring pixels correlate by {found:.2f}, in the data by {self.smoothness:.2f}"
        since = self._due("noise", noise and (last or step >= NOISY), step, 1 if last else LOOKS)
        if last and step < FEW_STEPS and not self.config.init_from:
            so_far = f"{step} steps are few for pictures, however few of those there are"
            looks = f", and the samples are still noise ({beside})" if noise else ""
            return [Note("steps", f"{so_far}{looks}: go on with --resume and {self.advice('longer')}")]
        if since is None:
            return []
        tried = self.advice("longer", "smaller_lr", "seed")
        return [Note("noise", f"after {step} steps the samples are still noise ({beside}): try {tried}")]

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know, as plain JSON."""
        return {
            "initial": self.initial,
            "signs": {check: asdict(sign) for check, sign in self.signs.items()},
            "gradient": self.gradient,
            "diverse": self.diverse,
            "likeness": self.likeness.state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` returned; an empty one changes nothing.

        Raises CheckpointError, with nothing changed, for what no doctor has written.
        """
        if not state:
            return
        try:
            initial = {name: float(state["initial"][name]) for name in self.gan.networks}
            signs = {check: Sign(**sign) for check, sign in state["signs"].items()}
            gradient = [float(number) for number in state["gradient"]]
            numbers = [n for sign in signs.values() for n in (sign.seen, sign.since, sign.gone)]
            if any(type(n) is not int for n in numbers) or len(gradient) not in (0, 2):
                raise ValueError("these are no counts, or no running mean and its most")
            self.likeness.load(state["likeness"])
            self.initial, self.signs, self.gradient, self.diverse = initial, signs, gradient, bool(state["diverse"])
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise CheckpointError("what the checkpoint remembers for the checks of the run is damaged") from error

    # The checks. Each is given a record and returns what is due to be said, which is seldom anything.

    def _saturated(self, record: dict[str, Any]) -> list[Note]:
        """D has no doubt left. A critic gives no probabilities: it has none to begin with."""
        if not record.keys() >= {"d_loss", "d_real", "d_fake"}:
            return []
        loss, real, fake = (record[name] for name in ("d_loss", "d_real", "d_fake"))
        if isinstance(self.objective, Minimax):
            there = real > TRUE * (1 - self.objective.label_smoothing) and fake < FALSE
            seen = f"D(x) is {real:.3f}, D(G(z)) {fake:.3f}"
        else:
            there = loss < CERTAIN * _undecided(self.objective) < math.inf
            seen = f"its loss is {loss:.2g}"
        since = self._due("saturated", there, record["step"])
        if since is None:
            return []
        tried = self.advice("smoothing", "weaker_critic", "smaller_lr", "seed")
        why = f"D has told all real samples from all fakes since step {since} ({seen}), so G learns little from it"
        return [Note("saturated", f"{why}: try {tried}")]

    def _vanishing(self, record: dict[str, Any]) -> list[Note]:
        """G's gradient has lost almost all that it was; on a logarithmic scale, because it is restless on any other."""
        norm = _norm(record, "G")
        if not 0 < norm < math.inf:
            return []
        mean, most = self.gradient or [math.log10(norm)] * 2
        mean = KEPT * mean + (1 - KEPT) * math.log10(norm)
        self.gradient = [mean, max(most, mean)]
        since = self._due("vanishing", mean < most - VANISHED, record["step"])
        if since is None:
            return []
        tried = self.advice("smoothing", "weaker_critic", "smaller_lr", "seed")
        why = f"G's gradient has vanished: its norm is {norm:.1g}, since step {since}, and was {10**most:.1g} before"
        return [Note("vanishing", f"{why}: try {tried}")]

    def _silent(self, record: dict[str, Any]) -> list[Note]:
        """A layer whose gradient is exactly zero learns nothing, for instance because its ReLUs are all off."""
        notes = []
        for place, norm in record.get("gradients", {}).items():
            since = self._due(f"silent {place}", norm == 0, record["step"])
            if since is not None:
                tried = self.advice("smaller_lr", "seed")
                why = f"nothing comes down to layer {place}, whose gradient has been zero since step {since}"
                notes.append(Note("silent", f"{why}: try {tried}"))
        return notes[:1]  # what is silent silences its neighbours

    def _weights(self, record: dict[str, Any]) -> list[Note]:
        """Weights that are many times as large as at the beginning."""
        notes = []
        for name, rms in record.get("weights", {}).items():
            grown = rms / max(self.initial.get(name, rms), 1e-30)
            since = self._due(f"weights {name}", grown > GROWN and rms > LARGE, record["step"], SOON)
            if since is not None:
                size = (
                    f"{rms:.2g} in root mean square since step {since}, {grown:.0f} times as much as at the beginning"
                )
                tried = self.advice("much_smaller_lr", "seed")
                notes.append(Note("weights", f"the weights of {name} explode: they are {size}: try {tried}"))
        return notes

    def _losses(self, record: dict[str, Any]) -> list[Note]:
        """Losses that are finite, but larger than an objective can be while the game goes on."""
        notes = []
        for name, whose in (("d_loss", "D"), ("g_loss", "G")):
            loss = record.get(name, 0.0)
            since = self._due(f"loss {name}", abs(loss) > self._bound(name), record["step"])
            if since is not None:
                tried = self.advice("smaller_lr", "penalty", "seed")
                why = f"the loss of {whose} has run away since step {since}: it is {loss:.3g} now"
                notes.append(Note("loss", f"{why}: try {tried}"))
        return notes

    def _penalty(self, record: dict[str, Any]) -> list[Note]:
        """A critic far steeper than its gradient penalty asks for."""
        weight, penalty = getattr(getattr(self.gan, "penalty", None), "weight", 0), record.get("penalty", 0.0)
        since = self._due("penalty", bool(weight) and penalty > STEEP * weight, record["step"])
        if since is None:
            return []
        slope = 1 + math.sqrt(penalty / weight)
        tried = self.advice("penalty", "smaller_lr", "seed")
        return [
            Note("penalty", f"the critic's slope is about {slope:.0f} instead of 1 since step {since}: try {tried}")
        ]

    def _bound(self, name: str) -> float:
        """How large the absolute value of a loss may be: see RUNAWAY."""
        if not isinstance(self.objective, Wasserstein):
            return RUNAWAY * _undecided(self.objective)
        if name == "g_loss":  # −mean score: a constant added to all scores changes nothing, so it may drift
            return math.inf
        # samples in [−1, 1] are no further apart than 2 √(H·W·C), so a slope of 1 makes no larger difference
        return RUNAWAY * 2 * math.sqrt(math.prod(self.config.shape))

    def _small_batch(self) -> Note | None:
        """Batch norm makes every sample depend on the others of its batch, the more the fewer they are."""
        size = self.config.batch_size
        for name, network in self.gan.networks.items():
            for prefix, layer in network.walk():
                if isinstance(layer, BatchNorm) and size < SMALL_BATCH:
                    place = f"{layer!r} (layer {name}.{prefix[:-1]})"
                    why = f"a batch of {size} is too small for {place}: mean and variance of so few are mostly noise"
                    return Note("batch-norm", f"{why}: try {self.advice('batch')}")
        return None

    def _few_pictures(self) -> Note | None:
        """D learns few pictures by heart, and then tells G nothing but how to copy them."""
        config, n_critic = self.config, getattr(self.gan, "n_critic", 1) or 1
        times = config.n_steps * n_critic * config.batch_size / config.samples
        few = VERY_FEW if config.augment else FEW_PICTURES
        if len(config.shape) != 3 or config.samples >= few or times < OFTEN:
            return None
        seen = f"D sees each of only {config.samples:,} pictures {times:,.0f} times"
        tried = self.advice("augmentation", "more_pictures")
        return Note("pictures", f"{seen}, so it learns them by heart and G to copy them: try {tried}")

    def _leap(self, name: str) -> Note | None:
        """The first update of Adam moves every weight by lr, that of RMSprop by lr/√(1 − α)."""
        optimizer, size = self.gan.optimizers[name], self.initial[name]
        if not isinstance(optimizer, (Adam, RMSprop)):
            return None
        leap = optimizer.lr if isinstance(optimizer, Adam) else optimizer.lr / math.sqrt(1 - optimizer.alpha)
        if leap <= LEAP * size:
            return None
        tried = self.advice("much_smaller_lr") or "a smaller learning rate"
        why = f"the first update moves each weight of {name} by about {leap:.2g}, but they are only {size:.2g} large"
        return Note("lr", f"{why}: try {tried}")

    def _due(self, check: str, there: bool, step: int, patience: int = PATIENCE) -> int | None:
        """Count a sign that is there, or isn't. If it is to be spoken of now, return the step that it began at."""
        sign = self.signs.get(check)
        if sign is None:
            sign = self.signs[check] = Sign()
        return sign.since if sign.watch(bool(there), step, patience) else None


def _undecided(objective: Any) -> float:
    """D's loss when all its logits are in the middle; infinite for an objective that has no middle."""
    if isinstance(objective, Minimax):
        return 2 * math.log(2)
    if isinstance(objective, LeastSquares):
        return (objective.b - objective.a) ** 2 / 4
    return 2.0 if isinstance(objective, Hinge) else math.inf


def _norm(record: dict[str, Any], network: str) -> float:
    """The norm of a whole network's gradient, from those of its layers; 0 if there are none."""
    norms = (norm for place, norm in record.get("gradients", {}).items() if place.partition(".")[0] == network)
    return math.sqrt(sum(norm * norm for norm in norms))


def _rms(vector: Any) -> Any:
    """The root mean square of a vector, 0-d, on its device."""
    xp = array_module(vector)
    return xp.sqrt(xp.vdot(vector, vector) / max(vector.size, 1))
