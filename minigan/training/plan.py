"""The plan of a new run: its complete settings, from the given ones, the model and the data."""

from __future__ import annotations

import inspect
import platform
from dataclasses import replace
from datetime import datetime, timezone
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL

from minigan import __version__
from minigan.backend import get_device
from minigan.common.model_checks import check_arrays
from minigan.common.words import either, nearest
from minigan.data import AUGMENTATIONS
from minigan.model import Kind, Model, can
from minigan.models import MODELS
from minigan.options import arguments_of
from minigan.threads import blas
from minigan.training.build import arrays_of, model_class
from minigan.training.changes import fingerprint, normalized
from minigan.training.evaluation import usual_features
from minigan.training.length import planned, steps_for
from minigan.training.settings import (
    CHOICES,
    DEFAULT_STEPS,
    LEAST_EPOCHS,
    LEAST_STEPS,
    MIN_INTERVAL,
    NUMBERS,
    PICTURES,
    RunConfig,
    TrainingError,
    problem_of,
)
from minigan.training.sources import (
    IN_MEMORY,
    Sources,
    absolute,
    open_sources,
    palettes_of,
    samples_of,
    shapes_of,
)

DEFAULT_DATA = "digits"
PLAIN = ("picture", "points", "samples", "label")  # kinds of arrays in the built-in data sets
OF_DATA = ("img_size", "channels", "limit", "skip_bad", "augment", "swap", "held_out", "ignore")
OF_RUN = ("device", "seed", "checkpoint_interval", "keep_checkpoints", "on_nan", "eval_samples")
AS_GIVEN = OF_DATA + OF_RUN  # settings with the defaults of RunConfig
SETTINGS = {*NUMBERS, *CHOICES, *AS_GIVEN, "model", "data", "crops", "init_from"}


class Plan(NamedTuple):
    """The inputs of a new or resumed run: its settings, the class of its model, its data, and its held-out data."""

    config: RunConfig
    cls: type[Model]
    sources: Sources
    held_out: Sources


def new_plan(given: dict[str, Any], cls: type[Model] | None = None, data: Any = None, held_out: Any = None) -> Plan:
    """Return the plan of a new run.

    given: values of SETTINGS and of the model's arguments
    cls:   a user's own model class, whose name is given["model"]
    data:  a user's own data; given["data"] then describes it

    Raises MiniganError for unknown or invalid settings.
    """
    if "model" not in given:
        raise TrainingError(f"which model? give {either(MODELS)}, or one of your own as my_gan.py:MyGAN")
    given, cls = normalized(given), cls or model_class(given["model"])
    _check(given, cls)
    word = str(given.get("data") or (IN_MEMORY if data is not None else _usual_data(given["model"], cls)))
    config = RunConfig(
        model=given["model"],
        model_args={name: given.get(name, argument.default) for name, argument in arguments_of(cls).items()},
        data=word if data is not None else absolute(word),
        shapes={},
        samples={},
        batch_size=given.get("batch_size", cls.batch_size),
        lr_decay=given.get("lr_decay", cls.lr_decay),
        ema=given.get("ema", cls.ema),
        n_steps=1,
        crops=given.get("crops", cls.crops),
        **{name: given[name] for name in AS_GIVEN if name in given},
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions=_versions(),
        init_from=str(Path(given["init_from"]).resolve()) if "init_from" in given else "",
        given=tuple(sorted(given)),
    )
    get_device(config.device)
    check_arrays(cls, arrays_of(config, cls))
    sources, kept = open_sources(replace(config, data=word), cls, data, held_out)
    learning = learns_classes(cls, config.model_args)
    config = replace(
        config,
        model_args=config.model_args | _number_of_classes(given, cls, config, sources),
        classes=next((tuple(s.classes) for s in sources.values() if s.classes), ()) if learning else (),
        shapes=shapes_of(sources),
        palettes=palettes_of(sources) or None,
        samples=samples_of(sources),
        fingerprint=fingerprint(sources),
    )
    config, model = _with_length(config, cls, given, word)
    interval = max(MIN_INTERVAL, ceil(config.n_steps / PICTURES / 100) * 100)
    config = replace(config, sample_interval=given.get("sample_interval", interval))
    return Plan(_with_judgements(config, model, given, sources), cls, sources, kept)


def check_names(cls: type[Model], model: str) -> None:
    """Raise TrainingError for a model argument that has the name of a setting of every run."""
    for name in arguments_of(cls).keys() & (SETTINGS | {"out", "resume", "open", "dry_run", "quiet", "help"}):
        raise TrainingError(f"{model}: its argument {name} has the name of a setting of every run: rename it")


def _check(given: dict[str, Any], cls: type[Model]) -> None:
    """Raise TrainingError for an unknown setting or an invalid value."""
    own, model = arguments_of(cls), given["model"]
    check_names(cls, model)
    learns = "n_classes" in inspect.signature(cls).parameters
    for name, value in given.items():
        if name not in own and name not in SETTINGS and not (learns and name == "n_classes"):
            offers = ", ".join(f"`{name}`" for name in own) or "no options"
            raise TrainingError(f"{model} has no `{name}`: it takes {offers}")
        problem = own[name].check(value) if name in own else problem_of(name, value)
        if problem:
            raise TrainingError(f"`{name}` {value} {problem}")
    if cls.rates is not Model.rates and given.get("lr_decay", "none") != "none":
        raise TrainingError(f"{model} lowers its learning rates itself: leave `lr_decay` out")
    for name in given.get("augment") or ():
        if name not in AUGMENTATIONS:
            raise TrainingError(f"there is no augmentation {name!r}: {nearest(name, AUGMENTATIONS)}")


def _usual_data(name: str, cls: type[Model]) -> str:
    """Return the default data set of a model. Raises TrainingError if no built-in data set fits the model."""
    kinds = cls.arrays.values()
    feeds = dict.fromkeys(kind.feed for kind in kinds)
    pictures = [kind for kind in kinds if kind.what in ("picture", "map")]
    if len(feeds) > 1 or len(pictures) > 1 or any(kind.what not in PLAIN for kind in kinds):
        raise TrainingError(f"{name} takes {', '.join(cls.arrays)}: {_how_to_give(cls.arrays)}")
    return DEFAULT_DATA


def _how_to_give(kinds: dict[str, Kind]) -> str:
    """Return how the data of a model is given that takes more than one array of pictures or points."""
    feeds = list(dict.fromkeys(kind.feed for kind in kinds.values()))
    pictures = all(kind.what in ("picture", "map") for kind in kinds.values())
    if pictures and len(feeds) == len(kinds) == 2:
        sets = ",".join(f"{feed}=DATA" for feed in feeds)
        return f"give them by `data`, as {sets}, or as one folder with trainA and trainB"
    if pictures and len(feeds) == 1 and len(kinds) == 2:
        folders = ",".join(f"{name}=FOLDER" for name in kinds)
        return f"give a folder of pairs by `data`, side by side in each file or in two folders, or {folders}"
    how = ",".join(f"{feed}=DATA" for feed in feeds) if len(feeds) > 1 else "my_data.py:make_data"
    return f"give their paths by `data`, as {how}"


def learns_classes(cls: type[Model], model_args: dict[str, Any]) -> bool:
    """Whether a model with these arguments needs labels."""
    return any(kind.what == "label" for kind in cls.needs(**model_args).values())


def _number_of_classes(
    given: dict[str, Any], cls: type[Model], config: RunConfig, sources: Sources
) -> dict[str, int | None]:
    """Return {"n_classes": n} for a model with that argument, else {}. Raises TrainingError for an invalid number."""
    if "n_classes" not in inspect.signature(cls).parameters:
        return {}
    if not learns_classes(cls, config.model_args):
        if "n_classes" in given:
            raise TrainingError(f"{config.model} learns classes only with `labels`: add that, or leave out `n_classes`")
        return {"n_classes": None}
    labels = [source.labels for source in sources.values() if source.labels is not None]
    used, most = int(max(some.max() for some in labels)) + 1, max(map(len, sources.values()))
    wanted = given.get("n_classes") or used
    problem = f"small, because {config.data} has {used} classes" if wanted < used else ""
    if wanted > max(used, most):
        problem = f"large, because {config.data} has only {most:,} samples"
    if problem:
        raise TrainingError(f"`n_classes` {wanted} is too {problem}: leave it out")
    return {"n_classes": wanted}


def _with_length(config: RunConfig, cls: type[Model], given: dict[str, Any], data: str) -> tuple[RunConfig, Model]:
    """Return the settings with the number of steps, by default at least LEAST_STEPS and LEAST_EPOCHS, and the model."""
    epoch, n_steps = max(config.samples.values()), given.get("n_steps", DEFAULT_STEPS.get(data))

    def length(config: RunConfig, model: Model) -> int:
        if "n_epochs" in given:
            return steps_for(given["n_epochs"] * epoch, config, model)
        return n_steps or max(LEAST_STEPS, steps_for(LEAST_EPOCHS * epoch, config, model))

    return planned(config, cls, length, (n_steps or LEAST_STEPS) * config.batch_size)


def _with_judgements(config: RunConfig, model: Model, given: dict[str, Any], sources: Sources) -> RunConfig:
    """Return the settings with the evaluations during training. Raises TrainingError for any that don't apply."""
    pictures = any(len(shape) == 3 for shape in config.shapes.values())
    if config.augment and not pictures:
        raise TrainingError(f"`augment` is for pictures, and {config.data} has none: leave it out")
    oblong = next((s for s in config.shapes.values() if len(s) == 3 and s[0] != s[1]), None)
    if "turn" in config.augment and oblong:
        what = f"`augment` turn exchanges height and width, and pictures are {oblong[0]}x{oblong[1]}"
        raise TrainingError(f"{what}: use a square `img_size`, or leave turn out")
    asked = [name for name in ("eval_interval", "eval_samples", "eval_features") if name in given]
    measured = can(model, "generate") and pictures
    sets = any(not one.paired for one in model.translations)  # compared by KID
    judged = model.judgements or model.translations
    for name in asked:
        fits = {"eval_interval": judged, "eval_samples": model.translations}
        if not measured and not fits.get(name, sets):
            why = "is for pictures; of points, modes are counted anyway"
            why = why if can(model, "generate") else f"measures samples of latents, and {config.model} draws none"
            raise TrainingError(f"`{name}` {why}: leave it out")
        if "eval_interval" not in asked and not judged:
            raise TrainingError(f"`{name}` is about evaluations during training: add `eval_interval`")
    datasets = [p for source in sources.values() for p in source.parts.values() if not isinstance(p, np.ndarray)]
    interval = given.get("eval_interval") or (config.sample_interval if judged else None)
    features = given.get("eval_features") or (usual_features(*datasets) if (asked and measured) or sets else "")
    return replace(config, eval_interval=interval, eval_features=features)


def _versions() -> dict[str, str]:
    return {
        "minigan": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "blas": str(blas.describe()),
        **blas.environment(),
    }
