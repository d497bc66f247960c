"""Builds a model from the settings of a run, and loads a trained model from the folder of a run."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np

from minigan.backend import Device, get_device
from minigan.common.model_checks import check_model
from minigan.common.user_code import is_own
from minigan.common.words import nearest
from minigan.errors import CheckpointError, MiniganError
from minigan.model import Kind, Model
from minigan.models import MODELS
from minigan.options import arguments_of
from minigan.training.checkpoint import Checkpoint, Warn, load_checkpoint, load_newest
from minigan.training.folder import RunFolder
from minigan.training.npz_files import load_frozen
from minigan.training.settings import INITIAL_WEIGHTS, RunConfig, TrainingError


def model_class(name: str) -> type[Model]:
    """Return the built-in model class of a name. Raises TrainingError, with the most similar name, if there is none."""
    if name in MODELS:
        return MODELS[name]
    if is_own(name):
        raise TrainingError(f"this run's model is {name}, a file of your own: hand over the class")
    raise TrainingError(f"there is no model called {name!r}: {nearest(name, MODELS)}")


def arrays_of(config: RunConfig, cls: type[Model] | None = None) -> dict[str, Kind]:
    """Return the arrays that the model of a run needs. Raises TrainingError for arguments that exclude each other."""
    try:
        return (cls or model_class(config.model)).needs(**config.model_args)
    except (TypeError, ValueError) as error:
        if isinstance(error, MiniganError):
            raise
        raise TrainingError(f"{config.model}: {error}") from error


def build_model(config: RunConfig, cls: type[Model] | None = None, device: Device | str | None = None) -> Any:
    """Build the model with initial weights, and their average if `config.ema` is set. `cls` is a user's own class.

    Raises MiniganError for arguments that the model doesn't accept, and for a model that violates its contract.
    """
    cls = cls or model_class(config.model)
    takes = inspect.signature(cls).parameters
    for name in config.model_args.keys() - takes.keys():
        raise TrainingError(f"{config.model}: it has no argument {name}, which this run began with")
    rng = np.random.default_rng([config.seed, INITIAL_WEIGHTS])
    shapes = {f"{name}_shape": shape for name, shape in config.shapes.items()}
    shapes["shape"] = next(iter(config.shapes.values()), ())  # for a model with one array of samples
    given: dict[str, Any] = {name: shape for name, shape in shapes.items() if name in takes}
    colors = {f"{name}_colors": palette.colors for name, palette in (config.palettes or {}).items()}
    given |= {name: np.array(some, np.uint8) for name, some in colors.items() if name in takes}
    given |= {"rng": rng, "device": get_device(config.device) if device is None else device}
    try:
        model = cls(**given, **config.model_args)
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, MiniganError):
            raise
        raise TrainingError(f"{config.model}: {error}") from error
    check_model(model)
    if config.ema is not None:
        if not model.averaged:
            raise TrainingError(f"{config.model} averages no weights: leave out `ema`")
        model.average_weights(config.ema)
    return model


def check_arguments(config: RunConfig, file: Path, cls: type[Model] | None = None) -> None:
    """Raise CheckpointError, with the name of the file, for a model or arguments that no valid run has."""
    try:
        cls = cls or model_class(config.model)
    except MiniganError as error:
        raise CheckpointError(f"{file} is damaged: {error}") from error
    own, takes = arguments_of(cls), inspect.signature(cls).parameters
    for name, value in config.model_args.items():
        fits = not own[name].check(value) if name in own else name == "n_classes" and type(value) is int and value > 0
        if name not in takes or not fits:
            problem = f"{name} is {json.dumps(value)}, which {config.model} can't take"
            raise CheckpointError(f"{file} is damaged: {problem}")


def open_model(
    folder: RunFolder,
    config: RunConfig,
    checkpoint: Path | None = None,
    device: Device | str = "cpu",
    cls: type[Model] | None = None,
    warn: Warn | None = None,
) -> tuple[Any, Checkpoint]:
    """Return the model of a run with the weights of `checkpoint`, by default the newest undamaged one.

    `warn` is called for each damaged checkpoint that is skipped. Raises CheckpointError if none can be read.
    """
    found = open_checkpoint(folder, config.model, checkpoint, warn)
    model = build_model(config, cls, get_device(device))
    load_frozen(folder, model)
    found.restore(model)
    return model, found


def open_checkpoint(
    folder: RunFolder, model: str | None, file: Path | None = None, warn: Warn | None = None
) -> Checkpoint:
    """Read the checkpoint in `file`, or the newest one of a run; see `open_model`. `model` may be None for any."""
    if file is not None:
        return load_checkpoint(file, model)
    paths = folder.checkpoints()
    if not paths:
        raise CheckpointError(f"there is no checkpoint in {folder.path}: nothing has been saved there yet")
    return load_newest(paths, model, warn or (lambda _: None))
