"""The settings of a run, as they stand in its config.json."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

from minigan.data import AUGMENTATIONS
from minigan.errors import CheckpointError, MiniganError
from minigan.metrics import FEATURE_NETWORKS
from minigan.optim import constant, cosine_decay, linear_decay

# Streams of random numbers that belong to one seed: none disturbs another.
INITIAL_WEIGHTS, TRAINING, EXHIBITED, COUNTED_LATENTS, JUDGED_LATENTS, EVALUATED_LATENTS, REAL_SAMPLES, HOST = range(8)
USUAL_STEPS = 4000  # of a run on pictures, by default at least: few of them need no fewer steps than many
FEWEST_JUDGED = 10  # samples: Inception Score takes the mean over ten parts
ON_NAN = ("stop", "rollback")  # what to do when a number becomes infinite or NaN
# Of the learning rate: from the number of steps of a run to the factor at each of them.
DECAYS: dict[str, Callable[[int], Callable[[int], float]]] = {
    "none": lambda n_steps: constant(),
    "linear": lambda n_steps: linear_decay(0, n_steps),
    "cosine": lambda n_steps: cosine_decay(n_steps),
}


class TrainingError(MiniganError):
    """A run that can't start, or can't go on."""


@dataclass(frozen=True)
class RunConfig:
    """What was asked for.

    model         a name in MODELS, or a user's own as my_gan.py:MyGAN; model_args: its constructor's options
    data          a name or path, or a user's own function as my_data.py:make_data
    shapes        of a sample of each array of a batch that isn't a label, such as {"real": (28, 28, 1)}
    samples       of each feed, at the beginning
    n_steps       the length of training
    img_size      (H, W) that pictures were brought to, or None
    classes       names, by label, of the classes that a conditional model learns
    ema           the decay of the average of weights, or None; lr_decay: one of DECAYS; on_nan: one of ON_NAN
    eval_interval steps between judgements, or None; eval_features: the feature network that measures eval_samples
                  samples then, or ""
    fingerprint   tells whether the data is still the same; own: the SHA-256 of each of the user's own files
    init_from     the checkpoint whose weights the run began with
    changes       what was changed when it went on (changes.py)
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
    command: str = ""
    started: str = ""
    versions: dict[str, str] | None = None


def parse_config(values: dict[str, Any]) -> RunConfig:
    """Make the settings of what JSON gave.

    Raises CheckpointError for the settings of an older minigan; ValueError, TypeError, KeyError or AttributeError for
    what are none.
    """
    if "shape" in values and "shapes" not in values:
        raise CheckpointError("it was made by an older minigan, and this one can't go on with it: start a new run")
    known = [field.name for field in fields(RunConfig) if field.name in values or field.default is MISSING]
    config = RunConfig(**{name: values[name] for name in known})
    tuples = {name: tuple(getattr(config, name)) for name in ("augment", "classes", "changes")}
    shapes = {name: tuple(shape) for name, shape in config.shapes.items() if isinstance(shape, list | tuple)}
    if shapes.keys() != config.shapes.keys():
        raise TypeError("a shape is no list")
    size = None if config.img_size is None else tuple(config.img_size)
    config = replace(config, **tuples, shapes=shapes, img_size=size)
    _check(config)
    return config


def _check(config: RunConfig) -> None:
    """Raise TypeError or ValueError if a field read from JSON isn't of the kind in its annotation, or out of range."""
    for field in fields(config):
        value = getattr(config, field.name)
        kinds = [kind.split("[")[0].strip() for kind in str(field.type).split("|")]
        if ("None" if value is None else type(value).__name__) not in kinds:
            raise TypeError(f"{field.name} is {value!r}")
    whole = [config.batch_size, config.n_steps, config.sample_interval, config.checkpoint_interval]
    whole += [config.eval_interval or 1, config.keep_checkpoints, *(config.img_size or ()), *config.samples.values()]
    whole += [n for n in (config.channels, config.limit) if n is not None]
    whole += [n for shape in config.shapes.values() for n in shape]
    if any(type(n) is not int or n < 1 for n in whole) or config.seed < 0 or not config.samples:
        raise ValueError("a number isn't a whole one from 1 on, or the seed is negative")
    if config.img_size is not None and len(config.img_size) != 2:
        raise ValueError("the size of pictures isn't a height and a width")
    texts = (*config.classes, *config.changes, *config.samples, *config.shapes, *(config.own or {}).values())
    if any(type(text) is not str for text in texts) or not 0 <= (config.ema or 0) < 1:
        raise ValueError("a class has no name, a change no words, or the decay isn't one")
    known = {"lr_decay": DECAYS, "eval_features": ("", *FEATURE_NETWORKS), "on_nan": ON_NAN}
    if any(getattr(config, name) not in values for name, values in known.items()):
        raise ValueError("the decay of the learning rate, the feature network, or what to do on NaN is unknown")
    if config.eval_samples < FEWEST_JUDGED or set(config.augment) - AUGMENTATIONS.keys():
        raise ValueError("too few samples are to be measured, or an augmentation is unknown")
