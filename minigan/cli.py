"""The command line: finds the command, and turns every error into one sentence.

Exit status: 0 for success, 1 for a check that failed, 2 for something the user can put right, 128 + signal for a run
that was interrupted (Ctrl-C: 130).
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
import textwrap
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from minigan import __version__
from minigan.errors import MiniganError, printable

# name: (module with `add_arguments(parser)` and `main(args) -> exit status`, what it does)
COMMANDS = {
    "train": ("minigan.commands.train", "train a model, or go on with a run"),
    "sample": ("minigan.commands.sample", "draw pictures with a trained model"),
    "evaluate": ("minigan.commands.evaluate", "measure how good pictures are, by FID and others"),
    "report": ("minigan.commands.report", "write a run's page anew"),
    "replay": ("minigan.commands.replay", "make the step again at which a run failed"),
    "gradcheck": ("minigan.commands.gradcheck", "check every gradient against differences"),
    "models": ("minigan.commands.models", "list the models"),
    "data": ("minigan.commands.data", "list the data sets, or show one"),
    "bench": ("minigan.commands.bench", "measure speed and memory, beside PyTorch"),
    "selftest": ("minigan.commands.selftest", "check and measure a GPU, in eight minutes"),
}
INTERRUPTED = 130


class UsageError(MiniganError):
    """A command line that can't be understood."""


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help with room for the longest option, so that every option has one line where the terminal allows it.

    No line ends inside a name such as wgan-gp.
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)


class Parser(argparse.ArgumentParser):
    """Raises UsageError instead of printing its usage and leaving. `words` is the command line that it will parse."""

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
            stream.reconfigure(errors="replace")  # a terminal that knows no × gets a ?, not an error
    try:
        status = _run([_with_dashes(word) for word in (sys.argv[1:] if argv is None else argv)])
        sys.stdout.flush()
        return status
    except MiniganError as error:
        return _fail(str(error))
    except MemoryError:
        return _fail("there is not enough memory: make --batch-size, --img-size, --features or --latent-dim smaller")
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _fail(sentence(error))
    except RuntimeError as error:
        if "new thread" not in str(error):  # a mistake of ours
            raise
        return _fail("the system gives no more threads: end other programs, or raise the limit (ulimit -u)")
    except KeyboardInterrupt:
        print("minigan: interrupted", file=sys.stderr)
        return INTERRUPTED


def _run(argv: list[str]) -> int:
    name = next((word for word in argv if not word.startswith("-")), None)
    if name is None:
        parser = Parser(argv, prog="minigan", usage="minigan COMMAND [options]", description=_overview())
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
        raise UsageError(f"minigan {name} has no {word}: {nearest(word, options)}")
    return command.main(args) or 0


def _overview() -> str:
    lines = [f"  {name:10} {what}" for name, (_, what) in COMMANDS.items()]
    return "\n".join(["Train GANs with NumPy or CuPy; every derivative is written by hand.", "", "commands:", *lines])


def _with_dashes(word: str) -> str:
    """Spell an option with dashes: --n_epochs=3 becomes --n-epochs=3."""
    if not word.startswith("--"):
        return word
    option, equals, value = word.partition("=")
    return option.replace("_", "-") + equals + value


def nearest(word: str, known: Iterable[str]) -> str:
    """Suggest the most similar of the known names, or all of them."""
    known = list(known)
    near = get_close_matches(word.partition("=")[0].lower(), known, 1, 0.5)
    return f"did you mean {near[0]}?" if near else f"use {', '.join(known)}"


def either(words: Iterable[str]) -> str:
    """Such as `a, b or c`."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def sentence(error: Exception) -> str:
    """What an exception has to say to the user."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


def _fail(what: str) -> int:
    print(f"minigan: error: {printable(what)}", file=sys.stderr)
    return 2
