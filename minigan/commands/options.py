"""What commands share: the kinds of values that options take, and the options that a model's constructor defines."""

from __future__ import annotations

import argparse
import inspect
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO, get_args, get_origin, get_type_hints

import numpy as np

from minigan.cli import UsageError
from minigan.data import Dataset
from minigan.errors import CheckpointError, MiniganError, ShapeError, printable
from minigan.gans import MODELS
from minigan.training.checkpoint import Checkpoint, load_checkpoint, load_newest
from minigan.training.run import RunConfig, RunFolder, model_class


def whole_number(text: str) -> int:
    """A whole number, from 0 on."""
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def count(text: str) -> int:
    """A whole number, from 1 on."""
    value = whole_number(text)
    if value == 0:
        raise argparse.ArgumentTypeError("it must be at least 1")
    return value


def positive(text: str) -> float:
    """A number greater than 0."""
    value = _float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number greater than 0")
    return value


def fraction(text: str) -> float:
    """A number from 0 up to, but not including, 1."""
    value = _float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 1, 1 excluded")
    return value


def not_negative(text: str) -> float:
    """A number from 0 on."""
    value = number(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def number(text: str) -> float:
    """Any finite number."""
    value = _float(text)
    if not abs(value) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not finite")
    return value


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def place(text: str) -> Path:
    """A file or a folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the name is empty")
    return Path(text)


def check_writable(folder: Path) -> None:
    """Raise UsageError if nothing could be written into `folder`, or if it can't be made, before any work is done."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not nearest.is_dir():
        raise UsageError(f"nothing can be written into {folder}, because {nearest} is not a folder: give another --out")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UsageError(f"nothing may be written into {nearest}: change its permissions, or give another --out")


# What help says of constructor arguments, and what they may be. Others are shown by their names alone.
KNOWN = {
    "latent_dim": (count, "length of the latent vector z"),
    "lr": (positive, "learning rate"),
    "b1": (fraction, "Adam's decay of the first moment, or SGD's momentum"),
    "b2": (fraction, "Adam's decay of the second moment"),
    "n_critic": (count, "updates of the discriminator for each one of the generator"),
    "label_smoothing": (fraction, "how far the target for real samples is below 1"),
    "features": (count, "channels of the layers nearest to the picture; deeper ones have multiples of it"),
    "coding": (str, "the logits that are aimed at for real and for generated samples"),
    "clip_value": (positive, "bound of the critic's weights"),
    "extra_critic": (bool, "a hundred critic updates for each of the first, and now and then"),
    "lambda_gp": (not_negative, "weight of the gradient penalty"),
    "networks": (str, "which networks, for pictures; resnet is for 32 pixels"),
    "labels": (bool, "learn the data's classes"),
    "n_classes": (count, "number of classes"),
    "projection": (bool, "judge the class by a projection instead of one more channel"),
}
PATHS = "a folder or .zip of pictures, arrays in a .npy or .npz, IDX files (MNIST, EMNIST), CIFAR-10 or CIFAR-100"
SIZE_HELP = "square pictures of N pixels (default: 64 for files, other data as it is)"
FEW = 3  # models: where no more have an option, its help names them
KINDS = {int: whole_number, float: number, str: str, bool: bool}


@dataclass(frozen=True)
class ModelOption:
    """A constructor argument of a model as an option."""

    name: str
    kind: Any
    default: Any
    what: str
    shown: str  # the default, for people
    choices: tuple[str, ...] = ()  # empty: any

    @property
    def flag(self) -> str:
        """As it is typed."""
        return flag(self.name)


def flag(name: str) -> str:
    """Spell an argument's name as an option: latent_dim becomes --latent-dim."""
    return "--" + name.replace("_", "-")


def model_options(model: type) -> dict[str, ModelOption]:
    """The options of a model: its constructor's arguments that are numbers, text or yes-or-no, and have a default."""
    options = {}
    hints = get_type_hints(model.__init__)  # type: ignore[misc]
    for name, parameter in inspect.signature(model).parameters.items():
        hint = hints.get(name)
        choices = get_args(hint) if get_origin(hint) is Literal else ()
        kinds = (str,) if choices else getattr(hint, "__args__", (hint,))
        kind = next((k for k in KINDS if k in kinds), None)
        if parameter.default is not inspect.Parameter.empty and kind is not None and name != "device":
            known, what = KNOWN.get(name, (KINDS[kind], name.replace("_", " ")))
            shown = model.depends.get(name) or _for_people(parameter.default)
            options[name] = ModelOption(name, known, parameter.default, what, shown, choices)
    return options


def _for_people(default: Any) -> str:
    if default is None:
        return "depends on the data"
    return ("yes" if default else "no") if isinstance(default, bool) else str(default)


def is_conditional(model: type, model_args: dict[str, Any]) -> bool:
    """Whether a model with these arguments learns classes: if it can, and there is no `labels` that says no."""
    own = model_options(model)
    wanted = own["labels"].default if "labels" in own else True
    return "n_classes" in own and model_args.get("labels", wanted)


def read_config(folder: RunFolder) -> RunConfig:
    """Read config.json of a run. Raises CheckpointError also for arguments that no command line could have given."""
    config = folder.config()
    check_arguments(config, folder.path / "config.json")
    return config


def check_arguments(config: RunConfig, file: Path) -> None:
    """Raise CheckpointError, which names the file, for a model or arguments that no command line could have given."""
    try:
        own = model_options(model_class(config.model))
    except MiniganError as error:
        raise CheckpointError(f"{file} is damaged: {error}") from error
    for name, value in config.model_args.items():
        if name not in own or not _fits(own[name], value):
            problem = f"{name} is {json.dumps(value)}, which {config.model} can't take"
            raise CheckpointError(f"{file} is damaged: {problem}")


def open_checkpoint(folder: RunFolder, model: str, file: Path | None = None) -> Checkpoint:
    """Read the checkpoint in `file`, or the newest of a run. If that is damaged it is named, and an older one taken.

    Raises CheckpointError if there is none that can be read.
    """
    if file is not None:
        return load_checkpoint(file, model)
    paths, problems = folder.checkpoints(), []
    if not paths:
        raise CheckpointError(f"there is no checkpoint in {folder.path}: nothing has been saved there yet")
    checkpoint = load_newest(paths, model, problems.append)
    for problem in problems:
        warn(f"{problem}; {checkpoint.path} is used instead")
    return checkpoint


def add_skip_bad(parser: Any) -> None:
    """Add --skip-bad. None is its default: then nobody gave it."""
    what = "go on without pictures that can't be read (default: end)"
    parser.add_argument("--skip-bad", action="store_true", default=None, help=what)


def print_notes(dataset: Dataset, file: TextIO | None = None) -> None:
    """Print what the user should know about the data, a line each."""
    for note in dataset.notes:
        print(f"note: {printable(note)}", file=file)


def warn(sentence: str) -> None:
    """Print something that the user should know, and go on."""
    print(f"minigan: warning: {printable(sentence)}", file=sys.stderr)


def _fits(option: ModelOption, value: Any) -> bool:
    """Whether a value from a file is one that could have been typed."""
    if value is None:
        return option.default is None
    if option.choices:
        return value in option.choices
    if option.kind in (bool, str):
        return type(value) is option.kind
    if type(value) not in ((int,) if option.kind in (count, whole_number) else (int, float)):
        return False
    try:
        option.kind(str(value))
    except argparse.ArgumentTypeError:
        return False
    return True


def takes_points(model: type) -> bool:
    """Whether a model can be trained on points of the plane."""
    classes = {"n_classes": 1} if is_conditional(model, {}) else {}
    try:
        model((2,), **classes, rng=np.random.default_rng(0))
    except ShapeError:
        return False
    return True


def add_model_options(parser: Any, shown: str | None) -> None:
    """Add the options of all models; the help is about the model `shown`, if there is one."""
    offers: dict[str, dict[str, ModelOption]] = {}
    for model, cls in MODELS.items():
        for name, option in model_options(cls).items():
            offers.setdefault(name, {})[model] = option
    for by_model in offers.values():
        option = by_model.get(shown or "") or next(iter(by_model.values()))
        if shown is None:
            whose = f"{', '.join(by_model)}: " if len(by_model) <= FEW else ""
            text = f"{whose}{option.what} (default: {defaults({m: o.shown for m, o in by_model.items()})})"
        elif shown in by_model:
            text = f"{option.what} (default: {option.shown})"
        else:
            text = argparse.SUPPRESS
        if option.kind is bool:
            how: dict[str, Any] = {"action": argparse.BooleanOptionalAction}
        elif option.choices:
            how = {"choices": list(dict.fromkeys(choice for o in by_model.values() for choice in o.choices))}
        else:
            how = {"type": option.kind, "metavar": "N" if option.kind in (count, whole_number) else "X"}
        parser.add_argument(option.flag, dest=option.name, default=None, help=text.replace("%", "%%"), **how)


def defaults(by_model: dict[str, Any]) -> str:
    """Say what is the default: the value that all these models have, if they agree."""
    shown = set(map(str, by_model.values()))
    return shown.pop() if len(shown) == 1 else "by model"
