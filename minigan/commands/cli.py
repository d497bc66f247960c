"""The command line: runs a command, and reports every expected error as one sentence.

Exit status: 0 for success, 1 for a failed check, 2 for an error that the user can fix, 128 + signal for an interrupted
run (Ctrl-C: 130).
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
import textwrap
from collections.abc import Sequence
from typing import Any, NoReturn

from minigan import __version__
from minigan.common.user_code import OwnError, place_in_own
from minigan.common.words import nearest, with_flags
from minigan.errors import MiniganError, printable

# name: (module, description)
COMMANDS = {
    "train": ("minigan.commands.train", "train a model, or resume a run"),
    "sample": ("minigan.commands.sample", "draw pictures with a trained model"),
    "apply": ("minigan.commands.apply", "send pictures of any size through a trained model"),
    "project": ("minigan.commands.project", "find the latents with which a model draws a picture"),
    "encode": ("minigan.commands.encode", "write the codes of pictures, by a trained encoder"),
    "reconstruct": ("minigan.commands.reconstruct", "encode pictures, change their codes, and decode them"),
    "score": ("minigan.commands.score", "score pictures: are they like those of training?"),
    "evaluate": ("minigan.commands.evaluate", "measure how good pictures are, by FID and others"),
    "report": ("minigan.commands.report", "rewrite the page of a run"),
    "replay": ("minigan.commands.replay", "repeat the step at which a run failed"),
    "gradcheck": ("minigan.commands.gradcheck", "check all gradients by finite differences"),
    "models": ("minigan.commands.models", "list the models, or describe one"),
    "data": ("minigan.commands.data", "list the data sets, or show one"),
    "download": ("minigan.commands.download", "get the weights of the network for FID"),
    "bench": ("minigan.commands.bench", "measure speed and memory, also of PyTorch"),
    "selftest": ("minigan.commands.selftest", "check and measure a GPU, in eight minutes"),
    "completion": ("minigan.commands.completion", "complete commands and options in your shell"),
}
INTERRUPTED = 130


class UsageError(MiniganError):
    """An invalid command line."""


class _Help(argparse.RawDescriptionHelpFormatter):
    """Formats help with a column wide enough for the longest option. Lines don't break at hyphens, as in wgan-gp."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)


class Parser(argparse.ArgumentParser):
    """Raises UsageError instead of printing the usage and exiting. `words` is the command line that it will parse."""

    def __init__(self, words: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs, allow_abbrev=False, formatter_class=_Help)
        self.words = words

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(f"{message}; see {self.prog} --help")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit status."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or getattr(stream, "closed", False):  # as by 2>&-
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # print ? for characters that the encoding lacks, such as ×
    try:
        status = _run([_with_dashes(word) for word in (sys.argv[1:] if argv is None else argv)])
        sys.stdout.flush()
        return status
    except MiniganError as error:
        return _fail(_with_place(error, str(error)))
    except MemoryError:
        return _fail("there is not enough memory: make --batch-size, --img-size, --features or --latent-dim smaller")
    except BrokenPipeError:  # the reader of our output has exited, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _fail(sentence(error))
    except KeyboardInterrupt:
        print("minigan: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if isinstance(error, RuntimeError) and "new thread" in str(error):
            return _fail("the system gives no more threads: end other programs, or raise the limit (ulimit -u)")
        if not place_in_own(error):  # a bug in minigan: show the traceback
            raise
        return _fail(_with_place(error, f"{type(error).__name__}: {error}"))


def _run(argv: list[str]) -> int:
    name = next((word for word in argv if not word.startswith("-")), None)
    if name is None:
        overview = "Train GANs with NumPy or CuPy; every derivative is written by hand.\n\ncommands:\n"
        overview += "\n".join(f"  {name:11} {what}" for name, (_, what) in COMMANDS.items())
        parser = Parser(argv, prog="minigan", usage="minigan COMMAND [options]", description=overview)
        parser.add_argument("--version", action="version", version=f"minigan {__version__}")
        try:
            parser.parse_args(argv)
        except SystemExit as leaving:  # argparse has printed the help or the version
            return int(leaving.code or 0)
        parser.print_help()
        return 0
    if name not in COMMANDS:
        raise UsageError(f"there is no command {name!r}: {nearest(name, COMMANDS)}")

    module, what = COMMANDS[name]
    command = importlib.import_module(module)
    words = argv[: argv.index(name)] + argv[argv.index(name) + 1 :]
    parser = Parser(words, prog=f"minigan {name}", description=f"{what[0].upper()}{what[1:]}.")
    command.add_arguments(parser)
    try:
        args, unknown = parser.parse_known_intermixed_args(words)
    except SystemExit as leaving:  # argparse has printed the help
        return int(leaving.code or 0)
    if unknown:
        word = next((word for word in unknown if word.startswith("-")), None)
        if word is None:
            raise UsageError(f"unexpected word {unknown[0]!r}; see minigan {name} --help")
        options = [option for action in parser._actions for option in action.option_strings]
        raise UsageError(f"minigan {name} has no {word}: {nearest(word.partition('=')[0], options)}")
    try:
        return command.main(args) or 0
    except MiniganError as error:  # replace the names of arguments in the message by options
        error.args = (with_flags(str(error), {o for action in parser._actions for o in action.option_strings}),)
        raise


def _with_dashes(word: str) -> str:
    """Replace underscores in an option by dashes: --n_epochs=3 becomes --n-epochs=3."""
    if not word.startswith("--"):
        return word
    option, equals, value = word.partition("=")
    return option.replace("_", "-") + equals + value


def sentence(error: Exception) -> str:
    """Return the message of an exception for the user."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


def _with_place(error: Exception, what: str) -> str:
    """Prefix an error message with its place in a user's own file, if it passed through one."""
    place = "" if isinstance(error, OwnError) else place_in_own(error)
    return f"{place}: {what}" if place and not what.startswith(place.partition(",")[0]) else what


def _fail(what: str) -> int:
    print(f"minigan: error: {printable(what)}", file=sys.stderr)
    return 2
