"""The settings of a run, as stored in its config.json."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import MISSING, dataclass, fields
from typing import Any

from minigan.data import AUGMENTATIONS, Palette
from minigan.errors import CheckpointError, MiniganError
from minigan.metrics import FEATURE_NETWORKS
from minigan.optim import constant, cosine_decay, linear_decay
from minigan.options import Argument, Count, Fraction, WholeNumber

# Independent streams of random numbers, each seeded by [seed, stream, …].
INITIAL_WEIGHTS, TRAINING, EXHIBITED, COUNTED_LATENTS, JUDGED_LATENTS, EVALUATED_LATENTS, REAL_SAMPLES, HOST = range(8)
DEFAULT_STEPS = {"digits": 2000, "ring": 10_000, "grid": 10_000}  # digits: two minutes on two CPU cores
LEAST_STEPS, LEAST_EPOCHS = 4000, 25  # for other data, whichever is longer: small data sets don't need fewer steps
MIN_INTERVAL, PICTURES = 100, 50  # pictures of a run: steps between them at least, and about how many
FEWEST_JUDGED = 10  # samples: the Inception Score is a mean over ten parts
ON_NAN = ("stop", "rollback")  # the reactions to an infinite number or NaN
# Learning-rate schedules: from the number of steps of a run to the factor at each step
DECAYS: dict[str, Callable[[int], Callable[[int], float]]] = {
    "none": lambda n_steps: constant(),
    "linear": lambda n_steps: linear_decay(0, n_steps),
    "half": lambda n_steps: linear_decay(n_steps / 2, n_steps / 2),  # constant for the first half of the run
    "cosine": cosine_decay,
}


class TrainingError(MiniganError):
    """A run that can't be started or continued."""


@dataclass(frozen=True)
class RunConfig:
    """The settings of a run.

    model         a name in MODELS, or a user's own as my_gan.py:MyGAN; model_args: its constructor's options
    data          a name or path, or a user's own function as my_data.py:make_data
    shapes        of one sample of each array of a batch except labels, such as {"real": (28, 28, 1)}
    samples       the number of samples of each feed, at the beginning
    n_steps       the length of training
    img_size      (H, W) of pictures in training, or None; crops: cut out of larger ones, rather than resized
    swap          whether the two sides of pairs, or of two sets in one folder, are exchanged
    held_out      what is held out, if not the data's own part: patterns of file names, or a name or path
    palettes      the classes of each array of class maps, or None; ignore: values that are no class
    classes       names, by label, of the classes of a conditional model
    ema           the decay of the average of weights, or None; lr_decay: one of DECAYS; on_nan: one of ON_NAN
    eval_interval steps between judgements, or None; eval_features: the feature network for FID of eval_samples
                  samples, or ""
    fingerprint   a checksum that detects changed data; own: the SHA-256 of each of the user's own files
    init_from     the checkpoint with the initial weights
    changes       descriptions of the changes made on resume (changes.py)
    given         the names of the settings that the user gave
    """

    model: str
    model_args: dict[str, Any]
    data: str
    shapes: dict[str, tuple[int, ...]]
    samples: dict[str, int]
    batch_size: int
    n_steps: int
    img_size: tuple[int, int] | None = None
    channels: int | None = None
    limit: int | None = None
    skip_bad: bool = False
    crops: bool = False
    swap: bool = False
    held_out: str = ""
    ignore: tuple[str, ...] = ()
    palettes: dict[str, Palette] | None = None
    augment: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    ema: float | None = None
    lr_decay: str = "none"
    seed: int = 0
    device: str = "cpu"
    sample_interval: int = 100
    checkpoint_interval: int = 500
    keep_checkpoints: int = 3
    on_nan: str = "stop"
    eval_interval: int | None = None
    eval_samples: int = 2000
    eval_features: str = ""
    fingerprint: str = ""
    init_from: str = ""
    own: dict[str, str] | None = None
    changes: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    command: str = ""
    started: str = ""
    versions: dict[str, str] | None = None


# Numeric settings, with their limits and help texts
_length = ", ".join(f"{data}: {n:,}" for data, n in DEFAULT_STEPS.items())
_length += f"; other data: {LEAST_STEPS:,}, or {LEAST_EPOCHS} epochs if that is more"
_pictures = f"{MIN_INTERVAL}, or for about {PICTURES}"
_judged = "none; for judgements of the model's own or of its translations, as often as pictures"
NUMBERS = {
    one.name: one
    for one in (
        Argument("limit", int, Count("use only N samples, drawn by the seed", "all"), None),
        Argument("n_epochs", int, Count("passes through the data", "by the number of steps"), None),
        Argument("n_steps", int, Count("steps: updates of a generator, with those of its critic", _length), None),
        Argument("batch_size", int, Count("samples in a batch", "by model"), None),
        Argument("ema", float, Fraction("decay of an average of weights that draws", "no average"), None),
        Argument("seed", int, WholeNumber("seed of everything random"), 0),
        Argument("sample_interval", int, Count("steps between pictures; the first come sooner", _pictures), None),
        Argument("checkpoint_interval", int, Count("steps between checkpoints"), RunConfig.checkpoint_interval),
        Argument("keep_checkpoints", int, Count("checkpoints that are kept, besides the best"), 3),
        Argument("eval_interval", int, Count("steps between judgements, with best.npz", _judged), None),
        Argument(
            "eval_samples", int, Count("samples in an evaluation; of held-out ones at most"), RunConfig.eval_samples
        ),
    )
}
CHOICES: dict[str, Collection[Any]] = {
    "channels": (1, 3),
    "lr_decay": DECAYS,
    "on_nan": ON_NAN,
    "eval_features": FEATURE_NETWORKS,
}


def problem_of(name: str, value: Any) -> str:
    """Return what is wrong with the value of a setting, as the end of a sentence; empty if it is valid."""
    if name in CHOICES and value not in CHOICES[name]:
        return f"is none of {', '.join(map(str, CHOICES[name]))}"
    problem = NUMBERS[name].check(value) if name in NUMBERS else ""
    if name == "eval_samples" and not problem and value < FEWEST_JUDGED:
        return f"are too few: give {FEWEST_JUDGED} at least"
    return problem


def parse_config(values: dict[str, Any]) -> RunConfig:
    """Build the settings from parsed JSON. Raises CheckpointError for an older format, other exceptions if invalid."""
    if "shape" in values and "shapes" not in values:
        raise CheckpointError("it was made by an older minigan, and this one can't resume it: start a new run")
    known = [field.name for field in fields(RunConfig) if field.name in values or field.default is MISSING]
    given = {name: values[name] for name in known}
    for name in ("augment", "classes", "changes", "given", "ignore"):
        given[name] = tuple(given.get(name, ()))
    if given.get("img_size") is not None:
        given["img_size"] = tuple(given["img_size"])
    if not all(isinstance(shape, list | tuple) for shape in given["shapes"].values()):
        raise TypeError("a shape is no list")
    given["shapes"] = {name: tuple(shape) for name, shape in given["shapes"].items()}
    if given.get("palettes") is not None:
        given["palettes"] = {name: Palette.parse(palette) for name, palette in given["palettes"].items()}
    config = RunConfig(**given)
    _check(config)
    return config


def _check(config: RunConfig) -> None:
    """Raise TypeError if a field from JSON doesn't have its annotated type, ValueError if it is out of range."""
    for field in fields(config):
        value = getattr(config, field.name)
        kinds = [kind.split("[")[0].strip() for kind in str(field.type).split("|")]
        if ("None" if value is None else type(value).__name__) not in kinds:
            raise TypeError(f"{field.name} is {value!r}")
        problem = problem_of(field.name, value) if value != field.default else ""
        if problem:
            raise ValueError(f"{field.name} {value!r} {problem}")
    size = (1, 1) if config.img_size is None else config.img_size
    whole = [*size, *config.samples.values(), *(n for shape in config.shapes.values() for n in shape)]
    if any(type(n) is not int or n < 1 for n in whole) or len(size) != 2 or not config.samples:
        raise ValueError("a size or a number of samples isn't a whole number from 1 on")
    own = (config.own or {}).values()
    texts = (*config.classes, *config.changes, *config.given, *config.ignore, *config.samples, *config.shapes, *own)
    if any(type(text) is not str for text in texts) or set(config.augment) - AUGMENTATIONS.keys():
        raise ValueError("a class has no name, a change no words, or an augmentation is unknown")
