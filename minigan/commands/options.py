"""What commands share: the kinds of values that options take, a model's options, and opening the folder of a run."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from minigan.commands.cli import UsageError
from minigan.common.user_code import is_own, own_model, short_name
from minigan.common.words import flag, with_flags
from minigan.data import as_size, parse_size
from minigan.errors import DataError, printable
from minigan.gans import MODELS
from minigan.model import Model
from minigan.options import Argument, Count, Fraction, Option, Positive, WholeNumber, arguments_of
from minigan.training.build import check_arguments, open_model
from minigan.training.changes import other_files
from minigan.training.checkpoint import Checkpoint
from minigan.training.folder import RunFolder
from minigan.training.plan import check_names
from minigan.training.settings import NUMBERS, RunConfig

PATHS = "a folder or .zip of pictures, arrays in a .npy or .npz, IDX files (MNIST, EMNIST), CIFAR-10 or CIFAR-100"
SIZE_HELP = "pictures of N pixels each way, or of HEIGHTxWIDTH (default: 64 for files, other data as it is)"
FEW = 3  # models: where no more have an option, its help names them


def typed(kind: type, option: Option) -> Callable[[str], Any]:
    """A function that makes a number of what was typed. It raises ArgumentTypeError for what `option` doesn't take."""

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}") from None
        problem = option.check(value)
        if problem:
            raise argparse.ArgumentTypeError(f"{text} {problem}")
        return value

    return parse


count, whole_number = typed(int, Count()), typed(int, WholeNumber())
positive, fraction = typed(float, Positive()), typed(float, Fraction())


def place(text: str) -> Path:
    """A file or a folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the name is empty")
    return Path(text)


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them, each once; `none` is no name."""
    found = (name.strip().lower() for name in text.split(","))
    return tuple(dict.fromkeys(name for name in found if name not in ("", "none")))


def size(text: str) -> tuple[int, int]:
    """Height and width of pictures: `64`, or `96x64` in the order of arrays."""
    try:
        return as_size(parse_size(text))
    except DataError as error:
        raise argparse.ArgumentTypeError(with_flags(str(error))) from None


def check_writable(folder: Path) -> None:
    """Raise UsageError if nothing could be written into `folder`, or if it can't be made, before any work is done."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not nearest.is_dir():
        raise UsageError(f"nothing can be written into {folder}, because {nearest} is not a folder: give another --out")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UsageError(f"nothing may be written into {nearest}: change its permissions, or give another --out")


def check_png(path: Path) -> None:
    """Raise UsageError for a file of another kind."""
    if path.suffix.lower() != ".png":
        raise UsageError(f"pictures are written as PNG: call the file {path.with_suffix('.png')}")


# Runs


def add_model(parser: Any) -> None:
    """Add --model."""
    what = "the run's own model again, as my_gan.py:MyGAN: a run's folder never loads Python (default: none)"
    parser.add_argument("--model", metavar="FILE:NAME", help=what)


def read_run(
    command: str, path: Path, model: str | None = None, data: str | None = None
) -> tuple[RunFolder, RunConfig, type[Model] | None]:
    """The folder of a run, its settings, and the class of its model if that is a user's own; see `own_class`."""
    folder = RunFolder(path)
    config, cls = own_class(command, path, folder.config(), model, data)
    check_arguments(config, folder.path / "config.json", cls)
    return folder, config, cls


def own_class(
    command: str, path: Path, config: RunConfig, model: str | None, data: str | None = None
) -> tuple[RunConfig, type[Model] | None]:
    """The class of a run's model if that is a user's own, named by --model, and the settings with its checksums.

    data: what was given for the data, "" for nothing; None if the command needs none. Raises UsageError, with what to
    type, where a user's own file is needed and wasn't named.
    """
    if not is_own(config.model) and model not in (None, config.model):
        raise UsageError(f"the model {model} doesn't fit this run, which began with {config.model}: leave it out")
    missing = [f"--model {config.model}"] if is_own(config.model) and not model else []
    missing += [f"--data {config.data}"] if is_own(config.data) and data == "" else []
    if missing:
        given = [f"--model {model}"] if model else []
        typed = " ".join(["minigan", command, shlex.quote(str(path)), *given, *missing])
        raise UsageError(f"this run is of a file of your own, and a run's folder never loads Python: name it, {typed}")
    if not is_own(config.model):
        return config, None
    cls, files = own_model(str(model))
    if cls.__name__ != short_name(config.model):
        raise UsageError(f"{path} began with {config.model}, and not with {cls.__name__}: give that to --model")
    return replace(config, own=(config.own or {}) | files), cls


def open_run(
    folder: RunFolder, config: RunConfig, cls: type[Model] | None, checkpoint: Path | None = None, device: str = "cpu"
) -> tuple[Any, Checkpoint]:
    """The model of a run as it was trained, and the checkpoint that it is of.

    A user's own file that isn't what it was when the run began is warned of, and so are damaged checkpoints.
    """
    if checkpoint and not checkpoint.is_file():
        raise UsageError(f"there is no file {checkpoint}: give a checkpoint to --checkpoint, such as RUN/best.npz")
    for sentence in other_files(folder.config(), config):
        warn(sentence)
    return open_model(folder, config, checkpoint, device, cls, warn)


def add_run_options(parser: Any, weights: str = "") -> None:
    """Add what commands on a run share: --checkpoint, whose `weights` do what the word says, --model and --device."""
    if weights:
        whose = f"whose weights {weights}, such as RUN/best.npz (default: the newest in RUN/checkpoints)"
        parser.add_argument("--checkpoint", type=place, metavar="FILE", help=whose)
    add_model(parser)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")


def add_seed(parser: Any, what: str) -> None:
    """Add --seed, which decides `what`."""
    parser.add_argument("--seed", type=whole_number, default=0, metavar="N", help=f"{what} (default: 0)")


def add_skip_bad(parser: Any) -> None:
    """Add --skip-bad. None is its default: then nobody gave it."""
    what = "go on without pictures that can't be read (default: end)"
    parser.add_argument("--skip-bad", action="store_true", default=None, help=what)


def print_notes(notes: tuple[str, ...], file: TextIO | None = None) -> None:
    """Print what the user should know about data, a line each."""
    for note in notes:
        print(f"note: {printable(with_flags(note))}", file=file)


def warn(sentence: str) -> None:
    """Print something that the user should know, and go on."""
    print(f"minigan: warning: {printable(sentence)}", file=sys.stderr)


# Options of models and settings


def add_number(parser: Any, name: str, default: str = "") -> None:
    """Add the option of a setting that is a number; `default` words its default where that depends on the model."""
    argument = NUMBERS[name]
    help_ = f"{argument.option.help} (default: {default or argument.shown})"
    parser.add_argument(flag(name), type=typed(argument.type, argument.option), metavar="N", help=help_)


def add_model_options(parser: Any, shown: str | None, own: type[Model] | None = None) -> None:
    """Add the options of all models, and of a user's own; the help is about the model `shown`, if there is one."""
    offers: dict[str, dict[str, Argument]] = {}
    if own:
        check_names(own, str(shown))
    for model, cls in (MODELS | ({str(shown): own} if own else {})).items():
        for name, argument in arguments_of(cls).items():
            offers.setdefault(name, {})[model] = argument
    for by_model in offers.values():
        argument = by_model.get(shown or "") or next(iter(by_model.values()))
        if shown is None:
            whose = f"{', '.join(by_model)}: " if len(by_model) <= FEW else ""
            text = f"{whose}{argument.option.help} (default: {defaults({m: a.shown for m, a in by_model.items()})})"
        elif shown in by_model:
            text = f"{argument.option.help} (default: {argument.shown})"
        else:
            text = argparse.SUPPRESS
        if argument.type is bool:
            how: dict[str, Any] = {"action": argparse.BooleanOptionalAction}
        elif argument.choices:
            how = {"choices": list(dict.fromkeys(choice for a in by_model.values() for choice in a.choices))}
        elif argument.type is str:
            how = {"metavar": "X"}
        else:
            how = {"type": typed(argument.type, argument.option), "metavar": "N" if argument.type is int else "X"}
        parser.add_argument(flag(argument.name), dest=argument.name, default=None, help=text.replace("%", "%%"), **how)


def defaults(by_model: dict[str, Any]) -> str:
    """Say what is the default: the value that all these models have, if they agree."""
    shown = set(map(str, by_model.values()))
    return shown.pop() if len(shown) == 1 else "by model"
