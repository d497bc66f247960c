"""The interface of a model: `Model` and the dataclasses that it declares.

A model is a class that holds networks and optimizers, declares the arrays of a batch and the numbers that it returns,
and performs training steps. Training, sampling, evaluation and `apply` use a model only through this interface.
docs/model.md has a complete example.

Some arguments of the constructor are filled in from the data if they have these names: `shape`, the shape of a sample,
or `NAME_shape` for each array if there are several; `n_classes`, the number of labels; `NAME_colors`, a color for each
class of a map, in bytes (K, 3). `rng` draws the initial weights, `device` holds them. All other arguments are options
(options.py).
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
    """The contents of an array of a batch, and its feed. Row i of all arrays of one feed is the same item.

    "picture"   (N, H, W, C) float32 in [−1, 1]
    "points"    (N, F) float32
    "samples"   pictures or points, whichever the data has
    "label"     (N,) integers
    "mask"      (N, H, W, 1) uint8, 0 or 1
    "map"       (N, H, W, K) float32, a class for each pixel: 1 in the channel of its class, 0 in the others; 0 in all
                channels where the class isn't known
    "numbers"   (N, …) float32, not scaled
    """

    what: str
    feed: str = "data"


PICTURE, POINTS, SAMPLES, LABEL, MASK, MAP = (
    Kind(what) for what in ("picture", "points", "samples", "label", "mask", "map")
)
CONTENTS = ("picture", "points", "samples", "label", "mask", "map", "numbers")


@dataclass(frozen=True)
class Phase:
    """A part of training, such as a resolution in progressive growing.

    begins:     number of samples used before it
    batch_size: None for the batch size of the run
    idle:       networks or layers that aren't trained in it, such as "D" or "G.8": the doctor expects no gradients
    """

    name: str
    begins: int = 0
    batch_size: int | None = None
    idle: tuple[str, ...] = ()


WHOLE = Phase("whole")


@dataclass(frozen=True)
class Now:
    """The position of a step in training.

    step:     number of earlier steps
    samples:  number of samples of each feed that earlier steps used
    rng:      random generator on the host, for decisions; arrays are drawn with the `rng` argument of `step`
    progress: fraction of the planned steps that are done, in [0, 1); for schedules
    phase:    the current phase
    """

    step: int
    samples: int
    rng: np.random.Generator
    progress: float = 0.0
    phase: Phase = WHOLE


@dataclass(frozen=True)
class Measure:
    """A number that a step returns.

    words:   its name in legends and messages
    chart:   title of its chart; measures with the same title share one
    scale:   of the axis: "any"; "positive", from 0; "share", 0 to 1; "opinion", 0 to 1 if all values are in that range
    healthy: range of normal values; the doctor reports a measure that stays outside
    note:    how to read the chart, in half a sentence
    """

    words: str
    chart: str
    scale: str = "any"
    healthy: tuple[float, float] | None = None
    note: str = ""


@dataclass(frozen=True)
class Game:
    """A critic and a generator that compete. Only the doctor's rules for critics use it.

    objective:                   an object of losses.py, or None for another objective
    critic, generator:           names of networks
    critic_loss, generator_loss: names of measures
    real, fake:                  names of measures: the critic's mean output, as probabilities or logits
    penalty, penalty_weight:     name of the measure of a gradient penalty, and its weight in the critic's loss
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
    """A number that rates a model. words, note, scale: as in `Measure`.

    better: "lower" or "higher"; empty for a number that is only reported, such as a threshold
    chart:  title of its chart; empty for a chart of its own. Judgements with the same title share one, and a judgement
            with the title of a measure's chart is drawn there, such as the held-out error beside that of training
    """

    words: str
    better: str = "lower"
    note: str = ""
    scale: str = "positive"
    chart: str = ""


@dataclass(frozen=True)
class Translation:
    """A model computes array `target` from array `source`, by `Model.translate`; a run judges it on held-out items.

    paired:   True if item i of the target is the result wanted for item i of the source: pictures are compared by PSNR,
              SSIM and L1, maps by the share of correct pixels and the mean intersection over union. False if the two
              are only sets of pictures, of different feeds: then the results are compared with the set by KID
    networks: those that `apply` uses for it, in order, if there are several translations; else `applied` says it
    luminance: name of the measure of the correlation between the luminance of a source and its result, if light and
              dark should be kept: the doctor reports negatives
    undecided: why the scores don't say which checkpoint is the best; empty if they do. Otherwise they are reported, and
              no best.npz is kept for them
    """

    source: str
    target: str
    paired: bool = True
    networks: tuple[str, ...] = ()
    luminance: str = ""
    undecided: str = ""


@dataclass(frozen=True)
class Exhibit:
    """Samples to display: pictures (N, H, W, C) in [−1, 1], or points (N, 2).

    columns:  pictures per row
    like:     name of the data array whose distribution the samples should match; the doctor compares both and detects
              mode collapse. Empty for other pictures, such as translations
    captions: one per column

    All pictures have the same size: `show` crops held-out pictures of different sizes.
    """

    samples: Any
    columns: int | None = None
    like: str = ""
    captions: tuple[str, ...] = ()


class Model:
    """The base class of all models. Only `step` must be written; all declarations and other methods have defaults.

    `step` must look networks and optimizers up in their dicts each time, because a run may wrap them.
    """

    paper: ClassVar[str] = ""  # title, authors, year, for `minigan models`
    makes: ClassVar[str] = ""  # kind and sizes of the samples
    suits: ClassVar[str] = ""  # when to choose the model
    arrays: dict[str, Kind] = {"real": PICTURE}
    batch_size: ClassVar[int] = 64
    ema: ClassVar[float | None] = None  # default of --ema: the decay of an average of weights; None: no average
    lr_decay: ClassVar[str] = "none"  # of learning rates to 0: none, linear, cosine; half: linear in the second half
    holds_out: ClassVar[bool] = False  # True if `show` or `judge` need items that aren't used in training
    # Hold out one in so many training samples, even if the data has a val or test part; 0: that part, else a tenth
    holds_out_one_of: ClassVar[int] = 0
    # True: training sees random crops of pictures, and held-out items are whole pictures. False: both are resized
    crops: ClassVar[bool] = False

    device: Device
    networks: dict[str, Layer]  # the trained networks, under any names
    optimizers: dict[str, Optimizer]  # one per network, under the same names
    frozen: dict[str, Layer] = {}  # networks that aren't trained; a run saves them once, in RUN/frozen.npz
    averages: dict[str, WeightAverage] = {}  # updated after every step
    averaged: tuple[str, ...] = ()  # networks that --ema averages
    losses: dict[str, Any] = {}  # the objects of losses.py that `step` calls; searched for the first NaN
    measures: dict[str, Measure] = {}
    games: tuple[Game, ...] = ()
    phases: tuple[Phase, ...] = (WHOLE,)
    judgements: dict[str, Judgement] = {}
    translations: tuple[Translation, ...] = ()
    batches_per_step: int = 1  # number of batches a step uses, which determines the steps per epoch
    n_classes: int = 0
    applied: tuple[str, ...] = ()  # networks that `apply` maps a picture through, in inference mode and in this order
    recolors: bool = False  # True if `apply` may give colors to a gray picture; else `minigan apply` keeps it gray
    begins_with: ClassVar[tuple[str, ...]] = ()  # other models whose networks --init-from may bring
    scale: int = 1  # the result of `apply` is so many times as high and as wide as the picture
    multiple: int = 1  # `apply` pads height and width of a picture to multiples of it
    reads: float = 0.0  # average number of times a step waits for the device to read a number on the host

    @classmethod
    def needs(cls, **arguments: Any) -> dict[str, Kind]:
        """Return the arrays of a batch for these constructor arguments. Default: `arrays`."""
        return cls.arrays

    @classmethod
    def planned(cls, samples: int, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments with phase boundaries that are None filled in, for a run of `samples` samples.

        `arguments` also has the run's `batch_size`, for boundaries that are given in steps.
        """
        return arguments

    def heuristics(self, batch_size: int) -> Sequence[str]:
        """Return a line for each value that the model computes by a rule of thumb: the value, the rule and its reason.

        A run and a dry run print them at the start. `batch_size` in backticks becomes the option --batch-size.
        """
        return ()

    def step(self, next_batch: Callable[..., dict[str, Any]], rng: Any, now: Now) -> dict[str, Any]:
        """Perform one training step. Returns measures as 0-d arrays on the device; some steps may return only some.

        next_batch(): returns the next batch of each feed as {array name: rows}
        rng:          random generator on the device
        """
        raise NotImplementedError(f"{type(self).__name__} has no step(self, next_batch, rng, now)")

    def fill_frozen(self, read: Callable[[str], dict[str, np.ndarray]]) -> None:
        """Load the weights of the networks in `frozen`. Called once, at the start of a run, which then saves them.

        read: reads a file of weights (.pth, .safetensors or .npz) without trusting it, or those of a network that
              ships, "photos" or "digits": `read(name)` → {array name: array}. Raises MiniganError
        """

    def begin(self, phase: Phase, now: Now) -> None:
        """Prepare a phase, e.g. reset optimizers. Called before the first step of every phase except the first."""

    def rates(self, now: Now) -> dict[str, float]:
        """Return the learning rates by optimizer name, instead of --lr-decay. Default: the initial rates."""
        return {}

    def show(self, held_out: Sequence[dict[str, Any]], rng: Any) -> dict[str, Exhibit]:
        """Return samples to display, by name. Called at intervals; must not change the model.

        held_out: items that aren't used in training, each a batch of one, resized as in training, or whole if training
                  sees crops; empty unless `holds_out`
        rng:      random generator on the device, with the same seed in every call
        """
        return {}

    def judge(self, held_out: Sequence[dict[str, Any]], rng: Any) -> dict[str, float]:
        """Return the numbers declared in `judgements`. Arguments and rules as in `show`."""
        return {}

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the state outside networks and optimizers as host arrays, such as an image pool, w̄ or a level."""
        return {}

    def load_state_dict(self, arrays: dict[str, np.ndarray]) -> None:
        """Restore the result of `state_dict`."""

    def average_weights(self, decay: float) -> None:
        """Start moving averages of the networks in `averaged` (Yazıcı et al. 2018). Call this before training."""
        self.averages = {name: WeightAverage(self.networks[name], decay) for name in self.averaged}

    def drawing(self, name: str) -> Any:
        """Return the network to sample with: the moving average of network `name` if there is one, else itself."""
        return self.averages[name].average if name in self.averages else self.networks[name]


# Optional methods of a model, and where they are used:
#
#   damage(item, rng) → arrays                                                  training and held-out items
#   latent(n, rng) → z (n, latent_dim); generate(z, labels=None) → samples      minigan sample
#   apply(x, …) → y, for a batch of one item                                    minigan apply
#   translate(item) → {target: y}, for the targets in `translations`            judging held-out items, minigan evaluate
#   baseline(item) → {target: y}, a simple answer named `baseline_words`        stands beside the results of `translate`
#   stages(item) → {caption: y}, the results of parts of training               tables
#   set_strength(s): `apply` uses (1 − s)·first + s·last stage's weights        minigan apply --strength
#   styles(z, labels=None, truncation=1.0, layers=None) → w (n, L, D)           minigan sample --truncation, --mix
#   synthesize(w, rng=None) → samples                                           minigan sample --mix, --interpolate
#   trace(code, labels=None) → samples, backward                                minigan project
#   score(x) → (N,); encode(x) → z; reconstruct(x) → x̂
#
# `damage` computes further arrays of a batch, such as a noisy input, from one item on the host: {"target": (H, W, C)} →
# {"input": …, "mask": …}, float32. `rng` is a NumPy generator that depends on the item and its epoch, but not on the
# batch size. A held-out item always gets the same `rng`.
#
# `apply` processes large pictures in tiles if all layers of the `applied` networks are local. With several translations
# it takes the argument `to`, the target.
#
# A generator with styles has a w of D numbers for each of its L layers. `styles` computes them from z, and moves those
# of the first `layers` layers (all: None) towards their mean: w̄ + truncation · (w − w̄). So truncation=0 gives w̄ itself.
# `generate(z, labels, truncation=1.0)` is `synthesize(styles(z, labels, truncation))`. Without `rng`, layers that add
# noise add the same noise in every call.
#
# The code of `trace` is w for a model with styles, else z. `backward(dsamples)` returns dcode, as long as the networks
# are the same; it adds nothing to gradients of parameters. All of these methods run in inference mode.
VERBS = ("generate", "apply", "translate", "score", "encode", "reconstruct")


def can(model: Any, verb: str) -> bool:
    """Return True if a model, or its class, has the method `verb`."""
    return callable(getattr(model, verb, None))


def phase_at(phases: Sequence[Phase], samples: int) -> Phase:
    """Return the phase that is current after `samples` samples."""
    return [phase for phase in phases if phase.begins <= samples][-1]
