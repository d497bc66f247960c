"""The settings of a run: what was given on the command line, and what follows from the model and the data."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from dataclasses import asdict, replace
from datetime import datetime, timezone
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from minigan import __version__, blas
from minigan.backend import CPU, get_device
from minigan.cli import UsageError, either
from minigan.commands.options import ModelOption, flag, is_conditional, model_options, takes_points
from minigan.data import Dataset, open_dataset
from minigan.gans import MODELS
from minigan.training.changes import fingerprint
from minigan.training.evaluation import usual_features
from minigan.training.run import FEWEST_JUDGED, USUAL_STEPS, RunConfig, model_class

DEFAULT_DATA = "digits"
DEFAULT_STEPS = {"digits": 2000, "ring": 10_000, "grid": 10_000}  # digits: two minutes on two CPU cores
LEAST_STEPS, LEAST_EPOCHS = USUAL_STEPS, 25  # for other data: whichever is longer
MIN_INTERVAL, PICTURES = 100, 50  # of the pictures of a run
SAVING = ("checkpoint_interval", "keep_checkpoints", "on_nan")
OPTIONAL = ("augment", "device", "ema", "skip_bad", *SAVING, "eval_interval", "eval_samples")
# What may change when a run goes on; `lr` is an argument of the model.
CHANGEABLE = ("n_steps", "data", "batch_size", "lr", "augment", "ema", "sample_interval", *SAVING, "eval_interval")
CHANGEABLE += ("device", "skip_bad")


def new_config(given: dict[str, Any]) -> tuple[RunConfig, Dataset]:
    """Fill in what wasn't given on the command line, and open the data. Raises MiniganError for what doesn't fit."""
    if "model" not in given:
        raise UsageError(f"which model? minigan train MODEL, with {either(MODELS)}")
    model = model_class(given["model"])
    own = model_options(model)
    _refuse_options_of_others(given, own)
    wanted = {name: given.get(name) for name in ("img_size", "channels", "limit")}
    skip_bad = given.get("skip_bad", False)
    seed = given.get("seed", 0)
    data = str(given.get("data", DEFAULT_DATA))
    dataset = open_dataset(data, wanted["img_size"], wanted["channels"], seed, limit=wanted["limit"], skip_bad=skip_bad)
    if len(dataset.shape) == 1 and not takes_points(model):
        able = either(name for name, cls in MODELS.items() if takes_points(cls))
        raise UsageError(f"{given['model']} draws pictures, and {data} has points: train {able} on it")
    if given.get("augment") and len(dataset.shape) != 3:
        raise UsageError(f"--augment is for pictures, and {data} has none: leave it out")
    for name in ("eval_interval", "eval_samples", "eval_features"):
        if name in given and len(dataset.shape) != 3:
            raise UsageError(f"{flag(name)} is for pictures; of points, modes are counted anyway: leave it out")
        if name in given and "eval_interval" not in given:
            raise UsageError(f"{flag(name)} is about evaluations during training: add --eval-interval")
    if given.get("eval_samples", FEWEST_JUDGED) < FEWEST_JUDGED:
        raise UsageError(f"--eval-samples {given['eval_samples']} are too few: give {FEWEST_JUDGED} at least")
    model_args = {name: given.get(name, option.default) for name, option in own.items()}
    classes = _fill_in_classes(model_args, given, data, dataset)
    config = RunConfig(
        model=given["model"],
        model_args=model_args,
        data=absolute(data),
        shape=tuple(dataset.shape),
        samples=len(dataset),
        batch_size=given.get("batch_size", model.batch_size),
        lr_decay=given.get("lr_decay", model.lr_decay),
        n_steps=1,
        classes=classes,
        **wanted,
        seed=seed,
        **{name: given[name] for name in OPTIONAL if name in given},
        eval_features=given.get("eval_features", usual_features(dataset)),
        command=shlex.join(["minigan", *sys.argv[1:]]),
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions={
            "minigan": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "pillow": PIL.__version__,
            "blas": str(blas.describe()),
            **blas.environment(),
        },
        fingerprint=fingerprint(dataset),
        init_from=str(given["init_from"].resolve()) if "init_from" in given else "",
    )
    get_device(config.device)
    n_steps = _length(config, given, data)
    interval = max(MIN_INTERVAL, ceil(n_steps / PICTURES / 100) * 100)
    return replace(config, n_steps=n_steps, sample_interval=given.get("sample_interval", interval)), dataset


def _fill_in_classes(model_args: dict[str, Any], given: dict[str, Any], data: str, dataset: Dataset) -> tuple[str, ...]:
    """Write the number of classes into the arguments of a conditional model, and return their names.

    Raises UsageError if the data has no labels, or for a number that was given: below that of the labels, or above that
    of the samples.
    """
    name = given["model"]
    if not is_conditional(model_class(name), model_args):
        if "n_classes" in given:
            raise UsageError(f"{name} learns classes only with --labels: add that, or leave out --n-classes")
        return ()
    if dataset.labels is None:
        hint = ", or leave out --labels" if "labels" in model_args else ""
        then = f"put each class, two at least, into a folder of its own{hint}"
        raise UsageError(f"{name} learns classes, and {data} has no labels: {then}")
    classes, used = tuple(dataset.classes or ()), int(dataset.labels.max()) + 1
    model_args["n_classes"] = given.get("n_classes", used)
    if model_args["n_classes"] < used:
        least = f"{data} has {used} classes"
        raise UsageError(f"--n-classes {model_args['n_classes']} is too small, because {least}: leave it out")
    if model_args["n_classes"] > max(used, len(dataset)):
        most = f"{data} has only {len(dataset):,} samples"
        raise UsageError(f"--n-classes {model_args['n_classes']} is too large, because {most}: leave it out")
    return classes


def _refuse_options_of_others(given: dict[str, Any], own: dict[str, ModelOption]) -> None:
    """Raise UsageError for an option, or a choice of it, that another model has."""
    for model in MODELS.values():
        for name in given.keys() & (model_options(model).keys() - own.keys()):
            flags = ", ".join(option.flag for option in own.values())
            raise UsageError(f"{given['model']} has no {flag(name)}: it takes {flags}")
    for name, option in own.items():
        if option.choices and given.get(name, option.default) not in option.choices:
            problem = f"{given['model']} has no {option.flag} {given[name]}"
            raise UsageError(f"{problem}: choose {either(option.choices)}")


def extend(config: RunConfig, given: dict[str, Any]) -> RunConfig:
    """Change what may change when a run goes on. Raises UsageError if anything else was given another value."""
    given = dict(given)
    if "n_epochs" in given:
        given["n_steps"] = ceil(given.pop("n_epochs") * steps_per_epoch(config))
    if "data" in given:
        given["data"] = absolute(given["data"])
    before = asdict(config) | config.model_args
    found: dict[str, Any] = {"limit": config.samples}  # what it came to where nothing was asked for
    if len(config.shape) == 3:
        height, width, found["channels"] = config.shape
        found["img_size"] = height if height == width else None
    for name, value in given.items():
        if name in before and (name in CHANGEABLE or value in (before[name], found.get(name, before[name]))):
            continue
        began = "a model without it"
        if name in before:
            began = _plain(name, found.get(name) if before[name] is None else before[name])
        spelt = _plain(name, value) if isinstance(value, bool) else f"{flag(name)} {_plain(name, value)}"
        spelt = f"MODEL {value}" if name == "model" else spelt
        raise UsageError(f"{spelt} doesn't fit this run, which began with {began}: leave it out, or start a new run")
    changed = {name: given[name] for name in CHANGEABLE if name in given}
    arguments = {name: changed.pop(name) for name in config.model_args.keys() & changed.keys()}
    return replace(config, model_args=config.model_args | arguments, **changed)


def _plain(name: str, value: Any) -> str:
    """A value as it is typed."""
    if isinstance(value, bool):
        return flag(name if value else f"no_{name}")
    if isinstance(value, tuple) or (name == "ema" and value is None):
        return ",".join(value or ()) or "none"
    return "the default" if value is None else str(value)


def absolute(data: str) -> str:
    """Make a path absolute, so that the run can go on from another directory; names stay names."""
    return str(Path(data).expanduser().resolve()) if "/" in data or os.path.exists(data) else data


def steps_per_epoch(config: RunConfig) -> float:
    """Updates of the generator in a pass through the data."""
    n_critic = config.model_args.get("n_critic", 1)
    if n_critic is None:  # the model decides
        n_critic = config.build_gan(CPU).n_critic
    return config.samples // config.batch_size / n_critic


def _length(config: RunConfig, given: dict[str, Any], data: str) -> int:
    """The steps of a run; by default no fewer for a small data set."""
    if "n_steps" in given:
        return given["n_steps"]
    if "n_epochs" in given:
        return max(1, ceil(given["n_epochs"] * steps_per_epoch(config)))
    return DEFAULT_STEPS.get(data) or max(LEAST_STEPS, ceil(LEAST_EPOCHS * steps_per_epoch(config)))
