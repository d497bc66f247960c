"""What a model is: the contract between a system of networks and everything that trains, draws, judges or applies it.

A model is one file. It declares what it needs (arrays), what it has (networks, optimisers), what it tells (measures,
games, exhibits, judgements), and it makes steps. `minigan.training` knows nothing else of it; docs/model.md
has examples, from a GAN to a CycleGAN.

    class MyGAN(Model):
        arrays = {"real": PICTURE}

        def __init__(self, shape, lr: Annotated[float, Positive("learning rate")] = 2e-4, *, rng, device="cpu"):
            self.device = get_device(device)
            self.networks = {"G": ..., "D": ...}
            self.optimizers = {name: Adam(network.parameters(), lr) for name, network in self.networks.items()}

        def step(self, next_batch, rng, now):
            real = next_batch()["real"]                      # (N, H, W, C) in [−1, 1], on the device
            ...
            return {"d_loss": ..., "g_loss": ...}            # 0-d arrays, which stay on the device

The constructor is given what only the data knows, by the names of its arguments: `shape` of the one array of samples
that the model takes, or `NAME_shape` of each if there are several; `n_classes` of its labels. `rng` draws the initial
weights. All other arguments are options (`options.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from minigan.backend import Device
from minigan.layers import Layer
from minigan.optim import Optimizer, WeightAverage


@dataclass(frozen=True)
class Kind:
    """What an array of a batch holds, and of which feed it is: arrays of one feed belong together, row by row.

    "picture"   (N, H, W, C) float32 in [−1, 1]
    "points"    (N, F) float32
    "samples"   pictures or points, whichever the data has
    "label"     (N,) integers
    "mask"      (N, H, W, 1) uint8, 0 or 1
    "numbers"   (N, …) float32, as the data has them
    """

    what: str
    feed: str = "data"


PICTURE, POINTS, SAMPLES, LABEL, MASK = (Kind(what) for what in ("picture", "points", "samples", "label", "mask"))
CONTENTS = ("picture", "points", "samples", "label", "mask", "numbers")


@dataclass(frozen=True)
class Phase:
    """A part of training. It begins at a count of samples; `batch_size` None is the run's.

    idle: networks or layers that learn nothing in it, such as "D" or "G.8": the doctor doesn't expect gradients there.
    """

    name: str
    begins: int = 0
    batch_size: int | None = None
    idle: tuple[str, ...] = ()


WHOLE = Phase("whole")


@dataclass(frozen=True)
class Now:
    """The moment of a step. `rng` is a generator on the host, for decisions; that of the device is the step's `rng`.

    step: steps made before it. samples: samples handed out before it, of each feed. progress: the share of the planned
    length that is over, from 0 on and less than 1; for schedules, which a longer resume stretches.
    """

    step: int
    samples: int
    rng: np.random.Generator
    progress: float = 0.0
    phase: Phase = WHOLE


@dataclass(frozen=True)
class Measure:
    """A number that a step returns. Measures with one `chart`, its title, are drawn together.

    words:   what people call it, in a legend or a line
    scale:   of its axis: "any"; "positive", from 0; "share", 0 to 1; "opinion", 0 to 1 if all values are there
    healthy: the range in which it is when all is well; outside of it for long, the doctor says so
    note:    how to read the chart, in half a sentence
    """

    words: str
    chart: str
    scale: str = "any"
    healthy: tuple[float, float] | None = None
    note: str = ""


@dataclass(frozen=True)
class Game:
    """Two networks against each other, for the doctor's rules about a critic and for nothing else.

    critic, generator: names of networks. critic_loss, generator_loss, real, fake: names of measures; `real` and `fake`
    are the means of the critic's output on either kind, as probabilities or logits, as its objective has them.
    objective: of losses.py, or None for another one. penalty: the measure of a gradient penalty whose weight is
    `penalty_weight`.
    """

    objective: Any
    critic: str = "D"
    generator: str = "G"
    critic_loss: str = "d_loss"
    generator_loss: str = "g_loss"
    real: str = "d_real"
    fake: str = "d_fake"
    penalty: str = ""
    penalty_weight: float = 0.0


@dataclass(frozen=True)
class Judgement:
    """A number that tells how good a model is. Words, note and scale as of a measure.

    better: "lower" or "higher"; empty for a number that is only told, such as a threshold.
    """

    words: str
    better: str = "lower"
    note: str = ""
    scale: str = "positive"


@dataclass(frozen=True)
class Exhibit:
    """Something to look at: pictures (N, H, W, C) in [−1, 1] in rows of `columns`, or points (N, 2).

    like:     the array of the data that these are samples of, drawn from latents; the doctor compares them with it, and
              looks for collapse. Empty for anything else, such as translations.
    captions: of the columns

    All pictures have one size: held-out ones, which may differ, are cropped by whoever shows them.
    """

    samples: Any
    columns: int | None = None
    like: str = ""
    captions: tuple[str, ...] = ()


class Model:
    """The base of all models. Every declaration is empty by default, and every method but `step` does nothing.

    Of each instance: `networks`, any number under any names; `optimizers`, under the names of the networks that they
    move; `device`. A network without an optimiser isn't in `networks` but in `frozen`: written once, into
    RUN/frozen.npz. `step` finds networks and optimisers in these dicts anew each time, because a run may wrap them.
    `averages` follow their networks after every step. `losses` are the objects of losses.py that the step uses: the
    search for a NaN looks into them.
    """

    paper: ClassVar[str] = ""  # for `minigan models`: title, authors, year
    makes: ClassVar[str] = ""  # what, and of which sizes
    suits: ClassVar[str] = ""  # when to choose it
    arrays: dict[str, Kind] = {"real": PICTURE}
    batch_size: ClassVar[int] = 64
    lr_decay: ClassVar[str] = "none"  # how the rates fall to 0 by the end of a run: none, linear or cosine
    holds_out: ClassVar[bool] = False  # whether `show` or `judge` need items that training doesn't see

    device: Device
    networks: dict[str, Layer]
    optimizers: dict[str, Optimizer]
    frozen: dict[str, Layer] = {}
    averages: dict[str, WeightAverage] = {}
    averaged: tuple[str, ...] = ()  # the networks that --ema averages
    losses: dict[str, Any] = {}
    measures: dict[str, Measure] = {}
    games: tuple[Game, ...] = ()
    phases: tuple[Phase, ...] = (WHOLE,)
    judgements: dict[str, Judgement] = {}
    batches_per_step: int = 1  # how many batches a step takes; for an epoch's length in steps
    n_classes: int = 0
    applied: tuple[str, ...] = ()  # networks that `apply` sends a picture through, in inference and in this order
    multiple: int = 1  # what height and width of a picture must be multiples of, for `apply`
    reads: float = 0.0  # how many times a step waits for a number of the device, to decide by it; on average

    @classmethod
    def needs(cls, **arguments: Any) -> dict[str, Kind]:
        """The arrays of a batch, given the constructor's arguments; `arrays` unless a model says otherwise."""
        return cls.arrays

    @classmethod
    def planned(cls, samples: int, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments, with boundaries of phases that are None filled in for a run of so many samples."""
        return arguments

    def step(self, next_batch: Callable[..., dict[str, Any]], rng: Any, now: Now) -> dict[str, Any]:
        """Make one step and return measures, as 0-d arrays on the device; those that it has, not always all.

        next_batch(): the next samples of each feed, as many as the phase's batch has, as {array: rows}.
        """
        raise NotImplementedError(f"{type(self).__name__} has no step(self, next_batch, rng, now)")

    def fill_frozen(self) -> None:
        """Give the networks in `frozen` their weights: called once, when a run begins. Later they are in frozen.npz."""

    def begin(self, phase: Phase, now: Now) -> None:
        """Called before the first step of each phase but the first: to reset optimisers, for instance."""

    def rates(self, now: Now) -> dict[str, float]:
        """The learning rate of each optimiser; those that are left out have the rate that they were made with.

        The run's --lr-decay multiplies them. `step` sets what else has a schedule, by `now`: `optimizer.betas = …`.
        """
        return {}

    def show(self, held_out: Sequence[dict[str, Any]], rng: Any) -> dict[str, Exhibit]:
        """What to look at now and then. `rng` is the same every time; nothing of the model may change.

        held_out: items that training doesn't see, each a batch of one at its own size; none unless `holds_out`.
        """
        return {}

    def judge(self, held_out: Sequence[dict[str, Any]], rng: Any) -> dict[str, float]:
        """The numbers of `judgements`, under the same rules as `show`."""
        return {}

    def state_dict(self) -> dict[str, np.ndarray]:
        """The model's own arrays, on the host, besides those of networks and optimisers: pools, p, w̄, a level."""
        return {}

    def load_state_dict(self, arrays: dict[str, np.ndarray]) -> None:
        """Take up what `state_dict` returned."""

    def average_weights(self, decay: float) -> None:
        """Keep an exponential moving average of the networks in `averaged` (Yazıcı et al. 2018); before training."""
        self.averages = {name: WeightAverage(self.networks[name], decay) for name in self.averaged}

    def drawing(self, name: str) -> Any:
        """The network to draw with: the average of its weights if there is one, else the network itself."""
        return self.averages[name].average if name in self.averages else self.networks[name]


# What a model can do besides is told by the methods that it has:
#
#   damage(item, rng) → arrays                                                  training, and items that are held out
#   latent(n, rng) → z (n, latent_dim); generate(z, labels=None) → samples      minigan sample
#   apply(x, …) → y: one item, a batch of one                                   minigan apply
#   score(x) → (N,); encode(x) → z; reconstruct(x) → x̂; project(x, rng) → w
#
# `damage` makes arrays of a batch out of others, for one item on the host: {"target": (H, W, C)} → {"input": …, "mask":
# …}, float32, which join the batch beside those in `arrays`. `rng` is a generator of NumPy: each time that a picture
# comes round in training it draws something new, whatever the size of the batch; a held-out picture keeps its own.
#
# `applied` names the networks that `apply` sends a picture through, one after the other: if all their layers are
# local, large pictures are worked on in tiles. `multiple` is the number that height and width must be multiples of.
VERBS = ("generate", "apply", "score", "encode", "reconstruct", "project")


def can(model: Any, verb: str) -> bool:
    """Whether a model, or its class, has this verb."""
    return callable(getattr(model, verb, None))


def phase_at(phases: Sequence[Phase], samples: int) -> Phase:
    """The phase after so many samples."""
    return [phase for phase in phases if phase.begins <= samples][-1]
