"""Shared by the commands: types of option values, options of models, and opening the folder of a run."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from minigan.apply.ready import enlarger
from minigan.commands.cli import UsageError
from minigan.common.user_code import is_own, own_model, short_name
from minigan.common.words import flag, with_flags
from minigan.data import AUGMENTATIONS, as_size, parse_size
from minigan.errors import DataError, printable
from minigan.model import Model
from minigan.models import MODELS
from minigan.options import Argument, Count, Fraction, Number, Option, Positive, WholeNumber, arguments_of
from minigan.training.build import check_arguments, open_model
from minigan.training.changes import other_files
from minigan.training.checkpoint import Checkpoint
from minigan.training.folder import RunFolder
from minigan.training.plan import check_names
from minigan.training.settings import NUMBERS, RunConfig

PATHS = "a folder or .zip of pictures, arrays in a .npy or .npz, IDX files (MNIST, EMNIST), CIFAR-10 or CIFAR-100"
SIZE_HELP = "pictures of N pixels each way, or of HEIGHTxWIDTH (default: 64 for files, other data as it is)"
HIDE = argparse.SUPPRESS
FEW = 3  # the help of an option lists its models if there are at most this many


def typed(kind: type, option: Option) -> Callable[[str], Any]:
    """Return a function that parses a number. It raises ArgumentTypeError for values that `option` doesn't allow."""

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
positive, fraction, number = typed(float, Positive()), typed(float, Fraction()), typed(float, Number())


def word(given: str) -> str:
    """Return a name or path. It isn't empty."""
    if not given.strip():
        raise argparse.ArgumentTypeError("the name is empty")
    return given


def place(given: str) -> Path:
    """Parse the path of a file or a folder."""
    return Path(word(given))


def names(text: str) -> tuple[str, ...]:
    """Parse a comma-separated list of names, without duplicates; `none` is the empty list."""
    found = (name.strip().lower() for name in text.split(","))
    return tuple(dict.fromkeys(name for name in found if name not in ("", "none")))


def size(text: str) -> tuple[int, int]:
    """Parse the height and width of pictures: `64`, or `96x64` (height first)."""
    try:
        return as_size(parse_size(text))
    except DataError as error:
        raise argparse.ArgumentTypeError(with_flags(str(error))) from None


def check_writable(folder: Path) -> None:
    """Raise UsageError if `folder` isn't writable or can't be created; called before any work is done."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not nearest.is_dir():
        raise UsageError(f"nothing can be written into {folder}, because {nearest} is not a folder: give another --out")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UsageError(f"nothing may be written into {nearest}: change its permissions, or give another --out")


def check_png(path: Path) -> None:
    """Raise UsageError unless the suffix is .png."""
    if path.suffix.lower() != ".png":
        raise UsageError(f"pictures are written as PNG: call the file {path.with_suffix('.png')}")


def add_model(parser: Any) -> None:
    """Add --model."""
    what = "the run's own model again, as my_gan.py:MyGAN: a run's folder never loads Python (default: none)"
    parser.add_argument("--model", metavar="FILE:NAME", help=what)


def read_run(
    command: str, path: Path, model: str | None = None, data: str | None = None
) -> tuple[RunFolder, RunConfig, type[Model] | None]:
    """Return the folder of a run, its settings, and the class of a user's own model; see `own_class`."""
    folder = RunFolder(path)
    config, cls = own_class(command, path, folder.config(), model, data)
    check_arguments(config, folder.path / "config.json", cls)
    return folder, config, cls


def own_class(
    command: str, path: Path, config: RunConfig, model: str | None, data: str | None = None
) -> tuple[RunConfig, type[Model] | None]:
    """Return the settings, with checksums of the user's own files, and the class in --model (None: a built-in model).

    data: the value of --data, "" if it was left out; None if the command needs no data. Raises UsageError, with the
    complete command, if a user's own file is needed and wasn't given.
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
    """Return the trained model of a run, and its checkpoint. Warns of changed user files and damaged checkpoints."""
    if checkpoint and not checkpoint.is_file():
        known = [*folder.checkpoints(), Path("RUN/best.npz")]
        raise UsageError(f"there is no file {checkpoint}: give a checkpoint to --checkpoint, such as {known[0]}")
    for sentence in other_files(folder.config(), config):
        warn(sentence)
    return open_model(folder, config, checkpoint, device, cls, warn)


def open_ready(name: Any, args: argparse.Namespace) -> Any:
    """Return the model that ships. Raises UsageError for options that only a run has."""
    for option in ("model", "checkpoint"):
        if getattr(args, option):
            raise UsageError(f"--{option} is for the folder of a run, and {name} ships: leave it out")
    return enlarger(args.device)


def add_run_options(parser: Any, weights: str = "") -> None:
    """Add --model, --device and --checkpoint. `weights` is the verb in the help of --checkpoint; "" leaves it out."""
    if weights:
        whose = f"whose weights {weights}, such as RUN/best.npz (default: the newest in RUN/checkpoints)"
        parser.add_argument("--checkpoint", type=place, metavar="FILE", help=whose)
    add_model(parser)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")


def add_seed(parser: Any, what: str) -> None:
    """Add --seed, whose purpose is `what`."""
    parser.add_argument("--seed", type=whole_number, default=0, metavar="N", help=f"{what} (default: 0)")


def add_skip_bad(parser: Any) -> None:
    """Add --skip-bad. The default None means that it wasn't given."""
    what = "skip pictures that can't be read (default: end with an error)"
    parser.add_argument("--skip-bad", action="store_true", default=None, help=what)


def add_samples(parser: Any, models: dict[str, Any]) -> None:
    """Add the options of the samples that a model gets of the data. `models` are the classes in question, by name."""
    add_number(parser, "limit")
    cut = "take random crops of that size, at the pictures' own scale, or resize the pictures"
    usual = defaults({name: "crops" if cls.crops else "resize" for name, cls in models.items()})
    parser.add_argument("--crops", action=argparse.BooleanOptionalAction, help=f"{cut} (default: {usual})")
    sides = "exchange the two sides of pairs (default: the left half, or the first folder by name, is the input)"
    parser.add_argument("--swap", action="store_true", default=None, help=sides)
    value = "values of class maps that are no class, such as 11 or #000000 (default: only 255)"
    parser.add_argument("--ignore", type=names, metavar="A,B", help=value)
    kept = "what is held out of training: files by their names, such as '0001TP*,0016E5*', or DATA"
    part = "the folder val or test of the data, else a tenth"
    parser.add_argument("--held-out", type=word, metavar="WHICH", help=f"{kept} (default: {part})")
    kinds = ",".join(AUGMENTATIONS)
    parser.add_argument("--augment", type=names, metavar="A,B", help=f"any of {kinds}, or none (default: none)")


def print_notes(notes: Sequence[str], file: TextIO | None = None) -> None:
    """Print notes on data or settings, one per line."""
    for note in notes:
        print(f"note: {printable(with_flags(note))}", file=file)


def warn(sentence: str) -> None:
    """Print a warning."""
    print(f"minigan: warning: {printable(sentence)}", file=sys.stderr)


def add_number(parser: Any, name: str, default: str = "") -> None:
    """Add the option of a numeric setting. `default` describes its default if that depends on the model."""
    argument = NUMBERS[name]
    help_ = f"{argument.option.help} (default: {default or argument.shown})"
    parser.add_argument(flag(name), type=typed(argument.type, argument.option), metavar="N", help=help_)


def add_model_options(parser: Any, shown: str | None, own: type[Model] | None = None) -> None:
    """Add the options of all models, and of a user's own. The help covers the model `shown`, or all if that is None."""
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
            text = HIDE
        if shown not in by_model and len({a.type for a in by_model.values()}) > 1:
            how: dict[str, Any] = {"nargs": "?", "const": True, "metavar": "X"}  # yes or no for some, words for others
            parser.add_argument(
                f"--no-{argument.name}", dest=argument.name, action="store_false", default=None, help=HIDE
            )
        elif argument.type is bool:
            how = {"action": argparse.BooleanOptionalAction}
        elif argument.choices:
            known = [argument] if shown in by_model else by_model.values()
            how = {"choices": list(dict.fromkeys(choice for a in known for choice in a.choices))}
        elif argument.type is str:
            how = {"metavar": "X"}
        else:
            how = {"type": typed(argument.type, argument.option), "metavar": "N" if argument.type is int else "X"}
        parser.add_argument(flag(argument.name), dest=argument.name, default=None, help=text.replace("%", "%%"), **how)


def defaults(by_model: dict[str, Any]) -> str:
    """Describe a default: the value of all these models if they agree."""
    shown = set(map(str, by_model.values()))
    return shown.pop() if len(shown) == 1 else "by model"
